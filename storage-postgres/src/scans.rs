//! What a scan has shown: numbers of rows (of links, where mappings feed the table), a list for each commit, only ever added to.
//!
//! A row is not written to be marked as seen: a list of numbers that lie close together takes about a byte for each.

use std::collections::HashMap;

use sqlx::Row as _;
use sync_core::{PartitionId, WorkspaceId, store::Feed};

use crate::{
    error::{Db, Fault, damaged},
    numbers::{Numbers, encode},
    tx::Tx,
};

/// The rows one commit shows, by partition.
#[derive(Debug, Default)]
pub(crate) struct Shown(HashMap<PartitionId, Vec<i64>>);

impl Shown {
    /// Counts a row as shown.
    pub(crate) fn add(&mut self, partition: &PartitionId, row: i64) {
        self.add_all(partition, [row]);
    }

    /// Counts rows as shown.
    pub(crate) fn add_all(&mut self, partition: &PartitionId, numbers: impl IntoIterator<Item = i64>) {
        match self.0.get_mut(partition) {
            Some(rows) => rows.extend(numbers),
            None => {
                self.0.insert(partition.clone(), numbers.into_iter().collect());
            }
        }
    }

    /// Adds what another one holds.
    pub(crate) fn merge(&mut self, other: Self) {
        for (partition, numbers) in other.0 {
            self.add_all(&partition, numbers);
        }
    }
}

/// Begins the scan `number` of each partition unless it is under way; what an earlier one left is forgotten.
pub(crate) async fn begin(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, partitions: &[&str], number: u64) -> Db<()> {
    let under_way: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM unnest($5::text[]) p JOIN scans s ON s.workspace_id = $1 AND s.connection_id = $2 AND s.stream = $3 \
         AND s.mapping = $4 AND s.partition_id = p AND s.scan = $6",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .bind(partitions)
    .bind(number.cast_signed())
    .fetch_one(&mut **tx)
    .await?;
    if under_way as usize == partitions.len() {
        return Ok(());
    }
    // The lists of earlier scans go with the rows of `scans`.
    for sql in [
        "DELETE FROM scans WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4 AND partition_id = ANY($5) \
         AND scan <> $6",
        "INSERT INTO scans (workspace_id, connection_id, stream, mapping, partition_id, scan) \
         SELECT $1, $2, $3, $4, p, $6 FROM unnest($5::text[]) p ORDER BY p ON CONFLICT DO NOTHING",
    ] {
        sqlx::query(sql)
            .bind(workspace.as_str())
            .bind(feed.connection.as_str())
            .bind(feed.stream.as_str())
            .bind(&*feed.mapping)
            .bind(partitions)
            .bind(number.cast_signed())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Stores what a commit has shown.
pub(crate) async fn flush(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, number: u64, shown: Shown) -> Db<()> {
    if shown.0.is_empty() {
        return Ok(());
    }
    let (partitions, lists): (Vec<String>, Vec<Vec<u8>>) =
        shown.0.into_iter().map(|(partition, numbers)| (partition.as_str().to_owned(), encode(numbers))).unzip();
    sqlx::query(
        "INSERT INTO scan_seen (workspace_id, connection_id, stream, mapping, scan, partition_id, numbers) \
         SELECT $1, $2, $3, $4, $5, s.* FROM unnest($6::text[], $7::bytea[]) s",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .bind(number.cast_signed())
    .bind(partitions)
    .bind(lists)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Everything a scan has shown in its commits so far, over all its partitions.
pub(crate) async fn shown(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, number: u64) -> Db<Numbers> {
    let lists: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT numbers FROM scan_seen WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4 AND scan = $5",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .bind(number.cast_signed())
    .fetch_all(&mut **tx)
    .await?;
    let mut shown = Numbers::default();
    for list in lists {
        shown.decode(&list).ok_or_else(damaged_list)?;
    }
    shown.close();
    Ok(shown)
}

fn damaged_list() -> Fault {
    damaged("sweep", "list of rows that a scan has shown")
}

/// What a scan proves about one partition.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Its sweep went through before.
    Swept,
    /// The rows it showed; a scan that never committed anything showed none.
    Shown(Numbers),
}

impl Proof {
    pub(crate) async fn load(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, partition: &PartitionId, number: u64) -> Db<Self> {
        let rows = sqlx::query(
            "SELECT s.swept, l.numbers FROM scans s LEFT JOIN scan_seen l USING (workspace_id, connection_id, stream, mapping, partition_id, scan) \
             WHERE s.workspace_id = $1 AND s.connection_id = $2 AND s.stream = $3 AND s.mapping = $4 AND s.partition_id = $5 AND s.scan = $6",
        )
        .bind(workspace.as_str())
        .bind(feed.connection.as_str())
        .bind(feed.stream.as_str())
        .bind(&*feed.mapping)
        .bind(partition.as_str())
        .bind(number.cast_signed())
        .fetch_all(&mut **tx)
        .await?;
        let mut shown = Numbers::default();
        for row in &rows {
            if row.try_get(0)? {
                return Ok(Self::Swept);
            }
            if let Some(list) = row.try_get::<Option<Vec<u8>>, _>(1)? {
                shown.decode(&list).ok_or_else(damaged_list)?;
            }
        }
        shown.close();
        Ok(Self::Shown(shown))
    }

    /// Whether a row was shown. After a sweep there is nothing left to conclude, so everything was.
    pub(crate) fn shows(&self, row: i64) -> bool {
        match self {
            Self::Swept => true,
            Self::Shown(shown) => shown.contains(row),
        }
    }
}

/// Remembers that the sweep of a scan went through; its lists are no longer needed.
pub(crate) async fn close(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, partition: &PartitionId, number: u64) -> Db<()> {
    for sql in [
        "DELETE FROM scan_seen WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4 AND partition_id = $5 AND $6 IS NOT NULL",
        "INSERT INTO scans (workspace_id, connection_id, stream, mapping, partition_id, scan, swept) VALUES ($1, $2, $3, $4, $5, $6, true) \
         ON CONFLICT (workspace_id, connection_id, stream, mapping, partition_id) DO UPDATE SET scan = excluded.scan, swept = true",
    ] {
        sqlx::query(sql)
            .bind(workspace.as_str())
            .bind(feed.connection.as_str())
            .bind(feed.stream.as_str())
            .bind(&*feed.mapping)
            .bind(partition.as_str())
            .bind(number.cast_signed())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

//! What a scan has shown: numbers of rows (of links, where mappings feed the table), a list for each commit, only ever added to.
//!
//! A row is not written to be marked as seen: a list of numbers that lie close together takes about a byte for each.

use std::collections::{HashMap, HashSet};

use sqlx::Row as _;
use sync_core::{PartitionId, WorkspaceId, store::Feed};

use crate::{error::Db, tx::Tx};

/// The rows one commit shows, by partition.
#[derive(Debug, Default)]
pub(crate) struct Shown(HashMap<PartitionId, Vec<i64>>);

impl Shown {
    /// Counts a row as shown.
    pub(crate) fn add(&mut self, partition: &PartitionId, row: i64) {
        match self.0.get_mut(partition) {
            Some(rows) => rows.push(row),
            None => {
                self.0.insert(partition.clone(), vec![row]);
            }
        }
    }
}

/// Numbers in order as pairs of a gap and the length of a run, each in seven bits a byte: a hundred neighbours take three bytes.
fn pack(mut numbers: Vec<i64>) -> Vec<u8> {
    fn put(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let mut out = Vec::new();
    let mut next = 0i64;
    let mut at = 0;
    while at < numbers.len() {
        let first = numbers[at];
        let mut length = 1;
        while at + length < numbers.len() && numbers[at + length] == first + length as i64 {
            length += 1;
        }
        put(first.wrapping_sub(next).cast_unsigned(), &mut out);
        put(length as u64 - 1, &mut out);
        next = first + length as i64;
        at += length;
    }
    out
}

/// Hands each number of a packed list to `each`.
fn unpack(bytes: &[u8], mut each: impl FnMut(i64)) {
    let mut values = bytes.iter().scan((0u64, 0u32), |(value, shift), byte| {
        *value |= u64::from(byte & 0x7f) << *shift;
        *shift += 7;
        Some((byte & 0x80 == 0).then(|| (std::mem::take(value), *shift = 0).0))
    });
    let mut next = 0i64;
    let mut take = || values.by_ref().flatten().next();
    while let (Some(gap), Some(more)) = (take(), take()) {
        let first = next.wrapping_add(gap.cast_signed());
        for number in 0..=more.cast_signed() {
            each(first + number);
        }
        next = first + more.cast_signed() + 1;
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
        shown.0.into_iter().map(|(partition, numbers)| (partition.as_str().to_owned(), pack(numbers))).unzip();
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
pub(crate) async fn shown(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, number: u64) -> Db<HashSet<i64>> {
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
    let mut shown = HashSet::new();
    for list in lists {
        unpack(&list, |number| {
            shown.insert(number);
        });
    }
    Ok(shown)
}

/// What a scan proves about one partition.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Its sweep went through before.
    Swept,
    /// The rows it showed, a bit each in chunks of 64; a scan that never committed anything showed none.
    Shown(HashMap<i64, u64>),
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
        let mut shown = HashMap::new();
        for row in &rows {
            if row.try_get(0)? {
                return Ok(Self::Swept);
            }
            if let Some(list) = row.try_get::<Option<Vec<u8>>, _>(1)? {
                unpack(&list, |number| *shown.entry(number >> 6).or_insert(0) |= 1 << (number & 63));
            }
        }
        Ok(Self::Shown(shown))
    }

    /// Whether a row was shown. After a sweep there is nothing left to conclude, so everything was.
    pub(crate) fn shows(&self, row: i64) -> bool {
        let Self::Shown(shown) = self else { return true };
        shown.get(&(row >> 6)).is_some_and(|bits| bits & (1 << (row & 63)) != 0)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_take_next_to_nothing() {
        assert!(pack((1000..3000).collect()).len() <= 5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_packed_list_comes_back_in_order_and_once(numbers in prop::collection::vec(0i64..5000, 0..300), far in 0i64..i64::MAX / 2) {
            let mut numbers: Vec<i64> = numbers.into_iter().map(|number| number + far).collect();
            let mut back = Vec::new();
            unpack(&pack(numbers.clone()), |number| back.push(number));
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(back, numbers);
        }
    }
}

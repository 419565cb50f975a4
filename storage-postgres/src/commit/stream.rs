//! A stream's own table: one source, everything of it the truth, decided by a hash of each record.

use std::{collections::HashMap, collections::HashSet, sync::Arc};

use sqlx::Row as _;
use sync_core::{
    Duplicates, Operation, Record, RecordBatch, RecordFailure,
    store::{Change, Duplicated, PartitionBatch, twice},
};

use super::{
    Mode, Work,
    delete::{self, Deletion},
    staging::{self, Staged},
};
use crate::{error::Db, scans, table::Table, value::NUL};

/// One record on its way.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) part: &'a PartitionBatch,
    pub(super) record: &'a Record,
    pub(super) hash: i64,
}

/// A row that is there.
#[derive(Clone, Copy, Debug)]
struct Known {
    hash: Option<i64>,
    row_no: i64,
    extra: bool,
}

/// The part of a row's hash that says which partition it is in: a record that moves is written anew.
fn partition_hash(partition: &str) -> u64 {
    partition.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) async fn write(work: &mut Work<'_>, table: &Arc<Table>) -> Db<()> {
    let commit = work.commit;
    let shown_before = match commit.scan {
        Some(number) if commit.target.duplicates == Duplicates::FirstWins => {
            scans::shown(work.tx, work.workspace, &commit.feed, number).await?
        }
        _ => HashSet::new(),
    };
    for round in rounds(work) {
        apply(work, table, round, &shown_before).await?;
    }
    // Records that are there but could not be taken.
    if commit.scan.is_some() {
        for part in commit.batches.iter().filter(|part| !part.present.is_empty()) {
            let mut ids: Vec<&str> = part.present.iter().map(|id| id.as_str()).filter(|id| !id.contains('\0')).collect();
            ids.sort_unstable();
            for known in find(work, table, &ids).await?.values() {
                work.shown.add(&part.partition, known.row_no);
            }
        }
    }
    Ok(())
}

/// The records in the order of their keys, in as many rounds as one key occurs: no statement may meet a key twice. What another record
/// stands for is left out here.
fn rounds<'a>(work: &mut Work<'a>) -> Vec<Vec<Item<'a>>> {
    let commit = work.commit;
    let batches: Vec<&RecordBatch> = commit.batches.iter().map(|part| &part.batch).collect();
    let duplicated = Duplicated::find(&batches, commit.target.duplicates, |_, _, record| Some(record.id.as_str()));
    let mut rounds: Vec<Vec<Item<'a>>> = vec![Vec::with_capacity(batches.iter().map(|batch| batch.len()).sum())];
    let mut occurred: HashMap<&str, usize> = HashMap::with_capacity(rounds[0].capacity());
    for (number, part) in commit.batches.iter().enumerate() {
        let (seeds, in_partition) = (part.batch.name_seeds(), partition_hash(part.partition.as_str()));
        for (at, record) in part.batch.records().iter().enumerate() {
            if duplicated.contains(number, at) {
                match commit.target.duplicates {
                    Duplicates::FirstWins => work.tally.skipped(twice(record)),
                    Duplicates::LastWins => work.tally.counts.skipped += 1,
                }
                continue;
            }
            if record.id.as_str().contains('\0') {
                let failure = RecordFailure::error(format!("the record's id cannot be a key: {NUL}"));
                work.tally.failed(failure.at_row(record.position).of_record(record.id.as_str()));
                continue;
            }
            let hash = (part.batch.hash(record, &seeds) ^ in_partition).cast_signed();
            let round = occurred.entry(record.id.as_str()).or_insert(0);
            if rounds.len() == *round {
                rounds.push(Vec::new());
            }
            rounds[*round].push(Item { part, record, hash });
            *round += 1;
        }
    }
    for round in &mut rounds {
        round.sort_unstable_by(|one, other| one.record.id.as_str().cmp(other.record.id.as_str()));
    }
    rounds
}

/// The rows that are there, by their place in `ids`, which are in order.
async fn find(work: &mut Work<'_>, table: &Table, ids: &[&str]) -> Db<HashMap<usize, Known>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT k.at, m.row_hash, m.row_no, m.extra FROM unnest($3::text[]) WITH ORDINALITY k(id, at) CROSS JOIN LATERAL \
         (SELECT row_hash, row_no, extra IS NOT NULL AS extra FROM {} m \
         WHERE m.workspace_id = $1 AND m.connection_no = $2 AND m.entity_id = k.id OFFSET 0) m",
        table.sql
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(work.workspace.as_str())
        .bind(work.connection_no)
        .bind(ids)
        .fetch_all(&mut **work.tx)
        .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let at: i64 = row.try_get(0)?;
        known.insert(at as usize - 1, Known { hash: row.try_get(1)?, row_no: row.try_get(2)?, extra: row.try_get(3)? });
    }
    Ok(known)
}

async fn apply<'a>(work: &mut Work<'a>, table: &Table, round: Vec<Item<'a>>, shown_before: &HashSet<i64>) -> Db<()> {
    let ids: Vec<&str> = round.iter().map(|item| item.record.id.as_str()).collect();
    let known = find(work, table, &ids).await?;
    let scans = work.commit.scan.is_some();
    let mut staged = Staged::new(table, work.commit.batches.iter().map(|part| &part.batch));
    let mut deleted: Vec<&str> = Vec::new();
    for (at, item) in round.iter().enumerate() {
        let row = known.get(&at);
        if item.record.operation == Operation::Delete {
            match row {
                Some(_) => deleted.push(item.record.id.as_str()),
                // What we never had is as the record says: gone.
                None => work.tally.counts.unchanged += 1,
            }
            continue;
        }
        if let Some(row) = row.filter(|_| scans) {
            work.shown.add(&item.part.partition, row.row_no);
        }
        match row {
            Some(row) if work.commit.target.duplicates == Duplicates::FirstWins && shown_before.contains(&row.row_no) => {
                work.tally.skipped(twice(item.record));
            }
            Some(row) if row.hash == Some(item.hash) => work.tally.counts.unchanged += 1,
            row => {
                if let Err(failure) = staged.add(*item, row.is_some(), row.is_some_and(|row| row.extra)) {
                    work.tally.failed(failure);
                }
            }
        }
    }
    if !deleted.is_empty() {
        let how = Deletion { run: work.commit.fence.run, at: work.commit.at, lineage: work.commit.target.lineage };
        let changes = (work.mode == Mode::Preview).then_some(&mut work.changes);
        let gone = delete::managed(work.tx, work.workspace, table, work.connection_no, &deleted, how, changes).await?;
        // Somebody else was faster with the rest.
        work.tally.counts.unchanged += (deleted.len() - gone.len()) as u64;
        work.tally.counts.deleted += gone.len() as u64;
        gone.iter().for_each(|key| work.tally.deleted(key));
    }
    staging::write(work, staged).await
}

/// The changes a new record makes.
pub(super) fn created(item: &Item<'_>, changes: &mut Vec<Change>) {
    for (name, json) in item.part.batch.cells(item.record) {
        changes.push(Change {
            entity: item.record.id.as_str().into(),
            field: item.part.batch.names()[name].as_ref().into(),
            old: None,
            new: Some(json.into()),
            rule: "source_of_truth".into(),
        });
    }
}

//! A stream's own table: one source, everything of it the truth, decided by a hash of each record.

mod apply;
mod outcome;
#[cfg(test)]
mod plans;
mod rounds;
mod sql;
mod staging;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    Duplicates, Operation, RecordBatch,
    store::{Duplicated, twice},
};

use self::{
    apply::Applier,
    outcome::Outcome,
    rounds::{Entry, Slots, rounds, slots},
    staging::{Candidate, Known},
};
use super::{
    Work,
    delete::{self, Deletion},
};
use crate::{error::Db, numbers::Numbers, scans, table::Table, tx::Tx};

pub(super) async fn write(work: &mut Work<'_>, table: &Arc<Table>) -> Db<()> {
    let commit = work.commit;
    let rule = commit.target.duplicates;
    let batches: Vec<&RecordBatch> = commit.batches.iter().map(|part| &part.batch).collect();
    let duplicated = Duplicated::find(&batches, rule, |_, _, record| Some(record.id.as_str()));
    let mut outcome = Outcome::default();
    for (batch, part) in commit.batches.iter().enumerate() {
        for (at, record) in part.batch.records().iter().enumerate().filter(|(at, _)| duplicated.contains(batch, *at)) {
            outcome.skipped((batch, at), twice(&commit.target, record));
        }
    }
    let before = match commit.scan {
        Some(number) if rule == Duplicates::FirstWins => scans::shown(work.tx, work.workspace, &commit.feed, number).await?,
        _ => Numbers::default(),
    };
    let with_slots: Vec<(&RecordBatch, Slots)> =
        batches.iter().map(|batch| (*batch, slots(batch, |field| table.position(field)))).collect();
    let mut round =
        Round { table, batches: &with_slots, before: &before, applier: Applier::new(table, work.tx.inner.settings.pooler), once: true };
    let rounds = rounds(commit, |batch, at| !duplicated.contains(batch, at));
    round.once = rounds.len() == 1;
    for entries in &rounds {
        round.write(work, entries, &mut outcome).await?;
    }
    round.applier.end(work).await?;
    outcome.tell(work);
    present(work, table).await
}

/// Counts records as shown that are there but could not be taken.
async fn present(work: &mut Work<'_>, table: &Table) -> Db<()> {
    if work.commit.scan.is_none() {
        return Ok(());
    }
    for part in work.commit.batches.iter().filter(|part| !part.present.is_empty()) {
        let keys: Vec<&str> = part.present.iter().map(|id| id.as_str()).collect();
        let known = find(work.tx, work.workspace.as_str(), work.connection_no, table, &keys).await?;
        work.shown.add_all(&part.partition, known.into_iter().flatten().map(|known| known.row));
    }
    Ok(())
}

/// What is known of the rows with these keys, in their order.
async fn find(tx: &mut Tx, workspace: &str, connection_no: i64, table: &Table, keys: &[&str]) -> Db<Vec<Option<Known>>> {
    let mut known = vec![None; keys.len()];
    // No row has a key with a NUL, and no parameter takes one.
    let places: Vec<usize> = (0..keys.len()).filter(|at| !keys[*at].contains('\0')).collect();
    if places.is_empty() {
        return Ok(known);
    }
    let keys: Vec<&str> = places.iter().map(|at| keys[*at]).collect();
    let found = sqlx::query(AssertSqlSafe(sql::find(table))).bind(workspace).bind(connection_no).bind(&keys);
    for row in found.fetch_all(&mut **tx).await? {
        let (n, number, hash, beyond): (i64, i64, Option<i64>, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if let Some(place) = usize::try_from(n - 1).ok().and_then(|n| places.get(n)) {
            known[*place] = Some(Known { row: number, hash, beyond });
        }
    }
    Ok(known)
}

/// What the rounds of one commit share.
struct Round<'a> {
    table: &'a Arc<Table>,
    batches: &'a [(&'a RecordBatch, Slots)],
    before: &'a Numbers,
    applier: Applier<'a>,
    /// Whether no key comes twice.
    once: bool,
}

/// Who writes the same rows at the same time changes them between our look and our write: then we look again, so often.
const LOOKS: usize = 20;

impl Round<'_> {
    async fn write(&mut self, work: &mut Work<'_>, entries: &[Entry<'_>], outcome: &mut Outcome) -> Db<()> {
        let stored = work.stored.clone().filter(|_| self.once && entries.iter().all(|entry| entry.record.operation == Operation::Upsert));
        let mut guessed = stored.as_ref().is_some_and(|stored| stored.unlikely());
        for _ in 0..LOOKS {
            let mut tried = Outcome::default();
            if self.attempt(work, entries, guessed, &mut tried).await? {
                outcome.merge(tried);
                return Ok(());
            }
            self.applier.undo_round(work.tx).await?;
            if std::mem::take(&mut guessed) {
                stored.iter().for_each(|stored| stored.found(true));
            }
        }
        Err(apply::contended())
    }

    /// Answers `false` when somebody else wrote the same rows meanwhile, or when none was `guessed` to be stored and one is.
    async fn attempt(&mut self, work: &mut Work<'_>, entries: &[Entry<'_>], guessed: bool, outcome: &mut Outcome) -> Db<bool> {
        let known = if guessed {
            vec![None; entries.len()]
        } else {
            let keys: Vec<&str> = entries.iter().map(Entry::key).collect();
            let known = find(work.tx, work.workspace.as_str(), work.connection_no, self.table, &keys).await?;
            if let Some(stored) = &work.stored {
                stored.found(known.iter().any(Option::is_some));
            }
            known
        };
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        let mut gone: Vec<(Entry<'_>, i64)> = Vec::new();
        for (entry, known) in entries.iter().zip(known) {
            match (entry.record.operation, known) {
                // What we never had is as the record says: gone.
                (Operation::Delete, None) => outcome.counts.unchanged += 1,
                (Operation::Delete, Some(known)) => gone.push((*entry, known.row)),
                (Operation::Upsert, None) => candidates.push(Candidate { entry: *entry, known: None }),
                (Operation::Upsert, Some(known)) => {
                    if work.commit.scan.is_some() {
                        outcome.shown.add(entry.partition, known.row);
                    }
                    if self.before.contains(known.row) {
                        outcome.skipped(entry.place(), twice(&work.commit.target, entry.record));
                    } else if known.hash == Some(entry.hash) {
                        outcome.counts.unchanged += 1;
                    } else {
                        candidates.push(Candidate { entry: *entry, known: Some(known) });
                    }
                }
            }
        }
        if candidates.is_empty() && gone.is_empty() {
            return Ok(true);
        }
        self.applier.begin_round(work.tx).await?;
        if !candidates.is_empty() && !self.applier.apply(work, self.batches, &candidates, outcome).await? {
            return Ok(false);
        }
        Ok(gone.is_empty() || self.delete(work, &gone, outcome).await?)
    }

    async fn delete(&mut self, work: &mut Work<'_>, gone: &[(Entry<'_>, i64)], outcome: &mut Outcome) -> Db<bool> {
        self.applier.before_lines(work);
        let hiding = work.hiding.clone();
        let how = Deletion { run: work.commit.fence.run, at: work.commit.at, lineage: work.commit.target.lineage, hiding: &hiding };
        let keys: Vec<&str> = gone.iter().map(|(entry, _)| entry.key()).collect();
        let mut changes = Vec::new();
        let looked = work.shows().then_some(&mut changes);
        let deleted = delete::managed(work.tx, work.workspace, self.table, work.connection_no, &keys, how, looked).await?;
        if deleted.len() != gone.len() {
            return Ok(false);
        }
        outcome.counts.deleted += deleted.len() as u64;
        outcome.deletions(gone.iter().map(|(entry, _)| entry), changes);
        outcome.deleted.extend(deleted);
        Ok(true)
    }
}

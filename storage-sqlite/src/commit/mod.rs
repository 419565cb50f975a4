//! One transaction: rows, lineage, cursors, counts, failures and events, under the run's fence.

pub(crate) mod beside;
mod book;
pub(crate) mod delete;
pub(crate) mod journal;
mod link;
mod mapped;
mod plain;
mod remember;
pub(crate) mod target;

use std::sync::PoisonError;

use rusqlite::Transaction;
use sync_core::{
    Counts, PartitionId, RecordFailure, Severity, WorkspaceId,
    store::{CommitReport, PageCommit, Preview},
};

pub(crate) use self::book::Sources;
use self::{
    journal::{Journal, Shown},
    target::Rows,
};
use crate::{
    error::{Db, Fault, internal},
    hiding::Hiding,
    hook::Committed,
    run,
    storage::{Cache, Shared},
    table::connection_no,
    time,
};

/// Whether the transaction is going to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is.
    Commit,
    /// It is rolled back: what would be done is written down field by field, and the run's own rows are left alone.
    Preview,
}

/// What the writers of rows share.
pub(crate) struct Work<'a> {
    pub(crate) tx: &'a Transaction<'a>,
    pub(crate) workspace: &'a WorkspaceId,
    pub(crate) commit: &'a PageCommit,
    /// The connection's number in rows and keys.
    pub(crate) connection_no: i64,
    pub(crate) at: &'a str,
    pub(crate) tally: Tally,
    pub(crate) journal: Journal,
}

/// What became of the records so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<RecordFailure>,
    /// Keys for the host's hooks; `None` when there are none.
    pub(crate) keys: Option<Keys>,
}

#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) written: Vec<Box<str>>,
    pub(crate) deleted: Vec<Box<str>>,
}

impl Tally {
    pub(crate) fn wrote(&mut self, key: &str) {
        if let Some(keys) = &mut self.keys {
            keys.written.push(key.into());
        }
    }

    pub(crate) fn deleted(&mut self, key: &str) {
        if let Some(keys) = &mut self.keys {
            keys.deleted.push(key.into());
        }
    }

    /// A record that cannot be taken.
    pub(crate) fn failed(&mut self, failure: RecordFailure) {
        self.counts.failed += 1;
        debug_assert!(failure.severity == Severity::Error);
        self.failures.push(failure);
    }

    /// A record that is left out on purpose, with the reason where it is worth telling.
    pub(crate) fn skipped(&mut self, warning: impl Into<Option<RecordFailure>>) {
        self.counts.skipped += 1;
        self.failures.extend(warning.into());
    }
}

/// The number kept for a run that only previews.
fn created_run(work: &Work<'_>) -> Option<i64> {
    work.commit.target.lineage.then_some(work.commit.fence.run.0)
}

/// Writes a commit. Nothing of it stands until the transaction is committed.
pub(crate) fn write(
    tx: &Transaction<'_>,
    cache: &mut Cache,
    shared: &Shared,
    workspace: &WorkspaceId,
    commit: &PageCommit,
    mode: Mode,
) -> Db<Preview> {
    if mode == Mode::Commit {
        run::check_fence(tx, workspace, commit.fence, "commit")?;
        cache.sources.point(tx, workspace, commit.fence.run, &commit.target.source, commit.target.decided_by())?;
    }
    let hooks = shared.hooks.lock().unwrap_or_else(PoisonError::into_inner);
    let at = time::text(commit.at);
    let shown = match &commit.expects {
        _ if mode == Mode::Preview => Shown::Preview(Vec::new()),
        Some(expected) => Shown::Compared(expected.nothing_yet()),
        None => Shown::Nothing,
    };
    // What a preview shows is shown as it is, so that it can be applied; its lines are never written.
    let hiding = if mode == Mode::Commit { Hiding::mark(tx, workspace, &commit.target)? } else { Hiding::default() };
    let mut work = Work {
        tx,
        workspace,
        commit,
        connection_no: connection_no(tx, workspace, &commit.feed.connection)?,
        at: &at,
        tally: Tally { keys: (!hooks.0.is_empty()).then(Keys::default), ..Tally::default() },
        journal: Journal::new(commit.target.lineage, shown, hiding),
    };
    let rows = Rows::open(tx, cache, workspace, commit)?;
    open_scans(&work, cache)?;
    match &rows {
        Rows::Stream(table) => plain::write(&mut work, cache, table)?,
        Rows::Managed(_) | Rows::Host(_) => mapped::write(&mut work, cache, &rows)?,
    }
    let handed: u64 = commit.batches.iter().map(|part| part.batch.len() as u64).sum();
    work.tally.counts.read += handed;
    work.tally.counts.add(&commit.before);
    if !work.tally.counts.balanced() {
        return Err(internal("commit", format!("{handed} records were handed over, but the counts are {:?}", work.tally.counts)));
    }
    let Work { tally, journal, .. } = work;
    let report = CommitReport { counts: tally.counts, failures: tally.failures.clone(), moved: Vec::new() };
    if mode == Mode::Preview {
        cache.seen.flush(tx)?;
        let (changes, gone) = journal.into_preview();
        let sensitive = Hiding::of(tx, workspace, &commit.target.entity)?.fields();
        return Ok(Preview { report, changes, gone, swept: None, sensitive });
    }
    if let Some(expected) = &commit.expects {
        let moved = journal.moved(expected);
        if !moved.is_empty() {
            return Err(Fault::Moved(moved));
        }
    }
    shared.crash_point("p8");
    journal.write(tx, workspace, rows.type_id(), commit.fence.run, &at)?;
    shared.crash_point("p9");
    cache.seen.flush(tx)?;
    book::keep(tx, workspace, commit, &at, &tally)?;
    if let Some(keys) = &tally.keys {
        let committed = Committed {
            workspace,
            feed: &commit.feed,
            entity: &commit.target.entity,
            table: rows.table_name(),
            counts: &tally.counts,
            written: &keys.written,
            deleted: &keys.deleted,
        };
        hooks.run(tx, &committed)?;
    }
    shared.crash_point("p10");
    Ok(Preview { report, ..Preview::default() })
}

/// Begins the scans of all partitions the commit names, so that one that shows nothing is known to have been.
fn open_scans(work: &Work<'_>, cache: &mut Cache) -> Db<()> {
    let Some(number) = work.commit.scan else { return Ok(()) };
    let batches = work.commit.batches.iter().map(|part| &part.partition);
    for partition in batches.chain(work.commit.cursors.iter().map(|position| &position.partition)) {
        cache.seen.begin(work.tx, work.workspace, &work.commit.feed, partition, number)?;
    }
    Ok(())
}

/// Where the scan of a partition is kept, if the commit belongs to one.
fn scan_of(work: &Work<'_>, cache: &mut Cache, partition: &PartitionId) -> Db<Option<usize>> {
    work.commit.scan.map(|number| cache.seen.begin(work.tx, work.workspace, &work.commit.feed, partition, number)).transpose()
}

/// Counts a row as shown by the scan, if there is one; answers whether it was before.
fn show(work: &Work<'_>, cache: &mut Cache, scan: Option<usize>, row: i64) -> Db<bool> {
    scan.map_or(Ok(false), |scan| cache.seen.at(scan).set(work.tx, row))
}

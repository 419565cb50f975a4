//! One transaction: rows, lineage, cursors, counts, failures and events, under the run's fence.

pub(crate) mod book;
pub(crate) mod delete;
mod lines;
pub(crate) mod mapped;
mod preview;
mod remember;
mod stream;
mod tally;

use std::sync::Arc;

use sync_core::{
    EntityType, Place, WorkspaceId,
    store::{Change, CommitReport, Gone, PageCommit, Preview},
};

pub(crate) use self::tally::{Keys, Tally};
use crate::{
    error::{Db, Fault, internal},
    hiding::Hiding,
    hook::Committed,
    host::Host,
    run, scans,
    table::{self, Table, connection_no_and_hiding},
    turn::{Stored, Turn},
    tx::Tx,
};

/// Whether the transaction is going to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is.
    Commit,
    /// It is rolled back: what would be done is written down field by field, and the run's own rows are left alone.
    Preview,
}

/// Where rows go.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A stream's own table.
    Stream(Arc<Table>),
    /// A managed table fed through mappings.
    Managed(Arc<Table>),
    /// A table of the host.
    Host(Box<Host>),
}

/// What the writers of rows share.
pub(crate) struct Work<'a> {
    pub(crate) tx: &'a mut Tx,
    pub(crate) workspace: &'a WorkspaceId,
    pub(crate) commit: &'a PageCommit,
    pub(crate) mode: Mode,
    /// The connection's number in rows and keys.
    pub(crate) connection_no: i64,
    /// What lines do not say; previews do, so that they can be applied.
    pub(crate) hiding: Hiding,
    pub(crate) tally: Tally,
    /// What the run's commits found stored; for those of them that take turns.
    pub(crate) stored: Option<Arc<Stored>>,
    /// What the scan has shown.
    pub(crate) shown: scans::Shown,
    /// What a preview shows, or a commit that expects changes.
    pub(crate) changes: Vec<Change>,
    /// Links that went, for a preview.
    pub(crate) gone: Vec<Gone>,
}

impl Work<'_> {
    /// Whether changes are shown to somebody.
    pub(crate) fn shows(&self) -> bool {
        self.mode == Mode::Preview || self.commit.expects.is_some()
    }
}

/// What a commit did, and the table as it left it.
pub(crate) struct Written {
    pub(crate) preview: Preview,
    pub(crate) table: Option<(EntityType, Arc<Table>)>,
    /// What the transaction is known by; a preview's by nothing.
    pub(crate) mark: Option<run::Mark>,
}

impl Rows {
    /// Finds the table, and makes it or its columns where it is ours.
    async fn open(tx: &mut Tx, workspace: &WorkspaceId, commit: &PageCommit) -> Db<Self> {
        let target = &commit.target;
        if let Place::Host(spec) = &target.place {
            let mut fields: Vec<&str> = Vec::new();
            for name in commit.batches.iter().flat_map(|part| part.batch.names()) {
                if !fields.contains(&&**name) {
                    fields.push(name);
                }
            }
            return Ok(Self::Host(Box::new(Host::register(tx, workspace, spec, &fields).await?)));
        }
        let batches: Vec<_> = commit.batches.iter().map(|part| &part.batch).collect();
        let table = table::managed(tx, &target.entity, &target.place, &target.fields, &batches).await?;
        Ok(if matches!(target.place, Place::Stream) { Self::Stream(table) } else { Self::Managed(table) })
    }

    pub(crate) fn type_id(&self) -> i64 {
        match self {
            Self::Stream(table) | Self::Managed(table) => table.id,
            Self::Host(host) => host.id,
        }
    }

    /// The table's name with its schema, as it stands in SQL.
    pub(crate) fn table_name(&self, tx: &Tx) -> String {
        match self {
            Self::Stream(table) | Self::Managed(table) => format!("{}.{}", crate::name::quoted(&tx.inner.settings.schema), table.sql),
            Self::Host(host) => host.sql.to_string(),
        }
    }
}

/// Writes a commit. Nothing of it stands until the transaction is committed.
pub(crate) async fn write(tx: &mut Tx, workspace: &WorkspaceId, commit: &PageCommit, mode: Mode, turn: Option<&Turn>) -> Db<Written> {
    let inner = Arc::clone(&tx.inner);
    if let Some(turn) = turn {
        turn.check()?;
    }
    if mode == Mode::Commit {
        run::check_fence(tx, workspace, commit.fence, "commit").await?;
    }
    let hooks = inner.hooks();
    let rows = Rows::open(tx, workspace, commit).await?;
    let (connection_no, hiding) = connection_no_and_hiding(tx, commit.feed.connection.as_str(), &commit.target.entity).await?;
    let hiding = if mode == Mode::Commit { hiding.mark(tx, workspace, &commit.target).await? } else { hiding };
    if let Some(number) = commit.scan {
        scans::begin(tx, workspace, &commit.feed, &partitions(commit), number).await?;
    }
    if let Some(turn) = turn {
        turn.opened();
    }
    let tally = Tally { keys: (!hooks.is_empty()).then(Keys::default), ..Tally::default() };
    let stored = turn.map(|turn| Arc::clone(turn.stored()));
    let mut work = Work {
        tx,
        workspace,
        commit,
        mode,
        connection_no,
        hiding,
        tally,
        stored,
        shown: scans::Shown::default(),
        changes: Vec::new(),
        gone: Vec::new(),
    };
    match &rows {
        Rows::Stream(table) => stream::write(&mut work, table).await?,
        Rows::Managed(_) | Rows::Host(_) => mapped::write(&mut work, &rows).await?,
    }
    let handed: u64 = commit.batches.iter().map(|part| part.batch.len() as u64).sum();
    work.tally.counts.read += handed;
    work.tally.counts.add(&commit.before);
    if !work.tally.counts.balanced() {
        return Err(internal("commit", format!("{handed} records were handed over, but the counts are {:?}", work.tally.counts)));
    }
    let Work { tx, tally, shown, changes, gone, hiding, .. } = work;
    let table = match &rows {
        Rows::Stream(table) | Rows::Managed(table) => Some((commit.target.entity.clone(), Arc::clone(table))),
        Rows::Host(_) => None,
    };
    let report = CommitReport { counts: tally.counts, failures: tally.failures.clone(), moved: Vec::new() };
    if mode == Mode::Preview {
        if let Some(number) = commit.scan {
            scans::flush(tx, workspace, &commit.feed, number, shown).await?;
        }
        return Ok(Written {
            preview: Preview { report, changes, gone, swept: None, sensitive: hiding.into_fields() },
            table: None,
            mark: None,
        });
    }
    if let Some(expected) = &commit.expects {
        let mut made = expected.nothing_yet();
        made.extend(&changes);
        let moved = expected.moved(&made);
        if !moved.is_empty() {
            return Err(Fault::Moved(moved));
        }
    }
    inner.crash_point("p9");
    if let Some(turn) = turn {
        turn.last().await?;
    }
    if let Some(number) = commit.scan {
        scans::flush(tx, workspace, &commit.feed, number, shown).await?;
    }
    if let Some(keys) = &tally.keys {
        let table = rows.table_name(tx);
        let committed = Committed {
            workspace,
            feed: &commit.feed,
            entity: &commit.target.entity,
            table: &table,
            counts: &tally.counts,
            written: &keys.written,
            deleted: &keys.deleted,
        };
        tx.as_host().await?;
        hooks.run(tx, &committed).await?;
        tx.as_ours(workspace).await?;
    }
    let mark = book::keep(tx, workspace, commit, &tally).await?;
    inner.crash_point("p10");
    Ok(Written { preview: Preview { report, ..Preview::default() }, table, mark: Some(mark) })
}

/// The partitions a commit names, in order.
fn partitions(commit: &PageCommit) -> Vec<&str> {
    let batches = commit.batches.iter().map(|part| part.partition.as_str());
    let mut partitions: Vec<&str> = batches.chain(commit.cursors.iter().map(|position| position.partition.as_str())).collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

//! Deleting what complete scans did not show.

use std::{collections::HashMap, sync::Arc};

use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::{AssertSqlSafe, Postgres, Row as _, postgres::PgArguments, query::Query};
use sync_core::{
    Counts, Place, Result, WorkspaceId,
    store::{Feed, Preview, Sweep, SweepReport},
};

use crate::{
    commit::{
        Rows, book,
        delete::{self, Deletion},
        mapped,
    },
    error::{Db, internal},
    hiding::Hiding,
    hook::Committed,
    host::Host,
    run,
    scans::{self, Proof},
    storage::Inner,
    table::{Table, connection_no},
    tx::{Ask, Door, Repeat, Tx, raw},
};

/// Rows that go in one transaction, so that other writers get their turn.
const AT_ONCE: usize = 1000;

/// What stands behind a row that goes.
#[derive(Clone, Debug)]
enum Missing {
    /// Keys, of a stream's own table.
    Keys(Vec<String>),
    /// Numbers of links, where mappings feed the table.
    Links(Vec<i64>),
}

#[derive(Clone, Debug)]
struct Found {
    known: u64,
    missing: Vec<Missing>,
    count: u64,
}

/// Deletes in transactions of bounded size. One that was stopped may be repeated: what is gone stays gone, the rest goes.
pub(crate) async fn sweep(inner: &Arc<Inner>, workspace: &WorkspaceId, sweep: Sweep) -> Result<SweepReport> {
    inner.crash_point("p13");
    let (sweep, door) = (Arc::new(sweep), Door::Workspace(workspace.clone()));
    let (this, whose) = (Arc::clone(&sweep), workspace.clone());
    let found = inner.run("sweep", door.clone(), Repeat::Always, move |tx| {
        let (this, whose) = (Arc::clone(&this), whose.clone());
        async move {
            run::check_fence(tx, &whose, this.fence, "sweep").await?;
            book::point(tx, &whose, this.fence.run, &this.target.source, this.target.decided_by()).await?;
            find(tx, &whose, &this).await
        }
        .boxed()
    });
    let found = found.await?;
    let mut report = found.report();
    if !report.may_delete(&sweep) {
        return Ok(report);
    }
    for missing in found.missing {
        let (this, whose, missing) = (Arc::clone(&sweep), workspace.clone(), Arc::new(missing));
        let asks = workspace.clone();
        // Rows would go only once all the same, but would be counted and told to hooks again.
        let ask: Ask<run::Mark> = Arc::new(move |tx, mark| {
            let whose = asks.clone();
            async move { run::has_committed(tx, &whose, &mark).await }.boxed()
        });
        let gone = inner.run("sweep", door.clone(), Repeat::Ask(door.clone(), ask), move |tx| {
            let (this, whose, missing) = (Arc::clone(&this), whose.clone(), Arc::clone(&missing));
            async move { delete_rows(tx, &whose, &this, &missing).await }.boxed()
        });
        gone.await?;
    }
    report.deleted = report.missing;
    let whose = workspace.clone();
    let closed = inner.run("sweep", door, Repeat::Always, move |tx| {
        let (this, whose) = (Arc::clone(&sweep), whose.clone());
        async move {
            run::check_fence(tx, &whose, this.fence, "sweep").await?;
            for (partition, scan) in &this.scans {
                scans::close(tx, &whose, &this.feed, partition, *scan).await?;
            }
            run::hold(tx, &whose, this.fence, &Counts::default(), "sweep").await?;
            Ok(())
        }
        .boxed()
    });
    closed.await?;
    Ok(report)
}

/// The table, if anything was ever written to it.
async fn open(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep) -> Db<Option<Rows>> {
    let entity = &sweep.target.entity;
    let inner = Arc::clone(&tx.inner);
    let Some(table) = inner.table(tx, entity).await? else { return Ok(None) };
    Ok(match &sweep.target.place {
        Place::Stream => Some(Rows::Stream(table)),
        Place::Managed { .. } => Some(Rows::Managed(table)),
        Place::Host(_) => Host::registered(tx, workspace, entity, table.id).await?.map(|host| Rows::Host(Box::new(host))),
    })
}

impl Found {
    fn report(&self) -> SweepReport {
        SweepReport { known: self.known, missing: self.count, deleted: 0 }
    }
}

/// What a sweep would do, after commits that were tried out in the same transaction.
pub(crate) async fn try_out(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep, preview: &mut Preview) -> Db<()> {
    let found = find(tx, workspace, sweep).await?;
    let mut report = found.report();
    if report.may_delete(sweep) {
        for missing in &found.missing {
            let Some(rows) = open(tx, workspace, sweep).await? else { break };
            take_away(tx, workspace, sweep, &rows, missing, Some(preview)).await?;
        }
        preview.sensitive.extend(Hiding::of(tx, workspace, &sweep.target.entity).await?.into_fields());
        report.deleted = report.missing;
    }
    preview.swept = Some(report);
    Ok(())
}

async fn find(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep) -> Db<Found> {
    let mut found = Found { known: 0, missing: Vec::new(), count: 0 };
    let Some(rows) = open(tx, workspace, sweep).await? else { return Ok(found) };
    let mut proofs: HashMap<&str, Proof> = HashMap::new();
    for (partition, scan) in &sweep.scans {
        proofs.insert(partition.as_str(), Proof::load(tx, workspace, &sweep.feed, partition, *scan).await?);
    }
    let known = Known::new(tx, workspace, &sweep.feed, &rows).await?;
    let partitions: Vec<&str> = proofs.keys().copied().collect();
    let mut gone: Vec<i64> = Vec::new();
    {
        // All of a feed's rows are read, each page of the table once.
        raw(tx, "SET LOCAL enable_bitmapscan = on").await?;
        let sql = known.lists();
        let mut lists = known.query(sql).bind(partitions).fetch(&mut **tx);
        while let Some(list) = lists.try_next().await? {
            let Some(proof) = proofs.get(list.try_get::<&str, _>(0)?) else { continue };
            let numbers: Vec<i64> = list.try_get(1)?;
            found.known += numbers.len() as u64;
            gone.extend(numbers.into_iter().filter(|number| !proof.shows(*number)));
        }
    }
    found.count = gone.len() as u64;
    if gone.is_empty() {
        return Ok(found);
    }
    let sql = known.in_order();
    let gone = known.query(sql).bind(gone).fetch_all(&mut **tx).await?;
    found.missing = match &rows {
        Rows::Stream(_) => {
            let keys: Vec<String> = gone.iter().map(|row| row.try_get(1)).collect::<Result<_, _>>()?;
            keys.chunks(AT_ONCE).map(|keys| Missing::Keys(keys.to_vec())).collect()
        }
        Rows::Managed(_) | Rows::Host(_) => {
            let links: Vec<i64> = gone.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            links.chunks(AT_ONCE).map(|links| Missing::Links(links.to_vec())).collect()
        }
    };
    Ok(found)
}

/// What a feed has stored: the rows of its own table, or its links.
struct Known<'a> {
    workspace: &'a str,
    feed: &'a Feed,
    /// The connection's number in a stream's own table.
    connection_no: i64,
    table: Option<&'a Table>,
    type_id: i64,
}

impl<'a> Known<'a> {
    async fn new(tx: &mut Tx, workspace: &'a WorkspaceId, feed: &'a Feed, rows: &'a Rows) -> Db<Self> {
        let connection_no = connection_no(tx, feed.connection.as_str()).await?;
        let table = if let Rows::Stream(table) = rows { Some(&**table) } else { None };
        Ok(Self { workspace: workspace.as_str(), feed, connection_no, table, type_id: rows.type_id() })
    }

    /// The name of the numbers, whose they are, and the number of the next parameter.
    fn of(&self) -> (&'static str, String, u8) {
        match self.table {
            Some(table) => ("row_no", format!("{} WHERE workspace_id = $1 AND connection_no = $2", table.sql), 3),
            None => {
                let of = "record_links WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4 AND type_id = $5";
                ("id", of.to_owned(), 6)
            }
        }
    }

    /// All numbers in some partitions, in lists of a size that can be held.
    fn lists(&self) -> String {
        let (number, of, next) = self.of();
        format!(
            "SELECT partition_id, array_agg({number}) FROM {of} AND partition_id = ANY(${next}) GROUP BY partition_id, {number} / 10000"
        )
    }

    /// Some of the numbers, with their keys and in the order of these.
    fn in_order(&self) -> String {
        let (number, of, next) = self.of();
        format!("SELECT {number}, entity_id FROM {of} AND {number} = ANY(${next}) ORDER BY entity_id")
    }

    fn query<'q>(&'q self, sql: String) -> Query<'q, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(self.workspace);
        match self.table {
            Some(_) => query.bind(self.connection_no),
            None => {
                let Feed { connection, stream, mapping, .. } = self.feed;
                query.bind(connection.as_str()).bind(stream.as_str()).bind(&**mapping).bind(self.type_id)
            }
        }
    }
}

/// Deletes; answers how many records were missing, and the keys of the rows that went.
async fn take_away(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    sweep: &Sweep,
    rows: &Rows,
    missing: &Missing,
    preview: Option<&mut Preview>,
) -> Db<(usize, Vec<Box<str>>)> {
    let hiding = Hiding::of(tx, workspace, &sweep.target.entity).await?;
    let how = Deletion { run: sweep.fence.run, at: sweep.at, lineage: sweep.target.lineage, hiding: &hiding };
    Ok(match (missing, rows) {
        (Missing::Keys(keys), Rows::Stream(table)) => {
            let no = connection_no(tx, sweep.feed.connection.as_str()).await?;
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let changes = preview.map(|preview| &mut preview.changes);
            (keys.len(), delete::managed(tx, workspace, table, no, &keys, how, changes).await?)
        }
        (Missing::Links(links), _) => (links.len(), mapped::unlink(tx, workspace, &sweep.feed, rows, links, how, preview).await?),
        (Missing::Keys(_), _) => (0, Vec::new()),
    })
}

/// Answers the number of the transaction in its run.
async fn delete_rows(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep, missing: &Missing) -> Db<run::Mark> {
    run::check_fence(tx, workspace, sweep.fence, "sweep").await?;
    let Some(rows) = open(tx, workspace, sweep).await? else { return Err(internal("sweep", "a table with missing rows is gone")) };
    let (count, gone) = take_away(tx, workspace, sweep, &rows, missing, None).await?;
    let inner = Arc::clone(&tx.inner);
    inner.crash_point("p14");
    let counts = Counts { swept: count as u64, ..Counts::default() };
    let hooks = inner.hooks();
    if !hooks.is_empty() {
        let table = rows.table_name(tx);
        let committed = Committed {
            workspace,
            feed: &sweep.feed,
            entity: &sweep.target.entity,
            table: &table,
            counts: &counts,
            written: &[],
            deleted: &gone,
        };
        tx.as_host().await?;
        hooks.run(tx, &committed).await?;
        tx.as_ours(workspace).await?;
    }
    run::hold(tx, workspace, sweep.fence, &counts, "sweep").await
}

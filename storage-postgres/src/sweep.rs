//! Deleting what complete scans did not show.

use std::{collections::HashMap, sync::Arc};

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    Counts, Place, Result, WorkspaceId,
    store::{Sweep, SweepReport},
};

use crate::{
    commit::{
        Rows, book,
        delete::{self, Deletion},
        mapped,
    },
    error::{Db, internal},
    hook::Committed,
    host::Host,
    run,
    scans::{self, Proof},
    storage::Inner,
    table::connection_no,
    tx::{Ask, Door, Repeat, Tx},
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
        async move { find(tx, &whose, &this).await }.boxed()
    });
    let found = found.await?;
    let mut report = SweepReport { known: found.known, missing: found.count, deleted: 0 };
    let too_many = report.missing as f64 > sweep.max_share * report.known as f64;
    if too_many && !sweep.confirmed {
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

async fn find(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep) -> Db<Found> {
    run::check_fence(tx, workspace, sweep.fence, "sweep").await?;
    book::point(tx, workspace, sweep.fence.run, &sweep.target.source).await?;
    let mut found = Found { known: 0, missing: Vec::new(), count: 0 };
    let Some(rows) = open(tx, workspace, sweep).await? else { return Ok(found) };
    let mut proofs: HashMap<&str, Proof> = HashMap::new();
    for (partition, scan) in &sweep.scans {
        proofs.insert(partition.as_str(), Proof::load(tx, workspace, &sweep.feed, partition, *scan).await?);
    }
    let feed = &sweep.feed;
    let known = match &rows {
        Rows::Stream(table) => {
            let no = connection_no(tx, feed.connection.as_str()).await?;
            let sql = format!(
                "SELECT row_no, partition_id, entity_id FROM {} WHERE workspace_id = $1 AND connection_no = $2 ORDER BY entity_id",
                table.sql
            );
            sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(no).fetch_all(&mut **tx).await?
        }
        Rows::Managed(_) | Rows::Host(_) => {
            sqlx::query(
                "SELECT id, partition_id, entity_id FROM record_links WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 \
                 AND mapping = $4 AND type_id = $5 ORDER BY entity_id",
            )
            .bind(workspace.as_str())
            .bind(feed.connection.as_str())
            .bind(feed.stream.as_str())
            .bind(&*feed.mapping)
            .bind(rows.type_id())
            .fetch_all(&mut **tx)
            .await?
        }
    };
    let (mut keys, mut links) = (Vec::new(), Vec::new());
    for row in &known {
        let Some(proof) = proofs.get(row.try_get::<&str, _>(1)?) else { continue };
        found.known += 1;
        let number = row.try_get(0)?;
        if proof.shows(number) {
            continue;
        }
        found.count += 1;
        match &rows {
            Rows::Stream(_) => keys.push(row.try_get::<String, _>(2)?),
            Rows::Managed(_) | Rows::Host(_) => links.push(number),
        }
    }
    found.missing.extend(keys.chunks(AT_ONCE).map(|keys| Missing::Keys(keys.to_vec())));
    found.missing.extend(links.chunks(AT_ONCE).map(|links| Missing::Links(links.to_vec())));
    Ok(found)
}

/// Answers the number of the transaction in its run.
async fn delete_rows(tx: &mut Tx, workspace: &WorkspaceId, sweep: &Sweep, missing: &Missing) -> Db<run::Mark> {
    run::check_fence(tx, workspace, sweep.fence, "sweep").await?;
    let Some(rows) = open(tx, workspace, sweep).await? else { return Err(internal("sweep", "a table with missing rows is gone")) };
    let how = Deletion { run: sweep.fence.run, at: sweep.at, lineage: sweep.target.lineage };
    let (count, gone) = match (missing, &rows) {
        (Missing::Keys(keys), Rows::Stream(table)) => {
            let no = connection_no(tx, sweep.feed.connection.as_str()).await?;
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            (keys.len(), delete::managed(tx, workspace, table, no, &keys, how, None).await?)
        }
        (Missing::Links(links), _) => (links.len(), mapped::unlink(tx, workspace, &sweep.feed, &rows, links, how).await?),
        (Missing::Keys(_), _) => (0, Vec::new()),
    };
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

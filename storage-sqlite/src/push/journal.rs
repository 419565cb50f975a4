//! One transaction: what is about to leave, what became of what left before, counts, failures, events, under the run's fence.

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    WorkspaceId,
    store::{PushCommit, PushMemory, Settled},
};

use super::{
    intent,
    link::{self, Links},
};
use crate::{
    error::{Db, damaged},
    failure, run, time,
};

/// Writes a step of a push. Nothing of it stands until the transaction is committed.
pub(super) fn write(tx: &Transaction<'_>, workspace: &WorkspaceId, commit: &PushCommit) -> Db<()> {
    run::check_fence(tx, workspace, commit.fence, "journal")?;
    let feed_no = link::number(tx, workspace, &commit.feed)?;
    let links = Links { tx, workspace, feed_no };
    let at = time::text(commit.at);
    // A row may be settled and, since it has changed again, begun anew in one step; what begins stands.
    for settled in &commit.settled {
        match settled {
            Settled::Accepted { key, link } => {
                intent::remove(tx, workspace, feed_no, key)?;
                links.put(key, link, &at)?;
            }
            Settled::Deleted { key } => {
                intent::remove(tx, workspace, feed_no, key)?;
                links.remove(key)?;
            }
            Settled::Dropped { key } => intent::remove(tx, workspace, feed_no, key)?,
            Settled::Open(open) => intent::put(tx, workspace, feed_no, open)?,
        }
    }
    for begun in &commit.begun {
        intent::put(tx, workspace, feed_no, begun)?;
    }
    if let Some(memory) = &commit.memory {
        remember(tx, workspace, feed_no, memory)?;
    }
    run::add_counts(tx, workspace, commit.fence.run, &commit.counts)?;
    failure::add(tx, workspace, commit.fence.run, commit.failures.iter())?;
    run::add_events(tx, workspace, commit.fence.run, &commit.events, commit.at)
}

fn remember(tx: &Transaction<'_>, workspace: &WorkspaceId, feed_no: i64, memory: &PushMemory) -> Db<()> {
    let shape = memory.shape.as_ref().map(serde_json::to_string).transpose().map_err(|_| damaged("journal", "shape of a stream"))?;
    tx.prepare_cached(
        "INSERT INTO syncline_push_memory (workspace_id, feed_no, shape, version) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO UPDATE SET shape = excluded.shape, version = excluded.version",
    )?
    .execute((workspace.as_str(), feed_no, shape, memory.version.as_deref()))?;
    Ok(())
}

/// What a feed's pushes remember.
pub(super) fn memory(tx: &Transaction<'_>, workspace: &WorkspaceId, feed_no: i64) -> Db<PushMemory> {
    let found: Option<(Option<String>, Option<Box<str>>)> = tx
        .prepare_cached("SELECT shape, version FROM syncline_push_memory WHERE workspace_id = ?1 AND feed_no = ?2")?
        .query_row((workspace.as_str(), feed_no), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((shape, version)) = found else { return Ok(PushMemory::default()) };
    let shape = shape.map(|json| serde_json::from_str(&json)).transpose().map_err(|_| damaged("push_memory", "shape of a stream"))?;
    Ok(PushMemory { shape, version })
}

//! One transaction: what is about to leave, what became of what left before, counts, failures, events, under the run's fence.

use std::collections::HashMap;

use sqlx::Row as _;
use sync_core::{
    WorkspaceId,
    store::{Feed, Intent, PushCommit, PushLink, PushMemory, Settled},
};

use super::{
    intent,
    link::{self, of_feed},
};
use crate::{
    error::{Db, damaged},
    failure, run,
    tx::Tx,
};

/// What is left of rows after all steps: of each the last word said. `None` removes.
#[derive(Default)]
struct Words<'c> {
    links: HashMap<&'c str, Option<&'c PushLink>>,
    intents: HashMap<&'c str, Option<&'c Intent>>,
}

impl<'c> Words<'c> {
    fn of(commit: &'c PushCommit) -> Self {
        let mut words = Self::default();
        // A row may be settled and, since it has changed again, begun anew in one step; what begins stands.
        for settled in &commit.settled {
            match settled {
                Settled::Accepted { key, link } => {
                    words.intents.insert(key, None);
                    words.links.insert(key, Some(link));
                }
                Settled::Deleted { key } => {
                    words.intents.insert(key, None);
                    words.links.insert(key, None);
                }
                Settled::Dropped { key } => {
                    words.intents.insert(key, None);
                }
                Settled::Open(open) => {
                    words.intents.insert(&open.key, Some(open));
                }
            }
        }
        words.intents.extend(commit.begun.iter().map(|begun| (&*begun.key, Some(begun))));
        words
    }
}

/// The keys that go, and what stands of the others.
fn parted<'c, T>(words: HashMap<&'c str, Option<&'c T>>) -> (Vec<&'c str>, Vec<(&'c str, &'c T)>) {
    let (mut go, mut stand) = (Vec::new(), Vec::new());
    for (key, word) in words {
        match word {
            None => go.push(key),
            Some(word) => stand.push((key, word)),
        }
    }
    (go, stand)
}

/// Writes a step of a push. Nothing of it stands until the transaction is committed.
pub(super) async fn write(tx: &mut Tx, workspace: &WorkspaceId, commit: &PushCommit) -> Db<run::Mark> {
    run::check_fence(tx, workspace, commit.fence, "journal").await?;
    let feed_no = link::number(tx, workspace, &commit.feed).await?;
    let words = Words::of(commit);
    let (go, stand) = parted(words.links);
    link::remove(tx, workspace, feed_no, go).await?;
    link::put(tx, workspace, feed_no, stand, commit.at).await?;
    let (go, stand) = parted(words.intents);
    intent::remove(tx, workspace, feed_no, go).await?;
    intent::put(tx, workspace, feed_no, stand.into_iter().map(|(_, intent)| intent).collect()).await?;
    if let Some(memory) = &commit.memory {
        remember(tx, workspace, feed_no, memory).await?;
    }
    failure::add(tx, workspace, commit.fence.run, commit.failures.iter()).await?;
    run::add_events(tx, workspace, commit.fence.run, &commit.events, commit.at).await?;
    run::hold(tx, workspace, commit.fence, &commit.counts, "journal").await
}

async fn remember(tx: &mut Tx, workspace: &WorkspaceId, feed_no: i64, memory: &PushMemory) -> Db<()> {
    let shape = memory.shape.as_ref().map(serde_json::to_string).transpose().map_err(|_| damaged("journal", "shape of a stream"))?;
    sqlx::query(
        "INSERT INTO push_memory AS m (workspace_id, feed_no, shape, version) VALUES ($1, $2, $3::text::jsonb, $4) \
         ON CONFLICT (workspace_id, feed_no) DO UPDATE SET shape = excluded.shape, version = excluded.version \
         WHERE m.shape IS DISTINCT FROM excluded.shape OR m.version IS DISTINCT FROM excluded.version",
    )
    .bind(workspace.as_str())
    .bind(feed_no)
    .bind(shape)
    .bind(memory.version.as_deref())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a feed's pushes remember.
pub(super) async fn memory(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed) -> Db<PushMemory> {
    let sql = "SELECT m.shape::text, m.version FROM push_feeds f JOIN push_memory m ON m.workspace_id = f.workspace_id AND m.feed_no = f.no \
               WHERE f.workspace_id = $1 AND f.connection_id = $2 AND f.stream = $3 AND f.mapping = $4";
    let Some(row) = of_feed(sql, workspace, feed).fetch_optional(&mut **tx).await? else { return Ok(PushMemory::default()) };
    let shape = row.try_get::<Option<&str>, _>(0)?.map(serde_json::from_str);
    let shape = shape.transpose().map_err(|_| damaged("push_memory", "shape of a stream"))?;
    Ok(PushMemory { shape, version: row.try_get::<Option<String>, _>(1)?.map(Into::into) })
}

/// A pull has left something to send: the host's version of the row need not have grown for it, so all rows are looked at again.
pub(crate) async fn forget_version(tx: &mut Tx, workspace: &WorkspaceId, feed_no: i64) -> Db<()> {
    sqlx::query("UPDATE push_memory SET version = NULL WHERE workspace_id = $1 AND feed_no = $2 AND version IS NOT NULL")
        .bind(workspace.as_str())
        .bind(feed_no)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

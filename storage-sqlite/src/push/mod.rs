//! What was pushed, what is under way, and what was refused.

mod changed;
pub(crate) mod content;
mod intent;
mod journal;
pub(crate) mod link;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Transaction;
use sync_core::{
    HostTable, Place, RecordId, Result,
    store::{ChangedQuery, ChangedRows, EntityStore as _, Feed, Intent, IntentFilter, PushCommit, PushLink, PushMemory, PushStore},
};

use self::link::{Links, feed_no};
use crate::{
    host::Host,
    storage::{Durability, Scoped},
};

impl Scoped {
    /// Rows of a table of the host, as they would be found once it was registered.
    async fn tried_rows(&self, table: Arc<HostTable>, query: ChangedQuery) -> Result<ChangedRows> {
        let workspace = self.workspace.clone();
        let rows = move |tx: &Transaction<'_>| {
            Host::register(tx, &workspace, &table, &[])?;
            changed::rows(tx, &workspace, &query)
        };
        self.inner.write("changed_rows", move |writer| writer.try_out(|tx, _, _| rows(tx))).await
    }
}

#[async_trait]
impl PushStore for Scoped {
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows> {
        // A table of the host is read by those alone who have registered it: one without a workspace column belongs to one workspace.
        if let Place::Host(table) = &query.target.place {
            let (workspace, spec) = (self.workspace.clone(), Arc::clone(table));
            if !self.inner.read("changed_rows", move |tx| Host::is_registered(tx, &workspace, &spec)).await? {
                if query.trial {
                    return self.tried_rows(Arc::clone(table), query).await;
                }
                self.register_table(Arc::clone(table), &[]).await?;
            }
        }
        let workspace = self.workspace.clone();
        self.inner.read("changed_rows", move |tx| changed::rows(tx, &workspace, &query)).await
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        let (workspace, feed, keys) = (self.workspace.clone(), feed.clone(), keys.to_vec());
        self.inner
            .read("push_links", move |tx| {
                let Some(feed_no) = feed_no(tx, &workspace, &feed)? else { return Ok(vec![None; keys.len()]) };
                let links = Links { tx, workspace: &workspace, feed_no };
                keys.iter().map(|key| links.find(key)).collect()
            })
            .await
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        let (workspace, feed, ids) = (self.workspace.clone(), feed.clone(), ids.to_vec());
        self.inner
            .read("linked_keys", move |tx| {
                let Some(feed_no) = feed_no(tx, &workspace, &feed)? else { return Ok(vec![None; ids.len()]) };
                let links = Links { tx, workspace: &workspace, feed_no };
                ids.iter().map(|id| links.key_of(id)).collect()
            })
            .await
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        self.inner
            .read("push_memory", move |tx| match feed_no(tx, &workspace, &feed)? {
                Some(feed_no) => journal::memory(tx, &workspace, feed_no),
                None => Ok(PushMemory::default()),
            })
            .await
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        let workspace = self.workspace.clone();
        self.inner.read("intents", move |tx| intent::list(tx, &workspace, &filter)).await
    }

    async fn journal(&self, commit: PushCommit) -> Result<()> {
        let workspace = self.workspace.clone();
        self.inner
            .write("journal", move |writer| {
                writer.write(Durability::Full, |tx, _, shared| {
                    journal::write(tx, &workspace, &commit)?;
                    shared.crash_point("w11");
                    Ok(())
                })?;
                writer.shared.crash_point("w12");
                Ok(())
            })
            .await
    }
}

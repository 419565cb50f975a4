//! What was pushed, what is under way, and what was refused.

mod changed;
pub(crate) mod content;
mod intent;
pub(crate) mod journal;
pub(crate) mod link;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sync_core::{
    Error, ErrorKind, HostTable, Place, RecordId, Result,
    store::{ChangedQuery, ChangedRows, EntityStore as _, Feed, Intent, IntentFilter, PushCommit, PushLink, PushMemory, PushStore},
};

use crate::{
    host::Host,
    run::{self, Mark},
    storage::Scoped,
    tx::{Ask, Door, Repeat},
};

impl Scoped {
    /// Rows of a table of the host, as they would be found once it was registered.
    async fn tried_rows(&self, table: Arc<HostTable>, query: Arc<ChangedQuery>) -> Result<ChangedRows> {
        let workspace = self.workspace.clone();
        let found = self.inner.try_out("changed_rows", &self.workspace, move |tx| {
            let (workspace, table, query) = (workspace.clone(), Arc::clone(&table), Arc::clone(&query));
            async move {
                Host::register(tx, &workspace, &table, &[]).await?;
                changed::rows(tx, &workspace, &query).await
            }
            .boxed()
        });
        found.await?.ok_or_else(unregistered)
    }
}

fn unregistered() -> Error {
    Error::new(ErrorKind::Internal, "changed_rows", "a table that was just registered is not")
}

#[async_trait]
impl PushStore for Scoped {
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows> {
        let query = Arc::new(query);
        let read = async || {
            let (workspace, query) = (self.workspace.clone(), Arc::clone(&query));
            let found = self.inner.read("changed_rows", &self.workspace, move |tx| {
                let (workspace, query) = (workspace.clone(), Arc::clone(&query));
                async move { changed::rows(tx, &workspace, &query).await }.boxed()
            });
            found.await
        };
        if let Some(found) = read().await? {
            return Ok(found);
        }
        // A table of the host is read by those alone who have registered it: one without a workspace column belongs to one workspace.
        if let Place::Host(table) = &query.target.place {
            if query.trial {
                return self.tried_rows(Arc::clone(table), query).await;
            }
            self.register_table(Arc::clone(table), &[]).await?;
        }
        read().await?.ok_or_else(unregistered)
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        let (workspace, feed, keys) = (self.workspace.clone(), feed.clone(), Arc::<[Box<str>]>::from(keys));
        let found = self.inner.read("push_links", &self.workspace, move |tx| {
            let (workspace, feed, keys) = (workspace.clone(), feed.clone(), Arc::clone(&keys));
            async move {
                let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
                link::find(tx, &workspace, &feed, &keys).await
            }
            .boxed()
        });
        found.await
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        let (workspace, feed, ids) = (self.workspace.clone(), feed.clone(), Arc::<[RecordId]>::from(ids));
        let found = self.inner.read("linked_keys", &self.workspace, move |tx| {
            let (workspace, feed, ids) = (workspace.clone(), feed.clone(), Arc::clone(&ids));
            async move { link::keys_of(tx, &workspace, &feed, &ids).await }.boxed()
        });
        found.await
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let (workspace, feed) = (self.workspace.clone(), feed.clone());
        let found = self.inner.read("push_memory", &self.workspace, move |tx| {
            let (workspace, feed) = (workspace.clone(), feed.clone());
            async move { journal::memory(tx, &workspace, &feed).await }.boxed()
        });
        found.await
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        let (workspace, filter) = (self.workspace.clone(), Arc::new(filter));
        let found = self.inner.read("intents", &self.workspace, move |tx| {
            let (workspace, filter) = (workspace.clone(), Arc::clone(&filter));
            async move { intent::list(tx, &workspace, &filter).await }.boxed()
        });
        found.await
    }

    async fn journal(&self, commit: PushCommit) -> Result<()> {
        let (workspace, commit) = (self.workspace.clone(), Arc::new(commit));
        let door = Door::Workspace(self.workspace.clone());
        let whose = self.workspace.clone();
        let ask: Ask<Mark> = Arc::new(move |tx, mark| {
            let whose = whose.clone();
            async move { run::has_committed(tx, &whose, &mark).await }.boxed()
        });
        let done = self.inner.run("journal", door.clone(), Repeat::Ask(door, ask), move |tx| {
            let (workspace, commit) = (workspace.clone(), Arc::clone(&commit));
            async move {
                let mark = journal::write(tx, &workspace, &commit).await?;
                tx.inner.crash_point("w11");
                Ok(mark)
            }
            .boxed()
        });
        done.await?;
        self.inner.crash_point("w12");
        Ok(())
    }
}

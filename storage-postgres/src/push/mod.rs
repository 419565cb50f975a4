//! What was pushed, what is under way, and what was refused.

use async_trait::async_trait;
use sync_core::{
    RecordId, Result,
    store::{ChangedQuery, ChangedRows, Feed, Intent, IntentFilter, PushCommit, PushLink, PushMemory, PushStore},
};

use crate::storage::Scoped;

#[async_trait]
impl PushStore for Scoped {
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows> {
        let _ = (query,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        let _ = (feed, keys);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        let _ = (feed, ids);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let _ = (feed,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        let _ = (filter,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn journal(&self, commit: PushCommit) -> Result<()> {
        let _ = (commit,);
        Err(sync_core::Error::unsupported("not built"))
    }
}

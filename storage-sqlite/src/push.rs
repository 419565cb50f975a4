//! What was pushed, what is under way, and what was refused.

use async_trait::async_trait;
use sync_core::{
    Error, RecordId, Result,
    store::{ChangedQuery, ChangedRows, Feed, Intent, IntentFilter, PushCommit, PushLink, PushMemory, PushStore},
};

use crate::storage::Scoped;

#[async_trait]
impl PushStore for Scoped {
    async fn changed_rows(&self, _: ChangedQuery) -> Result<ChangedRows> {
        Err(Error::unsupported("changed_rows"))
    }

    async fn push_links(&self, _: &Feed, _: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        Err(Error::unsupported("push_links"))
    }

    async fn linked_keys(&self, _: &Feed, _: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        Err(Error::unsupported("linked_keys"))
    }

    async fn push_memory(&self, _: &Feed) -> Result<PushMemory> {
        Err(Error::unsupported("push_memory"))
    }

    async fn intents(&self, _: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        Err(Error::unsupported("intents"))
    }

    async fn journal(&self, _: PushCommit) -> Result<()> {
        Err(Error::unsupported("journal"))
    }
}

//! Runs, their fences, cursors and events.

use async_trait::async_trait;
use sync_core::{
    RecordFailure, Result, RunId, WorkspaceId,
    store::{Begin, Event, Feed, Fence, NewRun, PartitionState, Run, RunEnd, RunFilter, RunStore},
};

use crate::{
    error::{Db, internal},
    storage::Scoped,
    tx::Tx,
};

/// Checks that a run is still its owner's, without holding it.
pub(crate) async fn check_fence(tx: &mut Tx, workspace: &WorkspaceId, fence: Fence, operation: &'static str) -> Db<()> {
    let _ = (tx, workspace, fence);
    Err(internal(operation, "not built"))
}

#[async_trait]
impl RunStore for Scoped {
    async fn begin_run(&self, new: NewRun) -> Result<Begin> {
        let _ = (new,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn end_run(&self, fence: Fence, end: RunEnd) -> Result<Run> {
        let _ = (fence, end);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let _ = (id,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let _ = (filter,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let _ = (run, limit);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let _ = (feed,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        let _ = (feed,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let _ = (after, limit);
        Err(sync_core::Error::unsupported("not built"))
    }
}

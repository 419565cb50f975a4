//! Runs that may not go on side by side, inside one process: they wait for each other instead of being refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sync_core::{ConnectionId, WorkspaceId};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by connection.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<(WorkspaceId, ConnectionId), Turn>>);

type Turn = Arc<tokio::sync::Mutex<()>>;

impl Turns {
    /// Waits for the turn; it ends when the answer is dropped.
    pub(crate) async fn wait(&self, workspace: &WorkspaceId, connection: &ConnectionId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // One that nobody holds or waits for is kept here alone.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry((workspace.clone(), connection.clone())).or_default())
        };
        turn.lock_owned().await
    }
}

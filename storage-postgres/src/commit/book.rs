//! The run's own books: where values come from, cursors, counts, failures and events.

use sync_core::{WorkspaceId, store::PageCommit};

use super::Tally;
use crate::{
    error::{Db, internal},
    tx::Tx,
};

/// Writes cursors, failures and events, and last of all the run's row: with it the fence holds until the transaction ends.
pub(super) async fn keep(tx: &mut Tx, workspace: &WorkspaceId, commit: &PageCommit, tally: &Tally) -> Db<()> {
    let _ = (tx, workspace, commit, tally);
    Err(internal("commit", "not built"))
}

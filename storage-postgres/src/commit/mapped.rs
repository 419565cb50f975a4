//! Tables fed through mappings, ours and the host's: each field is decided by core's `decide` against the row as it is now.

use sync_core::{WorkspaceId, store::Feed};

use super::{Rows, Work, delete::Deletion};
use crate::{
    error::{Db, internal},
    tx::Tx,
};

pub(super) async fn write(work: &mut Work<'_>, rows: &Rows) -> Db<()> {
    let _ = (work, rows);
    Err(internal("commit", "not built"))
}

/// Takes links away, and the entities that nothing else stands behind; answers the keys of those that went.
pub(crate) async fn unlink(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    feed: &Feed,
    rows: &Rows,
    links: &[i64],
    how: Deletion,
) -> Db<Vec<Box<str>>> {
    let _ = (tx, workspace, feed, rows, links, how);
    Err(internal("sweep", "not built"))
}

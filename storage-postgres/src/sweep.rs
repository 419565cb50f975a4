//! Deleting what complete scans did not show.

use std::sync::Arc;

use sync_core::{
    Error, ErrorKind, Result, WorkspaceId,
    store::{Sweep, SweepReport},
};

use crate::storage::Inner;

/// Deletes in transactions of bounded size. One that was stopped may be repeated: what is gone stays gone, the rest goes.
pub(crate) async fn sweep(inner: &Arc<Inner>, workspace: &WorkspaceId, sweep: Sweep) -> Result<SweepReport> {
    let _ = (inner, workspace, sweep);
    Err(Error::new(ErrorKind::Internal, "sweep", "not built"))
}

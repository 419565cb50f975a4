//! Tables fed through mappings, ours and the host's: each field is decided by core's `decide` against the row as it is now.

use super::{Rows, Work};
use crate::error::{Db, internal};

pub(super) async fn write(work: &mut Work<'_>, rows: &Rows) -> Db<()> {
    let _ = (work, rows);
    Err(internal("commit", "not built"))
}

//! A stream's own table: one source, everything of it the truth, decided by a hash of each record.

use std::sync::Arc;

use super::Work;
use crate::{
    error::{Db, internal},
    table::Table,
};

pub(super) async fn write(work: &mut Work<'_>, table: &Arc<Table>) -> Db<()> {
    let _ = (work, table);
    Err(internal("commit", "not built"))
}

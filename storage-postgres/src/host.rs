//! Tables of the host: checked before they are written, read by their declared types.

use sync_core::{HostTable, WorkspaceId};

use crate::{
    error::{Db, internal},
    tx::Tx,
};

/// A column of a host's table.
#[derive(Clone, Debug)]
pub(crate) struct HostColumn {
    pub(crate) name: Box<str>,
    /// The name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    /// The type as it stands in a cast: `integer`, `character varying(20)`, `public.mood`, `text[]`.
    pub(crate) cast: Box<str>,
    /// Computed by the database: read, never written.
    pub(crate) generated: bool,
}

/// A host's table as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its entity type's number.
    pub(crate) id: i64,
    /// The name with its schema as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) columns: Vec<HostColumn>,
    pub(crate) spec: HostTable,
}

impl Host {
    /// Checks the table and remembers that this workspace uses it.
    pub(crate) async fn register(tx: &mut Tx, workspace: &WorkspaceId, spec: &HostTable, fields: &[&str]) -> Db<Self> {
        let _ = (tx, workspace, spec, fields);
        Err(internal("register_table", "not built"))
    }
}

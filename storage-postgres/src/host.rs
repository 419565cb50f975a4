//! Tables of the host: checked before they are written, read by their declared types.

use sync_core::{EntityType, HostTable, WorkspaceId};

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

    /// The table this workspace registered under an entity type.
    pub(crate) async fn registered(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, id: i64) -> Db<Option<Self>> {
        let _ = (tx, workspace, entity, id);
        Err(internal("register_table", "not built"))
    }

    /// A column by its name.
    pub(crate) fn column(&self, name: &str) -> Option<&HostColumn> {
        self.columns.iter().find(|column| *column.name == *name)
    }

    /// The key's columns, in their order.
    pub(crate) fn key(&self) -> impl Iterator<Item = &HostColumn> {
        self.spec.key.iter().filter_map(|name| self.column(name))
    }

    /// The columns that hold values, without the workspace's.
    pub(crate) fn values(&self) -> impl Iterator<Item = &HostColumn> {
        let own = self.spec.workspace_column.as_deref();
        self.columns.iter().filter(move |column| own != Some(&*column.name))
    }
}

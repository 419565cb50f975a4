//! The table a commit writes into.

use std::sync::Arc;

use rusqlite::Transaction;
use sync_core::{Place, WorkspaceId, store::PageCommit};

use crate::{error::Db, host::Host, storage::Cache, table::Table};

/// Where rows go.
pub(crate) enum Rows {
    /// A stream's own table.
    Stream(Arc<Table>),
    /// A managed table fed through mappings.
    Managed(Arc<Table>),
    /// A table of the host.
    Host(Box<Host>),
}

impl Rows {
    /// Finds the table, and makes it or its columns where it is ours.
    pub(crate) fn open(tx: &Transaction<'_>, cache: &mut Cache, workspace: &WorkspaceId, commit: &PageCommit) -> Db<Self> {
        let target = &commit.target;
        if let Place::Host(spec) = &target.place {
            let mut fields: Vec<&str> = Vec::new();
            for name in commit.batches.iter().flat_map(|part| part.batch.names()) {
                if !fields.contains(&&**name) {
                    fields.push(name);
                }
            }
            return Ok(Self::Host(Box::new(Host::register(tx, workspace, spec, &fields)?)));
        }
        let batches = commit.batches.iter().map(|part| &part.batch);
        let table = cache.tables.managed(tx, &target.entity, &target.place, &target.fields, batches)?;
        Ok(if matches!(target.place, Place::Stream) { Self::Stream(table) } else { Self::Managed(table) })
    }

    pub(crate) fn type_id(&self) -> i64 {
        match self {
            Self::Stream(table) | Self::Managed(table) => table.id,
            Self::Host(host) => host.id,
        }
    }

    pub(crate) fn table_name(&self) -> &str {
        match self {
            Self::Stream(table) | Self::Managed(table) => &table.name,
            Self::Host(host) => &host.spec.name,
        }
    }
}

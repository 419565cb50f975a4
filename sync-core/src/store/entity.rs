//! Rows of entity types.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CommitReport, ErasedEntity, PageCommit, Preview, Sweep, SweepReport, Trial};
use crate::{ConnectionId, EntityType, HostTable, Place, Result};

/// Which rows to read.
#[derive(Clone, Debug, Default)]
pub struct EntityQuery {
    /// This key only.
    pub key: Option<Box<str>>,
    /// Rows from this connection only.
    pub connection: Option<ConnectionId>,
    /// After this key, in key order.
    pub after: Option<Box<str>>,
    /// At most so many; 0 is 100.
    pub limit: u32,
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Its key; for a stream's own table the record id.
    pub key: Box<str>,
    /// The connection it came from, where the table knows.
    pub connection: Option<ConnectionId>,
    /// When a commit last wrote it.
    pub last_synced_at: Option<DateTime<Utc>>,
    /// Its fields, by their names at the source.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Keeps rows.
#[async_trait]
pub trait EntityStore: Debug + Send + Sync {
    /// Writes rows, lineage, cursors, counts, failures and events in ONE transaction, after checking the fence inside it. Rows
    /// that are already so are not written. Writing the same commit again changes nothing.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when the fence no longer holds, [`Storage`](crate::ErrorKind::Storage) when the
    /// database refuses; nothing was written then.
    ///
    /// # Cancellation
    /// Once it has begun it ends by itself, whether anybody waits for it or not.
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport>;

    /// How many commits of one run may be under way at once, at least 1. More than one is for storages that let them take effect in the
    /// order they were handed over, each only if all before it did: a cursor never overtakes the rows it covers.
    fn commits_at_once(&self) -> usize {
        1
    }

    /// What commits and a sweep would do now, one after the other: the same code, rolled back. No hook is called.
    async fn preview(&self, trial: Trial) -> Result<Preview>;

    /// Deletes what complete scans did not show, in transactions of bounded size; may be repeated.
    async fn sweep(&self, sweep: Sweep) -> Result<SweepReport>;

    /// Checks that a table of the host exists with the columns `table` names and `fields`, and remembers it.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming the table and column, and the columns there are.
    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()>;

    /// The kind of table an entity type has, of a managed one that mappings feed without its key; `None` when this workspace knows none.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot tell.
    async fn place(&self, entity: &EntityType) -> Result<Option<Place>> {
        let _ = entity;
        Err(crate::Error::unsupported("place"))
    }

    /// The entity types this workspace has rows of.
    async fn entity_types(&self) -> Result<Vec<EntityType>>;

    /// How many rows of an entity type this workspace has.
    async fn count_entities(&self, entity: &EntityType) -> Result<u64>;

    /// Deletes everything there is of one entity: its row where the table is managed, its lineage, items of plans, what sources said beside
    /// it, what pushes know of it, and texts that quote its key or the ids of its records. Nothing is left behind that would keep it from
    /// coming again. Counts of runs stay. May be repeated.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) while a run of the entity type is under way, and
    /// [`NotFound`](crate::ErrorKind::NotFound) for a type nobody knows here: nothing was deleted then.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot.
    async fn erase_entity(&self, entity: &EntityType, key: &str) -> Result<ErasedEntity> {
        let _ = (entity, key);
        Err(crate::Error::unsupported("erase_entity"))
    }

    /// Rows in key order.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for an unknown entity type, naming those there are.
    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>>;
}

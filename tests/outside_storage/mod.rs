//! A storage written outside of this workspace, with the public interface alone: one world of ordered maps behind a lock. A call
//! that may be refused in the middle works on a copy, which becomes the world when it went through; the others are refused before they
//! change anything.

mod authorizations;
mod commit;
mod connections;
mod more;
mod push;
mod read;
mod runs;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use chrono::{DateTime, Utc};
use syncline::core::{
    ConnectionId, EntityType, PartitionId, RecordFailure, RecordId, Result, RunId, StreamName, WorkspaceId, async_trait,
    store::{
        Activity, Connection, DueRenewal, Event, Feed, FleetStore, KnownKey, LineageEntry, PartitionState, PendingAuthorization, Run,
        SealedCredentials, Storage, StoredClient, WorkspaceStore,
    },
};

use self::{commit::Table, push::Pushed};

/// A feed of a workspace, in an order.
type FeedKey = (WorkspaceId, ConnectionId, StreamName, Box<str>);

/// A row of an entity type: its key, and for a stream's own table the connection it came from.
type RowKey = (Box<str>, Option<ConnectionId>);

fn feed_key(workspace: &WorkspaceId, feed: &Feed) -> FeedKey {
    (workspace.clone(), feed.connection.clone(), feed.stream.clone(), feed.mapping.clone())
}

/// A run, who owns it, and what belongs to it.
#[derive(Clone, Debug)]
struct KeptRun {
    workspace: WorkspaceId,
    run: Run,
    token: i64,
    exclusive: bool,
    owner: Weak<()>,
    failures: Vec<RecordFailure>,
}

/// That a record of a feed stands behind a row.
#[derive(Clone, Debug)]
struct Link {
    partition: PartitionId,
    /// The last scan that showed the record.
    shown: Option<u64>,
}

/// Everything there is.
#[derive(Clone, Debug, Default)]
struct World {
    /// The last number that was given to something.
    last: i64,
    connections: Vec<(Connection, Option<SealedCredentials>)>,
    runs: BTreeMap<RunId, KeptRun>,
    positions: BTreeMap<(FeedKey, PartitionId), PartitionState>,
    events: Vec<(WorkspaceId, Event)>,
    tables: BTreeMap<(WorkspaceId, EntityType), Table>,
    links: BTreeMap<(FeedKey, EntityType, RecordId, RowKey), Link>,
    /// Scans whose sweep went through.
    swept: BTreeSet<(FeedKey, PartitionId, u64)>,
    lineage: Vec<(WorkspaceId, LineageEntry)>,
    pushed: BTreeMap<FeedKey, Pushed>,
    activities: Vec<(WorkspaceId, Activity)>,
    authorizations: BTreeMap<(WorkspaceId, Box<str>), PendingAuthorization>,
    clients: BTreeMap<(WorkspaceId, Box<str>), StoredClient>,
    /// What tells each key apart, and how often it was used.
    keys: BTreeMap<Box<str>, (Vec<u8>, u64)>,
    /// Who holds what, and until when.
    leases: BTreeMap<(WorkspaceId, Box<str>), (Box<str>, Instant)>,
}

impl World {
    fn number(&mut self) -> i64 {
        self.last += 1;
        self.last
    }
}

/// A world that handles share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    world: Arc<Mutex<World>>,
}

impl Memory {
    /// Opens a handle: an owner of runs, until it and its stores are dropped.
    pub(crate) fn open(&self) -> Handle {
        Handle { world: Arc::clone(&self.world), owner: Arc::new(()) }
    }
}

/// An open handle.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    world: Arc<Mutex<World>>,
    owner: Arc<()>,
}

impl Handle {
    /// Work that is refused before it changes anything.
    fn write<T>(&self, work: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        work(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on a copy, which becomes the world when the work went through.
    fn write_all<T>(&self, work: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let mut copy = world.clone();
        let done = work(&mut copy)?;
        *world = copy;
        Ok(done)
    }

    fn read<T>(&self, work: impl FnOnce(&World) -> T) -> T {
        work(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for Handle {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        Arc::new(Scoped { handle: self.clone(), workspace: workspace.clone() })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        Arc::new(Fleet(self.clone()))
    }
}

/// The stores of one workspace.
#[derive(Debug)]
struct Scoped {
    handle: Handle,
    workspace: WorkspaceId,
}

#[derive(Debug)]
struct Fleet(Handle);

#[async_trait]
impl FleetStore for Fleet {
    async fn reap(&self) -> Result<u64> {
        self.0.write(|world| Ok(world.reap()))
    }

    async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
        self.0.write(|world| {
            let (check, _) = world.keys.entry(id.into()).or_insert_with(|| (check.to_vec(), 0));
            Ok(KnownKey { id: id.into(), check: check.clone(), retired_at: None })
        })
    }

    async fn use_key(&self, id: &str, uses: u64) -> Result<u64> {
        self.0.write(|world| {
            let (_, count) = world.keys.entry(id.into()).or_default();
            *count += uses;
            Ok(*count)
        })
    }

    async fn due_renewals(
        &self,
        now: DateTime<Utc>,
        before: DateTime<Utc>,
        after: Option<&DueRenewal>,
        limit: u32,
    ) -> Result<Vec<DueRenewal>> {
        Ok(self.0.read(|world| world.due_renewals(now, before, after, limit as usize)))
    }
}

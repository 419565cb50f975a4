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
        Activity, Connection, DueRenewal, Event, Feed, FleetStore, KnownKey, LineageEntry, Look, PartitionState, PendingAuthorization, Run,
        SealedCredentials, SealedValue, Storage, StoredClient, WorkspaceStore, key_of, retired_key,
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
    looks: BTreeMap<FeedKey, Look>,
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
    /// Ids of keys that were retired.
    retired: std::collections::BTreeSet<Box<str>>,
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

    async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
        Ok(self.0.read(|world| world.sealed_with(header)))
    }

    async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
        // Of what checks look at: access tokens.
        self.0.write(|world| {
            world.refuse_retired("reseal", &[Some(&envelope)])?;
            let here = |kept: &Connection| kept.workspace_id == old.place.workspace && *kept.id.as_str() == *old.place.owner;
            let found = world.connections.iter_mut().find(|(kept, _)| here(kept)).and_then(|(_, sealed)| sealed.as_mut());
            let Some(sealed) = found.filter(|sealed| sealed.access == old.envelope) else { return Ok(false) };
            sealed.access = envelope;
            Ok(true)
        })
    }

    async fn retire_key(&self, id: &str, header: &[u8], _: DateTime<Utc>) -> Result<bool> {
        self.0.write(|world| {
            let free = world.keys.contains_key(id) && world.sealed_with(header) == 0;
            if free {
                world.retired.insert(id.into());
            }
            Ok(free)
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

impl World {
    fn refuse_retired(&self, operation: &'static str, envelopes: &[Option<&[u8]>]) -> Result<()> {
        let retired = envelopes.iter().flatten().copied().filter_map(key_of).find(|id| self.retired.contains(*id));
        retired.map_or(Ok(()), |id| Err(retired_key(operation, id)))
    }

    fn sealed_with(&self, header: &[u8]) -> u64 {
        let of_connections = self.connections.iter().filter_map(|(_, sealed)| sealed.as_ref());
        let of_connections = of_connections.flat_map(|sealed| [Some(&sealed.access), sealed.refresh.as_ref()]).flatten();
        let of_clients = self.clients.values().filter_map(|client| client.secret.as_ref());
        let of_flows = self.authorizations.values().map(|pending| &pending.verifier);
        of_connections.chain(of_clients).chain(of_flows).filter(|envelope| envelope.starts_with(header)).count() as u64
    }
}

//! What a storage offers, in narrow traits. Code asks for the narrowest.
//!
//! [`Storage::workspace`] scopes every call to one tenant; [`Storage::fleet`] is the only other door. A storage decides inside its
//! own transaction: the engine hands over rows and rules, the storage locks, asks core's pure functions and writes.

mod activity;
mod commit;
mod connection;
mod entity;
mod lineage;
mod push;
mod run;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;

pub use self::{
    activity::{Activity, ActivityStore, NewActivity},
    commit::{Change, CommitReport, CursorMove, Fence, PageCommit, PartitionBatch, Preview, Sweep, SweepReport},
    connection::{Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, NewConnection, SealedCredentials},
    entity::{Entity, EntityQuery, EntityStore},
    lineage::{LineageEntry, LineageStore},
    push::{ChangedQuery, ChangedRows, Intent, IntentFilter, IntentState, PushCommit, PushLink, PushMemory, PushStore, Settled, Shape},
    run::{Begin, Event, Feed, NewRun, PartitionState, Run, RunEnd, RunFilter, RunStatus, RunStore},
};
use crate::{Result, WorkspaceId};

/// All narrow stores of one workspace.
pub trait WorkspaceStore: ConnectionStore + RunStore + EntityStore + LineageStore + PushStore + ActivityStore {}

impl<S: ConnectionStore + RunStore + EntityStore + LineageStore + PushStore + ActivityStore> WorkspaceStore for S {}

/// What must see all tenants: claims, reaper, scheduler, key rotation, retention.
#[async_trait]
pub trait FleetStore: Debug + Send + Sync {
    /// Ends every run whose owner is gone, with status `failed`, so that its stream is free again. Answers how many.
    async fn reap(&self) -> Result<u64>;
}

/// A database that Syncline keeps its state and its managed tables in.
pub trait Storage: Debug + Send + Sync + 'static {
    /// The store of one tenant; no call through it sees or touches another's rows.
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore>;

    /// The store over all tenants.
    fn fleet(&self) -> Arc<dyn FleetStore>;
}

const _: Option<&dyn Storage> = None;

//! What a storage offers, in narrow traits. Code asks for the narrowest.
//!
//! [`Storage::workspace`] scopes every call to one tenant; [`Storage::fleet`] is the only other door. A storage decides inside its
//! own transaction: the engine hands over rows and rules, the storage locks, asks core's pure functions and writes.

mod activity;
mod authorization;
mod client;
mod commit;
mod config;
mod conflict;
mod connection;
mod duplicates;
mod entity;
mod erasure;
mod expected;
mod history;
mod lease;
mod lineage;
mod onboarding;
mod plan;
mod push;
mod run;
mod sealed;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    activity::{Activity, ActivityStore, NewActivity},
    authorization::{AuthorizationStore, PendingAuthorization, StoredClient},
    client::{Client, ClientAccount, ClientFacts, ClientStore, unknown_client},
    commit::{Change, CommitReport, CursorMove, Fence, Gone, PageCommit, PartitionBatch, Preview, Sweep, SweepReport, Trial},
    config::{
        APP, CONFIG_CHANGED, CONNECTION_CONFIG, ConfigAction, ConfigCause, ConfigChange, ConfigStore, ConfigVersion, ConnectionConfig,
        NewConfig, config_activity, config_change,
    },
    conflict::{Conflict, ConflictFilter, ConflictId, ConflictStore, Conflicts, ReferenceValue, SettleConflicts},
    connection::{Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, DueRenewal, NewConnection, Renewal, SealedCredentials},
    duplicates::{Duplicated, twice},
    entity::{Entity, EntityQuery, EntityStore},
    erasure::{ErasedEntity, Traces},
    expected::Expected,
    history::{LineageChange, LineageLine, LineageOp, LiveRow, history},
    lease::LeaseStore,
    lineage::{LineageEntry, LineageStore, RecordChanges, RowHistory, RunRows, RunRules, Then, as_of, then},
    onboarding::{Moved, Onboarding, OnboardingMove, OnboardingStep, OnboardingStore, onboarding_moves},
    plan::{ItemKind, ItemState, NewPlan, Plan, PlanItem, PlanState, PlanStore, PlannedChange, PlannedWrite, SeenRecord, Settle},
    push::{
        ChangedQuery, ChangedRows, Intent, IntentFilter, IntentState, PushCommit, PushLink, PushMemory, PushStore, STRANGER, Settled,
        Shape, without_stranger,
    },
    run::{APPLY, Begin, EDIT, Event, Feed, LOCAL, Look, NewRun, PLAN, PartitionState, Run, RunEnd, RunFilter, RunStatus, RunStore, TAKE},
    sealed::{KnownKey, SealedField, SealedPlace, SealedValue, key_of, retired_key},
};
use crate::{Error, Result, WorkspaceId};

/// All narrow stores of one workspace.
pub trait WorkspaceStore:
    ConnectionStore
    + AuthorizationStore
    + ClientStore
    + OnboardingStore
    + ConfigStore
    + LeaseStore
    + RunStore
    + EntityStore
    + LineageStore
    + PlanStore
    + PushStore
    + ActivityStore
    + ConflictStore
{
}

impl<S> WorkspaceStore for S where
    S: ConnectionStore
        + AuthorizationStore
        + ClientStore
        + OnboardingStore
        + ConfigStore
        + LeaseStore
        + RunStore
        + EntityStore
        + LineageStore
        + PlanStore
        + PushStore
        + ActivityStore
        + ConflictStore
{
}

/// What must see all tenants: claims, reaper, scheduler, key rotation, retention.
#[async_trait]
pub trait FleetStore: Debug + Send + Sync {
    /// Ends every run whose owner is gone, with status `failed`, so that its stream is free again. Answers how many.
    async fn reap(&self) -> Result<u64>;

    /// Deletes entries of a log that are older than `before`, at most `limit`, in one transaction; answers how many. Runs that are under
    /// way keep theirs. To be repeated until it answers less than `limit`.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep everything.
    async fn prune(&self, log: Log, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let _ = (log, before, limit);
        Err(Error::unsupported("prune"))
    }

    /// Sealed values behind `after`, in order, at most `limit`: those whose envelope does not begin with `header`.
    async fn sealed(&self, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Result<Vec<SealedValue>> {
        let _ = (header, after, limit);
        Err(Error::unsupported("sealed"))
    }

    /// How many sealed values have an envelope that begins with `header`.
    async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
        let _ = header;
        Err(Error::unsupported("count_sealed"))
    }

    /// Puts another envelope in the place of a value that is still `old`, durably; `false` when it is not. Nothing else of its row
    /// changes: what is sealed is the same.
    async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
        let _ = (old, envelope);
        Err(Error::unsupported("reseal"))
    }

    /// Writes down a key that nobody has written down yet, and answers what is known of its id.
    async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
        Ok(KnownKey { id: id.into(), check: check.to_vec(), retired_at: None })
    }

    /// Retires a key, durably, if no sealed value has an envelope that begins with `header`; `false` when one has.
    ///
    /// From then on no call stores an envelope of it: each that would, of any store, ends in [`Key`](crate::ErrorKind::Key) and changes
    /// nothing. Who stores one at the same moment is either counted here or refused.
    async fn retire_key(&self, id: &str, header: &[u8], at: DateTime<Utc>) -> Result<bool> {
        let _ = (id, header, at);
        Err(Error::unsupported("retire_key"))
    }

    /// Counts `uses` more of a key that was [written down](Self::know_key), durably, and answers how many that makes, over all processes
    /// and since it was written down. Called before the uses, with more than are needed at once. Counted twice, when an answer was lost,
    /// is no harm; forgotten is.
    ///
    /// A storage that counts nothing answers `uses`: then each process knows of its own alone.
    async fn use_key(&self, id: &str, uses: u64) -> Result<u64> {
        let _ = id;
        Ok(uses)
    }

    /// Tokens that end before `before`, behind `after`, in the order of [`DueRenewal`], at most `limit`: those of active connections that
    /// have something to get a new one with. Left out are grants that were refused, and those that nobody is to try again by `now`. What
    /// a call reads does not grow with the number of connections whose tokens live longer.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep no grants.
    async fn due_renewals(
        &self,
        now: DateTime<Utc>,
        before: DateTime<Utc>,
        after: Option<&DueRenewal>,
        limit: u32,
    ) -> Result<Vec<DueRenewal>> {
        let _ = (now, before, after, limit);
        Err(Error::unsupported("due_renewals"))
    }

    /// Deletes everything there is of a workspace, in all tables that are ours; tables of the host stay. Answers how many rows went. May be
    /// repeated: what is gone stays gone.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) while a run of it is under way.
    async fn erase(&self, workspace: &WorkspaceId) -> Result<u64> {
        let _ = workspace;
        Err(Error::unsupported("erase"))
    }
}

/// What grows with time, over all tenants, and need not be kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Progress of runs.
    Events,
    /// The activity log.
    Activity,
    /// Runs that ended, with their record failures. Rows and lines of lineage name the run that wrote them, so one that changed rows stays
    /// until all lineage from before its end was pruned; one that changed none goes by itself.
    Runs,
    /// Plans with their items, whatever became of them: those that were made, and last approved, applied or discarded, long ago. What is
    /// older is as good as expired, since its rows have moved on.
    Plans,
    /// Lines of lineage. From the first call on nothing is said of how rows came to be that are older than `before`: the lines that
    /// changed them may be gone. What is told of later changes stays true.
    Lineage,
}

/// A database that Syncline keeps its state and its managed tables in.
pub trait Storage: Debug + Send + Sync + 'static {
    /// The store of one tenant; no call through it sees or touches another's rows.
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore>;

    /// The store over all tenants.
    fn fleet(&self) -> Arc<dyn FleetStore>;
}

const _: Option<&dyn Storage> = None;

#![doc = include_str!("../README.md")]

/// Conformance scaffold and simulators' base, for tests of the host and of providers.
#[cfg(feature = "simulator")]
pub use sync_testkit as testkit;

/// What providers share: transport, the one retry, limits, redaction.
pub use sync_http as http;

/// Storages.
pub mod storage {
    #[cfg(feature = "postgres")]
    pub use storage_postgres as postgres;
    #[cfg(feature = "sqlite")]
    pub use storage_sqlite as sqlite;
}

/// Providers, one module each.
pub mod providers {
    #[cfg(feature = "sheets")]
    pub use provider_sheets as sheets;
    #[cfg(feature = "slack")]
    pub use provider_slack as slack;
}

#[cfg(feature = "sheets")]
pub use provider_sheets::Sheets;
#[cfg(feature = "slack")]
pub use provider_slack::Slack;
#[cfg(feature = "postgres")]
pub use storage_postgres::PostgresStorage;
#[cfg(feature = "sqlite")]
pub use storage_sqlite::SqliteStorage;
pub use sync_core as core;
pub use sync_core::{
    Counts, Direction, EntityType, Error, ErrorKind, HostTable, Method, Outcome, PassthroughAnswer, PassthroughRequest, PushMode,
    RecordFailure, Result, RunId, Severity, SyncResult, WorkspaceId, mapping,
    store::{
        Client, ClientAccount, ClientFacts, ConfigAction, ConfigVersion, Conflict, ConflictFilter, ConflictId, ConnectionConfig,
        ConnectionPatch, ConnectionStatus, Entity, EntityQuery, ErasedEntity, IntentFilter, IntentState, ItemKind, ItemState, LineageEntry,
        Onboarding, OnboardingStep, Plan, PlanItem, PlanState, PlannedChange, PlannedWrite, ReferenceValue, Run, RunFilter, RunStatus,
        SeenRecord,
    },
};
#[doc(hidden)]
pub use sync_engine::vault_bench;
pub use sync_engine::{
    Absence, Actor, Apply, Authorization, Authorized, BeginAuthorization, Builder, Callback, Clock, Connect, Connection, Credentials,
    DataSource, Diagnosis, Edit, EditedField, Events, Explanation, ForceOverwrite, History, KeySource, KeyUse, Keyring, OAuthClient,
    Pruned, Pull, Push, PushRecord, RecordSource, RenewedTokens, Resolution, ResolveConflict, ResolvedConflicts, Retention, Rotated,
    SourcePage, SourceStatus, SyncEvent, SyncOptions, Syncline, SystemClock, TabMapping, TabSynced, Unconfirmed, Workspace, explain,
};

/// The guide's code compiles and runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

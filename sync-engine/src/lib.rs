#![doc = include_str!("../README.md")]

mod builder;
mod clock;
mod conflict;
mod connection;
mod crash;
mod edit;
mod event;
pub mod explain;
mod oauth;
mod plan;
mod pull;
mod push;
mod renewals;
mod retention;
mod run;
mod services;
mod source;
mod syncline;
mod vault;
mod workspace;

#[doc(hidden)]
pub use self::vault::bench as vault_bench;
pub use self::{
    builder::Builder,
    clock::{Clock, SystemClock},
    conflict::{ResolveConflict, ResolvedConflicts},
    connection::{Actor, Connect, Connection, Diagnosis},
    edit::{Edit, EditedField},
    event::{Events, SyncEvent},
    explain::{Absence, Explanation, History},
    oauth::{Authorization, Authorized, BeginAuthorization, Callback, OAuthClient},
    plan::Apply,
    pull::{ForceOverwrite, Pull},
    push::{Push, PushRecord, RecordSource, Resolution, SourcePage, Unconfirmed},
    renewals::RenewedTokens,
    retention::{Pruned, Retention},
    source::{DataSource, SourceStatus, SyncOptions, TabMapping, TabSynced},
    syncline::Syncline,
    vault::{Credentials, KeySource, KeyUse, Keyring, Rotated},
    workspace::Workspace,
};

#![doc = include_str!("../README.md")]

mod builder;
mod clock;
mod conflict;
mod connection;
mod crash;
mod event;
mod oauth;
mod plan;
mod pull;
mod push;
mod renewals;
mod retention;
mod run;
mod services;
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
    event::{Events, SyncEvent},
    oauth::{Authorization, Authorized, BeginAuthorization, Callback, OAuthClient},
    plan::Apply,
    pull::Pull,
    push::{Push, PushRecord, RecordSource, Resolution, SourcePage, Unconfirmed},
    renewals::RenewedTokens,
    retention::{Pruned, Retention},
    syncline::Syncline,
    vault::{Credentials, KeySource, KeyUse, Keyring, Rotated},
    workspace::Workspace,
};

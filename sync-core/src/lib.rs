#![doc = include_str!("../README.md")]

mod campaign;
mod entity;
mod error;
mod id;
pub mod mapping;
mod name;
mod number;
mod oauth;
mod passthrough;
pub mod policy;
mod provider;
mod pull;
mod push;
mod record;
mod registry;
mod reserved;
mod result;
pub mod sensitive;
mod services;
pub mod store;
mod stream;

/// Marks the traits of this crate whose methods are asynchronous; re-exported so that authors need no second dependency.
pub use async_trait::async_trait;
/// Secrets: `Debug` shows `[REDACTED]`, memory is zeroed on drop.
pub use secrecy::{ExposeSecret, SecretString};

pub use self::{
    campaign::{CampaignPlatformAdapter, Draft, Level, PlatformObject, PlatformPage, TargetStatus},
    entity::{FieldRule, HostTable, Place, Source, Target, WriteMode, join_key, split_key},
    error::{Delivery, Error, ErrorKind, Result, Retry},
    id::{ConnectionId, EntityType, Marker, PageToken, PartitionId, PlatformId, RecordId, RunId, StreamName, WorkspaceId},
    name::snake,
    number::{exact_float, json_value},
    oauth::{AuthorizeRequest, ClientAuth, Grant, GrantKind, OAuthCall, OAuthProvider, OAuthSpec, RefreshRule, Revokes, Scope, TokenSet},
    passthrough::{Method, Passthrough, PassthroughAnswer, PassthroughRequest},
    provider::IntegrationSync,
    pull::{Cursor, Next, PullPage, PullRequest, RecordFailure, Severity},
    push::{Earlier, Effect, Found, PushBatch, PushItem, PushLimits, PushMode, PushOutcome, Writes},
    record::{Operation, Record, RecordBatch, RecordDraft, hash_cells, key_text},
    registry::Registry,
    reserved::is_reserved_table,
    result::{Counts, Direction, Outcome, RunError, SyncResult},
    services::{AccessToken, CallOutcome, CallSite, Health, Permit, Services, SyncContext},
    stream::{
        Account, AuthScheme, Capabilities, Descriptor, Duplicates, Field, FieldKind, Keywords, Partition, Partitions, Quota, Stream,
        StreamMode, TokenLife,
    },
};

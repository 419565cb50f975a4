//! Connections and their sealed credentials.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ConnectionId, Result, WorkspaceId};

/// Whether a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// In use.
    Active,
    /// Switched off by the host.
    Paused,
    /// Failed three times in a row, or its grant was revoked; success or connecting again clears it.
    Error,
    /// Taken away; its history stays.
    Disconnected,
}

impl ConnectionStatus {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Disconnected => "disconnected",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Error, Self::Disconnected].into_iter().find(|status| status.as_str() == text)
    }
}

/// A connection as it is stored, without its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Its id, unique in the workspace.
    pub id: ConnectionId,
    /// The provider's name.
    pub provider: Box<str>,
    /// The host's client it belongs to.
    pub subject_id: Option<Box<str>>,
    /// The service's id of the account; unique with workspace and provider.
    pub account_id: Box<str>,
    /// As people know the account.
    pub account_name: Option<Box<str>>,
    /// Who connected it, as the host says.
    pub connected_by: Option<Box<str>>,
    /// `google`, `slack`, … or none.
    pub oauth_provider: Option<Box<str>>,
    /// The provider's settings, a JSON object.
    pub settings: serde_json::Value,
    /// Whether it is used.
    pub status: ConnectionStatus,
    /// Whether schedules may run it.
    pub sync_enabled: bool,
    /// Minutes between scheduled runs.
    pub sync_frequency_minutes: u32,
    /// The end of the last run that succeeded.
    pub last_sync_at: Option<DateTime<Utc>>,
    /// `running`, `completed`, `failed`: the last run's.
    pub sync_status: Option<Box<str>>,
    /// Why the last run failed; cleared by success.
    pub error_message: Option<Box<str>>,
    /// Failed runs in a row.
    pub error_count: u32,
    /// When the token ends; `None` is unknown, not expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// Grows with each change of the credentials.
    pub token_version: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When any of this last changed.
    pub updated_at: DateTime<Utc>,
}

/// Credentials as they are stored: envelopes only.
#[derive(Clone, Debug)]
pub struct SealedCredentials {
    /// The sealed access token or key.
    pub access: Vec<u8>,
    /// The sealed refresh token.
    pub refresh: Option<Vec<u8>>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which version this is.
    pub version: u64,
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its id, used when the account was not connected before.
    pub id: ConnectionId,
    /// The provider's name.
    pub provider: Box<str>,
    /// The host's client it belongs to.
    pub subject_id: Option<Box<str>>,
    /// The service's id of the account.
    pub account_id: Box<str>,
    /// As people know the account.
    pub account_name: Option<Box<str>>,
    /// Who connected it.
    pub connected_by: Option<Box<str>>,
    /// `google`, `slack`, … or none.
    pub oauth_provider: Option<Box<str>>,
    /// The provider's settings.
    pub settings: serde_json::Value,
    /// Minutes between scheduled runs.
    pub sync_frequency_minutes: u32,
    /// When.
    pub at: DateTime<Utc>,
}

/// Changes to a connection; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPatch {
    /// New status.
    pub status: Option<ConnectionStatus>,
    /// New switch for schedules.
    pub sync_enabled: Option<bool>,
    /// New minutes between scheduled runs.
    pub sync_frequency_minutes: Option<u32>,
    /// New settings, as a whole.
    pub settings: Option<serde_json::Value>,
    /// New account name.
    pub account_name: Option<Box<str>>,
    /// Resets error count and message.
    pub clear_errors: bool,
}

/// Keeps connections.
#[async_trait]
pub trait ConnectionStore: Debug + Send + Sync {
    /// Makes the connection, or heals the one this workspace already has for the same provider and account: its id and history
    /// stay, settings, names and credentials are replaced, its status becomes active and its errors are cleared.
    /// The seal is asked for by the id and version that are kept, since both are bound into the envelope.
    async fn connect(&self, new: NewConnection) -> Result<Connection>;

    /// One connection; `None` for unknown ids and those of other workspaces alike.
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>>;

    /// All connections, the oldest first.
    async fn connections(&self) -> Result<Vec<Connection>>;

    /// Changes a connection.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection>;

    /// The sealed credentials; `None` when there are none.
    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>>;

    /// Replaces the credentials if their version is still `expected` (0 before the first), durably; `false` when it is not.
    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool>;
}

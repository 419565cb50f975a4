//! Connections and their sealed credentials.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ConfigAction, ConfigCause, ConnectionConfig};
use crate::{ConnectionId, Error, ErrorKind, GrantKind, Result, WorkspaceId};

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
    /// Of what kind that was; `None` when nothing failed, and when it is not known.
    pub error_kind: Option<ErrorKind>,
    /// Failed runs in a row.
    pub error_count: u32,
    /// When the token ends; `None` is unknown, not expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// Grows with each change of the credentials.
    pub token_version: u64,
    /// What new access tokens are got with; `None` when with nothing.
    pub grant: Option<GrantKind>,
    /// The scopes the service says it granted; `None` when it does not tell.
    pub scopes: Option<Vec<Box<str>>>,
    /// How renewing the token goes.
    pub renewal: Renewal,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When any of this last changed.
    pub updated_at: DateTime<Utc>,
}

/// How renewing a connection's token goes. New credentials clear it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Since when attempts fail at the service, without a longer pause between two of them; `None` when the last one did not.
    pub failing_since: Option<DateTime<Utc>>,
    /// When the last of those failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// How many those were.
    pub failures: u32,
    /// Of what kind the last failure was, at the service or before it; `None` when the last attempt did not fail.
    pub error_kind: Option<ErrorKind>,
    /// Before this nobody tries again.
    pub not_before: Option<DateTime<Utc>>,
    /// An attempt was begun and its end is not known: its answer may have been lost.
    pub underway_since: Option<DateTime<Utc>>,
    /// The service said that the grant is gone: nobody tries again until somebody connects the account.
    pub refused_at: Option<DateTime<Utc>>,
}

/// A token whose end is near. Ordered as [`FleetStore::due_renewals`](super::FleetStore::due_renewals) lists them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueRenewal {
    /// When it ends.
    pub ends: DateTime<Utc>,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Whose it is.
    pub connection: ConnectionId,
    /// The provider's name.
    pub provider: Box<str>,
    /// Its version.
    pub version: u64,
}

/// Credentials as they are stored: envelopes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCredentials {
    /// The sealed access token or key.
    pub access: Vec<u8>,
    /// The sealed text of the grant: a refresh token, a service account's key file.
    pub refresh: Option<Vec<u8>>,
    /// What kind of grant it is; `None` when there is none.
    pub grant: Option<GrantKind>,
    /// The scopes the service says it granted; `None` leaves what is stored beside a grant of the same kind, and is unknown otherwise.
    pub scopes: Option<Vec<Box<str>>>,
    /// The OAuth client they were given to, and no other can renew or revoke them; `None` is unknown, or none takes part.
    pub client_id: Option<Box<str>>,
    /// When the token was given: with its end this says how long it lives. `None` is unknown.
    pub issued_at: Option<DateTime<Utc>>,
    /// When the token ends; `None` is unknown, not expired.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which version this is. [`connect`](ConnectionStore::connect) does not look at it and counts by itself.
    pub version: u64,
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its id, used when the account was not connected before.
    pub id: ConnectionId,
    /// The provider's name.
    pub provider: Box<str>,
    /// The host's client it belongs to; `None` leaves the one there is, or takes the [client](super::Client) its account is linked to.
    pub subject_id: Option<Box<str>>,
    /// The service's id of the account.
    pub account_id: Box<str>,
    /// As people know the account.
    pub account_name: Option<Box<str>>,
    /// Who connected it.
    pub connected_by: Option<Box<str>>,
    /// `google`, `slack`, … or none. Goes with the credentials: where some come, it takes the place of the one before.
    pub oauth_provider: Option<Box<str>>,
    /// The provider's settings.
    pub settings: serde_json::Value,
    /// Minutes between scheduled runs.
    pub sync_frequency_minutes: u32,
    /// Its credentials, sealed for `id`, stored in the same transaction under the next version; `None` leaves those there are.
    pub credentials: Option<SealedCredentials>,
    /// The version of the stored credentials these were made from, where they hold a part of those; `None` when they do not.
    pub over: Option<u64>,
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
    /// New client of the host's it belongs to.
    pub subject_id: Option<Box<str>>,
    /// Resets error count, message and kind, and forgets the failed attempts to renew the token; that the grant was refused stays known.
    pub clear_errors: bool,
    /// New error message, also beside [`clear_errors`](Self::clear_errors); for what was found outside of a run.
    pub error_message: Option<Box<str>>,
    /// All of what people configure, in the place of what there is, before the fields above. Whether runs fail is not part of it.
    pub config: Option<ConnectionConfig>,
    /// The earlier [version](super::ConfigVersion) this puts in force again.
    pub restores: Option<u64>,
    /// Who changes it; `None` when nobody said.
    pub changed_by: Option<Box<str>>,
}

impl ConnectionPatch {
    /// Changes a connection as this says.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when it leads out of `disconnected`: the credentials are gone, so only
    /// [`connect`](ConnectionStore::connect) does. Whoever was changing the connection then writes nothing.
    pub fn apply(&self, connection: &mut Connection, at: DateTime<Utc>) -> Result<()> {
        let before = connection.status;
        if let Some(config) = &self.config {
            connection.settings = config.settings.clone();
            connection.account_name.clone_from(&config.account_name);
            connection.subject_id.clone_from(&config.subject_id);
            (connection.sync_enabled, connection.sync_frequency_minutes) = (config.sync_enabled, config.sync_frequency_minutes);
            if ConnectionConfig::of(connection).status != config.status {
                connection.status = config.status;
            }
        }
        connection.status = self.status.unwrap_or(connection.status);
        connection.sync_enabled = self.sync_enabled.unwrap_or(connection.sync_enabled);
        connection.sync_frequency_minutes = self.sync_frequency_minutes.unwrap_or(connection.sync_frequency_minutes);
        connection.settings = self.settings.clone().unwrap_or_else(|| connection.settings.take());
        connection.account_name = self.account_name.clone().or_else(|| connection.account_name.take());
        connection.subject_id = self.subject_id.clone().or_else(|| connection.subject_id.take());
        if self.clear_errors {
            (connection.error_count, connection.error_message, connection.error_kind) = (0, None, None);
            let Renewal { not_before, underway_since, refused_at, .. } = connection.renewal;
            connection.renewal = Renewal { not_before, underway_since, refused_at, ..Renewal::default() };
        }
        connection.error_message = self.error_message.clone().or_else(|| connection.error_message.take());
        connection.updated_at = at;
        if before == ConnectionStatus::Disconnected && connection.status != before {
            let text = "the account was disconnected and its credentials are gone; connect it again";
            return Err(Error::new(ErrorKind::Conflict, "update_connection", text).at("connection", connection.id.as_str()));
        }
        Ok(())
    }

    /// How and by whom it is changed, for its [versions](super::config_change).
    #[must_use]
    pub fn cause(&self, at: DateTime<Utc>) -> ConfigCause<'_> {
        let action = if self.restores.is_some() { ConfigAction::Restored } else { ConfigAction::Changed };
        ConfigCause { action, by: self.changed_by.as_deref(), at }
    }
}

/// Keeps connections.
#[async_trait]
pub trait ConnectionStore: Debug + Send + Sync {
    /// Makes the connection, or heals the one this workspace already has for the same provider and account: its id and history
    /// stay, settings, names and credentials are replaced, its status becomes active and its errors are cleared. One that the host
    /// paused stays paused.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when credentials are given and the account is known under another id than `new.id`:
    /// they were sealed for an id that is not kept, and when those stored are no longer of the version `new.over`. Nothing is written;
    /// [`account`](Self::account) tells the id.
    async fn connect(&self, new: NewConnection) -> Result<Connection>;

    /// The connection of an account, if there is one.
    async fn account(&self, provider: &str, account_id: &str) -> Result<Option<Connection>> {
        let all = self.connections().await?;
        Ok(all.into_iter().find(|connection| *connection.provider == *provider && *connection.account_id == *account_id))
    }

    /// One connection; `None` for unknown ids and those of other workspaces alike.
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>>;

    /// All connections, the oldest first.
    async fn connections(&self) -> Result<Vec<Connection>>;

    /// Changes a connection.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Conflict`](ErrorKind::Conflict) as of [`ConnectionPatch::apply`], judged by the row as it is in
    /// the transaction of the change. Nothing is written then.
    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection>;

    /// The sealed credentials; `None` when there are none.
    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>>;

    /// Replaces the credentials if their version is still `expected` (0 before the first), durably; `false` when it is not, and for a
    /// disconnected connection. Clears what is kept of failed renewals; where that, or a token that was refused, was what put the connection into `error`, it becomes
    /// active and its errors are cleared, in the same write. Paused ones stay so.
    ///
    /// The same call once more, as after an answer that was lost, says `true` again and changes nothing, as long as those very
    /// credentials are stored: no two that were sealed apart are equal.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool>;

    /// Writes down how renewing goes, if the credentials' version is still `expected`, durably; `false` when it is not.
    ///
    /// `gone` says that somebody has to connect the account again, and why. In the same write it becomes the error message, of the kind
    /// [`AuthRevoked`](ErrorKind::AuthRevoked), and an active connection becomes one in `error`; paused ones stay so.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    async fn note_renewal(
        &self,
        id: &ConnectionId,
        expected: u64,
        renewal: Renewal,
        gone: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let _ = (id, expected, renewal, gone, at);
        Err(Error::unsupported("note_renewal"))
    }

    /// Takes a connection away: its status becomes disconnected, its credentials are deleted and their version grows, durably. Rows and
    /// history stay.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    async fn disconnect(&self, id: &ConnectionId, at: DateTime<Utc>) -> Result<Connection> {
        let _ = (id, at);
        Err(Error::unsupported("disconnect"))
    }

    /// [`disconnect`](Self::disconnect), saying who does it.
    ///
    /// # Errors
    /// As of [`disconnect`](Self::disconnect).
    async fn disconnect_by(&self, id: &ConnectionId, by: Option<&str>, at: DateTime<Utc>) -> Result<Connection> {
        let _ = by;
        self.disconnect(id, at).await
    }
}

//! Versions of what people configure: who changed what when, and the way back.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Connection, ConnectionStatus, NewActivity};
use crate::{Error, ErrorKind, Result};

/// The kind of the versions that storages write of connections by themselves.
pub const CONNECTION_CONFIG: &str = "connection";

/// Who changed something when nobody said who.
pub const APP: &str = "app";

/// The action of the row in the activity log that tells of a change of configuration.
pub const CONFIG_CHANGED: &str = "config_changed";

/// What people configure of a connection. There is nothing secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionConfig {
    /// The provider's settings, a JSON object.
    pub settings: Value,
    /// As people know the account.
    pub account_name: Option<Box<str>>,
    /// The host's client it belongs to.
    pub subject_id: Option<Box<str>>,
    /// Whether schedules may run it.
    pub sync_enabled: bool,
    /// Minutes between scheduled runs.
    pub sync_frequency_minutes: u32,
    /// Active, paused or disconnected. That runs fail is nobody's wish: a connection in `error` is an active one.
    pub status: ConnectionStatus,
}

impl ConnectionConfig {
    /// That of a connection.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self {
            settings: connection.settings.clone(),
            account_name: connection.account_name.clone(),
            subject_id: connection.subject_id.clone(),
            sync_enabled: connection.sync_enabled,
            sync_frequency_minutes: connection.sync_frequency_minutes,
            status: match connection.status {
                ConnectionStatus::Error => ConnectionStatus::Active,
                status => status,
            },
        }
    }

    /// Reads the body of a version.
    ///
    /// # Errors
    /// [`Storage`](ErrorKind::Storage) when it is none of a connection.
    pub fn from_body(body: &Value) -> Result<Self> {
        let damaged = "the stored version of a connection's configuration cannot be read; the database was changed by hand";
        Self::deserialize(body).map_err(|e| Error::new(ErrorKind::Storage, "config_version", damaged).because(e))
    }

    /// The body of a version.
    #[must_use]
    pub fn body(&self) -> Value {
        serde_json::json!({
            "settings": self.settings,
            "account_name": self.account_name,
            "subject_id": self.subject_id,
            "sync_enabled": self.sync_enabled,
            "sync_frequency_minutes": self.sync_frequency_minutes,
            "status": self.status,
        })
    }

    /// The names of the fields in which it differs.
    #[must_use]
    pub fn changed(&self, before: &Self) -> Vec<&'static str> {
        let fields = [
            ("settings", self.settings != before.settings),
            ("account_name", self.account_name != before.account_name),
            ("subject_id", self.subject_id != before.subject_id),
            ("sync_enabled", self.sync_enabled != before.sync_enabled),
            ("sync_frequency_minutes", self.sync_frequency_minutes != before.sync_frequency_minutes),
            ("status", self.status != before.status),
        ];
        fields.into_iter().filter_map(|(field, differs)| differs.then_some(field)).collect()
    }
}

/// How a version came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigAction {
    /// It was there before versions were kept.
    Found,
    /// Made for the first time.
    Created,
    /// Changed.
    Changed,
    /// An earlier version was put in force again.
    Restored,
    /// Deleted: the version has no body.
    Deleted,
    /// A connection was connected, or connected again.
    Connected,
    /// A connection was taken away.
    Disconnected,
}

impl ConfigAction {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Restored => "restored",
            Self::Deleted => "deleted",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use ConfigAction::{Changed, Connected, Created, Deleted, Disconnected, Found, Restored};
        [Found, Created, Changed, Restored, Deleted, Connected, Disconnected].into_iter().find(|action| action.as_str() == text)
    }
}

/// One version of something configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// What kind of thing: [`CONNECTION_CONFIG`], `mapping`.
    pub kind: Box<str>,
    /// Which one.
    pub id: Box<str>,
    /// Counts up from 1.
    pub version: u64,
    /// All of it; `None` when it was deleted.
    pub body: Option<Value>,
    /// Who made it, as the host says; [`APP`] when nobody said.
    pub changed_by: Box<str>,
    /// When.
    pub changed_at: DateTime<Utc>,
    /// How it came to be.
    pub action: ConfigAction,
}

/// A version to be made of something that lives nowhere else: its latest version is what is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct NewConfig {
    /// What kind of thing.
    pub kind: Box<str>,
    /// Which one.
    pub id: Box<str>,
    /// All of it; `None` deletes it.
    pub body: Option<Value>,
    /// The version this is made from; 0 before the first.
    pub expected: u64,
    /// The earlier version this puts in force again.
    pub restores: Option<u64>,
    /// Who makes it.
    pub by: Option<Box<str>>,
    /// When.
    pub at: DateTime<Utc>,
}

impl NewConfig {
    /// What every storage refuses: a kind that storages write by themselves, an empty kind or id, and deleting what never was.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config).
    pub fn check(&self) -> Result<()> {
        let text = if *self.kind == *CONNECTION_CONFIG {
            "versions of a connection come from changing the connection"
        } else if self.kind.is_empty() || self.id.is_empty() {
            "a configuration has a kind and an id"
        } else if self.expected == 0 && self.body.is_none() {
            "there is nothing to delete"
        } else {
            return Ok(());
        };
        Err(Error::config("put_config", text))
    }

    /// The version it makes.
    #[must_use]
    pub fn version(&self) -> ConfigVersion {
        let action = match (&self.body, self.restores, self.expected) {
            (None, ..) => ConfigAction::Deleted,
            (_, Some(_), _) => ConfigAction::Restored,
            (_, _, 0) => ConfigAction::Created,
            _ => ConfigAction::Changed,
        };
        ConfigVersion {
            kind: self.kind.clone(),
            id: self.id.clone(),
            version: self.expected + 1,
            body: self.body.clone(),
            changed_by: self.by.clone().unwrap_or_else(|| APP.into()),
            changed_at: self.at,
            action,
        }
    }

    /// The error when the latest version is not the expected one.
    #[must_use]
    pub fn moved(&self, latest: u64) -> Error {
        let text = format!(
            "{} {:?} is at version {latest} and not at {}: somebody else changed it; look at it again. Nothing was written",
            self.kind, self.id, self.expected
        );
        Error::new(ErrorKind::Conflict, "put_config", text)
    }
}

/// Who changes a connection, how and when.
#[derive(Clone, Copy, Debug)]
pub struct ConfigCause<'c> {
    /// How.
    pub action: ConfigAction,
    /// Who, if somebody said.
    pub by: Option<&'c str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a storage writes in the transaction that changes a connection.
#[derive(Clone, Debug, Default)]
pub struct ConfigChange {
    /// Versions, in their order.
    pub versions: Vec<ConfigVersion>,
    /// A row of the activity log.
    pub activity: Option<NewActivity>,
}

/// What a change of a connection leaves: a version when what people configure differs from the latest one, and a row `config_changed` in the
/// activity log when there was something to differ from. A connection from before versions were kept begins with what was found.
#[must_use]
pub fn config_change(
    latest: Option<&ConfigVersion>,
    before: Option<&Connection>,
    after: &Connection,
    cause: ConfigCause<'_>,
) -> ConfigChange {
    let now = ConnectionConfig::of(after);
    let version = |number: u64, config: &ConnectionConfig, action: ConfigAction, by: Option<&str>, at: DateTime<Utc>| ConfigVersion {
        kind: CONNECTION_CONFIG.into(),
        id: after.id.as_str().into(),
        version: number,
        body: Some(config.body()),
        changed_by: by.unwrap_or(APP).into(),
        changed_at: at,
        action,
    };
    let mut done = ConfigChange::default();
    let stored = latest.and_then(|latest| ConnectionConfig::from_body(latest.body.as_ref()?).ok());
    let base = stored.or_else(|| before.map(ConnectionConfig::of));
    let mut number = latest.map_or(0, |latest| latest.version);
    if let Some(base) = base {
        let fields = now.changed(&base);
        if fields.is_empty() {
            return done;
        }
        if let (None, Some(before)) = (latest, before) {
            number += 1;
            done.versions.push(version(number, &base, ConfigAction::Found, None, before.updated_at));
        }
        done.activity = Some(config_activity(after, &fields, cause));
    }
    done.versions.push(version(number + 1, &now, cause.action, cause.by, cause.at));
    done
}

/// The row of the activity log that tells of a change of configuration: the names of the fields, and who.
#[must_use]
pub fn config_activity(after: &Connection, fields: &[&str], cause: ConfigCause<'_>) -> NewActivity {
    NewActivity {
        integration: after.provider.clone(),
        connection: Some(after.id.clone()),
        action: CONFIG_CHANGED.into(),
        success: true,
        records_affected: 0,
        error: None,
        metadata: serde_json::json!({
            "fields": fields,
            "by": cause.by.unwrap_or(APP),
            "how": cause.action,
            "status": after.status,
            "account": after.account_name,
        }),
        at: cause.at,
    }
}

/// Keeps versions of what people configure.
///
/// Those of connections are written by [`connect`](super::ConnectionStore::connect),
/// [`update_connection`](super::ConnectionStore::update_connection) and [`disconnect`](super::ConnectionStore::disconnect), and by
/// [`put_client`](super::ClientStore::put_client) where it sets a subject, in their own transactions, as [`config_change`] says.
#[async_trait]
pub trait ConfigStore: Debug + Send + Sync {
    /// Whether versions are kept.
    fn keeps_config(&self) -> bool {
        false
    }

    /// The versions of one thing, the newest first, at most `limit`.
    async fn config_versions(&self, kind: &str, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        let _ = (kind, id, limit);
        Err(Error::unsupported("config_versions"))
    }

    /// One version; `None` for unknown ones and those of other workspaces alike.
    async fn config_version(&self, kind: &str, id: &str, version: u64) -> Result<Option<ConfigVersion>> {
        let _ = (kind, id, version);
        Err(Error::unsupported("config_version"))
    }

    /// The latest versions of all things of a kind that were not deleted, in the order of their ids.
    async fn configs(&self, kind: &str) -> Result<Vec<ConfigVersion>> {
        let _ = kind;
        Err(Error::unsupported("configs"))
    }

    /// Makes the next version of something that lives nowhere else, durably. Answers it.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the latest version is not the expected one; [`Config`](ErrorKind::Config) as of
    /// [`NewConfig::check`].
    async fn put_config(&self, new: NewConfig) -> Result<ConfigVersion> {
        let _ = new;
        Err(Error::unsupported("put_config"))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

//! The activity log: one row per operation, for people.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ConnectionId, Result};

/// Something that was done.
#[derive(Clone, Debug)]
pub struct NewActivity {
    /// The provider's name.
    pub integration: Box<str>,
    /// The connection it was done with, if any.
    pub connection: Option<ConnectionId>,
    /// What was done: `connected`, `sync_completed`, `sync_failed`, `config_changed`.
    pub action: Box<str>,
    /// Whether it worked.
    pub success: bool,
    /// Rows it changed.
    pub records_affected: u64,
    /// Why it did not work.
    pub error: Option<Box<str>>,
    /// Whatever else is worth knowing; never a credential.
    pub metadata: serde_json::Value,
    /// When.
    pub at: DateTime<Utc>,
}

/// A row of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// Its number.
    pub id: i64,
    /// The provider's name.
    pub integration_name: Box<str>,
    /// The connection it was done with, if any.
    pub connection_id: Option<ConnectionId>,
    /// What was done.
    pub action: Box<str>,
    /// Whether it worked.
    pub success: bool,
    /// Rows it changed.
    pub records_affected: u64,
    /// Why it did not work.
    pub error_message: Option<Box<str>>,
    /// Whatever else is worth knowing.
    pub metadata: serde_json::Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Keeps the activity log.
#[async_trait]
pub trait ActivityStore: Debug + Send + Sync {
    /// Adds a row.
    async fn log_activity(&self, activity: NewActivity) -> Result<()>;

    /// The newest rows first, at most `limit`.
    async fn activities(&self, limit: u32) -> Result<Vec<Activity>>;
}

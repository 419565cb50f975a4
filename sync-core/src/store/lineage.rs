//! Where values came from.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{EntityType, Result, RunId};

/// One change of one field: a row of `field_lineage`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineageEntry {
    /// Orders the history of an entity.
    pub seq: i64,
    /// The entity type.
    pub entity_type: EntityType,
    /// The entity's key.
    pub entity_id: Box<str>,
    /// The field.
    pub field_name: Box<str>,
    /// `google_sheet`, `api` or `app`.
    pub source_type: Box<str>,
    /// The source's own id.
    pub source_id: Box<str>,
    /// Where a person finds it: `Movies → Column B`.
    pub source_ref: Option<Box<str>>,
    /// Before; `None` when the row was new.
    pub previous_value: Option<serde_json::Value>,
    /// After; `None` when the row went.
    pub new_value: Option<serde_json::Value>,
    /// The run that did it.
    pub sync_run_id: RunId,
    /// Who asked for that run.
    pub changed_by: Box<str>,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// Reads lineage.
#[async_trait]
pub trait LineageStore: Debug + Send + Sync {
    /// The history of an entity, or of one of its fields, the oldest first.
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>>;
}

//! Where values came from.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LineageLine, LiveRow};
use crate::{EntityType, Place, Result, RunId};

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

/// The history of a row that a run changed.
#[derive(Clone, Debug)]
pub struct RowHistory {
    /// The entity's key.
    pub entity: Box<str>,
    /// Its lines, whosever they are, the oldest first.
    pub lines: Vec<LineageLine>,
    /// The row, if it is there. Of a row of the host run and time say nothing.
    pub live: Option<LiveRow>,
}

/// Everything that a run changed.
#[derive(Clone, Debug)]
pub struct RunHistory {
    /// The kind of table; of a managed one without its key.
    pub place: Place,
    /// Its rows, in the order of their keys.
    pub rows: Vec<RowHistory>,
    /// Whether lines may be missing: the run is older than lineage is kept.
    pub pruned: bool,
}

impl RunHistory {
    /// Of a run that changed nothing.
    #[must_use]
    pub fn none(place: Place) -> Self {
        Self { place, rows: Vec::new(), pruned: false }
    }
}

/// Reads lineage.
#[async_trait]
pub trait LineageStore: Debug + Send + Sync {
    /// The histories of the rows that a run made, changed or deleted, as far as it kept lineage; `None` when there is no such run. Refused
    /// when there are more than `limit`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) beyond `limit`; [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot tell.
    async fn run_history(&self, run: RunId, limit: u32) -> Result<Option<RunHistory>> {
        let _ = (run, limit);
        Err(crate::Error::unsupported("run_history"))
    }

    /// The history of an entity, or of one of its fields, the oldest first.
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>>;
}

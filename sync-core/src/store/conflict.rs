//! What sources say beside a field: values they are only a reference for, and values that lost to a source of higher priority.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Feed;
use crate::{
    EntityType, Error, Result, RunId,
    mapping::{ConflictState, FieldOwner, FieldSource, Rule},
};

/// A value that a source is only a reference for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReferenceValue {
    /// The field.
    pub field: Box<str>,
    /// Who says so.
    #[serde(flatten)]
    pub source: FieldSource,
    /// What.
    pub value: Box<RawValue>,
    /// The run that brought it.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
}

/// A conflict's number in its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConflictId(pub i64);

impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A source of truth that loses to one of higher priority, which says something else; or did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conflict {
    /// Its number.
    pub id: ConflictId,
    /// The entity type.
    pub entity_type: EntityType,
    /// The entity's key.
    pub entity: Box<str>,
    /// The field.
    pub field: Box<str>,
    /// The feed that loses. Its stream is empty when none of its records stands behind the entity any more.
    pub loser: Feed,
    /// The loser's priority.
    pub priority: i32,
    /// What the loser says.
    pub value: Box<RawValue>,
    /// Who wins; `None` where nobody is known to have set the field.
    pub winner: Option<FieldSource>,
    /// The winner's priority.
    pub winner_priority: i32,
    /// What the winner says.
    pub winning: Box<RawValue>,
    /// The rule that decided.
    pub rule: Rule,
    /// Where it stands.
    pub state: ConflictState,
    /// The run that last changed it.
    pub run: RunId,
    /// Since when the two have differed, or agreed.
    pub since: DateTime<Utc>,
    /// When it last changed.
    pub at: DateTime<Utc>,
    /// Who decided about it last.
    pub resolved_by: Option<Box<str>>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// Which conflicts to list. The default is the first hundred open ones.
#[derive(Clone, Debug)]
pub struct ConflictFilter {
    /// Of this entity type.
    pub entity_type: Option<EntityType>,
    /// Of the entity with this key.
    pub key: Option<Box<str>>,
    /// Of this field.
    pub field: Option<Box<str>>,
    /// Which this source loses.
    pub loser: Option<FieldSource>,
    /// Which any connection's mapping of this name loses.
    pub mapping: Option<Box<str>>,
    /// That stand so; `None`: however they stand. Sources that have agreed from the beginning are listed as settled, too.
    pub state: Option<ConflictState>,
    /// With a number.
    pub id: Option<ConflictId>,
    /// Behind this one, in the order of their numbers.
    pub after: Option<ConflictId>,
    /// At most so many.
    pub limit: u32,
}

impl Default for ConflictFilter {
    fn default() -> Self {
        Self {
            entity_type: None,
            key: None,
            field: None,
            loser: None,
            mapping: None,
            state: Some(ConflictState::Open),
            id: None,
            after: None,
            limit: 100,
        }
    }
}

/// Which conflicts a decision is about.
#[derive(Clone, Debug)]
pub enum Conflicts {
    /// Those with these numbers, each if its loser still says just this, JSON text.
    Each(Vec<(ConflictId, Box<str>)>),
    /// All open ones of a field that a source loses.
    Alike {
        /// The entity type.
        entity_type: EntityType,
        /// The field.
        field: Box<str>,
        /// Who loses.
        loser: FieldSource,
    },
}

/// A decision about conflicts.
#[derive(Clone, Debug)]
pub struct SettleConflicts {
    /// Which. Only open and accepted ones are decided about; others are left as they are.
    pub which: Conflicts,
    /// `Accepted`, or `Taken` when the losing value was written.
    pub state: ConflictState,
    /// Who says so.
    pub by: Box<str>,
    /// The run that wrote the losing value.
    pub run: Option<RunId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps what sources say beside fields. It is written by commits and sweeps, in their transactions.
#[async_trait]
pub trait ConflictStore: Debug + Send + Sync {
    /// What sources say of an entity's fields that they are only a reference for, by field and source.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep none.
    async fn reference_values(&self, entity: &EntityType, key: &str) -> Result<Vec<ReferenceValue>> {
        let _ = (entity, key);
        Err(Error::unsupported("reference_values"))
    }

    /// Who has the say about an entity's fields, by field; fields for which no priorities are kept are left out.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep none.
    async fn field_owners(&self, entity: &EntityType, key: &str) -> Result<Vec<(Box<str>, FieldOwner)>> {
        let _ = (entity, key);
        Err(Error::unsupported("field_owners"))
    }

    /// Conflicts in the order of their numbers.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep none.
    async fn conflicts(&self, filter: ConflictFilter) -> Result<Vec<Conflict>> {
        let _ = filter;
        Err(Error::unsupported("conflicts"))
    }

    /// Writes down a decision; answers about how many conflicts.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that keep none.
    async fn settle_conflicts(&self, settle: SettleConflicts) -> Result<u64> {
        let _ = settle;
        Err(Error::unsupported("settle_conflicts"))
    }
}

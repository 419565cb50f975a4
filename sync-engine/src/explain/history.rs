//! What changed a row, and a row as it was.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use sync_core::{
    EntityType, Error, ErrorKind, Result,
    store::{EntityQuery, LineageEntry, Then, then},
};

use super::known::{field_unknown, hidden_fields, table_unknown};
use crate::Workspace;

/// What changed a row or one of its fields, and the row itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The entity type.
    pub entity: EntityType,
    /// The row's key.
    pub key: Box<str>,
    /// Up to when; `None`: up to now.
    pub as_of: Option<DateTime<Utc>>,
    /// The row, or the one field of it, as it was then, as far as its lineage tells, or as it is now. `None` when there was none.
    pub row: Option<Map<String, Value>>,
    /// Whether that is known. It is not when nothing was written down up to then and nothing later tells either: then there may have been a
    /// row all the same.
    pub known: bool,
    /// Every change that was written down, the oldest first.
    pub changes: Vec<LineageEntry>,
}

impl Workspace {
    /// What changed a row, or one of its fields, up to a time or up to now, and what the row was then. A key that several connections have
    /// rows of tells of all of them.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a table or a key nobody knows, and for a field that the row never had: it names those there are.
    pub async fn history(
        &self,
        entity: impl Into<EntityType>,
        key: &str,
        field: Option<&str>,
        at: Option<DateTime<Utc>>,
    ) -> Result<History> {
        let entity = entity.into();
        let types = self.store.entity_types().await?;
        if !types.contains(&entity) {
            return Err(table_unknown(&entity, &types));
        }
        let mut changes = self.store.lineage(&entity, key, None).await?;
        let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
        let mut now = self.store.entities(&entity, query).await?.into_iter().next().map(|row| row.fields);
        if let Some(row) = &mut now {
            let hidden = hidden_fields(&changes, &self.writers(&entity).await?, &self.engine.transforms);
            self.veil(row, &hidden).await?;
        }
        if now.is_none() && changes.is_empty() {
            let near = self.near(&entity, key, None).await?.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let text = format!("{entity} has no row with the key {key:?}, and never had one that was written down{near}");
            return Err(Error::new(ErrorKind::NotFound, "history", text));
        }
        let (row, known) = match at.map(|at| then(&changes, at)) {
            None => (now.clone(), true),
            Some(Then::Row(row)) => (Some(row), true),
            Some(Then::Absent) => (None, true),
            Some(Then::Unknown) => (None, false),
        };
        if let Some(field) = field {
            let of_row = now.iter().flat_map(|row| row.keys().map(String::as_str));
            let known: Vec<&str> = of_row.chain(changes.iter().map(|change| &*change.field_name)).collect();
            if !known.contains(&field) {
                return Err(field_unknown(&entity, field, known));
            }
            changes.retain(|change| *change.field_name == *field);
        }
        changes.retain(|change| at.is_none_or(|at| change.changed_at <= at));
        let wanted = |name: &str| field.is_none_or(|field| field == name);
        let row = row.map(|row| row.into_iter().filter(|(name, _)| wanted(name)).collect());
        Ok(History { entity, key: key.into(), as_of: at, row, known, changes })
    }
}

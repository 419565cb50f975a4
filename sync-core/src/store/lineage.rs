//! Where values came from.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Change, Fence, LineageLine, LiveRow};
use crate::{
    EntityType, Place, Result, RunId, Source,
    mapping::{Mapping, Rule},
};

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
    /// What decided; `None` of runs from before that was kept.
    #[serde(default)]
    pub rule: Option<Rule>,
}

/// By what the changes of a run were decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRules {
    /// Whose word counted.
    pub rule: Rule,
    /// The mapping its values came through, as it was then; `None` where there was none, and when a newer version of this library wrote it.
    pub mapping: Option<Mapping>,
}

/// Changes to be written down that others have made.
#[derive(Clone, Debug)]
pub struct RecordChanges {
    /// The run's.
    pub fence: Fence,
    /// The entity type of all of them.
    pub entity: EntityType,
    /// Where the values come from.
    pub source: Arc<Source>,
    /// Field by field, in their order; old and new values are JSON texts.
    pub changes: Vec<Change>,
    /// When.
    pub at: DateTime<Utc>,
}

impl RecordChanges {
    /// What decided about the changes.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self.source.rule {
            Rule::SourceOfTruth => Rule::Recorded,
            rule => rule,
        }
    }
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

/// The rows that a run changed.
#[derive(Clone, Debug)]
pub struct RunRows {
    /// The kind of table; of a managed one without its key.
    pub place: Place,
    /// The keys of its rows, each once, in the order the storage reads them best in.
    pub keys: Vec<Box<str>>,
    /// Whether lines may be missing: the run is older than lineage is kept.
    pub pruned: bool,
    /// The fields whose values lines have as hashes alone, in small letters. Rows that are there have them as they are.
    pub sensitive: BTreeSet<Box<str>>,
}

impl RunRows {
    /// Of a run that changed nothing.
    #[must_use]
    pub fn none(place: Place) -> Self {
        Self { place, keys: Vec::new(), sensitive: BTreeSet::new(), pruned: false }
    }
}

/// Reads lineage.
#[async_trait]
pub trait LineageStore: Debug + Send + Sync {
    /// Writes lines about changes that were made already, by others than this library, to rows of the host; the source and whoever asked for
    /// the run are the lines'. In one transaction, under the run's fence.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when the entity type is not known here; [`LeaseLost`](crate::ErrorKind::LeaseLost);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot.
    async fn record_changes(&self, record: RecordChanges) -> Result<()> {
        let _ = record;
        Err(crate::Error::unsupported("record_changes"))
    }

    /// The rows that a run made, changed or deleted, as far as it kept lineage; `None` when there is no such run. Refused when there are more
    /// than `limit`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) beyond `limit`; [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot tell.
    async fn run_rows(&self, run: RunId, limit: u32) -> Result<Option<RunRows>> {
        let _ = (run, limit);
        Err(crate::Error::unsupported("run_rows"))
    }

    /// The histories of rows with these [keys](RunRows::keys) of a run, in the order of the keys.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that cannot tell.
    async fn row_histories(&self, run: RunId, keys: &[Box<str>]) -> Result<Vec<RowHistory>> {
        let _ = (run, keys);
        Err(crate::Error::unsupported("row_histories"))
    }

    /// By what a run's changes were decided; `None` when that is not known: of runs that changed nothing, and of those from before it was
    /// kept.
    async fn run_rules(&self, run: RunId) -> Result<Option<RunRules>> {
        let _ = run;
        Ok(None)
    }

    /// What lineage of this workspace shows of values, each JSON text, where they are those of sensitive fields: their hashes, and null of
    /// null. So it can be told whether a value was ever there.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) from storages that hide nothing.
    async fn hidden(&self, values: Vec<Box<str>>) -> Result<Vec<Box<str>>> {
        let _ = values;
        Err(crate::Error::unsupported("hidden"))
    }

    /// The history of an entity, or of one of its fields, the oldest first. Values of sensitive fields are told as their hashes.
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>>;
}

/// What the history of a row tells of it at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// It was there, with these fields that were not null, as far as they are known.
    Row(serde_json::Map<String, serde_json::Value>),
    /// It was not there: it had been deleted, or was made later.
    Absent,
    /// Nothing was written down that would tell.
    Unknown,
}

/// A row as it was at a time, from its history ([`LineageStore::lineage`]). What a change after that time found was there before it, unless
/// the row went in between. What was changed without lineage, or by others who did not say so, is not known here.
#[must_use]
pub fn then(history: &[LineageEntry], at: DateTime<Utc>) -> Then {
    let mut fields = serde_json::Map::new();
    let mut met = BTreeSet::new();
    // Of the last change up to then whether it left a row.
    let mut there = None;
    for entry in history.iter().filter(|entry| entry.changed_at <= at) {
        met.insert(&*entry.field_name);
        there = Some(entry.new_value.is_some());
        match &entry.new_value {
            Some(value) if !value.is_null() => drop(fields.insert(entry.field_name.to_string(), value.clone())),
            Some(_) | None => drop(fields.remove(&*entry.field_name)),
        }
    }
    if there == Some(false) {
        return Then::Absent;
    }
    let later: Vec<&LineageEntry> = history.iter().filter(|entry| entry.changed_at > at).collect();
    let ends = later.iter().find(|entry| entry.new_value.is_none()).map(|entry| entry.seq);
    for entry in later.into_iter().take_while(|entry| ends.is_none_or(|ends| entry.seq <= ends)) {
        match &entry.previous_value {
            // The row was made after that.
            None if there.is_none() => return Then::Absent,
            None => break,
            Some(previous) => {
                there = Some(true);
                if met.insert(&*entry.field_name) && !previous.is_null() {
                    fields.insert(entry.field_name.to_string(), previous.clone());
                }
            }
        }
    }
    if there.is_some() { Then::Row(fields) } else { Then::Unknown }
}

/// The fields of a row as it was at a time; `None` when there was no row, or [nobody knows](then).
#[must_use]
pub fn as_of(history: &[LineageEntry], at: DateTime<Utc>) -> Option<serde_json::Map<String, serde_json::Value>> {
    match then(history, at) {
        Then::Row(fields) => Some(fields),
        Then::Absent | Then::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_row_is_what_its_last_changes_up_to_then_made_of_it() {
        let minute = |n: i64| DateTime::UNIX_EPOCH + chrono::Duration::minutes(n);
        let entry = |field: &str, old: Option<Value>, new: Option<Value>, at: i64| LineageEntry {
            seq: at,
            entity_type: "x".into(),
            entity_id: "k".into(),
            field_name: field.into(),
            source_type: "api".into(),
            source_id: "s".into(),
            source_ref: None,
            previous_value: old,
            new_value: new,
            sync_run_id: RunId(1),
            changed_by: "t".into(),
            changed_at: minute(at),
            rule: None,
        };
        let history = [
            entry("a", None, Some(json!(1)), 1),
            entry("b", None, Some(json!("x")), 1),
            entry("a", Some(json!(1)), Some(json!(2)), 3),
            entry("b", Some(json!("x")), Some(Value::Null), 3),
            entry("a", Some(json!(2)), None, 5),
            entry("a", None, Some(json!(9)), 7),
        ];
        let told = |at| as_of(&history, minute(at)).map(Value::from);
        assert_eq!(told(0), None);
        assert_eq!(told(1), Some(json!({ "a": 1, "b": "x" })));
        assert_eq!(told(4), Some(json!({ "a": 2 })));
        assert_eq!(told(5), None, "it was gone");
        assert_eq!(told(9), Some(json!({ "a": 9 })));
        assert_eq!(then(&history, minute(0)), Then::Absent, "it was made later");
        assert_eq!(then(&history, minute(6)), Then::Absent, "it was gone");
        assert_eq!(then(&[], minute(6)), Then::Unknown, "nothing was written down");
        // How it began is not written down, as it is of rows of the host: what the first changes found was there before.
        let begun = |at| match then(&history[2..5], minute(at)) {
            Then::Row(fields) => Value::from(fields),
            other => panic!("there was a row: {other:?}"),
        };
        assert_eq!((begun(0), begun(2)), (json!({ "a": 1, "b": "x" }), json!({ "a": 1, "b": "x" })));
        assert_eq!(begun(4), json!({ "a": 2 }));
        // Of what a field was between two lives the second one tells nothing.
        let again = [history[0].clone(), history[4].clone(), entry("b", Some(json!(1)), Some(json!(2)), 8)];
        assert_eq!(
            (then(&again, minute(2)), then(&again, minute(6))),
            (Then::Row(json!({ "a": 1 }).as_object().expect("an object").clone()), Then::Absent)
        );
    }
}

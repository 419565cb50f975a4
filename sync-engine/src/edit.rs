//! Changes that people make: written by hand, or only written down.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sync_core::{
    ConnectionId, Counts, Direction, Duplicates, EntityType, Error, ErrorKind, Operation, Outcome, Place, RecordBatch, Result, RunError,
    Source, Target, WriteMode,
    mapping::Rule,
    store::{
        Begin, Change, EDIT, EntityQuery, Feed, Fence, NewRun, PageCommit, PartitionBatch, RecordChanges, Run, RunEnd, RunStatus, as_of,
    },
};

use crate::Workspace;

/// New values for fields of one row.
///
/// ```
/// # use sync_engine::Edit;
/// let edit = Edit::of("partner", "anna@example.com").set("city", "Ulm").by("ben");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Edit {
    entity: EntityType,
    key: Box<str>,
    connection: Option<ConnectionId>,
    fields: Map<String, Value>,
    by: Option<Box<str>>,
}

impl Edit {
    /// Of the row with this key.
    pub fn of(entity: impl Into<EntityType>, key: impl Into<Box<str>>) -> Self {
        Self { entity: entity.into(), key: key.into(), connection: None, fields: Map::new(), by: None }
    }

    /// Sets a field; null clears it.
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(field.into(), value.into());
        self
    }

    /// Whose row it is, where a stream's own table may hold the same key for several connections.
    pub fn from(mut self, connection: impl Into<ConnectionId>) -> Self {
        self.connection = Some(connection.into());
        self
    }

    /// Who made it, for the record; by default who the workspace [acts](crate::Workspace::acting) for, or `manual`.
    pub fn by(mut self, who: impl Into<Box<str>>) -> Self {
        self.by = Some(who.into());
        self
    }
}

/// A change that the host made to a row of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct EditedField {
    /// The row's key.
    pub key: Box<str>,
    /// The field.
    pub field: Box<str>,
    /// Before.
    pub old: Value,
    /// After.
    pub new: Value,
}

impl Workspace {
    /// Changes a row that is there on somebody's behalf, and writes that down: lineage says who. Sources go on to write the row by their
    /// authority; a push sends what was changed.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such row; [`Config`](ErrorKind::Config) when the row of a stream's own table is
    /// meant and its connection is not named; [`Invalid`](ErrorKind::Invalid) when the table refuses the value, or the key would change.
    pub async fn edit(&self, edit: Edit) -> Result<Run> {
        let by = self.asked_by(edit.by.as_deref());
        let at = |error: Error| error.at("entity", edit.entity.as_str()).at("key", &*edit.key);
        let place = self.store.place(&edit.entity).await?;
        let place =
            place.ok_or_else(|| at(Error::new(ErrorKind::NotFound, "edit", format!("nothing is known of {} here", edit.entity))))?;
        if place == Place::Stream && edit.connection.is_none() {
            return Err(at(Error::config("edit", "rows of this table belong to connections; say from which one it is")));
        }
        let query = EntityQuery { key: Some(edit.key.clone()), connection: edit.connection.clone(), limit: 2, ..EntityQuery::default() };
        let row = self.store.entities(&edit.entity, query).await?.into_iter().next();
        let row = row.ok_or_else(|| at(Error::new(ErrorKind::NotFound, "edit", "there is no row with this key")))?;
        let mut batch = RecordBatch::default();
        let key = place.key().iter().filter_map(|field| row.fields.get_key_value(&**field));
        let cells: BTreeMap<&str, String> = key.chain(&edit.fields).map(|(field, value)| (field.as_str(), value.to_string())).collect();
        if place.key().iter().any(|field| edit.fields.get(&**field).is_some_and(|new| row.fields.get(&**field) != Some(new))) {
            return Err(at(Error::new(ErrorKind::Invalid, "edit", "a row's key cannot be changed")));
        }
        let names: Vec<usize> = cells.keys().map(|field| batch.name(field)).collect();
        let mut draft = batch.record();
        names.into_iter().zip(cells.values()).for_each(|(name, json)| draft.made(name, json));
        draft.finish(&*edit.key, Operation::Upsert, None);
        let feed = Feed {
            connection: edit.connection.clone().unwrap_or_else(|| "".into()),
            stream: edit.entity.as_str().into(),
            mapping: "".into(),
        };
        let target = Target {
            entity: edit.entity.clone(),
            place,
            fields: Arc::from([]),
            rules: Arc::default(),
            duplicates: Duplicates::LastWins,
            lineage: true,
            source: source(&by, Rule::ByHand),
            pushes: Arc::default(),
            mode: WriteMode::ByHand,
        };
        let (this, commit_feed) = (self, feed.clone());
        self.by_run(feed, edit.entity.clone(), &by, async |fence, now| {
            let page = PageCommit {
                fence,
                feed: commit_feed.clone(),
                target: Arc::new(target.clone()),
                batches: vec![PartitionBatch { partition: "".into(), batch: batch.clone(), present: Vec::new() }],
                failures: Vec::new(),
                before: Counts::default(),
                scan: None,
                cursors: Vec::new(),
                events: Vec::new(),
                expects: None,
                at: now,
            };
            let report = this.store.commit(page).await?;
            match report.failures.first() {
                Some(failure) if report.counts.failed > 0 => Err(Error::new(ErrorKind::Invalid, "edit", failure.error.to_string())),
                _ => Ok(()),
            }
        })
        .await
        .map_err(at)
    }

    /// Writes down what the host has changed in rows of its own tables: lineage says who. Nothing else is written.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the table was never registered here.
    pub async fn record_edits(&self, entity: impl Into<EntityType>, by: &str, edits: Vec<EditedField>) -> Result<Run> {
        let entity = entity.into();
        let feed = Feed { connection: "".into(), stream: entity.as_str().into(), mapping: "".into() };
        let text = |value: &Value| Some(value.to_string().into());
        let changed = edits.iter().filter(|edit| edit.old != edit.new).map(|edit| Change {
            entity: edit.key.clone(),
            field: edit.field.clone(),
            old: text(&edit.old),
            new: text(&edit.new),
            rule: Rule::Recorded,
        });
        let changes: Vec<Change> = changed.collect();
        self.by_run(feed, entity.clone(), by, async |fence, at| {
            let record = RecordChanges { fence, entity: entity.clone(), source: source(by, Rule::Recorded), changes: changes.clone(), at };
            self.store.record_changes(record).await
        })
        .await
    }

    /// A row as it was at a time, as far as its lineage tells; `None` when there was none.
    pub async fn entity_as_of(&self, entity: impl Into<EntityType>, key: &str, at: DateTime<Utc>) -> Result<Option<Map<String, Value>>> {
        Ok(as_of(&self.store.lineage(&entity.into(), key, None).await?, at))
    }

    /// Does something under a run of its own, which says who did it and when.
    async fn by_run(
        &self,
        feed: Feed,
        entity: EntityType,
        by: &str,
        work: impl AsyncFnOnce(Fence, DateTime<Utc>) -> Result<()>,
    ) -> Result<Run> {
        let at = self.engine.shared.clock.now();
        let direction = Direction::FromExternal;
        let new = NewRun { feed, direction, entity, job_type: EDIT, exclusive: false, triggered_by: by.into(), at };
        let fence = match self.store.begin_run(new).await? {
            Begin::Started(fence) => fence,
            Begin::Busy(_) => return Err(Error::new(ErrorKind::Conflict, "edit", "another edit of this table is under way; try again")),
        };
        let worked = work(fence, at).await;
        let end = RunEnd {
            status: if worked.is_ok() { RunStatus::Completed } else { RunStatus::Failed },
            outcome: if worked.is_ok() { Outcome::Ok } else { Outcome::Failed },
            errors: worked.as_ref().err().map(RunError::new).into_iter().collect(),
            failures: Vec::new(),
            counts_against_connection: false,
            revoked: false,
            gone: Vec::new(),
            look: None,
            at: self.engine.shared.clock.now(),
        };
        let ended = self.store.end_run(fence, end.clone()).await;
        if ended.is_err() {
            self.engine.unended.keep(&self.id, fence, end);
        }
        worked?;
        ended
    }
}

fn source(by: &str, rule: Rule) -> Arc<Source> {
    Arc::new(Source { kind: "app".into(), id: by.into(), rule, ..Source::default() })
}

//! Writing rows: each field is decided by the core's `decide`, for a stream's own table as for mapped ones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use syncline::core::{
    Duplicates, Error, ErrorKind, Operation, Place, Record, RecordBatch, RecordFailure, Result, RunId, WorkspaceId, join_key, key_text,
    mapping::{Decision, Rule, Stored, decide},
    store::{Change, CommitReport, Gone, LineageEntry, PageCommit, PartitionBatch, Preview},
};

use super::{FeedKey, Link, RowKey, World, feed_key};

/// One field as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) json: Box<str>,
    pub(super) priority: Option<i32>,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) fields: BTreeMap<Box<str>, Field>,
    pub(super) written: DateTime<Utc>,
}

impl Row {
    /// The JSON text of a field; a field that was never set is null.
    pub(super) fn json(&self, field: &str) -> &str {
        self.fields.get(field).map_or("null", |field| &field.json)
    }
}

/// The rows of an entity type in one workspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Whether mappings feed it; otherwise it is a stream's own.
    pub(super) mapped: bool,
    pub(super) rows: BTreeMap<RowKey, Row>,
}

/// A value as people see it. Numbers that no `Value` holds to the last digit are shown as text.
pub(super) fn shown(json: &str) -> Value {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Number(number)) if number.to_string() == json => Value::Number(number),
        Ok(Value::Number(_)) | Err(_) => Value::String(json.into()),
        Ok(value) => value,
    }
}

/// What a commit has done so far.
pub(super) struct Work<'a> {
    pub(super) world: &'a mut World,
    pub(super) workspace: &'a WorkspaceId,
    pub(super) feed: FeedKey,
    commit: &'a PageCommit,
    report: CommitReport,
    changes: Vec<Change>,
    gone: Vec<Gone>,
    /// Keys of this commit's records so far.
    taken: BTreeSet<RowKey>,
}

/// Writes a commit, or shows what it would write: the caller keeps or drops the world.
pub(super) fn write(world: &mut World, workspace: &WorkspaceId, commit: &PageCommit) -> Result<Preview> {
    let target = &commit.target;
    if let Place::Host(_) = target.place {
        return Err(Error::unsupported("commit"));
    }
    let mapped = matches!(target.place, Place::Managed { .. });
    let table = world.tables.entry((workspace.clone(), target.entity.clone())).or_insert(Table { mapped, ..Table::default() });
    if table.mapped != mapped {
        let text = format!("rows of {} are keyed in another way; choose another name", target.entity);
        return Err(Error::config("commit", text));
    }
    let feed = feed_key(workspace, &commit.feed);
    let report = CommitReport::default();
    let mut work = Work { world, workspace, feed, commit, report, changes: Vec::new(), gone: Vec::new(), taken: BTreeSet::new() };
    for (number, part) in commit.batches.iter().enumerate() {
        for (at, record) in part.batch.records().iter().enumerate() {
            work.report.counts.read += 1;
            work.record(part, record, (number, at));
        }
        for id in &part.present {
            work.show_all(id);
        }
    }
    let Work { mut report, changes, gone, .. } = work;
    report.counts.add(&commit.before);
    if !report.counts.balanced() {
        return Err(Error::new(ErrorKind::Internal, "commit", format!("the counts do not add up: {:?}", report.counts)));
    }
    for moved in &commit.cursors {
        world.move_cursor(workspace, &commit.feed, moved);
    }
    let failures: Vec<RecordFailure> = commit.failures.iter().chain(&report.failures).cloned().collect();
    world.book(workspace, commit.fence.run, &report.counts, &failures, &commit.events);
    Ok(Preview { report, changes, gone, ..Preview::default() })
}

fn about(failure: RecordFailure, record: &Record) -> RecordFailure {
    failure.at_row(record.position).of_record(record.id.as_str())
}

impl Work<'_> {
    fn record(&mut self, part: &PartitionBatch, record: &Record, place: (usize, usize)) {
        let key = match self.key(&part.batch, record) {
            Ok(key) => key,
            Err(field) => {
                self.show_all(&record.id);
                let warning = RecordFailure::warning("the key field has no value; the record was left out").in_column(field);
                return self.skip(about(warning, record));
            }
        };
        if record.operation == Operation::Delete && self.last_word(&key, place) {
            return self.delete(part, record);
        }
        let twice = match self.commit.target.duplicates {
            Duplicates::LastWins if !self.last_word(&key, place) => {
                self.show_all(&record.id);
                self.report.counts.skipped += 1;
                return;
            }
            Duplicates::LastWins => false,
            Duplicates::FirstWins => !self.taken.insert(key.clone()) || self.shown_before(&key),
        };
        if twice {
            return self.skip(about(RecordFailure::warning("the key stands twice in this scan; the first record counts"), record));
        }
        match self.upsert(part, record, &key) {
            Ok(true) => self.link(part, record, key),
            Ok(false) => {
                let warning = RecordFailure::warning("there is no row with this key, and this source may not make it");
                self.skip(about(warning, record));
            }
            Err(field) => {
                self.show_all(&record.id);
                self.report.counts.failed += 1;
                self.report.failures.push(about(RecordFailure::error("the value is not valid JSON text").in_column(field), record));
            }
        }
    }

    /// The key of a record's row, or the field that is missing.
    fn key(&self, batch: &RecordBatch, record: &Record) -> std::result::Result<RowKey, Box<str>> {
        let Place::Managed { key } = &self.commit.target.place else {
            return Ok((record.id.as_str().into(), Some(self.commit.feed.connection.clone())));
        };
        if record.operation == Operation::Delete {
            return Ok((record.id.as_str().into(), None));
        }
        let part = |field| batch.cell(record, field).and_then(key_text).ok_or_else(|| Box::<str>::from(field));
        let parts = key.iter().map(AsRef::as_ref).map(part).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok((join_key(parts.iter().map(AsRef::as_ref)).into(), None))
    }

    /// Whether no later record of this commit has the same key.
    fn last_word(&self, key: &RowKey, (part, at): (usize, usize)) -> bool {
        let later = self.commit.batches.iter().enumerate().skip(part).flat_map(|(number, other)| {
            let from = if number == part { at + 1 } else { 0 };
            other.batch.records().iter().skip(from).map(move |record| (&other.batch, record))
        });
        !later.into_iter().any(|(batch, record)| self.key(batch, record).as_ref() == Ok(key))
    }

    fn shown_before(&self, key: &RowKey) -> bool {
        let (Some(scan), entity) = (self.commit.scan, &self.commit.target.entity) else { return false };
        let mut links = self.world.links.iter();
        links.any(|((feed, of, _, row), link)| *feed == self.feed && of == entity && row == key && link.shown == Some(scan))
    }

    fn skip(&mut self, warning: RecordFailure) {
        self.report.counts.skipped += 1;
        self.report.failures.push(warning);
    }

    /// Whatever a record stands behind is there.
    fn show_all(&mut self, id: &syncline::core::RecordId) {
        for ((feed, entity, record, _), link) in &mut self.world.links {
            if *feed == self.feed && *entity == self.commit.target.entity && record == id {
                link.shown = self.commit.scan.or(link.shown);
            }
        }
    }

    fn link(&mut self, part: &PartitionBatch, record: &Record, key: RowKey) {
        let place = (self.feed.clone(), self.commit.target.entity.clone(), record.id.clone(), key);
        let link = self.world.links.entry(place).or_insert(Link { partition: part.partition.clone(), shown: None });
        link.partition = part.partition.clone();
        link.shown = self.commit.scan.or(link.shown);
    }

    /// Writes what a record says anew. Answers whether there is a row afterwards, or the field that cannot be taken.
    fn upsert(&mut self, part: &PartitionBatch, record: &Record, key: &RowKey) -> std::result::Result<bool, Box<str>> {
        let (target, batch) = (&self.commit.target, &part.batch);
        let whose = (self.workspace.clone(), target.entity.clone());
        let before = self.world.tables.get(&whose).and_then(|table| table.rows.get(key)).cloned();
        let keys: &[Box<str>] = match &target.place {
            Place::Managed { key } => key,
            Place::Stream | Place::Host(_) => &[],
        };
        let mut row = before.clone().unwrap_or(Row { fields: BTreeMap::new(), written: self.commit.at });
        let mut changes = Vec::new();
        for (name, json) in batch.cells(record) {
            let field: Box<str> = batch.names()[name].as_ref().into();
            if serde_json::from_str::<Value>(json).is_err() {
                return Err(field);
            }
            let rule = target.rules.get(&field).copied().unwrap_or_default();
            let known = row.fields.get(&field);
            let stored = match known {
                Some(known) => Some(Stored { value: &known.json, priority: known.priority }),
                None => before.as_ref().map(|_| Stored { value: "null", priority: None }),
            };
            let decision = decide(rule, stored, Some(json));
            let priority = decision.priority(rule, stored);
            if decision == Decision::Write {
                changes.push((field.clone(), known.map(|known| known.json.clone()), json, decision.rule()));
                row.fields.insert(field, Field { json: json.into(), priority });
            } else if let Some(known) = row.fields.get_mut(&field) {
                known.priority = priority;
            }
        }
        if before.is_none() && changes.is_empty() && !keys.is_empty() {
            return Ok(false);
        }
        if before.is_none() {
            // A new row needs its key, whoever is the truth about it.
            for field in keys {
                if let (false, Some(json)) = (row.fields.contains_key(field), batch.cell(record, field)) {
                    changes.push((field.clone(), None, json, Rule::SourceOfTruth));
                    row.fields.insert(field.clone(), Field { json: json.into(), priority: None });
                }
            }
        }
        let counts = &mut self.report.counts;
        match (&before, changes.is_empty()) {
            (None, _) => counts.created += 1,
            (Some(_), false) => counts.updated += 1,
            (Some(_), true) => counts.unchanged += 1,
        }
        if !changes.is_empty() {
            row.written = self.commit.at;
        }
        let was = before.is_some();
        for (field, old, new, rule) in changes {
            let old = was.then(|| old.unwrap_or_else(|| "null".into()));
            self.change(key, &field, old.as_deref(), Some(new), rule);
        }
        if !target.pushes.is_empty() {
            self.world.agree(&self.feed, &target.pushes, (batch, record), &key.0, (before.as_ref(), &row));
        }
        self.world.tables.entry(whose).or_default().rows.insert(key.clone(), row);
        Ok(true)
    }

    fn delete(&mut self, part: &PartitionBatch, record: &Record) {
        let own = |(feed, entity, id, _): &(FeedKey, _, _, RowKey)| {
            *feed == self.feed && *entity == self.commit.target.entity && *id == record.id
        };
        let links: Vec<RowKey> = self.world.links.keys().filter(|link| own(link)).map(|link| link.3.clone()).collect();
        if links.is_empty() {
            self.report.counts.unchanged += 1;
            return;
        }
        self.report.counts.deleted += 1;
        for key in links {
            self.gone.push(Gone { entity: key.0.clone(), record: record.id.clone(), partition: part.partition.clone() });
            for (field, old) in self.world.unlink(self.workspace, &self.feed, &self.commit.target.entity, &record.id, &key) {
                self.change(&key, &field, Some(&old), None, Rule::Deleted);
            }
        }
    }

    /// Writes a change down, in lineage and for a preview.
    fn change(&mut self, key: &RowKey, field: &str, old: Option<&str>, new: Option<&str>, rule: Rule) {
        let (entity, field) = (key.0.clone(), Box::from(field));
        if !(old.is_none() && new == Some("null")) {
            self.world.trace(self.workspace, self.commit.fence.run, self.commit, (key, &field), old, new);
        }
        self.changes.push(Change { entity, field, old: old.map(Into::into), new: new.map(Into::into), rule });
    }
}

/// What lineage needs to know of a commit or a sweep.
pub(super) trait Traced {
    fn target(&self) -> &syncline::core::Target;
    fn at(&self) -> DateTime<Utc>;
}

impl Traced for PageCommit {
    fn target(&self) -> &syncline::core::Target {
        &self.target
    }

    fn at(&self) -> DateTime<Utc> {
        self.at
    }
}

impl World {
    /// Adds an entry to lineage, if the target keeps one.
    pub(super) fn trace(
        &mut self,
        workspace: &WorkspaceId,
        run: RunId,
        of: &impl Traced,
        (key, field): (&RowKey, &str),
        old: Option<&str>,
        new: Option<&str>,
    ) {
        let (target, changed_at) = (of.target(), of.at());
        if !target.lineage {
            return;
        }
        let entry = LineageEntry {
            seq: self.number(),
            entity_type: target.entity.clone(),
            entity_id: key.0.clone(),
            field_name: field.into(),
            source_type: target.source.kind.clone(),
            source_id: target.source.id.clone(),
            source_ref: target.source.refs.get(field).cloned(),
            previous_value: old.map(shown),
            new_value: new.map(shown),
            sync_run_id: run,
            changed_by: self.runs.get(&run).map(|kept| kept.run.triggered_by.clone()).unwrap_or_default(),
            changed_at,
            rule: Some(target.decided_by().of_change(new.is_none())),
        };
        self.lineage.push((workspace.clone(), entry));
    }
}

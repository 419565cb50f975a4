//! What checks share: an open storage, runs, and pages made from JSON.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use sync_core::{
    Counts, Cursor, Direction, Duplicates, FieldRule, Operation, Outcome, PartitionId, Place, RecordBatch, Source, Target,
    store::{
        Begin, CommitReport, CursorMove, Entity, EntityQuery, Feed, Fence, NewConnection, NewRun, PageCommit, PartitionBatch, Run, RunEnd,
        RunStatus, Storage, Sweep, SweepReport, WorkspaceStore,
    },
};

use super::{
    Database, StorageFixture,
    check::{broken, there},
};
use crate::suite::Finding;

/// An empty database, and an open handle to it.
pub(super) struct Scene {
    pub(super) database: Box<dyn Database>,
    pub(super) storage: Arc<dyn Storage>,
}

impl Scene {
    pub(super) async fn open(fixture: &dyn StorageFixture) -> Result<Self, Finding> {
        let database = fixture.fresh().await?;
        let storage = database.open().await?;
        Ok(Self { database, storage })
    }

    /// The workspace most checks are about.
    pub(super) fn acme(&self) -> Arc<dyn WorkspaceStore> {
        self.storage.workspace(&"acme".into())
    }

    /// Another one.
    pub(super) fn globex(&self) -> Arc<dyn WorkspaceStore> {
        self.storage.workspace(&"globex".into())
    }

    /// A run of `acme`.
    pub(super) async fn begin(&self, feed: &Feed, target: &Target) -> Result<Pull, Finding> {
        begin(self.acme(), feed, target).await
    }
}

/// Minutes after a fixed time.
pub(super) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::minutes(minute)
}

pub(super) fn connection(id: &str, account: &str) -> NewConnection {
    NewConnection {
        id: id.into(),
        provider: "slack".into(),
        subject_id: Some("client".into()),
        account_id: account.into(),
        account_name: Some("Account".into()),
        connected_by: Some("someone".into()),
        oauth_provider: Some("slack".into()),
        settings: serde_json::json!({"channels": ["a"]}),
        sync_frequency_minutes: 60,
        credentials: None,
        over: None,
        at: at(0),
    }
}

pub(super) fn feed(connection: &str, stream: &str) -> Feed {
    Feed { connection: connection.into(), stream: stream.into(), mapping: "".into() }
}

pub(super) fn mapped(connection: &str) -> Feed {
    Feed { connection: connection.into(), stream: "s".into(), mapping: "m".into() }
}

/// A stream's own table.
pub(super) fn plain(entity: &str) -> Target {
    Target {
        mode: Default::default(),
        entity: entity.into(),
        place: Place::Stream,
        fields: Arc::from([]),
        rules: Arc::default(),
        duplicates: Duplicates::LastWins,
        lineage: true,
        source: Arc::new(Source { kind: "api".into(), id: "account/stream".into(), ..Source::default() }),
        pushes: Arc::default(),
    }
}

/// A table of people fed through mappings, keyed by `email`.
pub(super) fn people() -> Target {
    Target { place: Place::Managed { key: texts(&["email"]) }, ..plain("people") }
}

pub(super) fn texts(texts: &[&str]) -> Arc<[Box<str>]> {
    texts.iter().map(|text| Box::from(*text)).collect()
}

pub(super) fn rules(rules: &[(&str, FieldRule)]) -> Arc<BTreeMap<Box<str>, FieldRule>> {
    Arc::new(rules.iter().map(|(field, rule)| (Box::from(*field), *rule)).collect())
}

/// One record: its id and its fields, or `None` for a deletion.
pub(super) type Row<'a> = (&'a str, Option<Value>);

pub(super) fn up(id: &str, fields: Value) -> Row<'_> {
    (id, Some(fields))
}

pub(super) fn gone(id: &str) -> Row<'_> {
    (id, None)
}

/// Records with these fields; their positions are 2, 3, …
pub(super) fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let mut batch = RecordBatch::default();
    for (n, (id, fields)) in rows.iter().enumerate() {
        let fields = fields.as_ref().map(|fields| fields.as_object().cloned().unwrap_or_default());
        let operation = if fields.is_some() { Operation::Upsert } else { Operation::Delete };
        let cells: Vec<_> = fields.into_iter().flatten().map(|(name, value)| (batch.name(&name), value.to_string())).collect();
        let mut draft = batch.record();
        for (name, json) in &cells {
            draft.made(*name, json);
        }
        draft.finish(*id, operation, Some(n as u64 + 2));
    }
    batch
}

/// One record with one cell, as its JSON is written.
pub(super) fn raw(id: &str, field: &str, json: &str) -> RecordBatch {
    let mut batch = RecordBatch::default();
    let name = batch.name(field);
    let mut draft = batch.record();
    draft.made(name, json);
    draft.finish(id, Operation::Upsert, Some(2));
    batch
}

pub(super) fn part(partition: &str, batch: RecordBatch) -> PartitionBatch {
    PartitionBatch { partition: partition.into(), batch, present: Vec::new() }
}

pub(super) fn moved(partition: &str, state: &str, scan: u64) -> CursorMove {
    CursorMove { partition: partition.into(), cursor: Some(Cursor::new(1, state)), page: None, scan }
}

/// Created, updated, unchanged, skipped, failed, deleted.
pub(super) fn six(counts: &Counts) -> [u64; 6] {
    [counts.created, counts.updated, counts.unchanged, counts.skipped, counts.failed, counts.deleted]
}

pub(super) fn swept(known: u64, missing: u64, deleted: u64) -> SweepReport {
    SweepReport { known, missing, deleted }
}

pub(super) fn new_run(feed: &Feed, target: &Target) -> NewRun {
    NewRun {
        feed: feed.clone(),
        direction: Direction::FromExternal,
        entity: target.entity.clone(),
        job_type: "full",
        exclusive: false,
        triggered_by: "tester".into(),
        at: at(0),
    }
}

pub(super) fn ending(status: RunStatus) -> RunEnd {
    RunEnd {
        status,
        outcome: if status == RunStatus::Completed { Outcome::Ok } else { Outcome::Failed },
        errors: Vec::new(),
        failures: Vec::new(),
        counts_against_connection: status == RunStatus::Failed,
        revoked: false,
        gone: Vec::new(),
        look: None,
        at: at(59),
    }
}

pub(super) fn started(begun: Begin) -> Result<Fence, Finding> {
    match begun {
        Begin::Started(fence) => Ok(fence),
        Begin::Busy(run) => Err(broken(format!("a run was expected to start, but run {} of {:?} is under way", run.id, run.feed))),
    }
}

pub(super) async fn begin(store: Arc<dyn WorkspaceStore>, feed: &Feed, target: &Target) -> Result<Pull, Finding> {
    let fence = started(store.begin_run(new_run(feed, target)).await?)?;
    Ok(Pull { store, fence, feed: feed.clone(), target: Arc::new(target.clone()) })
}

/// Every row of an entity type; none for one that is unknown.
pub(super) async fn rows(store: &dyn WorkspaceStore, entity: &str) -> Result<Vec<Entity>, Finding> {
    let query = EntityQuery { limit: 100_000, ..EntityQuery::default() };
    match store.entities(&entity.into(), query).await {
        Err(error) if error.kind() == sync_core::ErrorKind::NotFound => Ok(Vec::new()),
        found => Ok(found?),
    }
}

/// A run of one feed into one target.
pub(super) struct Pull {
    pub(super) store: Arc<dyn WorkspaceStore>,
    pub(super) fence: Fence,
    pub(super) feed: Feed,
    pub(super) target: Arc<Target>,
}

impl Pull {
    pub(super) fn page(&self, batches: Vec<PartitionBatch>) -> PageCommit {
        PageCommit {
            expects: None,
            fence: self.fence,
            feed: self.feed.clone(),
            target: Arc::clone(&self.target),
            batches,
            failures: Vec::new(),
            before: Counts::default(),
            scan: None,
            cursors: Vec::new(),
            events: Vec::new(),
            at: at(1),
        }
    }

    /// A page of these rows in the one partition there is.
    pub(super) fn rows_page(&self, rows: &[Row<'_>]) -> PageCommit {
        self.page(vec![part("", batch(rows))])
    }

    pub(super) async fn commit(&self, rows: &[Row<'_>]) -> Result<CommitReport, Finding> {
        Ok(self.store.commit(self.rows_page(rows)).await?)
    }

    /// Commits rows and answers their counts; see [`six`].
    pub(super) async fn counts(&self, rows: &[Row<'_>]) -> Result<[u64; 6], Finding> {
        Ok(six(&self.commit(rows).await?.counts))
    }

    /// Commits a page of a scan.
    pub(super) async fn scan(&self, partition: &str, scan: u64, rows: &[Row<'_>]) -> Result<CommitReport, Finding> {
        let page = PageCommit { scan: Some(scan), ..self.page(vec![part(partition, batch(rows))]) };
        Ok(self.store.commit(page).await?)
    }

    pub(super) fn sweep_of(&self, scans: &[(&str, u64)]) -> Sweep {
        Sweep {
            fence: self.fence,
            feed: self.feed.clone(),
            target: Arc::clone(&self.target),
            scans: scans.iter().map(|(partition, scan)| (PartitionId::from(*partition), *scan)).collect(),
            max_share: 0.2,
            confirmed: false,
            at: at(2),
        }
    }

    /// A sweep that was confirmed.
    pub(super) async fn sweep(&self, scans: &[(&str, u64)]) -> Result<SweepReport, Finding> {
        Ok(self.store.sweep(Sweep { confirmed: true, ..self.sweep_of(scans) }).await?)
    }

    pub(super) async fn end(&self) -> Result<Run, Finding> {
        Ok(self.store.end_run(self.fence, ending(RunStatus::Completed)).await?)
    }

    /// All rows of the target by their key, as JSON objects.
    pub(super) async fn table(&self) -> Result<BTreeMap<String, Value>, Finding> {
        let rows = rows(&*self.store, self.target.entity.as_str()).await?;
        Ok(rows.into_iter().map(|row| (row.key.into(), Value::Object(row.fields))).collect())
    }

    /// One row of the target.
    pub(super) async fn row(&self, key: &str) -> Result<Value, Finding> {
        there(self.table().await?.remove(key), &format!("the row {key:?}"))
    }

    /// The history of a row: field, value before, value after.
    pub(super) async fn history(&self, key: &str) -> Result<Vec<(String, Option<Value>, Option<Value>)>, Finding> {
        let entries = self.store.lineage(&self.target.entity, key, None).await?;
        Ok(entries.into_iter().map(|entry| (entry.field_name.into(), entry.previous_value, entry.new_value)).collect())
    }
}

//! What the tests share: a storage in a folder of its own, commits from JSON, and the content of the file as text.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::Value;
use storage_sqlite::{SqliteStorage, rusqlite};
use sync_core::{
    Counts, Cursor, Direction, Duplicates, EntityType, Field, FieldRule, HostTable, Operation, Outcome, PartitionId, Place, RecordBatch,
    Result, Source, Target,
    store::{
        Begin, CommitReport, CursorMove, Entity, EntityQuery, Feed, Fence, NewRun, PageCommit, PartitionBatch, Preview, RunEnd, RunStatus,
        Storage as _, Sweep, SweepReport, WorkspaceStore,
    },
};

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.0.path().join("app.db")
    }
}

pub(crate) fn at(minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, minute, 0).single().expect("a time")
}

pub(crate) fn feed(connection: &str, stream: &str) -> Feed {
    Feed { connection: connection.into(), stream: stream.into(), mapping: "".into() }
}

pub(crate) fn mapped_feed(connection: &str, stream: &str, mapping: &str) -> Feed {
    Feed { mapping: mapping.into(), ..feed(connection, stream) }
}

pub(crate) fn target(entity: &str) -> Target {
    Target {
        mode: Default::default(),
        entity: entity.into(),
        place: Place::Stream,
        fields: Arc::from([]),
        rules: Arc::default(),
        duplicates: Duplicates::LastWins,
        lineage: true,
        source: Arc::new(Source { kind: "api".into(), id: "acc/stream".into(), ..Source::default() }),
        pushes: Arc::default(),
    }
}

pub(crate) fn managed(entity: &str, key: &[&str]) -> Target {
    Target { place: Place::Managed { key: key.iter().map(|name| Box::from(*name)).collect() }, ..target(entity) }
}

pub(crate) fn host(table: HostTable) -> Target {
    Target { entity: table.entity_type(), place: Place::Host(Arc::new(table)), ..target("") }
}

pub(crate) fn rules(rules: &[(&str, FieldRule)]) -> Arc<BTreeMap<Box<str>, FieldRule>> {
    Arc::new(rules.iter().map(|(field, rule)| (Box::from(*field), *rule)).collect())
}

pub(crate) fn typed(fields: &[Field]) -> Arc<[Field]> {
    fields.to_vec().into()
}

/// One record: its id and its fields, or `None` for a deletion.
pub(crate) type Row<'a> = (&'a str, Option<Value>);

pub(crate) fn up(id: &str, fields: Value) -> Row<'_> {
    (id, Some(fields))
}

pub(crate) fn gone(id: &str) -> Row<'_> {
    (id, None)
}

pub(crate) fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let cells: Vec<RawRow<'_>> = rows
        .iter()
        .map(|(id, fields)| {
            let fields = fields.as_ref().map(|fields| {
                fields.as_object().expect("fields are an object").iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
            });
            (*id, fields)
        })
        .collect();
    raw_batch(&cells)
}

/// One record as cells of JSON text.
pub(crate) type RawRow<'a> = (&'a str, Option<Vec<(String, String)>>);

/// A batch whose cells are JSON text as written.
pub(crate) fn raw_batch(rows: &[RawRow<'_>]) -> RecordBatch {
    let mut batch = RecordBatch::default();
    for (n, (id, fields)) in rows.iter().enumerate() {
        let names: Vec<(usize, &String)> = fields.iter().flatten().map(|(name, json)| (batch.name(name), json)).collect();
        let mut draft = batch.record();
        for (name, json) in names {
            draft.made(name, json);
        }
        let operation = if fields.is_some() { Operation::Upsert } else { Operation::Delete };
        draft.finish(*id, operation, Some(n as u64 + 2));
    }
    batch
}

pub(crate) fn part(partition: &str, batch: RecordBatch) -> PartitionBatch {
    PartitionBatch { partition: partition.into(), batch, present: Vec::new() }
}

/// A run of one feed into one target.
pub(crate) struct Run {
    pub(crate) store: Arc<dyn WorkspaceStore>,
    pub(crate) fence: Fence,
    pub(crate) feed: Feed,
    pub(crate) target: Arc<Target>,
}

pub(crate) async fn begin(storage: &SqliteStorage, workspace: &str, feed: &Feed, target: &Target) -> Run {
    let store = storage.workspace(&workspace.into());
    match store.begin_run(new_run(feed, target)).await.expect("the run is answered") {
        Begin::Started(fence) => Run { store, fence, feed: feed.clone(), target: Arc::new(target.clone()) },
        Begin::Busy(run) => panic!("run {} is under way", run.id),
    }
}

pub(crate) fn new_run(feed: &Feed, target: &Target) -> NewRun {
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

pub(crate) fn run_end(status: RunStatus) -> RunEnd {
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

impl Run {
    pub(crate) fn page(&self, batches: Vec<PartitionBatch>) -> PageCommit {
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

    pub(crate) async fn commit(&self, rows: &[Row<'_>]) -> CommitReport {
        self.try_commit(rows).await.expect("the commit goes through")
    }

    pub(crate) async fn try_commit(&self, rows: &[Row<'_>]) -> Result<CommitReport> {
        self.store.commit(self.page(vec![part("", batch(rows))])).await
    }

    /// Commits a page of a scan.
    pub(crate) async fn scan(&self, partition: &str, scan: u64, rows: &[Row<'_>]) -> CommitReport {
        let page = PageCommit { scan: Some(scan), ..self.page(vec![part(partition, batch(rows))]) };
        self.store.commit(page).await.expect("the commit goes through")
    }

    pub(crate) async fn preview(&self, rows: &[Row<'_>]) -> Preview {
        self.store.preview(self.page(vec![part("", batch(rows))]).into()).await.expect("the preview goes through")
    }

    pub(crate) fn sweep_of(&self, scans: &[(&str, u64)]) -> Sweep {
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

    pub(crate) async fn sweep(&self, scans: &[(&str, u64)], confirmed: bool) -> SweepReport {
        self.store.sweep(Sweep { confirmed, ..self.sweep_of(scans) }).await.expect("the sweep goes through")
    }

    pub(crate) async fn end(&self) -> sync_core::store::Run {
        self.store.end_run(self.fence, run_end(RunStatus::Completed)).await.expect("the run ends")
    }

    pub(crate) async fn rows(&self) -> Vec<Entity> {
        let query = EntityQuery { limit: 100_000, ..EntityQuery::default() };
        self.store.entities(&self.target.entity, query).await.unwrap_or_default()
    }

    /// All rows by their key, as JSON objects.
    pub(crate) async fn table(&self) -> BTreeMap<String, Value> {
        self.rows().await.into_iter().map(|row| (row.key.into(), Value::Object(row.fields))).collect()
    }
}

pub(crate) fn cursor(partition: &str, state: &str, scan: u64) -> CursorMove {
    CursorMove { partition: partition.into(), cursor: Some(Cursor::new(1, state)), page: None, scan }
}

pub(crate) fn counts(counts: &Counts) -> [u64; 6] {
    [counts.created, counts.updated, counts.unchanged, counts.skipped, counts.failed, counts.deleted]
}

/// Tables that tell how a run went, not what is stored.
const RUN_BOOKS: &[&str] =
    &["syncline_sync_runs", "syncline_sync_events", "syncline_sync_failures", "syncline_migrations", "sqlite_sequence"];

/// The content of the file: every row of every table but the runs' books, and all of the lineage view.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).expect("the file opens");
    let mut tables = conn.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").expect("a query");
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).expect("tables").map(|name| name.expect("a name")).collect();
    let mut lines = Vec::new();
    for table in tables.iter().filter(|table| !RUN_BOOKS.contains(&table.as_str())) {
        lines.extend(rows_of(&conn, table));
    }
    lines.extend(rows_of(&conn, "syncline_field_lineage"));
    lines
}

pub(crate) fn rows_of(conn: &rusqlite::Connection, table: &str) -> Vec<String> {
    let mut rows = conn.prepare(&format!("SELECT * FROM \"{table}\"")).expect("a query");
    let columns = rows.column_count();
    let mut lines: Vec<String> = rows
        .query_map([], |row| Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).expect("a value"))).collect::<Vec<_>>().join(" | ")))
        .expect("rows")
        .map(|line| format!("{table}: {}", line.expect("a row")))
        .collect();
    lines.sort();
    lines
}

/// One value straight from the file.
pub(crate) fn sql<T: rusqlite::types::FromSql>(path: &Path, query: &str) -> T {
    rusqlite::Connection::open(path).expect("the file opens").query_row(query, [], |row| row.get(0)).expect("one value")
}

pub(crate) fn execute(path: &Path, batch: &str) {
    rusqlite::Connection::open(path).expect("the file opens").execute_batch(batch).expect("the SQL runs");
}

pub(crate) fn entity(name: &str) -> EntityType {
    name.into()
}

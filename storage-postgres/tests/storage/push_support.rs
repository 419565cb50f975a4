//! What the tests of pushes share: a database with tables of the host's, runs both ways, commits from JSON, and the content as text.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use storage_postgres::PostgresStorage;
use sync_core::{
    Counts, Direction, Duplicates, Field, FieldRule, HostTable, Marker, Operation, Outcome, PartitionId, Place, PushMode, RecordBatch,
    RunId, Source, Target,
    store::{
        Begin, ChangedQuery, ChangedRows, CommitReport, Entity, EntityQuery, Feed, Fence, Intent, IntentFilter, IntentState, NewRun,
        PageCommit, PartitionBatch, Preview, PushCommit, PushLink, RunEnd, RunStatus, Settled, Storage as _, Sweep, SweepReport,
        WorkspaceStore,
    },
};
use sync_testkit::postgres::TestDatabase;
use tokio::sync::Mutex;

/// A database of a test's own, with a storage on it and the host's own connection.
pub(crate) struct Site {
    pub(crate) storage: PostgresStorage,
    host: Mutex<PgConnection>,
    pub(crate) database: TestDatabase,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let (database, storage) = crate::support::fresh().await;
        Self { storage, host: Mutex::new(database.connection().await), database }
    }

    /// Runs statements as the host.
    pub(crate) async fn execute(&self, batch: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(batch.to_owned())).execute(&mut *self.host.lock().await).await;
        done.unwrap_or_else(|error| panic!("{batch}: {error}"));
    }

    /// The first column of each row, as text.
    pub(crate) async fn column(&self, query: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(query.to_owned())).persistent(false).fetch_all(&mut *self.host.lock().await).await;
        rows.unwrap_or_else(|error| panic!("{query}: {error}"))
            .iter()
            .map(|row| row.get::<Option<String>, _>(0).unwrap_or_default())
            .collect()
    }

    /// Every row of a table as text, sorted.
    pub(crate) async fn rows_of(&self, table: &str) -> Vec<String> {
        let query = format!("SELECT '{table}: ' || to_json(t)::text FROM {table} t ORDER BY 1");
        self.column(&query).await
    }

    /// Every row of every table but the runs' books.
    pub(crate) async fn dump(&self) -> Vec<String> {
        let tables = self
            .column(
                "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind = 'r' AND n.nspname IN ('syncline', 'public') \
                 AND c.relname NOT IN ('sync_runs', 'sync_events', 'sync_failures', 'migrations') ORDER BY 1",
            )
            .await;
        let mut lines = Vec::new();
        for table in tables {
            lines.extend(self.rows_of(&table).await);
        }
        lines
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

pub(crate) fn typed(fields: &[Field]) -> Arc<[Field]> {
    fields.into()
}

pub(crate) fn rules(rules: &[(&str, FieldRule)]) -> Arc<BTreeMap<Box<str>, FieldRule>> {
    Arc::new(rules.iter().map(|(field, rule)| (Box::from(*field), *rule)).collect())
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

pub(crate) async fn begin(storage: &PostgresStorage, workspace: &str, feed: &Feed, target: &Target) -> Run {
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
        self.store.commit(self.page(vec![part("", batch(rows))])).await.expect("the commit goes through")
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

pub(crate) fn counts(counts: &Counts) -> [u64; 6] {
    [counts.created, counts.updated, counts.unchanged, counts.skipped, counts.failed, counts.deleted]
}

pub(crate) fn sends(target: Target, fields: &[&str]) -> Target {
    Target { pushes: fields.iter().map(|name| Box::from(*name)).collect(), ..target }
}

pub(crate) fn partners() -> HostTable {
    HostTable::new("partners").key("email").workspace_column("tenant")
}

/// A run to the service.
pub(crate) struct Push {
    pub(crate) store: Arc<dyn WorkspaceStore>,
    pub(crate) commit: PushCommit,
    pub(crate) target: Arc<Target>,
}

pub(crate) fn new_push(feed: &Feed, target: &Target) -> NewRun {
    NewRun { direction: Direction::ToExternal, job_type: "upsert", ..new_run(feed, target) }
}

pub(crate) async fn push(storage: &PostgresStorage, workspace: &str, feed: &Feed, target: &Target) -> Push {
    let store = storage.workspace(&workspace.into());
    let fence = match store.begin_run(new_push(feed, target)).await.expect("the run is answered") {
        Begin::Started(fence) => fence,
        Begin::Busy(run) => panic!("run {} is under way", run.id),
    };
    let commit = PushCommit {
        fence,
        feed: feed.clone(),
        begun: Vec::new(),
        settled: Vec::new(),
        counts: Counts::default(),
        failures: Vec::new(),
        events: Vec::new(),
        memory: None,
        at: at(1),
    };
    Push { store, commit, target: Arc::new(target.clone()) }
}

impl Push {
    pub(crate) fn query(&self) -> ChangedQuery {
        ChangedQuery {
            feed: self.commit.feed.clone(),
            target: Arc::clone(&self.target),
            keys: None,
            since: None,
            all: false,
            after: None,
            limit: 1000,
            trial: false,
        }
    }

    pub(crate) async fn changed(&self) -> ChangedRows {
        self.store.changed_rows(self.query()).await.expect("the table is read")
    }

    /// The keys of the changed rows.
    pub(crate) async fn keys(&self) -> Vec<String> {
        keys(&self.changed().await)
    }

    pub(crate) fn intent(&self, key: &str, state: IntentState) -> Intent {
        Intent { run: self.commit.fence.run, ..intent(key, state) }
    }

    pub(crate) async fn journal(&self, begun: Vec<Intent>, settled: Vec<Settled>) {
        let commit = PushCommit { begun, settled, ..self.commit.clone() };
        self.store.journal(commit).await.expect("the journal is written");
    }

    /// As if the service had taken every row that is to be sent.
    pub(crate) async fn accept_all(&self) -> ChangedRows {
        let changed = self.changed().await;
        let settled = changed.batch.records().iter().zip(&changed.hashes).map(|(record, hash)| {
            let link = PushLink { id: Some(format!("id {}", record.id).into()), hash: Some(*hash), version: None };
            Settled::Accepted { key: record.id.as_str().into(), link }
        });
        self.journal(Vec::new(), settled.collect()).await;
        changed
    }

    pub(crate) async fn link(&self, key: &str) -> Option<PushLink> {
        self.store.push_links(&self.commit.feed, &[key.into()]).await.expect("the link is read").pop().expect("one answer")
    }

    pub(crate) async fn intents(&self, filter: IntentFilter) -> Vec<Intent> {
        self.store.intents(filter).await.expect("the intents are read").into_iter().map(|(_, intent)| intent).collect()
    }
}

pub(crate) fn keys(changed: &ChangedRows) -> Vec<String> {
    changed.batch.records().iter().map(|record| record.id.to_string()).collect()
}

/// The changed rows as `key {fields}`.
pub(crate) fn lines(changed: &ChangedRows) -> Vec<String> {
    let batch = &changed.batch;
    let fields = |record| batch.cells(record).map(|(name, json)| format!("{}={json}", batch.names()[name])).collect::<Vec<_>>().join(" ");
    batch.records().iter().map(|record| format!("{} {}", record.id, fields(record))).collect()
}

pub(crate) fn intent(key: &str, state: IntentState) -> Intent {
    Intent {
        key: key.into(),
        marker: Marker::from(format!("marker of {key}")),
        operation: Operation::Upsert,
        mode: PushMode::Upsert,
        fields: r#"{"name":"A"}"#.into(),
        hash: u64::MAX - 7,
        id: None,
        version: None,
        state,
        attempts: 1,
        sent_at: at(3),
        looks: 0,
        looked_at: None,
        next_at: None,
        handle: None,
        error: None,
        run: RunId(1),
    }
}

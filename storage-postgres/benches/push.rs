//! What pushes cost the database: 100,000 rows of 10 fields, linked, looked at, and linked by a pull.
//!
//! `cargo bench --package storage-postgres --bench push` prints seconds, on the server that `DATABASE_URL` names. It asserts row counts, never
//! times. `SYNCLINE_BENCH_ROWS` sets another number of rows.

use std::{sync::Arc, time::Instant};

use chrono::Utc;
use sqlx::{AssertSqlSafe, PgConnection};
use storage_postgres::PostgresStorage;
use sync_core::{
    Counts, Direction, Duplicates, HostTable, Operation, Place, RecordBatch, Source, Target,
    store::{
        Begin, ChangedQuery, Feed, Fence, NewRun, PageCommit, PartitionBatch, PushCommit, PushLink, Settled, Storage as _, WorkspaceStore,
    },
};
use sync_testkit::postgres::TestDatabase;

const PAGE: u32 = 1000;
const FIELDS: [&str; 10] = ["email", "first_name", "last_name", "phone", "company", "city", "age", "score", "vip", "changed_at"];

fn target(pushes: &[&str]) -> Target {
    let table = HostTable::new("people").key("email").workspace_column("tenant");
    Target {
        mode: Default::default(),
        entity: table.entity_type(),
        place: Place::Host(table.into()),
        fields: Arc::default(),
        rules: Arc::default(),
        duplicates: Duplicates::LastWins,
        lineage: false,
        source: Arc::new(Source { kind: "api".into(), id: "bench".into(), ..Source::default() }),
        pushes: pushes.iter().map(|field| Box::from(*field)).collect(),
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    store: Arc<dyn WorkspaceStore>,
    fence: Fence,
    feed: Feed,
    rows: usize,
}

impl Bench {
    /// Looks at the whole table in pages; answers changed and unchanged rows.
    fn look(&self, target: &Arc<Target>, mut each: impl FnMut(sync_core::store::ChangedRows)) -> (usize, u64) {
        let (mut changed, mut unchanged, mut after) = (0, 0, None);
        loop {
            let query = ChangedQuery {
                feed: self.feed.clone(),
                target: Arc::clone(target),
                keys: None,
                since: None,
                all: false,
                after,
                limit: PAGE,
                trial: false,
            };
            let page = self.runtime.block_on(self.store.changed_rows(query)).expect("read");
            changed += page.batch.len();
            unchanged += page.unchanged;
            after = page.after.clone();
            each(page);
            if after.is_none() {
                return (changed, unchanged);
            }
        }
    }

    fn accept(&self, page: &sync_core::store::ChangedRows) {
        let accepted = |(record, hash): (&sync_core::Record, &u64)| Settled::Accepted {
            key: record.id.as_str().into(),
            link: PushLink { id: Some(format!("rec{}", record.id).into()), hash: Some(*hash), version: None },
        };
        let commit = PushCommit {
            fence: self.fence,
            feed: self.feed.clone(),
            begun: Vec::new(),
            settled: page.batch.records().iter().zip(&page.hashes).map(accepted).collect(),
            counts: Counts::default(),
            failures: Vec::new(),
            events: Vec::new(),
            memory: None,
            at: Utc::now(),
        };
        self.runtime.block_on(self.store.journal(commit)).expect("written");
    }

    fn pull(&self, target: &Arc<Target>, mapping: &str, batches: &[RecordBatch]) -> Counts {
        let mut counts = Counts::default();
        for batch in batches {
            let page = PageCommit {
                expects: None,
                fence: self.fence,
                feed: Feed { mapping: mapping.into(), ..self.feed.clone() },
                target: Arc::clone(target),
                batches: vec![PartitionBatch { partition: "".into(), batch: batch.clone(), present: Vec::new() }],
                failures: Vec::new(),
                before: Counts::default(),
                scan: None,
                cursors: Vec::new(),
                events: Vec::new(),
                at: Utc::now(),
            };
            counts.add(&self.runtime.block_on(self.store.commit(page)).expect("commits").counts);
        }
        counts
    }

    fn timed<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let from = Instant::now();
        let done = work();
        println!("{what:<46} {:>7.3} s", from.elapsed().as_secs_f64() * 100_000.0 / self.rows as f64);
        done
    }
}

fn main() {
    if std::env::args().all(|argument| argument != "--bench") {
        // Run as a test, where there is nothing to measure.
        return;
    }
    let rows: usize = std::env::var("SYNCLINE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let database = runtime.block_on(TestDatabase::create());
    let feed = Feed { connection: "0197f0c27c1e7d0ab1c25a9f0e3d4b6a".into(), stream: "contacts".into(), mapping: "m".into() };
    let (store, fence) = runtime.block_on(async {
        let store = PostgresStorage::connect(database.url()).await.expect("opens").workspace(&"acme".into());
        let new = NewRun {
            feed: feed.clone(),
            direction: Direction::ToExternal,
            entity: "people".into(),
            job_type: "upsert",
            exclusive: false,
            triggered_by: "bench".into(),
            at: Utc::now(),
        };
        match store.begin_run(new).await.expect("begins") {
            Begin::Started(fence) => (store, fence),
            Begin::Busy(run) => panic!("run {} is under way", run.id),
        }
    });
    let mut host = runtime.block_on(database.connection());
    let made = format!(
        "CREATE TABLE people (tenant text NOT NULL, email text NOT NULL, first_name text, last_name text, phone text, company text, \
         city text, age integer, score float8, vip boolean, changed_at text, PRIMARY KEY (tenant, email)); \
         INSERT INTO people SELECT 'acme', 'person' || (n * 7919 % {rows}) || '.' || n || '@example.org', 'First' || n, 'Last' || n % 977, \
         '+49 30 ' || n, 'Company ' || n % 131, 'City ' || n % 53, n % 90, n / 8.0, n % 2 = 1, '2026-03-01T12:00:' || n % 60 \
         FROM generate_series(1, {rows}::bigint) n; ANALYZE people"
    );
    runtime.block_on(run(&mut host, made));
    let bench = Bench { runtime, store, fence, feed, rows };
    let target = Arc::new(self::target(&FIELDS));
    println!("{rows} rows of {} fields, {PAGE} to a page; seconds per 100,000", FIELDS.len());
    let mut pages = Vec::new();
    let found = bench.timed("looked at, all new", || bench.look(&target, |page| pages.push(page)));
    assert_eq!(found, (rows, 0));
    bench.timed("accepted", || pages.iter().for_each(|page| bench.accept(page)));
    for round in 0..3 {
        let found = bench.timed(&format!("looked at, nothing changed ({})", round + 1), || bench.look(&target, drop));
        assert_eq!(found, (0, rows as u64));
    }
    // Pulls of the same rows, as records of the service.
    let batches: Vec<RecordBatch> = pages
        .iter()
        .map(|page| {
            let mut batch = RecordBatch::default();
            for record in page.batch.records() {
                let cells: Vec<_> = page.batch.cells(record).map(|(name, json)| (batch.name(&page.batch.names()[name]), json)).collect();
                let mut draft = batch.record();
                cells.into_iter().for_each(|(name, json)| draft.made(name, json));
                draft.finish(record.id.clone(), Operation::Upsert, None);
            }
            batch
        })
        .collect();
    let plain = Arc::new(self::target(&[]));
    for (what, target, mapping) in [("a feed that is not pushed", &plain, "plain"), ("a feed that is pushed", &target, "pushed")] {
        let counts = bench.timed(&format!("pulled, unchanged, {what}, first"), || bench.pull(target, mapping, &batches));
        assert_eq!(counts.unchanged, rows as u64);
        let counts = bench.timed(&format!("pulled, unchanged, {what}, again"), || bench.pull(target, mapping, &batches));
        assert_eq!(counts.unchanged, rows as u64);
    }
    let size = sqlx::query_scalar("SELECT pg_total_relation_size('syncline.push_links')");
    let bytes: i64 = bench.runtime.block_on(size.fetch_one(&mut host)).expect("a size");
    println!("bytes per link: {}", bytes / (2 * rows as i64));
}

async fn run(host: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(host).await.expect("the host's statements run");
}

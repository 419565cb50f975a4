//! Commits against the least that PostgreSQL can do: 100,000 records of 26 fields, 2,000 to a transaction, two writers. The least is a
//! binary copy into a temporary table and an upsert of all of it, of bytes that were made before the clock ran.
//!
//! `cargo bench --package storage-postgres --bench commit` prints a table of medians, the yardstick and the commit in turn, on the server
//! that `DATABASE_URL` names. CPU is this process's and, where the server is on this machine and the system tells, that of its
//! processes. It asserts row counts, never times. `SYNCLINE_BENCH_ROWS` sets another number of records, `SYNCLINE_BENCH_ROUNDS` of rounds.

#[expect(dead_code, reason = "other benchmarks serve the same members over HTTP")]
#[path = "../../benches/support/member.rs"]
mod member;

use std::{
    collections::HashMap,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use chrono::Utc;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use storage_postgres::PostgresStorage;
use sync_core::{
    Counts, Direction, Duplicates, Field, FieldKind, Operation, Place, RecordBatch, Source, Target,
    store::{Begin, CursorMove, Feed, Fence, NewRun, PageCommit, PartitionBatch, Storage as _, WorkspaceStore},
};
use sync_testkit::postgres::TestDatabase;

use self::member::World;

const PAGE: usize = 2000;
const WRITERS: usize = 2;
const STEPS: [(&str, World); 4] =
    [("empty table", World::Base), ("nothing changed", World::Base), ("1 % changed", World::Hundredth), ("all changed", World::All)];

/// Field and type of a member.
const FIELDS: [(&str, FieldKind); 26] = [
    ("id", FieldKind::Text),
    ("email_address", FieldKind::Text),
    ("unique_email_id", FieldKind::Text),
    ("contact_id", FieldKind::Text),
    ("full_name", FieldKind::Text),
    ("web_id", FieldKind::Integer),
    ("email_type", FieldKind::Text),
    ("status", FieldKind::Text),
    ("consents_to_one_to_one_messaging", FieldKind::Boolean),
    ("merge_fields", FieldKind::Json),
    ("interests", FieldKind::Json),
    ("stats", FieldKind::Json),
    ("ip_signup", FieldKind::Text),
    ("timestamp_signup", FieldKind::Timestamp),
    ("ip_opt", FieldKind::Text),
    ("timestamp_opt", FieldKind::Timestamp),
    ("member_rating", FieldKind::Integer),
    ("last_changed", FieldKind::Timestamp),
    ("language", FieldKind::Text),
    ("vip", FieldKind::Boolean),
    ("email_client", FieldKind::Text),
    ("location", FieldKind::Json),
    ("source", FieldKind::Text),
    ("tags_count", FieldKind::Integer),
    ("tags", FieldKind::Json),
    ("list_id", FieldKind::Text),
];

fn pages(rows: usize, world: World) -> Vec<RecordBatch> {
    let page = |from: usize| {
        let mut body = vec![b'['];
        for number in from..rows.min(from + PAGE) {
            if number > from {
                body.push(b',');
            }
            member::render(&mut body, number, world);
        }
        body.push(b']');
        let body = Bytes::from(body);
        let mut batch = RecordBatch::over(body.clone()).expect("a page");
        let records: Vec<&RawValue> = serde_json::from_slice(&body).expect("records");
        for record in records {
            let mut draft = batch.record();
            draft.object(record).expect("an object");
            let id = draft.cell("id").expect("an id").trim_matches('"').to_owned();
            draft.finish(id, Operation::Upsert, None);
        }
        batch
    };
    (0..rows).step_by(PAGE).map(page).collect()
}

/// The same page as the bytes of a copy.
fn bytes_of(batch: &RecordBatch) -> Bytes {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let put = |out: &mut Vec<u8>, bytes: &[&[u8]]| {
        out.extend((bytes.iter().map(|part| part.len() as i32).sum::<i32>()).to_be_bytes());
        bytes.iter().for_each(|part| out.extend(*part));
    };
    for record in batch.records() {
        out.extend((FIELDS.len() as i16).to_be_bytes());
        for (name, kind) in FIELDS {
            let json = batch.cell(record, name).expect("a cell");
            match kind {
                FieldKind::Integer => put(&mut out, &[&json.parse::<i64>().expect("an integer").to_be_bytes()]),
                FieldKind::Boolean => put(&mut out, &[&[u8::from(json == "true")]]),
                FieldKind::Json => put(&mut out, &[&[1], json.as_bytes()]),
                _ => put(&mut out, &[serde_json::from_str::<String>(json).expect("a text").as_bytes()]),
            }
        }
    }
    out.extend((-1i16).to_be_bytes());
    out.into()
}

fn sql_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Integer => "bigint",
        FieldKind::Boolean => "boolean",
        FieldKind::Json => "jsonb",
        _ => "text",
    }
}

/// The least.
struct Bare {
    writers: Vec<PgConnection>,
    upsert: String,
}

impl Bare {
    async fn open(database: &TestDatabase) -> Self {
        let columns = FIELDS.iter().map(|(name, kind)| format!("{name} {}", sql_type(*kind))).collect::<Vec<_>>().join(", ");
        let names = FIELDS.map(|(name, _)| name).join(", ");
        let sets = FIELDS.map(|(name, _)| format!("{name} = excluded.{name}")).join(", ");
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let mut writer = database.connection().await;
            let table = format!("CREATE TABLE members (workspace_id text NOT NULL, {columns}, PRIMARY KEY (workspace_id, id));");
            let stage = format!("CREATE TEMP TABLE stage ({columns}) ON COMMIT DELETE ROWS");
            let sql = if number == 0 { table + &stage } else { stage };
            raw_sql(AssertSqlSafe(sql)).execute(&mut writer).await.expect("tables");
            writers.push(writer);
        }
        let upsert = format!(
            "INSERT INTO members (workspace_id, {names}) SELECT $1, {names} FROM stage ON CONFLICT (workspace_id, id) DO UPDATE SET {sets}"
        );
        Self { writers, upsert }
    }

    async fn write(&mut self, pages: &[Bytes]) -> u64 {
        let next = AtomicUsize::new(0);
        let written = self.writers.iter_mut().map(|writer| {
            let (next, upsert) = (&next, self.upsert.clone());
            async move {
                let mut rows = 0;
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut tx = writer.begin().await.expect("a transaction");
                    let mut copy = tx.copy_in_raw("COPY stage FROM STDIN (FORMAT binary)").await.expect("a copy");
                    copy.send(&**page).await.expect("sent");
                    copy.finish().await.expect("copied");
                    let upserted = sqlx::query(AssertSqlSafe(upsert.clone())).bind("acme").execute(&mut *tx).await.expect("an upsert");
                    rows += upserted.rows_affected();
                    tx.commit().await.expect("committed");
                }
                rows
            }
        });
        futures_util::future::join_all(written).await.into_iter().sum()
    }
}

/// The storage with everything a commit does: row security, fence, counts, lineage, seen rows, cursor, event.
struct Ours {
    store: Arc<dyn WorkspaceStore>,
    page: PageCommit,
    scan: u64,
}

impl Ours {
    async fn open(database: &TestDatabase, lineage: bool) -> Self {
        let feed = Feed { connection: "0197f0c27c1e7d0ab1c25a9f0e3d4b6a".into(), stream: "members".into(), mapping: "".into() };
        let target = Target {
            mode: Default::default(),
            entity: "mailchimp_members".into(),
            place: Place::Stream,
            fields: FIELDS.iter().map(|(name, kind)| Field::typed(*name, *kind)).collect(),
            rules: Arc::default(),
            duplicates: Duplicates::LastWins,
            lineage,
            source: Arc::new(Source { kind: "api".into(), id: "account/members".into(), ..Source::default() }),
            pushes: Arc::default(),
        };
        let storage = PostgresStorage::connect(database.url()).await.expect("opens");
        let store = storage.workspace(&"acme".into());
        let fence = begin(&*store, &feed, &target).await;
        let page = PageCommit {
            expects: None,
            fence,
            feed,
            target: Arc::new(target),
            batches: Vec::new(),
            failures: Vec::new(),
            before: Counts::default(),
            scan: None,
            cursors: Vec::new(),
            events: Vec::new(),
            at: Utc::now(),
        };
        Self { store, page, scan: 0 }
    }

    async fn write(&mut self, pages: Vec<RecordBatch>) -> Counts {
        self.scan += 1;
        let commits = pages.into_iter().map(|batch| {
            self.store.commit(PageCommit {
                batches: vec![PartitionBatch { partition: "57afe96172".into(), batch, present: Vec::new() }],
                scan: Some(self.scan),
                cursors: vec![CursorMove { partition: "57afe96172".into(), cursor: None, page: None, scan: self.scan }],
                events: vec![r#"{"type":"sync-progress"}"#.into()],
                ..self.page.clone()
            })
        });
        let add = |mut counts: Counts, more: &Counts| {
            counts.add(more);
            counts
        };
        let done = stream::iter(commits).buffered(self.store.commits_at_once());
        done.try_fold(Counts::default(), |counts, report| async move { Ok(add(counts, &report.counts)) }).await.expect("commits")
    }
}

async fn begin(store: &dyn WorkspaceStore, feed: &Feed, target: &Target) -> Fence {
    let new = NewRun {
        feed: feed.clone(),
        direction: Direction::FromExternal,
        entity: target.entity.clone(),
        job_type: "full",
        exclusive: false,
        triggered_by: "bench".into(),
        at: Utc::now(),
    };
    match store.begin_run(new).await.expect("begins") {
        Begin::Started(fence) => fence,
        Begin::Busy(run) => panic!("run {} is under way", run.id),
    }
}

/// CPU seconds of a process, from Linux's `/proc`, in ticks of 10 ms; 0 where the system does not tell.
fn cpu_of(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// What was spent so far.
struct Meter {
    at: Instant,
    own: f64,
    server: HashMap<i32, f64>,
    wal: i64,
}

impl Meter {
    async fn read(watcher: &mut PgConnection) -> Self {
        let pids: Vec<i32> =
            sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
                .fetch_all(&mut *watcher)
                .await
                .expect("processes");
        let wal = sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetch_one(watcher).await.expect("a position");
        let server = pids.into_iter().map(|pid| (pid, cpu_of(&pid.to_string()))).collect();
        Self { server, wal, own: cpu_of("self"), at: Instant::now() }
    }

    fn cost(&self, later: &Self) -> Cost {
        let server = later.server.iter().map(|(pid, cpu)| cpu - self.server.get(pid).unwrap_or(&0.0)).sum();
        Cost { wall: (later.at - self.at).as_secs_f64(), own: later.own - self.own, server, wal: (later.wal - self.wal) as f64 }
    }
}

/// What a piece of work took.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    own: f64,
    server: f64,
    wal: f64,
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn timed<T>(watcher: &mut PgConnection, work: impl Future<Output = T>) -> (Cost, T) {
    raw_sql("CHECKPOINT").execute(&mut *watcher).await.expect("a checkpoint");
    let before = Meter::read(watcher).await;
    let done = work.await;
    (before.cost(&Meter::read(watcher).await), done)
}

fn setting(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn measure(rows: usize, rounds: usize) {
    let worlds: HashMap<World, Vec<RecordBatch>> =
        [World::Base, World::Hundredth, World::All].into_iter().map(|world| (world, pages(rows, world))).collect();
    let ready: HashMap<World, Vec<Bytes>> = worlds.iter().map(|(world, pages)| (*world, pages.iter().map(bytes_of).collect())).collect();
    let hundredth = rows.div_ceil(100) as u64;
    let mut costs: [[Vec<Cost>; 3]; STEPS.len()] = Default::default();
    for _ in 0..rounds {
        let database = TestDatabase::create().await;
        let mut watcher = database.connection().await;
        let mut bare = Bare::open(&database).await;
        let mut ours = Ours::open(&database, true).await;
        let other = TestDatabase::create().await;
        let mut watching_other = other.connection().await;
        let mut without = Ours::open(&other, false).await;
        for (step, (_, world)) in STEPS.iter().enumerate() {
            let (cost, written) = timed(&mut watcher, bare.write(&ready[world])).await;
            assert_eq!(written, rows as u64, "step {step} of the yardstick");
            costs[step][0].push(cost);
            let seen = |counts: &Counts| [counts.created, counts.unchanged, counts.updated];
            // From the state of every hundredth to that of all, those are as they were.
            let all = rows as u64;
            let expected = [[all, 0, 0], [0, all, 0], [0, all - hundredth, hundredth], [0, hundredth, all - hundredth]][step];
            let (cost, counts) = timed(&mut watcher, ours.write(worlds[world].clone())).await;
            assert_eq!(seen(&counts), expected, "step {step}");
            costs[step][1].push(cost);
            let (cost, counts) = timed(&mut watching_other, without.write(worlds[world].clone())).await;
            assert_eq!(seen(&counts), expected, "step {step} without lineage");
            costs[step][2].push(cost);
        }
        let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM syncline.lineage_entries").fetch_one(&mut watcher).await.expect("lines");
        assert_eq!(lines.cast_unsigned(), rows as u64, "a line for each change and none for a creation");
    }
    println!("{rows} records of {} fields, {PAGE} to a transaction, {WRITERS} writers, medians of {rounds}", FIELDS.len());
    println!("CPU in seconds per 100,000 records, own + server; WAL in bytes per record; ratio to the bare upsert");
    println!("{:<16} {:<16} {:>10} {:>6} {:>13} {:>7} {:>8}", "", "", "records/s", "ratio", "CPU", "ratio", "WAL");
    for ((name, _), costs) in STEPS.iter().zip(&costs) {
        let cpu = |costs: &[Cost]| [median(costs, |cost| cost.own), median(costs, |cost| cost.server)].map(|s| s * 100_000.0 / rows as f64);
        let wall = |costs: &[Cost]| median(costs, |cost| cost.wall);
        for (who, spent) in ["bare upsert", "commit", "without lineage"].iter().zip(costs) {
            let [own, server] = cpu(spent);
            let [bare_own, bare_server] = cpu(&costs[0]);
            println!(
                "{name:<16} {who:<16} {:>10.0} {:>6.2} {:>13} {:>7.2} {:>8.0}",
                rows as f64 / wall(spent),
                wall(&costs[0]) / wall(spent),
                format!("{own:.2} + {server:.2}"),
                (bare_own + bare_server) / (own + server),
                median(spent, |cost| cost.wal) / rows as f64,
            );
        }
    }
}

fn main() {
    let (rows, rounds) = (setting("SYNCLINE_BENCH_ROWS", 100_000), setting("SYNCLINE_BENCH_ROUNDS", 3));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(measure(rows, rounds));
}

//! Commits against the least that SQLite can do: 100,000 records of 26 fields, 2,000 to a transaction, one prepared upsert per row.
//!
//! `cargo bench --package storage-sqlite` prints a table: medians of three rounds, the yardstick and the commit in turn. It asserts
//! row counts, never times. `SYNCLINE_BENCH_ROWS` sets another number of records.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;
use serde_json::value::RawValue;
use storage_sqlite::{
    SqliteStorage,
    rusqlite::{Connection, types::Value},
};
use sync_core::{
    Counts, Direction, Duplicates, Field, FieldKind, Operation, Place, RecordBatch, Source, Target,
    store::{Begin, CursorMove, Feed, NewRun, PageCommit, PartitionBatch, Storage as _},
};

const PAGE: usize = 2000;
const ROUNDS: usize = 3;
const BUDGET: Duration = Duration::from_secs(30);
/// Field and type of a Mailchimp-shaped member.
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
    ("sms_phone_number", FieldKind::Text),
    ("sms_subscription_status", FieldKind::Text),
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
    ("tags", FieldKind::Json),
    ("list_id", FieldKind::Text),
];

/// One member; `round` changes four fields, one of them an object.
fn member(n: usize, round: usize) -> String {
    let hash = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        r#"{{"id":"{hash:016x}{n:016x}","email_address":"member{n}@example.com","unique_email_id":"u{hash:010x}","contact_id":"{hash:032x}","full_name":"Member Number {n}","web_id":{n},"email_type":"html","status":"{status}","consents_to_one_to_one_messaging":true,"sms_phone_number":"","sms_subscription_status":"","merge_fields":{{"FNAME":"Member","LNAME":"Number {n}","ADDRESS":{{"addr1":"{n} Long Street","addr2":"","city":"Town {town}","state":"","zip":"{n:05}","country":"US"}},"PHONE":"555-{n:07}","BIRTHDAY":"03/1{day}","COMPANY":"Company {town}"}},"interests":{{"9143cf3bd1":true,"3a2a927344":false,"f9c8f5f0ff":{interest}}},"stats":{{"avg_open_rate":0.{rate},"avg_click_rate":0.{day},"ecommerce_data":{{"total_revenue":{rate}.5,"number_of_orders":{round},"currency_code":"USD"}}}},"ip_signup":"10.{day}.0.{day}","timestamp_signup":"2024-01-0{day1}T10:00:00+00:00","ip_opt":"10.0.{day}.1","timestamp_opt":"2024-02-0{day1}T10:00:00+00:00","member_rating":{rating},"last_changed":"2026-03-0{day1}T1{round}:00:00+00:00","language":"en","vip":false,"email_client":"Apple Mail","location":{{"latitude":37.{n},"longitude":-122.{n},"gmtoff":-8,"dstoff":-7,"country_code":"US","timezone":"America/Los_Angeles","region":"CA"}},"tags":[{{"id":{day},"name":"Tag {day}"}},{{"id":{town},"name":"Tag {town}"}}],"list_id":"57afe96172"}}"#,
        status = if round == 0 { "subscribed" } else { "unsubscribed" },
        town = n % 97,
        day = n % 10,
        day1 = n % 9 + 1,
        interest = n.is_multiple_of(2),
        rate = n % 89 + 10,
        rating = (n + round) % 5 + 1,
    )
}

fn pages(rows: usize, round: usize) -> Vec<RecordBatch> {
    (0..rows)
        .step_by(PAGE)
        .map(|from| {
            let body = format!("[{}]", (from..rows.min(from + PAGE)).map(|n| member(n, round)).collect::<Vec<_>>().join(","));
            let body = Bytes::from(body);
            let mut batch = RecordBatch::over(body.clone()).expect("a page");
            let text = std::str::from_utf8(&body).expect("text");
            let records: Vec<&RawValue> = serde_json::from_str(text).expect("records");
            for record in records {
                let mut draft = batch.record();
                draft.object(record).expect("an object");
                let id = draft.cell("id").expect("an id").trim_matches('"').to_owned();
                draft.finish(id, Operation::Upsert, None);
            }
            batch
        })
        .collect()
}

/// The same rows as values to bind, ready before the clock runs.
fn values(pages: &[RecordBatch]) -> Vec<Vec<Vec<Value>>> {
    let value = |json: &str| match json {
        "true" => Value::Integer(1),
        "false" => Value::Integer(0),
        _ if json.starts_with('"') => Value::Text(json[1..json.len() - 1].to_owned()),
        _ => json.parse().map_or_else(|_| Value::Text(json.to_owned()), Value::Integer),
    };
    let row = |batch: &RecordBatch, record| FIELDS.iter().map(|(name, _)| value(batch.cell(record, name).expect("a cell"))).collect();
    pages.iter().map(|batch| batch.records().iter().map(|record| row(batch, record)).collect()).collect()
}

/// The least: one prepared upsert per row, as most programs would write it.
struct Bare(Connection, String);

impl Bare {
    fn open(path: &Path) -> Self {
        let conn = Connection::open(path).expect("opens");
        let columns = FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        conn.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; \
             CREATE TABLE members (workspace_id TEXT NOT NULL, {columns}, PRIMARY KEY (workspace_id, id))"
        ))
        .expect("a table");
        let marks = (0..FIELDS.len()).map(|at| format!("?{}", at + 2)).collect::<Vec<_>>().join(", ");
        let sets = FIELDS.iter().map(|(name, _)| format!("{name} = excluded.{name}")).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "INSERT INTO members (workspace_id, {columns}) VALUES (?1, {marks}) ON CONFLICT (workspace_id, id) DO UPDATE SET {sets}"
        );
        Self(conn, sql)
    }

    fn write(&mut self, pages: &[Vec<Vec<Value>>]) {
        for page in pages {
            let tx = self.0.transaction().expect("a transaction");
            {
                let mut upsert = tx.prepare_cached(&self.1).expect("an upsert");
                upsert.raw_bind_parameter(1, "acme").expect("bound");
                for row in page {
                    for (at, value) in row.iter().enumerate() {
                        upsert.raw_bind_parameter(at + 2, value).expect("bound");
                    }
                    upsert.raw_execute().expect("written");
                }
            }
            tx.commit().expect("committed");
        }
    }
}

/// The storage with everything a commit does: fence, counts, lineage, seen rows, cursor, event.
struct Ours {
    runtime: tokio::runtime::Runtime,
    store: Arc<dyn sync_core::store::WorkspaceStore>,
    page: PageCommit,
    scan: u64,
}

impl Ours {
    fn open(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let feed = Feed { connection: "0197f0c27c1e7d0ab1c25a9f0e3d4b6a".into(), stream: "members".into(), mapping: "".into() };
        let target = Target {
            mode: Default::default(),
            entity: "mailchimp_members".into(),
            place: Place::Stream,
            fields: FIELDS.iter().map(|(name, kind)| Field::typed(*name, *kind)).collect(),
            rules: Arc::default(),
            duplicates: Duplicates::LastWins,
            lineage: true,
            source: Arc::new(Source { kind: "api".into(), id: "account/members".into(), ..Source::default() }),
            pushes: Arc::default(),
        };
        let (store, fence) = runtime.block_on(async {
            let storage = SqliteStorage::open(path).await.expect("opens");
            let store = storage.workspace(&"acme".into());
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
                Begin::Started(fence) => (store, fence),
                Begin::Busy(run) => panic!("run {} is under way", run.id),
            }
        });
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
        Self { runtime, store, page, scan: 0 }
    }

    fn write(&mut self, pages: Vec<RecordBatch>) -> Counts {
        self.scan += 1;
        let mut counts = Counts::default();
        for batch in pages {
            let page = PageCommit {
                batches: vec![PartitionBatch { partition: "57afe96172".into(), batch, present: Vec::new() }],
                scan: Some(self.scan),
                cursors: vec![CursorMove { partition: "57afe96172".into(), cursor: None, page: None, scan: self.scan }],
                events: vec![r#"{"type":"sync-progress"}"#.into()],
                ..self.page.clone()
            };
            counts.add(&self.runtime.block_on(self.store.commit(page)).expect("commits").counts);
        }
        counts
    }
}

/// What a piece of work took.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    /// Of all threads; 0 where the system does not tell. Steadier than the clock on a busy machine.
    cpu: f64,
}

/// CPU seconds of this process so far, from Linux's `/proc`, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn timed<T>(work: impl FnOnce() -> T) -> (Cost, T) {
    let (from, cpu) = (Instant::now(), cpu_seconds());
    let done = work();
    (Cost { wall: from.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }, done)
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rows: usize = std::env::var("SYNCLINE_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let begun = Instant::now();
    let (first, second) = (pages(rows, 0), pages(rows, 1));
    let (bare_first, bare_second) = (values(&first), values(&second));
    let mut costs: [(Vec<Cost>, Vec<Cost>); 3] = Default::default();
    for round in 0..ROUNDS {
        if round > 0 && begun.elapsed() > BUDGET * 2 / 3 {
            println!("stopping after {round} rounds: the time is up");
            break;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut bare = Bare::open(&folder.path().join("bare.db"));
        let mut ours = Ours::open(&folder.path().join("ours.db"));
        for (step, (plain, batches)) in [(&bare_first, &first), (&bare_first, &first), (&bare_second, &second)].into_iter().enumerate() {
            costs[step].0.push(timed(|| bare.write(plain)).0);
            let batches = batches.clone();
            let (took, counts) = timed(|| ours.write(batches));
            costs[step].1.push(took);
            let seen = [counts.created, counts.unchanged, counts.updated][step];
            assert_eq!(seen, rows as u64, "step {step} counted {counts:?}");
        }
    }
    println!("{rows} records of {} fields, {PAGE} to a transaction, medians; CPU in seconds per 100,000", FIELDS.len());
    println!("{:<18} {:>13} {:>10} {:>6} {:>9} {:>9} {:>6}", "", "bare upsert/s", "commit/s", "ratio", "bare CPU", "ours CPU", "ratio");
    for (name, (bare, ours)) in ["empty table", "nothing changed", "4 fields of each"].into_iter().zip(&costs) {
        let wall = [bare, ours].map(|costs| median(costs, |cost| cost.wall));
        let cpu = [bare, ours].map(|costs| median(costs, |cost| cost.cpu) * 100_000.0 / rows as f64);
        let rate = wall.map(|seconds| rows as f64 / seconds);
        println!(
            "{name:<18} {:>13.0} {:>10.0} {:>6.2} {:>9.2} {:>9.2} {:>6.2}",
            rate[0],
            rate[1],
            wall[0] / wall[1],
            cpu[0],
            cpu[1],
            cpu[0] / cpu[1]
        );
    }
}

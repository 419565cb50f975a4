//! Pushes to simulated services: how near they come to calls × latency, how many calls they make, and what an unchanged table costs.
//!
//! `cargo bench --bench push` prints the figures. The services run in this process on loopback sockets, so their CPU is part of the time.
//! From the environment: `BENCH_ROUNDS` says how often each is measured (3), medians are printed; `BENCH_ROWS` how many rows the table of
//! the unchanged push has (100,000).

use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use syncline::{
    Connection, Credentials, HostTable, Keyring, Push, PushRecord, Sheets, Slack, SqliteStorage, SyncResult, Syncline,
    core::IntegrationSync,
    mapping::{Column, Mapping},
    providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
    testkit::Simulation,
};

const SPREADSHEET: &str = "1BenchSpreadsheet";
const HEADER: [&str; 10] = ["email", "name", "company", "city", "country", "phone", "plan", "seats", "since", "note"];

/// One measured push.
struct Sample {
    records: u64,
    calls: usize,
    seconds: f64,
}

#[tokio::main]
async fn main() {
    let rounds = number("BENCH_ROUNDS", 3);
    let rows = number("BENCH_ROWS", 100_000);
    println!("{rounds} rounds, medians\n");
    println!(
        "{:<44} {:>9} {:>11} {:>9} {:>16} {:>24}",
        "", "records", "records/s", "time", "calls per 1,000", "of calls × latency ÷ lanes"
    );
    for latency in [0, 50] {
        let latency = Duration::from_millis(latency);
        let lanes = Slack::builder().build().expect("a provider").descriptor().push.lanes;
        report(&format!("Slack, new messages, {} ms", latency.as_millis()), latency, lanes, rounds, async || messages(200, latency).await)
            .await;
        let lanes = Sheets::builder().build().expect("a provider").descriptor().push.lanes;
        let name = format!("Google Sheets, new rows, {} ms", latency.as_millis());
        report(&name, latency, lanes, rounds, async || sheet(20_000, latency, false).await).await;
        let name = format!("Google Sheets, every row changed, {} ms", latency.as_millis());
        report(&name, latency, lanes, rounds, async || sheet(20_000, latency, true).await).await;
    }
    report(&format!("{rows} unchanged rows of a table"), Duration::ZERO, 1, rounds, async || unchanged(rows).await).await;
}

async fn report(name: &str, latency: Duration, lanes: usize, rounds: usize, run: impl AsyncFn() -> Sample) {
    let mut samples = Vec::new();
    for _ in 0..rounds {
        samples.push(run().await);
    }
    samples.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let Sample { records, calls, seconds } = samples[samples.len() / 2];
    let ideal = calls as f64 * latency.as_secs_f64() / lanes as f64;
    let share = if latency.is_zero() { "–".to_owned() } else { format!("{:.2}", ideal / seconds) };
    println!(
        "{name:<44} {records:>9} {:>11.0} {:>9} {:>16.1} {share:>24}",
        records as f64 / seconds,
        if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") },
        calls as f64 * 1_000.0 / records as f64,
    );
}

/// An engine on a fresh file whose quotas never make anybody wait: what is measured is the push.
async fn engine(database: &Path, provider: impl IntegrationSync + 'static) -> Syncline {
    let descriptor = provider.descriptor();
    let builder = descriptor
        .quotas
        .iter()
        .fold(Syncline::builder(), |builder, quota| builder.quota(descriptor.name, quota.bucket, 100_000_000, Duration::from_secs(1)));
    let storage = SqliteStorage::open(database).await.expect("a new file");
    let keyring = Keyring::parse(&Keyring::generate("bench")).expect("a key");
    builder.storage(storage).keyring(keyring).provider(provider).build().await.expect("an engine")
}

async fn timed(connection: &Connection, push: Push, calls: impl Fn() -> usize) -> (SyncResult, Sample) {
    let (before, began) = (calls(), Instant::now());
    let result = connection.sync_to_external(push).await.expect("the push begins");
    let seconds = began.elapsed().as_secs_f64();
    assert!(result.success() && result.counts.failed + result.counts.unsettled == 0, "{result:?}");
    let sample = Sample { records: result.counts.read, calls: calls() - before, seconds };
    (result, sample)
}

async fn messages(count: usize, latency: Duration) -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = SlackSim::new("T1", "Bench");
    sim.expect_token("t");
    let channel = sim.add_channel("C1", "bench");
    let slack = Simulation::new(sim);
    let served = slack.serve().await.expect("a socket");
    let provider = Slack::builder().base_url(&served.url).build().expect("a provider");
    let engine = engine(&folder.path().join("push.db"), provider).await;
    let connection = engine.workspace("bench").connect("slack", Credentials::token("t")).await.expect("connected");
    slack.latency(latency);
    let records =
        (0..count).map(|n| PushRecord::new(format!("message-{n}"), &json!({ "channel_id": channel, "text": format!("Message {n}") })));
    let (result, sample) = timed(&connection, Push::records("messages", records), || slack.calls().len()).await;
    assert_eq!(result.counts.created as usize, count);
    sample
}

fn row(n: usize, note: &str) -> serde_json::Value {
    json!({
        "email": format!("person-{n}@example.com"), "name": format!("Person {n}"), "company": format!("Company {}", n % 977),
        "city": "Juneau", "country": "US", "phone": "+1 907 555 0100", "plan": "team", "seats": n % 50, "since": "2026-01-01", "note": note,
    })
}

async fn sheet(count: usize, latency: Duration, changed: bool) -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    let (google, _served, connection) = spreadsheet(&folder.path().join("push.db")).await;
    let push = |note: &'static str| Push::records("People", (0..count).map(move |n| row(n, note))).key(["email"]);
    if changed {
        timed(&connection, push("before"), || 0).await;
    }
    google.latency(latency);
    let (result, sample) = timed(&connection, push("after"), || google.calls().len()).await;
    let done = if changed { result.counts.updated } else { result.counts.created };
    assert_eq!(done as usize, count);
    sample
}

async fn spreadsheet(database: &Path) -> (Simulation<SheetsSim>, syncline::testkit::Served, Connection) {
    let sim = SheetsSim::new(SPREADSHEET, "Bench");
    sim.expect_token("t");
    sim.set_reads_per_minute(1_000_000);
    sim.set_writes_per_minute(1_000_000);
    sim.load("People", &[HEADER.to_vec()]);
    let google = Simulation::new(sim);
    let served = google.serve().await.expect("a socket");
    let engine = engine(database, Sheets::builder().base_url(&served.url).build().expect("a provider")).await;
    let settings = json!({ "spreadsheet_id": SPREADSHEET });
    let connection = engine.workspace("bench").connect("sheets", Credentials::token("t")).settings(settings).await.expect("connected");
    (google, served, connection)
}

/// A table of the host that was pushed once and is pushed again as it is.
async fn unchanged(count: usize) -> Sample {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("push.db");
    let conn = rusqlite::Connection::open(&database).expect("a new file");
    let columns = HEADER.map(|name| if name == "seats" { format!("{name} INTEGER") } else { format!("{name} TEXT") });
    conn.execute_batch(&format!("CREATE TABLE people ({}, PRIMARY KEY (email)); BEGIN;", columns.join(", "))).expect("a table");
    {
        let mut insert = conn
            .prepare("INSERT INTO people VALUES (?1, ?2, 'Company', 'Juneau', 'US', '+1 907 555 0100', 'team', ?3, '2026-01-01', '')")
            .expect("a statement");
        for n in 0..count {
            insert.execute((format!("person-{n}@example.com"), format!("Person {n}"), n as i64 % 50)).expect("a row");
        }
    }
    conn.execute_batch("COMMIT").expect("written");
    drop(conn);
    let (google, _served, connection) = spreadsheet(&database).await;
    let mapping = HEADER.iter().fold(Mapping::new("people", "People").table(HostTable::new("people").key("email")), |mapping, name| {
        let column = Column::new(*name);
        mapping.column(if *name == "email" { column.key() } else { column })
    });
    let first = timed(&connection, Push::mapped(mapping.clone()), || 0).await;
    assert_eq!(first.0.counts.created as usize, count);
    let (result, sample) = timed(&connection, Push::mapped(mapping), || google.calls().len()).await;
    assert_eq!((result.counts.unchanged as usize, sample.calls), (count, 0));
    sample
}

fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

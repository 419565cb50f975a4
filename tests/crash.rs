//! Real processes killed with SIGKILL at each crash point of a pull. The services live in this process and are served on loopback; a
//! child opens the database, pulls, says that it has come to the point and stands still, and is killed there. A second child then
//! runs to the end, and the database must be that of a run that nothing disturbed.

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{
    TestClock, World, clean,
    dump::Dump,
    services::{Chat, ts},
    start,
};
use syncline::{
    Credentials, Keyring, Pull, Sheets, Slack, SqliteStorage, Syncline,
    providers::{
        sheets::simulator::{SheetsSim, SimCell},
        slack::communication,
    },
    testkit::{Simulation, VirtualClock},
};

const ORDER: &str = "SYNCLINE_TEST_CRASH_ORDER";
const REACHED: &str = "the crash point was reached";

/// What a child shall do.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Order {
    database: PathBuf,
    keys: String,
    service: Service,
    url: String,
    /// Whether everything is read, with deletes.
    full: bool,
    /// Where to stand still, and at which time of coming by.
    stop: Option<(String, usize)>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Service {
    Sheets,
    Slack,
}

impl Order {
    async fn open(&self) -> Syncline {
        let storage = SqliteStorage::open(&self.database).await.expect("the database opens");
        let mut builder = Syncline::builder().keyring(Keyring::parse(&self.keys).expect("keys"));
        // Nothing is waited for: the engine's own quotas are not what is tested here.
        let clock = VirtualClock::new(start() + Duration::from_secs(86_400));
        builder = builder.clock(TestClock(clock)).quota("sheets", "read", 1_000_000, Duration::from_secs(1));
        for bucket in ["auth.test", "conversations.list", "conversations.history", "conversations.replies", "users.list"] {
            builder = builder.quota("slack", bucket, 1_000_000, Duration::from_secs(1));
        }
        if let Some((point, hit)) = self.stop.clone() {
            let (here, there) = (point.clone(), point);
            storage.on_crash_point(move |at| stand_still(at, &here, hit));
            builder = builder.on_crash_point(move |at| stand_still(at, &there, hit));
        }
        let builder = match self.service {
            Service::Sheets => builder.provider(Sheets::builder().base_url(&self.url).build().expect("a provider")),
            Service::Slack => builder.provider(Slack::builder().base_url(&self.url).build().expect("a provider")),
        };
        builder.storage(storage).build().await.expect("an engine")
    }

    async fn connect(&self, syncline: &Syncline) -> syncline::Connection {
        let acme = syncline.workspace("acme");
        match self.service {
            Service::Sheets => {
                let settings = json!({ "spreadsheet_id": "1AbC", "rows_per_page": 20 });
                acme.connect("sheets", Credentials::token("ya29.good")).settings(settings).await.expect("it connects")
            }
            Service::Slack => {
                let settings = json!({ "history_limit": 10 });
                acme.connect("slack", Credentials::token("xoxb-good")).settings(settings).await.expect("it connects")
            }
        }
    }

    fn pulls(&self) -> Vec<Pull> {
        match self.service {
            Service::Sheets => vec![Pull::stream("Movies").key(["Title"]).commit_rows(1)],
            Service::Slack => {
                let raw = Pull::stream("messages").commit_rows(1);
                let mapped = Pull::mapped(communication()).commit_rows(1);
                if self.full { vec![raw.full(), mapped.full()] } else { vec![raw, mapped] }
            }
        }
    }

    /// Pulls everything there is, in the connection that was made before.
    async fn work(&self) {
        let syncline = self.open().await;
        let acme = syncline.workspace("acme");
        let row = acme.connections().await.expect("connections").remove(0);
        let connection = acme.connection(row.id).await.expect("the connection");
        for pull in self.pulls() {
            clean(&connection.sync_from_external(pull).await.expect("it runs"));
        }
    }
}

/// Says that the point is reached and never goes on.
fn stand_still(at: &str, point: &str, hit: usize) {
    static HITS: AtomicUsize = AtomicUsize::new(0);
    if at == point && HITS.fetch_add(1, Ordering::SeqCst) + 1 == hit {
        println!("{REACHED}");
        std::io::stdout().flush().expect("the parent listens");
        loop {
            std::thread::park();
        }
    }
}

/// Not a test of its own: what a child process does. Without an order it has nothing to do.
#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(order.work());
}

/// Runs a child to its end, or kills it at the point it is ordered to stand still at.
fn run_child(order: &Order) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ORDER, serde_json::to_string(order).expect("JSON"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.contains(REACHED));
    if reached {
        child.kill().expect("SIGKILL");
    }
    let output = child.wait_with_output().expect("it ended");
    let said = String::from_utf8_lossy(&output.stderr);
    match &order.stop {
        Some((point, hit)) => {
            assert!(reached, "{point} was not reached {hit} times:\n{said}");
            assert_eq!(output.status.signal(), Some(9), "killed, not ended: {:?}", output.status);
        }
        None => assert!(output.status.success(), "{:?}:\n{said}", output.status),
    }
}

/// A database that no process has open, as one file.
fn copy(from: &Path, to: &Path) {
    let log = PathBuf::from(format!("{}-wal", from.display()));
    assert!(!log.exists() || std::fs::metadata(&log).is_ok_and(|log| log.len() == 0), "the database was closed");
    std::fs::copy(from, to).expect("copied");
}

/// Kills a child at each point of `points`, each time from `template`, and compares.
fn kill_everywhere(order: &Order, template: &Path, points: &[(&str, usize)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let calm = Order { database: folder.path().join("calm.db"), stop: None, ..order.clone() };
    copy(template, &calm.database);
    run_child(&calm);
    let expected = Dump::of(&calm.database);
    for (point, hit) in points {
        let mut order = Order { database: folder.path().join(format!("{point}.db")), ..order.clone() };
        copy(template, &order.database);
        order.stop = Some(((*point).to_owned(), *hit));
        run_child(&order);
        order.stop = None;
        run_child(&order);
        Dump::of(&order.database).assert_same(&expected, &format!("{:?} killed at {point}", order.service));
    }
}

/// Children are waited for on a thread of its own, while this one serves them.
async fn aside(work: impl FnOnce() + Send + 'static) {
    if let Err(failed) = tokio::task::spawn_blocking(work).await {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// Points of a run that has something to write, and those of a sweep; each with the time of coming by at which it is killed.
const WRITING: &[(&str, usize)] = &[("p2", 1), ("p6", 3), ("p7", 2), ("p8", 2), ("p9", 2), ("p10", 2), ("p11", 2), ("p12", 2), ("p15", 1)];
const SWEEPING: &[(&str, usize)] = &[("p13", 1), ("p14", 1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_of_a_sheet_killed_at_any_point_ends_as_if_nothing_had_happened() {
    let world = World::new();
    let sim = SheetsSim::new("1AbC", "Film list");
    let mut rows = vec![vec!["Title".to_owned(), "Year".to_owned(), "Director".to_owned()]];
    rows.extend((0..100).map(|n| vec![format!("Film {n:03}"), format!("{}", 1920 + n), format!("director {n}")]));
    sim.load("Movies", &rows);
    sim.set_reads_per_minute(u32::MAX);
    let simulation = Simulation::new(sim).with_clock(world.clock.clone());
    let served = simulation.serve().await.expect("a port");
    let order = Order {
        database: world.path(),
        keys: world.keys.clone(),
        service: Service::Sheets,
        url: served.url.clone(),
        full: true,
        stop: None,
    };

    let syncline = order.open().await;
    let connection = order.connect(&syncline).await;
    drop((connection, syncline));
    let first = order.clone();
    let template = world.path();
    aside(move || kill_everywhere(&first, &template, WRITING)).await;

    // The same with rows that are known, some of them changed, some gone.
    order.work().await;
    for n in [2, 30, 55, 77, 90] {
        simulation.sim().set_cell("Movies", n, 3, "somebody else");
    }
    for n in [80, 60, 59, 8] {
        simulation.sim().delete_row("Movies", n);
    }
    simulation.sim().append_row("Movies", ["Film 900", "2026", "new"].map(SimCell::imported));
    let template = world.path();
    aside(move || kill_everywhere(&order, &template, &[WRITING, SWEEPING].concat())).await;
    drop(served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_of_channels_killed_at_any_point_ends_as_if_nothing_had_happened() {
    let world = World::new();
    let chat = Chat::new(&world);
    let (sim, general, random) = (chat.sim(), &chat.general, &chat.random);
    for n in 0..60 {
        sim.at(&ts(-90_000 + n * 60, 10)).post(if n % 3 == 0 { random } else { general }, &chat.bob, &format!("remark {n}"));
    }
    let served = chat.simulation.serve().await.expect("a port");
    let url = format!("{}/api/", served.url);
    let order = Order { database: world.path(), keys: world.keys.clone(), service: Service::Slack, url, full: false, stop: None };

    let syncline = order.open().await;
    let connection = order.connect(&syncline).await;
    drop((connection, syncline));
    let first = order.clone();
    let template = world.path();
    aside(move || kill_everywhere(&first, &template, WRITING)).await;

    // The same from cursors on: new messages, a late reply, an edit.
    order.work().await;
    for n in 0..25 {
        sim.at(&ts(3_600 + n * 60, 20)).post(general, &chat.ada, &format!("later {n}"));
        sim.at(&ts(3_600 + n * 60, 30)).post(random, &chat.bob, &format!("elsewhere {n}"));
    }
    sim.at(&ts(4_000, 1)).reply(general, &chat.question, &chat.bob, "Late");
    sim.at(&ts(4_100, 0)).edit(general, &chat.question, "Anyone there?");
    let (second, template) = (order.clone(), world.path());
    aside(move || kill_everywhere(&second, &template, WRITING)).await;

    // And everything once more, with messages that are gone.
    order.work().await;
    for n in [3, 9, 12] {
        sim.delete(random, &ts(-90_000 + n * 60, 10));
    }
    sim.at(&ts(5_000, 0)).edit(random, &chat.news, "All loud");
    let (full, template) = (Order { full: true, ..order }, world.path());
    aside(move || kill_everywhere(&full, &template, &[WRITING, SWEEPING].concat())).await;
    drop(served);
}

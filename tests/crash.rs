//! Real processes killed with SIGKILL at each crash point of a pull. The services live in this process and are served on loopback; a
//! child opens the database, pulls, says that it has come to the point and stands still, and is killed there. A second child then
//! runs to the end, and the database must be that of a run that nothing disturbed.

mod support;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{
    On, TestClock, World, begun, clean,
    place::Place,
    services::{Chat, ts},
    start,
};
use syncline::{
    Credentials, Keyring, Pull, Sheets, Slack, Syncline,
    providers::{
        sheets::simulator::{SheetsSim, SimCell},
        slack::communication,
    },
    testkit::{
        Fault, Faults, Simulation, VirtualClock,
        crash::{self, Crash},
    },
};

/// What a child shall do.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Order {
    database: Place,
    keys: String,
    service: Service,
    url: String,
    /// Whether everything is read, with deletes.
    full: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Service {
    Sheets,
    Slack,
}

impl Order {
    async fn open(&self) -> Syncline {
        let storage = self.database.open().await;
        let mut builder = Syncline::builder().keyring(Keyring::parse(&self.keys).expect("keys"));
        // Nothing is waited for: the engine's own quotas are not what is tested here.
        let clock = VirtualClock::new(start() + Duration::from_secs(86_400));
        builder = builder.clock(TestClock(clock)).quota("sheets", "read", 1_000_000, Duration::from_secs(1));
        for bucket in ["auth.test", "conversations.list", "conversations.history", "conversations.replies", "users.list"] {
            builder = builder.quota("slack", bucket, 1_000_000, Duration::from_secs(1));
        }
        storage.on_crash_point(crash::point);
        let builder = builder.on_crash_point(crash::point);
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
            clean(&begun(|| connection.sync_from_external(pull.clone())).await.expect("it runs"));
        }
    }
}

/// Not a test of its own: what a child process does. Without an order it has nothing to do.
#[test]
fn child() {
    let Some(order) = crash::order() else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(order.work());
}

/// Kills a child at each point of `points`, each time in a copy of `template`, and compares.
async fn kill_everywhere(order: &Order, template: &World, points: &[(&str, usize)]) {
    let crash = Crash::child("child");
    let on = async |order: &Order| {
        let world = template.copy().await;
        let order = Order { database: world.place(), ..order.clone() };
        (serde_json::to_string(&order).expect("JSON"), world)
    };
    let (calm, world) = on(order).await;
    crash.finish(&calm).await;
    let expected = world.dump();
    for (point, hit) in points {
        // A server's rows and lineage are one statement for all rows of a commit that change, so that there may be one such commit alone.
        let hit = if matches!((point, &order.database), (&"p8", Place::Server(_))) { &1 } else { hit };
        let (order_here, world) = on(order).await;
        crash.kill_at(&order_here, point, *hit).await;
        world.place().outlive();
        crash.finish(&order_here).await;
        world.dump().assert_same(&expected, &format!("{:?} killed at {point}", order.service));
    }
}

/// Kills a child while the service has its `nth` call of `operation`, before and after it acts, and compares.
async fn kill_under_way(order: &Order, template: &World, faults: &Faults, operation: &str, nth: usize) {
    let crash = Crash::child("child");
    let mut ends = Vec::new();
    for fault in [None, Some(Fault::HeldRequest), Some(Fault::HeldAnswer)] {
        let world = template.copy().await;
        let order = Order { database: world.place(), ..order.clone() };
        let text = serde_json::to_string(&order).expect("JSON");
        if let Some(fault) = fault {
            crash.kill_while_held(&text, faults, operation, nth, fault).await;
            faults.release();
            world.place().outlive();
        }
        crash.finish(&text).await;
        ends.push(world.dump());
    }
    for (end, what) in ends[1..].iter().zip(["before the service acted", "before it answered"]) {
        end.assert_same(&ends[0], &format!("{:?} killed {what}", order.service));
    }
}

/// Points of a run that has something to write, and those of a sweep; each with the time of coming by at which it is killed.
const WRITING: &[(&str, usize)] = &[("p2", 1), ("p6", 3), ("p7", 2), ("p8", 2), ("p9", 2), ("p10", 2), ("p11", 2), ("p12", 2), ("p15", 1)];
const SWEEPING: &[(&str, usize)] = &[("p13", 1), ("p14", 1)];

async fn kill_pulls_of_a_sheet(on: On) {
    let world = World::on(on).await;
    let sim = SheetsSim::new("1AbC", "Film list");
    let mut rows = vec![vec!["Title".to_owned(), "Year".to_owned(), "Director".to_owned()]];
    rows.extend((0..100).map(|n| vec![format!("Film {n:03}"), format!("{}", 1920 + n), format!("director {n}")]));
    sim.load("Movies", &rows);
    sim.set_reads_per_minute(u32::MAX);
    let simulation = Simulation::new(sim).with_clock(world.clock.clone());
    let served = simulation.serve().await.expect("a port");
    let order = Order { database: world.place(), keys: world.keys.clone(), service: Service::Sheets, url: served.url.clone(), full: true };

    let syncline = order.open().await;
    let connection = order.connect(&syncline).await;
    drop((connection, syncline));
    kill_everywhere(&order, &world, WRITING).await;
    kill_under_way(&order, &world, simulation.faults(), "sheets.values.batchGet", 3).await;

    // The same with rows that are known, some of them changed, some gone.
    order.work().await;
    for n in [2, 30, 55, 77, 90] {
        simulation.sim().set_cell("Movies", n, 3, "somebody else");
    }
    for n in [80, 60, 59, 8] {
        simulation.sim().delete_row("Movies", n);
    }
    simulation.sim().append_row("Movies", ["Film 900", "2026", "new"].map(SimCell::imported));
    kill_everywhere(&order, &world, &[WRITING, SWEEPING].concat()).await;
    drop(served);
}

async fn kill_pulls_of_channels(on: On) {
    let world = World::on(on).await;
    let chat = Chat::new(&world);
    let (sim, general, random) = (chat.sim(), &chat.general, &chat.random);
    for n in 0..60 {
        sim.at(&ts(-90_000 + n * 60, 10)).post(if n % 3 == 0 { random } else { general }, &chat.bob, &format!("remark {n}"));
    }
    let served = chat.simulation.serve().await.expect("a port");
    let url = format!("{}/api/", served.url);
    let order = Order { database: world.place(), keys: world.keys.clone(), service: Service::Slack, url, full: false };

    let syncline = order.open().await;
    let connection = order.connect(&syncline).await;
    drop((connection, syncline));
    kill_everywhere(&order, &world, WRITING).await;

    // The same from cursors on: new messages, a late reply, an edit.
    order.work().await;
    for n in 0..25 {
        sim.at(&ts(3_600 + n * 60, 20)).post(general, &chat.ada, &format!("later {n}"));
        sim.at(&ts(3_600 + n * 60, 30)).post(random, &chat.bob, &format!("elsewhere {n}"));
    }
    sim.at(&ts(4_000, 1)).reply(general, &chat.question, &chat.bob, "Late");
    sim.at(&ts(4_100, 0)).edit(general, &chat.question, "Anyone there?");
    kill_everywhere(&order, &world, WRITING).await;

    // And everything once more, with messages that are gone.
    order.work().await;
    for n in [3, 9, 12] {
        sim.delete(random, &ts(-90_000 + n * 60, 10));
    }
    sim.at(&ts(5_000, 0)).edit(random, &chat.news, "All loud");
    kill_everywhere(&Order { full: true, ..order }, &world, &[WRITING, SWEEPING].concat()).await;
    drop(served);
}

macro_rules! on_each {
    ($($name:ident, $on_a_server:ident: $body:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            Box::pin($body(On::Sqlite)).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $on_a_server() {
            Box::pin($body(On::Postgres)).await;
        }
    )*};
}

on_each! {
    a_pull_of_a_sheet_killed_at_any_point_ends_as_if_nothing_had_happened,
    a_pull_of_a_sheet_into_postgres_killed_at_any_point_ends_as_if_nothing_had_happened: kill_pulls_of_a_sheet;
    a_pull_of_channels_killed_at_any_point_ends_as_if_nothing_had_happened,
    a_pull_of_channels_into_postgres_killed_at_any_point_ends_as_if_nothing_had_happened: kill_pulls_of_channels;
}

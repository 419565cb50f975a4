//! Real processes killed with SIGKILL in the midst of a push of a hundred mixed items: at each crash point, and while the service has
//! their call. The services live in this process and are served on loopback. A second process pushes the same items to the end; each
//! item is then exactly as it should be, once, and a third push has nothing to write.

mod support;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use support::{
    On, World, begun,
    mixed::{Change, Kind, Mix, Service},
    place::Place,
    start,
};
use syncline::{
    Clock, Keyring, Push, Sheets, Slack, SyncResult, Syncline,
    testkit::{Fault, VirtualClock, crash, crash::Crash},
};

/// What a child shall do.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Order {
    database: Place,
    keys: String,
    kind: Kind,
    url: String,
    /// What it pushes.
    mix: Mix,
    /// Seconds after the world's start at which it runs.
    at: u64,
    /// Whether it has to come to a clean end.
    whole: bool,
    /// Beside this file it says that it waits for lost answers, and waits until it is told to go on.
    gate: Option<PathBuf>,
}

/// A clock that jumps, except that the first wait for lost answers stands still until the parent has done its part.
#[derive(Clone, Debug)]
struct GatedClock {
    clock: VirtualClock,
    gate: Option<PathBuf>,
}

/// No wait of a push is that long, except for lost answers.
const SETTLING: Duration = Duration::from_secs(15);

impl Clock for GatedClock {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        let this = self.clone();
        Box::pin(async move {
            if let Some(gate) = this.gate.filter(|_| wait >= SETTLING) {
                std::fs::write(gate.with_extension("waits"), "").expect("written");
                while !gate.exists() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            this.clock.sleep(wait).await;
        })
    }
}

impl Order {
    async fn open(&self) -> Syncline {
        let storage = self.database.open().await;
        storage.on_crash_point(crash::point);
        let clock = VirtualClock::new(start() + Duration::from_secs(self.at));
        let mut builder = Syncline::builder().keyring(Keyring::parse(&self.keys).expect("keys")).on_crash_point(crash::point);
        builder = builder.clock(GatedClock { clock, gate: self.gate.clone() });
        // The quotas are not what is tested here.
        for bucket in ["read", "write"] {
            builder = builder.quota("sheets", bucket, 1_000_000, Duration::from_secs(1));
        }
        for bucket in ["auth.test", "conversations.history", "conversations.replies", "chat.postMessage", "chat.update", "chat.delete"] {
            builder = builder.quota("slack", bucket, 1_000_000, Duration::from_secs(1));
        }
        let builder = match self.kind {
            Kind::Sheets => builder.provider(Sheets::builder().base_url(&self.url).build().expect("a provider")),
            Kind::Slack => builder.provider(Slack::builder().base_url(&self.url).build().expect("a provider")),
        };
        builder.storage(storage).build().await.expect("an engine")
    }

    async fn push(&self, push: Push) -> SyncResult {
        let syncline = self.open().await;
        let connection = self.kind.connect(&syncline).await;
        let push = push.patience(Duration::from_secs(1_200));
        begun(|| connection.sync_to_external(push.clone())).await.expect("it runs")
    }

    async fn work(&self) {
        let result = self.push(self.kind.second(&self.mix)).await;
        if self.whole {
            assert!(result.success(), "{result:?}");
            assert!(result.counts.balanced(), "{:?}", result.counts);
            assert_eq!(result.counts.unsettled, 0, "{:?}", result.counts);
            assert!(result.counts.read >= self.mix.items.len() as u64, "{:?}", result.counts);
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("JSON")
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

/// How a process dies.
#[derive(Clone, Debug)]
enum Death {
    /// At this point, the n-th time.
    At(&'static str, usize),
    /// At this point, after the answers of these calls were lost: the operation, how many pass before, and the fault.
    Lost(&'static str, &'static str, usize, Fault),
    /// The service has the n-th call of an operation and never acts.
    Before(&'static str, usize),
    /// The service has acted and has not answered.
    After(&'static str, usize),
    /// The service has the call and acts while the second process waits for it.
    Late(&'static str, usize),
}

/// One process killed, one that goes to the end, one that has nothing to do.
async fn kill(on: On, kind: Kind, death: Death) {
    let about = format!("{on:?} {kind:?} {death:?}");
    let (world, mix, crash) = (World::on(on).await, Mix::hundred(), Crash::child("child").patience(Duration::from_secs(30)));
    let service = Service::new(kind, &world.clock);
    let (served, url) = service.serve().await;
    let first = Order { database: world.place(), keys: world.keys.clone(), kind, url, mix: mix.clone(), at: 0, whole: false, gate: None };
    let before = first.push(kind.first(&mix)).await;
    assert_eq!(before.counts.created, 60, "{about}: {before:?}");

    let doomed = Order { at: 60, ..first.clone() };
    world.clock.advance(Duration::from_secs(60));
    match &death {
        Death::At(point, hit) => crash.kill_at(&doomed.text(), point, *hit).await,
        Death::Lost(point, operation, pass, fault) => {
            service.faults().push_times(*operation, Fault::Pass, *pass);
            service.faults().push(*operation, fault.clone());
            crash.kill_at(&doomed.text(), point, 1).await;
            assert_eq!(service.faults().waiting(), 0, "{about}: the fault struck");
        }
        Death::Before(operation, nth) | Death::Late(operation, nth) => {
            crash.kill_while_held(&doomed.text(), service.faults(), operation, *nth, Fault::HeldRequest).await;
        }
        Death::After(operation, nth) => {
            crash.kill_while_held(&doomed.text(), service.faults(), operation, *nth, Fault::HeldAnswer).await;
        }
    }

    world.place().outlive();
    world.clock.advance(Duration::from_secs(2));
    let gate = matches!(death, Death::Late(..)).then(|| world.folder.path().join("gate"));
    let next = Order { at: 62, whole: true, gate: gate.clone(), ..doomed };
    let text = next.text();
    match gate {
        Some(gate) => {
            tokio::join!(crash.finish(&text), arrive_late(&service, &gate, &about));
        }
        None => crash.finish(&text).await,
    }
    // After a delete of rows was lost, the provider puts the new rows off until the next time.
    let put_off = world.ask("SELECT count(*) FROM syncline_push_intents WHERE next_at IS NOT NULL");
    let expected = if matches!(death, Death::Lost(_, "sheets.spreadsheets.batchUpdate", ..)) { "36" } else { "0" };
    assert_eq!(put_off, expected, "{about}");
    if put_off != "0" {
        Order { at: 7_200, gate: None, ..next.clone() }.push(kind.second(&mix)).await;
    }
    service.assert_settled(&mix, &next.database, &about);

    let written = service.written();
    let third = Order { at: 36_000, gate: None, ..next };
    let result = third.push(kind.second(&mix)).await;
    assert!(result.success() && result.counts.balanced(), "{about}: {result:?}");
    assert_eq!((result.counts.read, result.counts.failed, result.counts.unsettled), (100, 8, 0), "{about}");
    assert_eq!(service.written(), written, "{about}: a third push writes nothing");
    service.assert_settled(&mix, &third.database, &about);
    drop(served);
}

/// Lets the held request act as soon as the second process waits for it, and lets that go on when it has acted.
async fn arrive_late(service: &Service, gate: &Path, about: &str) {
    let poll = Duration::from_millis(2);
    let waits = tokio::time::timeout(Duration::from_secs(20), async {
        while !gate.with_extension("waits").exists() {
            tokio::time::sleep(poll).await;
        }
        let before = service.records();
        service.faults().release();
        while service.records() == before {
            tokio::time::sleep(poll).await;
        }
    });
    let arrived = waits.await;
    std::fs::write(gate, "").expect("written");
    assert!(arrived.is_ok(), "{about}: the second process waits, and the request acts");
}

/// The second process has another row to delete, which moves the rows that the late request was made for.
async fn kill_and_move_rows(on: On, operation: &'static str, change: Change) {
    let (world, crash) = (World::on(on).await, Crash::child("child").patience(Duration::from_secs(30)));
    let service = Service::new(Kind::Sheets, &world.clock);
    let (served, url) = service.serve().await;
    let of = |items: &[(usize, Change, bool)]| Mix { before: (0..10).collect(), items: items.to_vec() };
    let (held, above) = ((5, change, false), (1, Change::Delete, false));
    let (keys, gate) = (world.keys.clone(), None);
    let first = Order { database: world.place(), keys, kind: Kind::Sheets, url, mix: of(&[held]), at: 0, whole: false, gate };
    first.push(first.kind.first(&first.mix)).await;
    let doomed = Order { at: 60, ..first };
    crash.kill_while_held(&doomed.text(), service.faults(), operation, 1, Fault::HeldRequest).await;

    world.place().outlive();
    let gate = world.folder.path().join("gate");
    let next = Order { at: 62, mix: of(&[above]), whole: true, gate: Some(gate.clone()), ..doomed };
    let text = next.text();
    tokio::join!(crash.finish(&text), arrive_late(&service, &gate, operation));
    service.assert_settled(&of(&[held, above]), &next.database, operation);
    drop(served);
}

macro_rules! deaths {
    ($($name:ident: $kind:ident, $deaths:expr;)*) => {
        on_each! { $($name: on => for death in $deaths { Box::pin(kill(on, Kind::$kind, death)).await; };)* }
    };
}

macro_rules! on_each {
    ($($name:ident: $on:ident => $body:expr;)*) => {
        mod on_sqlite {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $on = On::Sqlite;
                $body
            })*
        }

        mod on_postgres {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $on = On::Postgres;
                $body
            })*
        }
    };
}

fn held(operation: &'static str, nth: usize) -> [Death; 3] {
    [Death::Before(operation, nth), Death::After(operation, nth), Death::Late(operation, nth)]
}

fn points(hits: &[(&'static str, usize)]) -> Vec<Death> {
    hits.iter().map(|(point, hit)| Death::At(point, *hit)).collect()
}

fn looks(operation: &'static str, pass: usize) -> Vec<Death> {
    let faults = [Fault::LostAnswer, Fault::LostRequest];
    faults.into_iter().flat_map(|fault| ["w7", "w8"].map(|point| Death::Lost(point, operation, pass, fault.clone()))).collect()
}

mod late {
    use super::*;

    on_each! {
        a_delete_of_a_row_takes_no_other_row_when_the_next_push_moves_them:
            on => Box::pin(kill_and_move_rows(on, "sheets.spreadsheets.batchUpdate", Change::Delete)).await;
        an_update_of_a_row_writes_into_no_other_row_when_the_next_push_moves_them:
            on => Box::pin(kill_and_move_rows(on, "sheets.values.batchUpdate", Change::Update)).await;
    }
}

deaths! {
    a_push_to_a_sheet_killed_around_its_call_ends_with_each_row_once: Sheets, points(&[("w1", 1), ("w4", 1), ("w9", 1)]);
    a_push_to_a_sheet_killed_around_a_commit_ends_with_each_row_once: Sheets, points(&[("w11", 1), ("w11", 2), ("w12", 1), ("w12", 2)]);
    a_push_to_a_sheet_killed_around_a_look_ends_with_each_row_once: Sheets, looks("sheets.values.append", 0);
    a_push_to_a_sheet_killed_around_a_look_for_a_delete_ends_with_each_row_once: Sheets, looks("sheets.spreadsheets.batchUpdate", 0);
    an_append_killed_while_the_service_has_it_ends_with_each_row_once: Sheets, held("sheets.values.append", 1);
    an_update_killed_while_the_service_has_it_ends_with_each_row_once: Sheets, held("sheets.values.batchUpdate", 1);
    a_delete_of_rows_killed_while_the_service_has_it_takes_no_other_row: Sheets, held("sheets.spreadsheets.batchUpdate", 1);
    a_push_of_messages_killed_around_its_calls_ends_with_each_message_once: Slack,
        points(&[("w1", 3), ("w1", 60), ("w1", 95), ("w4", 3), ("w4", 60), ("w4", 95), ("w9", 5), ("w9", 45)]);
    a_push_of_messages_killed_around_a_commit_ends_with_each_message_once: Slack,
        points(&[("w11", 1), ("w11", 5), ("w11", 60), ("w12", 1), ("w12", 5), ("w12", 60), ("w12", 95)]);
    a_push_of_messages_killed_around_a_look_ends_with_each_message_once: Slack, looks("slack.chat.postMessage", 4);
    a_post_killed_while_the_service_has_it_is_made_once: Slack, held("slack.chat.postMessage", 5);
    an_edit_killed_while_the_service_has_it_is_made: Slack, held("slack.chat.update", 5);
    a_delete_of_a_message_killed_while_the_service_has_it_is_made: Slack, held("slack.chat.delete", 5);
}

//! Answers that were lost: whatever the service did with a request nobody heard of again, each item is there once, or visibly unknown.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use support::{
    Fuse, World,
    faulty::{Faulty, Harm},
    look,
    pushable::{Fate, Pushable},
    quiet_deaths,
};
use syncline::{
    Connection, Credentials, Error, ErrorKind, IntentFilter, IntentState, Push, PushRecord, SyncResult, Syncline,
    core::{Operation, PushItem, PushLimits},
};

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("it connects")
}

fn person(n: usize, v: usize) -> PushRecord {
    PushRecord::new(format!("p{n}"), &json!({ "name": format!("p{n}"), "v": v }))
}

/// What is there before: p0 to p59.
fn before() -> Push {
    Push::records("people", (0..60).map(|n| person(n, 1)))
}

/// A hundred items: 40 new ones, 40 updates, 20 deletes; every tenth of the new ones and of the updates is refused.
fn mixed() -> Push {
    let new = (60..100).map(|n| person(n, 1));
    let updates = (0..40).map(|n| person(n, 2));
    let deletes = (40..60).map(|n| PushRecord::delete(format!("p{n}")));
    Push::records("people", new.chain(updates).chain(deletes))
}

/// What the service has in the end.
fn after_all() -> Vec<String> {
    let updates = (0..40).map(|n| format!("p{n}={}", if n % 10 == 0 { 1 } else { 2 }));
    let mut all: Vec<String> = updates.chain((60..100).filter(|n| n % 10 != 0).map(|n| format!("p{n}=1"))).collect();
    all.sort();
    all
}

fn bad(item: &PushItem) -> bool {
    let name = serde_json::from_slice::<serde_json::Value>(&item.fields).ok().and_then(|fields| Some(fields["name"].as_str()?.to_owned()));
    item.operation == Operation::Upsert && name.is_some_and(|name| name.trim_start_matches('p').parse::<usize>().is_ok_and(|n| n % 10 == 0))
}

/// Good items meet `fate` the first time, and no trouble after that.
fn first_time(service: &Pushable, fate: impl Fn(&PushItem) -> Fate + Send + Sync + 'static) {
    service.fates(move |item, times| match (bad(item), times) {
        (true, _) => Fate::Refused,
        (false, 0) => fate(item),
        (false, _) => Fate::Well,
    });
}

fn service(items: usize) -> Pushable {
    Pushable::new(PushLimits { items, ..PushLimits::default() })
}

/// Each record that was made was made once.
#[track_caller]
fn nothing_is_doubled(service: &Pushable) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for fields in service.state().records.values() {
        *names.entry(fields["name"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    let doubled: Vec<_> = names.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[tokio::test]
async fn every_pattern_of_lost_answers_ends_with_each_item_once() {
    let late = Fate::Late(Duration::from_secs(40));
    type Pattern = Arc<dyn Fn(&PushItem) -> Fate + Send + Sync>;
    let patterns: Vec<(&str, Pattern)> = vec![
        ("before", Arc::new(|_| Fate::LostBefore)),
        ("after", Arc::new(|_| Fate::LostAfter)),
        ("late", Arc::new(move |_| late)),
        (
            "mixed",
            Arc::new(move |item| match item.marker.as_str().bytes().last().unwrap_or_default() % 4 {
                0 => Fate::LostBefore,
                1 => Fate::LostAfter,
                2 => late,
                _ => Fate::Well,
            }),
        ),
    ];
    for (pattern, fate) in patterns {
        for items in [1, 7, 100] {
            let (world, service) = (World::new(), service(items));
            let crm = connect(&world.open(service.clone()).await).await;
            crm.sync_to_external(before()).await.expect("it runs");
            service.state().received.clear();
            let fate = Arc::clone(&fate);
            first_time(&service, move |item| fate(item));
            let result = crm.sync_to_external(mixed().patience(Duration::from_secs(600))).await.expect("it runs");
            assert!(result.counts.balanced(), "{pattern} {items}: {:?}", result.counts);
            assert_eq!((result.counts.read, result.counts.failed, result.counts.unsettled), (100, 8, 0), "{pattern} {items}: {result:?}");
            service.all_arrives();
            assert_eq!(service.truth(), after_all(), "{pattern} {items}");
            nothing_is_doubled(&service);
            let made: Vec<_> = service
                .state()
                .received
                .iter()
                .filter(|(name, times)| name.starts_with('p') && **times != 1)
                .map(|(n, _)| n.clone())
                .collect();
            assert!(made.is_empty(), "{pattern} {items}: made more than once: {made:?}");

            service.called();
            let again = crm.sync_to_external(mixed()).await.expect("it runs");
            assert_eq!(service.called(), 0, "{pattern} {items}: {again:?}");
        }
    }
}

#[tokio::test]
async fn a_whole_call_whose_answer_was_lost_is_looked_for_item_by_item() {
    let (world, service) = (World::new(), service(10));
    let crm = connect(&world.open(service.clone()).await).await;
    crm.sync_to_external(before()).await.expect("it runs");
    first_time(&service, |_| Fate::Well);
    service.calls(|_, n| {
        let lost =
            Error::new(ErrorKind::Transport, "crm.write", "the connection was reset").with_delivery(syncline::core::Delivery::Unknown);
        (n % 2 == 0 && n < 10).then_some(lost)
    });
    let result = crm.sync_to_external(mixed()).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.failed, result.counts.unsettled), (100, 8, 0), "{result:?}");
    assert_eq!(service.truth(), after_all());
    nothing_is_doubled(&service);
}

#[tokio::test]
async fn what_cannot_be_looked_for_stays_visibly_unknown_and_is_never_sent_again() {
    let (world, service) = (World::new(), service(10));
    let crm = connect(&world.open(service.clone()).await).await;
    service.state().can_look = false;
    service.fates(|_, times| if times == 0 { Fate::LostAfter } else { Fate::Well });
    let push = || Push::records("people", (0..3).map(|n| person(n, 1)));
    for _ in 0..3 {
        let result = crm.sync_to_external(push()).await.expect("it runs");
        assert_eq!((result.counts.read, result.counts.unsettled), (3, 3), "{result:?}");
        world.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(service.truth(), ["p0=1", "p1=1", "p2=1"]);
    assert_eq!(service.called(), 1);
    let open = crm.unconfirmed(IntentFilter::default()).await.expect("a list");
    assert!(open.iter().all(|write| write.state == IntentState::Unknown && write.next_try.is_none()), "{open:?}");
    assert!(open[0].reason.as_deref().is_some_and(|reason| reason.contains("no way to look")), "{open:?}");

    // Somebody looks: one is there, one shall be sent again, one is given up.
    crm.resolve(&open[0], syncline::Resolution::Done("r1".into())).await.expect("it is written");
    service.state().records.remove("r2");
    crm.resolve(&open[1], syncline::Resolution::SendAgain).await.expect("it is written");
    crm.resolve(&open[2], syncline::Resolution::Forget).await.expect("it is written");
    service.state().records.remove("r3");
    service.fates(|_, _| Fate::Well);
    let result = crm.sync_to_external(push()).await.expect("it runs");
    assert_eq!((result.counts.unchanged, result.counts.created, result.counts.unsettled), (1, 2, 0), "{result:?}");
    assert_eq!(service.truth(), ["p0=1", "p1=1", "p2=1"]);
    nothing_is_doubled(&service);
}

#[tokio::test]
async fn a_change_of_a_row_whose_write_is_unknown_waits_until_that_is_settled() {
    let (world, service) = (World::new(), service(10));
    let crm = connect(&world.open(service.clone()).await).await;
    service.fates(|_, times| if times == 0 { Fate::Late(Duration::from_secs(40)) } else { Fate::Well });
    let push = |v| Push::records("people", [person(1, v)]);
    let result = crm.sync_to_external(push(1).patience(Duration::ZERO)).await.expect("it runs");
    assert_eq!(result.counts.unsettled, 1);
    let result = crm.sync_to_external(push(2).patience(Duration::ZERO)).await.expect("it runs");
    assert_eq!((result.counts.read, result.counts.unsettled), (2, 1), "the new content is held back, and counted as not sent");
    assert_eq!(service.called(), 1);
    world.clock.advance(Duration::from_secs(61));
    service.fates(|_, _| Fate::Well);
    let result = crm.sync_to_external(push(2)).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.updated), (1, 1), "{result:?}");
    assert_eq!(service.truth(), ["p1=2"]);
}

/// What a second process makes of what the first left behind.
async fn second_run(world: &World, service: &Pushable, about: &str) -> SyncResult {
    service.ungate();
    let syncline = world.builder().storage(world.storage().await).provider(service.clone()).build().await.expect("an engine");
    let crm = connect(&syncline).await;
    let result = crm.sync_to_external(mixed().patience(Duration::from_secs(1200))).await.unwrap_or_else(|e| panic!("{about}: {e}"));
    assert!(result.success(), "{about}: {result:?}");
    assert!(result.counts.balanced(), "{about}: {:?}", result.counts);
    service.all_arrives();
    assert_eq!(service.truth(), after_all(), "{about}");
    nothing_is_doubled(service);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_push_intents WHERE state <> 'failed'"), "0", "{about}");
    result
}

#[tokio::test]
async fn a_push_that_is_dropped_at_any_await_doubles_and_loses_nothing() {
    let mut polls = 0;
    loop {
        let (world, service) = (World::new(), service(7));
        let ended = {
            let syncline = world.open(service.clone()).await;
            let crm = connect(&syncline).await;
            crm.sync_to_external(before()).await.expect("it runs");
            first_time(&service, |item| if item.marker.as_str().ends_with('3') { Fate::LostAfter } else { Fate::Well });
            let mut run = Box::pin(crm.sync_to_external(mixed()));
            let mut ended = false;
            for _ in 0..=polls {
                if look(&mut run).await.is_ready() {
                    ended = true;
                    break;
                }
                // The database works on threads of its own, so that a little time has to pass between two looks.
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            drop(run);
            // The next run of this engine waits for the end of the dropped one.
            let calls = service.state().calls.len();
            let crm = connect(&syncline).await;
            let empty = crm.sync_to_external(Push::records("people", Vec::<PushRecord>::new()).patience(Duration::ZERO)).await;
            assert!(empty.is_ok(), "{empty:?}");
            assert!(ended || service.state().calls.len() <= calls + 2, "no more than what was under way");
            ended
        };
        second_run(&world, &service, &format!("dropped after {polls} looks")).await;
        if ended {
            break;
        }
        polls += 3;
    }
    assert!(polls > 9, "it was dropped at {polls} awaits");
}

#[tokio::test]
async fn a_dropped_push_lets_the_call_under_way_end_and_stores_its_outcome() {
    let (world, service) = (World::new(), service(2));
    let syncline = world.open(service.clone()).await;
    let crm = connect(&syncline).await;
    let gate = service.gate();
    let mut run = Box::pin(crm.sync_to_external(Push::records("people", (0..6).map(|n| person(n, 1)))));
    while service.state().waiting == 0 {
        assert!(look(&mut run).await.is_pending());
        tokio::task::yield_now().await;
    }
    drop(run);
    gate.add_permits(100);
    let next = crm.sync_to_external(Push::records("people", Vec::<PushRecord>::new())).await.expect("it waits for the end");
    assert_eq!(next.counts.read, 0, "nothing is left open");
    assert_eq!(service.truth(), ["p0=1", "p1=1"]);
    assert_eq!(world.ask_all("SELECT status FROM syncline_sync_runs ORDER BY id"), ["cancelled", "completed"]);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_push_links"), "2");
}

#[tokio::test]
async fn what_was_written_down_and_never_left_is_no_lost_write() {
    let (world, service) = (World::new(), service(2));
    service.state().can_look = false;
    let storage = Faulty::new(world.storage().await);
    let crm = connect(&world.open_on(storage.clone(), service.clone()).await).await;
    let hold = storage.hold_journal();
    let mut run = Box::pin(crm.sync_to_external(Push::records("people", (0..2).map(|n| person(n, 1)))));
    while storage.held() == 0 {
        assert!(look(&mut run).await.is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(world.ask_all("SELECT state FROM syncline_push_intents"), ["sending", "sending"]);
    drop(run);
    for _ in 0..50 {
        // The run's task hears that it was stopped.
        tokio::task::yield_now().await;
    }
    hold.add_permits(100);
    let next = crm.sync_to_external(Push::records("people", Vec::<PushRecord>::new())).await.expect("it waits for the end");
    assert_eq!((next.counts.unsettled, service.called()), (0, 0), "{next:?}");
    assert_eq!(world.ask("SELECT count(*) FROM syncline_push_intents"), "0");
}

#[tokio::test]
async fn a_look_that_fails_is_no_empty_look() {
    let (world, service) = (World::new(), service(10));
    let crm = connect(&world.open(service.clone()).await).await;
    service.fates(|_, times| if times == 0 { Fate::LostAfter } else { Fate::Well });
    for kind in [ErrorKind::Transport, ErrorKind::RateLimited] {
        service.state().blind = Some(kind);
        let result = crm.sync_to_external(Push::records("people", [person(1, 1)])).await.expect("it runs");
        assert_eq!((result.counts.read, result.counts.unsettled), (1, 1), "{result:?}");
        assert!(result.success() && result.errors[0].message.contains("out of order"), "{result:?}");
        world.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(service.called(), 1, "it is never sent again");
    let open = crm.unconfirmed(IntentFilter::default()).await.expect("a list");
    assert!(open[0].next_try.is_some() && open[0].reason.as_deref().is_some_and(|reason| reason.contains("out of order")), "{open:?}");
    service.state().blind = None;
    let result = crm.sync_to_external(Push::records("people", [person(1, 1)])).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.unsettled), (1, 0));
    assert_eq!(service.truth(), ["p1=1"]);
}

#[tokio::test]
async fn each_store_call_that_fails_once_doubles_and_loses_nothing() {
    let mut n = 0;
    loop {
        let (world, service) = (World::new(), service(30));
        let storage = Faulty::new(world.storage().await);
        let failed = {
            let syncline = world.open_on(storage.clone(), service.clone()).await;
            let crm = connect(&syncline).await;
            crm.sync_to_external(before()).await.expect("it runs");
            first_time(&service, |item| match item.marker.as_str().bytes().last().unwrap_or_default() % 3 {
                0 => Fate::LostBefore,
                1 => Fate::LostAfter,
                _ => Fate::Well,
            });
            storage.harm(Some(Harm::Refuse(n)));
            let result = crm.sync_to_external(mixed()).await;
            let name = storage.calls().get(n).copied();
            storage.harm(None);
            match (name, &result) {
                (None, _) => {}
                // The run is written by then; its line in the log is not.
                (Some("log_activity"), Ok(result)) => assert!(result.success()),
                (Some(name), Ok(result)) => assert!(!result.success(), "{name} was refused and the run says it went well: {result:?}"),
                (Some(_), Err(error)) => assert_eq!(error.kind(), ErrorKind::Storage),
            }
            name
        };
        drop(storage);
        // What could not be sent for now is due again by then.
        world.clock.advance(Duration::from_secs(3600));
        second_run(&world, &service, &format!("call {n} ({failed:?}) was refused")).await;
        if failed.is_none() {
            break;
        }
        n += 1;
    }
    assert!(n > 15, "{n} calls were refused");
}

#[tokio::test]
async fn a_process_that_dies_at_any_point_of_a_push_doubles_and_loses_nothing() {
    quiet_deaths();
    for (point, most) in [("w1", 12), ("w4", 12), ("w9", 6), ("w7", 3), ("w8", 3)] {
        for hit in 1..=most {
            let (world, service) = (World::new(), service(9));
            let died = {
                let syncline = world.open(service.clone()).await;
                connect(&syncline).await.sync_to_external(before()).await.expect("it runs");
                drop(syncline);
                first_time(&service, |item| match item.marker.as_str().bytes().last().unwrap_or_default() % 3 {
                    0 => Fate::Late(Duration::from_secs(35)),
                    1 => Fate::LostAfter,
                    _ => Fate::Well,
                });
                let fuse = Fuse::new(point, hit);
                let at = fuse.clone();
                let storage = world.storage().await;
                let syncline = world.builder().storage(storage).provider(service.clone()).on_crash_point(move |point| at.at(point));
                let syncline = syncline.build().await.expect("an engine");
                let crm = connect(&syncline).await;
                let _ = crm.sync_to_external(mixed()).await;
                fuse.blown()
            };
            assert!(died || hit > 2, "the run comes by {point}");
            if !died {
                break;
            }
            second_run(&world, &service, &format!("died at {point}, time {hit}")).await;
        }
    }
}

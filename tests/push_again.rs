//! Writes that are tried again by a later run: each in the mode it was begun in, whatever mode the later run has.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{
    World,
    pushable::{Fate, Pushable},
    services::{connect_sheets, movies, sheets},
};
use syncline::{Connection, Credentials, Push, PushMode, PushRecord, Resolution, core::PushLimits, core::store::IntentState};

async fn connect(world: &World, service: &Pushable) -> Connection {
    let syncline = world.open(service.clone()).await;
    syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("connected")
}

fn service() -> Pushable {
    Pushable::new(PushLimits { items: 10, ..PushLimits::default() })
}

/// A record whose key at the service is its name.
fn push(names: &[&str]) -> Push {
    let record = |name: &&str| PushRecord::new(*name, &json!({ "name": name, "v": 1 })).id(*name);
    Push::records("people", names.iter().map(record).collect::<Vec<_>>())
}

fn appears(service: &Pushable, name: &str) {
    service.state().records.insert(name.to_owned(), json!({ "name": name, "v": 99 }));
}

/// The later runs that come to a write of `p1`: one with its row, and one with another.
const LATER: [&[&str]; 2] = [&["p1"], &["p2"]];

#[tokio::test]
async fn a_failed_insert_never_overwrites_what_appeared_meanwhile() {
    for later in LATER {
        let (world, service) = (World::new(), service());
        let crm = connect(&world, &service).await;
        service.fates(|_, _| Fate::NotNow);
        let failed = crm.sync_to_external(push(&["p1"]).mode(PushMode::Insert)).await.expect("it runs");
        assert_eq!(failed.counts.failed, 1, "{failed:?}");
        appears(&service, "p1");
        service.fates(|_, _| Fate::Well);
        world.clock.advance(Duration::from_secs(7_200));
        let again = crm.sync_to_external(push(later)).await.expect("it runs");
        assert_eq!(again.counts.skipped, 1, "{later:?}: {again:?}");
        assert_eq!(service.truth()[0], "p1=99", "{later:?}");
        // Its write is over with that: a push that may overwrite does, of its own.
        let over = crm.sync_to_external(push(&["p1"])).await.expect("it runs");
        assert_eq!((over.counts.updated, service.truth()[0].as_str()), (1, "p1=1"), "{later:?}: {over:?}");
    }
}

#[tokio::test]
async fn a_failed_update_never_creates_what_went_meanwhile() {
    for later in LATER {
        let (world, service) = (World::new(), service());
        let crm = connect(&world, &service).await;
        appears(&service, "p1");
        service.fates(|_, _| Fate::NotNow);
        crm.sync_to_external(push(&["p1"]).mode(PushMode::Update)).await.expect("it runs");
        service.state().records.clear();
        service.fates(|_, _| Fate::Well);
        world.clock.advance(Duration::from_secs(7_200));
        let again = crm.sync_to_external(push(later)).await.expect("it runs");
        assert_eq!(again.counts.skipped, 1, "{later:?}: {again:?}");
        assert!(!service.truth().iter().any(|record| record.starts_with("p1")), "{later:?}: {:?}", service.truth());
    }
}

#[tokio::test]
async fn a_lost_insert_is_sent_again_as_an_insert_and_a_lost_update_as_an_update() {
    for (mode, there, left) in [(PushMode::Insert, true, vec!["p1=99", "p2=1"]), (PushMode::Update, false, vec!["p2=1"])] {
        for can_look in [true, false] {
            let (world, service) = (World::new(), service());
            let crm = connect(&world, &service).await;
            if !there {
                appears(&service, "p1");
            }
            service.fates(|_, _| Fate::LostBefore);
            let lost = crm.sync_to_external(push(&["p1"]).mode(mode).patience(Duration::ZERO)).await.expect("it runs");
            assert_eq!(lost.counts.unsettled, 1, "{lost:?}");
            service.state().records.clear();
            if there {
                appears(&service, "p1");
            }
            service.fates(|_, _| Fate::Well);
            service.state().can_look = can_look;
            world.clock.advance(Duration::from_secs(7_200));
            crm.sync_to_external(push(&["p2"])).await.expect("it runs");
            assert_eq!(service.truth(), left, "{mode:?}, can look: {can_look}");
        }
    }
}

#[tokio::test]
async fn writes_of_two_modes_never_share_a_call() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world, &service).await;
    service.fates(|_, _| Fate::NotNow);
    crm.sync_to_external(push(&["p1", "p3"]).mode(PushMode::Insert)).await.expect("it runs");
    service.fates(|_, _| Fate::Well);
    world.clock.advance(Duration::from_secs(7_200));
    service.called();
    let again = crm.sync_to_external(push(&["p1", "p2", "p3", "p4"])).await.expect("it runs");
    assert_eq!(again.counts.created, 4, "{again:?}");
    let mut calls = std::mem::take(&mut service.state().calls);
    calls.sort();
    assert_eq!(calls, [["p1", "p3"], ["p2", "p4"]]);
}

#[tokio::test]
async fn what_was_written_elsewhere_waits_for_a_person_and_is_never_sent_by_itself() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world, &service).await;
    service.fates(|_, _| Fate::Astray);
    let astray = crm.sync_to_external(push(&["p1"])).await.expect("it runs");
    assert_eq!(astray.counts.unsettled, 1, "{astray:?}");
    service.fates(|_, _| Fate::Well);
    let changed = || Push::records("people", [PushRecord::new("p1", &json!({ "name": "p1", "v": 2 })).id("p1")]);
    for later in [push(&["p1"]), push(&["p1"]).all(), changed(), push(&["p2"]), Push::failed("people")] {
        world.clock.advance(Duration::from_secs(7_200));
        crm.sync_to_external(later).await.expect("it runs");
    }
    assert_eq!(service.state().received["p1"], 1, "once and never again");
    let open = crm.unconfirmed(Default::default()).await.expect("a list");
    assert_eq!((open.len(), open[0].state), (1, IntentState::Conflict));
    assert!(open[0].reason.as_deref().is_some_and(|reason| reason.contains("beside the others")), "{open:?}");
    crm.resolve(&open[0], Resolution::SendAgain).await.expect("it is written");
    crm.sync_to_external(push(&["p1"])).await.expect("it runs");
    assert_eq!(service.state().received["p1"], 2);
    assert_eq!(service.truth()[0], "p1=1");
}

#[tokio::test]
async fn a_spreadsheet_connected_twice_is_one_connection_of_its_workspace() {
    let world = World::new();
    let simulation = movies(&world, &[vec!["Title"], vec!["Alien"]]);
    let syncline = world.open(sheets(&simulation)).await;
    let (first, second) = (connect_sheets(&syncline).await, connect_sheets(&syncline).await);
    assert_eq!(first.id(), second.id(), "or two writers could move each other's rows");
    assert_eq!(world.ask("SELECT count(*) FROM syncline_integration_connections"), "1");
}

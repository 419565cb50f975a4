//! Writes that meet others: content that changed while a write was open, mirrors beside strangers and beside failed writes.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{
    World,
    pushable::{Fate, Pushable},
};
use syncline::{Connection, Credentials, Outcome, Push, PushMode, PushRecord, core::PushLimits};

async fn connect(world: &World, service: &Pushable) -> Connection {
    let syncline = world.open(service.clone()).await;
    syncline.workspace("acme").connect("crm", Credentials::token("t")).await.expect("connected")
}

fn service() -> Pushable {
    Pushable::new(PushLimits { items: 10, ..PushLimits::default() })
}

fn push(name: &str, v: usize) -> Push {
    Push::records("people", [PushRecord::new(name, &json!({ "name": name, "v": v }))])
}

#[tokio::test]
async fn content_that_meets_an_open_write_is_counted_as_not_sent() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world, &service).await;
    service.fates(|_, times| if times == 0 { Fate::LostBefore } else { Fate::Well });
    crm.sync_to_external(push("p1", 1).patience(Duration::ZERO)).await.expect("it runs");
    let told = crm.sync_to_external(push("p1", 2)).await.expect("it runs");
    assert_eq!((told.outcome, told.counts.created, told.counts.failed), (Outcome::Partial, 1, 1), "{told:?}");
    assert!(told.failures[0].to_string().contains("push it again"), "{:?}", told.failures);
    let again = crm.sync_to_external(push("p1", 2)).await.expect("it runs");
    assert_eq!((again.counts.updated, service.truth()), (1, vec!["p1=2".to_owned()]));
}

#[tokio::test]
async fn a_mirrors_delete_of_a_stranger_takes_no_link_of_ours() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world, &service).await;
    service.state().records.insert("x7".into(), json!({ "name": "stranger", "v": 0 }));
    crm.sync_to_external(push("x7", 1).mode(PushMode::Mirror).confirm_deletes()).await.expect("it runs");
    let again = crm.sync_to_external(push("x7", 1)).await.expect("it runs");
    assert_eq!((again.counts.unchanged, service.truth()), (1, vec!["x7=1".to_owned()]));
}

#[tokio::test]
async fn a_mirror_does_not_bring_back_a_failed_row_that_is_gone() {
    let (world, service) = (World::new(), service());
    let crm = connect(&world, &service).await;
    service.fates(|_, _| Fate::NotNow);
    crm.sync_to_external(push("p1", 1).mode(PushMode::Mirror)).await.expect("it runs");
    service.fates(|_, _| Fate::Well);
    world.clock.advance(Duration::from_secs(7_200));
    crm.sync_to_external(push("p2", 1).mode(PushMode::Mirror)).await.expect("it runs");
    assert_eq!(service.truth(), ["p2=1"]);
}

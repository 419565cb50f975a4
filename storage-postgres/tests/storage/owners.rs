//! Sources of different priority.

use serde_json::json;
use sync_core::{FieldRule, HostTable, Target};

use crate::push_support::*;

fn ranked(priority: i32) -> FieldRule {
    FieldRule { priority, ..FieldRule::default() }
}

async fn source(site: &Site, name: &str, priority: i32) -> Run {
    let target = Target { rules: rules(&[("name", ranked(priority))]), ..managed("people", &["email"]) };
    begin(&site.storage, "acme", &mapped_feed(name, "s", "m"), &target).await
}

#[tokio::test]
async fn the_source_of_higher_priority_wins_in_whatever_order_they_arrive() {
    let site = Site::new().await;
    let sources = [(0, "low"), (5, "middle"), (9, "high")];
    for (n, order) in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate() {
        let key = format!("{n}@x");
        for round in 0..2 {
            for at in order {
                let (priority, name) = sources[at];
                let run = source(&site, name, priority).await;
                run.commit(&[up(&key, json!({"email": key, "name": format!("{name} {round}")}))]).await;
                run.end().await;
            }
        }
        let run = source(&site, "look", 0).await;
        assert_eq!(run.table().await[&key]["name"], json!("high 1"), "order {order:?}");
        run.end().await;
    }
}

#[tokio::test]
async fn a_source_of_higher_priority_that_says_the_same_owns_the_field_from_then_on() {
    let site = Site::new().await;
    let (low, high) = (source(&site, "low", 1).await, source(&site, "high", 5).await);
    low.commit(&[up("r", json!({"email": "a@x", "name": "Ann"}))]).await;
    assert_eq!(counts(&high.commit(&[up("r", json!({"email": "a@x", "name": "Ann"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(counts(&low.commit(&[up("r", json!({"email": "a@x", "name": "Bea"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(low.table().await["a@x"]["name"], json!("Ann"));
}

#[tokio::test]
async fn owners_go_with_their_entity() {
    let site = Site::new().await;
    let (low, high) = (source(&site, "low", 1).await, source(&site, "high", 5).await);
    high.commit(&[up("r", json!({"email": "a@x", "name": "Ann"})), up("s", json!({"email": "b@x", "name": "Bob"}))]).await;
    high.commit(&[gone("r")]).await;
    assert_eq!(site.column("SELECT DISTINCT entity_id FROM syncline.field_owners").await, ["b@x"]);
    low.commit(&[up("r", json!({"email": "a@x", "name": "Bea"}))]).await;
    assert_eq!(low.table().await["a@x"]["name"], json!("Bea"));
}

#[tokio::test]
async fn a_field_the_host_set_is_anybodys_of_whatever_priority() {
    let site = Site::new().await;
    site.execute("CREATE TABLE partners (tenant text, email text, name text, PRIMARY KEY (tenant, email))").await;
    site.execute("INSERT INTO partners VALUES ('acme', 'a', 'Hosted')").await;
    let table = HostTable::new("partners").key("email").workspace_column("tenant");
    let into = |priority| Target { rules: rules(&[("name", ranked(priority))]), ..host(table.clone()) };
    let below = begin(&site.storage, "acme", &mapped_feed("below", "s", "m"), &into(-5)).await;
    assert_eq!(counts(&below.commit(&[up("r", json!({"email": "a", "name": "Low"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    let above = begin(&site.storage, "acme", &mapped_feed("above", "s", "m"), &into(3)).await;
    assert_eq!(counts(&above.commit(&[up("r", json!({"email": "a", "name": "High"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(counts(&below.commit(&[up("r", json!({"email": "a", "name": "Low"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(site.column("SELECT name FROM partners").await, ["High"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_source_wins_when_both_write_at_once() {
    let site = Site::new().await;
    let (low, high) = (source(&site, "low", 1).await, source(&site, "high", 5).await);
    for round in 0..12 {
        let ids: Vec<String> = (0..40).map(|n| format!("{round}-{n}")).collect();
        let rows = |name: &'static str| ids.iter().map(move |id| up(id, json!({"email": id, "name": name}))).collect::<Vec<_>>();
        let (of_low, of_high) = (rows("low"), rows("high"));
        tokio::join!(low.commit(&of_low), high.commit(&of_high));
    }
    let lost = site.column("SELECT entity_id FROM syncline.people WHERE name <> 'high'").await;
    assert!(lost.is_empty(), "{lost:?}");
}

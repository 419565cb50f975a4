//! Names of senders: looked up once, kept for ten minutes, for each connection its own.

use std::time::Duration;

use crate::support::Bench;
use serde_json::{Value, json};
use sync_core::{ConnectionId, ErrorKind, IntegrationSync, PullRequest};
use sync_testkit::Fault;

const LIST: &str = "slack.users.list";
const INFO: &str = "slack.users.info";

#[tokio::test]
async fn senders_are_named_and_one_listing_serves_ten_minutes_of_pulls() {
    let (bench, posted) = Bench::with_messages(9);
    bench.sim().page_size(2);
    let scan = bench.full().await.expect("reads");
    assert_eq!((&scan.message(&posted[0])["sender_id"], &scan.message(&posted[0])["sender_name"]), (&json!("U1"), &json!("Ada")));
    let listed = bench.simulation.count(LIST);
    bench.services.clock().advance(Duration::from_secs(599));
    bench.full().await.expect("reads");
    assert_eq!((bench.simulation.count(LIST), bench.simulation.count(INFO)), (listed, 0));
    bench.sim().rename_user("U1", "Ada Lovelace");
    bench.services.clock().advance(Duration::from_secs(1));
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.message(&posted[0])["sender_name"], "Ada Lovelace");
    assert_eq!(bench.simulation.count(LIST), 2 * listed);
}

#[tokio::test]
async fn lanes_that_begin_together_share_one_listing() {
    let (bench, _) = Bench::with_messages(3);
    let request = bench.request(None).await;
    let (a, b, c) = tokio::join!(bench.page(&request), bench.page(&request), bench.page(&request));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(bench.simulation.count(LIST), 1);
}

#[tokio::test]
async fn names_of_one_connection_are_not_taken_for_another() {
    let (bench, _) = Bench::with_messages(1);
    let request: PullRequest = bench.request(None).await;
    bench.page(&request).await.expect("reads");
    let mut other = bench.services.context(json!({}));
    other.connection = ConnectionId::from("c2");
    bench.slack.pull(&other, &request).await.expect("reads");
    assert_eq!(bench.simulation.count(LIST), 2);
}

#[tokio::test]
async fn people_beyond_the_listing_are_asked_for_once() {
    let (bench, _) = Bench::with_messages(1);
    bench.sim().add_user("U7", "Guest of Globex");
    bench.sim().hide_user("U7");
    let guest = bench.sim().post("C1", "U7", "hello");
    let again = bench.sim().post("C1", "U7", "hello again");
    let ghost = bench.sim().post("C1", "U404", "from nobody");
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.message(&guest)["sender_name"], "Guest of Globex");
    assert_eq!(scan.message(&again)["sender_name"], "Guest of Globex");
    assert_eq!((&scan.message(&ghost)["sender_id"], &scan.message(&ghost)["sender_name"]), (&json!("U404"), &Value::Null));
    assert_eq!(scan.ids(), bench.sim().keys(), "the second reading of the page adds nothing");
    bench.full().await.expect("reads");
    assert_eq!(bench.simulation.count(INFO), 2, "nobody is asked for twice, not even who is not there");
}

#[tokio::test]
async fn a_very_large_workspace_does_not_hold_up_the_first_page() {
    let (bench, _) = Bench::with_messages(1);
    for n in 10..40 {
        bench.sim().add_user(&format!("U{n}"), &format!("Person {n}"));
    }
    let far = bench.sim().post("C1", "U39", "from the end of the listing");
    bench.sim().page_size(2);
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.message(&far)["sender_name"], "Person 39");
    assert_eq!((bench.simulation.count(LIST), bench.simulation.count(INFO)), (10, 1));
}

#[tokio::test]
async fn bots_without_a_user_are_named_by_their_message() {
    let bench = Bench::new();
    let hook = bench.sim().post_as_bot("C1", "B7", "Build", "green");
    let app = bench.sim().write("C1", json!({"bot_id": "B8", "bot_profile": {"name": "Deploys"}, "text": "live"}));
    let scan = bench.full().await.expect("reads");
    let sender =
        |ts: &str| (scan.message(ts)["sender_id"].clone(), scan.message(ts)["sender_name"].clone(), scan.message(ts)["user"].clone());
    assert_eq!(sender(&hook), (json!("B7"), json!("Build"), Value::Null));
    assert_eq!(sender(&app), (json!("B8"), json!("Deploys"), Value::Null));
}

#[tokio::test]
async fn a_token_that_may_not_see_people_is_told_which_scope_it_lacks() {
    let (bench, _) = Bench::with_messages(1);
    bench.sim().without_scope("users:read");
    let error = bench.full().await.expect_err("no names");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("users:read"), "{error}");
}

#[tokio::test]
async fn a_failed_look_up_is_no_missing_name() {
    let (bench, _) = Bench::with_messages(1);
    bench.sim().add_user("U7", "Guest");
    bench.sim().hide_user("U7");
    let guest = bench.sim().post("C1", "U7", "hello");
    bench.simulation.faults().push_times(INFO, Fault::Body(r#"{"ok":true}"#.into()), 2);
    assert_eq!(bench.full().await.expect_err("unreadable").kind(), ErrorKind::Decode);
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.message(&guest)["sender_name"], "Guest");
}

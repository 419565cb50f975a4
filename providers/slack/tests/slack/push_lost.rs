//! Answers that never came: what may have been posted is never posted again without a look; what can be repeated is.

use std::time::Duration;

use crate::support::{Bench, DELETE, POST, UPDATE, item, removal};
use serde_json::{Value, json};
use sync_core::{Effect, Found, PushOutcome};
use sync_testkit::{Canary, Fault};

fn hello() -> Value {
    json!({"channel_id": "C1", "text": "Hello"})
}

fn refused(code: &str) -> Fault {
    Fault::Body(json!({"ok": false, "error": code}).to_string())
}

/// Each way to lose an answer, and whether the service acts.
fn lost() -> Vec<(Fault, bool)> {
    vec![
        (Fault::LostAnswer, true),
        (Fault::LostRequest, false),
        (Fault::Cut(0), true),
        (Fault::Cut(30), true),
        (Fault::Slow(Duration::from_secs(31)), true),
        (Fault::Html, false),
        (Fault::Empty, false),
        (Fault::Body("{}".into()), false),
        (Fault::Body(r#"{"ok":true}"#.into()), false),
        (Fault::Body(r#"{"ok":true,"channel":"C1","ts":1.5}"#.into()), false),
        (Fault::status(500, ""), false),
        (Fault::status(502, "<html>"), false),
        (Fault::status(503, r#"{"ok":false,"error":"service_unavailable"}"#), false),
        (Fault::status(500, r#"{"ok":false,"error":"a_code_of_tomorrow"}"#), false),
        (Fault::status(408, ""), false),
        (refused("fatal_error"), false),
        (refused("internal_error"), false),
        (refused("request_timeout"), false),
        (refused("service_unavailable"), false),
    ]
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_not_repeated_and_found_by_its_marker() {
    for (fault, acted) in lost() {
        let (bench, posted) = Bench::with_messages(2);
        for thread in [None, Some(&posted[0])] {
            let mut fields = hello();
            fields["thread_ts"] = json!(thread);
            let marker = if thread.is_some() { "mthread" } else { "mchannel" };
            let before = bench.simulation.count(POST);
            bench.simulation.faults().push(POST, fault.clone());
            let outcome = bench.push(item(marker, None, &fields)).await.expect("an outcome");
            assert!(matches!(outcome, PushOutcome::Unknown), "{fault:?}: {outcome:?}");
            assert_eq!(bench.simulation.count(POST), before + 1, "{fault:?}: once");
            let found = bench.find(item(marker, None, &fields)).await.expect("a look");
            let there = bench.posted().into_iter().find(|(_, message)| message["metadata"]["event_payload"]["marker"] == marker);
            assert_eq!(there.is_some(), acted, "{fault:?}");
            let expected = there.map_or(Found::Nothing, |(id, _)| Found::Sent { id: id.into(), version: None });
            assert_eq!(found, expected, "{fault:?} {thread:?}");
        }
        assert_eq!(bench.simulation.faults().waiting(), 0);
    }
}

#[tokio::test]
async fn a_post_that_surely_did_not_arrive_is_sent_again_and_stands_there_once() {
    for fault in [
        Fault::Refused,
        Fault::rate_limited(3),
        refused("ratelimited"),
        refused("rate_limited"),
        Fault::status(429, r#"{"ok":false,"error":"ratelimited"}"#),
        refused("token_expired"),
    ] {
        let mut bench = Bench::new();
        bench.services = bench.services.clone().with_refresh(&["xoxb-new"]);
        bench.simulation.faults().push(POST, fault.clone());
        let outcome = bench.push(item("m1", None, &hello())).await.expect("an outcome");
        assert!(matches!(outcome, PushOutcome::Accepted { effect: Effect::Created, .. }), "{fault:?}: {outcome:?}");
        assert_eq!((bench.posted().len(), bench.simulation.faults().used()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_post_that_was_lost_after_a_wait_is_not_sent_a_third_time() {
    let bench = Bench::new();
    bench.simulation.faults().push(POST, Fault::rate_limited(1));
    bench.simulation.faults().push(POST, Fault::LostAnswer);
    assert!(matches!(bench.push(item("m1", None, &hello())).await.expect("an outcome"), PushOutcome::Unknown));
    assert_eq!((bench.simulation.count(POST), bench.posted().len()), (2, 1));
}

#[tokio::test]
async fn updates_and_deletes_are_repeated_because_a_repeat_does_nothing_more() {
    for (fault, acted) in lost() {
        let bench = Bench::new();
        let id = bench.written(item("m1", None, &hello())).await;
        bench.simulation.faults().push(UPDATE, fault.clone());
        let changed = item("m2", Some(&id), &json!({"text": "changed"}));
        let outcome = bench.push(changed).await.expect("an outcome");
        assert!(matches!(outcome, PushOutcome::Accepted { effect: Effect::Updated, .. }), "{fault:?}: {outcome:?}");
        assert_eq!((bench.simulation.count(UPDATE), bench.posted()[&id]["text"].as_str()), (2, Some("changed")), "{fault:?}");

        bench.simulation.faults().push(DELETE, fault.clone());
        let outcome = bench.push(removal(&id)).await.expect("an outcome");
        assert!(matches!(outcome, PushOutcome::Accepted { effect: Effect::Deleted, .. }), "{fault:?} ({acted}): {outcome:?}");
        assert_eq!((bench.simulation.count(DELETE), bench.posted().len()), (2, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn what_stays_lost_over_all_repeats_stays_unknown() {
    for (fault, _) in lost().into_iter().filter(|(_, acted)| !acted) {
        let bench = Bench::new();
        let id = bench.written(item("m1", None, &hello())).await;
        for operation in [UPDATE, DELETE] {
            bench.simulation.faults().push_times(operation, fault.clone(), 9);
        }
        for item in [item("m2", Some(&id), &hello()), removal(&id)] {
            let outcome = bench.push(item).await.expect("an outcome");
            assert!(matches!(outcome, PushOutcome::Unknown), "{fault:?}: {outcome:?}");
        }
        assert!(bench.simulation.count(UPDATE) > 1 && bench.simulation.count(DELETE) > 1, "{fault:?}");
        assert_eq!(bench.find(removal(&id)).await.expect("a look"), Found::Sent { id: id.as_str().into(), version: None });
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_stops_the_batch_and_nothing_was_sent() {
    let bench = Bench::new();
    bench.simulation.faults().push_times(POST, Fault::Refused, 9);
    let error = bench.push(item("m1", None, &hello())).await.expect_err("unreachable");
    assert_eq!(error.delivery(), sync_core::Delivery::NotSent);
    let parked = Bench::new();
    parked.simulation.faults().push(POST, Fault::rate_limited(3600));
    let error = parked.push(item("m1", None, &hello())).await.expect_err("an hour is parked");
    assert_eq!(error.kind(), sync_core::ErrorKind::RateLimited);
    assert!(parked.posted().is_empty());
}

#[tokio::test]
async fn no_error_of_a_write_holds_the_token_or_the_text() {
    let canary = Canary::new(12);
    let echo = json!({"ok": false, "error": "invalid_blocks", "response_metadata": {"messages": [canary.secret()]}}).to_string();
    for fault in [Fault::Body(echo.clone()), Fault::status(403, echo), refused("missing_scope"), Fault::Refused] {
        for (operation, item) in
            [(POST, item("m1", None, &hello())), (UPDATE, item("m1", Some("C1/1.000000"), &hello())), (DELETE, removal("C1/1.000000"))]
        {
            let mut bench = Bench::new();
            bench.services = bench.services.clone().with_token(canary.secret());
            bench.simulation.faults().push_times(operation, fault.clone(), 9);
            let said = format!("{:?}", bench.push(item).await);
            canary.assert_absent(operation, &said);
            assert!(!said.contains("Hello"), "{said}");
        }
    }
}

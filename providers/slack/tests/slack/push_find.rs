//! Looks for messages whose answer was lost: what they prove, and when they prove nothing.

use std::time::Duration;

use crate::support::{Bench, HISTORY, REPLIES, item, removal};
use serde_json::{Value, json};
use sync_core::{Earlier, ErrorKind, Found, PushItem};
use sync_testkit::Fault;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn hello() -> Value {
    json!({"channel_id": "C1", "text": "Hello"})
}

fn sent(id: &str) -> Found {
    Found::Sent { id: id.into(), version: None }
}

/// The scripted messages of the bench lie minutes before its clock's time.
fn recent(bench: &Bench) {
    bench.sim().set_time(bench.services.clock().now() - Duration::from_secs(6 * 60 * 60));
}

/// A look for a message that left within seven days.
async fn look(bench: &Bench) -> Found {
    let since = bench.services.clock().now() - DAY * 7 + Duration::from_secs(60 * 60);
    let item = PushItem { earlier: Earlier::Unknown { since }, ..item("m1", None, &hello()) };
    bench.find(item).await.expect("a look")
}

#[tokio::test]
async fn only_the_very_marker_is_found_and_among_many_messages() {
    let bench = Bench::new();
    recent(&bench);
    let id = bench.written(item("m1", None, &hello())).await;
    bench.written(item("m2", None, &hello())).await;
    for n in 0..30 {
        bench.sim().post("C1", "U1", &format!("m1 {n}"));
    }
    bench.sim().page_size(7);
    assert_eq!(look(&bench).await, sent(&id));
    assert_eq!(bench.find(item("m3", None, &hello())).await.expect("a look"), Found::Nothing);
    assert_eq!(bench.find(item("m", None, &hello())).await.expect("a look"), Found::Nothing);
}

#[tokio::test]
async fn two_messages_of_one_marker_are_several() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.written(item("m1", None, &hello())).await;
    }
    bench.sim().page_size(1);
    assert_eq!(look(&bench).await, Found::Several(2), "on different pages, too");
}

#[tokio::test]
async fn a_look_that_is_cut_off_before_it_covered_its_window_cannot_tell() {
    for (messages, cut_off) in [(10, false), (11, true)] {
        let bench = Bench::new();
        recent(&bench);
        for n in 0..messages {
            bench.sim().post("C1", "U1", &format!("{n}"));
        }
        bench.sim().page_size(1);
        let expected = if cut_off { Found::CannotTell } else { Found::Nothing };
        assert_eq!((look(&bench).await, bench.simulation.count(HISTORY)), (expected, 10), "{messages}");
        let id = bench.written(item("m1", None, &hello())).await;
        assert_eq!(look(&bench).await, sent(&id), "what is seen is there");
    }
}

#[tokio::test]
async fn apps_sold_outside_the_marketplace_look_at_three_small_pages_from_their_own_quota() {
    let bench = Bench::new().set(json!({"commercial": true}));
    recent(&bench);
    for n in 0..46 {
        bench.sim().post("C1", "U1", &format!("{n}"));
    }
    assert_eq!((look(&bench).await, bench.simulation.count(HISTORY)), (Found::CannotTell, 3));
    assert!(bench.services.calls().permits.iter().all(|(bucket, _)| bucket == "conversations.history.commercial"));
    assert!(bench.simulation.calls()[0].path_and_query.contains("limit=15"));
}

#[tokio::test]
async fn messages_since_it_may_have_left_are_looked_through_and_clocks_may_differ() {
    let metadata = json!({"event_type": "syncline_push", "event_payload": {"marker": "m1"}});
    let message = json!({"user": "U0SYNCLINE", "bot_id": "B0SYNCLINE", "text": "Hello", "metadata": metadata});
    for (age, found) in [(DAY * 7 - Duration::from_secs(60), true), (DAY * 7 + Duration::from_secs(60), false)] {
        let bench = Bench::new();
        bench.sim().set_time(bench.services.clock().now() - age);
        let ts = bench.sim().write("C1", message.clone());
        assert_eq!(look(&bench).await, if found { sent(&format!("C1/{ts}")) } else { Found::Nothing }, "{age:?}");
    }
    let ahead = Bench::new();
    ahead.sim().set_time(ahead.services.clock().now() + DAY);
    let ts = ahead.sim().write("C1", message);
    assert_eq!(look(&ahead).await, sent(&format!("C1/{ts}")), "Slack's clock may be ahead");
}

#[tokio::test]
async fn a_reply_is_looked_for_in_its_thread() {
    let bench = Bench::new();
    recent(&bench);
    let parent = bench.sim().post("C1", "U1", "Lunch?");
    for n in 0..9 {
        bench.sim().reply("C1", &parent, "U2", &format!("{n}"));
    }
    bench.sim().page_size(4);
    let fields = json!({"channel_id": "C1", "text": "At noon", "thread_ts": parent});
    assert_eq!(bench.find(item("m1", None, &fields)).await.expect("a look"), Found::Nothing);
    let id = bench.written(item("m1", None, &fields)).await;
    assert_eq!(bench.find(item("m1", None, &fields)).await.expect("a look"), sent(&id));
    assert_eq!(bench.simulation.count(HISTORY), 0);
    let nowhere = json!({"channel_id": "C1", "text": "At noon", "thread_ts": "1.000000"});
    assert_eq!(bench.find(item("m1", None, &nowhere)).await.expect("a look"), Found::Nothing, "no thread, no reply");
}

#[tokio::test]
async fn a_thread_that_does_not_begin_with_its_parent_proves_nothing() {
    let bench = Bench::new();
    let fields = json!({"channel_id": "C1", "text": "x", "thread_ts": "1767225600.000100"});
    let alone = json!({"ok": true, "messages": [{"type": "message", "ts": "1767225600.000100", "thread_ts": "1767225500.000000"}]});
    for body in [alone, json!({"ok": true, "messages": []})] {
        bench.simulation.faults().push(REPLIES, Fault::Body(body.to_string()));
        assert_eq!(bench.find(item("m1", None, &fields)).await.expect("a look"), Found::CannotTell, "{body}");
    }
}

#[tokio::test]
async fn what_is_held_back_or_cannot_be_read_proves_nothing() {
    for body in [
        json!({"ok": true, "messages": [], "is_limited": true}),
        json!({"ok": true, "messages": [{"text": "no ts"}]}),
        json!({"ok": true, "messages": ["odd"]}),
    ] {
        let bench = Bench::new();
        bench.simulation.faults().push(HISTORY, Fault::Body(body.to_string()));
        assert_eq!(look(&bench).await, Found::CannotTell, "{body}");
        bench.simulation.faults().push(HISTORY, Fault::Body(body.to_string()));
        let mut hit = body.clone();
        hit["messages"] =
            json!([{"ts": "1767225600.000100", "metadata": {"event_type": "syncline_push", "event_payload": {"marker": "m1"}}}]);
        bench.simulation.faults().clear();
        bench.simulation.faults().push(HISTORY, Fault::Body(hit.to_string()));
        assert_eq!(look(&bench).await, sent("C1/1767225600.000100"), "what is seen is there");
    }
}

#[tokio::test]
async fn who_may_post_but_not_read_cannot_tell() {
    let bench = Bench::new();
    bench.sim().without_scope("channels:history");
    bench.written(item("m1", None, &hello())).await;
    assert_eq!(look(&bench).await, Found::CannotTell);
    let out = Bench::new();
    out.sim().put_out("C1");
    assert_eq!(look(&out).await, Found::CannotTell, "not in the channel");
    assert_eq!(out.find(removal("C1/1.000000")).await.expect("a look"), Found::CannotTell);
    let gone = Bench::new();
    gone.sim().remove_channel("C1");
    assert_eq!(look(&gone).await, Found::CannotTell, "gone, or private without the app");
}

#[tokio::test]
async fn a_look_that_could_not_be_made_is_an_error_and_never_nothing() {
    for (fault, kind) in [
        (Fault::LostAnswer, ErrorKind::Transport),
        (Fault::Html, ErrorKind::Decode),
        (Fault::Body(r#"{"ok":true}"#.into()), ErrorKind::Decode),
        (Fault::Body(r#"{"ok":false,"error":"token_revoked"}"#.into()), ErrorKind::AuthRevoked),
        (Fault::rate_limited(3600), ErrorKind::RateLimited),
    ] {
        let bench = Bench::new();
        bench.simulation.faults().push_times(HISTORY, fault.clone(), 9);
        assert_eq!(bench.find(item("m1", None, &hello())).await.expect_err("no look").kind(), kind, "{fault:?}");
        assert_eq!(bench.find(removal("C1/1.000000")).await.map_err(|error| error.kind()).err(), Some(kind), "{fault:?}");
    }
}

#[tokio::test]
async fn a_message_found_on_one_page_is_there_even_if_the_next_page_fails() {
    let bench = Bench::new();
    recent(&bench);
    bench.sim().post("C1", "U1", "older");
    let id = bench.written(item("m1", None, &hello())).await;
    bench.sim().page_size(1);
    let page = json!({"ok": true, "messages": [bench.sim().message("C1", id.trim_start_matches("C1/"))], "has_more": true,
        "response_metadata": {"next_cursor": "bmV4dF90czox"}});
    bench.simulation.faults().push(HISTORY, Fault::Body(page.to_string()));
    bench.simulation.faults().push_times(HISTORY, Fault::LostAnswer, 9);
    assert_eq!(look(&bench).await, sent(&id));
}

#[tokio::test]
async fn a_delete_is_looked_for_in_channel_and_thread() {
    let bench = Bench::new();
    let parent = bench.written(item("m1", None, &hello())).await;
    let parent_ts = parent.trim_start_matches("C1/");
    let reply = bench.written(item("m2", None, &json!({"channel_id": "C1", "text": "x", "thread_ts": parent_ts}))).await;
    for id in [&reply, &parent] {
        assert_eq!(bench.find(removal(id)).await.expect("a look"), sent(id), "still there");
    }
    bench.push(removal(&parent)).await.expect("deleted");
    assert_eq!(bench.find(removal(&parent)).await.expect("a look"), Found::Nothing, "a tombstone is no message");
    bench.push(removal(&reply)).await.expect("deleted");
    assert_eq!(bench.find(removal(&reply)).await.expect("a look"), Found::Nothing);
    let limited = json!({"ok": true, "messages": [], "is_limited": true}).to_string();
    bench.simulation.faults().push(HISTORY, Fault::Body(limited.clone()));
    bench.simulation.faults().push(REPLIES, Fault::Body(limited));
    assert_eq!(bench.find(removal(&reply)).await.expect("a look"), Found::CannotTell, "Slack held it back");
}

#[tokio::test]
async fn an_update_and_what_was_never_sent_need_no_look() {
    let bench = Bench::new();
    let known = bench.find(item("m1", Some("C1/1.000000"), &hello())).await.expect("no call");
    assert_eq!(known, Found::Other { id: "C1/1.000000".into(), version: None });
    for fields in [json!({"text": "no channel"}), json!({"channel_id": 7})] {
        assert_eq!(bench.find(item("m1", None, &fields)).await.expect("no call"), Found::Nothing, "{fields}");
    }
    assert!(bench.simulation.calls().is_empty());
}

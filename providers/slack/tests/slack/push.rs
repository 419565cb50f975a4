//! Messages that are written: what is sent, what comes of it, what is refused.

use std::time::Duration;

use crate::support::{Bench, DELETE, POST, UPDATE, batch, item, removal};
use serde_json::{Value, json};
use sync_core::{Delivery, Effect, ErrorKind, IntegrationSync, PushMode, PushOutcome, Retry, Writes};
use sync_testkit::Fault;

fn refused(code: &str) -> Fault {
    Fault::Body(json!({"ok": false, "error": code}).to_string())
}

fn hello() -> Value {
    json!({"channel_id": "C1", "text": "Hello"})
}

#[tokio::test]
async fn only_messages_can_be_written_and_their_fields_are_named() {
    let bench = Bench::new();
    let cx = bench.services.context(json!({}));
    assert!(bench.slack.descriptor().capabilities.push);
    let streams = bench.slack.streams(&cx).await.expect("no call");
    assert_eq!((&streams[0].writes, &streams[1].writes), (&Writes::Nothing, &Writes::Nothing));
    let Writes::Fields(fields) = &streams[2].writes else { panic!("{:?}", streams[2].writes) };
    for name in ["channel_id", "text", "thread_ts", "blocks", "attachments"] {
        assert!(fields.iter().any(|field| **field == *name), "{name}");
    }
    for stream in ["channels", "users", "files"] {
        let mut other = batch(PushMode::Upsert, vec![item("m1", None, &hello())]);
        other.stream = stream.into();
        assert_eq!(bench.slack.push(&cx, &other).await.expect_err(stream).kind(), ErrorKind::Config);
        assert_eq!(bench.slack.find(&cx, &other).await.expect_err(stream).kind(), ErrorKind::Config);
    }
    assert!(bench.simulation.calls().is_empty());
}

#[tokio::test]
async fn what_was_posted_is_pulled_under_the_id_the_push_gave() {
    let bench = Bench::new();
    let text = "naïve “quotes” \u{1f680}\nsecond line\t<@U1> &amp; a < b && c > d";
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*x*"}}]);
    let fields = json!({"channel_id": "C1", "text": text, "blocks": blocks, "attachments": null, "unfurl_links": false});
    let PushOutcome::Accepted { id, version, effect } = bench.push(item("m1", None, &fields)).await.expect("posted") else { panic!() };
    assert_eq!((version, effect), (None, Effect::Created));
    bench.services.clock().advance(Duration::from_secs(1));
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.ids(), [id.as_str()]);
    let message = scan.by_id()[id.as_str()];
    assert_eq!((&message["text"], &message["channel_id"], &message["sender_name"]), (&json!(text), &json!("C1"), &json!("syncline")));
    assert_eq!(message["blocks"][0]["text"]["text"], "*x*");
}

#[tokio::test]
async fn the_marker_is_seen_by_nobody_who_does_not_ask_for_metadata() {
    let bench = Bench::new();
    let id = bench.written(item("mmarkermarker", None, &hello())).await;
    let kept = &bench.posted()[&id]["metadata"];
    assert_eq!(*kept, json!({"event_type": "syncline_push", "event_payload": {"marker": "mmarkermarker"}}));
    bench.services.clock().advance(Duration::from_secs(1));
    let scan = bench.full().await.expect("reads");
    assert_eq!(scan.ids(), [id.as_str()]);
    assert!(!format!("{:?}", scan.records).contains("mmarkermarker"));
}

#[tokio::test]
async fn a_reply_stands_in_its_thread_and_a_broadcast_one_in_the_channel_as_well() {
    let (bench, posted) = Bench::with_messages(1);
    let reply = bench.written(item("m1", None, &json!({"channel_id": "C1", "text": "in it", "thread_ts": posted[0]}))).await;
    let fields = json!({"channel_id": "C1", "text": "for all", "thread_ts": posted[0], "reply_broadcast": true});
    let broadcast = bench.written(item("m2", None, &fields)).await;
    bench.services.clock().advance(Duration::from_secs(1));
    let scan = bench.full().await.expect("reads");
    for (id, subtype) in [(&reply, Value::Null), (&broadcast, json!("thread_broadcast"))] {
        let message = scan.by_id()[id.as_str()];
        assert_eq!((&message["parent_ts"], &message["subtype"]), (&json!(posted[0]), &subtype));
    }
    assert_eq!(scan.message(&posted[0])["reply_count"], 2);
}

#[tokio::test]
async fn a_known_message_is_changed_in_place_and_keeps_its_metadata() {
    let bench = Bench::new();
    let fields = json!({"channel_id": "C1", "text": "one", "blocks": [{"type": "divider"}], "attachments": [{"text": "x"}]});
    let id = bench.written(item("m1", None, &fields)).await;
    let changed = json!({"channel_id": "C1", "text": "two", "blocks": null, "username": "ignored", "thread_ts": "1.000000"});
    let outcome = bench.push(item("m2", Some(&id), &changed)).await.expect("changed");
    assert!(matches!(&outcome, PushOutcome::Accepted { id: same, effect: Effect::Updated, .. } if same.as_str() == id), "{outcome:?}");
    let posted = bench.posted();
    let message = &posted[&id];
    assert_eq!((posted.len(), &message["text"], message.get("blocks")), (1, &json!("two"), None));
    assert_eq!((&message["attachments"][0]["text"], &message["metadata"]["event_payload"]["marker"]), (&json!("x"), &json!("m1")));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_what_is_gone_counts_as_deleted() {
    let bench = Bench::new();
    let id = bench.written(item("m1", None, &hello())).await;
    for _ in 0..2 {
        let outcome = bench.push(removal(&id)).await.expect("deleted");
        assert!(matches!(&outcome, PushOutcome::Accepted { id: same, effect: Effect::Deleted, .. } if same.as_str() == id), "{outcome:?}");
        assert!(bench.posted().is_empty());
    }
    let gone = bench.push(removal("C9/1.000000")).await.expect("an outcome");
    assert!(
        matches!(&gone, PushOutcome::Failed(error) if error.kind() == ErrorKind::NotFound),
        "only a message is known to be gone: {gone:?}"
    );
}

#[tokio::test]
async fn a_mode_leaves_out_what_it_is_not_for() {
    let bench = Bench::new();
    let id = bench.written(item("m1", None, &hello())).await;
    let cx = bench.services.context(json!({}));
    let calls = bench.simulation.calls().len();
    let mut known = removal(&id);
    known.id = None;
    for (mode, item) in
        [(PushMode::Insert, item("m2", Some(&id), &hello())), (PushMode::Update, item("m2", None, &hello())), (PushMode::Upsert, known)]
    {
        let outcomes = bench.slack.push(&cx, &batch(mode, vec![item])).await.expect("no call");
        assert!(matches!(outcomes[..], [PushOutcome::Skipped(_)]), "{mode:?}: {outcomes:?}");
    }
    assert_eq!(bench.simulation.calls().len(), calls);
    for (mode, item) in [(PushMode::Insert, item("m3", None, &hello())), (PushMode::Update, item("m3", Some(&id), &hello()))] {
        let outcomes = bench.slack.push(&cx, &batch(mode, vec![item])).await.expect("written");
        assert!(matches!(outcomes[..], [PushOutcome::Accepted { .. }]), "{mode:?}: {outcomes:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_right_fails_alone_and_is_not_sent() {
    let bench = Bench::new();
    for (id, fields, words) in [
        (None, json!({"text": "x"}), "`channel_id`"),
        (None, json!({"channel_id": "C1", "text": ""}), "no empty message"),
        (None, json!({"channel_id": "C1", "text": "x".repeat(40_001)}), "40000"),
        (None, json!({"channel_id": "C1", "text": "x", "thread_ts": "yesterday"}), "`thread_ts`"),
        (None, json!({"channel_id": "C1", "blocks": vec![json!({"type": "divider"}); 51]}), "`blocks`"),
        (None, json!({"channel_id": "C1", "text": ["x"]}), "`text`"),
        (Some("C1/1.000000"), json!({"text": "x".repeat(4_001)}), "4000"),
        (Some("C1/1.000000"), json!({"channel_id": "C2", "text": "x"}), "cannot be moved"),
        (Some("C1"), json!({"text": "x"}), "the id \"C1\""),
    ] {
        let outcome = bench.push(item("m1", id, &fields)).await.expect("an outcome of its own");
        let PushOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.kind(), error.delivery(), error.retry()), (ErrorKind::Invalid, Delivery::NotSent, Retry::Never), "{error}");
        assert!(error.to_string().contains(words), "{error} lacks {words}");
    }
    assert!(bench.simulation.calls().is_empty());
}

#[tokio::test]
async fn what_slack_refuses_fails_alone_and_says_what_to_do() {
    for (code, kind, words) in [
        ("is_archived", ErrorKind::Forbidden, "unarchive"),
        ("not_in_channel", ErrorKind::Forbidden, "invite the app"),
        ("channel_not_found", ErrorKind::NotFound, "gone, or private"),
        ("restricted_action", ErrorKind::Forbidden, "administrator"),
        ("invalid_blocks", ErrorKind::Invalid, "invalid_blocks"),
        ("thread_not_found", ErrorKind::NotFound, "thread_not_found"),
    ] {
        let bench = Bench::new();
        bench.simulation.faults().push(POST, refused(code));
        let cx = bench.services.context(json!({}));
        let two = batch(PushMode::Upsert, vec![item("m1", None, &hello()), item("m2", None, &hello())]);
        let outcomes = bench.slack.push(&cx, &two).await.expect("not the account's fault");
        let [PushOutcome::Failed(error), PushOutcome::Accepted { .. }] = &outcomes[..] else { panic!("{code}: {outcomes:?}") };
        assert_eq!((error.kind(), bench.posted().len()), (kind, 1), "{code}");
        assert!(error.to_string().contains(words), "{error} lacks {words}");
    }
}

#[tokio::test]
async fn an_archived_channel_and_one_without_the_app_are_told_apart() {
    let bench = Bench::new();
    for (channel, words) in [("C2", "is_archived"), ("C3", "not_in_channel"), ("C4", "channel_not_found")] {
        bench.sim().add_channel(channel, channel);
        match words {
            "is_archived" => bench.sim().archive(channel, true),
            "not_in_channel" => bench.sim().set_member(channel, false),
            _ => bench.sim().remove_channel(channel),
        }
        let outcome = bench.push(item("m1", None, &json!({"channel_id": channel, "text": "x"}))).await.expect("an outcome");
        assert!(matches!(&outcome, PushOutcome::Failed(error) if error.to_string().contains(words)), "{outcome:?}");
    }
    let theirs = bench.sim().at("1767000000.000100").post("C1", "U1", "Lunch?");
    let id = format!("C1/{theirs}");
    for (item, words) in [(item("m1", Some(&id), &hello()), "cant_update_message"), (removal(&id), "cant_delete_message")] {
        let outcome = bench.push(item).await.expect("an outcome");
        assert!(matches!(&outcome, PushOutcome::Failed(error) if error.to_string().contains(words)), "{outcome:?}");
    }
    let gone = bench.push(item("m1", Some("C1/1.000000"), &hello())).await.expect("an outcome");
    assert!(matches!(&gone, PushOutcome::Failed(error) if error.kind() == ErrorKind::NotFound), "an update makes nothing new: {gone:?}");
}

#[tokio::test]
async fn what_stops_every_call_stops_the_batch() {
    for (code, kind) in [
        ("invalid_auth", ErrorKind::Auth),
        ("token_revoked", ErrorKind::AuthRevoked),
        ("missing_scope", ErrorKind::Forbidden),
        ("accesslimited", ErrorKind::Forbidden),
    ] {
        let bench = Bench::new();
        bench.simulation.faults().push_times(POST, refused(code), 2);
        let cx = bench.services.context(json!({}));
        let two = batch(PushMode::Upsert, vec![item("m1", None, &hello()), item("m2", None, &hello())]);
        let error = bench.slack.push(&cx, &two).await.expect_err(code);
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::Answered), "{code}");
        assert!(bench.posted().is_empty());
    }
    let bench = Bench::new();
    bench.simulation.faults().push_times(UPDATE, refused("token_revoked"), 1);
    let cx = bench.services.context(json!({}));
    let two = batch(PushMode::Upsert, vec![item("m1", None, &hello()), item("m2", Some("C1/1.000000"), &hello())]);
    let outcomes = bench.slack.push(&cx, &two).await.expect("the first one was written");
    assert!(matches!(&outcomes[..], [PushOutcome::Accepted { .. }, PushOutcome::Failed(error)] if error.kind() == ErrorKind::AuthRevoked));
}

#[tokio::test]
async fn the_published_quotas_are_drawn_from() {
    let bench = Bench::new();
    let id = bench.written(item("m1", None, &hello())).await;
    bench.push(item("m2", Some(&id), &hello())).await.expect("changed");
    bench.push(removal(&id)).await.expect("deleted");
    let drawn: Vec<String> = bench.services.calls().permits.into_iter().map(|(bucket, _)| bucket).collect();
    assert_eq!(drawn, ["chat.postMessage", "chat.update", "chat.delete"]);
    for bucket in drawn {
        let quota = bench.slack.descriptor().quotas.iter().find(|quota| quota.bucket == bucket).expect("declared");
        assert_eq!((quota.units, quota.per.as_secs()), if bucket == "chat.postMessage" { (1, 1) } else { (50, 60) });
    }
    assert_eq!((bench.simulation.count(POST), bench.simulation.count(UPDATE), bench.simulation.count(DELETE)), (1, 1, 1));
}

#[tokio::test]
async fn posts_wait_where_a_channel_takes_no_more_and_keep_their_order() {
    let bench = Bench::new();
    bench.sim().enforce_quotas(false);
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(bench.written(item(&format!("m{n}"), None, &json!({"channel_id": "C1", "text": format!("{n}")}))).await);
    }
    assert_eq!(bench.posted().into_keys().collect::<Vec<_>>(), ids);
    assert!(bench.simulation.count(POST) > 6, "some were turned away first");
    assert!(bench.services.clock().slept().iter().all(|wait| *wait >= Duration::from_secs(1)));
}

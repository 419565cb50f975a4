//! Slack: reads and writes of our provider, calls of other clients, and what stops every method.

use std::time::Duration;

use serde_json::{Value, json};
use syncline::{
    Slack,
    core::{Found, IntegrationSync, Method, Partition, PassthroughRequest, PushItem, PushOutcome, StreamName},
    http::Request,
    providers::slack::simulator::SlackSim,
    testkit::Fault,
};

use crate::{Bench, OUTSIDE, batch, form, get, item, post, removal};

const SLACK: &str = "https://slack.com/api/";

fn slack_good(response: &Value) -> bool {
    response["body"]["ok"] == true
}

/// Two people, an app, and channels of every kind with something in them.
fn workspace() -> SlackSim {
    let sim = SlackSim::new("T024BE7LD", "Acme");
    let (ada, ben) = (sim.add_user("U024ADA01", "Ada Lovelace"), sim.add_user("U024BEN02", "Ben"));
    let general = sim.add_channel("C024GEN01", "general");
    let question = sim.post(&general, &ada, "Anyone here?");
    let answer = sim.reply(&general, &question, &ben, "I am");
    sim.broadcast(&general, &question, &ben, "So is everyone");
    sim.react(&general, &question, &ben, "wave");
    sim.edit(&general, &answer, "I am!");
    sim.post_as_bot(&general, "B024NEWS1", "newsbot", "All quiet");
    let gone = sim.post(&general, &ada, "Never mind");
    sim.reply(&general, &gone, &ben, "Too late");
    sim.delete(&general, &gone);
    for n in 0..8 {
        sim.post(&general, &ada, &format!("Point {n}"));
    }
    sim.deactivate_user(&ben);
    sim.add_channel("C024OLD02", "old");
    sim.archive("C024OLD02", true);
    sim.add_channel("C024OUT03", "elsewhere");
    sim.set_member("C024OUT03", false);
    sim.add_channel("G024SEC04", "secret");
    sim.make_private("G024SEC04");
    sim.page_size(3);
    sim
}

#[tokio::test]
async fn every_slack_operation_is_exercised_and_recorded() {
    let bench = Bench::new(workspace(), json!({}));
    let slack = Slack::builder().transport(bench.recorder.transport()).build().expect("a provider");
    slack_reads(&bench, &slack).await;
    slack_writes(&bench, &slack).await;
    slack_as_outside(&bench).await;
    slack_refusals(&bench, &slack).await;
    bench.finish("slack", slack_good);
}

async fn slack_reads(bench: &Bench<SlackSim>, slack: &Slack) {
    slack.validate_credentials(&bench.context()).await.expect("a good token");
    for (stream, expected) in [("users", 2), ("channels", 4)] {
        let records = bench.pull(slack, stream, Partition::whole(), &[]).await.expect("it is read");
        assert_eq!(records, expected, "{stream}");
    }
    let partitions = slack.partitions(&bench.context(), &StreamName::from("messages")).await.expect("channels").list;
    let mut records = 0;
    for partition in partitions {
        records += bench.pull(slack, "messages", partition, &[]).await.expect("it is read");
    }
    assert!(records > 12, "{records}");
    bench.sim().hide_user("U024ADA01");
    let again = Slack::builder().transport(bench.recorder.transport()).build().expect("a provider");
    let general = again.partitions(&bench.context(), &StreamName::from("messages")).await.expect("channels").list.swap_remove(0);
    bench.pull(&again, "messages", general, &[]).await.expect("it is read");
    assert!(bench.seen("slack.users.info", slack_good) > 0, "a sender who is not listed is asked for");
}

/// Posts, updates and deletes, a look for a post whose answer was lost, and calls of the host's own.
async fn slack_writes(bench: &Bench<SlackSim>, slack: &Slack) {
    let full = json!({
        "channel_id": "C024GEN01", "text": "Deployed", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Deployed*"}}],
        "attachments": [{"text": "In 4 minutes"}], "unfurl_links": false, "unfurl_media": false, "username": "Deploys",
        "icon_emoji": ":rocket:",
    });
    let messages = |item: PushItem| batch("messages", &[], &[item]);
    let written = async |item: PushItem| match &bench.push(slack, &messages(item)).await[..] {
        [PushOutcome::Accepted { id, .. }] => id.to_string(),
        other => panic!("it was not accepted: {other:?}"),
    };
    let id = written(item("m1", None, &full)).await;
    let thread = id.rsplit_once('/').map_or("", |(_, ts)| ts);
    let reply = json!({"channel_id": "C024GEN01", "text": "And live", "thread_ts": thread, "reply_broadcast": true});
    let reply = written(item("m2", None, &reply)).await;
    let changed = json!({"text": "Rolled back", "blocks": null, "attachments": null});
    assert_eq!(written(item("m3", Some(&id), &changed)).await, id);
    for _ in 0..2 {
        assert_eq!(written(removal(&reply)).await, reply);
    }
    let nowhere = item("m4", None, &json!({"channel_id": "C0NONE", "text": "Hello"}));
    let outcomes = bench.push(slack, &messages(nowhere)).await;
    assert!(matches!(outcomes[..], [PushOutcome::Failed(_)]), "{outcomes:?}");

    bench.simulation.faults().push("slack.chat.postMessage", Fault::LostAnswer);
    let lost = messages(item("m5", None, &json!({"channel_id": "C024GEN01", "text": "Lost"})));
    let outcomes = bench.push(slack, &lost).await;
    assert!(matches!(outcomes[..], [PushOutcome::Unknown]), "{outcomes:?}");
    bench.services.clock().advance(Duration::from_secs(1));
    let found = slack.find(&bench.context(), &lost).await.expect("it is looked for");
    assert!(matches!(found[..], [Found::Sent { .. }]), "{found:?}");

    let through = slack.as_passthrough().expect("it lets calls through");
    let request = PassthroughRequest::get("team.info").query("team", "T024BE7LD");
    through.request(&bench.context(), &request).await.expect("an answer");
    let request = PassthroughRequest::new(Method::Post, "chat.postMessage").json(&json!({"channel": "C024GEN01", "text": "Through"}));
    through.request(&bench.context(), &request).await.expect("an answer");
}

/// Calls our provider does not make, as a client of another make makes them.
async fn slack_as_outside(bench: &Bench<SlackSim>) {
    let call = async |request: Request, error: Option<&str>| {
        let label = format!("{request:?}");
        let answer = bench.call(SLACK, request).await.expect(&label);
        let body: Value = answer.json(OUTSIDE).expect(&label);
        assert_eq!(body["error"].as_str(), error, "{label}: {body}");
        body
    };
    let (general, elsewhere, nobody, never) = ("C024GEN01", "C024OUT03", "C0NONE", "1000000000.000001");
    for (request, error) in [
        (get("team.info", &[]), None),
        (get("conversations.info", &[("channel", general), ("include_num_members", "true")]), None),
        (get("conversations.info", &[("channel", nobody)]), Some("channel_not_found")),
        (get("conversations.members", &[("channel", general), ("limit", "1")]), None),
        (get("conversations.members", &[("channel", nobody)]), Some("channel_not_found")),
        (get("conversations.list", &[("types", "public_channel"), ("exclude_archived", "true")]), None),
        (get("conversations.list", &[("cursor", "bm9uZQ==")]), Some("invalid_cursor")),
        (get("users.info", &[("user", "U024ADA01")]), None),
        (get("users.info", &[("user", "U0NONE")]), Some("user_not_found")),
        (get("users.list", &[("cursor", "bm9uZQ==")]), Some("invalid_cursor")),
        (get("conversations.history", &[("channel", general), ("include_all_metadata", "true")]), None),
        (get("conversations.history", &[("channel", nobody)]), Some("channel_not_found")),
        (get("conversations.history", &[("channel", elsewhere)]), Some("not_in_channel")),
        (get("conversations.replies", &[("channel", general), ("ts", never)]), Some("thread_not_found")),
        (post("conversations.join", json!({"channel": "C024OLD02"})), Some("is_archived")),
        (post("conversations.join", json!({"channel": elsewhere})), None),
        (form("conversations.join", &[("channel", elsewhere)]), None),
        (post("chat.postMessage", json!({"channel": general})), Some("no_text")),
        (post("chat.postMessage", json!({"channel": nobody, "text": "Hello"})), Some("channel_not_found")),
        (post("chat.postMessage", json!({"channel": "C024OLD02", "text": "Hello"})), Some("is_archived")),
        (post("chat.update", json!({"channel": general, "ts": never, "text": "Hello"})), Some("message_not_found")),
        (post("chat.delete", json!({"channel": general, "ts": never})), Some("message_not_found")),
    ] {
        call(request, error).await;
    }

    let metadata = json!({"event_type": "syncline", "event_payload": {"marker": "a1"}});
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*Hello*"}}]);
    let full = json!({"channel": general, "text": "Hello", "metadata": metadata, "blocks": blocks});
    let posted = call(post("chat.postMessage", full), None).await;
    let ts = posted["ts"].as_str().expect("it has a ts");
    let (metadata, attachments) = (metadata.to_string(), json!([{"text": "more"}]).to_string());
    let fields = [("channel", general), ("text", "So"), ("thread_ts", ts), ("metadata", &metadata), ("attachments", &attachments)];
    call(form("chat.postMessage", &[&fields[..], &[("reply_broadcast", "true")]].concat()), None).await;
    call(post("chat.postMessage", json!({"channel": general, "text": "I", "username": "herald", "icon_emoji": ":mega:"})), None).await;
    let thread = get("conversations.replies", &[("channel", general), ("ts", ts), ("include_all_metadata", "true")]);
    assert_eq!(call(thread, None).await["messages"].as_array().map(Vec::len), Some(2));
    let update = |text: &str| post("chat.update", json!({"channel": general, "ts": ts, "text": text}));
    assert_eq!(call(update("Hello again"), None).await["message"]["text"], "Hello again");
    call(update(&"x".repeat(4_001)), Some("msg_too_long")).await;
    call(post("chat.delete", json!({"channel": general, "ts": ts})), None).await;
    let foreign = bench.sim().post(general, "U024ADA01", "Mine");
    call(post("chat.update", json!({"channel": general, "ts": foreign, "text": "Ours"})), Some("cant_update_message")).await;
    call(post("chat.delete", json!({"channel": general, "ts": foreign})), Some("cant_delete_message")).await;
}

/// What stops every method alike: scopes, quotas, tokens.
async fn slack_refusals(bench: &Bench<SlackSim>, slack: &Slack) {
    let methods: [(&str, &[(&str, &str)]); 13] = [
        ("auth.test", &[]),
        ("team.info", &[]),
        ("users.list", &[("limit", "2")]),
        ("users.info", &[("user", "U024ADA01")]),
        ("conversations.list", &[("limit", "2")]),
        ("conversations.info", &[("channel", "C024GEN01")]),
        ("conversations.members", &[("channel", "C024GEN01")]),
        ("conversations.join", &[("channel", "C024GEN01")]),
        ("conversations.history", &[("channel", "C024GEN01")]),
        ("conversations.replies", &[("channel", "C024GEN01"), ("ts", "1000000000.000001")]),
        ("chat.postMessage", &[("channel", "C024GEN01"), ("text", "Hello")]),
        ("chat.update", &[("channel", "C024GEN01"), ("ts", "1000000000.000001"), ("text", "Hello")]),
        ("chat.delete", &[("channel", "C024GEN01"), ("ts", "1000000000.000001")]),
    ];
    let all = async |error: &str| {
        for (path, fields) in methods {
            let answer = bench.call(SLACK, form(path, fields)).await.expect("an answer");
            let body: Value = answer.json(OUTSIDE).expect("JSON");
            let free = error == "missing_scope" && path == "auth.test";
            assert_eq!(body["error"].as_str(), Some(error).filter(|_| !free), "{path}: {body}");
        }
    };
    bench.sim().expect_token("another");
    all("invalid_auth").await;
    bench.sim().revoke_token();
    all("token_revoked").await;
    slack.validate_credentials(&bench.context()).await.expect_err("a revoked token");
    bench.sim().expect_token(bench.canary.secret());
    for scope in ["users:read", "channels:read", "channels:history", "channels:join", "chat:write", "team:read"] {
        bench.sim().without_scope(scope);
    }
    all("missing_scope").await;
    bench.sim().enforce_quotas(false);
    for _ in 0..21 {
        bench.call(SLACK, get("users.list", &[])).await.expect("after a wait it goes through");
    }
    assert!(bench.seen("slack.users.list", |answer| answer["status"] == 429) > 0, "the quota was used up");
}

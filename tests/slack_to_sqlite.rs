//! A Slack workspace pulled into SQLite: messages, threads and senders, what a later pull finds, and what one bad channel does.

mod support;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};
use support::{
    World, clean,
    services::{Chat, connect_slack, ts},
    start,
};
use syncline::{
    EntityQuery, ErrorKind, Outcome, Pull, Push, PushMode, PushRecord, Workspace,
    core::Counts,
    mapping::{Column, Mapping},
    providers::slack::communication,
};

const DAY: Duration = Duration::from_secs(86_400);

fn messages() -> Pull {
    Pull::stream("messages")
}

async fn rows(workspace: &Workspace, entity: &str) -> BTreeMap<String, Map<String, Value>> {
    let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
    let rows = workspace.entities(entity, query).await.expect("rows");
    rows.into_iter().map(|row| (row.key.to_string(), row.fields)).collect()
}

/// The row of a message in `communication`.
async fn said(workspace: &Workspace, ts: &str) -> Map<String, Value> {
    let all = rows(workspace, "communication").await;
    all.into_values().find(|row| row["external_id"] == json!(ts)).unwrap_or_else(|| panic!("no row of {ts}"))
}

#[tokio::test]
async fn messages_land_in_communication_with_thread_parent_sender_and_exact_time() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    let result = connection.sync_from_external(Pull::mapped(communication())).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.created, 5);
    let acme = syncline.workspace("acme");
    assert_eq!(acme.count("communication").await.expect("a count"), 5);

    let question = said(&acme, &chat.question).await;
    for (field, value) in [
        ("channel", json!("slack")),
        ("channel_id", json!(chat.general)),
        ("thread_id", json!(chat.question)),
        ("sender_id", json!(chat.ada)),
        ("sender_name", json!("Ada Lovelace")),
        ("content", json!("Anyone here?")),
        ("timestamp", json!("2026-03-02T11:00:00.000216Z")),
    ] {
        assert_eq!(question[field], value, "{field}");
    }
    assert!(question.get("parent_id").is_none_or(Value::is_null), "a root has no parent: {question:?}");
    assert_eq!(question["metadata"]["channel_id"], json!(chat.general));
    assert_eq!(question["metadata"]["reactions"][0]["name"], json!("wave"));
    // The id of a message is its own ts; a reply points at its parent.
    for (answer, at, name) in
        [(&chat.answers[0], "2026-03-02T11:01:40.999999Z", "Bob"), (&chat.answers[1], "2026-03-02T11:03:20.000000Z", "Ada Lovelace")]
    {
        let reply = said(&acme, answer).await;
        assert_eq!(
            (&reply["external_id"], &reply["thread_id"], &reply["parent_id"]),
            (&json!(answer), &json!(chat.question), &json!(chat.question))
        );
        assert_eq!((&reply["timestamp"], &reply["sender_name"]), (&json!(at), &json!(name)));
    }
    let news = said(&acme, &chat.news).await;
    assert_eq!((&news["sender_name"], &news["channel_id"]), (&json!("newsbot"), &json!(chat.random)), "a bot has a name too");
    // Ids and times are text to the last digit, not numbers.
    let kinds = world.ask_all("SELECT DISTINCT typeof(external_id) || typeof(thread_id) FROM communication");
    assert_eq!(kinds, ["texttext"]);
}

#[tokio::test]
async fn a_sender_is_looked_up_once() {
    let world = World::new();
    let chat = Chat::new(&world);
    for n in 0..50 {
        chat.sim().at(&ts(-100 + n, 7)).post(&chat.general, &chat.bob, "again");
    }
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({ "history_limit": 10 })).await;
    clean(&connection.sync_from_external(messages().safety_lag(Duration::ZERO)).await.expect("it runs"));
    let asked = chat.simulation.count("slack.users.info") + chat.simulation.count("slack.users.list");
    assert!(asked <= 2, "{asked} look-ups for two users");
    let names = world.ask_all("SELECT DISTINCT sender_name FROM slack_messages ORDER BY 1");
    assert_eq!(names, ["Ada Lovelace", "Bob", "newsbot"]);
}

#[tokio::test]
async fn only_the_chosen_channels_are_read() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({ "channels": ["#general"] })).await;
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    let read: Vec<_> = chat.simulation.calls().into_iter().filter(|call| call.operation == "slack.conversations.history").collect();
    assert!(!read.is_empty());
    assert_eq!(world.ask_all("SELECT DISTINCT channel_id FROM slack_messages"), std::slice::from_ref(&chat.general));
    assert_eq!(world.ask("SELECT count(*) FROM slack_messages"), "4");
    // A channel that does not exist is named with those that do.
    let settings = json!({ "channels": ["genral"] });
    connection.save_config(syncline::ConnectionPatch { settings: Some(settings), ..Default::default() }).await.expect("saved");
    let result = connection.sync_from_external(messages()).await.expect("the run began");
    assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::Config));
    let text = support::messages(&result);
    assert!(text.contains("genral") && text.contains("general") && text.contains("random"), "{text}");
    assert_eq!(world.ask("SELECT count(*) FROM slack_messages"), "4");
}

#[tokio::test]
async fn a_late_reply_and_an_edit_inside_the_look_back_are_found() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    clean(&connection.sync_from_external(Pull::mapped(communication())).await.expect("it runs"));
    // Two hours later: nothing is new at the top, but the old thread goes on and its question was corrected.
    world.clock.advance(Duration::from_secs(7_200));
    let late = chat.sim().at(&ts(3_600, 42)).reply(&chat.general, &chat.question, &chat.bob, "Late, but here");
    chat.sim().at(&ts(3_700, 0)).edit(&chat.general, &chat.question, "Anyone there?");
    let result = connection.sync_from_external(Pull::mapped(communication())).await.expect("it runs");
    clean(&result);
    // The parent's reply count and newest reply change with it in Slack; here only what is mapped counts.
    assert_eq!((result.counts.created, result.counts.updated), (1, 1), "{:?}", result.counts);
    let acme = syncline.workspace("acme");
    assert_eq!(said(&acme, &late).await["parent_id"], json!(chat.question));
    assert_eq!(said(&acme, &chat.question).await["content"], json!("Anyone there?"));
    let key = rows(&acme, "communication").await.into_iter().find(|(_, row)| row["external_id"] == json!(chat.question)).expect("a row").0;
    let history = acme.lineage("communication", &key, Some("content")).await.expect("lineage");
    let edit = history.last().expect("a line");
    assert_eq!((edit.previous_value.clone(), edit.new_value.clone()), (Some(json!("Anyone here?")), Some(json!("Anyone there?"))));
    // A third pull has nothing to write.
    let again = connection.sync_from_external(Pull::mapped(communication())).await.expect("it runs");
    assert_eq!(again.counts.synced(), 0);
}

#[tokio::test]
async fn an_incremental_pull_asks_only_for_what_is_new_and_what_may_have_changed() {
    let world = World::new();
    let chat = Chat::new(&world);
    for n in 0..200 {
        chat.sim().at(&ts(-20 * 86_400 + n * 60, 1)).post(&chat.general, &chat.ada, "old");
    }
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    let first = connection.sync_from_external(messages()).await.expect("it runs");
    assert_eq!((first.counts.read, first.counts.created), (205, 205));
    world.clock.advance(DAY);
    chat.sim().at(&ts(80_000, 1)).post(&chat.general, &chat.ada, "new");
    let second = connection.sync_from_external(messages()).await.expect("it runs");
    clean(&second);
    assert_eq!(second.counts.created, 1);
    assert!(second.counts.read < 20, "{:?}", second.counts);
    let cursors = world.ask_all("SELECT cursor_state FROM syncline_sync_cursors ORDER BY partition_id");
    assert_eq!(cursors.len(), 2);
    assert!(cursors.iter().any(|state| state.contains(&ts(80_000, 1))), "the newest ts, as it was written: {cursors:?}");
}

#[tokio::test]
async fn a_deleted_message_is_found_by_a_full_pull() {
    let world = World::new();
    let chat = Chat::new(&world);
    let mut spam = String::new();
    for n in 0..10 {
        spam = chat.sim().at(&ts(-1_000 + n, 0)).post(&chat.random, &chat.bob, "spam");
    }
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    chat.sim().delete(&chat.random, &spam);
    let quick = connection.sync_from_external(messages()).await.expect("it runs");
    assert_eq!((quick.counts.swept, quick.counts.deleted), (0, 0), "an incremental pull proves nothing gone");
    let full = connection.sync_from_external(messages().full()).await.expect("it runs");
    clean(&full);
    assert_eq!(full.counts, Counts { read: 14, unchanged: 14, swept: 1, ..Counts::default() });
    let key = format!("{}/{spam}", chat.random);
    let history = syncline.workspace("acme").lineage("slack_messages", &key, Some("text")).await.expect("lineage");
    let gone = history.last().expect("a line");
    assert_eq!((gone.previous_value.clone(), gone.new_value.clone()), (Some(json!("spam")), None));
    // A parent with replies leaves a tombstone, and the thread stays together.
    chat.sim().delete(&chat.general, &chat.question);
    let full = connection.sync_from_external(messages().full()).await.expect("it runs");
    clean(&full);
    assert_eq!(full.counts.swept, 0, "{:?}", full.counts);
    let thread = format!("SELECT count(*) FROM slack_messages WHERE thread_ts = '{}'", chat.question);
    assert_eq!(world.ask(&thread), "3");
    let stone = format!("SELECT subtype FROM slack_messages WHERE ts = '{}'", chat.question);
    assert_eq!(world.ask(&stone), "tombstone");
}

#[tokio::test]
async fn two_mappings_of_one_stream_have_cursors_of_their_own() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    let short = Mapping::new("short", "messages")
        .entity("remark")
        .column(Column::new("channel_id").key())
        .column(Column::new("ts").key())
        .column(Column::new("text").to("words"));
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    world.clock.advance(3 * DAY);
    let fresh = chat.sim().at(&ts(2 * 86_400, 5)).post(&chat.general, &chat.ada, "fresh");
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    // The others begin at the beginning, wherever the first one is.
    for pull in [Pull::mapped(communication()), Pull::mapped(short.clone())] {
        let result = connection.sync_from_external(pull).await.expect("it runs");
        clean(&result);
        assert_eq!(result.counts.created, 6);
    }
    world.clock.advance(3 * DAY);
    chat.sim().at(&ts(5 * 86_400, 5)).post(&chat.general, &chat.ada, "fresher");
    clean(&connection.sync_from_external(Pull::mapped(short)).await.expect("it runs"));
    let acme = syncline.workspace("acme");
    for (entity, count) in [("slack_messages", 6), ("communication", 6), ("remark", 7)] {
        assert_eq!(acme.count(entity).await.expect("a count"), count, "{entity}");
    }
    let of = |mapping: &str| {
        world.ask(&format!(
            "SELECT cursor_state FROM syncline_sync_cursors WHERE mapping = '{mapping}' AND partition_id = '{}'",
            chat.general
        ))
    };
    assert_eq!(of(""), of("communication"));
    assert!(of("").contains(&fresh) && of("short").contains(&ts(5 * 86_400, 5)), "{} {}", of(""), of("short"));
}

#[tokio::test]
async fn a_channel_the_app_was_put_out_of_fails_alone_and_goes_on_later() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    let before = world.ask(&format!("SELECT cursor_state FROM syncline_sync_cursors WHERE partition_id = '{}'", chat.random));
    world.clock.advance(Duration::from_secs(3_600));
    chat.sim().put_out(&chat.random);
    chat.sim().at(&ts(1_000, 1)).post(&chat.random, &chat.ada, "unseen");
    chat.sim().at(&ts(1_100, 1)).post(&chat.general, &chat.ada, "seen");
    for pull in [messages(), messages().full()] {
        let result = connection.sync_from_external(pull).await.expect("it runs");
        assert_eq!((result.outcome, result.success()), (Outcome::Partial, true));
        assert_eq!(result.errors.len(), 1);
        assert_eq!(result.errors[0].partition.as_deref(), Some(chat.random.as_str()));
        assert!(result.errors[0].message.contains("not_in_channel"), "{:?}", result.errors);
        assert_eq!(result.counts.swept, 0, "what cannot be read is not gone");
    }
    assert_eq!(world.ask("SELECT count(*) FROM slack_messages WHERE text = 'seen'"), "1");
    assert_eq!(world.ask(&format!("SELECT count(*) FROM slack_messages WHERE channel_id = '{}'", chat.random)), "1");
    assert_eq!(world.ask(&format!("SELECT cursor_state FROM syncline_sync_cursors WHERE partition_id = '{}'", chat.random)), before);
    chat.sim().set_member(&chat.random, true);
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    assert_eq!(world.ask("SELECT count(*) FROM slack_messages WHERE text = 'unseen'"), "1");
}

#[tokio::test]
async fn a_channel_that_is_there_but_not_read_keeps_its_rows() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    clean(&connection.sync_from_external(messages()).await.expect("it runs"));
    let unselected = syncline::ConnectionPatch { settings: Some(json!({ "channels": ["general"] })), ..Default::default() };
    let kept = async |why: &str| {
        let result = connection.sync_from_external(messages().full()).await.expect("it runs");
        clean(&result);
        assert_eq!((result.counts.read, result.counts.swept), (4, 0), "{why}");
    };
    chat.sim().archive(&chat.random, true);
    kept("archived").await;
    chat.sim().archive(&chat.random, false);
    chat.sim().set_member(&chat.random, false);
    kept("left").await;
    chat.sim().set_member(&chat.random, true);
    connection.save_config(unselected).await.expect("saved");
    kept("not selected").await;
    let all = syncline::ConnectionPatch { settings: Some(json!({})), ..Default::default() };
    connection.save_config(all).await.expect("saved");
    chat.sim().remove_channel(&chat.random);
    let result = connection.sync_from_external(messages().full()).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.swept), (4, 1), "the channel is gone");
}

#[tokio::test]
async fn channels_and_users_are_tables_of_their_own() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    for stream in ["channels", "users"] {
        clean(&connection.sync_from_external(Pull::stream(stream)).await.expect("it runs"));
    }
    let acme = syncline.workspace("acme");
    assert_eq!(rows(&acme, "slack_channels").await[&chat.general]["name"], json!("general"));
    assert_eq!(rows(&acme, "slack_users").await.len(), 2);
    chat.sim().deactivate_user(&chat.bob);
    let result = connection.sync_from_external(Pull::stream("users")).await.expect("it runs");
    assert_eq!((result.counts.updated, result.counts.swept), (1, 0), "whoever left stays as a row");
    assert_eq!(rows(&acme, "slack_users").await[&chat.bob]["deleted"], json!(true));
}

#[tokio::test]
async fn slacks_limits_are_kept_without_a_single_refusal() {
    let world = World::new();
    let chat = Chat::new(&world);
    chat.sim().enforce_quotas(false);
    for n in 0..120 {
        let root = chat.sim().at(&ts(-50_000 + n * 10, 1)).post(&chat.general, &chat.ada, "root");
        chat.sim().at(&ts(-50_000 + n * 10 + 1, 2)).reply(&chat.general, &root, &chat.bob, "reply");
    }
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({ "history_limit": 40 })).await;
    let result = connection.sync_from_external(messages()).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.created, 245);
    let calls = chat.simulation.calls();
    assert!(calls.len() > 120 && calls.iter().all(|call| call.status == Some(200)), "{} calls", calls.len());
    assert!(world.clock.now() > start() + Duration::from_secs(60), "it waited instead");
}

#[tokio::test]
async fn a_workspace_under_the_rule_of_one_call_a_minute_is_read_to_its_end() {
    let world = World::new();
    let chat = Chat::new(&world);
    for n in 0..40 {
        chat.sim().at(&ts(-40_000 + n * 10, 1)).post(&chat.random, &chat.ada, "message");
    }
    chat.sim().enforce_quotas(true);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({ "commercial": true })).await;
    let result = connection.sync_from_external(messages()).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.created, 45);
    let refused = chat.simulation.calls().iter().filter(|call| call.status == Some(429)).count();
    let answered = chat.simulation.calls().iter().filter(|call| call.status == Some(200)).count();
    assert!(refused <= answered, "{refused} refusals for {answered} answers");
}

#[tokio::test]
async fn a_mirror_of_messages_is_refused_before_anything_is_asked_or_sent() {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    let before = chat.simulation.calls().len();
    let note = PushRecord::new("n1", &json!({ "channel_id": chat.general, "text": "hello" }));
    let mirror = Push::records("messages", [note]).mode(PushMode::Mirror).confirm_deletes();
    let refused = connection.sync_to_external(mirror).await.expect("a result");
    assert!(!refused.success());
    assert_eq!((refused.errors[0].kind, refused.counts), (ErrorKind::Config, Counts::default()));
    let message = &refused.errors[0].message;
    assert!(message.contains("does not push with mode mirror; it offers: upsert, insert, update"), "{message}");
    assert_eq!(chat.simulation.calls().len(), before);
}

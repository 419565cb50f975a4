//! The simulated workspace itself, as a client of any language sees it.

use std::time::Duration;

use crate::support::at;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use provider_slack::simulator::SlackSim;
use serde_json::{Value, json};
use sync_http::{HeaderMap, Method};
use sync_testkit::{SimAnswer, SimRequest, Simulator};

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";

/// A client with a token in its header and the time standing still.
struct Client {
    sim: SlackSim,
    now: DateTime<Utc>,
}

impl Client {
    fn new() -> Self {
        let sim = SlackSim::new("T1", "Acme");
        sim.add_user("U1", "Ada");
        sim.add_channel("C1", "general");
        sim.add_channel("C2", "random");
        Self { sim, now: at("2026-01-01T00:00:00Z") }
    }

    fn raw(&self, method: &str, content_type: &str, body: impl Into<Bytes>, token: Option<&str>) -> SimAnswer {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert("content-type", content_type.parse().expect("a header"));
        }
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        }
        let (path, query) = (format!("/api/{method}"), Vec::new());
        self.sim.answer(&SimRequest { method: Method::POST, path, query, headers, body: body.into(), now: self.now })
    }

    fn call(&self, method: &str, body: &Value) -> Value {
        let answer = self.raw(method, JSON, body.to_string(), Some("xoxb-1"));
        assert_eq!(answer.status, 200, "{method} {body}");
        read(&answer)
    }

    fn post(&self, body: &Value) -> Value {
        let answer = self.call("chat.postMessage", body);
        assert_eq!(answer["ok"], true, "{body}: {answer}");
        answer
    }
}

fn read(answer: &SimAnswer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn header<'a>(answer: &'a SimAnswer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_body_may_be_a_form_or_json_and_its_charset_is_remarked_on() {
    let form = "channel=C1&text=a+%26+b&blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D";
    let json = r#"{"channel":"C1","text":"a & b","blocks":[{"type":"divider"}]}"#;
    let quoted = r#"{"channel":"C1","text":"a & b","blocks":"[{\"type\":\"divider\"}]"}"#;
    for (content_type, body, outcome) in [
        (FORM, form, None),
        ("application/x-www-form-urlencoded; charset=UTF-8", form, Some("superfluous_charset")),
        (JSON, json, None),
        (JSON, quoted, None),
        ("application/json", json, Some("missing_charset")),
    ] {
        let answer = read(&Client::new().raw("chat.postMessage", content_type, body, Some("xoxb-1")));
        assert_eq!((&answer["ok"], &answer["message"]["text"]), (&json!(true), &json!("a & b")), "{content_type}: {answer}");
        assert_eq!(answer["message"]["blocks"][0]["type"], "divider");
        assert_eq!(answer["warning"].as_str(), outcome, "{content_type}");
        assert_eq!(answer["response_metadata"]["warnings"][0].as_str(), outcome, "{content_type}");
    }
    for (content_type, body, code) in [
        (JSON, "{", "invalid_json"),
        (JSON, "[]", "json_not_object"),
        ("application/json; charset=utf-7", json, "invalid_charset"),
        ("", form, "missing_post_type"),
        ("application/xml", "<a/>", "invalid_post_type"),
    ] {
        assert_eq!(read(&Client::new().raw("chat.postMessage", content_type, body, Some("xoxb-1")))["error"], code, "{content_type}");
    }
}

#[test]
fn a_token_is_taken_from_header_or_form_and_answers_name_the_scopes() {
    let client = Client::new();
    client.sim.expect_token("xoxb-1");
    client.sim.without_scope("team:read");
    let ok = client.raw("auth.test", FORM, "token=xoxb-1", None);
    assert_eq!(read(&ok)["team_id"], "T1");
    let scopes = header(&ok, "x-oauth-scopes").expect("scopes");
    assert!(scopes.contains("chat:write") && !scopes.contains("team:read"), "{scopes}");
    for (body, token, code) in [("", None, "not_authed"), ("token=", None, "not_authed"), ("token=no", None, "invalid_auth")] {
        let answer = client.raw("auth.test", FORM, body, token);
        assert_eq!((read(&answer)["error"].as_str(), header(&answer, "x-oauth-scopes")), (Some(code), None), "{body}");
    }
    assert_eq!(read(&client.raw("auth.test", JSON, r#"{"token":"xoxb-1"}"#, None))["error"], "not_authed");
    let missing = client.call("team.info", &json!({}));
    assert_eq!((&missing["error"], &missing["needed"]), (&json!("missing_scope"), &json!("team:read")));
    assert_eq!(missing["provided"], scopes);
}

#[test]
fn a_post_is_a_message_of_the_app_and_no_two_share_a_ts() {
    let client = Client::new();
    let first = client.post(&json!({"channel": "C1", "text": "one", "attachments": [{"text": "x"}], "blocks": [{"type": "divider"}]}));
    let message = &first["message"];
    assert_eq!((&first["channel"], &first["ts"], &message["ts"]), (&json!("C1"), &json!("1767225600.000000"), &first["ts"]));
    for (name, value) in [("type", "message"), ("user", "U0SYNCLINE"), ("bot_id", "B0SYNCLINE"), ("app_id", "A0SYNCLINE"), ("team", "T1")] {
        assert_eq!(message[name], value, "{name}");
    }
    assert_eq!((&message["bot_profile"]["id"], &message["bot_profile"]["name"]), (&json!("B0SYNCLINE"), &json!("syncline")));
    assert_eq!((&message["attachments"][0]["id"], &message["attachments"][0]["fallback"]), (&json!(1), &json!("x")));
    assert!(message["blocks"][0]["block_id"].is_string() && message.get("thread_ts").is_none());
    let second = client.post(&json!({"channel": "C1", "text": "two"}));
    assert_eq!(
        (&second["ts"], &client.post(&json!({"channel": "C2", "text": "elsewhere"}))["ts"]),
        (&json!("1767225600.000001"), &first["ts"])
    );
    let named = client.post(&json!({"channel": "C1", "text": "three", "username": "Deploys", "icon_emoji": ":rocket:"}));
    assert_eq!((&named["message"]["username"], &named["message"]["subtype"]), (&json!("Deploys"), &json!("bot_message")));
    assert_eq!(client.call("users.info", &json!({"user": message["user"]}))["user"]["is_bot"], true);
}

#[test]
fn replies_count_on_their_parent_and_a_parent_with_replies_leaves_a_tombstone() {
    let client = Client::new();
    let parent = client.sim.at("1767000000.000100").post("C1", "U1", "Lunch?");
    let reply = client.post(&json!({"channel": "C1", "text": "At noon", "thread_ts": parent}));
    assert_eq!((&reply["message"]["thread_ts"], &reply["message"]["parent_user_id"]), (&json!(parent), &json!("U1")));
    let all = client.post(&json!({"channel": "C1", "text": "for all", "thread_ts": reply["ts"], "reply_broadcast": true}));
    assert_eq!((&all["message"]["thread_ts"], &all["message"]["subtype"]), (&json!(parent), &json!("thread_broadcast")));
    let history = client.call("conversations.history", &json!({"channel": "C1"}));
    let shown: Vec<&Value> = history["messages"].as_array().expect("messages").iter().map(|message| &message["ts"]).collect();
    assert_eq!(shown, [&all["ts"], &json!(parent)]);
    let root = &history["messages"][1];
    assert_eq!((&root["reply_count"], &root["latest_reply"]), (&json!(2), &all["ts"]));

    let own = client.post(&json!({"channel": "C2", "text": "a question"}));
    client.post(&json!({"channel": "C2", "text": "an answer", "thread_ts": own["ts"]}));
    let place = json!({"channel": "C2", "ts": own["ts"]});
    assert_eq!(client.call("chat.delete", &place), json!({"ok": true, "channel": "C2", "ts": own["ts"]}));
    let tombstone = client.sim.message("C2", own["ts"].as_str().expect("text")).expect("it is still there");
    assert_eq!((&tombstone["subtype"], &tombstone["reply_count"]), (&json!("tombstone"), &json!(1)));
    assert_eq!(client.call("chat.delete", &place)["error"], "message_not_found");
}

#[test]
fn metadata_is_kept_and_shown_to_who_asks_for_it() {
    let client = Client::new();
    let metadata = json!({"event_type": "made", "event_payload": {"id": "7"}});
    let posted = client.post(&json!({"channel": "C1", "text": "one", "metadata": metadata.to_string()}));
    let shown = |all: bool| {
        let page = client.call("conversations.history", &json!({"channel": "C1", "include_all_metadata": all}));
        page["messages"][0]["metadata"].clone()
    };
    assert_eq!((shown(false), shown(true)), (Value::Null, metadata.clone()));
    let update = |fields: Value| {
        let mut body = json!({"channel": "C1", "ts": posted["ts"], "text": "two"});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        client.call("chat.update", &body)
    };
    let updated = update(json!({"blocks": [{"type": "divider"}]}));
    assert_eq!((&updated["text"], &updated["message"]["edited"]["user"]), (&json!("two"), &json!("U0SYNCLINE")));
    assert_eq!((shown(true), &update(json!({}))["message"]["blocks"][0]["type"]), (metadata, &json!("divider")), "what is not named stays");
    let cleared = update(json!({"blocks": [], "metadata": {}}));
    assert_eq!((shown(true), cleared["message"].get("blocks")), (Value::Null, None));
}

#[test]
fn what_slack_refuses_is_refused_with_its_code() {
    let client = Client::new();
    let theirs = client.sim.at("1767000000.000100").post("C1", "U1", "Lunch?");
    let ours = client.post(&json!({"channel": "C1", "text": "ours"}))["ts"].clone();
    client.sim.add_channel("C3", "old");
    client.sim.archive("C3", true);
    client.sim.add_channel("C4", "elsewhere");
    client.sim.set_member("C4", false);
    client.sim.add_channel("C5", "secret");
    client.sim.make_private("C5");
    client.sim.set_member("C5", false);
    let blocks = |count: usize| vec![json!({"type": "divider"}); count];
    let payload = |bytes: usize| json!({"event_type": "made", "event_payload": {"text": "x".repeat(bytes)}});
    let (post, update, delete) = ("chat.postMessage", "chat.update", "chat.delete");
    for (method, body, code) in [
        (post, json!({"text": "x"}), "channel_not_found"),
        (post, json!({"channel": "C9", "text": "x"}), "channel_not_found"),
        (post, json!({"channel": "C5", "text": "x"}), "channel_not_found"),
        (post, json!({"channel": "C4", "text": "x"}), "not_in_channel"),
        (post, json!({"channel": "C3", "text": "x"}), "is_archived"),
        (post, json!({"channel": "C1"}), "no_text"),
        (post, json!({"channel": "C1", "text": "", "blocks": []}), "no_text"),
        (post, json!({"channel": "C1", "text": "x", "thread_ts": "1"}), "invalid_thread_ts"),
        (post, json!({"channel": "C1", "text": "x", "thread_ts": "1.000000"}), "thread_not_found"),
        (post, json!({"channel": "C1", "text": "x", "blocks": "no"}), "invalid_blocks_format"),
        (post, json!({"channel": "C1", "text": "x", "blocks": [{}]}), "invalid_blocks"),
        (post, json!({"channel": "C1", "text": "x", "blocks": blocks(51)}), "invalid_blocks"),
        (post, json!({"channel": "C1", "text": "x", "attachments": vec![json!({}); 101]}), "too_many_attachments"),
        (post, json!({"channel": "C1", "text": "x", "metadata": {"id": 7}}), "invalid_metadata_format"),
        (post, json!({"channel": "C1", "text": "x", "metadata": payload(9000)}), "metadata_too_large"),
        (update, json!({"channel": "C1", "ts": theirs, "text": "x"}), "cant_update_message"),
        (update, json!({"channel": "C1", "ts": "9.000000", "text": "x"}), "message_not_found"),
        (update, json!({"channel": "C1", "ts": ours, "text": "x".repeat(4001)}), "msg_too_long"),
        (update, json!({"channel": "C1", "ts": ours}), "no_text"),
        (delete, json!({"channel": "C1", "ts": theirs}), "cant_delete_message"),
        (delete, json!({"channel": "C1", "ts": "9.000000"}), "message_not_found"),
        ("conversations.join", json!({"channel": "C3"}), "is_archived"),
        ("team.info", json!({"team": "T9"}), "team_not_found"),
        ("files.list", json!({}), "unknown_method"),
    ] {
        let before = client.sim.keys();
        let answer = client.call(method, &body);
        assert_eq!((&answer["ok"], answer["error"].as_str()), (&json!(false), Some(code)), "{method} {body}");
        assert_eq!(client.sim.keys(), before, "nothing was written");
    }
    assert!(client.call(update, &json!({"channel": "C1", "ts": ours, "text": "x".repeat(4000)}))["ok"] == true);
    client.sim.archive("C1", true);
    assert_eq!(client.call(update, &json!({"channel": "C1", "ts": ours, "text": "x"}))["error"], "is_inactive");
}

#[test]
fn posts_are_counted_by_channel_and_the_rest_by_method() {
    let mut client = Client::new();
    let post = json!({"channel": "C1", "text": "x"}).to_string();
    client.post(&json!({"channel": "C1", "text": "no quota yet"}));
    client.sim.enforce_quotas(false);
    let send = |client: &Client, method: &str, body: &str| client.raw(method, JSON, body.to_owned(), Some("xoxb-1"));
    assert_eq!(send(&client, "chat.postMessage", &post).status, 200);
    let refused = send(&client, "chat.postMessage", &post);
    assert_eq!((refused.status, header(&refused, "retry-after")), (429, Some("1")));
    assert_eq!(read(&refused), json!({"ok": false, "error": "ratelimited"}));
    assert_eq!(send(&client, "chat.postMessage", &post.replace("C1", "C2")).status, 200, "another channel");
    client.now += Duration::from_secs(1);
    assert_eq!(send(&client, "chat.postMessage", &post).status, 200);
    let deletes = (0..51).filter(|_| send(&client, "chat.delete", r#"{"channel":"C1","ts":"1.000000"}"#).status == 200).count();
    assert_eq!(deletes, 50);
}

#[test]
fn everything_it_says_it_simulates_is_answered() {
    let client = Client::new();
    let described = client.sim.simulated();
    assert!(described.len() >= 13 && !client.sim.not_simulated().is_empty());
    for call in described {
        let name = call.operation.strip_prefix("slack.").expect("named by the service");
        assert!(call.request.ends_with(&format!("/api/{name}")), "{call:?}");
        assert_ne!(client.call(name, &json!({}))["error"], "unknown_method", "{name}");
        let request = SimRequest {
            method: Method::GET,
            path: format!("/api/{name}"),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            now: client.now,
        };
        assert_eq!(client.sim.operation(&request), call.operation);
    }
}

#[test]
fn channels_people_and_the_team_are_described() {
    let client = Client::new();
    let info = client.call("conversations.info", &json!({"channel": "C1", "include_num_members": true}));
    for name in ["is_shared", "is_group", "context_team_id", "name_normalized", "num_members", "topic", "created"] {
        assert!(info["channel"].get(name).is_some(), "{name}");
    }
    client.sim.page_size(1);
    let first = client.call("conversations.members", &json!({"channel": "C1"}));
    let next = &first["response_metadata"]["next_cursor"];
    let second = client.call("conversations.members", &json!({"channel": "C1", "cursor": next}));
    assert_eq!((&first["members"], &second["members"]), (&json!(["U0SYNCLINE"]), &json!(["U1"])));
    assert_eq!(client.call("team.info", &json!({}))["team"]["name"], "Acme");
    let joined = client.call("conversations.join", &json!({"channel": "C1"}));
    assert_eq!(joined["response_metadata"]["warnings"], json!(["already_in_channel"]));
}

//! The methods: arguments in, Slack's answer or refusal out.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sync_core::ExposeSecret;
use sync_testkit::SimRequest;

use super::state::{Channel, State, Token};
use crate::ts::Ts;

type Answered = Result<Value, Value>;

fn refuse(code: &str) -> Value {
    json!({"ok": false, "error": code})
}

pub(super) fn answer(state: &mut State, method: &str, request: &SimRequest) -> Answered {
    let token = request.bearer().map(str::to_owned).or_else(|| request.param("token")).filter(|token| !token.is_empty());
    match (&state.token, token) {
        (_, None) => return Err(refuse("not_authed")),
        (Token::Revoked, _) => return Err(refuse("token_revoked")),
        (Token::Only(expected), Some(token)) if expected.expose_secret() != token => return Err(refuse("invalid_auth")),
        _ => {}
    }
    match method {
        "auth.test" => Ok(json!({
            "ok": true, "url": "https://acme.slack.com/", "team": state.name, "user": "syncline", "team_id": state.team, "user_id": "U0SYNCLINE",
            "bot_id": "B0SYNCLINE", "is_enterprise_install": false,
        })),
        "users.list" => users(state, request),
        "users.info" => user(state, request),
        "conversations.list" => channels(state, request),
        "conversations.info" => channel(state, request).map(|(id, channel)| json!({"ok": true, "channel": described(&id, channel)})),
        "conversations.join" => join(state, request),
        "conversations.history" => history(state, request),
        "conversations.replies" => replies(state, request),
        _ => Err(refuse("unknown_method")),
    }
}

fn need(state: &State, scope: &str) -> Result<(), Value> {
    if state.missing_scopes.contains(scope) {
        return Err(json!({"ok": false, "error": "missing_scope", "needed": scope, "provided": "channels:join,chat:write"}));
    }
    Ok(())
}

/// `public_channel` and `private_channel` have scopes of their own.
fn scope(private: bool, what: &str) -> String {
    format!("{}:{what}", if private { "groups" } else { "channels" })
}

fn limit(state: &State, request: &SimRequest, default: usize, largest: usize) -> Result<usize, Value> {
    let asked = match request.param("limit") {
        Some(limit) => limit.parse().map_err(|_| refuse("invalid_limit"))?,
        None => default,
    };
    Ok(asked.clamp(1, largest).min(state.page.unwrap_or(usize::MAX)))
}

/// Cursors are base64 of what comes next: `next_ts:1512085950000216`, `user:U061NFTT2`, `team:C061FA5PB`.
fn from_cursor(request: &SimRequest, kind: &str) -> Result<Option<String>, Value> {
    let Some(cursor) = request.param("cursor").filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    let text = BASE64_STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let next = text.as_deref().and_then(|text| text.strip_prefix(kind)?.strip_prefix(':')).map(str::to_owned);
    next.map(Some).ok_or_else(|| refuse("invalid_cursor"))
}

fn to_cursor(kind: &str, next: Option<String>) -> String {
    next.map(|next| BASE64_STANDARD.encode(format!("{kind}:{next}"))).unwrap_or_default()
}

/// A page of a listing ordered by id.
fn listed(rows: Vec<(&str, Value)>, kind: &str, request: &SimRequest, limit: usize) -> Result<(Vec<Value>, String), Value> {
    let from = from_cursor(request, kind)?.unwrap_or_default();
    let mut rows = rows.into_iter().filter(|(id, _)| **id >= *from);
    let page = rows.by_ref().take(limit).map(|(_, row)| row).collect();
    Ok((page, to_cursor(kind, rows.next().map(|(id, _)| id.to_owned()))))
}

fn users(state: &State, request: &SimRequest) -> Answered {
    need(state, "users:read")?;
    let limit = limit(state, request, 1000, 1000)?;
    let rows = state.users.iter().filter(|(_, user)| user["hidden"] != true).map(|(id, user)| (id.as_str(), user.clone())).collect();
    let (members, next) = listed(rows, "user", request, limit)?;
    Ok(json!({"ok": true, "members": members, "cache_ts": 1_700_000_000, "response_metadata": {"next_cursor": next}}))
}

fn user(state: &State, request: &SimRequest) -> Answered {
    need(state, "users:read")?;
    let user = state.users.get(&request.param("user").unwrap_or_default()).ok_or_else(|| refuse("user_not_found"))?;
    Ok(json!({"ok": true, "user": user}))
}

fn channels(state: &State, request: &SimRequest) -> Answered {
    let types = request.param("types").unwrap_or_else(|| "public_channel".to_owned());
    let without_archived = request.param("exclude_archived").as_deref() == Some("true");
    for kind in types.split(',') {
        match kind {
            "public_channel" => need(state, "channels:read")?,
            "private_channel" => need(state, "groups:read")?,
            "mpim" | "im" => need(state, &format!("{kind}:read"))?,
            _ => return Err(refuse("invalid_types")),
        }
    }
    let seen = |channel: &Channel| {
        let kind = if channel.private { "private_channel" } else { "public_channel" };
        types.split(',').any(|asked| asked == kind) && (channel.member || !channel.private) && !(channel.archived && without_archived)
    };
    let rows =
        state.channels.iter().filter(|(_, channel)| seen(channel)).map(|(id, channel)| (id.as_str(), described(id, channel))).collect();
    let (channels, next) = listed(rows, "team", request, limit(state, request, 100, 999)?)?;
    Ok(json!({"ok": true, "channels": channels, "response_metadata": {"next_cursor": next}}))
}

fn described(id: &str, channel: &Channel) -> Value {
    json!({
        "id": id, "name": channel.name, "is_channel": true, "is_im": false, "is_mpim": false, "is_private": channel.private,
        "is_archived": channel.archived, "is_general": channel.name == "general", "is_member": channel.member, "created": 1_600_000_000,
        "updated": 1_678_229_664_302_u64, "creator": "U0SYNCLINE", "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0}, "previous_names": [], "num_members": 3,
    })
}

/// The channel a call names. A private one without the app is not there.
fn channel<'s>(state: &'s State, request: &SimRequest) -> Result<(String, &'s Channel), Value> {
    let id = request.param("channel").unwrap_or_default();
    let channel =
        state.channels.get(&id).filter(|channel| channel.member || !channel.private).ok_or_else(|| refuse("channel_not_found"))?;
    Ok((id, channel))
}

fn readable<'s>(state: &'s State, request: &SimRequest) -> Result<&'s Channel, Value> {
    let (_, channel) = channel(state, request)?;
    need(state, &scope(channel.private, "history"))?;
    if channel.is_open() { Ok(channel) } else { Err(refuse("not_in_channel")) }
}

fn join(state: &mut State, request: &SimRequest) -> Answered {
    need(state, "channels:join")?;
    let (id, found) = channel(state, request)?;
    if found.archived {
        return Err(refuse("is_archived"));
    }
    let mut answer = json!({"ok": true, "channel": described(&id, found)});
    if found.is_open() {
        answer["warning"] = "already_in_channel".into();
    }
    answer["channel"]["is_member"] = true.into();
    state.channel(&id).set_member(true);
    Ok(answer)
}

/// Whether a call's window holds a message: its ends are left out unless `inclusive` is said.
fn window(request: &SimRequest) -> Result<impl Fn(Ts) -> bool, Value> {
    let bound = |name: &str| match request.param(name) {
        Some(text) => Ts::parse(&text).map(Some).ok_or_else(|| refuse(&format!("invalid_ts_{name}"))),
        None => Ok(None),
    };
    let (oldest, latest) = (bound("oldest")?, bound("latest")?);
    let inclusive = request.param("inclusive").is_some_and(|value| value == "true" || value == "1");
    Ok(move |ts| {
        oldest.is_none_or(|oldest| ts > oldest || inclusive && ts == oldest)
            && latest.is_none_or(|latest| ts < latest || inclusive && ts == latest)
    })
}

fn next_ts(request: &SimRequest) -> Result<Option<Ts>, Value> {
    let next = from_cursor(request, "next_ts")?.map(|next| next.parse().map(Ts::from_micros).map_err(|_| refuse("invalid_cursor")));
    next.transpose()
}

fn page(messages: Vec<Value>, next: Option<Ts>) -> Value {
    let mut answer = json!({"ok": true, "messages": messages, "has_more": next.is_some()});
    if let Some(next) = next {
        answer["response_metadata"] = json!({"next_cursor": to_cursor("next_ts", Some(next.micros().to_string()))});
    }
    answer
}

fn largest(state: &State) -> usize {
    if state.commercial { 15 } else { 999 }
}

/// The newest first.
fn history(state: &State, request: &SimRequest) -> Answered {
    let channel = readable(state, request)?;
    let (inside, from) = (window(request)?, next_ts(request)?);
    let limit = limit(state, request, 100.min(largest(state)), largest(state))?;
    let mut times =
        channel.messages.keys().rev().copied().filter(|ts| channel.shows(*ts) && inside(*ts) && from.is_none_or(|from| *ts <= from));
    let messages = times.by_ref().take(limit).map(|ts| channel.shown(ts)).collect();
    Ok(page(messages, times.next()))
}

/// The parent leads each page, whatever the window; replies follow, the oldest first.
fn replies(state: &State, request: &SimRequest) -> Answered {
    let channel = readable(state, request)?;
    let ts = request.param("ts").and_then(|ts| Ts::parse(&ts)).ok_or_else(|| refuse("thread_not_found"))?;
    let message = channel.messages.get(&ts).ok_or_else(|| refuse("thread_not_found"))?;
    let parent = message.get("thread_ts").and_then(Value::as_str).and_then(Ts::parse).unwrap_or(ts);
    let (inside, from) = (window(request)?, next_ts(request)?);
    let limit = limit(state, request, largest(state), largest(state))?;
    let mut times =
        channel.threads.get(&parent).into_iter().flatten().copied().filter(|ts| inside(*ts) && from.is_none_or(|from| *ts >= from));
    // A page of one entry would never get beyond the parent.
    let replies = times.by_ref().take(limit.saturating_sub(1).max(1)).map(|ts| channel.shown(ts));
    let messages = std::iter::once(channel.shown(parent)).chain(replies).collect();
    Ok(page(messages, times.next()))
}

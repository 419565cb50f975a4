//! The methods: arguments in, Slack's answer or refusal out.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sync_core::ExposeSecret;
use sync_testkit::Access;

use super::{
    arguments::Arguments,
    chat,
    state::{Channel, State, Token},
};
use crate::ts::Ts;

pub(super) type Answered = Result<Value, Value>;

pub(super) fn refuse(code: &str) -> Value {
    json!({"ok": false, "error": code})
}

pub(super) fn answer(state: &mut State, method: &str, arguments: &Arguments, now: DateTime<Utc>) -> Answered {
    state.granted = None;
    let access = match (&state.authorization, arguments.token.as_deref()) {
        (Some(server), Some(token)) => server.access(token, now),
        _ => Access::Unknown,
    };
    match (&state.token, arguments.token.as_deref()) {
        (_, None) => return Err(refuse("not_authed")),
        _ if access == Access::Expired => return Err(refuse("token_expired")),
        _ if access == Access::Revoked => return Err(refuse("token_revoked")),
        (Token::Revoked, _) => return Err(refuse("token_revoked")),
        _ if access != Access::Unknown => {}
        (Token::Any, _) if state.authorization.is_some() => return Err(refuse("invalid_auth")),
        (Token::Only(expected), Some(token)) if expected.expose_secret() != token => return Err(refuse("invalid_auth")),
        _ => {}
    }
    if let Access::Good(scopes) = access {
        state.granted = Some(scopes);
    }
    match method {
        "auth.test" => Ok(json!({
            "ok": true, "url": "https://acme.slack.com/", "team": state.name, "user": state.app.name, "team_id": state.team,
            "user_id": state.app.user, "bot_id": state.app.bot, "app_id": state.app.id, "is_enterprise_install": false,
        })),
        "team.info" => team(state, arguments),
        "users.list" => users(state, arguments),
        "users.info" => user(state, arguments),
        "conversations.list" => channels(state, arguments),
        "conversations.info" => info(state, arguments),
        "conversations.members" => members(state, arguments),
        "conversations.join" => join(state, arguments),
        "conversations.history" => history(state, arguments),
        "conversations.replies" => replies(state, arguments),
        "chat.postMessage" => chat::post(state, arguments, now),
        "chat.update" => chat::update(state, arguments, now),
        "chat.delete" => chat::delete(state, arguments),
        _ => Err(refuse("unknown_method")),
    }
}

pub(super) fn need(state: &State, scope: &str) -> Result<(), Value> {
    if !state.has(scope) {
        return Err(json!({"ok": false, "error": "missing_scope", "needed": scope, "provided": state.scopes()}));
    }
    Ok(())
}

/// `public_channel` and `private_channel` have scopes of their own.
fn scope(private: bool, what: &str) -> String {
    format!("{}:{what}", if private { "groups" } else { "channels" })
}

fn limit(state: &State, arguments: &Arguments, default: usize, largest: usize) -> Result<usize, Value> {
    let asked = match arguments.text("limit") {
        Some(limit) => limit.parse().map_err(|_| refuse("invalid_limit"))?,
        None => default,
    };
    Ok(asked.clamp(1, largest).min(state.page.unwrap_or(usize::MAX)))
}

/// Cursors are base64 of what comes next: `next_ts:1512085950000216`, `user:U061NFTT2`, `team:C061FA5PB`.
fn from_cursor(arguments: &Arguments, kind: &str) -> Result<Option<String>, Value> {
    let Some(cursor) = arguments.text("cursor").filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    let text = BASE64_STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let next = text.as_deref().and_then(|text| text.strip_prefix(kind)?.strip_prefix(':')).map(str::to_owned);
    next.map(Some).ok_or_else(|| refuse("invalid_cursor"))
}

fn to_cursor(kind: &str, next: Option<String>) -> String {
    next.map(|next| BASE64_STANDARD.encode(format!("{kind}:{next}"))).unwrap_or_default()
}

/// A page of a listing ordered by id.
fn listed(rows: Vec<(&str, Value)>, kind: &str, arguments: &Arguments, limit: usize) -> Result<(Vec<Value>, String), Value> {
    let from = from_cursor(arguments, kind)?.unwrap_or_default();
    let mut rows = rows.into_iter().filter(|(id, _)| **id >= *from);
    let page = rows.by_ref().take(limit).map(|(_, row)| row).collect();
    Ok((page, to_cursor(kind, rows.next().map(|(id, _)| id.to_owned()))))
}

fn users(state: &State, arguments: &Arguments) -> Answered {
    need(state, "users:read")?;
    let limit = limit(state, arguments, 1000, 1000)?;
    let rows = state.users.iter().filter(|(_, user)| user["hidden"] != true).map(|(id, user)| (id.as_str(), user.clone())).collect();
    let (members, next) = listed(rows, "user", arguments, limit)?;
    Ok(json!({"ok": true, "members": members, "cache_ts": 1_700_000_000, "response_metadata": {"next_cursor": next}}))
}

fn user(state: &State, arguments: &Arguments) -> Answered {
    need(state, "users:read")?;
    let id = arguments.text("user").unwrap_or_default();
    if id == state.app.user {
        let name = &state.app.name;
        let profile = json!({"real_name": name, "display_name": "", "bot_id": state.app.bot, "api_app_id": state.app.id});
        return Ok(json!({"ok": true, "user": {
            "id": id, "team_id": state.team, "name": name, "real_name": name, "deleted": false, "is_bot": true, "is_app_user": false,
            "updated": 1_700_000_000, "profile": profile,
        }}));
    }
    let mut user = state.users.get(&id).cloned().ok_or_else(|| refuse("user_not_found"))?;
    // A mark of ours: people who are left out of the listing.
    if let Some(user) = user.as_object_mut() {
        user.remove("hidden");
    }
    Ok(json!({"ok": true, "user": user}))
}

fn team(state: &State, arguments: &Arguments) -> Answered {
    need(state, "team:read")?;
    if arguments.text("team").is_some_and(|team| team != state.team) {
        return Err(refuse("team_not_found"));
    }
    let sizes =
        [34, 44, 68, 88, 102, 132].map(|size| (format!("image_{size}"), json!("https://a.slack-edge.com/80588/img/avatars-teams.png")));
    let mut icon = Value::Object(sizes.into_iter().collect());
    icon["image_default"] = true.into();
    Ok(json!({"ok": true, "team": {
        "id": state.team, "name": state.name, "domain": "acme", "email_domain": "acme.example", "url": "https://acme.slack.com/", "icon": icon,
    }}))
}

fn channels(state: &State, arguments: &Arguments) -> Answered {
    let types = arguments.text("types").unwrap_or_else(|| "public_channel".to_owned());
    let without_archived = arguments.flag("exclude_archived");
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
    let (channels, next) = listed(rows, "team", arguments, limit(state, arguments, 100, 999)?)?;
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

/// What a call for one channel tells beyond the listing.
fn in_full(state: &State, id: &str, channel: &Channel) -> Value {
    let mut described = described(id, channel);
    let more = json!({
        "is_group": false, "is_frozen": false, "is_shared": false, "is_ext_shared": false, "is_org_shared": false,
        "is_pending_ext_shared": false, "pending_shared": [], "pending_connected_team_ids": [], "parent_conversation": null,
        "name_normalized": channel.name, "unlinked": 0, "shared_team_ids": [state.team], "context_team_id": state.team,
    });
    if let (Some(described), Value::Object(more)) = (described.as_object_mut(), more) {
        described.extend(more);
        described.remove("num_members");
    }
    described
}

fn info(state: &State, arguments: &Arguments) -> Answered {
    let (id, channel) = channel(state, arguments)?;
    need(state, &scope(channel.private, "read"))?;
    let mut described = in_full(state, &id, channel);
    if arguments.flag("include_num_members") {
        described["num_members"] = 3.into();
    }
    Ok(json!({"ok": true, "channel": described}))
}

fn members(state: &State, arguments: &Arguments) -> Answered {
    let (_, channel) = channel(state, arguments)?;
    need(state, &scope(channel.private, "read"))?;
    let limit = limit(state, arguments, 100, 1000)?;
    let app = channel.member.then_some(state.app.user.as_str());
    let people = state.users.iter().filter(|(_, user)| user["hidden"] != true && user["deleted"] != true).map(|(id, _)| id.as_str());
    let mut ids: Vec<&str> = people.chain(app).collect();
    ids.sort_unstable();
    let (members, next) = listed(ids.into_iter().map(|id| (id, id.into())).collect(), "user", arguments, limit)?;
    Ok(json!({"ok": true, "members": members, "response_metadata": {"next_cursor": next}}))
}

/// The channel a call names. A private one without the app is not there.
pub(super) fn channel<'s>(state: &'s State, arguments: &Arguments) -> Result<(String, &'s Channel), Value> {
    let id = arguments.text("channel").unwrap_or_default();
    let channel =
        state.channels.get(&id).filter(|channel| channel.member || !channel.private).ok_or_else(|| refuse("channel_not_found"))?;
    Ok((id, channel))
}

fn readable<'s>(state: &'s State, arguments: &Arguments) -> Result<&'s Channel, Value> {
    let (_, channel) = channel(state, arguments)?;
    need(state, &scope(channel.private, "history"))?;
    if channel.is_open() { Ok(channel) } else { Err(refuse("not_in_channel")) }
}

fn join(state: &mut State, arguments: &Arguments) -> Answered {
    need(state, "channels:join")?;
    let (id, found) = channel(state, arguments)?;
    if found.archived {
        return Err(refuse("is_archived"));
    }
    let mut answer = json!({"ok": true, "channel": in_full(state, &id, found)});
    if found.is_open() {
        warn(&mut answer, "already_in_channel");
    }
    answer["channel"]["is_member"] = true.into();
    state.channel(&id).set_member(true);
    Ok(answer)
}

/// Adds a remark to an answer.
pub(super) fn warn(answer: &mut Value, warning: &str) {
    answer["warning"] = warning.into();
    match answer["response_metadata"]["warnings"].as_array_mut() {
        Some(warnings) => warnings.push(warning.into()),
        None => answer["response_metadata"]["warnings"] = json!([warning]),
    }
}

/// Whether a call's window holds a message: its ends are left out unless `inclusive` is said.
fn window(arguments: &Arguments) -> Result<impl Fn(Ts) -> bool, Value> {
    let bound = |name: &str| match arguments.text(name) {
        Some(text) => Ts::parse(&text).map(Some).ok_or_else(|| refuse(&format!("invalid_ts_{name}"))),
        None => Ok(None),
    };
    let (oldest, latest) = (bound("oldest")?, bound("latest")?);
    let inclusive = arguments.flag("inclusive");
    Ok(move |ts| {
        oldest.is_none_or(|oldest| ts > oldest || inclusive && ts == oldest)
            && latest.is_none_or(|latest| ts < latest || inclusive && ts == latest)
    })
}

fn next_ts(arguments: &Arguments) -> Result<Option<Ts>, Value> {
    let next = from_cursor(arguments, "next_ts")?.map(|next| next.parse().map(Ts::from_micros).map_err(|_| refuse("invalid_cursor")));
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
fn history(state: &State, arguments: &Arguments) -> Answered {
    let channel = readable(state, arguments)?;
    let (inside, from, metadata) = (window(arguments)?, next_ts(arguments)?, arguments.flag("include_all_metadata"));
    let limit = limit(state, arguments, 100.min(largest(state)), largest(state))?;
    let mut times =
        channel.messages.keys().rev().copied().filter(|ts| channel.shows(*ts) && inside(*ts) && from.is_none_or(|from| *ts <= from));
    let messages = times.by_ref().take(limit).map(|ts| channel.shown(ts, metadata)).collect();
    let mut answer = page(messages, times.next());
    answer["pin_count"] = 0.into();
    Ok(answer)
}

/// The parent leads each page, whatever the window; replies follow, the oldest first.
fn replies(state: &State, arguments: &Arguments) -> Answered {
    let channel = readable(state, arguments)?;
    let ts = arguments.text("ts").and_then(|ts| Ts::parse(&ts)).ok_or_else(|| refuse("thread_not_found"))?;
    let parent = channel.parent_of(ts).ok_or_else(|| refuse("thread_not_found"))?;
    let (inside, from, metadata) = (window(arguments)?, next_ts(arguments)?, arguments.flag("include_all_metadata"));
    let limit = limit(state, arguments, largest(state), largest(state))?;
    let mut times =
        channel.threads.get(&parent).into_iter().flatten().copied().filter(|ts| inside(*ts) && from.is_none_or(|from| *ts >= from));
    // A page of one entry would never get beyond the parent.
    let replies = times.by_ref().take(limit.saturating_sub(1).max(1)).map(|ts| channel.shown(ts, metadata));
    let messages = std::iter::once(channel.shown(parent, metadata)).chain(replies).collect();
    Ok(page(messages, times.next()))
}

//! Writing: posts, updates and deletes of the app's own messages.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    answer::{Answered, channel, need, refuse},
    arguments::Arguments,
    state::{App, Channel, State},
};
use crate::ts::Ts;

/// Characters of a post's text; the rest is cut off.
const LONGEST_POST: usize = 40_000;
/// Characters of an update's text.
const LONGEST_UPDATE: usize = 4_000;
const MOST_BLOCKS: usize = 50;
const MOST_ATTACHMENTS: usize = 100;
/// Bytes of metadata.
const LARGEST_METADATA: usize = 8 << 10;

/// What a message says.
struct Content {
    text: Option<String>,
    blocks: Option<Value>,
    attachments: Option<Value>,
    metadata: Option<Value>,
}

impl Content {
    fn of(arguments: &Arguments) -> Result<Self, Value> {
        let list = |name: &str, most: usize, malformed: &str, too_many: &str| {
            let list = arguments.structure(name).map_err(|()| refuse(malformed))?;
            match &list {
                None => Ok(None),
                Some(Value::Array(items)) if items.len() > most => {
                    Err(detailed(too_many, &format!("no more than {most} items allowed"), name))
                }
                Some(Value::Array(items)) if items.iter().all(Value::is_object) => Ok(list),
                Some(_) => Err(refuse(malformed)),
            }
        };
        let blocks = list("blocks", MOST_BLOCKS, "invalid_blocks_format", "invalid_blocks")?;
        if blocks.as_ref().and_then(Value::as_array).is_some_and(|blocks| blocks.iter().any(|block| !block["type"].is_string())) {
            return Err(detailed("invalid_blocks", "missing required field: type", "blocks"));
        }
        let metadata = arguments.structure("metadata").map_err(|()| refuse("invalid_metadata_format"))?;
        if let Some(metadata) = &metadata {
            let cleared = metadata.as_object().is_some_and(Map::is_empty);
            let named = metadata["event_type"].is_string() && metadata["event_payload"].is_object();
            if !cleared && !named {
                return Err(refuse("invalid_metadata_format"));
            }
            if metadata.to_string().len() > LARGEST_METADATA {
                return Err(refuse("metadata_too_large"));
            }
        }
        let attachments = list("attachments", MOST_ATTACHMENTS, "invalid_attachments", "too_many_attachments")?;
        Ok(Self { text: arguments.text("text"), blocks, attachments, metadata })
    }

    fn is_empty(&self) -> bool {
        let none = |list: &Option<Value>| list.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty);
        self.text.as_deref().unwrap_or_default().trim().is_empty() && none(&self.blocks) && none(&self.attachments)
    }

    /// Writes into a message what was named; an empty list, and empty metadata, take away what was there.
    fn apply(self, message: &mut Map<String, Value>) {
        if let Some(text) = self.text {
            message.insert("text".to_owned(), text.into());
        }
        let mut blocks = self.blocks;
        for (block, n) in blocks.as_mut().and_then(Value::as_array_mut).into_iter().flatten().zip(1..) {
            if block["block_id"].is_null() {
                block["block_id"] = format!("b{n}").into();
            }
        }
        let mut attachments = self.attachments;
        for (attachment, n) in attachments.as_mut().and_then(Value::as_array_mut).into_iter().flatten().zip(1..) {
            attachment["id"] = n.into();
            if attachment["fallback"].is_null() {
                attachment["fallback"] = attachment["text"].as_str().unwrap_or("[no preview available]").into();
            }
        }
        for (name, value) in [("blocks", blocks), ("attachments", attachments), ("metadata", self.metadata)] {
            let Some(value) = value else { continue };
            let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
            if empty {
                message.remove(name);
            } else {
                message.insert(name.to_owned(), value);
            }
        }
    }
}

fn detailed(code: &str, problem: &str, name: &str) -> Value {
    let mut refusal = refuse(code);
    refusal["response_metadata"] = json!({"messages": [format!("[ERROR] {problem} [json-pointer:/{name}]")]});
    refusal
}

pub(super) fn post(state: &mut State, arguments: &Arguments, now: DateTime<Utc>) -> Answered {
    need(state, "chat:write")?;
    let named = ["username", "icon_emoji", "icon_url"].iter().any(|name| arguments.text(name).is_some());
    if named {
        need(state, "chat:write.customize")?;
    }
    let (id, found) = channel(state, arguments)?;
    if found.archived {
        return Err(refuse("is_archived"));
    }
    if !found.is_open() {
        return Err(refuse("not_in_channel"));
    }
    let mut content = Content::of(arguments)?;
    if content.is_empty() {
        return Err(refuse("no_text"));
    }
    content.text = Some(content.text.unwrap_or_default().chars().take(LONGEST_POST).collect());
    let thread = thread(found, arguments)?;
    let ts = found.free_ts(now);

    let mut message = author(&state.app, &state.team, arguments, named);
    if let Some(parent) = thread {
        message.insert("thread_ts".to_owned(), parent.to_string().into());
        if arguments.flag("reply_broadcast") {
            message.insert("subtype".to_owned(), "thread_broadcast".into());
        }
    }
    content.apply(&mut message);
    let channel = state.channel(&id);
    channel.add(ts, Value::Object(message));
    Ok(json!({"ok": true, "channel": id, "ts": ts.to_string(), "message": channel.shown(ts, true)}))
}

/// The parent of the thread a post is for. A reply stands for its thread.
fn thread(channel: &Channel, arguments: &Arguments) -> Result<Option<Ts>, Value> {
    let Some(text) = arguments.text("thread_ts") else { return Ok(None) };
    let ts = Ts::parse(&text).ok_or_else(|| refuse("invalid_thread_ts"))?;
    channel.parent_of(ts).map(Some).ok_or_else(|| refuse("thread_not_found"))
}

fn author(app: &App, team: &str, arguments: &Arguments, named: bool) -> Map<String, Value> {
    let icons = json!({
        "image_36": "https://a.slack-edge.com/80588/img/plugins/app/bot_36.png",
        "image_48": "https://a.slack-edge.com/80588/img/plugins/app/bot_48.png",
        "image_72": "https://a.slack-edge.com/80588/img/plugins/app/service_72.png",
    });
    let profile = json!({
        "id": app.bot, "app_id": app.id, "user_id": app.user, "name": app.name, "icons": icons, "deleted": false, "updated": 1_700_000_000,
        "team_id": team,
    });
    let mut message = json!({"user": app.user, "bot_id": app.bot, "app_id": app.id, "team": team, "bot_profile": profile});
    if named {
        message["subtype"] = "bot_message".into();
        message["username"] = arguments.text("username").unwrap_or_else(|| app.name.clone()).into();
        match (arguments.text("icon_emoji"), arguments.text("icon_url")) {
            (Some(emoji), _) => message["icons"] = json!({"emoji": emoji}),
            (None, Some(url)) => message["icons"] = json!({"image_64": url}),
            (None, None) => {}
        }
    }
    match message {
        Value::Object(message) => message,
        _ => Map::new(),
    }
}

/// The `ts` of a message of the app's own; `foreign` is what Slack says about those of others.
fn own(state: &State, arguments: &Arguments, foreign: &str) -> Result<(String, Ts), Value> {
    need(state, "chat:write")?;
    let (id, found) = channel(state, arguments)?;
    let ts = arguments.text("ts").and_then(|ts| Ts::parse(&ts)).ok_or_else(|| refuse("message_not_found"))?;
    let message = found.messages.get(&ts).filter(|message| message["subtype"] != "tombstone").ok_or_else(|| refuse("message_not_found"))?;
    if message["bot_id"] != *state.app.bot {
        return Err(refuse(foreign));
    }
    Ok((id, ts))
}

pub(super) fn update(state: &mut State, arguments: &Arguments, now: DateTime<Utc>) -> Answered {
    let (id, ts) = own(state, arguments, "cant_update_message")?;
    let content = Content::of(arguments)?;
    if content.is_empty() {
        return Err(refuse("no_text"));
    }
    if content.text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_UPDATE) {
        return Err(refuse("msg_too_long"));
    }
    let user = state.app.user.clone();
    let channel = state.channel(&id);
    if channel.archived {
        return Err(refuse("is_inactive"));
    }
    let Some(message) = channel.messages.get_mut(&ts).and_then(Value::as_object_mut) else { return Err(refuse("message_not_found")) };
    content.apply(message);
    message.insert("edited".to_owned(), json!({"user": user, "ts": format!("{}.000000", now.timestamp())}));
    if arguments.flag("reply_broadcast") && message.contains_key("thread_ts") {
        message.insert("subtype".to_owned(), "thread_broadcast".into());
    }
    let message = channel.shown(ts, true);
    Ok(json!({"ok": true, "channel": id, "ts": ts.to_string(), "text": message["text"], "message": message}))
}

pub(super) fn delete(state: &mut State, arguments: &Arguments) -> Answered {
    let (id, ts) = own(state, arguments, "cant_delete_message")?;
    let ts = ts.to_string();
    state.channel(&id).delete(&ts);
    Ok(json!({"ok": true, "channel": id, "ts": ts}))
}

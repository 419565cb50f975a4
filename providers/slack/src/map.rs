//! From Slack's objects to records. Pure.

use std::{collections::HashMap, sync::Arc};

use serde_json::value::RawValue;
use sync_core::{Field, FieldKind, Operation, RecordBatch, RecordDraft, RecordFailure, join_key, key_text};

use crate::ts::Ts;

/// The fields of messages: Slack's own, and the last five, which are ours.
pub(crate) fn message_fields() -> Vec<Field> {
    use FieldKind::{Boolean, Integer, Json, Text};
    [
        ("ts", Text),
        ("type", Text),
        ("subtype", Text),
        ("user", Text),
        ("bot_id", Text),
        ("text", Text),
        ("thread_ts", Text),
        ("reply_count", Integer),
        ("latest_reply", Text),
        ("is_locked", Boolean),
        ("edited", Json),
        ("reactions", Json),
        ("attachments", Json),
        ("blocks", Json),
        ("files", Json),
        ("channel_id", Text),
        ("channel_name", Text),
        ("sender_id", Text),
        ("sender_name", Text),
        ("parent_ts", Text),
    ]
    .map(|(name, kind)| Field::typed(name, kind))
    .to_vec()
}

/// Where messages were found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) channel: &'a str,
    pub(crate) channel_name: Option<&'a str>,
    pub(crate) names: &'a HashMap<String, Arc<str>>,
}

/// What a message says about its thread.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) ts: Ts,
    /// The newest reply of a thread that begins here.
    pub(crate) latest_reply: Option<Ts>,
}

fn text(record: &RecordDraft<'_>, name: &str) -> Option<String> {
    record.cell(name).and_then(key_text).map(|text| text.into_owned())
}

/// Adds a message; `Err` is what makes it unreadable.
pub(crate) fn message(batch: &mut RecordBatch, raw: &RawValue, found: Found<'_>) -> Result<Seen, RecordFailure> {
    let [channel_id, channel_name, sender_id, sender_name, parent_ts] =
        ["channel_id", "channel_name", "sender_id", "sender_name", "parent_ts"].map(|name| batch.name(name));
    let mut record = batch.record();
    record.object(raw)?;
    let unreadable = |what: &str| RecordFailure::error(format!("a message of channel {} {what}", found.channel));
    let written = text(&record, "ts").ok_or_else(|| unreadable("has no ts"))?;
    let ts = Ts::parse(&written).ok_or_else(|| unreadable(&format!("has a ts that is none: {:.40}", written)))?;
    let thread = text(&record, "thread_ts");
    let sender = text(&record, "user").or_else(|| text(&record, "bot_id"));
    let name = sender.as_ref().and_then(|sender| found.names.get(sender).map(|name| name.to_string()));
    let name = name.or_else(|| text(&record, "username")).or_else(|| bot_name(&record));
    let latest_reply = text(&record, "latest_reply").and_then(|ts| Ts::parse(&ts)).filter(|_| thread.as_ref() == Some(&written));
    made(&mut record, channel_id, Some(found.channel));
    made(&mut record, channel_name, found.channel_name);
    made(&mut record, sender_id, sender.as_deref());
    made(&mut record, sender_name, name.as_deref());
    made(&mut record, parent_ts, thread.as_deref().filter(|thread| *thread != written));
    record.finish(join_key([found.channel, &written]), Operation::Upsert, None);
    Ok(Seen { ts, latest_reply })
}

fn made(record: &mut RecordDraft<'_>, name: usize, value: Option<&str>) {
    match value {
        Some(text) => record.made_text(name, text),
        None => record.made(name, "null"),
    }
}

fn bot_name(record: &RecordDraft<'_>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Bot {
        name: String,
    }
    serde_json::from_str::<Bot>(record.cell("bot_profile")?).ok().map(|bot| bot.name)
}

/// The ids of users these messages are from.
pub(crate) fn senders(messages: &[&RawValue]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct From {
        user: Option<String>,
    }
    let mut ids: Vec<String> = messages.iter().filter_map(|raw| serde_json::from_str::<From>(raw.get()).ok()?.user).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Adds an object with an `id` of its own: a channel, a user.
pub(crate) fn object(batch: &mut RecordBatch, raw: &RawValue) -> Result<(), RecordFailure> {
    let mut record = batch.record();
    record.object(raw)?;
    let id = text(&record, "id").ok_or_else(|| RecordFailure::error("an entry without id"))?;
    record.finish(id, Operation::Upsert, None);
    Ok(())
}

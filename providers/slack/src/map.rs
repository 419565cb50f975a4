//! From Slack's objects to records. Pure.

use std::{borrow::Cow, collections::BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sync_core::{FieldKind, Operation, PullPage, RecordBatch, RecordDraft, RecordFailure, Result, join_key, key_text};

use crate::{api::Rows, streams, ts::Ts};

/// The name of a person: `None` when it has to be looked up first, `Some(None)` when there is none.
pub(crate) type NameOf<'a> = &'a (dyn Fn(&str) -> Option<Option<Box<str>>> + Sync);

/// The names of declared fields in a batch.
struct Columns(Vec<(&'static str, usize)>);

impl Columns {
    fn of(batch: &mut RecordBatch, declared: &[(&'static str, FieldKind)]) -> Self {
        Self(declared.iter().map(|(name, _)| (*name, batch.name(name))).collect())
    }

    /// Slack leaves out what a thing no longer has: reactions that were taken back, a topic, a thread's last reply. A declared field
    /// that is not there is null, so that what is gone at Slack does not stay in the table.
    fn fill(&self, draft: &mut RecordDraft<'_>) {
        for (name, at) in &self.0 {
            if draft.cell(name).is_none() {
                draft.made(*at, "null");
            }
        }
    }

    fn at(&self, name: &str) -> usize {
        self.0.iter().find(|(known, _)| *known == name).expect("a declared field").1
    }
}

/// The records of a page of channels or users, with their `id` as key.
///
/// # Errors
/// [`Decode`](sync_core::ErrorKind::Decode) when the body is not text.
pub(crate) fn listed(body: &Bytes, rows: &[&RawValue], declared: &[(&'static str, FieldKind)]) -> Result<PullPage> {
    let mut page = PullPage::new(RecordBatch::over(Bytes::clone(body))?);
    let columns = Columns::of(&mut page.batch, declared);
    for raw in rows {
        let mut draft = page.batch.record();
        let id = draft.object(raw).ok().and_then(|()| text(&draft, "id").map(Cow::into_owned));
        match id {
            Some(id) => {
                columns.fill(&mut draft);
                draft.finish(id, Operation::Upsert, None);
            }
            None => {
                drop(draft);
                page.unseen = true;
                page.failures.push(RecordFailure::error("the entry is no object with an id"));
            }
        }
    }
    Ok(page)
}

/// What has to be known of a channel to make records of its messages.
pub(crate) struct Place<'a> {
    /// The account: the workspace's id.
    pub(crate) account: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) channel_name: Option<&'a str>,
    /// The thread that is read; `None` when it is the channel.
    pub(crate) thread: Option<Ts>,
    /// The first moment of the window.
    pub(crate) oldest: Option<Ts>,
    pub(crate) name_of: NameOf<'a>,
}

/// What a page of messages brought.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) page: PullPage,
    /// Parents of the threads it showed.
    pub(crate) threads: Vec<Ts>,
    pub(crate) highest: Option<Ts>,
    /// People whose names have to be looked up before the page is whole.
    pub(crate) strangers: BTreeSet<String>,
}

/// The records of a page of messages, with `<channel>/<ts>` as key.
///
/// Of a thread only the replies are taken that its channel does not show: the parent, and replies that were also sent to the channel,
/// come with the history.
///
/// # Errors
/// [`Decode`](sync_core::ErrorKind::Decode) when the body is not text.
pub(crate) fn messages(body: &Bytes, rows: &Rows<'_>, place: &Place<'_>) -> Result<Found> {
    let page = PullPage::new(RecordBatch::over(Bytes::clone(body))?);
    let mut found = Found { page, threads: Vec::new(), highest: None, strangers: BTreeSet::new() };
    found.page.unseen = rows.hidden;
    let columns = Columns::of(&mut found.page.batch, streams::MESSAGE_FIELDS);
    for raw in &rows.rows {
        if let Err(problem) = message(raw, place, &columns, &mut found) {
            found.page.unseen = true;
            found.page.failures.push(RecordFailure::error(problem));
        }
    }
    Ok(found)
}

fn message(raw: &RawValue, place: &Place<'_>, columns: &Columns, found: &mut Found) -> Result<(), &'static str> {
    let mut draft = found.page.batch.record();
    draft.object(raw).map_err(|_| "the message is no object")?;
    let ts = text(&draft, "ts").and_then(|ts| Ts::parse(&ts)).ok_or("the message has no timestamp of Slack's form, which is its key")?;
    let thread = match text(&draft, "thread_ts") {
        Some(text) => Some(Ts::parse(&text).ok_or("the message's thread_ts is no timestamp of Slack's form")?),
        None => None,
    };
    let broadcast = draft.cell("subtype") == Some("\"thread_broadcast\"");
    let parent = thread.filter(|thread| *thread != ts);
    if place.thread.is_some() && (parent.is_none() || broadcast) {
        return Ok(());
    }
    let sender = Sender::of(&draft);
    let name = match &sender.name {
        SenderName::Known(name) => Some(name.clone()),
        SenderName::Of { user, otherwise } => match (place.name_of)(user) {
            Some(name) => name.map(String::from).or_else(|| otherwise.clone()),
            None => {
                found.strangers.insert(user.clone());
                None
            }
        },
        SenderName::None => None,
    };
    let made = [
        ("account_id", Some(Cow::Borrowed(place.account))),
        ("channel_id", Some(Cow::Borrowed(place.channel))),
        ("channel_name", place.channel_name.map(Cow::Borrowed)),
        ("sender_id", sender.id.map(Cow::Owned)),
        ("sender_name", name.map(Cow::Owned)),
        ("parent_ts", parent.map(|parent| Cow::Owned(parent.to_string()))),
    ];
    for (name, value) in made {
        if let Some(value) = value.filter(|_| draft.cell(name).is_none()) {
            draft.made_text(columns.at(name), &value);
        }
    }
    let has_replies = draft.cell("reply_count").is_some_and(|count| count != "0");
    columns.fill(&mut draft);
    draft.finish(join_key([place.channel, &ts.to_string()]), Operation::Upsert, None);
    found.highest = found.highest.max(Some(ts));
    // A reply sent to the channel shows that a thread lives whose parent lies before the window.
    let old_thread = parent.filter(|parent| broadcast && place.oldest.is_some_and(|oldest| *parent < oldest));
    let thread = if parent.is_none() && thread.is_some() && has_replies { Some(ts) } else { old_thread };
    found.threads.extend(thread.filter(|thread| !found.threads.contains(thread)));
    Ok(())
}

/// Who sent a message.
struct Sender {
    id: Option<String>,
    name: SenderName,
}

enum SenderName {
    /// The message says it.
    Known(String),
    /// The name of this person, or another where there is none.
    Of {
        user: String,
        otherwise: Option<String>,
    },
    None,
}

impl Sender {
    /// A name set for the one message counts most, as Slack shows it; then that of the person; then the app's.
    fn of(draft: &RecordDraft<'_>) -> Self {
        let user = text(draft, "user").map(Cow::into_owned);
        let bot = text(draft, "bot_id").map(Cow::into_owned);
        let username = text(draft, "username").map(Cow::into_owned);
        let profile = || draft.cell("bot_profile").and_then(|json| serde_json::from_str::<BotProfile>(json).ok()?.name);
        let name = match (username, &user) {
            (Some(name), _) => SenderName::Known(name),
            (None, Some(user)) => SenderName::Of { user: user.clone(), otherwise: profile() },
            (None, None) => profile().map_or(SenderName::None, SenderName::Known),
        };
        Self { id: user.or(bot), name }
    }
}

#[derive(Debug, Deserialize)]
struct BotProfile {
    #[serde(default)]
    name: Option<String>,
}

/// The text of a cell; `None` when it is absent, null, empty or no text.
fn text<'d>(draft: &'d RecordDraft<'_>, name: &str) -> Option<Cow<'d, str>> {
    draft.cell(name).filter(|json| json.starts_with('"')).and_then(key_text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(messages: &Value, thread: Option<&str>, oldest: Option<&str>) -> Found {
        let ts = |text| Ts::parse(text).expect("a timestamp");
        let body = Bytes::from(messages.to_string());
        let rows: Vec<&RawValue> = serde_json::from_slice(&body).expect("a list");
        let name_of = |id: &str| match id {
            "U1" => Some(Some("Ada".into())),
            "U9" => Some(None),
            _ => None,
        };
        let (thread, oldest) = (thread.map(ts), oldest.map(ts));
        let place = Place { account: "T1", channel: "C1", channel_name: Some("general"), thread, oldest, name_of: &name_of };
        super::messages(&body, &Rows { rows, next: None, hidden: false }, &place).expect("text")
    }

    fn cell(found: &Found, record: usize, name: &str) -> Value {
        let text = found.page.batch.cell(&found.page.batch.records()[record], name);
        text.map_or_else(|| json!("(absent)"), |text| serde_json::from_str(text).expect("a cell is JSON"))
    }

    #[test]
    fn a_message_keeps_its_fields_and_learns_where_it_stands() {
        let found = found(
            &json!([
                {"type": "message", "user": "U1", "text": "a \"b\"", "ts": "2.000001", "thread_ts": "2.000001", "reply_count": 1, "new": [1.10]},
                {"type": "message", "user": "U1", "text": "", "ts": "3.000000", "thread_ts": "2.000001", "subtype": "thread_broadcast"},
            ]),
            None,
            None,
        );
        let ids: Vec<_> = found.page.batch.records().iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, ["C1/2.000001", "C1/3.000000"]);
        for (record, name, value) in [
            (0, "ts", json!("2.000001")),
            (0, "text", json!("a \"b\"")),
            (0, "account_id", json!("T1")),
            (0, "channel_id", json!("C1")),
            (0, "channel_name", json!("general")),
            (0, "sender_id", json!("U1")),
            (0, "sender_name", json!("Ada")),
            (0, "parent_ts", Value::Null),
            (0, "reactions", Value::Null),
            (1, "parent_ts", json!("2.000001")),
            (1, "thread_ts", json!("2.000001")),
            (1, "text", json!("")),
            (1, "new", json!("(absent)")),
        ] {
            assert_eq!(cell(&found, record, name), value, "{name} of {record}");
        }
        assert_eq!(found.page.batch.cell(&found.page.batch.records()[0], "new"), Some("[1.1]"));
        assert_eq!((found.threads.len(), found.highest), (1, Ts::parse("3.000000")));
        assert!(!found.page.unseen && found.page.failures.is_empty() && found.strangers.is_empty());
    }

    #[test]
    fn the_sender_is_named_as_slack_shows_it() {
        let cases = [
            (json!({"user": "U1"}), "U1", "Ada"),
            (json!({"user": "U1", "bot_id": "B1", "bot_profile": {"name": "Deploys"}}), "U1", "Ada"),
            (json!({"user": "U9", "bot_id": "B1", "bot_profile": {"name": "Deploys"}}), "U9", "Deploys"),
            (json!({"user": "U9"}), "U9", ""),
            (json!({"bot_id": "B1", "username": "Build", "bot_profile": {"name": "Deploys"}}), "B1", "Build"),
            (json!({"bot_id": "B1", "username": "", "bot_profile": {"name": "Deploys"}}), "B1", "Deploys"),
            (json!({"bot_id": "B1", "bot_profile": {"name": null}}), "B1", ""),
            (json!({"bot_id": "B1", "bot_profile": "odd"}), "B1", ""),
            (json!({"username": "hook"}), "", "hook"),
            (json!({}), "", ""),
        ];
        let or_null = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        for (mut message, id, name) in cases {
            message["ts"] = json!("1.000000");
            let found = found(&json!([message]), None, None);
            assert_eq!((cell(&found, 0, "sender_id"), cell(&found, 0, "sender_name")), (or_null(id), or_null(name)), "{message}");
            assert!(found.strangers.is_empty());
        }
        let stranger = found(&json!([{"ts": "1.000000", "user": "U5"}, {"ts": "2.000000", "user": "U5"}]), None, None);
        assert_eq!(stranger.strangers, ["U5".to_owned()].into());
    }

    #[test]
    fn of_a_thread_only_what_the_channel_does_not_show_is_taken() {
        let thread = json!([
            {"ts": "2.000000", "thread_ts": "2.000000", "reply_count": 2},
            {"ts": "3.000000", "thread_ts": "2.000000"},
            {"ts": "4.000000", "thread_ts": "2.000000", "subtype": "thread_broadcast"},
        ]);
        let found = found(&thread, Some("2.000000"), None);
        assert_eq!(found.page.batch.len(), 1);
        assert_eq!(cell(&found, 0, "parent_ts"), json!("2.000000"));
        assert!(found.threads.is_empty());
    }

    #[test]
    fn threads_are_found_by_their_parent_or_by_a_reply_sent_to_the_channel() {
        let history = json!([
            {"ts": "9.000000", "thread_ts": "1.000000", "subtype": "thread_broadcast"},
            {"ts": "8.000000", "thread_ts": "1.000000", "subtype": "thread_broadcast"},
            {"ts": "7.000000", "thread_ts": "6.000000", "subtype": "thread_broadcast"},
            {"ts": "6.000000", "thread_ts": "6.000000", "reply_count": 1},
            {"ts": "5.500000", "thread_ts": "5.500000", "reply_count": 0},
            {"ts": "5.000000", "thread_ts": "5.000000", "subtype": "tombstone", "reply_count": 3},
            {"ts": "4.000000"},
        ]);
        let threads = |oldest| found(&history, None, oldest).threads.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(threads(Some("4.000000")), ["1.000000", "6.000000", "5.000000"]);
        assert_eq!(threads(None), ["6.000000", "5.000000"], "a scan of everything comes to the parents by itself");
    }

    #[test]
    fn a_message_without_its_key_is_an_error_of_its_own() {
        let messages = json!([
            {"ts": "1.000000"}, {"text": "no ts"}, {"ts": 2.5}, {"ts": "2.5"}, {"ts": ""}, {"ts": "3.000000", "thread_ts": "x"}, "text", 7,
        ]);
        let found = found(&messages, None, None);
        assert_eq!((found.page.batch.len(), found.page.failures.len(), found.page.read()), (1, 7, 8));
        assert!(found.page.unseen);
    }

    #[test]
    fn entries_of_a_listing_are_keyed_by_their_id_and_gaps_are_null() {
        let body = Bytes::from_static(br#"[{"id":"C1","name":"general","is_new":true},{"name":"no id"},{"id":7},[]]"#);
        let rows: Vec<&RawValue> = serde_json::from_slice(&body).expect("a list");
        let page = listed(&body, &rows, streams::CHANNEL_FIELDS).expect("text");
        let record = &page.batch.records()[0];
        assert_eq!((page.batch.len(), page.failures.len(), page.unseen), (1, 3, true));
        let cell = |name| page.batch.cell(record, name);
        assert_eq!((cell("name"), cell("topic"), cell("is_new")), (Some("\"general\""), Some("null"), Some("true")));
    }
}

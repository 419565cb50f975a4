//! From the fields of a record to the body of a call. Pure: what Slack would refuse for sure is refused here, before anything is sent.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sync_core::{Marker, RecordId, Writes, join_key};

use crate::ts::Ts;

/// Metadata of what a push posted; its payload holds the marker and nothing else.
const EVENT: &str = "syncline_push";

/// Characters of a post's text; Slack cuts off what is beyond.
const LONGEST_POST: usize = 40_000;
/// Characters of an update's text.
const LONGEST_UPDATE: usize = 4_000;
const MOST_BLOCKS: usize = 50;
const MOST_ATTACHMENTS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Flag,
    /// A list of objects, no longer than this.
    List(usize),
}

/// What can be written, by the names records use.
const WRITABLE: &[(&str, Form)] = &[
    ("channel_id", Form::Text),
    ("text", Form::Text),
    ("thread_ts", Form::Text),
    ("blocks", Form::List(MOST_BLOCKS)),
    ("attachments", Form::List(MOST_ATTACHMENTS)),
    ("reply_broadcast", Form::Flag),
    ("unfurl_links", Form::Flag),
    ("unfurl_media", Form::Flag),
    ("username", Form::Text),
    ("icon_emoji", Form::Text),
    ("icon_url", Form::Text),
];

/// Posts take all of these as they are; an update has no say in them.
const AS_THEY_ARE: &[&str] = &["thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media", "username", "icon_emoji", "icon_url"];

/// The fields a push may write.
pub(crate) fn writable() -> Writes {
    Writes::Fields(WRITABLE.iter().map(|(name, _)| Box::from(*name)).collect::<Arc<[_]>>())
}

/// A message to be written, each of its fields of the right form. A null is as good as no field, except that an update takes away
/// the blocks or attachments that are null.
#[derive(Debug)]
pub(crate) struct Draft(Map<String, Value>);

impl Draft {
    /// Reads a record's fields; the error says what is wrong with them.
    pub(crate) fn of(fields: &[u8]) -> Result<Self, String> {
        let fields: Map<String, Value> = serde_json::from_slice(fields).map_err(|_| "the record's fields are no JSON object")?;
        for (name, value) in &fields {
            let Some((_, form)) = WRITABLE.iter().find(|(known, _)| known == name) else {
                let known: Vec<&str> = WRITABLE.iter().map(|(name, _)| *name).collect();
                return Err(format!("the field `{name}` cannot be written; there are {}", known.join(", ")));
            };
            match (form, value) {
                (_, Value::Null) | (Form::Text, Value::String(_)) | (Form::Flag, Value::Bool(_)) => {}
                (Form::Text, _) => return Err(format!("`{name}` has to be text")),
                (Form::Flag, _) => return Err(format!("`{name}` has to be true or false")),
                (Form::List(most), Value::Array(items)) if items.len() > *most => {
                    return Err(format!("`{name}` has {} entries; Slack takes {most}", items.len()));
                }
                (Form::List(_), Value::Array(items)) if items.iter().all(Value::is_object) => {}
                (Form::List(_), _) => return Err(format!("`{name}` has to be a list of objects")),
            }
        }
        let draft = Self(fields);
        match draft.text("thread_ts").map(|text| (text, Ts::parse(text))) {
            Some((text, None)) => Err(format!("`thread_ts` {text:?} is no timestamp of Slack's: seconds, a point, six digits")),
            _ => Ok(draft),
        }
    }

    /// The channel to post into.
    pub(crate) fn channel(&self) -> Result<&str, String> {
        match self.text("channel_id").map(str::trim) {
            None | Some("") => Err("`channel_id` is missing: a message needs a channel to go to".to_owned()),
            Some(name) if name.starts_with(['#', '@']) => {
                Err(format!("`channel_id` is the name {name:?}; write the channel's id, which does not change with its name"))
            }
            Some(id) => Ok(id),
        }
    }

    /// The thread to post into.
    pub(crate) fn thread(&self) -> Option<Ts> {
        self.text("thread_ts").and_then(Ts::parse)
    }

    /// The body of `chat.postMessage`. The marker travels as metadata, which people do not see.
    pub(crate) fn post(&self, marker: &Marker) -> Result<Bytes, String> {
        let mut body = Map::from_iter([("channel".to_owned(), self.channel()?.into())]);
        self.content(LONGEST_POST, &mut body)?;
        for name in AS_THEY_ARE {
            if let Some(value) = self.0.get(*name).filter(|value| !value.is_null()) {
                body.insert((*name).to_owned(), value.clone());
            }
        }
        body.insert("metadata".to_owned(), json!({"event_type": EVENT, "event_payload": {"marker": marker.as_str()}}));
        Ok(Value::Object(body).to_string().into())
    }

    /// The body of `chat.update`. Without metadata in it the message keeps its own.
    pub(crate) fn update(&self, place: &Place) -> Result<Bytes, String> {
        if self.0.get("channel_id").is_some_and(|channel| !channel.is_null()) && self.channel()? != place.channel {
            return Err(format!("the message is in {}: it cannot be moved to another channel", place.channel));
        }
        let mut body = place.call();
        self.content(LONGEST_UPDATE, &mut body)?;
        for name in ["blocks", "attachments"] {
            if self.0.get(name).is_some_and(Value::is_null) {
                body.insert(name.to_owned(), json!([]));
            }
        }
        Ok(Value::Object(body).to_string().into())
    }

    /// Adds what a message says. The text goes as it is: escaping `&`, `<` and `>` is for who writes it, since links and mentions are
    /// written with them.
    fn content(&self, longest: usize, body: &mut Map<String, Value>) -> Result<(), String> {
        let text = self.text("text").unwrap_or_default();
        let length = text.chars().count();
        if length > longest {
            return Err(format!("`text` has {length} characters; Slack takes {longest} here"));
        }
        let list = |name: &str| self.0.get(name).and_then(Value::as_array);
        let filled = ["blocks", "attachments"].iter().any(|name| list(name).is_some_and(|list| !list.is_empty()));
        if text.trim().is_empty() && !filled {
            return Err("`text` is empty, and there are neither `blocks` nor `attachments`: Slack takes no empty message".to_owned());
        }
        for name in ["text", "blocks", "attachments"] {
            if let Some(value) = self.0.get(name).filter(|value| !value.is_null()) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// Where a message is: what its record's id says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) channel: String,
    pub(crate) ts: Ts,
}

impl Place {
    /// Reads a record's id; the error says what it should be.
    pub(crate) fn of(id: &RecordId) -> Result<Self, String> {
        let place = id.as_str().split_once('/').and_then(|(channel, ts)| Some(Self { channel: channel.to_owned(), ts: Ts::parse(ts)? }));
        let place = place.filter(|place| !place.channel.is_empty() && place.id() == *id);
        place.ok_or_else(|| format!("the id {:?} is none of a message: a channel's id, a slash, a timestamp", id.as_str()))
    }

    /// The id of its record, as pulls know it.
    pub(crate) fn id(&self) -> RecordId {
        join_key([&*self.channel, &*self.ts.to_string()]).into()
    }

    /// What names it in a call: all of the body of `chat.delete`.
    pub(crate) fn call(&self) -> Map<String, Value> {
        Map::from_iter([("channel".to_owned(), self.channel.as_str().into()), ("ts".to_owned(), self.ts.to_string().into())])
    }
}

/// Whether a message's metadata holds a marker.
pub(crate) fn holds(metadata: &Value, marker: &Marker) -> bool {
    metadata["event_type"] == EVENT && metadata["event_payload"]["marker"] == marker.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(fields: &Value) -> Result<Value, String> {
        let body = Draft::of(fields.to_string().as_bytes())?.post(&Marker::from("m1"))?;
        Ok(serde_json::from_slice(&body).expect("JSON"))
    }

    fn update(fields: &Value) -> Result<Value, String> {
        let place = Place::of(&"C1/2.000001".into()).expect("a place");
        let body = Draft::of(fields.to_string().as_bytes())?.update(&place)?;
        Ok(serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn a_post_says_what_its_fields_say_and_the_marker_is_metadata_alone() {
        let metadata = json!({"event_type": "syncline_push", "event_payload": {"marker": "m1"}});
        let text = "naïve <@U1> & \u{1f680}\n\"x\" &amp;";
        for (fields, body) in [
            (json!({"channel_id": "C1", "text": text}), json!({"channel": "C1", "text": text})),
            (json!({"channel_id": " C1 ", "text": "x", "blocks": null, "thread_ts": null}), json!({"channel": "C1", "text": "x"})),
            (json!({"channel_id": "C1", "attachments": [{"text": "x"}]}), json!({"channel": "C1", "attachments": [{"text": "x"}]})),
            (
                json!({"channel_id": "C1", "text": "x", "thread_ts": "2.000001", "reply_broadcast": true, "unfurl_links": false,
                    "unfurl_media": false, "username": "Deploys", "icon_emoji": ":x:", "icon_url": "https://x.example/i.png"}),
                json!({"channel": "C1", "text": "x", "thread_ts": "2.000001", "reply_broadcast": true, "unfurl_links": false,
                    "unfurl_media": false, "username": "Deploys", "icon_emoji": ":x:", "icon_url": "https://x.example/i.png"}),
            ),
        ] {
            let mut expected = body;
            expected["metadata"] = metadata.clone();
            assert_eq!(post(&fields), Ok(expected), "{fields}");
        }
    }

    #[test]
    fn an_update_says_what_the_message_says_and_nothing_that_only_posts_can_say() {
        for (fields, body) in [
            (json!({"text": "x"}), json!({"text": "x"})),
            (
                json!({"channel_id": "C1", "text": "x", "thread_ts": "1.000000", "username": "u", "reply_broadcast": true}),
                json!({"text": "x"}),
            ),
            (json!({"text": "x", "blocks": null, "attachments": null}), json!({"text": "x", "blocks": [], "attachments": []})),
            (json!({"text": null, "blocks": [{"type": "divider"}]}), json!({"blocks": [{"type": "divider"}]})),
        ] {
            let mut expected = body;
            (expected["channel"], expected["ts"]) = ("C1".into(), "2.000001".into());
            assert_eq!(update(&fields), Ok(expected), "{fields}");
        }
    }

    #[test]
    fn what_slack_would_refuse_is_refused_with_its_field() {
        let posts = [
            (json!({"text": "x"}), "`channel_id` is missing"),
            (json!({"channel_id": null, "text": "x"}), "`channel_id` is missing"),
            (json!({"channel_id": " ", "text": "x"}), "`channel_id` is missing"),
            (json!({"channel_id": "#general", "text": "x"}), "the channel's id"),
            (json!({"channel_id": 7, "text": "x"}), "`channel_id` has to be text"),
            (json!({"channel_id": "C1"}), "no empty message"),
            (json!({"channel_id": "C1", "text": " \n", "blocks": [], "attachments": null}), "no empty message"),
            (json!({"channel_id": "C1", "text": {"a": 1}}), "`text` has to be text"),
            (json!({"channel_id": "C1", "text": "ü".repeat(40_001)}), "40001 characters; Slack takes 40000"),
            (json!({"channel_id": "C1", "text": "x", "thread_ts": "12"}), "`thread_ts` \"12\" is no timestamp"),
            (json!({"channel_id": "C1", "text": "x", "thread_ts": 12.5}), "`thread_ts` has to be text"),
            (json!({"channel_id": "C1", "blocks": vec![json!({}); 51]}), "`blocks` has 51 entries; Slack takes 50"),
            (json!({"channel_id": "C1", "blocks": "[]"}), "`blocks` has to be a list of objects"),
            (json!({"channel_id": "C1", "blocks": [1]}), "`blocks` has to be a list of objects"),
            (json!({"channel_id": "C1", "attachments": {"text": "x"}}), "`attachments` has to be a list of objects"),
            (json!({"channel_id": "C1", "attachments": vec![json!({}); 101]}), "`attachments` has 101 entries"),
            (json!({"channel_id": "C1", "text": "x", "unfurl_links": "yes"}), "`unfurl_links` has to be true or false"),
            (json!({"channel_id": "C1", "text": "x", "user": "U1"}), "`user` cannot be written; there are channel_id, text,"),
            (json!([]), "no JSON object"),
        ];
        for (fields, words) in posts {
            let problem = post(&fields).expect_err(words);
            assert!(problem.contains(words), "{problem} lacks {words}");
        }
        for (fields, words) in [
            (json!({"text": "ü".repeat(4_001)}), "4001 characters; Slack takes 4000"),
            (json!({"channel_id": "C2", "text": "x"}), "cannot be moved"),
            (json!({"channel_id": "C1", "text": ""}), "no empty message"),
        ] {
            let problem = update(&fields).expect_err(words);
            assert!(problem.contains(words), "{problem} lacks {words}");
        }
        assert!(post(&json!({"channel_id": "C1", "text": "ü".repeat(40_000), "blocks": vec![json!({}); 50]})).is_ok());
        assert!(update(&json!({"text": "ü".repeat(4_000)})).is_ok());
    }

    #[test]
    fn a_place_and_the_id_of_its_record_stand_for_each_other() {
        let place = Place::of(&"C024BE91L/1512085950.000216".into()).expect("an id of a pull");
        assert_eq!((place.channel.as_str(), place.id()), ("C024BE91L", "C024BE91L/1512085950.000216".into()));
        for id in ["", "C1", "/1.000000", "C1/1", "C1/1.000000/x", "C1\\/1.000000", "1.000000/C1"] {
            assert!(Place::of(&id.into()).is_err(), "{id}");
        }
    }

    #[test]
    fn only_metadata_of_a_push_with_the_very_marker_is_recognised() {
        for (metadata, held) in [
            (json!({"event_type": "syncline_push", "event_payload": {"marker": "m1"}}), true),
            (json!({"event_type": "syncline_push", "event_payload": {"marker": "m1", "more": 1}}), true),
            (json!({"event_type": "syncline_push", "event_payload": {"marker": "m12"}}), false),
            (json!({"event_type": "made", "event_payload": {"marker": "m1"}}), false),
            (json!({"event_type": "syncline_push", "event_payload": "m1"}), false),
            (Value::Null, false),
        ] {
            assert_eq!(holds(&metadata, &"m1".into()), held, "{metadata}");
        }
    }
}

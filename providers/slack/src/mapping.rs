//! The ready-made mapping of messages.

use serde_json::json;
use sync_core::mapping::{Column, Mapping};

use crate::streams;

/// Messages as rows of the entity type `communication`, which they share with other channels of talk.
///
/// A row is one message, keyed by `channel` (always `slack`), `account`, `channel_id` and `external_id`, the message's own `ts`.
/// `thread_id` is the `ts` of the thread's parent, its own for a message outside threads; `parent_id` is the `external_id` of the
/// parent for replies, and null for everything else. `timestamp` is exact to the microsecond.
///
/// A host that keeps messages apart by its own clients adds the column:
///
/// ```
/// # use sync_core::mapping::{Column, Transforms};
/// let mapping = provider_slack::communication().column(Column::constant("client-7").to("subject_id"));
/// mapping.compile(&Transforms::default())?;
/// # Ok::<(), sync_core::Error>(())
/// ```
#[must_use]
pub fn communication() -> Mapping {
    let metadata = ["channel_id", "reactions", "attachments"];
    Mapping::new("communication", streams::MESSAGES)
        .entity("communication")
        .column(Column::constant("slack").to("channel").key())
        .column(Column::new("account_id").to("account").key())
        .column(Column::new("channel_id").key())
        .column(Column::new("ts").to("external_id").key())
        .column(Column::first_of(["thread_ts", "ts"]).to("thread_id").required())
        .column(Column::new("parent_ts").to("parent_id"))
        .column(Column::new("sender_id"))
        .column(Column::new("sender_name"))
        .column(Column::new("text").to("content"))
        .column(Column::new("ts").to("timestamp").required().then_with("date", json!({ "format": "epoch", "to": "timestamp" })))
        .column(Column::object(metadata.map(|name| (name, name))).to("metadata"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, value::RawValue};
    use sync_core::mapping::Transforms;

    use super::*;
    use crate::{
        api::Rows,
        map::{self, Place},
    };

    /// What the mapping makes of one message.
    fn mapped(message: &Value) -> Value {
        let body = Bytes::from(message.to_string());
        let raw: &RawValue = serde_json::from_slice(&body).expect("JSON");
        let place = Place {
            account: "T1",
            channel: "C1",
            channel_name: Some("general"),
            thread: None,
            oldest: None,
            name_of: &|_| Some(Some("Ada".into())),
        };
        let found = map::messages(&body, &Rows { rows: vec![raw], next: None, hidden: false }, &place).expect("text");
        let compiled = communication().compile(&Transforms::default()).expect("valid");
        let stream = streams::all().pop().expect("messages come last");
        let fields = stream.fields.expect("declared");
        compiled.check_against(&fields).expect("every column it reads is declared");
        let mapped = compiled.apply(&found.page.batch, &fields);
        assert!(mapped.failures.is_empty(), "{:?}", mapped.failures);
        let record = &mapped.batch.records()[0];
        let cells =
            mapped.batch.cells(record).map(|(at, json)| (mapped.batch.names()[at].to_string(), serde_json::from_str(json).expect("JSON")));
        Value::Object(cells.collect())
    }

    #[test]
    fn a_message_becomes_a_communication() {
        let message = json!({
            "type": "message", "user": "U1", "text": "Shipped :tada:", "ts": "1512085950.000216",
            "reactions": [{"name": "tada", "count": 2, "users": ["U2", "U3"]}],
            "attachments": [{"fallback": "a link"}],
        });
        let expected = json!({
            "channel": "slack",
            "account": "T1",
            "channel_id": "C1",
            "external_id": "1512085950.000216",
            "thread_id": "1512085950.000216",
            "parent_id": null,
            "sender_id": "U1",
            "sender_name": "Ada",
            "content": "Shipped :tada:",
            "timestamp": "2017-11-30T23:52:30.000216Z",
            "metadata": {
                "channel_id": "C1",
                "reactions": [{"name": "tada", "count": 2, "users": ["U2", "U3"]}],
                "attachments": [{"fallback": "a link"}],
            },
        });
        assert_eq!(mapped(&message), expected);
    }

    #[test]
    fn a_reply_points_at_its_parent_by_the_parents_own_key() {
        let parent =
            mapped(&json!({"user": "U1", "text": "?", "ts": "1512085950.000216", "thread_ts": "1512085950.000216", "reply_count": 1}));
        let reply = mapped(&json!({"user": "U1", "text": "!", "ts": "1512085950.000217", "thread_ts": "1512085950.000216"}));
        assert_eq!(reply["parent_id"], parent["external_id"]);
        assert_eq!(reply["thread_id"], parent["thread_id"]);
        assert_eq!((&reply["external_id"], &parent["parent_id"]), (&json!("1512085950.000217"), &Value::Null));
    }

    #[test]
    fn no_digit_of_a_timestamp_is_lost() {
        for (ts, at) in [
            ("0.000001", "1970-01-01T00:00:00.000001Z"),
            ("1405894322.002768", "2014-07-20T22:12:02.002768Z"),
            ("1700000000.999999", "2023-11-14T22:13:20.999999Z"),
            ("4102444800.000000", "2100-01-01T00:00:00.000000Z"),
        ] {
            let row = mapped(&json!({"user": "U1", "ts": ts}));
            assert_eq!((&row["timestamp"], &row["external_id"]), (&json!(at), &json!(ts)));
        }
    }

    #[test]
    fn communications_are_for_reading_alone_and_other_rows_can_be_written() {
        let writes = crate::draft::writable();
        let compiled = |mapping: Mapping| mapping.compile(&Transforms::default()).expect("valid");
        let refused = compiled(communication()).check_back(&writes).expect_err("a row of it says what only Slack can say");
        assert!(refused.to_string().contains("account_id"), "{refused}");
        let announcements = Mapping::new("announcements", streams::MESSAGES)
            .entity("announcement")
            .column(Column::new("channel_id").to("channel").key())
            .column(Column::new("text").to("body").key())
            .column(Column::new("thread_ts"));
        compiled(announcements).check_back(&writes).expect("it sends what can be written");
    }
}

//! The ready-made mapping of messages to `communication`.

use sync_core::mapping::{Column, Mapping};

/// Messages as rows of `communication`: one row per message, replies pointing at their parent.
///
/// | field | from |
/// |---|---|
/// | `channel` | `slack` |
/// | `channel_id`, `external_id` | the channel and the message's own `ts`: the key |
/// | `thread_id` | `thread_ts`, or the own `ts` of a message without thread |
/// | `parent_id` | the parent's `ts`, for replies |
/// | `sender_id`, `sender_name` | the user or bot, resolved |
/// | `content` | `text` |
/// | `timestamp` | `ts` to the microsecond |
/// | `metadata` | `channel_id`, `reactions`, `attachments` |
#[must_use]
pub fn communication() -> Mapping {
    Mapping::new("slack-communication", "messages")
        .entity("communication")
        .column(Column::constant("slack").to("channel").key())
        .column(Column::new("channel_id").key())
        .column(Column::new("ts").to("external_id").key())
        .column(Column::first_of(["thread_ts", "ts"]).to("thread_id"))
        .column(Column::new("parent_ts").to("parent_id"))
        .column(Column::new("sender_id"))
        .column(Column::new("sender_name"))
        .column(Column::new("text").to("content"))
        .column(Column::new("ts").to("timestamp").then_with("date", serde_json::json!({ "format": "epoch" })))
        .column(Column::object([("channel_id", "channel_id"), ("reactions", "reactions"), ("attachments", "attachments")]).to("metadata"))
}

//! Slack's cursors: opaque to clients, base64 of what comes next.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::workspace::Micros;

/// One page, and the cursor of the next.
#[derive(Debug)]
pub(super) struct Page {
    records: Vec<Value>,
    next: Option<String>,
}

fn encode(next: &str) -> String {
    BASE64_STANDARD.encode(next)
}

fn decode(cursor: Option<&str>, prefix: &str) -> Result<Option<i64>, &'static str> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = BASE64_STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let number = text.as_deref().and_then(|text| text.strip_prefix(prefix)?.parse().ok());
    number.map(Some).ok_or("invalid_cursor")
}

impl Page {
    /// A page of a listing, by position.
    pub(super) fn of_list(all: Vec<Value>, cursor: Option<&str>, limit: usize) -> Result<Self, &'static str> {
        let from = decode(cursor, "item:")?.unwrap_or(0) as usize;
        let next = (from + limit < all.len()).then(|| encode(&format!("item:{}", from + limit)));
        Ok(Self { records: all.into_iter().skip(from).take(limit).collect(), next })
    }

    /// A page of a history, newest first.
    pub(super) fn of_history(newest_first: Vec<(Micros, Value)>, cursor: Option<&str>, limit: usize) -> Result<Self, &'static str> {
        let from = decode(cursor, "next_ts:")?;
        let rest: Vec<_> = newest_first.into_iter().filter(|(ts, _)| from.is_none_or(|from| ts.0 <= from)).collect();
        let next = rest.get(limit).map(|(ts, _)| encode(&format!("next_ts:{}", ts.0)));
        Ok(Self { records: rest.into_iter().take(limit).map(|(_, message)| message).collect(), next })
    }

    /// A page of a thread: the parent, then replies, oldest first.
    pub(super) fn of_thread(
        parent: Value,
        replies: Vec<(Micros, Value)>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Self, &'static str> {
        let from = decode(cursor, "next_ts:")?;
        let rest: Vec<_> = replies.into_iter().filter(|(ts, _)| from.is_none_or(|from| ts.0 >= from)).collect();
        let next = rest.get(limit).map(|(ts, _)| encode(&format!("next_ts:{}", ts.0)));
        let records = std::iter::once(parent).chain(rest.into_iter().take(limit).map(|(_, message)| message)).collect();
        Ok(Self { records, next })
    }

    pub(super) fn body(self, key: &str) -> Value {
        let next = self.next.unwrap_or_default();
        json!({ key: self.records, "has_more": !next.is_empty(), "response_metadata": { "next_cursor": next } })
    }
}

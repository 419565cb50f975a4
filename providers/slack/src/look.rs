//! Looking for messages whose answer was lost.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sync_core::{Earlier, Error, ErrorKind, Found, Operation, PushBatch, PushItem, RecordId, Result, SyncContext};

use crate::{
    Settings,
    api::{Rows, SlackApi, Window},
    draft::{Draft, Place, holds},
    error::is_code,
    ts::Ts,
};

/// A post is looked for among the messages from an hour before it may have left: so much may the clocks differ.
const AROUND: Duration = Duration::from_secs(60 * 60);

/// Pages of one look, and messages of a page: as many as Slack gives.
const PAGES: (usize, u64) = (10, 999);

/// The same for apps sold outside the Marketplace, which get one page a minute.
const COMMERCIAL_PAGES: (usize, u64) = (3, 15);

/// Looks for each item of a batch.
pub(crate) async fn find(api: &SlackApi, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
    let settings = Settings::of(cx)?;
    let look = Look { api, cx, commercial: settings.commercial };
    let mut found = Vec::with_capacity(batch.items.len());
    for item in batch.items.iter() {
        found.push(look.item(item).await?);
    }
    Ok(found)
}

struct Look<'a> {
    api: &'a SlackApi,
    cx: &'a SyncContext,
    commercial: bool,
}

/// What a page showed of what is looked for.
#[derive(Debug, Default)]
struct Seen {
    hits: Vec<Ts>,
    /// Whether something was held back or could not be read, so that absence proves nothing.
    unsure: bool,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    ts: Ts,
    #[serde(default)]
    thread_ts: Option<Ts>,
    #[serde(default)]
    subtype: Option<String>,
    #[serde(default)]
    metadata: Value,
}

impl Look<'_> {
    async fn item(&self, item: &PushItem) -> Result<Found> {
        let looked = match (&item.id, item.operation) {
            (Some(id), Operation::Delete) => match Place::of(id) {
                Ok(place) => self.message(&place, id).await,
                Err(_) => Ok(Found::Nothing),
            },
            // An update says the same however often it is made.
            (Some(id), _) => Ok(Found::Other { id: id.clone(), version: None }),
            (None, Operation::Delete) => Ok(Found::Nothing),
            (None, _) => match Draft::of(&item.fields) {
                Ok(draft) => match draft.channel() {
                    Ok(channel) => self.marker(channel, draft.thread(), item).await,
                    Err(_) => Ok(Found::Nothing),
                },
                // It cannot have been sent.
                Err(_) => Ok(Found::Nothing),
            },
        };
        looked.or_else(|error| if is_closed(&error) { Ok(cannot_tell(&error.to_string())) } else { Err(error) })
    }

    /// Looks for a message by its marker, in its channel or thread.
    async fn marker(&self, channel: &str, thread: Option<Ts>, item: &PushItem) -> Result<Found> {
        let marker = &item.marker;
        // Of one that never left before nothing can be there, but whoever asks shall see it if it is.
        let since = if let Earlier::Unknown { since } = item.earlier { since } else { self.cx.services.now() };
        let oldest = Ts::of(since).back(AROUND);
        let (pages, limit) = if self.commercial { COMMERCIAL_PAGES } else { PAGES };
        let (mut hits, mut unsure, mut cursor) = (BTreeSet::new(), false, None::<String>);
        let mut covered = false;
        for _ in 0..pages {
            // Slack's clock may be ahead of ours: nothing is too new.
            let window = Window { channel, thread, oldest: Some(oldest), latest: None, limit, cursor: cursor.as_deref(), metadata: true };
            let leads = thread.filter(|_| cursor.is_none());
            let seen = match self.page(window, leads, |message| holds(&message.metadata, marker)).await {
                Ok(seen) => seen,
                // A thread in which a reply stands is there, whatever became of its parent.
                Err(error) if is_code(&error, "thread_not_found") && hits.is_empty() => return Ok(Found::Nothing),
                Err(error) if hits.is_empty() => return Err(error),
                // What was found is there; the rest could only show that it is there twice.
                Err(_) => break,
            };
            hits.extend(seen.hits);
            unsure |= seen.unsure;
            cursor = seen.next;
            if cursor.is_none() {
                covered = !unsure;
                break;
            }
        }
        match (hits.len(), hits.first()) {
            (0, _) if covered => Ok(Found::Nothing),
            (1, Some(ts)) => Ok(Found::Sent { id: Place { channel: channel.to_owned(), ts: *ts }.id(), version: None }),
            (0, _) => Ok(cannot_tell("the messages since it left are too many, or not all of them are shown")),
            (many, _) => Ok(Found::Several(u32::try_from(many).unwrap_or(u32::MAX))),
        }
    }

    /// Looks whether a message is still there: in its channel, else as a reply.
    async fn message(&self, place: &Place, id: &RecordId) -> Result<Found> {
        let at = Some(place.ts);
        let there = |message: &Message| message.ts == place.ts && message.subtype.as_deref() != Some("tombstone");
        let window = |thread| Window {
            channel: &place.channel,
            thread,
            oldest: at,
            latest: at,
            limit: if thread.is_some() { 2 } else { 1 },
            cursor: None,
            metadata: false,
        };
        let in_channel = self.page(window(None), None, there).await?;
        let seen = if in_channel.hits.is_empty() {
            match self.page(window(at), None, there).await {
                Err(error) if is_code(&error, "thread_not_found") => Seen::default(),
                seen => seen?,
            }
        } else {
            in_channel
        };
        Ok(match seen {
            seen if !seen.hits.is_empty() => Found::Sent { id: id.clone(), version: None },
            seen if seen.unsure => cannot_tell("Slack does not show all messages of the channel"),
            _ => Found::Nothing,
        })
    }

    /// Reads a page; it has to begin with `leads`.
    async fn page(&self, window: Window<'_>, leads: Option<Ts>, is_it: impl Fn(&Message) -> bool + Send + Sync) -> Result<Seen> {
        let read = |_: &Bytes, rows: Rows<'_>| Ok(seen(&rows, leads, &is_it));
        self.api.messages(self.cx, window, self.commercial, read).await
    }
}

/// What a page shows. That of a thread begins with its parent; asked with the `ts` of a reply, Slack may show that one alone.
fn seen(rows: &Rows<'_>, leads: Option<Ts>, is_it: &impl Fn(&Message) -> bool) -> Seen {
    let mut seen = Seen { hits: Vec::new(), unsure: rows.hidden, next: rows.next.clone() };
    let read = |row: &&RawValue| serde_json::from_str::<Message>(row.get()).ok();
    let messages: Vec<Option<Message>> = rows.rows.iter().map(read).collect();
    if let Some(parent) = leads {
        let is_parent = |message: &Message| message.ts == parent && message.thread_ts.is_none_or(|thread| thread == parent);
        seen.unsure |= !messages.first().and_then(Option::as_ref).is_some_and(is_parent);
    }
    seen.unsure |= messages.iter().any(Option::is_none);
    seen.hits.extend(messages.iter().flatten().filter(|message| is_it(message)).map(|message| message.ts));
    seen
}

/// Whether the account may not read where it would have to look.
fn is_closed(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound)
}

fn cannot_tell(reason: &str) -> Found {
    tracing::warn!(reason, "whether a message was posted cannot be told; look for it in the channel");
    Found::CannotTell
}

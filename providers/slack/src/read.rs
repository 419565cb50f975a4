//! Reading page by page.

use sync_core::{Error, Next, PageToken, PullPage, PullRequest, RecordBatch, Result, SyncContext};
use sync_http::Answer;

use crate::{
    Settings,
    api::{Listing, SlackApi, Window},
    map::{self, Found, Seen},
    people::People,
    position::{self, Position},
    ts::Ts,
};

/// A page of channels or users: a complete listing once its cursor ends.
pub(crate) fn listing(answer: Answer, operation: &'static str) -> Result<PullPage> {
    let page: Listing<'_> = answer.json(operation)?;
    let mut out = PullPage::new(RecordBatch::over(answer.body.clone())?);
    for raw in &page.records {
        if let Err(failure) = map::object(&mut out.batch, raw) {
            out.failures.push(failure);
        }
    }
    out.next = page.next().map_or(Next::End { complete: true }, |cursor| Next::Page(PageToken::from(cursor)));
    Ok(out)
}

/// The next page of a channel's messages. History comes newest first, so a position may be stored only with the last page; replies
/// are not part of it, so each page is followed by the threads it showed whose newest reply is inside the window.
pub(crate) async fn messages(api: &SlackApi, people: &People, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
    let settings = Settings::of(cx)?;
    let mut at = match &request.after {
        Some(token) => Position::of(token)?,
        None => begin(request)?,
    };
    let channel = request.partition.id.as_str();
    let latest = at.latest.clone();
    let oldest = at.oldest.clone();
    let limit = u64::from(settings.page_size).min(request.limit.unwrap_or(u64::MAX)).max(1);
    let thread = at.threads.first().cloned();
    let cursor = if thread.is_some() { at.thread_cursor.take() } else { at.history_cursor.take() };
    let window = Window { channel, oldest: oldest.as_deref(), latest: &latest, limit, cursor: cursor.as_deref() };
    let (answer, operation) = match &thread {
        Some(parent) => (api.replies(cx, parent, window).await?, "slack.conversations.replies"),
        None => (api.history(cx, window).await?, "slack.conversations.history"),
    };
    let page: Listing<'_> = answer.json(operation)?;
    let next = page.next().map(str::to_owned);
    let names = people.names(api, cx, &map::senders(&page.records)).await?;
    let found =
        Found { channel, channel_name: request.partition.title.as_deref().map(|title| title.trim_start_matches('#')), names: &names };
    let mut out = PullPage::new(RecordBatch::over(answer.body.clone())?);
    let since = oldest.as_deref().and_then(Ts::parse);
    for raw in &page.records {
        if thread.as_deref().is_some_and(|parent| is(raw.get(), parent)) {
            continue; // the parent comes first on each page of its thread; the history had it
        }
        match map::message(&mut out.batch, raw, found) {
            Ok(Seen { ts, latest_reply }) => {
                at.saw(ts);
                let moved = latest_reply.is_some_and(|reply| since.is_none_or(|since| reply >= since));
                if thread.is_none() && moved && settings.replies {
                    at.threads.push(ts.text());
                }
            }
            Err(failure) => out.failures.push(failure),
        }
    }
    match thread {
        Some(_) if next.is_some() => at.thread_cursor = next,
        Some(_) => drop(at.threads.remove(0)),
        None => at.history_cursor = next,
    }
    if at.is_end() {
        // Without replies, or from a cursor on, not everything there is was shown.
        out.next = Next::End { complete: request.cursor.is_none() && settings.replies };
        let before = request.cursor.as_ref().map(position::newest).transpose()?;
        out.cursor = at.newest().max(before).map(position::cursor);
    } else {
        out.next = Next::Page(at.token());
    }
    Ok(out)
}

fn begin(request: &PullRequest) -> Result<Position> {
    let oldest = request.cursor.as_ref().map(|cursor| position::newest(cursor)).transpose()?;
    let oldest = oldest.map(|newest| newest.before(request.look_back).text());
    Ok(Position { oldest, latest: Ts::of(request.until).text(), ..Position::default() })
}

fn is(message: &str, ts: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Only<'a> {
        #[serde(borrow)]
        ts: std::borrow::Cow<'a, str>,
    }
    serde_json::from_str::<Only<'_>>(message).is_ok_and(|message| message.ts == ts)
}

/// The token of a listing as Slack's own cursor.
pub(crate) fn cursor_of(request: &PullRequest) -> Option<&str> {
    request.after.as_ref().map(PageToken::as_str)
}

/// A stream by its name.
pub(crate) fn unknown(stream: &str) -> Error {
    Error::config("slack.pull", format!("there is no stream {stream:?}; there are: channels, messages, users"))
}

//! One page of a stream: which call to make, and what its answer means for the scan.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    Error, Next, Partition, Partitions, PullPage, PullRequest, RecordBatch, RecordFailure, Result, SyncContext, policy::LoopGuard,
};

use crate::{
    Settings,
    api::{self, Channel, Listing, Rows, SlackApi, Window},
    cursor::{self, ListScan, Scan},
    error::is_code,
    map::{self, Found, Place},
    people::People,
    streams,
};

/// Names of channels that a message lists at most.
const SHOWN: usize = 40;

/// What a partition remembers of its channel.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    account: Box<str>,
    name: Option<Box<str>>,
}

/// A page of channels or users.
pub(crate) async fn listing(api: &SlackApi, cx: &SyncContext, request: &PullRequest, listing: Listing) -> Result<PullPage> {
    let settings = Settings::of(cx)?;
    let mut scan = ListScan::of(request)?;
    let declared = match listing {
        Listing::Channels => streams::CHANNEL_FIELDS,
        Listing::Users => streams::USER_FIELDS,
    };
    let read = |body: &Bytes, page: Rows<'_>| Ok((map::listed(body, &page.rows, declared)?, page.next));
    let (mut page, next) = api.list(cx, listing, &settings, scan.next.as_deref(), read).await?;
    scan.unseen |= page.unseen;
    scan.next = next;
    page.next = if scan.next.is_some() { Next::Page(scan.token()) } else { Next::End { complete: !scan.unseen } };
    Ok(page)
}

/// The channels whose messages are read.
pub(crate) async fn channels(api: &SlackApi, cx: &SyncContext) -> Result<Partitions> {
    let settings = Settings::of(cx)?;
    let account = api.identity(cx).await?.team_id;
    let (mut all, mut complete) = (Vec::new(), true);
    let (mut next, mut guard, mut seen) = (None::<String>, LoopGuard::default(), HashSet::new());
    loop {
        let read = |_: &Bytes, page: Rows<'_>| {
            let read = |row: &&RawValue| serde_json::from_str::<Channel>(row.get());
            let channels: Vec<Channel> = page.rows.iter().filter_map(|row| read(row).ok()).collect();
            Ok((page.rows.len() == channels.len(), channels, page.next))
        };
        let (readable, channels, after) = api.list(cx, Listing::Channels, &settings, next.as_deref(), read).await?;
        complete &= readable;
        let rows = channels.len();
        // A listing that shifts while it is read shows a channel twice.
        all.extend(channels.into_iter().filter(|channel| seen.insert(channel.id.clone())));
        let Some(after) = after else { break };
        guard.check(&Next::Page(after.as_str().into()), rows)?;
        next = Some(after);
    }
    let listed = all.len();
    let chosen = choose(all, &settings)?;
    // A channel that is listed and not read is still there, with its messages: only when each one is read, a missing one is gone.
    complete &= chosen.len() == listed;
    let list = chosen.into_iter().map(|channel| partition(channel, &account)).collect();
    Ok(Partitions { list, complete })
}

/// The channels to read, among all there are. Those asked for by name are read even when they are archived.
fn choose(all: Vec<Channel>, settings: &Settings) -> Result<Vec<Channel>> {
    if settings.channels.is_empty() {
        let wanted = |channel: &Channel| channel.is_member() && (settings.include_archived || !channel.is_archived);
        return Ok(all.into_iter().filter(wanted).collect());
    }
    let is = |channel: &Channel, wanted: &str| *channel.id == *wanted || channel.name.as_deref() == Some(wanted);
    let missing: Vec<&str> =
        settings.channels.iter().map(String::as_str).filter(|wanted| !all.iter().any(|channel| is(channel, wanted))).collect();
    if missing.is_empty() {
        return Ok(all.into_iter().filter(|channel| settings.channels.iter().any(|wanted| is(channel, wanted))).collect());
    }
    let mut names: Vec<String> =
        all.iter().map(|channel| channel.name.as_ref().map_or(channel.id.to_string(), |name| format!("#{name}"))).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let text = format!(
        "`channels` names {}, which this app does not see among its conversations of type {}; there are {}{more}. A private channel is \
         seen once the app is invited",
        missing.join(", "),
        settings.types(),
        names.join(", "),
    );
    Err(Error::config("slack.partitions", text))
}

fn partition(channel: Channel, account: &str) -> Partition {
    let about = About { account: account.into(), name: channel.name.clone() };
    let mut partition = Partition::new(&*channel.id);
    partition.title = channel.name.map(|name| format!("#{name}").into());
    partition.settings = Some(serde_json::to_string(&about).expect("two texts are JSON").into());
    partition
}

/// A page of a channel's messages: one of its history, or one of a thread that the last page of it showed.
pub(crate) async fn messages(api: &SlackApi, people: &People, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
    let settings = Settings::of(cx)?;
    let about: About = request
        .partition
        .settings
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| Error::config("slack.pull", "the partition is none of those that `partitions` lists; ask it for them"))?;
    let mut scan = Scan::of(request)?;
    let circle = people.of(cx);
    circle.list(api, cx, &settings).await?;

    let thread = scan.threads.front().copied();
    let name_of = |id: &str| circle.name(id);
    let channel = request.partition.id.as_str();
    let place =
        Place { account: &about.account, channel, channel_name: about.name.as_deref(), thread, oldest: scan.oldest, name_of: &name_of };
    let limit = u64::from(settings.page_size()).min(request.limit.unwrap_or(u64::MAX)).max(1);
    let window = Window {
        channel,
        thread,
        oldest: scan.oldest,
        latest: Some(scan.latest),
        // a thread's parent leads each of its pages
        limit: if thread.is_some() { limit.max(2) } else { limit },
        cursor: scan.page(),
        metadata: false,
    };
    let mut read = |body: &Bytes, rows: Rows<'_>| Ok((map::messages(body, &rows, &place)?, rows.next, Bytes::clone(body)));
    let (found, next) = match api.messages(cx, window, settings.commercial, &mut read).await {
        Ok((found, next, _)) if found.strangers.is_empty() => (found, next),
        Ok((found, next, body)) => {
            circle.ask(api, cx, &found.strangers).await?;
            (api::reread(body, read)?.0, next)
        }
        Err(error) if thread.is_some() && is_code(&error, "thread_not_found") => (vanished()?, None),
        Err(error) => return Err(error.at("channel", about.name.as_deref().unwrap_or(channel))),
    };
    let Found { mut page, threads, highest, .. } = found;
    let threads = if settings.replies { threads } else { Vec::new() };
    scan.advance(next, threads, highest, page.unseen);
    if scan.is_done() {
        // Without its replies a channel is not complete, and what was read again proves nothing about what was not.
        page.next = Next::End { complete: scan.oldest.is_none() && settings.replies && !scan.unseen };
        page.cursor = scan.high.map(cursor::cursor);
    } else {
        page.next = Next::Page(scan.token());
    }
    Ok(page)
}

/// A thread that was deleted, parent and all, between the page that showed it and its own.
fn vanished() -> Result<Found> {
    let mut page = PullPage::new(RecordBatch::over(Bytes::new())?);
    page.unseen = true;
    page.failures.push(RecordFailure::warning("a thread was deleted while the channel was read; what is gone shows at the next full pull"));
    Ok(Found { page, threads: Vec::new(), highest: None, strangers: BTreeSet::new() })
}

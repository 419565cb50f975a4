//! The calls that are made, and what they answer.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sync_core::{Delivery, Error, ErrorKind, Quota, Result, SyncContext};
use sync_http::{Answer, Api, HeaderMap, Request, StatusCode};

use crate::{Settings, ts::Ts};

const AUTH_TEST: Method = Method("slack.auth.test", "auth.test");
const LIST: Method = Method("slack.conversations.list", "conversations.list");
const HISTORY: Method = Method("slack.conversations.history", "conversations.history");
const REPLIES: Method = Method("slack.conversations.replies", "conversations.replies");
const USERS: Method = Method("slack.users.list", "users.list");
const USER: Method = Method("slack.users.info", "users.info");

pub(crate) const POST: Method = Method("slack.chat.postMessage", "chat.postMessage");
pub(crate) const UPDATE: Method = Method("slack.chat.update", "chat.update");
pub(crate) const DELETE: Method = Method("slack.chat.delete", "chat.delete");

const COMMERCIAL_HISTORY: &str = "conversations.history.commercial";
const COMMERCIAL_REPLIES: &str = "conversations.replies.commercial";

/// What calls of the host's own draw from, of methods that are not listed here.
pub(crate) const OTHERS: &str = "other methods";

/// Rows asked for in one call of a listing, as Slack advises.
const LISTED: u16 = 200;

/// How long a write may take.
pub(crate) const LONGEST_WRITE: Duration = Duration::from_secs(30);

/// Without the charset Slack remarks on it with every answer.
const JSON: &str = "application/json; charset=utf-8";

/// 999 messages full of blocks and attachments.
const MAX_BODY: usize = 64 << 20;

/// A method: its name for logs and errors, and its path. The path is its quota's name too: Slack counts calls by method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method(pub(crate) &'static str, &'static str);

const fn per_minute(bucket: &'static str, units: u32) -> Quota {
    Quota { bucket, units, per: Duration::from_secs(60) }
}

/// What Slack grants an app in one workspace: tiers 2, 3 and 4, and what apps sold outside the Marketplace get of tier 3; tier 2 for
/// methods that only a host calls, since most have that or more. Posts are
/// counted by channel, one a second; kept for all channels together, no channel ever gets more.
pub(crate) const QUOTAS: &[Quota] = &[
    per_minute(AUTH_TEST.1, 100),
    per_minute(LIST.1, 20),
    per_minute(HISTORY.1, 50),
    per_minute(REPLIES.1, 50),
    per_minute(USERS.1, 20),
    per_minute(USER.1, 100),
    Quota { bucket: POST.1, units: 1, per: Duration::from_secs(1) },
    per_minute(UPDATE.1, 50),
    per_minute(DELETE.1, 50),
    per_minute(COMMERCIAL_HISTORY, 1),
    per_minute(COMMERCIAL_REPLIES, 1),
    per_minute(OTHERS, 20),
];

/// What a call of this path draws from.
pub(crate) fn bucket(path: &str, commercial: bool) -> &'static str {
    match QUOTAS.iter().map(|quota| quota.bucket).find(|bucket| *bucket == path) {
        Some(bucket) if bucket == HISTORY.1 && commercial => COMMERCIAL_HISTORY,
        Some(bucket) if bucket == REPLIES.1 && commercial => COMMERCIAL_REPLIES,
        Some(bucket) => bucket,
        None => OTHERS,
    }
}

/// Whose token it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Identity {
    /// The workspace, or the organisation of a token that is good for all of its workspaces.
    pub(crate) team_id: Box<str>,
    pub(crate) team: Option<Box<str>>,
}

/// Where the next page begins. An absent, null or empty cursor ends a listing; nothing else does.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    next_cursor: Option<String>,
}

fn following(metadata: Option<Metadata>) -> Option<String> {
    metadata.unwrap_or_default().next_cursor.filter(|cursor| !cursor.is_empty())
}

/// A page of a listing; the rows lie in the answer's body.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) rows: Vec<&'a RawValue>,
    pub(crate) next: Option<String>,
    /// Whether Slack holds back older ones, as it does on its free plan.
    pub(crate) hidden: bool,
}

#[derive(Debug, Deserialize)]
struct Channels<'a> {
    #[serde(borrow)]
    channels: Vec<&'a RawValue>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    members: Vec<&'a RawValue>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    is_limited: bool,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

/// The listings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    Channels,
    Users,
}

impl Listing {
    fn method(self) -> Method {
        match self {
            Self::Channels => LIST,
            Self::Users => USERS,
        }
    }

    fn read(self, answer: &Answer) -> Result<Rows<'_>> {
        let (rows, metadata) = match self {
            Self::Channels => {
                let page: Channels<'_> = answer.json(LIST.0)?;
                (page.channels, page.response_metadata)
            }
            Self::Users => {
                let page: Members<'_> = answer.json(USERS.0)?;
                (page.members, page.response_metadata)
            }
        };
        Ok(Rows { rows, next: following(metadata), hidden: false })
    }
}

/// Reads a page of messages. One that says there is more but not where would end the scan with a hole behind it.
fn messages<'a>(answer: &'a Answer, operation: &'static str) -> Result<Rows<'a>> {
    let page: Messages<'_> = answer.json(operation)?;
    let next = following(page.response_metadata);
    if page.has_more && next.is_none() {
        return Err(Error::new(ErrorKind::Decode, operation, "the answer says that there is more, but not where"));
    }
    Ok(Rows { rows: page.messages, next, hidden: page.is_limited })
}

/// Reads a page of messages once more, now that more is known.
pub(crate) fn reread<T>(body: Bytes, take: impl FnOnce(&Bytes, Rows<'_>) -> Result<T>) -> Result<T> {
    let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body };
    take(&answer.body, messages(&answer, HISTORY.0)?)
}

/// A conversation, as far as it decides what is read.
#[derive(Debug, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: Box<str>,
    /// Direct messages have none.
    #[serde(default)]
    pub(crate) name: Option<Box<str>>,
    #[serde(default)]
    is_member: Option<bool>,
    #[serde(default)]
    is_im: bool,
    #[serde(default)]
    is_mpim: bool,
    #[serde(default)]
    pub(crate) is_archived: bool,
}

impl Channel {
    /// Whether its messages can be read. Of direct messages only one's own are listed.
    pub(crate) fn is_member(&self) -> bool {
        self.is_member.unwrap_or(self.is_im || self.is_mpim)
    }
}

/// A person, as far as the name goes.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Box<str>,
    #[serde(default)]
    name: Option<Box<str>>,
    #[serde(default)]
    real_name: Option<Box<str>>,
    #[serde(default)]
    profile: Option<Profile>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    #[serde(default)]
    display_name: Option<Box<str>>,
    #[serde(default)]
    real_name: Option<Box<str>>,
}

impl User {
    /// The name as Slack shows it: the one chosen for display, else the full one, else the account's.
    pub(crate) fn shown(self) -> Option<Box<str>> {
        let (display, real) = self.profile.map_or((None, None), |profile| (profile.display_name, profile.real_name));
        [display, real, self.real_name, self.name].into_iter().flatten().find(|name| !name.trim().is_empty())
    }
}

#[derive(Debug, Deserialize)]
struct Info {
    user: User,
}

/// Which messages a call asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) channel: &'a str,
    /// The parent of the thread to read; without one the channel itself is read.
    pub(crate) thread: Option<Ts>,
    pub(crate) oldest: Option<Ts>,
    /// The last moment of the window; without one it reaches to the newest message.
    pub(crate) latest: Option<Ts>,
    pub(crate) limit: u64,
    pub(crate) cursor: Option<&'a str>,
    /// Whether messages come with their metadata.
    pub(crate) metadata: bool,
}

/// Where a message was posted or changed.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    /// Its id, even where the call named the channel otherwise.
    pub(crate) channel: Box<str>,
    pub(crate) ts: Ts,
}

/// The Web API as far as it is used.
#[derive(Clone, Debug)]
pub(crate) struct SlackApi(pub(crate) Api);

impl SlackApi {
    /// Whose token it is.
    pub(crate) async fn identity(&self, cx: &SyncContext) -> Result<Identity> {
        self.0.fetch(cx, read(&AUTH_TEST), |answer| answer.json(AUTH_TEST.0)).await
    }

    /// A page of a listing. `take` gets the body and the rows, which lie in it.
    pub(crate) async fn list<T, F>(
        &self,
        cx: &SyncContext,
        listing: Listing,
        settings: &Settings,
        cursor: Option<&str>,
        mut take: F,
    ) -> Result<T>
    where
        T: Send,
        F: FnMut(&Bytes, Rows<'_>) -> Result<T> + Send,
    {
        let mut request = read(&listing.method()).query("limit", LISTED);
        if listing == Listing::Channels {
            // What is archived is there all the same: left out here it would look as if it were gone.
            request = request.query("types", settings.types()).query("exclude_archived", false);
        }
        if let Some(cursor) = cursor {
            request = request.query("cursor", cursor);
        }
        self.0.fetch(cx, request, |answer| take(&answer.body, listing.read(&answer)?)).await
    }

    /// A page of a channel's history, the newest first, or of a thread, its parent first. `take` gets the body and the messages, which
    /// lie in it.
    pub(crate) async fn messages<T, F>(&self, cx: &SyncContext, window: Window<'_>, commercial: bool, mut take: F) -> Result<T>
    where
        T: Send,
        F: FnMut(&Bytes, Rows<'_>) -> Result<T> + Send,
    {
        let (method, slow) = if window.thread.is_some() { (REPLIES, COMMERCIAL_REPLIES) } else { (HISTORY, COMMERCIAL_HISTORY) };
        let mut request = read(&method)
            .query("channel", window.channel)
            .query("inclusive", true)
            .query("limit", window.limit)
            .bucket(if commercial { slow } else { method.1 })
            .max_body(MAX_BODY);
        let optional = [
            ("ts", window.thread.map(|ts| ts.to_string())),
            ("oldest", window.oldest.map(|ts| ts.to_string())),
            ("latest", window.latest.map(|ts| ts.to_string())),
            ("include_all_metadata", window.metadata.then(|| "true".to_owned())),
            ("cursor", window.cursor.map(str::to_owned)),
        ];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.query(name, value);
        }
        self.0.fetch(cx, request, |answer| take(&answer.body, messages(&answer, method.0)?)).await
    }

    /// One person.
    pub(crate) async fn user(&self, cx: &SyncContext, id: &str) -> Result<User> {
        let request = read(&USER).query("user", id);
        self.0.fetch(cx, request, |answer| answer.json::<Info>(USER.0).map(|info| info.user)).await
    }

    /// Posts, changes or deletes a message. Only what is `repeatable` is ever sent a second time after it may have arrived.
    pub(crate) async fn write(&self, cx: &SyncContext, method: Method, body: Bytes, repeatable: bool) -> Result<Written> {
        let request = Request::post(method.0, method.1).body(JSON, body).bucket(method.1).timeout(LONGEST_WRITE).repeatable(repeatable);
        // What was answered cannot be read: it may have been a success.
        let lost = |error: Error| if error.kind() == ErrorKind::Decode { error.with_delivery(Delivery::Unknown) } else { error };
        self.0.fetch(cx, request, |answer| answer.json(method.0)).await.map_err(lost)
    }
}

fn read(method: &Method) -> Request {
    Request::get(method.0, method.1).bucket(method.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn only_an_empty_cursor_ends_a_listing() {
        for (body, next) in [
            (r#"{"channels":[]}"#, None),
            (r#"{"channels":[{}],"response_metadata":null}"#, None),
            (r#"{"channels":[{}],"response_metadata":{}}"#, None),
            (r#"{"channels":[{}],"response_metadata":{"next_cursor":null}}"#, None),
            (r#"{"channels":[{}],"response_metadata":{"next_cursor":""}}"#, None),
            (r#"{"channels":[],"response_metadata":{"next_cursor":"dGVhbTpD"}}"#, Some("dGVhbTpD")),
        ] {
            assert_eq!(Listing::Channels.read(&answer(body)).expect(body).next.as_deref(), next, "{body}");
        }
    }

    #[test]
    fn an_answer_without_its_rows_is_no_empty_page() {
        let error = |read: Result<Rows<'_>>, body: &str| {
            let error = read.expect_err(body);
            assert_eq!(error.kind(), ErrorKind::Decode, "{body}: {error}");
        };
        for body in [r#"{"ok":true}"#, r#"{"ok":true,"channels":null,"members":null,"messages":null}"#, r#"{"ok":true,"items":[]}"#] {
            error(Listing::Channels.read(&answer(body)), body);
            error(Listing::Users.read(&answer(body)), body);
            error(messages(&answer(body), HISTORY.0), body);
        }
        let body = r#"{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":""}}"#;
        error(messages(&answer(body), HISTORY.0), body);
    }

    #[test]
    fn the_name_is_the_one_slack_shows() {
        for (user, shown) in [
            (r#"{"id":"U","name":"ada","real_name":"R","profile":{"display_name":"Ada","real_name":"Ada L"}}"#, Some("Ada")),
            (r#"{"id":"U","name":"ada","profile":{"display_name":"","real_name":"Ada L"}}"#, Some("Ada L")),
            (r#"{"id":"U","name":"ada","real_name":"Ada Lovelace","profile":{"display_name":" "}}"#, Some("Ada Lovelace")),
            (r#"{"id":"U","name":"ada","deleted":true}"#, Some("ada")),
            (r#"{"id":"U"}"#, None),
        ] {
            assert_eq!(serde_json::from_str::<User>(user).expect(user).shown().as_deref(), shown, "{user}");
        }
    }

    #[test]
    fn direct_messages_are_ones_own() {
        for (channel, member) in [
            (r#"{"id":"C","is_member":true}"#, true),
            (r#"{"id":"C","is_member":false}"#, false),
            (r#"{"id":"C"}"#, false),
            (r#"{"id":"D","is_im":true}"#, true),
            (r#"{"id":"G","is_mpim":true}"#, true),
        ] {
            assert_eq!(serde_json::from_str::<Channel>(channel).expect(channel).is_member(), member, "{channel}");
        }
    }
}

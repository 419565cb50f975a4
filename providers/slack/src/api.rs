//! The calls, and the parts of their answers that are looked at.

use serde::Deserialize;
use serde_json::value::RawValue;
use sync_core::{Account, Result, SyncContext};
use sync_http::{Answer, Api, Request};

/// The Web API of one workspace per call.
#[derive(Clone, Debug)]
pub(crate) struct SlackApi(pub(crate) Api);

#[derive(Debug, Deserialize)]
struct Identity {
    team: String,
    team_id: String,
}

/// A listing: its records under one key, and where the next page begins.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing<'a> {
    #[serde(borrow, alias = "channels", alias = "members", alias = "messages")]
    pub(crate) records: Vec<&'a RawValue>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    next_cursor: Option<String>,
}

impl Listing<'_> {
    /// The cursor of the next page. It alone decides the end: a page may be short, or empty.
    pub(crate) fn next(&self) -> Option<&str> {
        self.response_metadata.as_ref()?.next_cursor.as_deref().filter(|cursor| !cursor.is_empty())
    }
}

/// What is needed of a channel to read it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    /// Direct messages have none.
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) is_member: bool,
    #[serde(default)]
    pub(crate) is_im: bool,
    #[serde(default)]
    pub(crate) is_archived: bool,
}

/// What is needed of a user to name them.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    real_name: Option<String>,
    #[serde(default)]
    profile: Profile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Profile {
    display_name: String,
    real_name: String,
}

impl User {
    /// The name people see: the chosen one, else the full one, else the handle.
    pub(crate) fn shown(&self) -> &str {
        let full = self.real_name.as_deref().unwrap_or_default();
        [&self.profile.display_name, &self.profile.real_name, full, &self.name]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or(&self.id)
    }
}

#[derive(Debug, Deserialize)]
struct OneUser {
    user: User,
}

/// One page of a channel's history or of a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) channel: &'a str,
    pub(crate) oldest: Option<&'a str>,
    pub(crate) latest: &'a str,
    pub(crate) limit: u64,
    pub(crate) cursor: Option<&'a str>,
}

impl Window<'_> {
    fn of(&self, mut request: Request) -> Request {
        request = request.query("channel", self.channel).query("latest", self.latest).query("inclusive", "true").query("limit", self.limit);
        if let Some(oldest) = self.oldest {
            request = request.query("oldest", oldest);
        }
        paged(request, self.cursor)
    }
}

fn paged(request: Request, cursor: Option<&str>) -> Request {
    match cursor {
        Some(cursor) => request.query("cursor", cursor),
        None => request,
    }
}

/// Records per page of listings; Slack advises 200 and wants less than 1,000.
const LISTED: u32 = 200;

impl SlackApi {
    pub(crate) async fn identity(&self, cx: &SyncContext) -> Result<Account> {
        let request = Request::post("slack.auth.test", "auth.test").repeatable(true).bucket("auth.test");
        let read = |answer: Answer| answer.json::<Identity>("slack.auth.test");
        let identity = self.0.fetch(cx, request, read).await?;
        Ok(Account { id: identity.team_id.into(), name: Some(identity.team.into()) })
    }

    pub(crate) async fn channels(&self, cx: &SyncContext, types: &str, cursor: Option<&str>) -> Result<Answer> {
        let request = Request::get("slack.conversations.list", "conversations.list").bucket("conversations.list");
        let request = request.query("types", types).query("exclude_archived", "false").query("limit", LISTED);
        self.listing(cx, paged(request, cursor)).await
    }

    pub(crate) async fn users(&self, cx: &SyncContext, cursor: Option<&str>) -> Result<Answer> {
        let request = Request::get("slack.users.list", "users.list").bucket("users.list").query("limit", LISTED);
        self.listing(cx, paged(request, cursor)).await
    }

    pub(crate) async fn user(&self, cx: &SyncContext, id: &str) -> Result<User> {
        let request = Request::get("slack.users.info", "users.info").bucket("users.info").query("user", id);
        self.0.fetch(cx, request, |answer| answer.json::<OneUser>("slack.users.info").map(|one| one.user)).await
    }

    pub(crate) async fn history(&self, cx: &SyncContext, window: Window<'_>) -> Result<Answer> {
        let request = Request::get("slack.conversations.history", "conversations.history").bucket("conversations.history");
        self.listing(cx, window.of(request)).await
    }

    pub(crate) async fn replies(&self, cx: &SyncContext, thread: &str, window: Window<'_>) -> Result<Answer> {
        let request = Request::get("slack.conversations.replies", "conversations.replies").bucket("conversations.replies");
        self.listing(cx, window.of(request.query("ts", thread))).await
    }

    /// The answer is read once here, inside the one retry, so that an unreadable one is asked for again; callers borrow from it.
    async fn listing(&self, cx: &SyncContext, request: Request) -> Result<Answer> {
        let operation = request.operation();
        self.0.fetch(cx, request, move |answer| answer.json::<Listing<'_>>(operation).map(|_| ()).map(|()| answer)).await
    }
}

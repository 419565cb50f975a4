//! Calls of the host's own with a stored connection, for what no stream covers.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Result, SyncContext};

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Does or makes something.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One call of the host's own. It goes to the provider's own base URL alone, with the connection's token, under its quotas, with its
/// retries.
///
/// ```
/// # use sync_core::{Method, PassthroughRequest};
/// let info = PassthroughRequest::get("team.info").query("team", "T024BE7LD");
/// let topic = PassthroughRequest::new(Method::Post, "conversations.setTopic").json(&serde_json::json!({ "channel": "C1", "topic": "ship" }));
/// ```
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct PassthroughRequest {
    /// What it does.
    pub method: Method,
    /// The path below the base URL, without query: `v4/spreadsheets/1AbC`.
    pub path: Box<str>,
    /// Query parameters, unencoded.
    pub query: Vec<(Box<str>, Box<str>)>,
    /// The body's content type and text.
    pub body: Option<(Box<str>, Bytes)>,
    /// Whether a repeat cannot double what it does. `Get` is; others only when the host says so.
    pub repeatable: bool,
}

impl PassthroughRequest {
    /// A call of this method.
    pub fn new(method: Method, path: impl Into<Box<str>>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, repeatable: method == Method::Get }
    }

    /// A call that reads.
    pub fn get(path: impl Into<Box<str>>) -> Self {
        Self::new(Method::Get, path)
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(("application/json; charset=utf-8".into(), body.to_string().into()));
        self
    }

    /// Sets a body of any type.
    pub fn body(mut self, content_type: impl Into<Box<str>>, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.into(), body.into()));
        self
    }

    /// Says that a repeat cannot double what it does, so that it may be retried after an answer was lost.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// What the service answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PassthroughAnswer {
    /// The status, 200 to 299.
    pub status: u16,
    /// The content type, when there is one.
    pub content_type: Option<Box<str>>,
    /// The body as it came, with the connection's token taken out.
    pub body: Bytes,
}

impl PassthroughAnswer {
    /// An answer.
    #[must_use]
    pub fn new(status: u16, content_type: Option<Box<str>>, body: Bytes) -> Self {
        Self { status, content_type, body }
    }
}

/// Lets calls of the host's own through.
#[async_trait]
pub trait Passthrough: Debug + Send + Sync {
    /// Makes the call.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a path that leads elsewhere; whatever the service refused, as typed as for the provider's
    /// own calls.
    async fn request(&self, cx: &SyncContext, request: &PassthroughRequest) -> Result<PassthroughAnswer>;
}

const _: Option<&dyn Passthrough> = None;

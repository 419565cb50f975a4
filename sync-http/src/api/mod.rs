//! A service as providers see it: one value, one way to call.

mod builder;
mod call;
mod observe;
mod passthrough;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderValue;
use sync_core::{ConnectionId, OAuthCall, Result, Services, SyncContext, WorkspaceId, policy::RetryPolicy};
use url::Url;

pub use self::builder::ApiBuilder;
pub(crate) use self::builder::base_url as checked_url;
#[cfg(feature = "reqwest")]
pub(crate) use self::builder::is_loopback;
use crate::{Answer, Auth, Classifier, HttpTransport, Request, RetryBudget};

/// The API of one service: where it is, how it is spoken to, when a call is made again. Cheap to clone; clones share the retry budget.
///
/// It holds no credential: each attempt asks [`Services`] for the token at the moment it is sent.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    provider: &'static str,
    base_url: Url,
    /// Host and port, as quota and breaker count by it.
    host: String,
    transport: Arc<dyn HttpTransport>,
    auth: Auth,
    classifier: Classifier,
    retry: RetryPolicy,
    user_agent: HeaderValue,
    budget: Mutex<RetryBudget>,
}

/// For whom a call is made.
struct Caller<'a> {
    workspace: &'a WorkspaceId,
    /// `None` while there is none yet: no token is sent.
    connection: Option<&'a ConnectionId>,
    deadline: DateTime<Utc>,
    services: &'a dyn Services,
}

impl Api {
    /// Begins the description of a provider's service at `base_url`; paths of requests go below it.
    pub fn builder(provider: &'static str, base_url: &str) -> ApiBuilder {
        ApiBuilder::new(provider, base_url)
    }

    /// Makes a call and answers what the classifier let pass.
    ///
    /// This is the one retry of the library: leave from [`Services::permit`], a fresh token, one attempt, the classifier; then a refresh
    /// after the first refused token, and repeats by the [`RetryPolicy`] for what is temporary. A request that is not
    /// [`repeatable`](Request::repeatable) is sent again only when it surely did not take effect: it never left, or was turned away by
    /// 401 or 429. Nothing is slept past the context's deadline or the policy's.
    ///
    /// # Errors
    /// What the classifier or the transport said, with
    /// - [`Retry::After`](sync_core::Retry::After) when it is temporary and the wait is the caller's to arrange (parked),
    /// - [`Retry::GaveUp`](sync_core::Retry::GaveUp) with the number of attempts when they were used up,
    /// - [`Delivery::Unknown`](sync_core::Delivery::Unknown) and [`Retry::Never`](sync_core::Retry::Never) when a request that cannot be
    ///   repeated may have taken effect.
    ///
    /// Errors of `permit` and `token` come back as they are. No error holds the token or a [`secret`](Request::secret) of the request.
    ///
    /// # Cancellation
    /// May be dropped at any await; the permit is given back.
    pub async fn send(&self, cx: &SyncContext, request: Request) -> Result<Answer> {
        self.fetch(cx, request, Ok).await
    }

    /// Like [`send`](Self::send), with reading the answer inside the one retry: an unreadable answer
    /// ([`Decode`](sync_core::ErrorKind::Decode)) is asked for once more, counts against the service's health, and leaves a request that
    /// cannot be repeated with unknown delivery.
    ///
    /// # Errors
    /// As [`send`](Self::send), and what `read` says.
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn fetch<T, F>(&self, cx: &SyncContext, request: Request, mut read: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Answer) -> Result<T> + Send,
    {
        self.call(&Self::caller(cx), &request, |answer, _| read(answer)).await
    }

    fn caller(cx: &SyncContext) -> Caller<'_> {
        Caller { workspace: &cx.workspace, connection: Some(&cx.connection), deadline: cx.deadline, services: &*cx.services }
    }

    /// A call of the token endpoint, for an [`OAuthProvider`](sync_core::OAuthProvider): as [`send`](Self::send), but no token is asked
    /// for and none is sent. Name the client secret and the refresh token with [`Request::secret`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn send_oauth(&self, call: &OAuthCall<'_>, request: Request) -> Result<Answer> {
        self.fetch_oauth(call, request, Ok).await
    }

    /// Like [`send_oauth`](Self::send_oauth), with reading the answer inside the one retry, as [`fetch`](Self::fetch) does.
    ///
    /// # Errors
    /// As [`send`](Self::send), and what `read` says.
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn fetch_oauth<T, F>(&self, call: &OAuthCall<'_>, request: Request, mut read: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Answer) -> Result<T> + Send,
    {
        let caller = Caller {
            workspace: call.workspace,
            connection: None,
            deadline: later(call.services.now(), self.0.retry.deadline),
            services: call.services,
        };
        self.call(&caller, &request, |answer, _| read(answer)).await
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &'static str {
        self.0.provider
    }

    /// Where the service is.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.0.base_url
    }
}

/// `wait` after `now`, or the end of time.
fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("provider", &self.0.provider)
            .field("base_url", &self.0.base_url.as_str())
            .field("transport", &self.0.transport)
            .field("auth", &self.0.auth)
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}

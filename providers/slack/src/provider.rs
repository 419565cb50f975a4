//! The provider: thin, everything is done in `api`, `read` and `map`.

use std::{sync::Arc, time::Duration};

use sync_core::{
    Account, Capabilities, Descriptor, Error, Found, IntegrationSync, OAuthProvider, Partitions, Passthrough, PullPage, PullRequest,
    PushBatch, PushOutcome, Result, Stream, StreamName, SyncContext, TokenLife, async_trait,
};
use sync_http::{Api, Auth, HttpTransport};

use crate::{
    Settings,
    api::{self, Listing, SlackApi},
    config,
    error::classify,
    look,
    oauth::SlackOAuth,
    people::People,
    push, read, streams,
};

/// Slack's cursors expire, after a time it does not tell; it advises to page without pause. What was interrupted for longer begins
/// anew, which costs calls and nothing else.
const PAGE_TOKENS: TokenLife = TokenLife::Durable(Duration::from_secs(600));

/// Edits, reactions and late replies are nearly all made within a day.
const LOOK_BACK: Duration = Duration::from_secs(24 * 60 * 60);

/// The Slack provider: one value serves every connection.
///
/// ```
/// # fn main() -> sync_core::Result<()> {
/// use provider_slack::Slack;
///
/// let slack = Slack::builder().build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Slack {
    api: SlackApi,
    oauth: SlackOAuth,
    people: Arc<People>,
    descriptor: Descriptor,
}

impl Slack {
    /// Begins a provider that speaks to Slack.
    pub fn builder() -> SlackBuilder {
        SlackBuilder { base_url: "https://slack.com/api/".into(), transport: None }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api.0
    }
}

/// Describes the provider; made by [`Slack::builder`].
#[derive(Debug)]
#[must_use]
pub struct SlackBuilder {
    base_url: String,
    transport: Option<Arc<dyn HttpTransport>>,
}

impl SlackBuilder {
    /// Where the methods of the Web API are. Default `https://slack.com/api/`; plain http is allowed for loopback addresses. The page that
    /// asks people for leave is beside it, at `oauth/v2/authorize`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// What carries the requests. Default: reqwest over rustls.
    pub fn transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The provider.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) when the base URL cannot be used.
    pub fn build(self) -> Result<Slack> {
        let builder = Api::builder("slack", &self.base_url).auth(Auth::Bearer).classifier(classify);
        let builder = match &self.transport {
            Some(transport) => builder.transport(Arc::clone(transport)),
            None => builder,
        };
        let api = builder.build()?;
        let oauth = SlackOAuth::new(&self.base_url, self.transport.as_ref(), &api)?;
        Ok(Slack { api: SlackApi(api), oauth, people: Arc::default(), descriptor: descriptor() })
    }
}

fn descriptor() -> Descriptor {
    Descriptor {
        capabilities: Capabilities { pull: true, push: true, campaigns: false },
        fixed_streams: streams::NAMES,
        settings: config::DESCRIBED,
        page_tokens: PAGE_TOKENS,
        look_back: LOOK_BACK,
        quotas: api::QUOTAS,
        lanes: 4,
        push: push::LIMITS,
        ..Descriptor::new("slack", "Slack")
    }
}

fn unknown(stream: &StreamName) -> Error {
    Error::config("slack.pull", format!("there is no stream {:?}; there are {}", stream.as_str(), streams::NAMES.join(", ")))
}

/// Only messages can be written.
fn writable(stream: &StreamName, operation: &'static str) -> Result<()> {
    if stream.as_str() == streams::MESSAGES {
        return Ok(());
    }
    Err(Error::config(operation, format!("the stream {:?} cannot be written; `{}` can", stream.as_str(), streams::MESSAGES)))
}

#[async_trait]
impl IntegrationSync for Slack {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        Settings::of(cx)?;
        let identity = self.api.identity(cx).await?;
        Ok(Account { id: identity.team_id, name: identity.team })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        Ok(streams::all())
    }

    async fn partitions(&self, cx: &SyncContext, stream: &StreamName) -> Result<Partitions> {
        match stream.as_str() {
            streams::CHANNELS | streams::USERS => Ok(Partitions::whole()),
            streams::MESSAGES => read::channels(&self.api, cx).await,
            _ => Err(unknown(stream)),
        }
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        match request.stream.as_str() {
            streams::CHANNELS => read::listing(&self.api, cx, request, Listing::Channels).await,
            streams::USERS => read::listing(&self.api, cx, request, Listing::Users).await,
            streams::MESSAGES => read::messages(&self.api, &self.people, cx, request).await,
            _ => Err(unknown(&request.stream)),
        }
    }

    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        writable(&batch.stream, "slack.push")?;
        push::push(&self.api, cx, batch).await
    }

    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        writable(&batch.stream, "slack.find")?;
        look::find(&self.api, cx, batch).await
    }

    fn as_oauth(&self) -> Option<&dyn OAuthProvider> {
        Some(&self.oauth)
    }

    fn as_passthrough(&self) -> Option<&dyn Passthrough> {
        Some(self)
    }
}

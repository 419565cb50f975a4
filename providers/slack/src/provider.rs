//! The provider: thin, everything is done in `api`, `read` and `map`.

use std::{sync::Arc, time::Duration};

use sync_core::{
    Account, AuthScheme, Capabilities, Descriptor, Error, Field, FieldKind, IntegrationSync, Keywords, Partition, Partitions, PullPage,
    PullRequest, Quota, Result, Stream, StreamName, SyncContext, TokenLife, async_trait,
};
use sync_http::{Api, Auth, HttpTransport};

use crate::{
    Settings,
    api::{Channel, Listing, SlackApi},
    config,
    error::classify,
    map,
    people::People,
    read,
};

/// The tiers Slack publishes, a minute and a method: 2 is 20 or more, 3 is 50, 4 is 100.
const fn tier(bucket: &'static str, units: u32) -> Quota {
    Quota { bucket, units, per: Duration::from_secs(60) }
}

const QUOTAS: &[Quota] = &[
    tier("auth.test", 100),
    tier("conversations.list", 20),
    tier("conversations.history", 50),
    tier("conversations.replies", 50),
    tier("users.list", 20),
    tier("users.info", 100),
];

/// How long a page token is stored: it holds Slack's own cursor, of which Slack only says that it may expire.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

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
    people: Arc<People>,
    descriptor: Descriptor,
}

impl Slack {
    /// Begins a provider that speaks to Slack.
    pub fn builder() -> SlackBuilder {
        SlackBuilder { base_url: "https://slack.com/api/".into(), transport: None }
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
    /// Where the Web API is. Default `https://slack.com/api/`; plain http is allowed for loopback addresses.
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
        let builder = match self.transport {
            Some(transport) => builder.transport(transport),
            None => builder,
        };
        Ok(Slack { api: SlackApi(builder.build()?), people: Arc::default(), descriptor: descriptor() })
    }
}

fn descriptor() -> Descriptor {
    Descriptor {
        name: "slack",
        title: "Slack",
        source_type: "api",
        capabilities: Capabilities { pull: true, push: false, campaigns: false },
        auth: AuthScheme::Bearer,
        fixed_streams: &["channels", "messages", "users"],
        settings: config::DESCRIBED,
        page_tokens: TokenLife::Durable(TOKEN_LIFE),
        look_back: Duration::from_secs(24 * 60 * 60),
        quotas: QUOTAS,
        lanes: 4,
        repeatable_push: false,
        keywords: Keywords::Unsupported,
    }
}

#[async_trait]
impl IntegrationSync for Slack {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        Settings::of(cx)?;
        self.api.identity(cx).await
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        let named = |name| vec![Field::typed("id", FieldKind::Text), Field::typed(name, FieldKind::Text)];
        Ok(vec![
            Stream::full("channels").with_fields(named("name")),
            Stream::incremental("messages").with_fields(map::message_fields()),
            Stream::full("users").with_fields(named("name")),
        ])
    }

    async fn partitions(&self, cx: &SyncContext, stream: &StreamName) -> Result<Partitions> {
        if stream.as_str() != "messages" {
            return Ok(Partitions::whole());
        }
        let settings = Settings::of(cx)?;
        choose(self.channels(cx, &settings).await?, &settings)
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        match request.stream.as_str() {
            "channels" => {
                let types = Settings::of(cx)?.types.join(",");
                read::listing(self.api.channels(cx, &types, read::cursor_of(request)).await?, "slack.conversations.list")
            }
            "users" => read::listing(self.api.users(cx, read::cursor_of(request)).await?, "slack.users.list"),
            "messages" => read::messages(&self.api, &self.people, cx, request).await,
            other => Err(read::unknown(other)),
        }
    }
}

impl Slack {
    async fn channels(&self, cx: &SyncContext, settings: &Settings) -> Result<Vec<Channel>> {
        let types = settings.types.join(",");
        let (mut channels, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let answer = self.api.channels(cx, &types, cursor.as_deref()).await?;
            let page: Listing<'_> = answer.json("slack.conversations.list")?;
            for raw in &page.records {
                let channel = serde_json::from_str::<Channel>(raw.get());
                channels.push(channel.map_err(|e| {
                    Error::new(sync_core::ErrorKind::Decode, "slack.conversations.list", "a channel without id").because(e)
                })?);
            }
            let next = page.next().map(str::to_owned);
            if next.is_none() {
                return Ok(channels);
            }
            if next == cursor {
                return Err(Error::new(sync_core::ErrorKind::Decode, "slack.conversations.list", "the listing goes round in circles"));
            }
            cursor = next;
        }
    }
}

/// The channels to read, among all there are. A channel that is not read may still be there: only when every one is, a missing one is
/// gone.
fn choose(all: Vec<Channel>, settings: &Settings) -> Result<Partitions> {
    let matches = |channel: &Channel, wanted: &str| channel.id == wanted || channel.name.as_deref() == Some(wanted.trim_start_matches('#'));
    if let Some(missing) = settings.channels.iter().find(|wanted| !all.iter().any(|channel| matches(channel, wanted))) {
        let known = all.iter().map(|channel| channel.name.as_deref().unwrap_or(&channel.id)).collect::<Vec<_>>().join(", ");
        return Err(Error::config("slack.messages", format!("there is no channel {missing:?} this app can see; it sees: {known}")));
    }
    let total = all.len();
    let wanted = |channel: &Channel| match settings.channels.as_slice() {
        [] => channel.is_member || channel.is_im,
        chosen => chosen.iter().any(|wanted| matches(channel, wanted)),
    };
    let list: Vec<Partition> = all
        .into_iter()
        .filter(|channel| wanted(channel) && (settings.include_archived || !channel.is_archived))
        .map(|channel| {
            let mut partition = Partition::new(channel.id);
            partition.title = channel.name.map(|name| format!("#{name}").into());
            partition
        })
        .collect();
    let complete = list.len() == total;
    Ok(Partitions { list, complete })
}

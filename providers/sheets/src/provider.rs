//! The provider: thin, everything is done in `api`, `read` and `map`.

use std::{sync::Arc, time::Duration};

use sync_core::{
    Account, Capabilities, Descriptor, Duplicates, Found, IntegrationSync, Method, OAuthProvider, Partitions, Passthrough,
    PassthroughAnswer, PassthroughRequest, PullPage, PullRequest, PushBatch, PushLimits, PushMode, PushOutcome, Quota, Result, Stream,
    StreamName, SyncContext, Writes, async_trait,
};
use sync_http::{Api, Auth, HttpTransport, StandardOAuth};

use crate::{
    Settings, a1,
    api::{self, SheetsApi},
    config,
    error::classify,
    header::Header,
    oauth,
    push::{self, Writers},
    read,
};

/// What Google publishes: 60 reads and 60 writes a minute for one user, below 300 for a project. A batch counts once.
const QUOTAS: &[Quota] = &[
    Quota { bucket: api::READ, units: 60, per: Duration::from_secs(60) },
    Quota { bucket: api::WRITE, units: 60, per: Duration::from_secs(60) },
];

/// Each batch reads the key columns again, so few large ones cost least. A mebibyte of fields is less than that in cells, and five thousand
/// rows of a usual sheet stay below the 2 MB Google recommends for one request, with the nulls between their cells. New rows and
/// deletes cannot be repeated, and rows move under a second writer.
const PUSH: PushLimits = PushLimits {
    items: 5_000,
    bytes: 1 << 20,
    lanes: 1,
    one_writer: true,
    repeatable: false,
    in_flight: api::TIMEOUT,
    modes: &[PushMode::Upsert, PushMode::Insert, PushMode::Update, PushMode::Mirror],
};

/// The Google Sheets provider: one value serves every connection.
///
/// ```
/// # fn main() -> sync_core::Result<()> {
/// use provider_sheets::Sheets;
///
/// let sheets = Sheets::builder().build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sheets {
    api: SheetsApi,
    oauth: StandardOAuth,
    writers: Arc<Writers>,
    descriptor: Descriptor,
}

impl Sheets {
    /// Begins a provider that speaks to Google.
    pub fn builder() -> SheetsBuilder {
        SheetsBuilder { base_url: "https://sheets.googleapis.com/".into(), oauth_url: None, transport: None }
    }
}

/// Describes the provider; made by [`Sheets::builder`].
#[derive(Debug)]
#[must_use]
pub struct SheetsBuilder {
    base_url: String,
    oauth_url: Option<String>,
    transport: Option<Arc<dyn HttpTransport>>,
}

impl SheetsBuilder {
    /// Where the Sheets API is. Default `https://sheets.googleapis.com/`; plain http is allowed for loopback addresses.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Where what stands in for Google's authorization server is: its `o/oauth2/v2/auth`, `token` and `revoke`. Default: Google's own
    /// addresses; plain http is allowed for loopback addresses.
    pub fn oauth_url(mut self, url: impl Into<String>) -> Self {
        self.oauth_url = Some(url.into());
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
    /// [`Config`](sync_core::ErrorKind::Config) when a URL cannot be used.
    pub fn build(self) -> Result<Sheets> {
        let builder = Api::builder("sheets", &self.base_url).auth(Auth::Bearer).classifier(classify);
        let builder = match &self.transport {
            Some(transport) => builder.transport(Arc::clone(transport)),
            None => builder,
        };
        let oauth = oauth::google(self.oauth_url.as_deref(), self.transport.as_ref())?;
        Ok(Sheets { api: SheetsApi(builder.build()?), oauth, writers: Arc::default(), descriptor: descriptor() })
    }
}

fn descriptor() -> Descriptor {
    Descriptor {
        source_type: "google_sheet",
        capabilities: Capabilities { pull: true, push: true, campaigns: false },
        settings: config::DESCRIBED,
        quotas: QUOTAS,
        lanes: 4,
        push: PUSH,
        ..Descriptor::new("sheets", "Google Sheets")
    }
}

#[async_trait]
impl IntegrationSync for Sheets {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        let settings = Settings::of(cx)?;
        let spreadsheet = self.api.spreadsheet(cx, &settings.spreadsheet_id).await?;
        Ok(Account { id: spreadsheet.spreadsheet_id.into(), name: Some(spreadsheet.properties.title.into()) })
    }

    async fn streams(&self, cx: &SyncContext) -> Result<Vec<Stream>> {
        let settings = Settings::of(cx)?;
        let spreadsheet = self.api.spreadsheet(cx, &settings.spreadsheet_id).await?;
        let row = u64::from(settings.header_row);
        let mut streams = Vec::new();
        // Which of the streams a range belongs to: tabs that end above the header row have none.
        let (mut ranges, mut owners) = (Vec::new(), Vec::new());
        for (tab, grid) in spreadsheet.tabs().filter_map(|tab| Some((tab, tab.grid()?))) {
            if grid.row_count >= row && grid.column_count > 0 {
                ranges.push(a1::rows(&tab.title, row, row, grid.column_count));
                owners.push(streams.len());
            }
            let key: Arc<[Box<str>]> = settings.key(&tab.title, &[]).into();
            streams.push(Stream { duplicates: Duplicates::FirstWins, needs_key: key.is_empty(), key, ..Stream::full(tab.title.as_str()) });
        }
        let mut owners = owners.into_iter();
        for call in api::calls(&ranges) {
            let read = |_: &_, ranges: Vec<api::Rows<'_>>| Ok(ranges.iter().map(|rows| Header::read(rows.first()?)).collect::<Vec<_>>());
            let headers = self.api.values(cx, &settings.spreadsheet_id, call, read).await?;
            for (header, owner) in headers.into_iter().zip(&mut owners) {
                let stream: &mut Stream = &mut streams[owner];
                stream.fingerprint = header.as_ref().map(|header| header.fingerprint().into());
                if let Some(header) = &header {
                    stream.writes = Writes::Fields(header.names().iter().map(|name| name.as_str().into()).collect());
                }
                stream.fields = header.map(|header| header.fields().into());
            }
        }
        Ok(streams)
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        read::page(&self.api, cx, request).await
    }

    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        push::push(&self.api, &self.writers, cx, batch).await
    }

    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        push::find(&self.api, &self.writers, cx, batch).await
    }

    fn as_oauth(&self) -> Option<&dyn OAuthProvider> {
        Some(&self.oauth)
    }

    fn as_passthrough(&self) -> Option<&dyn Passthrough> {
        Some(self)
    }
}

#[async_trait]
impl Passthrough for Sheets {
    async fn request(&self, cx: &SyncContext, request: &PassthroughRequest) -> Result<PassthroughAnswer> {
        const OPERATION: &str = "sheets.request";
        if request.method == Method::Get {
            return self.api.0.passthrough(cx, OPERATION, api::READ, request).await;
        }
        // It may move rows, so it waits for a push that is under way.
        let settings = Settings::of(cx)?;
        let _turn = self.writers.turn(&settings.spreadsheet_id).await;
        self.api.0.passthrough(cx, OPERATION, api::WRITE, request).await
    }
}

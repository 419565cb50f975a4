//! The library on the same work: a provider of the Mailchimp shape, the engine, and one SQLite file or one database of PostgreSQL.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use storage_postgres::PostgresStorage;
use syncline::{
    Credentials, Keyring, Pull, RunFilter, SqliteStorage, Syncline,
    core::{
        Account, AuthScheme, Capabilities, Cursor, Descriptor, Error, ErrorKind, IntegrationSync, Next, Operation, Partitions, PullPage,
        PullRequest, RecordBatch, Result, Stream, StreamName, SyncContext, TokenLife, async_trait, store::Storage,
    },
    http::{Api, Auth, Request, offset_after, offset_next},
};

use super::{
    mapped,
    measure::{Sample, Stopwatch},
    server::ServerStopwatch,
};

const PAGE: u64 = 1_000;

/// Members of list `x`, in pages by offset, since the greatest `last_changed` seen.
#[derive(Debug)]
struct Members {
    api: Api,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    members: Vec<&'a RawValue>,
    total_items: u64,
}

impl Members {
    fn new(api: &str) -> Result<Self> {
        let descriptor = Descriptor {
            capabilities: Capabilities { pull: true, ..Capabilities::default() },
            auth: AuthScheme::None,
            fixed_streams: &["members"],
            page_tokens: TokenLife::Durable(Duration::from_secs(600)),
            lanes: 4,
            ..Descriptor::new("members", "Members")
        };
        Ok(Self { api: Api::builder("members", api).auth(Auth::None).build()?, descriptor })
    }
}

#[async_trait]
impl IntegrationSync for Members {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, _: &SyncContext) -> Result<Account> {
        Ok(Account { id: "x".into(), name: None })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        Ok(vec![Stream::incremental("members")])
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        let offset = offset_after(request.after.as_ref())?;
        let since = request.cursor.as_ref().map(|cursor| &*cursor.state);
        let mut call = Request::get("members.list", "3.0/lists/x/members").query("count", PAGE).query("offset", offset);
        if let Some(since) = since {
            call = call.query("since_last_changed", since);
        }
        let answer = self.api.send(cx, call).await?;
        let page: Page<'_> = answer.json("members.list")?;
        let mut latest = since.unwrap_or_default().to_owned();
        let batch = batch(&answer.body, &page, |changed| {
            if changed > latest {
                latest = changed;
            }
        })?;
        let (got, total) = (batch.len() as u64, page.total_items);
        let mut answer = PullPage::new(batch);
        answer.next = match offset_next(offset, got, Some(total), PAGE) {
            Some(token) => Next::Page(token),
            None => Next::End { complete: since.is_none() },
        };
        // Rows are not in the order of their changes, so the position holds only once all of them were seen.
        answer.cursor = matches!(answer.next, Next::End { .. }).then(|| Cursor::new(1, latest));
        Ok(answer)
    }
}

/// The records of a page; tells when each was last changed.
fn batch(body: &Bytes, page: &Page<'_>, mut changed: impl FnMut(String)) -> Result<RecordBatch> {
    let mut batch = RecordBatch::over(body.clone())?;
    for raw in &page.members {
        let mut record = batch.record();
        record.object(raw)?;
        let text = |name| record.cell(name).map(|json| json.trim_matches('"').to_owned());
        let (Some(id), Some(last_changed)) = (text("id"), text("last_changed")) else {
            return Err(Error::new(ErrorKind::Decode, "members.list", "a member without id or last_changed"));
        };
        changed(last_changed);
        record.finish(id, Operation::Upsert, None);
    }
    Ok(batch)
}

/// The records of one page's text, as a pull of it has them.
pub(crate) fn records(body: &Bytes) -> RecordBatch {
    let page: Page<'_> = serde_json::from_slice(body).expect("a page of members");
    batch(body, &page, drop).expect("a page of members")
}

/// What a run shall do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) lineage: bool,
    pub(crate) full: bool,
    pub(crate) work: Work,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A pull into the stream's own table.
    Pull,
    /// A pull by the [mapping](mapped::mapping).
    Mapped,
    /// A plan of a pull.
    Plan,
    /// Taking back the last run.
    Undo,
}

/// The mode `ours`: reads the members from `api` into `database`, from the first request to the end of the run.
pub(crate) fn run(api: &str, database: &Path, options: Options) -> Sample {
    runtime().block_on(async {
        let storage = SqliteStorage::open(database).await.expect("the database opens");
        let watch = async || Stopwatch::start();
        pull(api, storage, options, watch, async |watch, records| watch.stop(records, || 0)).await
    })
}

/// The mode `ours-postgres`: the same into the database at `url`, with row security as it is by default.
pub(crate) fn run_on_postgres(api: &str, url: &str, options: Options) -> Sample {
    runtime().block_on(async {
        let storage = PostgresStorage::connect(url).await.expect("the database opens");
        let watch = async || ServerStopwatch::start(url).await;
        pull(api, storage, options, watch, ServerStopwatch::stop).await
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

async fn pull<W>(
    api: &str,
    storage: impl Storage,
    options: Options,
    start: impl AsyncFnOnce() -> W,
    stop: impl AsyncFnOnce(W, u64) -> Sample,
) -> Sample {
    let syncline = Syncline::builder()
        .storage(storage)
        // Always the same key: a database knows which keys it was used with.
        .keyring(Keyring::parse("bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a key is well formed"))
        .provider(Members::new(api).expect("the address is well formed"))
        .build()
        .await
        .expect("storage, keyring and provider are there");
    let workspace = syncline.workspace("bench");
    // Connecting again heals the same account, with a key of this process.
    let connection = workspace.connect("members", Credentials::api_key("none")).await.expect("nothing is asked of it");
    let (mut pull, table) = match options.work {
        Work::Mapped => (Pull::mapped(mapped::mapping()), "member"),
        Work::Pull | Work::Plan | Work::Undo => (Pull::stream("members"), "members_members"),
    };
    pull = pull.safety_lag(Duration::ZERO);
    if options.full {
        pull = pull.full();
    }
    if !options.lineage {
        pull = pull.without_lineage();
    }
    let last = workspace.runs(RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs can be listed");
    let watch = start().await;
    let result = match options.work {
        Work::Pull | Work::Mapped => connection.sync_from_external(pull).await.expect("the run starts"),
        Work::Undo => connection.undo(last[0].id, "bench").await.expect("the run can be taken back"),
        Work::Plan => {
            let plan = connection.plan(pull).await.expect("the pull can be planned").plan;
            let mut sample = stop(watch, plan.counts.read).await;
            sample.rows = workspace.count(table).await.expect("the table can be counted");
            return sample;
        }
    };
    assert!(result.success() && result.counts.failed == 0, "{:?}", result.errors);
    let mut sample = stop(watch, result.counts.read).await;
    sample.rows = workspace.count(table).await.expect("the table can be counted");
    sample
}

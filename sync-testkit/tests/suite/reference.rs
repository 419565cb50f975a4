//! A provider that does everything right, and on request one thing wrong.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use sync_core::{
    Account, Capabilities, Cursor, Descriptor, Error, ErrorKind, ExposeSecret, Field, FieldKind, Found, IntegrationSync, Next, Operation,
    PageToken, Partitions, Passthrough, PassthroughAnswer, PassthroughRequest, PullPage, PullRequest, PushBatch, PushLimits, PushMode,
    PushOutcome, Quota, RecordBatch, RecordFailure, Result, Stream, StreamName, SyncContext, Writes, async_trait, policy::RetryPolicy,
};
use sync_http::{Answer, Api, HttpTransport, Limits, Request, classify_status};
use sync_testkit::Simulation;

use crate::{depot::Depot, planted::Planted, writing};

/// What kind of service it speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// The service gives ids; a create carries a marker by which it is found.
    Ids,
    /// Items are named by their name; writing one again changes nothing.
    Keyed,
    /// Items can be added and nothing else.
    Blind,
    /// Items can be read and nothing else.
    ReadOnly,
}

const QUOTAS: &[Quota] = &[Quota { bucket: "requests", units: 600, per: std::time::Duration::from_secs(60) }];
const BASE: &str = "https://api.depot.example/";

#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) api: Api,
    pub(crate) style: Style,
    planted: Option<Planted>,
    descriptors: [Descriptor; 2],
    transport: Arc<dyn HttpTransport>,
    asked: AtomicUsize,
    busy: AtomicBool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[expect(dead_code, reason = "required, and nothing depends on which one it is")]
    depot: String,
    #[serde(default)]
    page: Option<u64>,
}

#[derive(Deserialize)]
struct Lenient {
    #[serde(default)]
    depot: Value,
    #[serde(default)]
    page: Value,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    more: Option<String>,
}

impl Reference {
    pub(crate) fn new(simulation: &Simulation<Depot>, style: Style, planted: Option<Planted>) -> Self {
        let is = |fault| planted == Some(fault);
        let retry = match planted {
            Some(Planted::TriesTooOften) => RetryPolicy { max_retries: 9, ..RetryPolicy::default() },
            Some(Planted::NeverTriesAgain) => RetryPolicy::never(),
            Some(Planted::SleepsForHours) => RetryPolicy { deadline: std::time::Duration::from_secs(1 << 20), ..RetryPolicy::default() },
            _ => RetryPolicy::default(),
        };
        let classifier = match planted {
            Some(Planted::TakesRefusalsForTrouble) => refusals_are_trouble,
            Some(Planted::TakesGoneForMissing) => classify_plainly,
            Some(Planted::WaitsOneSecond) => one_second,
            Some(Planted::TakesUnauthorisedForForbidden) => unauthorised_is_forbidden,
            _ => classify,
        };
        let transport = simulation.transport();
        let api = Api::builder("depot", BASE).transport(Arc::clone(&transport)).retry(retry).classifier(classifier);
        let push = PushLimits {
            items: if style == Style::Blind { 1 } else { 3 },
            repeatable: style == Style::Keyed,
            modes: if style == Style::Blind { &[PushMode::Insert] } else { PushLimits::default().modes },
            ..PushLimits::default()
        };
        let descriptor = Descriptor {
            capabilities: Capabilities { pull: true, push: style != Style::ReadOnly, campaigns: false },
            fixed_streams: &["items"],
            settings: &[("depot", "which depot"), ("page", "items on one page")],
            quotas: QUOTAS,
            push,
            ..Descriptor::new(if is(Planted::SpacedName) { "The Depot" } else { "depot" }, if is(Planted::NoTitle) { " " } else { "Depot" })
        };
        let other = if is(Planted::DescriptorMoves) { Descriptor { lanes: 3, ..descriptor.clone() } } else { descriptor.clone() };
        let api = api.build().expect("a valid base URL");
        Self { api, style, planted, descriptors: [descriptor, other], transport, asked: AtomicUsize::new(0), busy: AtomicBool::new(false) }
    }

    pub(crate) fn is(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    fn settings(&self, cx: &SyncContext) -> Result<Settings> {
        let lenient: Lenient = serde_json::from_str(cx.settings.get()).expect("an object");
        let depot = lenient.depot.as_str().map(str::to_owned);
        match self.planted {
            Some(Planted::ForgetsRequiredSetting) if lenient.depot.is_null() => {
                Ok(Settings { depot: "north".into(), page: lenient.page.as_u64() })
            }
            Some(Planted::TakesAnySetting) if cx.settings.get().contains("no_such") => {
                Ok(Settings { depot: depot.unwrap_or_default(), page: lenient.page.as_u64() })
            }
            Some(Planted::GuessesWrongSettings) if !lenient.depot.is_null() && !cx.settings.get().contains("no_such") => {
                Ok(Settings { depot: "north".into(), page: lenient.page.as_u64() })
            }
            _ => serde_json::from_str(cx.settings.get()).map_err(|problem| {
                let text = problem.to_string();
                // serde names what is missing or unknown; of a wrong type it says only where
                let named = match (&lenient.page, &lenient.depot) {
                    (Value::String(_), _) => "`page`",
                    (_, Value::Number(_)) => "`depot`",
                    _ => "",
                };
                Error::config("depot.settings", format!("the settings do not fit: {named} {text}"))
            }),
        }
    }

    /// A call past everything a call owes to `Services`.
    pub(crate) async fn raw(&self, cx: &SyncContext, method: &str, path: &str, body: Bytes) -> Result<Answer> {
        let token = cx.services.token(&cx.connection, None).await?;
        let request = http::Request::builder().method(method).uri(format!("{BASE}{path}"));
        let request = request.header("authorization", format!("Bearer {}", token.secret.expose_secret())).body(body).expect("a request");
        let limits = Limits { timeout: std::time::Duration::from_secs(30), max_body: 1 << 20 };
        let response = self.transport.send(request, limits).await.map_err(|e| Error::new(ErrorKind::Transport, "raw", e.to_string()))?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn page(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        let page = self.settings(cx)?.page.unwrap_or(100);
        let count = if self.is(Planted::IgnoresLimit) { page } else { page.min(request.limit.unwrap_or(u64::MAX)) };
        let bucket = if self.is(Planted::DrawsElsewhere) { "other" } else { "requests" };
        let mut call = Request::get("depot.items.list", "items").query("count", count).bucket(bucket);
        let cursor = request.cursor.as_ref().filter(|_| !self.is(Planted::IgnoresCursor));
        if let Some(cursor) = cursor {
            if cursor.version != 1 && !self.is(Planted::TakesAnyCursor) {
                return Err(Error::new(ErrorKind::CursorExpired, "depot.pull", "the cursor has another form"));
            }
            call = call.query("since", &cursor.state);
        }
        if let Some(after) = &request.after {
            call = call.query("after", after.as_str());
        }
        let read = |answer: Answer| {
            let cut = if self.is(Planted::EmptyForUnreadable) && answer.json::<Items<'_>>("depot").is_err() {
                Answer { body: Bytes::from_static(br#"{"items":[]}"#), ..answer }
            } else {
                answer
            };
            self.records(&cut, request)
        };
        let (mut out, more) = match self.api.fetch(cx, call, read).await {
            Err(error) if self.is(Planted::SwallowsLaterFailures) && request.after.is_some() => {
                drop(error);
                let mut page = PullPage::new(RecordBatch::default());
                page.next = Next::End { complete: true };
                return Ok(page);
            }
            other => other?,
        };
        let limited = request.limit.is_some_and(|limit| limit < page) && more.is_some();
        let complete = match self.planted {
            Some(Planted::NeverComplete) => false,
            Some(Planted::AlwaysComplete) => true,
            Some(Planted::CompleteDespiteLimit) => request.cursor.is_none(),
            _ => request.cursor.is_none() && !limited,
        };
        out.next = match more {
            Some(token) if !limited => Next::Page(PageToken::from(token)),
            _ => Next::End { complete },
        };
        Ok(out)
    }

    fn records(&self, answer: &Answer, request: &PullRequest) -> Result<(PullPage, Option<String>)> {
        let items: Items<'_> = answer.json("depot.items.list")?;
        if self.is(Planted::RefusesEmpty) && items.items.is_empty() {
            return Err(Error::new(ErrorKind::Decode, "depot.items.list", "there are no items"));
        }
        let mut out = PullPage::new(RecordBatch::over(answer.body.clone())?);
        let mut newest = request.cursor.as_ref().and_then(|cursor| cursor.state.parse::<u64>().ok());
        for raw in &items.items {
            let mut record = out.batch.record();
            record.object(raw)?;
            let text = |name| record.cell(name).and_then(sync_core::key_text).map(std::borrow::Cow::into_owned);
            let deleted = record.cell("deleted").is_some();
            match (text("id"), text("changed").and_then(|at| at.parse::<u64>().ok())) {
                (Some(id), Some(changed)) => {
                    newest = newest.max(Some(changed));
                    if !(deleted && self.is(Planted::ForgetsDeletes)) {
                        record.finish(id, if deleted { Operation::Delete } else { Operation::Upsert }, None);
                    }
                }
                (id, _) => {
                    drop(record);
                    if self.is(Planted::StopsAtUnreadable) {
                        return Err(Error::new(ErrorKind::Decode, "depot.items.list", "an item without id"));
                    }
                    out.unseen = true;
                    let failure = RecordFailure::error("an item without id or position");
                    out.failures.push(id.into_iter().fold(failure, |failure, id| failure.of_record(id)));
                }
            }
        }
        if self.is(Planted::JumpsAhead) && request.cursor.is_some() && items.items.len() <= 1 {
            newest = Some(u64::MAX / 2);
        }
        out.cursor = newest.map(|newest| {
            let state = if self.is(Planted::FloatsCursors) { format!("{:.0}", newest as f64) } else { newest.to_string() };
            Cursor::new(1, state)
        });
        Ok((out, items.more))
    }
}

/// The one place where this service's answers become errors.
fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    if answer.status.as_u16() == 410 {
        return Err(Error::new(ErrorKind::CursorExpired, operation, "the position is too old"));
    }
    classify_plainly(operation, answer)
}

fn classify_plainly(operation: &'static str, answer: &Answer) -> Result<()> {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
    }
    let words = answer.json::<Problem>(operation).ok().map(|problem| problem.error);
    classify_status(operation, answer, words.as_deref())
}

fn refusals_are_trouble(operation: &'static str, answer: &Answer) -> Result<()> {
    match answer.status.as_u16() {
        400 | 403 | 404 => {
            let trouble = Error::new(ErrorKind::Transport, operation, "trouble");
            Err(trouble.with_retry(sync_core::Retry::After(None)).with_delivery(sync_core::Delivery::Unknown))
        }
        _ => classify(operation, answer),
    }
}

fn one_second(operation: &'static str, answer: &Answer) -> Result<()> {
    let wait = sync_core::Retry::After(Some(std::time::Duration::from_secs(1)));
    classify(operation, answer).map_err(|error| if error.kind() == ErrorKind::RateLimited { error.with_retry(wait) } else { error })
}

fn unauthorised_is_forbidden(operation: &'static str, answer: &Answer) -> Result<()> {
    if answer.status.as_u16() == 401 {
        return Err(Error::new(ErrorKind::Forbidden, operation, "not allowed"));
    }
    classify(operation, answer)
}

#[async_trait]
impl IntegrationSync for Reference {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptors[usize::from(self.asked.load(Ordering::Relaxed) > 0)]
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        #[derive(Deserialize)]
        struct Whose {
            id: Box<str>,
            name: Box<str>,
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.settings(cx)?;
        if self.is(Planted::ValidatesByWriting) {
            let probe = serde_json::json!({ "name": "probe", "amount": 1 });
            self.api.send(cx, Request::post("depot.items.create", "items").json(&probe)).await?;
        }
        if self.is(Planted::ValidatesWithoutAsking) {
            return Ok(Account { id: "d1".into(), name: None });
        }
        let whose: Whose = self.api.send(cx, Request::get("depot.account", "account")).await?.json("depot.account")?;
        Ok(Account { id: whose.id, name: Some(whose.name) })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        let fields = vec![Field::typed("name", FieldKind::Text), Field::typed("amount", FieldKind::Integer)];
        let stream = Stream::incremental("items").with_fields(fields);
        let mut streams = vec![match self.style {
            Style::ReadOnly => stream,
            _ => stream.writable(Writes::Fields(Arc::from(["name".into(), "amount".into()]))),
        }];
        if self.is(Planted::StreamsDiffer) && self.asked.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            streams.push(Stream::full("more"));
        }
        Ok(streams)
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        let mut partitions = Partitions::whole();
        if self.is(Planted::PartitionsDiffer) {
            partitions.list[0].title = Some(self.asked.fetch_add(1, Ordering::Relaxed).to_string().into());
        }
        Ok(partitions)
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        if request.stream.as_str() != "items" {
            if self.is(Planted::EmptyForUnknownStream) {
                return Ok(PullPage::new(RecordBatch::default()));
            }
            return Err(Error::config("depot.pull", format!("there is no stream {:?}; there is \"items\"", request.stream)));
        }
        if self.is(Planted::StaysBusy) && self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Conflict, "depot.pull", "another read is under way"));
        }
        let late;
        let cx = if self.is(Planted::SleepsForHours) {
            late = SyncContext { deadline: cx.deadline + chrono::TimeDelta::days(3), ..cx.clone() };
            &late
        } else {
            cx
        };
        let ended = self.page(cx, request).await;
        self.busy.store(false, Ordering::SeqCst);
        let token = async || cx.services.token(&cx.connection, None).await.map(|token| token.secret.expose_secret().to_owned());
        match self.planted {
            Some(Planted::TokenInErrors) => match ended {
                Err(error) => Err(error.at("token", token().await.unwrap_or_default())),
                fine => fine,
            },
            Some(Planted::TokenInLogs) => {
                let token = token().await?;
                tracing::debug!(header = %token, "read a page");
                ended
            }
            Some(Planted::CallsWithoutPermit) => {
                let page = ended?;
                self.raw(cx, "GET", "account", Bytes::new()).await?;
                Ok(page)
            }
            Some(Planted::IgnoresRefusedPermit) => match ended {
                Err(error) if error.kind() == ErrorKind::CircuitOpen => {
                    let answer = self.raw(cx, "GET", "items?count=100", Bytes::new()).await?;
                    self.records(&answer, request).map(|(page, _)| page)
                }
                other => other,
            },
            Some(Planted::DropsPermits) => {
                let site = sync_core::CallSite {
                    workspace: &cx.workspace,
                    connection: Some(&cx.connection),
                    host: "api.depot.example",
                    bucket: "requests",
                    cost: 1,
                };
                drop(cx.services.permit(&site, cx.deadline).await?);
                ended
            }
            Some(Planted::LosesTheLast) => {
                let page = ended?;
                let mut kept = PullPage::new(RecordBatch::default());
                (kept.next, kept.cursor) = (page.next.clone(), page.cursor.clone());
                let last = page.batch.len() == 3;
                for record in page.batch.records().iter().take(page.batch.len() - usize::from(last)) {
                    kept.batch.record().finish(record.id.clone(), record.operation, None);
                }
                Ok(kept)
            }
            Some(Planted::PagesDiffer) => {
                let mut page = ended?;
                page.skipped = self.asked.fetch_add(1, Ordering::Relaxed) as u64;
                Ok(page)
            }
            _ => ended,
        }
    }

    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        if self.style == Style::ReadOnly {
            return if self.is(Planted::SwallowsPushes) { Ok(Vec::new()) } else { Err(Error::unsupported("push")) };
        }
        writing::push(self, cx, batch).await
    }

    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        writing::find(self, cx, batch).await
    }

    fn as_passthrough(&self) -> Option<&dyn Passthrough> {
        Some(self)
    }
}

#[async_trait]
impl Passthrough for Reference {
    async fn request(&self, cx: &SyncContext, request: &PassthroughRequest) -> Result<PassthroughAnswer> {
        if self.is(Planted::PassesAnywhere)
            && let Some(rest) = request.path.strip_prefix("https://evil.example")
        {
            let call = http::Request::builder().uri(format!("https://evil.example{rest}")).body(Bytes::new()).expect("a request");
            let limits = Limits { timeout: std::time::Duration::from_secs(30), max_body: 1 << 20 };
            let _ = self.transport.send(call, limits).await;
        }
        let method = request.method.as_str().parse().expect("a method");
        let mut call = Request::new(method, "depot.passthrough", &*request.path).repeatable(request.repeatable);
        for (name, value) in &request.query {
            call = call.query(name, value);
        }
        if self.is(Planted::PassesTwice) {
            call = call.repeatable(true);
        }
        let answer = self.api.send(cx, call).await?;
        Ok(PassthroughAnswer::new(answer.status.as_u16(), None, answer.body))
    }
}

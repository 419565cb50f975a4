//! A provider written outside of this workspace, with the public interface alone: the trait from the core, transport and retry from the
//! HTTP kit, the simulated service from the testkit.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json, value::RawValue};
use syncline::{
    ErrorKind,
    core::{
        Account, Capabilities, Cursor, Delivery, Descriptor, Error, Field, FieldKind, Found, IntegrationSync, Next, Operation, PageToken,
        Partitions, PullPage, PullRequest, PushBatch, PushItem, PushLimits, PushMode, PushOutcome, Quota, RecordBatch, RecordFailure,
        RecordId, Result, Retry, Stream, StreamName, SyncContext, Writes, async_trait,
    },
    http::{Answer, Api, Auth, HttpTransport, Request, classify_status, segment},
    testkit::{SimAnswer, SimRequest, Simulator},
};

const QUOTAS: &[Quota] = &[Quota { bucket: "requests", units: 600, per: Duration::from_secs(60) }];

/// Books of a library, oldest change first.
#[derive(Debug)]
pub(crate) struct Library {
    api: Api,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(deserialize_with = "books_on_a_page")]
    page: u32,
}

/// Names the setting that is wrong; serde names only those that are missing or unknown.
fn books_on_a_page<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    u32::deserialize(from).map_err(|problem| D::Error::custom(format!("`page`: {problem}")))
}

impl Default for Settings {
    fn default() -> Self {
        Self { page: 3 }
    }
}

#[derive(Deserialize)]
struct Shelf<'a> {
    #[serde(borrow)]
    books: Vec<&'a RawValue>,
    more: Option<String>,
}

impl Library {
    pub(crate) fn new(transport: Arc<dyn HttpTransport>) -> Result<Self> {
        Ok(Self {
            api: Api::builder("library", "https://api.library.example/v1/")
                .transport(transport)
                .auth(Auth::Bearer)
                .classifier(classify)
                .build()?,
            descriptor: Descriptor {
                capabilities: Capabilities { pull: true, push: true, ..Capabilities::default() },
                push: PushLimits { items: 20, ..PushLimits::default() },
                fixed_streams: &["books"],
                settings: &[("page", "books in one answer")],
                quotas: QUOTAS,
                ..Descriptor::new("library", "Town Library")
            },
        })
    }
}

/// This service answers 200 whatever happens, with a code of its own inside.
fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    #[derive(Deserialize)]
    struct Problem {
        fault: Option<String>,
    }
    classify_status(operation, answer, None)?;
    let problem: Problem = answer.json(operation)?;
    let (kind, retry, text) = match problem.fault.as_deref() {
        None => return Ok(()),
        Some("CARD_LOST") => (ErrorKind::AuthRevoked, Retry::Never, "the library card was reported lost"),
        Some("CARD_UNKNOWN") => (ErrorKind::Auth, Retry::Never, "the library does not know this card"),
        Some("INVENTORY") => (ErrorKind::Transport, Retry::After(None), "the shelves are being counted"),
        Some("BOOK_GONE") => (ErrorKind::NotFound, Retry::Never, "the library has no such book"),
        Some("BOOKMARK_OLD") => (ErrorKind::CursorExpired, Retry::Never, "the bookmark is too old"),
        Some(_) => (ErrorKind::Invalid, Retry::Never, "the library refused"),
    };
    Err(Error::new(kind, operation, text).with_retry(retry))
}

#[async_trait]
impl IntegrationSync for Library {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, cx: &SyncContext) -> Result<Account> {
        #[derive(Deserialize)]
        struct Card {
            number: Box<str>,
            holder: Box<str>,
        }
        cx.settings::<Settings>()?;
        let card: Card = self.api.send(cx, Request::get("library.card", "card")).await?.json("library.card")?;
        Ok(Account { id: card.number, name: Some(card.holder) })
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        let fields = vec![
            Field::typed("title", FieldKind::Text).labelled("Title"),
            Field::typed("pages", FieldKind::Integer),
            Field::typed("changed", FieldKind::Timestamp),
        ];
        let writes = Writes::Fields(["title", "pages"].map(Box::from).into());
        Ok(vec![Stream::incremental("books").with_fields(fields).writable(writes)])
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        let settings: Settings = cx.settings()?;
        if request.stream.as_str() != "books" {
            return Err(Error::config("library.pull", format!("there is no stream {:?}; there is \"books\"", request.stream)));
        }
        if request.cursor.as_ref().is_some_and(|cursor| cursor.version != 1) {
            return Err(Error::new(ErrorKind::CursorExpired, "library.pull", "the bookmark has a form of another version"));
        }
        let count = request.limit.unwrap_or(u64::MAX).min(u64::from(settings.page));
        let mut call = Request::get("library.books", "books").query("count", count);
        if let Some(cursor) = &request.cursor {
            call = call.query("since", &cursor.state);
        }
        if let Some(after) = &request.after {
            call = call.query("after", after.as_str());
        }
        let limited = request.limit.is_some_and(|limit| limit < u64::from(settings.page));
        self.api.fetch(cx, call, |answer| page(&answer, request, limited)).await
    }

    async fn push(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<PushOutcome>> {
        if batch.stream.as_str() != "books" {
            return Err(Error::config("library.push", format!("there is no stream {:?}; there is \"books\"", batch.stream)));
        }
        let mut outcomes = Vec::new();
        for item in batch.items.iter() {
            outcomes.push(self.write(cx, batch.mode, item).await.map_err(unread).unwrap_or_else(PushOutcome::of));
        }
        Ok(outcomes)
    }

    async fn find(&self, cx: &SyncContext, batch: &PushBatch) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for item in batch.items.iter() {
            all.push(self.look(cx, item).await?);
        }
        Ok(all)
    }
}

#[derive(Deserialize)]
struct Written {
    isbn: String,
}

impl Library {
    /// The library gives a new book its number, and keeps the marker on its card.
    async fn write(&self, cx: &SyncContext, mode: PushMode, item: &PushItem) -> Result<PushOutcome> {
        let path = |id: &RecordId| format!("books/{}", segment(id.as_str()));
        match (&item.id, item.operation, mode) {
            (Some(id), Operation::Delete, _) => match self.api.send(cx, Request::delete("library.remove", path(id))).await {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(PushOutcome::deleted(id.clone())),
            },
            (None, Operation::Delete, _) => Ok(PushOutcome::Skipped("the library never had it")),
            (Some(_), _, PushMode::Insert) => Ok(PushOutcome::Skipped("the library has it")),
            (None, _, PushMode::Update) => Ok(PushOutcome::Skipped("the library does not have it")),
            (Some(id), ..) => {
                let call = Request::put("library.change", path(id)).json(&fields(item)?);
                self.api.fetch(cx, call, |answer| answer.json::<Written>("library.change")).await?;
                Ok(PushOutcome::updated(id.clone()))
            }
            (None, ..) => {
                let mut card = fields(item)?;
                card["marker"] = item.marker.as_str().into();
                let call = Request::post("library.enter", "books").json(&card);
                let written: Written = self.api.fetch(cx, call, |answer| answer.json("library.enter")).await?;
                Ok(PushOutcome::created(written.isbn))
            }
        }
    }

    async fn look(&self, cx: &SyncContext, item: &PushItem) -> Result<Found> {
        #[derive(Deserialize)]
        struct Marked {
            books: Vec<Value>,
        }
        // A delete is looked for by what it is to remove.
        let call = match (item.operation, &item.id) {
            (Operation::Delete, Some(id)) => Request::get("library.marked", "marked").query("isbn", id),
            _ => Request::get("library.marked", "marked").query("marker", &item.marker),
        };
        let marked: Marked = self.api.fetch(cx, call, |answer| answer.json("library.marked")).await?;
        let isbn = |book: &Value| RecordId::from(book["isbn"].as_str().unwrap_or_default());
        Ok(match &marked.books[..] {
            [] => Found::Nothing,
            [book] => Found::Sent { id: isbn(book), version: None },
            several => Found::Several(u32::try_from(several.len()).unwrap_or(u32::MAX)),
        })
    }
}

/// A write was answered, but nobody can read with what: it may have been made.
fn unread(error: Error) -> Error {
    if error.kind() == ErrorKind::Decode { error.with_delivery(Delivery::Unknown) } else { error }
}

fn fields(item: &PushItem) -> Result<Value> {
    let refused = |text: String| Error::new(ErrorKind::Invalid, "library.push", text);
    let fields: Value = serde_json::from_slice(&item.fields).map_err(|e| refused("the record is no JSON".into()).because(e))?;
    let names = fields.as_object().ok_or_else(|| refused("the record is no object".into()))?.keys();
    match names.into_iter().find(|name| !["title", "pages"].contains(&name.as_str())) {
        Some(foreign) => Err(refused(format!("{foreign:?} cannot be written; \"title\" and \"pages\" can"))),
        None => Ok(fields),
    }
}

fn page(answer: &Answer, request: &PullRequest, limited: bool) -> Result<PullPage> {
    let shelf: Shelf<'_> = answer.json("library.books")?;
    let mut out = PullPage::new(RecordBatch::over(answer.body.clone())?);
    let mut newest = request.cursor.as_ref().map(|cursor| cursor.state.to_string());
    for raw in &shelf.books {
        let mut record = out.batch.record();
        record.object(raw)?;
        let text = |name| record.cell(name).and_then(syncline::core::key_text).map(std::borrow::Cow::into_owned);
        match (text("isbn"), text("changed")) {
            (Some(isbn), Some(changed)) => {
                newest = newest.max(Some(changed));
                record.finish(isbn, Operation::Upsert, None);
            }
            (isbn, _) => {
                drop(record);
                let failure = RecordFailure::error("a book without isbn or date of change");
                out.failures.push(isbn.into_iter().fold(failure, |failure, isbn| failure.of_record(isbn)));
            }
        }
    }
    out.next = match shelf.more {
        Some(_) if limited => Next::End { complete: false },
        Some(token) => Next::Page(PageToken::from(token)),
        None => Next::End { complete: request.cursor.is_none() },
    };
    out.cursor = newest.map(|newest| Cursor::new(1, newest));
    Ok(out)
}

/// The service itself.
#[derive(Debug)]
pub(crate) struct Desk {
    books: Mutex<Vec<Value>>,
    card: String,
    pub(crate) card_lost: AtomicBool,
    made: AtomicUsize,
}

impl Desk {
    /// A library that knows this card.
    pub(crate) fn new(card: &str) -> Self {
        Self { books: Mutex::default(), card: card.to_owned(), card_lost: AtomicBool::new(false), made: AtomicUsize::new(0) }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Vec<Value>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a book in with a number of its own.
    fn enter(&self, mut card: Value, now: String) -> String {
        let isbn = format!("979-{}", self.made.fetch_add(1, Ordering::SeqCst));
        (card["isbn"], card["changed"]) = (isbn.clone().into(), now.into());
        self.books().push(card);
        isbn
    }
}

fn fault(code: &str) -> SimAnswer {
    SimAnswer::json(200, json!({ "fault": code }))
}

impl Simulator for Desk {
    fn operation(&self, request: &SimRequest) -> &'static str {
        match (request.method.as_str(), request.path.rsplit('/').next().unwrap_or_default()) {
            (_, "card") => "library.card",
            (_, "marked") => "library.marked",
            ("POST", _) => "library.enter",
            ("PUT", _) => "library.change",
            ("DELETE", _) => "library.remove",
            _ => "library.books",
        }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        if self.card_lost.load(Ordering::SeqCst) {
            return fault("CARD_LOST");
        }
        if request.bearer() != Some(&self.card) {
            return fault("CARD_UNKNOWN");
        }
        let now = request.now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let isbn = request.path.rsplit('/').next().unwrap_or_default();
        let operation = self.operation(request);
        let body = request.json().unwrap_or_default();
        if matches!(operation, "library.enter" | "library.change") && body["title"].as_str().is_none_or(str::is_empty) {
            return fault("NO_TITLE");
        }
        if operation == "library.enter" {
            return SimAnswer::json(200, json!({ "isbn": self.enter(body, now) }));
        }
        let mut books = self.books();
        let at = books.iter().position(|book| book["isbn"] == isbn);
        match (operation, at) {
            ("library.card", _) => SimAnswer::json(200, json!({ "number": "7", "holder": "Ada" })),
            ("library.marked", _) => {
                let is = |book: &Value, name: &str| request.query(name).is_none_or(|wanted| book[name] == wanted);
                let marked: Vec<_> = books.iter().filter(|book| is(book, "marker") && is(book, "isbn")).collect();
                SimAnswer::json(200, json!({ "books": marked }))
            }
            ("library.change" | "library.remove", None) => fault("BOOK_GONE"),
            ("library.change", Some(at)) => {
                (books[at]["title"], books[at]["pages"], books[at]["changed"]) = (body["title"].clone(), body["pages"].clone(), now.into());
                SimAnswer::json(200, json!({ "isbn": isbn }))
            }
            ("library.remove", Some(at)) => {
                books.remove(at);
                SimAnswer::json(200, json!({ "isbn": isbn }))
            }
            _ => {
                let since = request.query("since").unwrap_or_default();
                let books: Vec<_> = books.iter().filter(|book| book["changed"].as_str().unwrap_or("~") >= since).collect();
                let number = |name, otherwise| request.query(name).map_or(otherwise, |text| text.parse::<usize>().unwrap_or(otherwise));
                let (from, count) = (number("after", 0), number("count", 100));
                let to = (from + count).min(books.len());
                SimAnswer::json(200, json!({ "books": books[from..to], "more": (to < books.len()).then(|| to.to_string()) }))
            }
        }
    }
}

pub(crate) fn book(n: usize, pages: u64) -> Value {
    json!({ "isbn": format!("978-{n}"), "title": format!("Book {n}"), "pages": pages, "changed": format!("2026-01-01T00:00:{n:02}Z"), "shelf": "B" })
}

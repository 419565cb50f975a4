//! A provider written outside of this workspace, with the public interface alone: the trait from the core, transport and retry from
//! the HTTP kit, the simulated service from the testkit. It is registered, pulled, and its own errors are told apart.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use support::{World, clean, messages, start};
use syncline::{
    ConnectionStatus, Credentials, ErrorKind, Outcome, Pull,
    core::{
        Account, Capabilities, Cursor, Descriptor, Error, Field, FieldKind, IntegrationSync, Next, Operation, PageToken, Partitions,
        PullPage, PullRequest, Quota, RecordBatch, RecordFailure, Result, Retry, Stream, StreamName, SyncContext, async_trait,
    },
    http::{Answer, Api, Auth, HttpTransport, Request, classify_status},
    testkit::{Fault, SimAnswer, SimRequest, Simulation, Simulator},
};

const QUOTAS: &[Quota] = &[Quota { bucket: "requests", units: 600, per: Duration::from_secs(60) }];

/// Books of a library, oldest change first.
#[derive(Debug)]
struct Library {
    api: Api,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    page: u32,
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
    fn new(transport: Arc<dyn HttpTransport>) -> Result<Self> {
        Ok(Self {
            api: Api::builder("library", "https://api.library.example/v1/")
                .transport(transport)
                .auth(Auth::Bearer)
                .classifier(classify)
                .build()?,
            descriptor: Descriptor {
                capabilities: Capabilities { pull: true, ..Capabilities::default() },
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
        Ok(vec![Stream::incremental("books").with_fields(fields)])
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        Ok(Partitions::whole())
    }

    async fn pull(&self, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
        let settings: Settings = cx.settings()?;
        let mut call = Request::get("library.books", "books").query("count", settings.page);
        if let Some(cursor) = &request.cursor {
            call = call.query("since", &cursor.state);
        }
        if let Some(after) = &request.after {
            call = call.query("after", after.as_str());
        }
        let answer = self.api.send(cx, call).await?;
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
            Some(token) => Next::Page(PageToken::from(token)),
            None => Next::End { complete: request.cursor.is_none() },
        };
        out.cursor = newest.map(|newest| Cursor::new(1, newest));
        Ok(out)
    }
}

/// The service itself.
#[derive(Debug, Default)]
struct Desk {
    books: std::sync::Mutex<Vec<serde_json::Value>>,
    card_lost: AtomicBool,
    asked: AtomicUsize,
}

impl Simulator for Desk {
    fn operation(&self, request: &SimRequest) -> &'static str {
        if request.path.ends_with("/card") { "library.card" } else { "library.books" }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.card_lost.load(Ordering::SeqCst) {
            return SimAnswer::json(200, json!({ "fault": "CARD_LOST" }));
        }
        if request.bearer() != Some("card-7") {
            return SimAnswer::json(200, json!({ "fault": "CARD_UNKNOWN" }));
        }
        if request.path.ends_with("/card") {
            return SimAnswer::json(200, json!({ "number": "7", "holder": "Ada" }));
        }
        let books = self.books.lock().expect("not poisoned");
        let since = request.query("since").unwrap_or_default();
        let books: Vec<_> = books.iter().filter(|book| book["changed"].as_str().unwrap_or("~") >= since).cloned().collect();
        let number = |name, otherwise| request.query(name).map_or(otherwise, |text| text.parse::<usize>().expect("a number"));
        let (from, count) = (number("after", 0), number("count", 100));
        let to = (from + count).min(books.len());
        SimAnswer::json(200, json!({ "books": books[from..to], "more": (to < books.len()).then(|| to.to_string()) }))
    }
}

fn book(n: usize, pages: u64) -> serde_json::Value {
    json!({ "isbn": format!("978-{n}"), "title": format!("Book {n}"), "pages": pages, "changed": format!("2026-01-01T00:00:{n:02}Z"), "shelf": "B" })
}

struct Opened {
    world: World,
    desk: Simulation<Desk>,
    syncline: syncline::Syncline,
    connection: syncline::Connection,
}

async fn open() -> Opened {
    let world = World::new();
    let desk = Simulation::new(Desk::default()).with_clock(world.clock.clone());
    desk.sim().books.lock().expect("not poisoned").extend((0..10).map(|n| book(n, 100 + n as u64)));
    let syncline = world.open(Library::new(desk.transport()).expect("a provider")).await;
    let connection = syncline.workspace("acme").connect("library", Credentials::api_key("card-7")).await.expect("it connects");
    Opened { world, desk, syncline, connection }
}

#[tokio::test]
async fn a_provider_from_outside_is_registered_connected_and_pulled() {
    let Opened { world, desk, syncline, connection } = open().await;
    assert_eq!(syncline.providers(), ["library"]);
    assert_eq!(connection.load_config().await.expect("a row").account_name.as_deref(), Some("Ada"));
    let streams = connection.streams().await.expect("streams");
    assert_eq!(streams[0].name.as_str(), "books");
    let first = connection.sync_from_external(Pull::stream("books")).await.expect("it runs");
    clean(&first);
    assert_eq!((first.counts.created, desk.count("library.books")), (10, 4));
    let lineage = syncline.workspace("acme").lineage("library_books", "978-3", Some("title")).await.expect("lineage");
    assert_eq!(lineage[0].source_ref.as_deref(), Some("books → Title"));
    assert_eq!(world.ask("SELECT typeof(pages) || shelf FROM library_books WHERE entity_id = '978-3'"), "integerB");
    {
        let mut books = desk.sim().books.lock().expect("not poisoned");
        books[9]["pages"] = json!(1);
        books.push(book(11, 5));
        books.push(json!({ "isbn": "978-99", "title": "No date" }));
    }
    let second = connection.sync_from_external(Pull::stream("books")).await.expect("it runs");
    assert_eq!((second.outcome, second.counts.created, second.counts.updated, second.counts.failed), (Outcome::Partial, 1, 1, 1));
    assert_eq!(second.failures[0].record.as_deref(), Some("978-99"));
}

#[tokio::test]
async fn its_own_errors_have_the_consequences_of_their_kinds() {
    let Opened { world, desk, syncline: _, connection } = open().await;
    let pull = || Pull::stream("books");
    // Temporary: retried by the kit, and waited for on the engine's clock.
    desk.faults().push_times("library.books", Fault::Body(r#"{"fault":"INVENTORY"}"#.into()), 3);
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    assert!(world.clock.now() > start());
    // A cursor that is too old: everything is read once more.
    desk.faults().push("library.books", Fault::Body(r#"{"fault":"BOOKMARK_OLD"}"#.into()));
    let again = connection.sync_from_external(pull()).await.expect("it runs");
    assert_eq!((again.outcome, again.counts.unchanged), (Outcome::Ok, 10));
    // Refused for good: said once, not retried.
    let before = desk.count("library.books");
    desk.faults().push("library.books", Fault::Body(r#"{"fault":"ILLEGIBLE"}"#.into()));
    let refused = connection.sync_from_external(pull()).await.expect("the run began");
    assert_eq!((refused.success(), refused.errors[0].kind, desk.count("library.books") - before), (false, ErrorKind::Invalid, 1));
    assert!(messages(&refused).contains("library.books: the library refused"), "{}", messages(&refused));
    // Revoked: connect again.
    desk.sim().card_lost.store(true, Ordering::SeqCst);
    let revoked = connection.sync_from_external(pull()).await.expect("the run began");
    assert_eq!(revoked.errors[0].kind, ErrorKind::AuthRevoked);
    assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Error);
    assert!(!connection.is_valid().await);
}

#[tokio::test]
async fn its_settings_are_checked_by_itself() {
    let Opened { world: _world, desk, syncline, connection } = open().await;
    let error = connection.save_settings(json!({ "pagee": 5 })).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("pagee") || format!("{error:?}").contains("pagee"), "{error:?}");
    connection.save_settings(json!({ "page": 5 })).await.expect("taken");
    clean(&connection.sync_from_external(Pull::stream("books")).await.expect("it runs"));
    assert_eq!(desk.count("library.books"), 2);
    let error = syncline.workspace("acme").connect("library", Credentials::api_key("card-8")).await.expect_err("another card");
    assert_eq!(error.kind(), ErrorKind::Auth);
}

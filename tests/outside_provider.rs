//! A provider written outside of this workspace, with the public interface alone (`support/library.rs`): it is registered, pulled, and
//! its own errors are told apart.

mod support;

use std::sync::atomic::Ordering;

use serde_json::json;
use support::{
    World, clean,
    library::{Desk, Library, book},
    messages, start,
};
use syncline::{
    ConnectionStatus, Credentials, ErrorKind, Outcome, Pull,
    testkit::{Fault, Simulation},
};

struct Opened {
    world: World,
    desk: Simulation<Desk>,
    syncline: syncline::Syncline,
    connection: syncline::Connection,
}

async fn open() -> Opened {
    let world = World::new();
    let desk = Simulation::new(Desk::new("card-7")).with_clock(world.clock.clone());
    desk.sim().books().extend((0..10).map(|n| book(n, 100 + n as u64)));
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
        let mut books = desk.sim().books();
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

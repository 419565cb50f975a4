//! What a scan proves about rows that are gone, and what it does not: after a limited read, a doubtful page, a stop half-way, or with
//! another safety lag than the run before.

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use support::{
    World, clean,
    scripted::{Item, Scripted, Source, last, page, then},
    start,
};
use syncline::{
    Connection, Credentials, ErrorKind, Pull, SyncResult, Syncline,
    core::{Error, PullPage, TokenLife},
};

const PAGES: usize = 10;

fn items() -> Pull {
    Pull::stream("items").safety_lag(Duration::ZERO)
}

/// The n-th page of ten, with ten records each.
fn nth(n: usize) -> PullPage {
    let ids: Vec<String> = (0..10).map(|record| format!("r{n}{record}")).collect();
    let records = page(ids.iter().map(|id| (id.as_str(), json!({ "id": id, "text": "x" }))));
    if n + 1 == PAGES { last(records) } else { then(records, n.to_string()) }
}

async fn open(world: &World) -> (Syncline, Scripted, Connection) {
    let provider = Scripted::new("demo").described(|it| it.page_tokens = TokenLife::Durable(Duration::from_secs(3_600)));
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects");
    (syncline, provider, connection)
}

/// Serves the pages until the one that fails, by the tokens asked with.
fn serve(provider: &Scripted, fails_at: usize, doubtful: Option<usize>) {
    provider.answer(move |request, _| {
        let n = request.after.as_ref().map_or(0, |token| token.as_str().parse::<usize>().expect("our token") + 1);
        if n == fails_at {
            return Err(Error::new(ErrorKind::Transport, "demo.items", "cut"));
        }
        let mut page = nth(n);
        page.unseen = doubtful == Some(n);
        Ok(page)
    });
}

async fn pull(connection: &Connection, pull: Pull) -> SyncResult {
    connection.sync_from_external(pull.commit_rows(1)).await.expect("it begins")
}

#[tokio::test]
async fn a_limited_read_between_leaves_the_proof_of_an_interrupted_scan_alone() {
    let world = World::new();
    let (syncline, provider, connection) = open(&world).await;
    serve(&provider, 1, None);
    assert!(!pull(&connection, items()).await.success());
    serve(&provider, PAGES, None);
    pull(&connection, items().limit(2)).await;
    let resumed = pull(&connection, items()).await;
    clean(&resumed);
    assert_eq!((resumed.counts.swept, syncline.workspace("acme").count("demo_items").await.expect("a count")), (0, 100));
}

#[tokio::test]
async fn a_scan_with_a_doubtful_page_begins_anew_after_a_stop_and_deletes_nothing_it_doubts() {
    let world = World::new();
    let (syncline, provider, connection) = open(&world).await;
    serve(&provider, PAGES, None);
    clean(&pull(&connection, items()).await);
    // The second page may lack records that are there; the scan is stopped after it.
    serve(&provider, 3, Some(1));
    assert!(!pull(&connection, items().full()).await.success());
    provider.answer(|request, _| {
        assert_eq!(request.after, None, "nothing is taken for shown");
        Ok(last(page([("r00", json!({ "id": "r00", "text": "x" }))])).doubtful())
    });
    let again = pull(&connection, items().full()).await;
    assert_eq!((again.counts.swept, syncline.workspace("acme").count("demo_items").await.expect("a count")), (0, 100));
}

trait Doubtful {
    fn doubtful(self) -> Self;
}

impl Doubtful for PullPage {
    fn doubtful(mut self) -> Self {
        self.unseen = true;
        self
    }
}

#[tokio::test]
async fn a_full_read_deletes_no_row_that_is_younger_than_the_safety_lag() {
    let world = World::new();
    let (provider, source) = (Scripted::new("demo"), Source::new(3));
    provider.source(source.clone());
    let syncline = world.open(provider.clone()).await;
    let connection = syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects");
    for n in 0..9 {
        source.put("", Item::new(format!("old {n}"), start() - TimeDelta::seconds(600 + n), "old"));
    }
    source.put("", Item::new("young", start() - TimeDelta::seconds(30), "young"));
    clean(&pull(&connection, items()).await);
    let full = pull(&connection, Pull::stream("items").full()).await;
    clean(&full);
    assert_eq!((full.counts.swept, syncline.workspace("acme").count("demo_items").await.expect("a count")), (0, 10));
}

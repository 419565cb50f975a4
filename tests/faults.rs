//! Bad input, end to end: what a host is told, and that nothing is emptied, moved or forgotten by it. Both providers on their
//! simulators, through the engine into SQLite.

mod support;

use std::{sync::Mutex, time::Duration};

use serde_json::json;
use support::{
    World, clean,
    dump::Dump,
    messages,
    scripted::{Item, Scripted, Source},
    services::{Chat, at_once, connect_sheets, connect_slack, movies, movies_pull, sheets, ts},
    start,
};
use sync_testkit::suite::faults;
use syncline::{
    Connection, ConnectionStatus, Credentials, ErrorKind, Outcome, Pull, RunFilter, RunStatus, SqliteStorage, SyncResult, Syncline,
    providers::sheets::simulator::SheetsSim,
    testkit::{Fault, Faults, Simulation},
};

fn films() -> Vec<Vec<&'static str>> {
    vec![
        vec!["Title", "Year", "Director"],
        vec!["Brazil", "1985", "Gilliam"],
        vec!["Alien", "1979", "Scott"],
        vec!["Ikiru", "1952", "Kurosawa"],
    ]
}

struct SheetWorld {
    world: World,
    simulation: Simulation<SheetsSim>,
    syncline: Syncline,
    connection: Connection,
}

/// A sheet that was pulled once.
async fn sheet() -> SheetWorld {
    let world = World::new();
    let simulation = movies(&world, &films());
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    world.clock.advance(Duration::from_secs(600));
    SheetWorld { world, simulation, syncline, connection }
}

struct ChatWorld {
    world: World,
    chat: Chat,
    syncline: Syncline,
    connection: Connection,
}

/// A Slack workspace that was pulled once, and has something new.
async fn slack() -> ChatWorld {
    let world = World::new();
    let chat = Chat::new(&world);
    let syncline = world.open(chat.provider()).await;
    let connection = connect_slack(&syncline, json!({})).await;
    clean(&connection.sync_from_external(Pull::stream("messages")).await.expect("it runs"));
    world.clock.advance(Duration::from_secs(3_600));
    chat.sim().at(&ts(1_000, 1)).post(&chat.general, &chat.ada, "new");
    chat.sim().at(&ts(1_100, 1)).post(&chat.random, &chat.ada, "new too");
    ChatWorld { world, chat, syncline, connection }
}

/// Rows, lineage and cursors: all that a run that failed must leave alone.
fn data(world: &World) -> Dump {
    world.dump().without(&["syncline_integration_connections"])
}

#[track_caller]
fn said(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

#[tokio::test]
async fn unknown_names_are_answered_with_those_there_are_and_write_nothing() {
    let SheetWorld { world, simulation, syncline, connection } = sheet().await;
    let before = data(&world);
    let acme = syncline.workspace("acme");
    let token = || Credentials::token("ya29.good");
    let error = acme.connect("sheetz", token()).await.expect_err("no such provider");
    said(&error.to_string(), &["\"sheetz\"", "sheets"]);
    let error = acme.connect("sheets", token()).await.expect_err("no spreadsheet id");
    assert_eq!(error.kind(), ErrorKind::Config);
    said(&error.to_string(), &["spreadsheet_id"]);
    let error =
        acme.connect("sheets", token()).settings(json!({ "spreadsheet_id": "1AbCdEfG", "hedaer_row": 2 })).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::Config);
    said(&error.to_string(), &["hedaer_row", "header_row"]);
    let error = acme.connect("sheets", token()).settings(json!({ "spreadsheet_id": "1Other" })).await.expect_err("no such spreadsheet");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(acme.connections().await.expect("a list").len(), 1);

    for (pull, kind, words) in [
        (Pull::stream("Moviez").key(["Title"]), ErrorKind::Config, &["\"Moviez\"", "\"Movies\""][..]),
        (Pull::stream("Movies").key(["Titel"]), ErrorKind::Config, &["\"Titel\"", "\"Title\"", "\"Year\"", "\"Director\""]),
        (Pull::stream("Movies"), ErrorKind::Config, &["key", "\"Title\"", "\"Director\""]),
        (Pull::stream("Movies").key(["Title"]).partitions(["north"]), ErrorKind::Config, &["north"]),
    ] {
        let result = connection.sync_from_external(pull).await.expect("the run began");
        assert_eq!((result.success(), result.errors[0].kind), (false, kind), "{}", messages(&result));
        said(&messages(&result), words);
        data(&world).assert_same(&before, "an unknown name");
        connection.enable().await.expect("enabled");
    }
    // A header that was renamed is said with what is there instead.
    simulation.sim().rename_header("Movies", "Title", "Film");
    let result = connection.sync_from_external(movies_pull()).await.expect("the run began");
    assert_eq!(result.errors[0].kind, ErrorKind::Config);
    said(&messages(&result), &["\"Title\"", "\"Film\"", "\"Year\""]);
    data(&world).assert_same(&before, "a renamed header");
    // So is a tab that was renamed.
    simulation.sim().rename_tab("Movies", "Films");
    let result = connection.sync_from_external(movies_pull()).await.expect("the run began");
    said(&messages(&result), &["\"Movies\"", "\"Films\""]);
    data(&world).assert_same(&before, "a renamed tab");

    let ChatWorld { world, syncline, connection, .. } = slack().await;
    let before = data(&world);
    let error =
        syncline.workspace("acme").connect("slack", Credentials::token("x")).settings(json!({ "chanels": [] })).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::Config);
    said(&error.to_string(), &["chanels"]);
    let result = connection.sync_from_external(Pull::stream("mesages")).await.expect("the run began");
    said(&messages(&result), &["\"mesages\"", "messages", "users", "channels"]);
    data(&world).assert_same(&before, "an unknown stream");
}

#[tokio::test]
async fn wrong_and_revoked_tokens_follow_the_rules_of_the_status() {
    let SheetWorld { world, simulation, syncline, connection } = sheet().await;
    let before = data(&world);
    simulation.sim().expect_token("ya29.another");
    let error =
        syncline.workspace("bolt").connect("sheets", Credentials::token("ya29.wrong")).settings(json!({ "spreadsheet_id": "1AbCdEfG" }));
    let error = error.await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Auth);
    for failed in 1..=3 {
        let result = connection.sync_from_external(movies_pull()).await.expect("the run began");
        assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::Auth));
        let expected = if failed < 3 { ConnectionStatus::Active } else { ConnectionStatus::Error };
        assert_eq!(connection.status().await.expect("a status"), expected, "after {failed}");
    }
    data(&world).assert_same(&before, "a refused token");
    // Connected again with a good one, it goes on as it was.
    let again = syncline.workspace("acme").connect("sheets", Credentials::token("ya29.another"));
    let again = again.settings(json!({ "spreadsheet_id": "1AbCdEfG" })).await.expect("it heals");
    assert_eq!((again.id(), again.status().await.expect("a status")), (connection.id(), ConnectionStatus::Active));
    let result = again.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!((result.outcome, result.counts.unchanged), (Outcome::Ok, 3));

    let ChatWorld { world, chat, connection, .. } = slack().await;
    let before = data(&world);
    chat.sim().revoke_token();
    let result = connection.sync_from_external(Pull::stream("messages")).await.expect("the run began");
    assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::AuthRevoked));
    assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Error, "at once");
    data(&world).assert_same(&before, "a revoked token");
}

/// Every kind of answer that is none.
fn unreadable() -> Vec<(&'static str, Fault)> {
    let mishaps = faults::unreadable().into_iter().chain(faults::temporary());
    // Those have tests of their own.
    let quick = mishaps.filter(|mishap| !matches!(mishap.fault, Fault::Huge(_) | Fault::Slow(_)));
    quick.map(|mishap| (mishap.name, mishap.fault)).collect()
}

async fn survives(
    world: &World,
    faults: &Faults,
    connection: &Connection,
    pull: Pull,
    operation: &str,
    what: &str,
    fault: Fault,
) -> SyncResult {
    let before = data(world);
    let used = faults.used();
    faults.push_times(operation, fault, 60);
    let result = connection.sync_from_external(pull).await.expect("the run began");
    faults.clear();
    assert!(faults.used() > used, "{operation}: {what} was met");
    assert_ne!(result.outcome, Outcome::Ok, "{operation}: {what} is no success");
    assert!(!result.errors.is_empty() && !result.errors[0].message.is_empty(), "{operation}: {what}");
    assert_eq!((result.counts.swept, result.counts.deleted), (0, 0), "{operation}: {what} empties nothing");
    data(world).assert_same(&before, &format!("{operation}: {what}"));
    let run = &connection.load_config().await.expect("a row");
    if result.outcome == Outcome::Failed {
        assert_eq!(run.error_message.as_deref(), Some(&*result.errors[0].message), "{operation}: {what} is kept");
    }
    connection.enable().await.expect("enabled");
    // Whatever opened the breaker is forgiven before the next case.
    world.clock.advance(Duration::from_secs(3_600));
    result
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_and_never_an_empty_sheet() {
    let SheetWorld { world, simulation, connection, .. } = sheet().await;
    for operation in ["sheets.spreadsheets.get", "sheets.values.batchGet"] {
        for (what, fault) in unreadable() {
            let result = survives(&world, simulation.faults(), &connection, movies_pull(), operation, what, fault).await;
            let kind = result.errors[0].kind;
            assert!(matches!(kind, ErrorKind::Decode | ErrorKind::Transport | ErrorKind::CircuitOpen), "{operation}: {what}: {kind:?}");
        }
    }
    let again = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!((again.outcome, again.counts.unchanged), (Outcome::Ok, 3));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_and_never_an_empty_channel() {
    let ChatWorld { world, chat, connection, .. } = slack().await;
    for pull in [Pull::stream("messages"), Pull::stream("messages").full()] {
        for operation in ["slack.conversations.list", "slack.conversations.history"] {
            for (what, fault) in unreadable() {
                survives(&world, chat.simulation.faults(), &connection, pull.clone(), operation, what, fault).await;
            }
        }
    }
    let again = connection.sync_from_external(Pull::stream("messages").full()).await.expect("it runs");
    assert_eq!((again.outcome, again.counts.created, again.counts.swept), (Outcome::Ok, 2, 0));
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_before_it_is_read() {
    let SheetWorld { world, simulation, connection, .. } = sheet().await;
    let result =
        survives(&world, simulation.faults(), &connection, movies_pull(), "sheets.values.batchGet", "100 MB", Fault::Huge(100)).await;
    assert_eq!(result.errors[0].kind, ErrorKind::Decode, "{}", messages(&result));
    said(&messages(&result), &["larger than", "67108864"]);
    let ChatWorld { world, chat, connection, .. } = slack().await;
    let pull = Pull::stream("channels");
    let result =
        survives(&world, chat.simulation.faults(), &connection, pull, "slack.conversations.list", "100 MB", Fault::Huge(100)).await;
    assert_eq!(result.errors[0].kind, ErrorKind::Decode, "{}", messages(&result));
}

/// Every form in which a service says that there were too many calls, asking for this wait.
fn too_many(wait: Duration) -> Vec<(&'static str, Fault)> {
    let header = |value: String| vec![("retry-after", value), ("content-type", "application/json".to_owned())];
    let seconds = wait.as_secs();
    // The simulator's own Date header is what a date is counted from; both stand at the world's time when it is used.
    vec![
        ("status and seconds", Fault::Status { status: 429, headers: header(seconds.to_string()), body: String::new() }),
        ("status, seconds and a page", Fault::Status { status: 429, headers: header(seconds.to_string()), body: "<html>slow down".into() }),
        (
            "Google's 403 body",
            Fault::Status {
                status: 403,
                headers: header(seconds.to_string()),
                body: json!({ "error": { "code": 403, "message": "Rate Limit Exceeded", "errors": [{ "reason": "rateLimitExceeded" }] } })
                    .to_string(),
            },
        ),
    ]
}

fn dated(clock: &syncline::testkit::VirtualClock, wait: Duration) -> Fault {
    let at = (clock.now() + wait).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Fault::Status { status: 429, headers: vec![("retry-after", at)], body: String::new() }
}

#[tokio::test]
async fn too_many_calls_in_any_form_are_waited_for_when_the_wait_is_short() {
    let wait = Duration::from_secs(90);
    let SheetWorld { world, simulation, connection, .. } = sheet().await;
    let mut forms = too_many(wait);
    forms.push(("status and a date", dated(&world.clock, wait)));
    for (what, fault) in forms {
        let fault = if what == "status and a date" { dated(&world.clock, wait) } else { fault };
        let before = world.clock.now();
        simulation.faults().push("sheets.values.batchGet", fault);
        let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
        clean(&result);
        assert!(world.clock.now() - before >= chrono::TimeDelta::from_std(wait).expect("in range"), "{what}: never earlier than asked");
        world.clock.advance(Duration::from_secs(600));
    }
    let ChatWorld { world, chat, connection, .. } = slack().await;
    let limited = Fault::Status {
        status: 200,
        headers: vec![("retry-after", "90".to_owned())],
        body: r#"{"ok":false,"error":"ratelimited"}"#.to_owned(),
    };
    let before = world.clock.now();
    chat.simulation.faults().push("slack.conversations.history", limited);
    clean(&connection.sync_from_external(Pull::stream("messages")).await.expect("it runs"));
    assert!(world.clock.now() - before >= chrono::TimeDelta::seconds(90), "a 200 that says ratelimited is waited for too");
}

#[tokio::test]
async fn too_many_calls_in_any_form_park_the_run_when_the_wait_is_long() {
    let wait = Duration::from_secs(3_600);
    for n in 0..4 {
        let SheetWorld { world, simulation, connection, .. } = sheet().await;
        let mut forms = too_many(wait);
        forms.push(("status and a date", dated(&world.clock, wait)));
        let (what, fault) = forms.swap_remove(n);
        let (before, began) = (data(&world), world.clock.now());
        simulation.faults().push_times("sheets.values.batchGet", fault, 9);
        let result = connection.sync_from_external(movies_pull()).await.expect("the run began");
        assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::RateLimited), "{what}: {}", messages(&result));
        assert!(world.clock.now() - began < chrono::TimeDelta::seconds(300), "{what}: nobody sleeps for an hour");
        assert_eq!(simulation.faults().used(), 1, "{what}: asked once");
        let row = connection.load_config().await.expect("a row");
        assert_eq!((row.status, row.error_count), (ConnectionStatus::Active, 0), "{what}: it never counts");
        data(&world).assert_same(&before, what);
        simulation.faults().clear();
        world.clock.advance(wait + Duration::from_secs(60));
        clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    }
    let ChatWorld { world, chat, connection, .. } = slack().await;
    let (before, began) = (data(&world), world.clock.now());
    for status in [200, 429] {
        let fault = Fault::Status {
            status,
            headers: vec![("retry-after", "3600".to_owned())],
            body: r#"{"ok":false,"error":"ratelimited"}"#.to_owned(),
        };
        chat.simulation.faults().push_times("slack.conversations.history", fault, 9);
    }
    let result = connection.sync_from_external(Pull::stream("messages")).await.expect("the run began");
    assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::RateLimited), "{}", messages(&result));
    assert!(world.clock.now() - began < chrono::TimeDelta::seconds(300));
    data(&world).assert_same(&before, "ratelimited");
    assert_eq!(connection.load_config().await.expect("a row").error_count, 0);
}

#[tokio::test]
async fn a_peer_that_stalls_meets_the_deadline() {
    let SheetWorld { world, simulation, connection, .. } = sheet().await;
    let (before, began) = (data(&world), world.clock.now());
    simulation.faults().push_times("sheets.values.batchGet", Fault::Slow(Duration::from_secs(86_400)), 9);
    let result = connection.sync_from_external(movies_pull()).await.expect("the run began");
    assert_eq!((result.success(), result.errors[0].kind), (false, ErrorKind::Transport), "{}", messages(&result));
    let took = world.clock.now() - began;
    assert!(took <= chrono::TimeDelta::seconds(310), "{took}");
    data(&world).assert_same(&before, "a stalled peer");
    simulation.faults().clear();
    world.clock.advance(Duration::from_secs(3_600));
    clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));

    let ChatWorld { world, chat, connection, .. } = slack().await;
    let (before, began) = (data(&world), world.clock.now());
    chat.simulation.faults().push_times("slack.conversations.history", Fault::Slow(Duration::from_secs(86_400)), 40);
    let result = connection.sync_from_external(Pull::stream("messages")).await.expect("the run began");
    assert!(!result.success());
    let took = world.clock.now() - began;
    assert!(took <= chrono::TimeDelta::seconds(700), "two channels on one clock: {took}");
    data(&world).assert_same(&before, "a stalled peer");
}

/// A source of five pages, one commit for each, on a storage whose hook is the test's.
async fn five_pages(world: &World, storage: SqliteStorage) -> (Syncline, Connection, Source) {
    let provider = Scripted::new("demo");
    let source = Source::new(10);
    provider.source(source.clone());
    for n in 0..50 {
        source.put("", Item::new(format!("r{n:02}"), start() - chrono::TimeDelta::seconds(60 - n), "text ".repeat(400)));
    }
    let syncline = world.open_on(storage, provider).await;
    let connection = syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects");
    (syncline, connection, source)
}

fn items() -> Pull {
    at_once(Pull::stream("items")).commit_rows(1)
}

#[tokio::test]
async fn a_locked_database_fails_the_run_leaves_the_cursor_and_frees_the_stream() {
    let world = World::new();
    let storage = SqliteStorage::builder(world.path()).busy_timeout(Duration::ZERO).open().await.expect("it opens");
    let (syncline, connection, source) = five_pages(&world, storage.clone()).await;
    // Another program takes the file after the second commit and keeps it.
    let (path, taken) = (world.path(), std::sync::Arc::new(Mutex::new(None)));
    let holder = std::sync::Arc::clone(&taken);
    let commits = std::sync::atomic::AtomicUsize::new(0);
    storage.on_crash_point(move |point| {
        if point == "p11" && commits.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            let other = rusqlite::Connection::open(&path).expect("another program");
            other.execute_batch("BEGIN IMMEDIATE").expect("it takes the lock");
            *holder.lock().expect("not poisoned") = Some(other);
        }
    });
    let ended = connection.sync_from_external(items()).await;
    let text = match &ended {
        Ok(result) => {
            assert!(!result.success());
            messages(result)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Storage);
            error.to_string()
        }
    };
    said(&text, &["locked", "app.db"]);
    let stored: i64 = world.ask("SELECT count(*) FROM demo_items").parse().expect("a number");
    assert_eq!(stored, 20, "two commits");
    let cursor = world.ask("SELECT cursor_state FROM syncline_sync_cursors");
    assert!(cursor.ends_with(" r19"), "the cursor covers what is stored and no more: {cursor}");
    // The other program lets go: the same engine goes on, nothing is stuck.
    taken.lock().expect("not poisoned").take();
    let result = connection.sync_from_external(items()).await.expect("the stream is free");
    clean(&result);
    assert_eq!(world.ask("SELECT count(*) FROM demo_items"), source.truth().len().to_string());
    let runs = syncline.workspace("acme").runs(RunFilter::default()).await.expect("runs");
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Completed, RunStatus::Failed]);
}

#[tokio::test]
async fn a_full_or_read_only_database_fails_the_run_in_plain_words_and_leaves_the_cursor() {
    for (what, pragma, words) in [("full", "PRAGMA max_page_count = 1", "full"), ("read-only", "PRAGMA query_only = 1", "can only be read")]
    {
        let world = World::new();
        let storage = world.storage().await;
        let (syncline, connection, source) = five_pages(&world, storage.clone()).await;
        let commits = std::sync::atomic::AtomicUsize::new(0);
        storage.on_commit(move |tx, _| {
            if commits.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                // A limit below what there is means: no page more.
                tx.query_row(pragma, [], |_| Ok(()))
                    .or_else(|e| if e == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(e) })?;
            }
            Ok(())
        });
        let text = match connection.sync_from_external(items()).await {
            Ok(result) => {
                assert!(!result.success(), "{what}");
                messages(&result)
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Storage, "{what}");
                error.to_string()
            }
        };
        said(&text, &[words, "app.db"]);
        let stored: usize = world.ask("SELECT count(*) FROM demo_items").parse().expect("a number");
        assert!((10..50).contains(&stored), "{what}: {stored}");
        let cursor = world.ask("SELECT cursor_state FROM syncline_sync_cursors");
        assert!(cursor.ends_with(&format!(" r{}", stored - 1)), "{what}: {stored} rows, and the cursor {cursor}");
        assert_eq!(world.ask("SELECT count(*) FROM syncline_integration_connections WHERE last_sync_at IS NOT NULL"), "0");
        // Space is made, the program is started again.
        drop((connection, syncline, storage));
        let (_syncline, connection, _) = five_pages(&world, world.storage().await).await;
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
        assert_eq!(world.ask("SELECT count(*) FROM demo_items"), source.truth().len().to_string(), "{what}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_its_name() {
    let world = World::new();
    std::fs::write(world.path(), "this is no database, only a text that is long enough to look at. ".repeat(50)).expect("written");
    let error = SqliteStorage::open(world.path()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Storage);
    said(&error.to_string(), &["app.db", "not a SQLite database"]);
    let error = SqliteStorage::open(world.folder.path().join("no/such/folder/app.db")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Storage);
    said(&error.to_string(), &["app.db", "folder"]);
}

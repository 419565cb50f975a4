//! What a pull may never do: count a record twice, lose one, delete without proof, go round in a circle, or say that it succeeded
//! when something is missing. On a provider of the tests' own.

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::{Value, json};
use support::{
    Random, World, clean,
    faulty::{Faulty, Harm},
    messages,
    scripted::{Item, Scripted, Source, last, page, reaching, then},
    start,
};
use syncline::{
    Connection, Credentials, EntityQuery, ErrorKind, Outcome, Pull, RunStatus, SyncResult, Syncline,
    core::{Counts, Cursor, Error, Next, Operation, PullPage, RecordBatch, RecordFailure, Stream, TokenLife},
};

const TABLE: &str = "demo_items";

/// The whole stream at once, up to now.
fn items() -> Pull {
    Pull::stream("items").safety_lag(Duration::ZERO)
}

async fn connect(syncline: &Syncline) -> Connection {
    syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects")
}

/// Id and text of every row.
async fn rows(syncline: &Syncline) -> BTreeMap<String, String> {
    let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
    let acme = syncline.workspace("acme");
    if acme.count(TABLE).await.expect("a count") == 0 {
        return BTreeMap::new();
    }
    let rows = acme.entities(TABLE, query).await.expect("rows");
    rows.into_iter().map(|row| (row.key.to_string(), row.fields["text"].as_str().unwrap_or_default().to_owned())).collect()
}

fn texts(n: usize, text: &str) -> Vec<(String, Value)> {
    (0..n).map(|n| (format!("r{n:03}"), json!({ "id": format!("r{n:03}"), "text": format!("{text} {n}") }))).collect()
}

fn page_of(records: &[(String, Value)]) -> PullPage {
    page(records.iter().map(|(id, fields)| (id.as_str(), fields.clone())))
}

/// Pages as they are delivered: each with a token of its own for the next.
fn delivered(pages: &[&[(String, Value)]]) -> Vec<PullPage> {
    let all = pages.len();
    let pages = pages.iter().enumerate();
    pages.map(|(n, records)| if n + 1 == all { last(page_of(records)) } else { then(page_of(records), format!("after {n}")) }).collect()
}

/// A complete scan of these records in pages of ten.
fn scan(records: &[(String, Value)]) -> Vec<PullPage> {
    delivered(&records.chunks(10).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_page_delivered_again_changes_nothing() {
    let (before, after) = (texts(40, "before"), texts(40, "after"));
    let calm = World::new();
    let provider = Scripted::new("demo");
    let syncline = calm.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for records in [&before, &after] {
        provider.pages(scan(records));
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
    }
    for seed in 0..16 {
        let mut random = Random::new(seed);
        let world = World::new();
        let provider = Scripted::new("demo");
        let syncline = world.open(provider.clone()).await;
        let connection = connect(&syncline).await;
        for records in [&before, &after] {
            let mut pages: Vec<&[(String, Value)]> = records.chunks(7).flat_map(|page| vec![page; 1 + random.below(5)]).collect();
            random.shuffle(&mut pages);
            let read: usize = pages.iter().map(|page| page.len()).sum();
            provider.pages(delivered(&pages));
            let pull = items().commit_rows(1 + random.below(30));
            let result = connection.sync_from_external(pull).await.expect("it runs");
            clean(&result);
            assert_eq!(result.counts.read, read as u64, "seed {seed}");
        }
        // The whole of it once more, by a process of its own.
        drop((connection, syncline));
        let syncline = world.open(provider.clone()).await;
        let connection = connect(&syncline).await;
        provider.pages(scan(&after));
        let again = connection.sync_from_external(items()).await.expect("it runs");
        clean(&again);
        assert_eq!((again.counts.read, again.counts.unchanged), (40, 40), "seed {seed}");
        world.dump().assert_same(&calm.dump(), &format!("seed {seed}"));
    }
    assert_eq!(calm.ask("SELECT count(*) FROM syncline_lineage_entries"), "40", "one line for each changed row");
}

#[tokio::test]
async fn a_record_lost_between_page_and_row_fails_the_run() {
    for harm in [Harm::LoseRecord, Harm::Miscount, Harm::Unbalanced] {
        let world = World::new();
        let (provider, storage) = (Scripted::new("demo"), Faulty::new(world.storage().await));
        let syncline = world.open_on(storage.clone(), provider.clone()).await;
        let connection = connect(&syncline).await;
        provider.pages(scan(&texts(25, "row")));
        storage.harm(Some(harm));
        let result = connection.sync_from_external(items()).await.expect("the run began");
        assert!(!result.success(), "{harm:?} went unseen: {:?}", result.counts);
        assert_eq!(result.errors[0].kind, ErrorKind::Internal, "{harm:?}");
        assert!(messages(&result).contains("accounts for"), "{harm:?}: {}", messages(&result));
    }
}

#[tokio::test]
async fn no_store_call_that_fails_leaves_a_false_success() {
    let (first, second) = (texts(25, "before"), texts(22, "after"));
    let calm = World::new();
    let provider = Scripted::new("demo");
    let storage = Faulty::new(calm.storage().await);
    let syncline = calm.open_on(storage.clone(), provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(scan(&first));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    provider.pages(scan(&second));
    calm.clock.advance(Duration::from_secs(60));
    storage.harm(None);
    clean(&connection.sync_from_external(items().full().commit_rows(10)).await.expect("it runs"));
    let calls = storage.calls();
    for name in ["connection", "credentials", "begin_run", "last_look", "partition_states", "commit", "sweep", "end_run", "log_activity"] {
        assert!(calls.contains(&name), "{name} is part of a run: {calls:?}");
    }
    assert_eq!(calls.iter().filter(|name| **name == "commit").count(), 3, "{calls:?}");

    for (n, name) in calls.iter().enumerate() {
        let world = World::new();
        let provider = Scripted::new("demo");
        let storage = Faulty::new(world.storage().await);
        let syncline = world.open_on(storage.clone(), provider.clone()).await;
        let connection = connect(&syncline).await;
        provider.pages(scan(&first));
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
        provider.pages(scan(&second));
        world.clock.advance(Duration::from_secs(60));
        storage.harm(Some(Harm::Refuse(n)));
        let result = connection.sync_from_external(items().full().commit_rows(10)).await;
        assert_eq!(storage.calls().get(n), Some(name), "the same calls in the same order");
        match &result {
            // The run is written by then; only its line in the log is missing.
            Ok(result) if *name == "log_activity" => assert!(result.success(), "call {n}: {:?}", result.errors),
            Ok(result) => assert!(!result.success(), "call {n}, {name}, was refused and the run says {:?}", result.outcome),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "call {n}, {name}: {error:?}"),
        }
        storage.harm(None);
        // A run whose end could not be written is ended by the next process.
        drop((connection, syncline, storage));
        let syncline = world.open(provider.clone()).await;
        let connection = connect(&syncline).await;
        provider.pages(scan(&second));
        clean(&connection.sync_from_external(items().full()).await.expect("it runs"));
        world.dump().assert_same(&calm.dump(), &format!("after call {n}, {name}, was refused"));
    }
}

#[tokio::test]
async fn an_increment_ends_before_now_and_begins_early_enough_for_late_writers() {
    let world = World::new();
    let (provider, source) = (Scripted::new("demo"), Source::new(3));
    provider.source(source.clone());
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    let pull = || Pull::stream("items");
    let second = TimeDelta::seconds(1);
    for n in 0..5 {
        source.put("", Item::new(format!("old {n}"), start() - second * (600 + n), "old"));
    }
    source.put("", Item::new("young", start() - second * 60, "young"));
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    assert_eq!(provider.requests()[0].until, start(), "a read of everything ends now");
    assert_eq!(rows(&syncline).await.len(), 6);
    // Written before `young`, visible only now.
    source.put("", Item::new("late", start() - second * 90, "late"));
    source.put("", Item::new("precise", start() - second * 80 + TimeDelta::nanoseconds(1_999), "precise"));
    world.clock.advance(Duration::from_secs(600));
    source.put("", Item::new("too young", start() + second * 500, "young"));
    let now = world.clock.now();
    clean(&connection.sync_from_external(pull()).await.expect("it runs"));
    let until = provider.requests().last().map(|request| request.until);
    assert_eq!(until, Some(now - second * 120), "an increment ends before now, by the lag");
    let mut known = source.truth();
    known.remove("too young");
    assert_eq!(rows(&syncline).await, known);
    let cursor = world.ask("SELECT cursor_state FROM syncline_sync_cursors");
    assert_eq!(cursor, "2026-03-02T11:59:00.000000Z young", "never greater than what was seen, and not rounded");
}

#[tokio::test]
async fn the_stored_position_keeps_the_providers_text_to_the_last_digit() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for state in
        ["1512085950.000216", "18446744073709551615", "9007199254740993", "2026-01-01T00:00:00.123456789+05:45", "0.10", "é/\"\\\n"]
    {
        provider.answer(move |_, _| Ok(reaching(page([]), state)));
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
        provider.answer(|request, _| {
            let cursor = request.cursor.as_ref().map(|cursor| cursor.state.to_string()).unwrap_or_default();
            Ok(reaching(page([]), &cursor))
        });
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
        let seen = provider.requests()[0].cursor.clone().expect("a cursor");
        assert_eq!((&*seen.state, seen.version), (state, 1));
    }
}

#[tokio::test]
async fn equal_change_times_cut_across_pages_lose_nothing() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let world = World::new();
        let (provider, source) = (Scripted::new("demo"), Source::new(1 + random.below(60)));
        provider.source(source.clone());
        let syncline = world.open(provider.clone()).await;
        let connection = connect(&syncline).await;
        for round in 0..3u32 {
            for n in 0..60 + random.below(140) {
                // Few different times, so that many are equal.
                let at = start() + TimeDelta::seconds(i64::from(round) * 60 + random.below(3) as i64);
                source.put("", Item::new(format!("r{}", random.below(400)), at, format!("{round} {n}")));
            }
            world.clock.advance(Duration::from_secs(120));
            clean(&connection.sync_from_external(items()).await.expect("it runs"));
            assert_eq!(rows(&syncline).await, source.truth(), "seed {seed}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_scan_that_fails_on_any_page_deletes_nothing() {
    let all = texts(50, "row");
    let world = World::new();
    let provider = Scripted::new("demo").streams(vec![Stream::full("items")]);
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(scan(&all));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let before = rows(&syncline).await;
    // 45 of the 50 are still there; whichever page fails, the five others stay.
    let shown = scan(&all[5..]);
    for fails in 0..shown.len() {
        for kind in [ErrorKind::Transport, ErrorKind::Decode, ErrorKind::RateLimited, ErrorKind::Auth] {
            let pages = shown.clone();
            provider.answer(
                move |_, n| {
                    if n == fails { Err(Error::new(kind, "demo.items", "the page did not come")) } else { Ok(pages[n].clone()) }
                },
            );
            let result = connection.sync_from_external(items().full().commit_rows(1)).await.expect("the run began");
            assert!(!result.success(), "page {fails}, {kind:?}");
            assert_eq!(rows(&syncline).await, before, "page {fails}, {kind:?}");
            connection.enable().await.expect("enabled");
        }
    }
    // A scan that is over but does not claim to be complete proves nothing either.
    let mut pages = scan(&all[5..]);
    pages.last_mut().expect("pages").next = Next::End { complete: false };
    provider.pages(pages);
    let result = connection.sync_from_external(items().full()).await.expect("it runs");
    assert_eq!((result.success(), result.counts.swept), (true, 0));
    // Nor one with a record that nobody can name.
    let mut pages = scan(&all[5..]);
    pages[2].failures.push(RecordFailure::error("unreadable").at_row(Some(23)));
    provider.pages(pages);
    let result = connection.sync_from_external(items().full()).await.expect("it runs");
    assert_eq!((result.outcome, result.counts.swept, result.counts.failed), (Outcome::Partial, 0, 1));
    assert_eq!(rows(&syncline).await, before);
    // The complete one does.
    provider.pages(scan(&all[5..]));
    let result = connection.sync_from_external(items().full()).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.swept, 5);
    assert_eq!(rows(&syncline).await.len(), 45);
}

#[tokio::test]
async fn a_record_that_is_there_but_unreadable_keeps_its_row() {
    let all = texts(20, "row");
    let world = World::new();
    let provider = Scripted::new("demo").streams(vec![Stream::full("items")]);
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(scan(&all));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let mut pages = scan(&all[1..19]);
    pages[0].failures.push(RecordFailure::error("a date that is none").of_record("r000").in_column("Column C"));
    provider.pages(pages);
    let result = connection.sync_from_external(items()).await.expect("it runs");
    assert_eq!((result.outcome, result.counts.failed, result.counts.swept), (Outcome::Partial, 1, 1), "{:?}", result.errors);
    let rows = rows(&syncline).await;
    assert!(rows.contains_key("r000") && !rows.contains_key("r019"));
}

#[tokio::test]
async fn a_scan_that_shrank_by_more_than_a_fifth_waits_for_confirmation() {
    let all = texts(50, "row");
    for shown in [0, 1, 39] {
        let world = World::new();
        let provider = Scripted::new("demo").streams(vec![Stream::full("items")]);
        let syncline = world.open(provider.clone()).await;
        let connection = connect(&syncline).await;
        provider.pages(scan(&all));
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
        let pages = if shown == 0 { vec![last(page([]))] } else { scan(&all[..shown]) };
        provider.pages(pages.clone());
        let stopped = connection.sync_from_external(items()).await.expect("it runs");
        assert_eq!((stopped.outcome, stopped.counts.swept), (Outcome::Partial, 0), "{shown} of 50 shown");
        assert_eq!(stopped.errors[0].kind, ErrorKind::Conflict);
        let text = messages(&stopped);
        assert!(text.contains("confirm_deletes") && text.contains("50") && text.contains(&format!("{}", 50 - shown)), "{text}");
        assert_eq!(rows(&syncline).await.len(), 50);
        // Asked again it stops again; confirmed it goes on.
        provider.pages(pages.clone());
        assert_eq!(connection.sync_from_external(items()).await.expect("it runs").outcome, Outcome::Partial);
        provider.pages(pages);
        let result = connection.sync_from_external(items().confirm_deletes()).await.expect("it runs");
        clean(&result);
        assert_eq!(result.counts.swept, 50 - shown as u64);
        assert_eq!(rows(&syncline).await.len(), shown);
    }
    // A fifth and no more needs nobody.
    let world = World::new();
    let provider = Scripted::new("demo").streams(vec![Stream::full("items")]);
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for shown in [50, 40] {
        provider.pages(scan(&all[..shown]));
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
    }
    assert_eq!(rows(&syncline).await.len(), 40);
}

#[tokio::test]
async fn a_partition_gone_from_a_complete_list_is_swept_under_the_same_guard_and_read_anew_when_it_is_back() {
    let world = World::new();
    let (provider, source) = (Scripted::new("demo"), Source::new(10));
    provider.source(source.clone());
    provider.partitions("items", &["a", "b"], true);
    for n in 0..20 {
        source.put("a", Item::new(format!("a{n}"), start(), "a"));
    }
    source.put("b", Item::new("b0", start(), "b"));
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    // A list that is cut short proves nothing.
    provider.partitions("items", &["a"], false);
    clean(&connection.sync_from_external(items().full()).await.expect("it runs"));
    assert_eq!(rows(&syncline).await.len(), 21);
    provider.partitions("items", &["a"], true);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    assert_eq!(rows(&syncline).await.len(), 21, "an incremental read does not judge");
    let result = connection.sync_from_external(items().full()).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.swept, rows(&syncline).await.len()), (1, 20));
    provider.partitions("items", &["a", "b"], true);
    source.put("b", Item::new("b1", start() + TimeDelta::seconds(1), "b"));
    world.clock.advance(Duration::from_secs(60));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let resumed = provider.requests().into_iter().rfind(|request| request.partition.id.as_str() == "b").expect("b is read");
    assert!(resumed.cursor.is_none(), "its rows were deleted, so all of it is read");
    let rows = rows(&syncline).await;
    assert!(rows.contains_key("b0") && rows.contains_key("b1"));
}

#[tokio::test]
async fn expired_cursor_restarts_full_sync_once_and_never_loops() {
    let world = World::new();
    let (provider, source) = (Scripted::new("demo"), Source::new(4));
    provider.source(source.clone());
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for n in 0..10 {
        source.put("", Item::new(format!("r{n}"), start() + TimeDelta::seconds(n), "first"));
    }
    world.clock.advance(Duration::from_secs(60));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    // While nobody looked one went and one came, and the position was forgotten.
    source.remove("", "r3");
    source.put("", Item::new("new", start() + TimeDelta::seconds(20), "second"));
    source.edit().forgets_before = Some("9999".into());
    provider.source(source.clone());
    let result = connection.sync_from_external(items()).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.created, result.counts.swept), (10, 1, 1));
    assert_eq!(rows(&syncline).await, source.truth());
    let requests = provider.requests();
    assert!(requests[0].cursor.is_some() && requests[1..].iter().all(|request| request.cursor.is_none()));

    // A service that forgets every position at once.
    let before = rows(&syncline).await;
    provider.fails(|| Error::new(ErrorKind::CursorExpired, "demo.items", "that position is gone"));
    let result = connection.sync_from_external(items()).await.expect("the run began");
    assert!(!result.success());
    assert_eq!(result.errors[0].kind, ErrorKind::CursorExpired);
    assert_eq!(provider.requests().len(), 2, "one more try, from the beginning, and no third");
    assert_eq!(rows(&syncline).await, before);
}

#[tokio::test]
async fn a_cursor_that_expires_in_the_middle_of_a_run_is_followed_by_a_whole_scan() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    let mut first = scan(&texts(30, "first"));
    let n = first.len() - 1;
    first[n].cursor = Some(Cursor::new(1, "p1"));
    provider.pages(first);
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    let again = scan(&texts(27, "second"));
    provider.answer(move |request, n| match (n, &request.cursor) {
        (0, Some(_)) => Ok(then(page_of(&texts(5, "second")), "half-way")),
        (1, Some(_)) => Err(Error::new(ErrorKind::CursorExpired, "demo.items", "gone")),
        (n, None) => Ok(again[n - 2].clone()),
        other => panic!("unexpected request {other:?}"),
    });
    let result = connection.sync_from_external(items()).await.expect("it runs");
    clean(&result);
    assert_eq!(result.counts.swept, 3);
    assert_eq!(rows(&syncline).await.len(), 27);
}

/// What a service answers to its n-th call.
type Answer = fn(usize) -> PullPage;

#[tokio::test]
async fn pages_that_lead_nowhere_end_in_an_error() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    // The same token for ever; a circle of three; empty pages without end.
    let cases: [(&str, Answer); 3] = [
        ("repeats its token", |_| then(page([("a", json!({ "id": "a" }))]), "same")),
        ("pages in a circle", |n| then(page([("a", json!({ "id": "a" }))]), ["x", "y", "z"][n % 3])),
        ("has empty pages without end", |n| then(page([]), format!("{n}"))),
    ];
    for (what, answer) in cases {
        provider.answer(move |_, n| Ok(answer(n)));
        let result = connection.sync_from_external(items()).await.expect("the run began");
        assert!(!result.success(), "a service that {what}");
        assert_eq!(result.errors[0].kind, ErrorKind::Decode, "a service that {what}: {}", messages(&result));
        assert!(provider.requests().len() < 3000);
    }
    // A few empty pages in between are how some services page.
    provider.answer(|_, n| Ok(if n < 5 { then(page([]), format!("{n}")) } else { last(page([("a", json!({ "id": "a" }))])) }));
    connection.enable().await.expect("enabled");
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
}

#[tokio::test]
async fn records_without_their_cursor_field_are_counted_and_shown() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    let mut pages = scan(&texts(3, "row"));
    pages[0].failures.push(RecordFailure::error("`updated_at` is null, so its place in the stream is unknown").of_record("r9"));
    pages[0].skipped = 1;
    pages[0].failures.push(RecordFailure::warning("no key").at_row(Some(7)));
    provider.pages(pages);
    let result = connection.sync_from_external(items()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 5, created: 3, failed: 1, skipped: 1, ..Counts::default() });
    assert_eq!(result.outcome, Outcome::Partial);
    let stored = syncline.workspace("acme").failures(result.run.expect("a run"), 10).await.expect("failures");
    assert_eq!(stored, result.failures);
    let said: Vec<String> = stored.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["Record r9: `updated_at` is null, so its place in the stream is unknown", "Row 7: no key"]);
}

#[tokio::test]
async fn a_limited_run_moves_no_cursor_and_deletes_nothing() {
    let world = World::new();
    let provider = Scripted::new("demo").described(|it| it.page_tokens = TokenLife::Durable(Duration::from_secs(3600)));
    let source = Source::new(4);
    provider.source(source.clone());
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for n in 0..20 {
        source.put("", Item::new(format!("r{n:02}"), start() - TimeDelta::seconds(100 - n), "first"));
    }
    let limited = connection.sync_from_external(items().limit(6)).await.expect("it runs");
    assert!(limited.success());
    assert!((6..=8).contains(&limited.counts.read), "to the page: {}", limited.counts.read);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_sync_cursors WHERE cursor_state IS NOT NULL OR page_token IS NOT NULL"), "0");
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    assert_eq!(rows(&syncline).await.len(), 20);
    let cursor = world.ask("SELECT cursor_state FROM syncline_sync_cursors");
    for n in 0..3 {
        source.remove("", &format!("r{n:02}"));
    }
    let limited = connection.sync_from_external(items().full().limit(100)).await.expect("it runs");
    assert_eq!((limited.counts.swept, rows(&syncline).await.len()), (0, 20), "even one that saw everything");
    assert_eq!(world.ask("SELECT cursor_state FROM syncline_sync_cursors"), cursor);
}

#[tokio::test]
async fn a_first_read_that_stopped_goes_on_at_its_durable_page() {
    let world = World::new();
    let provider = Scripted::new("demo").described(|it| it.page_tokens = TokenLife::Durable(Duration::from_secs(3600)));
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    let pages = scan(&texts(50, "row"));
    let first = pages.clone();
    provider.answer(
        move |_, n| if n < 3 { Ok(first[n].clone()) } else { Err(Error::new(ErrorKind::Transport, "demo.items", "the line is cut")) },
    );
    let result = connection.sync_from_external(items().commit_rows(1)).await.expect("the run began");
    assert_eq!((result.success(), result.counts.created), (false, 30), "what was committed stays");
    provider.answer(move |request, _| {
        let next = request.after.as_ref().map_or(0, |token| token.as_str()["after ".len()..].parse::<usize>().expect("our token") + 1);
        Ok(pages[next].clone())
    });
    let result = connection.sync_from_external(items().commit_rows(1)).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.created), (20, 20), "it went on where it stopped");
    assert_eq!(rows(&syncline).await.len(), 50);
    assert_eq!(result.counts.swept, 0, "rows that the first part of the scan has shown are not gone");
}

#[tokio::test]
async fn what_a_service_says_is_gone_goes() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.pages(scan(&texts(5, "row")));
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    provider.pages(vec![page([("r001", Value::Null), ("never seen", Value::Null), ("r002", json!({ "id": "r002", "text": "new" }))])]);
    let result = connection.sync_from_external(items()).await.expect("it runs");
    clean(&result);
    assert_eq!((result.counts.read, result.counts.deleted + result.counts.unchanged, result.counts.updated), (3, 2, 1));
    let rows = rows(&syncline).await;
    assert_eq!((rows.len(), rows.get("r001")), (4, None));
    let history = syncline.workspace("acme").lineage(TABLE, "r001", Some("text")).await.expect("history");
    let gone = history.last().expect("a line");
    assert_eq!((gone.previous_value.clone(), gone.new_value.clone()), (Some(json!("row 1")), None));
}

#[tokio::test]
async fn an_absent_field_keeps_the_stored_value_and_null_clears_it() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    for fields in [json!({ "a": 1, "b": "x", "c": "y" }), json!({ "a": 2 }), json!({ "c": null }), json!({ "b": "" })] {
        provider.pages(vec![page([("k", fields)])]);
        clean(&connection.sync_from_external(items()).await.expect("it runs"));
    }
    let query = EntityQuery { key: Some("k".into()), ..EntityQuery::default() };
    let row = syncline.workspace("acme").entities(TABLE, query).await.expect("rows").remove(0);
    assert_eq!((&row.fields["a"], &row.fields["b"]), (&json!(2), &json!("")));
    assert!(row.fields.get("c").is_none_or(Value::is_null), "{row:?}");
}

#[tokio::test]
async fn numbers_stay_exact_from_page_to_row() {
    let numbers = [
        "9007199254740993",
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "0.1",
        "12345678901234567890.123456789",
    ];
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.answer(move |_, _| {
        let mut batch = RecordBatch::default();
        let name = batch.name("value");
        for (n, number) in numbers.iter().enumerate() {
            let mut record = batch.record();
            record.made(name, number);
            record.finish(format!("n{n}"), Operation::Upsert, None);
        }
        Ok(last(PullPage::new(batch)))
    });
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    // Whatever form a column has, the digits that were sent are those that are kept.
    for (n, number) in numbers.iter().enumerate() {
        let stored = world.ask(&format!("SELECT CAST(value AS TEXT) FROM {TABLE} WHERE entity_id = 'n{n}'"));
        assert_eq!(stored, *number);
    }
    let again = connection.sync_from_external(items()).await.expect("it runs");
    assert_eq!(again.counts.unchanged, numbers.len() as u64);
}

#[tokio::test]
async fn a_run_that_is_not_ready_is_asked_again_after_the_wait() {
    let world = World::new();
    let provider = Scripted::new("demo");
    let syncline = world.open(provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.answer(|_, n| {
        Ok(match n {
            0..3 => {
                let mut waiting = page([]);
                waiting.next = Next::NotReady { after: Duration::from_secs(30), token: "report 7".into() };
                waiting
            }
            _ => last(page_of(&texts(2, "row"))),
        })
    });
    clean(&connection.sync_from_external(items()).await.expect("it runs"));
    assert_eq!(world.clock.slept().iter().filter(|wait| **wait == Duration::from_secs(30)).count(), 3);
    assert_eq!(rows(&syncline).await.len(), 2);
}

#[tokio::test]
async fn commits_are_as_large_as_the_setting_says() {
    let world = World::new();
    // No commit comes early because a second has passed.
    world.clock.hold(true);
    let (provider, storage) = (Scripted::new("demo"), Faulty::new(world.storage().await));
    let syncline = world.open_on(storage.clone(), provider.clone()).await;
    let connection = connect(&syncline).await;
    for (rows, commits) in [(50, 4), (10, 20), (2_000, 1)] {
        provider.pages(scan(&texts(200, &format!("commits of {rows}"))));
        storage.harm(None);
        clean(&connection.sync_from_external(items().full().commit_rows(rows)).await.expect("it runs"));
        let made = storage.calls().iter().filter(|name| **name == "commit").count();
        assert_eq!(made, commits, "200 rows, {rows} at a time");
    }
}

#[tokio::test]
async fn memory_is_bounded_however_far_the_service_is_ahead() {
    // The committer stands still, so the lanes have to.
    let world = World::new();
    let provider = Scripted::new("demo").described(|it| it.lanes = 3);
    provider.partitions("items", &["a", "b", "c", "d", "e"], true);
    let storage = world.storage().await;
    let held = Arc::new(std::sync::Barrier::new(2));
    let (hook, commits) = (Arc::clone(&held), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&commits);
    storage.on_commit(move |_, _| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            hook.wait();
            hook.wait();
        }
        Ok(())
    });
    let syncline = world.open_on(storage, provider.clone()).await;
    let connection = connect(&syncline).await;
    provider.answer(|request, n| {
        let partition = request.partition.id.as_str();
        let done = request.after.as_ref().map_or(0, |token| token.as_str().parse::<usize>().expect("a number"));
        let record = page([(format!("{partition}{n}").as_str(), json!({ "id": n, "text": "x" }))]);
        Ok(if done == 200 { last(record) } else { then(record, (done + 1).to_string()) })
    });
    let run = tokio::spawn({
        let connection = connection.clone();
        async move { connection.sync_from_external(items().commit_rows(1)).await }
    });
    let barrier = Arc::clone(&held);
    tokio::task::spawn_blocking(move || barrier.wait()).await.expect("the first commit is held");
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let ahead = provider.requests().len();
    assert!(ahead <= 3 + 2 + 1 + 3, "{ahead} pages were asked for while the first is being written");
    tokio::task::spawn_blocking(move || held.wait()).await.expect("it goes on");
    let result: SyncResult = run.await.expect("no panic").expect("it runs");
    assert_eq!(result.counts.read, 5 * 201);
    assert_eq!(syncline.workspace("acme").run(result.run.expect("a run")).await.expect("the run").status, RunStatus::Completed);
}

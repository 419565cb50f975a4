//! What a push writes down before and after each call, and that it stands or falls as one.

use storage_postgres::PostgresStorage;
use sync_core::{
    Counts, ErrorKind, Marker, Operation, PushMode, RecordFailure, RunError, RunId,
    store::{Feed, Fence, Intent, IntentFilter, IntentState, PushCommit, PushLink, PushMemory, RunStatus, Settled, Shape},
};

use crate::push_support::*;

fn link(id: &str, hash: u64) -> PushLink {
    PushLink { id: Some(id.into()), hash: Some(hash), version: Some("v1".into()) }
}

fn full(key: &str) -> Intent {
    Intent {
        key: key.into(),
        marker: Marker::from("m2"),
        operation: Operation::Delete,
        mode: PushMode::Update,
        fields: "{}".into(),
        hash: 1 << 63,
        id: Some("rec".into()),
        version: Some("\"5\"".into()),
        state: IntentState::Failed,
        attempts: 3,
        sent_at: at(4),
        looks: 2,
        looked_at: Some(at(5)),
        next_at: Some(at(6)),
        handle: Some("job 7".into()),
        error: Some(RunError { kind: ErrorKind::Invalid, message: "no".into(), hint: "do".into(), partition: None }),
        run: RunId(77),
    }
}

/// A step that does everything a step can.
fn everything(push: &Push) -> PushCommit {
    PushCommit {
        begun: vec![push.intent("new", IntentState::Sending)],
        settled: vec![
            Settled::Accepted { key: "taken".into(), link: link("id taken", 5) },
            Settled::Deleted { key: "gone".into() },
            Settled::Dropped { key: "dropped".into() },
            Settled::Open(Box::new(full("open"))),
        ],
        counts: Counts { read: 5, created: 1, deleted: 1, skipped: 1, failed: 1, unsettled: 1, ..Counts::default() },
        failures: vec![RecordFailure::error("refused").of_record("open")],
        events: vec![r#"{"type":"pushed"}"#.into()],
        memory: Some(PushMemory {
            shape: Some(Shape { fingerprint: "f".into(), fields: vec!["b".into(), "a".into()], key: vec!["a".into()] }),
            version: Some("\"2026\"".into()),
        }),
        ..push.commit.clone()
    }
}

/// Rows under way and links that [`everything`] is about.
async fn prepared(storage: &PostgresStorage) -> Push {
    let push = push(storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    let settled = ["taken", "gone", "dropped"].map(|key| Settled::Accepted { key: key.into(), link: link("old", 1) });
    push.journal(Vec::new(), settled.into()).await;
    let begun = ["taken", "gone", "dropped", "open"].map(|key| push.intent(key, IntentState::Sending));
    push.journal(begun.into(), Vec::new()).await;
    push
}

#[tokio::test]
async fn a_step_is_kept_as_it_was_said() {
    let site = Site::new().await;
    let push = prepared(&site.storage).await;
    let step = everything(&push);
    push.store.journal(step.clone()).await.expect("written");
    assert_eq!(push.intents(IntentFilter::default()).await, [push.intent("new", IntentState::Sending), full("open")]);
    assert_eq!(push.link("taken").await, Some(link("id taken", 5)));
    assert_eq!(push.link("gone").await, None);
    assert_eq!(push.link("dropped").await, Some(link("old", 1)), "what was left out is there as it was");
    assert_eq!(push.store.push_memory(&push.commit.feed).await.expect("read"), step.memory.clone().expect("said"));
    assert_eq!(push.store.failures(push.commit.fence.run, 9).await.expect("read"), step.failures);
    let events = push.store.events(0, 9).await.expect("read");
    assert_eq!(events.iter().map(|event| &*event.body).collect::<Vec<_>>(), [r#"{"type":"pushed"}"#]);
    let run = push.store.run(push.commit.fence.run).await.expect("read").expect("there");
    assert_eq!(run.counts, step.counts);
    // A step that says nothing about memory leaves it; one that forgets the shape forgets it.
    push.journal(Vec::new(), Vec::new()).await;
    assert_eq!(push.store.push_memory(&push.commit.feed).await.expect("read"), step.memory.expect("said"));
    let memory = PushMemory { shape: None, version: Some("6".into()) };
    push.store.journal(PushCommit { memory: Some(memory.clone()), ..push.commit.clone() }).await.expect("written");
    assert_eq!(push.store.push_memory(&push.commit.feed).await.expect("read"), memory);
}

#[tokio::test]
async fn a_step_delivered_again_changes_nothing_but_the_counts() {
    let site = Site::new().await;
    let push = prepared(&site.storage).await;
    let step = everything(&push);
    push.store.journal(step.clone()).await.expect("written");
    let once = site.dump().await;
    push.store.journal(PushCommit { at: at(50), ..step.clone() }).await.expect("written");
    assert_eq!(site.dump().await, once);
    let run = push.store.end_run(push.commit.fence, run_end(RunStatus::Completed)).await.expect("ends");
    assert_eq!((run.counts.unsettled, run.counts.read), (2, 10));
}

#[tokio::test]
async fn a_row_has_one_write_under_way_and_the_last_one_said_stands() {
    let site = Site::new().await;
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    push.journal(vec![push.intent("a", IntentState::Sending)], Vec::new()).await;
    let second = Intent { marker: "m9".into(), attempts: 2, ..push.intent("a", IntentState::Unknown) };
    push.journal(Vec::new(), vec![Settled::Open(Box::new(second.clone()))]).await;
    assert_eq!(push.intents(IntentFilter::default()).await, [second]);
    // Accepted, changed since, and on its way again, all in one step.
    let third = Intent { marker: "m10".into(), ..push.intent("a", IntentState::Sending) };
    push.journal(vec![third.clone()], vec![Settled::Accepted { key: "a".into(), link: link("r", 3) }]).await;
    assert_eq!((push.intents(IntentFilter::default()).await, push.link("a").await), (vec![third], Some(link("r", 3))));
    // The same key of another feed is another row.
    let other = crate::push_support::push(&site.storage, "acme", &mapped_feed("c2", "s", "m"), &target("x_s")).await;
    other.journal(Vec::new(), vec![Settled::Deleted { key: "a".into() }]).await;
    assert_eq!((push.intents(IntentFilter::default()).await.len(), other.link("a").await), (1, None));
    assert_eq!(push.link("a").await, Some(link("r", 3)));
}

#[tokio::test]
async fn a_step_that_fails_in_the_middle_writes_nothing() {
    let site = Site::new().await;
    let push = prepared(&site.storage).await;
    let books = async || {
        let mut books = site.dump().await;
        for table in ["sync_runs", "sync_events", "sync_failures"] {
            // The lease is kept alive by itself.
            books.extend(site.column(&format!("SELECT (to_jsonb(t) - 'lease_until')::text FROM syncline.{table} t ORDER BY 1")).await);
        }
        books
    };
    let before = books().await;
    // Everything is written, and the thread is stopped.
    site.storage.on_crash_point(|at| assert_ne!(at, "w11", "stopped"));
    let (store, step) = (std::sync::Arc::clone(&push.store), everything(&push));
    tokio::spawn(async move { store.journal(step).await }).await.expect_err("stopped");
    assert_eq!(books().await, before);
    site.storage.on_crash_point(|_| {});
    // Each table in turn refuses.
    site.execute("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX001', MESSAGE = 'no room'; END $$").await;
    for (table, what) in [
        ("push_links", "INSERT"),
        ("push_links", "DELETE"),
        ("push_intents", "DELETE"),
        ("push_intents", "INSERT"),
        ("push_memory", "INSERT"),
        ("sync_runs", "UPDATE"),
        ("sync_failures", "INSERT"),
        ("sync_events", "INSERT"),
    ] {
        site.execute(&format!("CREATE TRIGGER no BEFORE {what} ON syncline.{table} FOR EACH ROW EXECUTE FUNCTION no()")).await;
        let error = push.store.journal(everything(&push)).await.expect_err("refused");
        assert!(error.to_string().contains("XX001"), "{error}");
        site.execute(&format!("DROP TRIGGER no ON syncline.{table}")).await;
        assert_eq!(books().await, before, "{what} {table}");
    }
    push.store.journal(everything(&push)).await.expect("goes through");
    assert_ne!(books().await, before);
}

#[tokio::test]
async fn a_run_that_ended_or_is_another_ones_writes_nothing() {
    let site = Site::new().await;
    let push = prepared(&site.storage).await;
    let before = site.dump().await;
    let fence = push.commit.fence;
    for fence in [Fence { token: fence.token + 1, ..fence }, Fence { run: RunId(99), ..fence }] {
        let error = push.store.journal(PushCommit { fence, ..everything(&push) }).await.expect_err("fenced");
        assert_eq!(error.kind(), ErrorKind::LeaseLost);
    }
    push.store.end_run(fence, run_end(RunStatus::Cancelled)).await.expect("ends");
    assert_eq!(push.store.journal(everything(&push)).await.expect_err("fenced").kind(), ErrorKind::LeaseLost);
    assert_eq!(site.dump().await, before);
}

#[tokio::test]
async fn what_leaves_is_on_the_disk_before_the_answer() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE witness (setting text); GRANT INSERT ON witness TO PUBLIC; \
         CREATE FUNCTION leaves() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN INSERT INTO public.witness VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; \
         CREATE TRIGGER leaves AFTER INSERT ON syncline.push_intents FOR EACH ROW EXECUTE FUNCTION leaves()",
    )
    .await;
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    push.journal(vec![push.intent("a", IntentState::Sending)], Vec::new()).await;
    assert_eq!(site.column("SELECT setting FROM witness").await, ["on"]);
}

#[tokio::test]
async fn unconfirmed_writes_are_listed_by_feed_and_key() {
    let site = Site::new().await;
    let states = [IntentState::Sending, IntentState::Unknown, IntentState::Pending, IntentState::Failed, IntentState::Conflict];
    let feeds = [mapped_feed("c1", "t", ""), mapped_feed("c1", "s", "n"), mapped_feed("c2", "a", ""), mapped_feed("c1", "s", "m")];
    let mut store = None;
    for feed in &feeds {
        let push = push(&site.storage, "acme", feed, &target("x_s")).await;
        let begun = (0..5).rev().map(|n| push.intent(&format!("k{n}"), states[n])).collect();
        push.journal(begun, Vec::new()).await;
        push.store.end_run(push.commit.fence, run_end(RunStatus::Completed)).await.expect("ends");
        store = Some(push.store);
    }
    let store = store.expect("a store");
    let list = async |filter: IntentFilter| {
        let found = store.intents(filter).await.expect("read");
        let line = |(feed, intent): &(Feed, Intent)| format!("{} {}{} {}", feed.connection, feed.stream, feed.mapping, intent.key);
        found.iter().map(line).collect::<Vec<_>>()
    };
    let all = list(IntentFilter::default()).await;
    let expected: Vec<String> =
        ["c1 sm", "c1 sn", "c1 t", "c2 a"].iter().flat_map(|feed| (0..5).map(move |n| format!("{feed} k{n}"))).collect();
    assert_eq!(all, expected);
    assert_eq!(list(IntentFilter { connection: Some("c1".into()), ..IntentFilter::default() }).await, all[..15]);
    assert_eq!(list(IntentFilter { feed: Some(feeds[1].clone()), ..IntentFilter::default() }).await, all[5..10]);
    let both = IntentFilter { feed: Some(feeds[1].clone()), connection: Some("c2".into()), ..IntentFilter::default() };
    assert!(list(both).await.is_empty());
    let some = IntentFilter { states: vec![IntentState::Unknown, IntentState::Conflict], ..IntentFilter::default() };
    assert_eq!(list(some.clone()).await, [1, 4, 6, 9, 11, 14, 16, 19].map(|at| all[at].clone()));
    let keyed = IntentFilter { keys: ["k4", "k1", "k1", "zz", "k2"].map(Box::from).into(), ..some };
    assert_eq!(list(IntentFilter { connection: Some("c2".into()), ..keyed.clone() }).await, [16, 19].map(|at| all[at].clone()));
    // Page by page, with and without keys.
    for filter in [IntentFilter::default(), keyed] {
        let whole = list(filter.clone()).await;
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.intents(IntentFilter { after, limit: 3, ..filter.clone() }).await.expect("read");
            assert!(page.len() <= 3);
            after = page.last().map(|(feed, intent)| (feed.clone(), intent.key.clone()));
            if after.is_none() {
                break;
            }
            paged.extend(page.iter().map(|(feed, intent)| format!("{} {}{} {}", feed.connection, feed.stream, feed.mapping, intent.key)));
        }
        assert_eq!(paged, whole);
    }
}

#[tokio::test]
async fn a_filter_without_a_limit_lists_a_hundred() {
    let site = Site::new().await;
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    push.journal((0..103).map(|n| push.intent(&format!("k{n:03}"), IntentState::Unknown)).collect(), Vec::new()).await;
    let first = push.intents(IntentFilter::default()).await;
    assert_eq!((first.len(), &*first[99].key), (100, "k099"));
}

#[tokio::test]
async fn rows_are_found_by_the_records_they_are_linked_to() {
    let site = Site::new().await;
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    let accepted = |key: &str, id: Option<&str>| Settled::Accepted {
        key: key.into(),
        link: PushLink { id: id.map(Into::into), ..PushLink::default() },
    };
    push.journal(Vec::new(), vec![accepted("a", Some("1")), accepted("b", Some("2")), accepted("c", None), accepted("d", Some("1"))]).await;
    let ids = ["2", "9", "1", ""].map(Into::into);
    let found = push.store.linked_keys(&push.commit.feed, &ids).await.expect("read");
    assert_eq!(found, [Some("b".into()), None, Some("a".into()), None]);
    push.journal(Vec::new(), vec![Settled::Deleted { key: "a".into() }, accepted("b", Some("3"))]).await;
    let found = push.store.linked_keys(&push.commit.feed, &["1".into(), "2".into(), "3".into()]).await.expect("read");
    assert_eq!(found, [Some("d".into()), None, Some("b".into())]);
    let links = push.store.push_links(&push.commit.feed, &["b".into(), "a".into(), "c".into()]).await.expect("read");
    assert_eq!(links.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    let nothing = mapped_feed("c9", "s", "m");
    assert_eq!(push.store.linked_keys(&nothing, &["1".into()]).await.expect("read"), [None]);
    assert_eq!(push.store.push_links(&nothing, &["b".into()]).await.expect("read"), [None]);
}

//! Commits of one run, two at a time: they take effect in order, each only if all before it did.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use sync_core::store::{CursorMove, PageCommit};

use crate::push_support::*;

/// What happens to a commit in its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    GoesThrough,
    /// The transaction is begun anew.
    Deadlocks,
    Fails,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::GoesThrough), 2 => Just(Fate::Deadlocks), 1 => Just(Fate::Fails)]
}

async fn holds(site: &Site, number: u64, commits: &[(Fate, Vec<u8>)]) {
    let feed = feed("c1", &format!("s{number}"));
    let run = begin(&site.storage, "acme", &feed, &target(&format!("x_s{number}"))).await;
    let page = |n: usize, (fate, keys): &(Fate, Vec<u8>)| {
        let mark = match fate {
            Fate::GoesThrough => "good",
            Fate::Deadlocks => "again",
            Fate::Fails => "bad",
        };
        let own = format!("{mark}/{number}/{n}");
        let shared: Vec<String> = keys.iter().map(|key| format!("k{key}")).collect();
        let mut rows = vec![up(&own, json!({"n": n}))];
        rows.extend(shared.iter().map(|key| up(key, json!({"n": n, "new": format!("{n}")}))));
        let cursor = CursorMove { partition: "".into(), cursor: Some(sync_core::Cursor::new(1, n.to_string())), page: None, scan: 1 };
        PageCommit {
            scan: Some(1),
            cursors: vec![cursor],
            events: vec![json!({"type": "page", "n": n}).to_string().into()],
            ..run.page(vec![part("", batch(&rows))])
        }
    };
    let pages: Vec<PageCommit> = commits.iter().enumerate().map(|(n, commit)| page(n, commit)).collect();
    let done: Vec<bool> = stream::iter(pages)
        .map(|page| run.store.commit(page))
        .buffered(run.store.commits_at_once())
        .map(|done| done.is_ok())
        // As the engine does, nothing new is handed over after a failure.
        .scan(false, |failed, ok| {
            let go_on = !*failed;
            *failed |= !ok;
            futures_util::future::ready(go_on.then_some(ok))
        })
        .collect()
        .await;
    let expected = commits.iter().position(|(fate, _)| *fate == Fate::Fails).unwrap_or(commits.len());
    assert_eq!(done.iter().filter(|ok| **ok).count(), expected, "{commits:?}");
    // The one in flight behind a failed one has ended too.
    let cursor = site.column(&format!("SELECT cursor_state FROM syncline.sync_cursors WHERE stream = 's{number}'")).await;
    assert_eq!(cursor, expected.checked_sub(1).map(|n| n.to_string()).into_iter().collect::<Vec<_>>(), "{commits:?}");
    let table = run.table().await;
    let mut model = std::collections::BTreeMap::new();
    for (n, (fate, keys)) in commits.iter().enumerate().take(expected) {
        let mark = if *fate == Fate::Deadlocks { "again" } else { "good" };
        model.insert(format!("{mark}/{number}/{n}"), json!({"n": n}));
        for key in keys {
            model.insert(format!("k{key}"), json!({"n": n, "new": format!("{n}")}));
        }
    }
    assert_eq!(table, model, "{commits:?}");
    let events = site.column(&format!("SELECT e.body FROM syncline.sync_events e WHERE run_id = {} ORDER BY seq", run.fence.run)).await;
    let told: Vec<String> = (0..expected).map(|n| json!({"type": "page", "n": n}).to_string()).collect();
    assert_eq!(events, told, "each once and in order");
    let commits_counted = site.column(&format!("SELECT commits::text FROM syncline.sync_runs WHERE id = {}", run.fence.run)).await;
    assert_eq!(commits_counted, [expected.to_string()]);
}

#[test]
fn a_cursor_never_covers_rows_that_are_not_there() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let site = runtime.block_on(Site::new());
    let (again, number) = (Arc::new(std::sync::Mutex::new(std::collections::HashSet::new())), AtomicU64::new(0));
    site.storage.on_commit(move |connection, committed| {
        let again = Arc::clone(&again);
        async move {
            if committed.written.iter().any(|key| key.starts_with("bad")) {
                return Err("planted".into());
            }
            let first = committed.written.iter().find(|key| key.starts_with("again"));
            let fresh = first.is_some_and(|key| again.lock().expect("no holder panics").insert(key.clone()));
            if fresh {
                sqlx::raw_sql("DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '40P01'; END $$").execute(connection).await?;
            }
            Ok(())
        }
        .boxed()
    });
    let commits = prop::collection::vec((fate(), prop::collection::vec(0u8..6, 0..3)), 1..8);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&commits, |commits| {
        let mut commits = commits;
        commits.iter_mut().for_each(|(_, keys)| {
            keys.sort_unstable();
            keys.dedup();
        });
        runtime.block_on(holds(&site, number.fetch_add(1, Ordering::Relaxed), &commits));
        Ok(())
    });
    ran.expect("the rule holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_waits_for_the_one_before_although_its_own_rows_are_ready() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("first", json!({"n": 1}))]).await;
    // The hook of the earlier one waits until the later one has written its rows, which another connection sees by its locks.
    let (seen, wait) = (Arc::new(AtomicBool::new(false)), site.database.connection().await);
    let wait = Arc::new(tokio::sync::Mutex::new(wait));
    let told = Arc::clone(&seen);
    site.storage.on_commit(move |_, committed| {
        let (wait, told, slow) = (Arc::clone(&wait), Arc::clone(&told), committed.written.iter().any(|key| &**key == "slow"));
        async move {
            for _ in 0..400 {
                if !slow || told.load(Ordering::Relaxed) {
                    break;
                }
                let held: i64 = sqlx::query_scalar(
                    "SELECT count(DISTINCT pid) FROM pg_locks WHERE relation = 'syncline.x_s'::regclass AND mode = 'RowExclusiveLock' AND granted",
                )
                .fetch_one(&mut *wait.lock().await)
                .await?;
                told.store(held == 2, Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Ok(())
        }
        .boxed()
    });
    let slow = run.store.commit(run.page(vec![part("", batch(&[up("slow", json!({"n": 1}))]))]));
    let quick = run.store.commit(run.page(vec![part("", batch(&[up("quick", json!({"n": 1}))]))]));
    let (slow, quick) = futures_util::future::join(slow, quick).await;
    slow.expect("the first goes through");
    quick.expect("the second goes through");
    assert!(seen.load(Ordering::Relaxed), "their rows were not written side by side");
}

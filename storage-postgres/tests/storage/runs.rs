//! Runs: one at a time, ended once, and their events in order.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;
use sync_core::{
    Error, ErrorKind, RunError, RunId,
    store::{Begin, NewActivity, NewRun, PageCommit, RunFilter, RunStatus, Storage as _},
};

use crate::{
    push_support::{at, batch, begin, feed, new_run, part, run_end, target, up},
    support::{builder, fresh},
};

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_that_begin_at_once_over_two_storages_one_starts_and_all_others_see_it() {
    let (database, one) = fresh().await;
    let two = builder(&database).open().await.expect("opens");
    let all = tokio::spawn(futures_util::future::join_all((0..64).map(|n| {
        let store = if n % 2 == 0 { &one } else { &two }.workspace(&"acme".into());
        tokio::spawn(async move { store.begin_run(new_run(&feed("c1", "s"), &target("x_s"))).await.expect("an answer") })
    })));
    let (mut started, mut seen) = (Vec::new(), BTreeSet::new());
    for begun in all.await.expect("joined") {
        match begun.expect("joined") {
            Begin::Started(fence) => started.push(fence.run),
            Begin::Busy(run) => {
                assert_eq!(run.status, RunStatus::Running);
                seen.insert(run.id);
            }
        }
    }
    assert_eq!(started.len(), 1, "{started:?}");
    assert_eq!(seen, BTreeSet::from([started[0]]));
    let runs = one.workspace(&"acme".into()).runs(RunFilter::default()).await.expect("runs");
    assert_eq!(runs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_exclusive_runs_of_many_streams_that_begin_at_once_one_starts() {
    let (_database, storage) = fresh().await;
    let begun = futures_util::future::join_all((0..16).map(|n| {
        let store = storage.workspace(&"acme".into());
        let new = NewRun { exclusive: true, ..new_run(&feed("c1", &format!("s{n}")), &target("x_s")) };
        async move { store.begin_run(new).await.expect("an answer") }
    }));
    let started = begun.await.iter().filter(|begun| matches!(begun, Begin::Started(_))).count();
    assert_eq!(started, 1);
}

#[tokio::test]
async fn an_end_that_is_repeated_answers_the_same_and_counts_once() {
    let (_database, storage) = fresh().await;
    let acme = storage.workspace(&"acme".into());
    acme.connect(crate::connections::connection("c1", "acc")).await.expect("connected");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let end = run_end(RunStatus::Failed);
    let first = acme.end_run(run.fence, end.clone()).await.expect("it ends");
    // As when the answer to the commit was lost.
    assert_eq!(acme.end_run(run.fence, end.clone()).await.expect("it has ended so"), first);
    let connection = acme.connection(&"c1".into()).await.expect("read").expect("there");
    assert_eq!(connection.error_count, 1);
    let other = sync_core::store::RunEnd { at: at(58), ..end };
    let refused = acme.end_run(run.fence, other).await.expect_err("another end");
    assert_eq!(refused.kind(), ErrorKind::LeaseLost);
}

#[tokio::test]
async fn texts_of_the_host_that_hold_a_nul_are_refused_with_the_reason() {
    let (_database, storage) = fresh().await;
    let acme = storage.workspace(&"acme".into());
    let nul = "a\0b";
    let begun = acme.begin_run(NewRun { triggered_by: nul.into(), ..new_run(&feed("c1", "s"), &target("x_s")) }).await;
    let mut new = crate::connections::connection("c1", "acc");
    new.settings = json!({"channel": nul});
    let connected = acme.connect(new).await;
    let logged = acme
        .log_activity(NewActivity {
            integration: "slack".into(),
            connection: None,
            action: nul.into(),
            success: true,
            records_affected: 0,
            error: None,
            metadata: json!({}),
            at: at(0),
        })
        .await;
    for refused in [begun.map(drop).expect_err("a NUL"), connected.map(drop).expect_err("a NUL"), logged.expect_err("a NUL")] {
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        assert!(refused.to_string().contains("NUL"), "{refused}");
        assert!(!refused.to_string().contains(nul), "{refused}");
    }
}

/// Readers that follow the log while many runs of one workspace commit must meet every event: one that gets a smaller number than
/// another that was seen before is never read.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_follows_the_events_skips_none_while_many_commit() {
    const RUNS: usize = 6;
    const COMMITS: usize = 12;
    let (database, storage) = fresh().await;
    let beside = builder(&database).open().await.expect("opens");
    let reader = {
        let acme = beside.workspace(&"acme".into());
        tokio::spawn(async move {
            let (mut after, mut seen) = (0, Vec::new());
            while seen.len() < RUNS * COMMITS * 2 {
                for event in acme.events(after, 7).await.expect("events") {
                    assert!(event.seq > after, "numbers grow");
                    after = event.seq;
                    seen.push((event.run, event.body.to_string()));
                }
                tokio::task::yield_now().await;
            }
            seen
        })
    };
    let writers = futures_util::future::join_all((0..RUNS).map(|n| {
        let storage = if n % 2 == 0 { storage.clone() } else { beside.clone() };
        tokio::spawn(async move {
            let run = begin(&storage, "acme", &feed(&format!("c{n}"), "s"), &target("x_s")).await;
            for commit in 0..COMMITS {
                let rows: Vec<(String, serde_json::Value)> = (0..(n * 5) % 7).map(|row| (format!("{row}"), json!({"n": commit}))).collect();
                let rows: Vec<_> = rows.iter().map(|(key, fields)| up(key, fields.clone())).collect();
                let events = (0..2).map(|half| format!("{{\"type\":\"{commit}.{half}\"}}").into()).collect();
                let page = PageCommit { events, ..run.page(vec![part("", batch(&rows))]) };
                run.store.commit(page).await.expect("it commits");
            }
            run.fence.run
        })
    }));
    let runs: Vec<RunId> = writers.await.into_iter().map(|run| run.expect("joined")).collect();
    let seen = tokio::time::timeout(std::time::Duration::from_secs(20), reader).await.expect("no event is skipped").expect("joined");
    for run in runs {
        let own: Vec<&String> = seen.iter().filter(|(whose, _)| *whose == Some(run)).map(|(_, body)| body).collect();
        let expected: Vec<String> =
            (0..COMMITS).flat_map(|commit| [0, 1].map(|half| format!("{{\"type\":\"{commit}.{half}\"}}"))).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>(), "the events of one run, in their order");
    }
    let _ = Arc::new(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_whatever_its_error_says() {
    let (_database, storage) = fresh().await;
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let mut end = run_end(RunStatus::Failed);
    end.errors = vec![RunError { message: "it said \0 twice: \0".into(), ..RunError::new(&Error::new(ErrorKind::Invalid, "x", "y")) }];
    let ended = run.store.end_run(run.fence, end.clone()).await.expect("it is written");
    assert_eq!(&*ended.errors[0].message, "it said \u{fffd} twice: \u{fffd}");
    assert_eq!(run.store.end_run(run.fence, end).await.expect("the same end is known again"), ended);
}

//! Leases: who is alive keeps its runs, who is paused, gone or killed does not.

use std::time::Duration;

use serde_json::json;
use storage_postgres::PostgresStorage;
use sync_core::{
    ErrorKind,
    store::{Begin, RunFilter, RunStatus, Storage as _},
};
use sync_testkit::{crash, crash::Crash, postgres::TestDatabase};
use tokio::runtime::{Builder, Runtime};

use crate::{
    push_support::{at, batch, begin, feed, new_run, part, run_end, target, up},
    support::{builder, fresh},
};

const SHORT: Duration = Duration::from_millis(300);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn tries(storage: &PostgresStorage) -> Begin {
    storage.workspace(&"acme".into()).begin_run(new_run(&feed("c1", "s"), &target("x_s"))).await.expect("an answer")
}

/// Tries until the stream is free; answers how long that took.
async fn until_free(storage: &PostgresStorage) -> Duration {
    let began = std::time::Instant::now();
    while let Begin::Busy(_) = tries(storage).await {
        assert!(began.elapsed() < Duration::from_secs(5), "the stream is never free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

#[test]
fn a_worker_that_was_paused_past_its_lease_is_refused_everything() {
    // Nothing runs on a runtime that nobody drives: neither the worker nor its signs of life.
    let (paused, alive) = (runtime(), runtime());
    let database = alive.block_on(TestDatabase::create());
    let (storage, run) = paused.block_on(async {
        let storage = builder(&database).lease(SHORT).open().await.expect("opens");
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.commit(&[up("a", json!({"n": 1}))]).await;
        (storage, run)
    });
    let other = alive.block_on(async {
        let other = builder(&database).lease(SHORT).open().await.expect("opens");
        assert!(matches!(tries(&other).await, Begin::Busy(_)), "the lease has not run out");
        until_free(&other).await;
        other
    });
    paused.block_on(async {
        let page = run.page(vec![part("", batch(&[up("b", json!({"n": 2}))]))]);
        let refused = run.store.commit(page).await.expect_err("it was taken over");
        assert_eq!(refused.kind(), ErrorKind::LeaseLost, "{refused}");
        let refused = run.store.end_run(run.fence, run_end(RunStatus::Completed)).await.expect_err("it was taken over");
        assert_eq!(refused.kind(), ErrorKind::LeaseLost, "{refused}");
        assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), ["a"]);
        drop((storage, run));
    });
    alive.block_on(async {
        let runs = other.workspace(&"acme".into()).runs(RunFilter::default()).await.expect("runs");
        assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Running, RunStatus::Failed]);
        assert_eq!(runs[1].counts.created, 1, "what it committed stands");
    });
}

#[tokio::test]
async fn a_worker_that_is_alive_keeps_its_run_past_its_lease() {
    let database = TestDatabase::create().await;
    let storage = builder(&database).lease(SHORT).open().await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let other = builder(&database).open().await.expect("opens");
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(other.fleet().reap().await.expect("reaps"), 0);
    assert!(matches!(tries(&other).await, Begin::Busy(_)));
    run.commit(&[up("a", json!({"n": 1}))]).await;
    run.end().await;
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_until_the_lease_ends() {
    let database = TestDatabase::create().await;
    let storage = builder(&database).lease(Duration::from_millis(800)).open().await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let mut host = database.connection().await;
    let mut say = async |sql: &'static str| sqlx::raw_sql(sql).execute(&mut host).await.map(drop).expect("done");
    say("REVOKE UPDATE ON syncline.sync_runs FROM syncline_fleet").await;
    // Longer than two renewals are apart.
    tokio::time::sleep(Duration::from_millis(500)).await;
    say("GRANT UPDATE ON syncline.sync_runs TO syncline_fleet").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    run.commit(&[up("a", json!({"n": 1}))]).await;
    run.end().await;
}

#[tokio::test]
async fn with_the_last_handle_its_streams_are_free_at_once_and_nothing_of_it_goes_on() {
    let (database, storage) = fresh().await;
    let other = builder(&database).open().await.expect("opens");
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    drop(storage);
    assert!(matches!(tries(&other).await, Begin::Busy(_)), "a store is a handle too");
    drop(run);
    assert!(matches!(tries(&other).await, Begin::Started(_)), "the lease was of a minute, and was given back");
    let began = std::time::Instant::now();
    // That of the other one's signs of life, and those of its pool.
    while tasks.num_alive_tasks() >= before {
        assert!(began.elapsed() < Duration::from_secs(5), "{} tasks are left of {before}", tasks.num_alive_tasks());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Not a test of its own: what a child process does. Without an order it has nothing to do.
#[test]
fn child() {
    let Some(url) = crash::order() else { return };
    runtime().block_on(async {
        let storage = PostgresStorage::builder(url).max_connections(2).lease(SHORT).open().await.expect("opens");
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.commit(&[up("a", json!({"n": 1}))]).await;
        crash::point("committed");
    });
}

#[tokio::test]
async fn a_run_whose_process_was_killed_is_free_after_its_lease() {
    let (database, storage) = fresh().await;
    Crash::child("leases::child").kill_at(&database.url(), "committed", 1).await;
    let waited = until_free(&storage).await;
    assert!(waited <= SHORT + Duration::from_millis(500), "{waited:?}");
    let runs = storage.workspace(&"acme".into()).runs(RunFilter::default()).await.expect("runs");
    assert_eq!(runs.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Running, RunStatus::Failed]);
    assert!(runs[1].completed_at > Some(at(0)) && !runs[1].errors.is_empty(), "{:?}", runs[1]);
}

#[tokio::test]
async fn many_runs_that_nobody_owns_any_more_are_reaped_in_batches_by_two_at_once() {
    let (database, storage) = fresh().await;
    let mut host = database.connection().await;
    let lost = "INSERT INTO syncline.sync_runs (workspace_id, connection_id, stream, mapping, entity_type, direction, job_type, status, \
         lease_token, lease_until, owner, started_at, triggered_by, created_at) \
         SELECT 'w' || n % 7, 'c' || n, 's', '', 'x', 'from_external', 'full', 'running', n, now() - interval '1 second', 'gone', now(), 'me', now() \
         FROM generate_series(1, 1203) n";
    sqlx::raw_sql(lost).execute(&mut host).await.expect("runs are made");
    let other = builder(&database).open().await.expect("opens");
    let (one, two) = (storage.fleet(), other.fleet());
    let (one, two) = tokio::join!(one.reap(), two.reap());
    assert_eq!(one.expect("reaps") + two.expect("reaps"), 1203);
    assert_eq!(storage.fleet().reap().await.expect("reaps"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_owner_is_just_being_ended_is_waited_for_a_moment() {
    let (database, storage) = fresh().await;
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let other = builder(&database).deadline(Duration::from_millis(600)).open().await.expect("opens");
    let mut owner = database.connection().await;
    // The lease has run out, and what is left of its owner still holds the run.
    let sql = "UPDATE syncline.sync_runs SET lease_until = clock_timestamp() - interval '1 s'";
    sqlx::raw_sql(sql).execute(&mut owner).await.expect("it has run out");
    let hold = "BEGIN; SELECT FROM syncline.sync_runs FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut owner).await.expect("held");
    assert!(
        matches!(tries(&other).await, Begin::Busy(busy) if busy.id == run.fence.run),
        "one that is not let go is told of, not waited for"
    );
    let gone = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(owner);
    });
    assert!(matches!(tries(&other).await, Begin::Started(_)), "one that is let go is ended at once");
    gone.await.expect("it went");
}

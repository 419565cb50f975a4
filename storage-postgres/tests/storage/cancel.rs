//! Ten thousand calls of two workspaces over a few connections, many of them dropped half-way (reliability: TN4).
//!
//! No call sees or changes a row of the other workspace, what was acknowledged stays, and no connection is left in a transaction.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use storage_postgres::PostgresStorage;
use sync_core::store::{EntityQuery, PageCommit, RunFilter, RunStatus};
use sync_testkit::postgres::TestDatabase;
use tokio::task::JoinSet;

use crate::{
    push_support::{Run, at, batch, begin, feed, part, run_end, target, up},
    support::migrated,
};

/// Calls in all.
const CALLS: u64 = 10_000;
/// Tasks that make them.
const TASKS: u64 = 8;

/// Random numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What was acknowledged: per workspace and key the greatest value.
type Acknowledged = Arc<Mutex<BTreeMap<(String, String), u64>>>;

/// One task's calls: its workspace's rows under its own keys, whose values only grow.
async fn calls(task: u64, storage: PostgresStorage, acknowledged: Acknowledged) -> u64 {
    let workspace = if task.is_multiple_of(2) { "acme" } else { "globex" };
    let stream = format!("s{task}");
    let run = Arc::new(begin(&storage, workspace, &feed("c1", &stream), &target("members")).await);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (task + 1));
    let mut cancelled = 0;
    for n in 1..=CALLS / TASKS {
        // From before a call begins to long after it ends, whatever the machine.
        // Some are waited for however long they take: else what was left behind piles up before them, and none ends in time.
        let patience = if dice.roll(4) == 0 { Duration::from_secs(60) } else { Duration::from_micros(1 << dice.roll(18)) };
        let key = format!("{task}-{}", dice.roll(20));
        let answered = match dice.roll(6) {
            0..3 => tokio::time::timeout(patience, write(&run, workspace, &key, n, &acknowledged)).await.is_ok(),
            3 => tokio::time::timeout(patience, rows(&run, workspace)).await.is_ok(),
            4 => {
                let look = run.store.runs(RunFilter::default());
                match tokio::time::timeout(patience, look).await {
                    Ok(runs) => {
                        let runs = runs.expect("runs are listed");
                        assert!(runs.iter().all(|run| &*run.triggered_by == "tester"), "a foreign run: {runs:?}");
                        true
                    }
                    Err(_) => false,
                }
            }
            _ => {
                let members = "members".into();
                let history = run.store.lineage(&members, &key, None);
                match tokio::time::timeout(patience, history).await {
                    Ok(history) => {
                        let history = history.expect("history is read");
                        let foreign =
                            history.iter().find(|entry| entry.field_name.as_ref() == "of" && entry.new_value != Some(json!(workspace)));
                        assert!(foreign.is_none(), "a foreign change: {foreign:?}");
                        true
                    }
                    Err(_) => false,
                }
            }
        };
        cancelled += u64::from(!answered);
    }
    cancelled
}

async fn write(run: &Run, workspace: &str, key: &str, value: u64, acknowledged: &Acknowledged) {
    let page = run.page(vec![part("", batch(&[up(key, json!({"of": workspace, "value": value}))]))]);
    // A commit whose caller left counts as the one before, which is still under way; it need not have failed.
    match run.store.commit(PageCommit { at: at(1), ..page }).await {
        Ok(report) => {
            assert!(report.counts.balanced(), "{report:?}");
            acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert((workspace.into(), key.into()), value);
        }
        Err(error) => panic!("a commit fails for no reason: {error}"),
    }
}

async fn rows(run: &Run, workspace: &str) {
    let query = EntityQuery { limit: 1000, ..EntityQuery::default() };
    match run.store.entities(&"members".into(), query).await {
        Ok(rows) => {
            let foreign = rows.iter().find(|row| row.fields["of"] != json!(workspace));
            assert!(foreign.is_none(), "a foreign row: {foreign:?}");
        }
        Err(error) => assert_eq!(error.kind(), sync_core::ErrorKind::NotFound, "{error}"),
    }
}

async fn storm(database: &TestDatabase, storage: PostgresStorage) {
    let acknowledged = Acknowledged::default();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(calls(task, storage.clone(), Arc::clone(&acknowledged)));
    }
    let cancelled: u64 = tasks.join_all().await.into_iter().sum();
    assert!(cancelled > CALLS / 20 && cancelled < CALLS * 19 / 20, "{cancelled} of {CALLS} calls were cancelled: that proves little");
    // What nobody waits for any more still ends.
    for workspace in ["acme", "globex"] {
        let run = begin(&storage, workspace, &feed("c1", "last"), &target("members")).await;
        let stored =
            run.store.entities(&"members".into(), EntityQuery { limit: 1000, ..EntityQuery::default() }).await.expect("rows are read");
        let stored: BTreeMap<_, _> = stored.into_iter().map(|row| (row.key.to_string(), row.fields["value"].as_u64())).collect();
        let acknowledged = acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut looked = 0;
        for ((of, key), value) in acknowledged.iter().filter(|((of, _), _)| of == workspace) {
            // A later write of the task may stand although its caller had left.
            assert!(
                stored.get(key).copied().flatten() >= Some(*value),
                "{of}: {key} was acknowledged with {value} and is {:?}",
                stored.get(key)
            );
            looked += 1;
        }
        assert!(looked > 20, "{looked} rows of {workspace}");
        run.store.end_run(run.fence, run_end(RunStatus::Completed)).await.expect("the run ends");
    }
    let mut connection = database.connection().await;
    let mut open = 1;
    for _ in 0..100 {
        open = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'",
        )
        .fetch_one(&mut connection)
        .await
        .expect("the server lists its sessions");
        if open == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(open, 0, "sessions left in a transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_calls_lose_nothing_and_show_nothing_foreign() {
    let database = migrated().await;
    let storage = PostgresStorage::builder(database.url()).max_connections(3).open().await.expect("it opens");
    storm(&database, storage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_shared_with_a_host_that_leaves_transactions_open_is_no_danger() {
    let database = migrated().await;
    let pool = storage_postgres::sqlx::postgres::PgPoolOptions::new().max_connections(4).connect(&database.url()).await.expect("a pool");
    let storage = PostgresStorage::from_pool(pool.clone()).open().await.expect("it opens");
    // The host begins transactions by hand, under settings of its own, and lets go of them in the middle.
    let host = tokio::spawn(async move {
        loop {
            if let Ok(mut connection) = pool.acquire().await {
                let begun = "BEGIN; SELECT set_config('app.workspace_id', 'globex', false); SET ROLE NONE";
                let _ = storage_postgres::sqlx::raw_sql(begun).execute(&mut *connection).await;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    let acknowledged = Acknowledged::default();
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        tasks.spawn(calls(task, storage.clone(), Arc::clone(&acknowledged)));
    }
    let _: Vec<u64> = tasks.join_all().await;
    host.abort();
    let written = acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(written.len() > 20, "{} rows were acknowledged", written.len());
    let mut connection = database.connection().await;
    for ((workspace, key), value) in written {
        let sql = "SELECT value FROM syncline.members WHERE workspace_id = $1 AND entity_id = $2";
        let stored: Option<i64> =
            sqlx::query_scalar(sql).bind(&workspace).bind(&key).fetch_optional(&mut connection).await.expect("a row is read");
        assert!(stored >= Some(value.cast_signed()), "{workspace}: {key} was acknowledged with {value} and is {stored:?}");
    }
}

//! What complete scans prove, and sweeps that act on it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use storage_sqlite::SqliteStorage;
use sync_core::{
    Duplicates, ErrorKind, HostTable, Target,
    store::{PageCommit, RunStatus, SweepReport},
};

use crate::support::*;

fn report(known: u64, missing: u64, deleted: u64) -> SweepReport {
    SweepReport { known, missing, deleted }
}

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("k{n:05}")).collect()
}

fn rows(ids: &[String]) -> Vec<Row<'_>> {
    ids.iter().map(|id| up(id, json!({"v": id}))).collect()
}

#[tokio::test]
async fn what_a_complete_scan_does_not_show_is_deleted_within_its_partition() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let ids = ids(10);
    run.scan("p1", 1, &rows(&ids)).await;
    run.scan("p2", 1, &[up("other", json!({"v": 1}))]).await;
    assert_eq!(run.sweep(&[("p1", 1), ("p2", 1)], false).await, report(11, 0, 0));
    run.scan("p1", 2, &rows(&ids[..9])).await;
    assert_eq!(run.sweep(&[("p1", 2)], false).await, report(10, 1, 1));
    assert!(!run.table().await.contains_key(&ids[9]) && run.table().await.contains_key("other"));
    let lineage = run.store.lineage(&entity("x_s"), &ids[9], None).await.expect("lineage");
    assert_eq!(lineage.last().expect("a line").new_value, None);
    assert_eq!(run.sweep(&[("p1", 2)], true).await, report(9, 0, 0), "a sweep that went through proves nothing again");
    assert_eq!(run.end().await.counts.swept, 1);
}

#[tokio::test]
async fn a_scan_that_would_delete_more_than_a_fifth_waits_to_be_confirmed() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let ids = ids(10);
    run.scan("", 1, &rows(&ids)).await;
    run.scan("", 2, &rows(&ids[..7])).await;
    let stopped = run.sweep(&[("", 2)], false).await;
    assert!(stopped == report(10, 3, 0) && stopped.needs_confirmation());
    assert_eq!(run.table().await.len(), 10);
    assert_eq!(run.sweep(&[("", 2)], true).await, report(10, 3, 3));
    assert_eq!(run.table().await.len(), 7);
    // A scan that showed nothing at all, as of a partition that is gone.
    assert_eq!(run.sweep(&[("", 3)], false).await, report(7, 7, 0));
    assert_eq!(run.sweep(&[("", 3)], true).await, report(7, 7, 7));
}

#[tokio::test]
async fn bad_rows_and_moved_rows_are_not_taken_for_gone() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.scan("p1", 1, &[up("bad", json!({"v": 1})), up("moved", json!({"v": 1})), up("unread", json!({"v": 1}))]).await;
    let broken = raw_batch(&[("bad", Some(vec![("v".into(), r#""\ud800""#.into())]))]);
    let page = PageCommit {
        scan: Some(2),
        batches: vec![
            sync_core::store::PartitionBatch { present: vec!["unread".into(), "never-seen".into()], ..part("p1", broken) },
            part("p2", batch(&[up("moved", json!({"v": 1}))])),
        ],
        ..run.page(Vec::new())
    };
    let done = run.store.commit(page).await.expect("commits");
    assert_eq!(counts(&done.counts), [0, 0, 1, 0, 1, 0]);
    assert_eq!(run.sweep(&[("p1", 2), ("p2", 2)], true).await, report(3, 0, 0));
}

#[tokio::test]
async fn a_scan_goes_on_with_its_proof_after_the_process_is_gone() {
    let folder = Folder::new();
    let ids = ids(40_000);
    {
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.scan("", 1, &rows(&ids)).await;
        run.end().await;
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.scan("", 2, &rows(&ids[..20_000])).await;
        run.end().await;
    }
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.scan("", 2, &rows(&ids[20_000..39_999])).await;
    assert_eq!(run.sweep(&[("", 2)], false).await, report(40_000, 1, 1));
}

#[tokio::test]
async fn a_sweep_that_was_stopped_in_the_middle_goes_on() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let ids = ids(3000);
    run.scan("", 1, &rows(&ids)).await;
    run.scan("", 2, &rows(&ids[..500])).await;
    // Once inside each batch: the second one is stopped.
    let batches = Arc::new(AtomicUsize::new(0));
    storage.on_crash_point({
        let batches = Arc::clone(&batches);
        move |point| assert!(point != "p14" || batches.fetch_add(1, Ordering::Relaxed) != 1, "stopped at {point}")
    });
    let stopped = run.store.sweep(sync_core::store::Sweep { confirmed: true, ..run.sweep_of(&[("", 2)]) }).await;
    assert_eq!(stopped.expect_err("stopped").kind(), ErrorKind::Internal);
    let left = run.table().await.len();
    assert_eq!(left, 2000, "one batch of a thousand went");
    assert_eq!(run.sweep(&[("", 2)], true).await, report(2000, 1500, 1500));
    assert_eq!((run.table().await.len(), run.end().await.counts.swept), (500, 2500));
}

#[tokio::test]
async fn a_sweep_obeys_the_fence() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.scan("", 1, &[up("a", json!({"v": 1}))]).await;
    run.store.end_run(run.fence, run_end(RunStatus::Completed)).await.expect("ends");
    let refused = run.store.sweep(sync_core::store::Sweep { confirmed: true, ..run.sweep_of(&[("", 2)]) }).await;
    assert_eq!(refused.expect_err("fenced").kind(), ErrorKind::LeaseLost);
    assert_eq!(run.table().await.len(), 1);
}

#[tokio::test]
async fn a_mapped_entity_goes_only_when_no_record_stands_behind_it() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let people = managed("people", &["email"]);
    let one = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &people).await;
    let two = begin(&storage, "acme", &mapped_feed("c2", "s", "m"), &people).await;
    one.scan("", 1, &[up("r1", json!({"email": "a@x"})), up("r2", json!({"email": "b@x"}))]).await;
    two.scan("", 1, &[up("q1", json!({"email": "a@x"}))]).await;
    one.scan("", 2, &[]).await;
    assert_eq!(one.sweep(&[("", 2)], true).await, report(2, 2, 2));
    assert_eq!(two.table().await.into_keys().collect::<Vec<_>>(), ["a@x"]);
    two.scan("", 2, &[]).await;
    assert_eq!(two.sweep(&[("", 2)], true).await, report(1, 1, 1));
    assert!(two.table().await.is_empty());
}

#[tokio::test]
async fn a_record_whose_key_changed_leaves_its_old_entity_to_the_sweep() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &managed("people", &["email"])).await;
    run.scan("", 1, &[up("r1", json!({"email": "old@x"}))]).await;
    run.scan("", 2, &[up("r1", json!({"email": "new@x"}))]).await;
    assert_eq!(run.table().await.len(), 2);
    assert_eq!(run.sweep(&[("", 2)], true).await, report(2, 1, 1));
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), ["new@x"]);
}

#[tokio::test]
async fn two_records_with_one_mapped_key_are_duplicates_over_a_whole_scan() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let target = Target { duplicates: Duplicates::FirstWins, ..managed("people", &["email"]) };
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    run.scan("", 1, &[up("r1", json!({"email": "a@x", "n": 1}))]).await;
    let done = run.scan("", 1, &[up("r2", json!({"email": "a@x", "n": 2}))]).await;
    assert_eq!(counts(&done.counts), [0, 0, 0, 1, 0, 0]);
    assert_eq!(run.table().await["a@x"]["n"], json!(1));
}

#[tokio::test]
async fn rows_of_the_host_stay_unless_it_lets_them_go() {
    for (delete_rows, left) in [(false, 2), (true, 0)] {
        let folder = Folder::new();
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        execute(&folder.db(), "CREATE TABLE partners (email TEXT PRIMARY KEY, name TEXT)");
        let mut table = HostTable::new("partners").key("email");
        table.delete_rows = delete_rows;
        let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(table)).await;
        run.scan("", 1, &[up("r1", json!({"email": "a@x", "name": "A"})), up("r2", json!({"email": "b/x", "name": "B"}))]).await;
        run.scan("", 2, &[]).await;
        assert_eq!(run.sweep(&[("", 2)], true).await, report(2, 2, 2));
        assert_eq!(sql::<i64>(&folder.db(), "SELECT count(*) FROM partners"), left);
        assert_eq!(sql::<i64>(&folder.db(), "SELECT count(*) FROM syncline_record_links"), 0);
    }
}

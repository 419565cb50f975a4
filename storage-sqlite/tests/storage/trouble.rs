//! When the file does not do as it should, and when the process goes away.

use std::{process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};
use storage_sqlite::{SqliteStorage, rusqlite};
use sync_core::{
    ErrorKind, Retry,
    store::{PageCommit, Storage as _},
};

use crate::support::*;

#[tokio::test]
async fn a_database_that_another_holds_is_locked_for_a_while() {
    let folder = Folder::new();
    let storage = SqliteStorage::builder(folder.db()).busy_timeout(Duration::from_millis(20)).open().await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let page = PageCommit { cursors: vec![cursor("", "9", 0)], ..run.page(vec![part("", batch(&[up("a", json!({"v": 1}))]))]) };
    let other = rusqlite::Connection::open(folder.db()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("held");
    let error = run.store.commit(page.clone()).await.expect_err("locked");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Storage, Retry::After(None)));
    assert!(error.to_string().contains("locked") && error.to_string().contains("app.db"), "{error}");
    assert!(run.store.partition_states(&run.feed).await.expect("readers go on").is_empty());
    other.execute_batch("COMMIT").expect("freed");
    run.store.commit(page).await.expect("goes through");
}

#[tokio::test]
async fn a_full_disk_loses_neither_cursor_nor_rows_that_were_there() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.store
        .commit(PageCommit { cursors: vec![cursor("", "1", 0)], ..run.page(vec![part("", batch(&[up("a", json!({"v": 1}))]))]) })
        .await
        .expect("commits");
    // A limit on the writer's own connection stands in for the disk's.
    storage.on_commit(|tx, _| {
        let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        tx.execute_batch(&format!(
            "PRAGMA max_page_count = {pages}; CREATE TABLE filler (v); INSERT INTO filler VALUES (zeroblob(1000000))"
        ))?;
        Ok(())
    });
    let before = dump(&folder.db());
    let page = PageCommit { cursors: vec![cursor("", "2", 0)], ..run.page(vec![part("", batch(&[up("b", json!({"v": 2}))]))]) };
    run.store.commit(page).await.expect_err("full");
    assert_eq!(dump(&folder.db()), before);
    // The limit stays with the connection: now it is the commit itself that meets it.
    let big = json!({"v": "x".repeat(1_000_000)});
    let page = PageCommit { cursors: vec![cursor("", "2", 0)], ..run.page(vec![part("", batch(&[up("b", big)]))]) };
    let error = run.store.commit(page).await.expect_err("full");
    assert!(error.kind() == ErrorKind::Storage && error.to_string().contains("full"), "{error}");
    assert_eq!(dump(&folder.db()), before);
    assert_eq!(run.store.partition_states(&run.feed).await.expect("read")[0].cursor.as_ref().map(|c| &*c.state), Some("1"));
}

#[tokio::test]
async fn what_is_no_database_is_refused_in_plain_words() {
    let folder = Folder::new();
    std::fs::write(folder.db(), "this is a letter, not a database, and long enough to be read as one ".repeat(20)).expect("written");
    let error = SqliteStorage::open(folder.db()).await.expect_err("no database");
    assert!(error.kind() == ErrorKind::Storage && error.to_string().contains("not a SQLite database"), "{error}");
    let error = SqliteStorage::open(folder.db().join("below")).await.expect_err("no folder");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(SqliteStorage::open(":memory:").await.expect_err("memory").kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused_in_plain_words() {
    let folder = Folder::new();
    // A read-only file and one on a full or foreign disk look alike to SQLite; root may write any file, so a database's own flag is used.
    drop(SqliteStorage::open(folder.db()).await.expect("opens"));
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    storage.on_commit(|tx, _| Ok(tx.execute_batch("PRAGMA query_only = ON; CREATE TABLE never (v)")?));
    run.try_commit(&[up("a", json!({"v": 1}))]).await.expect_err("the hook fails");
    let error = run.try_commit(&[up("a", json!({"v": 1}))]).await.expect_err("read-only");
    assert!(error.kind() == ErrorKind::Storage && error.to_string().contains("only be read"), "{error}");
    assert!(run.table().await.is_empty());
}

#[tokio::test]
async fn a_panic_in_the_middle_writes_nothing_and_stops_nothing() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"v": 1}))]).await;
    let before = dump(&folder.db());
    for point in ["p8", "p9", "p10"] {
        storage.on_crash_point(move |at| assert_ne!(at, point, "stopped"));
        let rows = [up("a", json!({"v": 2, "new column": 1})), up("b", json!({"v": 2}))];
        assert_eq!(run.try_commit(&rows).await.expect_err("stopped").kind(), ErrorKind::Internal);
        assert_eq!(dump(&folder.db()), before, "after {point}");
    }
    storage.on_crash_point(|_| {});
    assert_eq!(counts(&run.commit(&[up("a", json!({"v": 2, "new column": 1}))]).await.counts), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_any_more_ends_by_itself() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let (begun, wait) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    storage.on_crash_point(move |at| {
        if let ("p8", Some(begun)) = (at, begun.lock().expect("not poisoned").take()) {
            let _ = begun.send(());
        }
    });
    let store = Arc::clone(&run.store);
    let page = run.page(vec![part("", batch(&[up("a", json!({"v": 1}))]))]);
    let task = tokio::spawn(async move { store.commit(page).await });
    wait.await.expect("it began");
    task.abort();
    // The next write waits its turn behind it.
    assert_eq!(run.end().await.counts.created, 1);
    assert_eq!(run.table().await.len(), 1);
}

const CHILD: &str = "SYNCLINE_TEST_CHILD";

/// What the child does until it is killed at its point.
async fn die_at(path: &str, point: String) {
    let storage = SqliteStorage::open(path).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    storage.on_crash_point(move |at| {
        if at == point {
            std::process::abort();
        }
    });
    let page = PageCommit {
        scan: Some(2),
        cursors: vec![cursor("", "2", 2)],
        ..run.page(vec![part("", batch(&[up("k0", json!({"v": "new", "w": 1})), up("fresh", json!({"v": 1}))]))])
    };
    run.store.commit(page).await.expect("commits unless it dies");
    run.sweep(&[("", 2)], true).await;
}

#[tokio::test]
async fn whatever_point_the_process_dies_at_the_next_one_ends_at_the_same_state() {
    if let Ok(child) = std::env::var(CHILD) {
        let (point, path) = child.split_once('=').expect("point=path");
        die_at(path, point.to_owned()).await;
        return;
    }
    let mut states: Vec<Vec<String>> = Vec::new();
    for point in ["p8", "p9", "p10", "p11", "p13", "p14"] {
        let folder = Folder::new();
        let ids: Vec<String> = (0..2500).map(|n| format!("k{n}")).collect();
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.scan("", 1, &ids.iter().map(|id| up(id, json!({"v": "old"}))).collect::<Vec<_>>()).await;
        run.end().await;
        drop((run, storage));
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["trouble::whatever_point_the_process_dies_at_the_next_one_ends_at_the_same_state", "--exact", "--quiet"])
            .env(CHILD, format!("{point}={}", folder.db().display()))
            .output()
            .expect("a child");
        assert!(!child.status.success(), "the child lived on past {point}");
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        // Its run is free at once, though nobody ended it.
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        let committed = run.store.partition_states(&run.feed).await.expect("read").first().and_then(|state| state.cursor.clone()).is_some();
        assert_eq!(committed, ["p11", "p13", "p14"].contains(&point), "rows and cursor stand together: {point}");
        assert_eq!(committed, run.table().await["k0"]["v"] == json!("new"), "{point}");
        // The page is delivered again, as it may be, and the sweep is repeated.
        let page = PageCommit {
            scan: Some(2),
            cursors: vec![cursor("", "2", 2)],
            ..run.page(vec![part("", batch(&[up("k0", json!({"v": "new", "w": 1})), up("fresh", json!({"v": 1}))]))])
        };
        run.store.commit(page).await.expect("commits");
        run.sweep(&[("", 2)], true).await;
        let table = run.table().await;
        assert_eq!(table.keys().collect::<Vec<_>>(), ["fresh", "k0"]);
        // Lineage tells every change once, whichever run made it.
        let mut told = Vec::new();
        for key in ["k0", "fresh", "k1", "k2499"] {
            for entry in run.store.lineage(&entity("x_s"), key, None).await.expect("lineage") {
                told.push(format!("{key} {} {:?} {:?}", entry.field_name, entry.previous_value, entry.new_value));
            }
        }
        told.extend(table.values().map(Value::to_string));
        states.push(told);
        let locks = std::fs::read_dir(folder.db().parent().expect("a folder"))
            .expect("a folder")
            .filter(|f| f.as_ref().is_ok_and(|f| f.file_name().to_string_lossy().ends_with(".lock")))
            .count();
        assert_eq!(locks, 1, "the dead one's lock file is gone");
        drop(storage.fleet());
    }
    for state in &states[1..] {
        assert_eq!(state, &states[0]);
    }
}

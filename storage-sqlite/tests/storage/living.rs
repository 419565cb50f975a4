//! Living in the host's own database: its tables, its hook, its other tools.

use serde_json::json;
use storage_sqlite::{SqliteStorage, migrations, rusqlite};
use sync_core::{Error, ErrorKind, store::Storage as _};

use crate::{push_support::*, runs::connection, support::*};

#[tokio::test]
async fn tables_of_the_host_are_left_alone_whatever_their_names() {
    let folder = Folder::new();
    execute(
        &folder.db(),
        "CREATE TABLE _sqlx_migrations (version INTEGER PRIMARY KEY, description TEXT);
         INSERT INTO _sqlx_migrations VALUES (1, 'the host''s');
         CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO contacts VALUES (1, 'host@x');
         CREATE TABLE Slack_Messages (text); INSERT INTO Slack_Messages VALUES ('mine');
         CREATE VIEW field_lineage AS SELECT 1 AS one; CREATE TABLE sync_runs (id)",
    );
    let conn = rusqlite::Connection::open(folder.db()).expect("opens");
    let hosts = ["_sqlx_migrations", "contacts", "Slack_Messages", "field_lineage", "sync_runs"];
    let before: Vec<_> = hosts.iter().map(|table| rows_of(&conn, table)).collect();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "messages"), &target("slack_messages")).await;
    run.commit(&[up("1.2", json!({"text": "ours"}))]).await;
    let other = begin(&storage, "acme", &feed("c1", "Messages"), &target("Slack Messages")).await;
    other.commit(&[up("1.2", json!({"text": "another type of nearly that name"}))]).await;
    assert_eq!(hosts.iter().map(|table| rows_of(&conn, table)).collect::<Vec<_>>(), before);
    assert_eq!(sql::<String>(&folder.db(), "SELECT text FROM syncline_slack_messages"), "ours");
    assert_eq!(run.table().await["1.2"], json!({"text": "ours"}));
    assert_eq!(other.table().await["1.2"]["text"], json!("another type of nearly that name"));
    let beside: i64 = sql(
        &folder.db(),
        "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'syncline\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND tbl_name NOT LIKE 'syncline\\_%' ESCAPE '\\'",
    );
    assert_eq!(beside, 5, "nothing of ours has a name that does not say so");
}

#[tokio::test]
async fn opening_again_changes_nothing_and_a_newer_database_is_refused() {
    let folder = Folder::new();
    drop(SqliteStorage::open(folder.db()).await.expect("opens"));
    let schema = || sql::<String>(&folder.db(), "SELECT group_concat(sql) FROM (SELECT sql FROM sqlite_master ORDER BY name)");
    let before = schema();
    drop(SqliteStorage::open(folder.db()).await.expect("opens again"));
    assert_eq!(schema(), before);
    assert!(migrations().iter().all(|(_, _, sql)| sql.contains("syncline_")));
    execute(&folder.db(), "INSERT INTO syncline_migrations VALUES (99, 'from the future', 'then')");
    let error = SqliteStorage::open(folder.db()).await.expect_err("refused");
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("newer version"), "{error}");
    assert_eq!(schema(), before);
}

#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let folder = Folder::new();
    let (_, _, first) = migrations()[0];
    execute(&folder.db(), "CREATE TABLE syncline_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)");
    execute(&folder.db(), first);
    execute(
        &folder.db(),
        "INSERT INTO syncline_migrations VALUES (1, 'tables', 'then'); \
         CREATE TABLE people (workspace_id TEXT NOT NULL, connection_no INTEGER NOT NULL, entity_id TEXT NOT NULL, row_hash INTEGER, \
             partition_id TEXT NOT NULL, created_run INTEGER, created_at TEXT NOT NULL, last_synced_at TEXT NOT NULL, extra TEXT, email, \
             PRIMARY KEY (workspace_id, connection_no, entity_id)); \
         INSERT INTO syncline_entity_types VALUES (1, 'people', 'people', 'managed'); \
         INSERT INTO syncline_entity_columns VALUES (1, 1, 'email', 'email', 'text', NULL); \
         INSERT INTO people VALUES ('acme', 0, 'a@x', NULL, '', 1, '2026-03-01T12:00:00Z', '2026-03-01T12:00:00Z', NULL, 'a@x'); \
         INSERT INTO syncline_sync_runs (id, workspace_id, connection_id, stream, mapping, entity_type, direction, job_type, status, lease_token, \
             owner, started_at, triggered_by, created_at, rows_processed, rows_created) VALUES \
             (1, 'acme', 'c1', 's', 'm', 'people', 'from_external', 'full', 'completed', 1, 'gone', '2026-03-01T12:00:00Z', 'me', 'then', 1, 1), \
             (2, 'acme', 'c1', 's', 'm', 'people', 'from_external', 'full', 'running', 2, 'gone', '2026-03-01T12:00:00Z', 'me', 'then', 0, 0); \
         INSERT INTO syncline_record_links VALUES (1, 'acme', 'c1', 's', 'm', '', 'r1', 1, 'a@x')",
    );
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    assert_eq!(sql::<i64>(&folder.db(), "SELECT max(version) FROM syncline_migrations"), migrations().last().expect("there are some").0);
    let target = sends(managed("people", &["email"]), &["email"]);
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let old = run.store.run(sync_core::RunId(1)).await.expect("read").expect("there");
    assert_eq!((old.counts.created, old.counts.unsettled), (1, 0));
    assert_eq!(run.table().await["a@x"], json!({"email": "a@x"}));
    // Rows of before have no link yet; the next pull that finds them unchanged makes it.
    let push = push(&storage, "acme", &mapped_feed("c1", "p", "m"), &target).await;
    assert_eq!(push.keys().await, ["a@x"]);
    assert_eq!(counts(&run.commit(&[up("r1", json!({"email": "a@x"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    let mine = Push { commit: sync_core::store::PushCommit { feed: run.feed.clone(), ..push.commit.clone() }, ..push };
    assert_eq!((mine.changed().await.unchanged, mine.keys().await.len()), (1, 0));
    run.end().await;
}

#[tokio::test]
async fn the_file_is_left_without_locks_or_a_log_when_it_is_closed() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"v": 1}))]).await;
    run.end().await;
    drop((run, storage));
    let files: Vec<_> =
        std::fs::read_dir(folder.db().parent().expect("a folder")).expect("a folder").map(|f| f.expect("a file").file_name()).collect();
    assert_eq!(files, ["app.db"]);
}

#[tokio::test]
async fn a_hook_commits_and_rolls_back_with_the_rows() {
    let folder = Folder::new();
    execute(&folder.db(), "CREATE TABLE outbox (workspace TEXT, what TEXT, keys TEXT)");
    let storage = SqliteStorage::builder(folder.db())
        .on_commit(|tx, done| {
            let keys = done.written.iter().map(|key| format!("+{key}")).chain(done.deleted.iter().map(|key| format!("-{key}")));
            let what = format!("{} {} {}", done.entity, done.table, done.counts.created);
            tx.execute("INSERT INTO outbox VALUES (?1, ?2, ?3)", (done.workspace.as_str(), what, keys.collect::<Vec<_>>().join(" ")))?;
            if done.written.iter().any(|key| &**key == "refuse") {
                return Err(Error::new(ErrorKind::Invalid, "host", "not this one").into());
            }
            if done.written.iter().any(|key| &**key == "break") {
                tx.execute("INSERT INTO nowhere VALUES (1)", [])?;
            }
            Ok(())
        })
        .open()
        .await
        .expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let outbox = || sql::<String>(&folder.db(), "SELECT group_concat(workspace || '|' || what || '|' || keys, ';') FROM outbox");
    run.scan("", 1, &[up("a", json!({"v": 1})), up("b", json!({"v": 1}))]).await;
    run.scan("", 1, &[up("a", json!({"v": 1})), gone("b")]).await;
    assert_eq!(outbox(), "acme|x_s x_s 2|+a +b;acme|x_s x_s 0|-b");
    let before = dump(&folder.db());
    let refused = run.try_commit(&[up("refuse", json!({"v": 1}))]).await.expect_err("refused");
    assert_eq!(refused.to_string(), "host: not this one");
    let broken = run.try_commit(&[up("break", json!({"v": 1, "w": 2}))]).await.expect_err("broken");
    assert_eq!(broken.kind(), ErrorKind::Invalid);
    assert_eq!(dump(&folder.db()), before);
    run.preview(&[up("c", json!({"v": 1}))]).await;
    assert_eq!(dump(&folder.db()), before, "a preview calls no hook");
    run.sweep(&[("", 2)], true).await;
    assert!(outbox().ends_with(";acme|x_s x_s 0|-a"), "a sweep does");
}

#[tokio::test]
async fn what_another_storage_adds_to_a_table_is_seen_here() {
    let folder = Folder::new();
    let one = SqliteStorage::open(folder.db()).await.expect("opens");
    let two = SqliteStorage::open(folder.db()).await.expect("opens");
    let here = begin(&one, "acme", &feed("c1", "s"), &target("x_s")).await;
    let there = begin(&two, "acme", &feed("c2", "s"), &target("x_s")).await;
    here.commit(&[up("a", json!({"first": 1}))]).await;
    there.commit(&[up("b", json!({"first": 2, "second": "x"}))]).await;
    here.commit(&[up("a", json!({"second": "y", "third": true}))]).await;
    there.commit(&[up("b", json!({"third": false}))]).await;
    let table = here.table().await;
    assert_eq!(table["a"], json!({"first": 1, "second": "y", "third": true}));
    assert_eq!(table["b"], json!({"first": 2, "second": "x", "third": false}));
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..5 {
        let folder = Folder::new();
        let path = folder.db();
        let opened: Vec<_> = (0..8).map(|_| tokio::spawn(SqliteStorage::open(path.clone()))).collect();
        for storage in opened {
            storage.await.expect("no panic").expect("opens");
        }
    }
}

#[tokio::test]
async fn lock_files_of_the_dead_are_cleared_away_and_those_of_the_living_stay() {
    use sync_core::store::Storage as _;
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let left = folder.db().with_file_name("app.db-syncline-dead.lock");
    let fresh = folder.db().with_file_name("app.db-syncline-fresh.lock");
    for file in [&left, &fresh] {
        std::fs::write(file, "").expect("written");
    }
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(600);
    let own = std::fs::read_dir(folder.db().parent().expect("a folder")).expect("a folder").map(|f| f.expect("a file").path());
    let locks: Vec<_> = own.filter(|path| path.extension().is_some_and(|end| end == "lock") && *path != fresh).collect();
    assert_eq!(locks.len(), 2);
    for lock in &locks {
        std::fs::OpenOptions::new().write(true).open(lock).and_then(|file| file.set_modified(long_ago)).expect("aged");
    }
    storage.fleet().reap().await.expect("reaps");
    assert!(!left.exists() && fresh.exists());
    assert!(locks.iter().any(|lock| lock.exists()), "its own lock stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_leaves_nothing_in_the_log() {
    let folder = Folder::new();
    let log = folder.db().with_extension("db-wal");
    for round in 0..40 {
        // Many readers: SQLite empties the log only when the last connection is closed while no other one is.
        let storage = SqliteStorage::builder(folder.db()).readers(8).open().await.expect("opens");
        storage.workspace(&"acme".into()).connect(connection(&format!("c{round}"), &format!("a{round}"))).await.expect("connects");
        assert!(std::fs::metadata(&log).is_ok_and(|log| log.len() > 0), "there is a log, or the test proves nothing");
        // Only connections that have read take part in it.
        let acme = storage.workspace(&"acme".into());
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let acme = std::sync::Arc::clone(&acme);
            reads.spawn(async move { acme.connections().await });
        }
        reads.join_all().await;
        drop((storage, acme));
        assert!(!log.exists(), "round {round}: the log was left behind");
    }
}

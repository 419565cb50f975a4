//! What goes wrong around a database, and what an operator is told about it: a kind to act on and a sentence that says what to do, never a
//! password, a statement or a value.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use serde_json::json;
use sqlx::AssertSqlSafe;
use storage_postgres::{PostgresBuilder, PostgresStorage, RowSecurity};
use sync_core::{Error, ErrorKind, Retry};
use sync_testkit::postgres::TestDatabase;
use tokio::sync::Barrier;

use crate::{
    push_support::{Run, Site, batch, begin, counts, feed, part, target, up},
    support::{builder, migrated},
    wire::Proxy,
};

/// What refuses has to be of this kind, and has to say this.
fn says(error: &Error, kind: ErrorKind, texts: &[&str]) {
    let said = format!("{error} {error:?}");
    assert_eq!(error.kind(), kind, "{said}");
    for text in texts {
        assert!(error.to_string().contains(text), "{text:?} is not in {error}");
    }
    for secret in ["hunter2", "SELECT", "INSERT", "a@secret.example"] {
        assert!(!said.contains(secret), "{secret:?} is in {said}");
    }
}

async fn refusal(builder: PostgresBuilder) -> Error {
    builder.acquire_timeout(Duration::from_millis(700)).open().await.expect_err("it is refused")
}

async fn execute(database: &TestDatabase, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut database.connection().await)
        .await
        .expect("the host's statement goes through");
}

async fn row(run: &Run, key: &str) -> sync_core::Result<[u64; 6]> {
    let rows = [up(key, json!({"email": "a@secret.example"}))];
    Ok(counts(&run.store.commit(run.page(vec![part("", batch(&rows))])).await?.counts))
}

async fn pull(storage: &PostgresStorage) -> Run {
    begin(storage, "acme", &feed("c1", "s"), &target("members")).await
}

const CREATED: [u64; 6] = [1, 0, 0, 0, 0, 0];

#[tokio::test]
async fn an_address_that_does_not_do_is_refused_without_its_password() {
    for url in ["postgres://me:hunter2@localhost:port/app", "mysql://me:hunter2@localhost/app", "me:hunter2@localhost"] {
        says(&refusal(PostgresStorage::builder(url)).await, ErrorKind::Config, &["the database URL cannot be understood"]);
    }
    // A port that was free a moment ago.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port").port();
    let nobody = refusal(PostgresStorage::builder(format!("postgres://me:hunter2@127.0.0.1:{port}/app"))).await;
    says(&nobody, ErrorKind::Storage, &["127.0.0.1/app"]);
    assert!(matches!(nobody.retry(), Retry::After(_)), "a server that is away may come back: {nobody:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let database = TestDatabase::create().await;
    let url = database.url().replace(database.name(), "syncline_no_such_database");
    let error = refusal(PostgresStorage::builder(url)).await;
    says(&error, ErrorKind::Config, &["CREATE DATABASE", "syncline_no_such_database"]);
}

#[tokio::test]
async fn a_user_the_server_does_not_know_is_told_where_to_look() {
    let database = TestDatabase::create().await;
    let options: sqlx::postgres::PgConnectOptions = database.url().parse().expect("a URL");
    let url = database.url().replacen(&format!("{}@", options.get_username()), "syncline_nobody:hunter2@", 1);
    assert!(url.contains("hunter2"), "the test's own user is in its URL");
    says(&refusal(PostgresStorage::builder(url)).await, ErrorKind::Config, &["user or password", "pg_hba.conf"]);
}

#[tokio::test]
async fn roles_that_are_missing_are_named() {
    let database = migrated().await;
    let roles = RowSecurity::Roles { app: "syncline_gone_app".into(), fleet: "syncline_fleet".into() };
    let error = refusal(builder(&database).row_security(roles).migrate_on_open(false)).await;
    says(&error, ErrorKind::Config, &["syncline_gone_app"]);
    let error = refusal(builder(&database).row_security(RowSecurity::Off)).await;
    says(&error, ErrorKind::Config, &["row security"]);
}

#[tokio::test]
async fn a_schema_that_is_older_or_newer_is_not_touched() {
    let database = TestDatabase::create().await;
    says(&refusal(builder(&database).migrate_on_open(false)).await, ErrorKind::Config, &["syncline migrate", "version 0"]);
    let database = migrated().await;
    execute(&database, "INSERT INTO syncline.migrations (version, name) VALUES (999, 'later')").await;
    for migrate in [true, false] {
        says(&refusal(builder(&database).migrate_on_open(migrate)).await, ErrorKind::Config, &["newer version", "999"]);
    }
}

#[tokio::test]
async fn a_database_that_can_only_be_read_says_so() {
    let database = migrated().await;
    let before = builder(&database).open().await.expect("it opens");
    let run = pull(&before).await;
    execute(&database, &format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name())).await;
    drop(before);
    let storage = builder(&database).open().await.expect("one that is up to date opens");
    let run = Run { store: sync_core::store::Storage::workspace(&storage, &"acme".into()), ..run };
    says(&row(&run, "a").await.expect_err("nothing can be written"), ErrorKind::Storage, &["read-only", "primary", "host"]);
}

type Raise = Arc<dyn Fn(u32) -> Option<&'static str> + Send + Sync>;

/// A storage whose commits meet what `raise` answers for the first, second, … of them: the server raises it, as it would its own.
async fn raising(database: &TestDatabase, raise: Raise) -> (PostgresStorage, Arc<AtomicU32>) {
    let tried = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tried);
    let storage = builder(database).patience(Duration::from_secs(5)).open().await.expect("it opens");
    storage.on_commit(move |connection, _| {
        let sql = raise(count.fetch_add(1, Ordering::SeqCst));
        async move {
            if let Some(sql) = sql {
                sqlx::raw_sql(sql).execute(connection).await?;
            }
            Ok(())
        }
        .boxed()
    });
    (storage, tried)
}

macro_rules! raises {
    ($code:literal) => {
        concat!("DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '", $code, "'; END $$")
    };
}

#[tokio::test]
async fn what_passes_is_begun_anew_and_written_once() {
    for passing in [raises!("40001"), raises!("40P01"), raises!("55P03"), raises!("25P03"), "SELECT pg_terminate_backend(pg_backend_pid())"]
    {
        let database = migrated().await;
        let (storage, tried) = raising(&database, Arc::new(move |n| (n < 2).then_some(passing))).await;
        let run = pull(&storage).await;
        assert_eq!(row(&run, "a").await.unwrap_or_else(|error| panic!("{passing}: {error}")), CREATED, "{passing}");
        assert_eq!((tried.load(Ordering::SeqCst), run.rows().await.len()), (3, 1), "{passing}");
        assert_eq!(run.end().await.counts.created, 1, "{passing}: the run's own counts");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_told_with_what_to_do() {
    for (raised, kind, texts) in [
        (raises!("53100"), ErrorKind::Storage, &["disk is full", "nothing of this transaction was written"][..]),
        (raises!("25006"), ErrorKind::Storage, &["read-only"]),
        (raises!("42501"), ErrorKind::Config, &["privilege"]),
        (raises!("57014"), ErrorKind::Storage, &["deadline"]),
        (raises!("53200"), ErrorKind::Storage, &["out of memory"]),
        (raises!("23514"), ErrorKind::Invalid, &["constraint"]),
        (raises!("22003"), ErrorKind::Invalid, &["column can hold"]),
        (raises!("XX001"), ErrorKind::Storage, &["XX001"]),
        (raises!("40001"), ErrorKind::Storage, &["serialization failure"]),
        (raises!("25P03"), ErrorKind::Storage, &["waited for longer than the deadline"]),
    ] {
        let database = migrated().await;
        let (storage, _) = raising(&database, Arc::new(move |_| Some(raised))).await;
        let run = pull(&storage).await;
        let error = row(&run, "a").await.expect_err("it is refused for good");
        says(&error, kind, texts);
        assert_eq!((run.rows().await.len(), run.end().await.counts.created), (0, 0), "{raised}: something was written all the same");
    }
}

#[tokio::test]
async fn a_transaction_that_the_server_ended_for_being_idle_is_begun_anew() {
    let site = Site::new().await;
    let tried = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tried);
    site.storage.on_commit(move |connection, _| {
        let attempt = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if attempt == 0 {
                sqlx::raw_sql("SET LOCAL idle_in_transaction_session_timeout = 20").execute(connection).await?;
                tokio::time::sleep(Duration::from_millis(120)).await;
            }
            Ok(())
        }
        .boxed()
    });
    let run = pull(&site.storage).await;
    assert_eq!(row(&run, "a").await.expect("it goes through in the end"), CREATED);
    assert_eq!(tried.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commits_that_lock_each_other_out_both_are_written() {
    let site = Site::new().await;
    site.execute("CREATE TABLE seats (no int PRIMARY KEY, taken int NOT NULL DEFAULT 0); INSERT INTO seats VALUES (1), (2)").await;
    // Making the table locks others out until it is committed; it is there before they meet.
    let (acme, globex) = (pull(&site.storage).await, begin(&site.storage, "globex", &feed("c1", "s"), &target("members")).await);
    assert_eq!(row(&acme, "first").await.expect("the table is made"), CREATED);
    let (met, tried) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&tried);
    site.storage.on_commit(move |connection, committed| {
        let (first, second) = if committed.workspace.as_str() == "acme" { (1, 2) } else { (2, 1) };
        let (met, attempt) = (Arc::clone(&met), counted.fetch_add(1, Ordering::SeqCst));
        async move {
            let sql = "UPDATE seats SET taken = taken + 1 WHERE no = $1";
            sqlx::query(sql).bind(first).execute(&mut *connection).await?;
            if attempt < 2 {
                met.wait().await;
            }
            sqlx::query(sql).bind(second).execute(connection).await?;
            Ok(())
        }
        .boxed()
    });
    let (one, other) = tokio::join!(row(&acme, "a"), row(&globex, "a"));
    assert_eq!((one.expect("the first is written"), other.expect("the second is written")), (CREATED, CREATED));
    assert!(tried.load(Ordering::SeqCst) > 2, "nobody was in anybody's way, so this proves nothing");
    assert_eq!(site.column("SELECT taken::text FROM seats").await, ["2", "2"], "what the hooks wrote, once each");
}

#[tokio::test]
async fn connections_that_were_ended_are_replaced() {
    let site = Site::new().await;
    let run = pull(&site.storage).await;
    for n in 0..5 {
        assert_eq!(row(&run, &format!("k{n}")).await.expect("it goes on"), CREATED);
        site.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }
    assert_eq!((run.rows().await.len(), run.end().await.counts.created), (5, 5));
}

#[tokio::test]
async fn a_hook_that_panics_leaves_nothing_behind() {
    let site = Site::new().await;
    site.storage.on_commit(|connection, committed| {
        let panics = committed.written.iter().any(|key| &**key == "boom");
        async move {
            sqlx::raw_sql("CREATE TEMP TABLE left_behind (a int) ON COMMIT DROP").execute(connection).await?;
            assert!(!panics, "the hook is broken");
            Ok(())
        }
        .boxed()
    });
    let run = Arc::new(pull(&site.storage).await);
    for n in 0..6 {
        let broken = Arc::clone(&run);
        let ended = tokio::spawn(async move { row(&broken, "boom").await }).await;
        assert!(ended.is_err_and(|error| error.is_panic()), "the host is told of its own panic");
        assert_eq!(row(&run, &format!("k{n}")).await.expect("the next commit goes through"), CREATED);
        // In the workspace the panic was in, and in another one.
        let other = begin(&site.storage, "globex", &feed("c1", &format!("s{n}")), &target("members")).await;
        assert_eq!(other.rows().await.len(), 0, "rows of another workspace");
        let open = site.column("SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'").await;
        assert!(open.is_empty(), "sessions left in a transaction: {open:?}");
    }
    let keys: Vec<_> = run.table().await.into_keys().collect();
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4", "k5"], "what was not acknowledged is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_is_left_at_the_deadline() {
    let database = migrated().await;
    let proxy = Proxy::before(&database.url()).await;
    let deadline = Duration::from_millis(300);
    let settings = PostgresStorage::builder(proxy.url()).deadline(deadline).patience(Duration::from_millis(100)).max_connections(2);
    let storage = settings.acquire_timeout(Duration::from_millis(500)).open().await.expect("it opens");
    let run = pull(&storage).await;
    assert_eq!(row(&run, "a").await.expect("the server answers"), CREATED);
    proxy.stall(true);
    let begun = Instant::now();
    says(&row(&run, "b").await.expect_err("nobody answers"), ErrorKind::Storage, &["the server cannot be reached"]);
    assert!(begun.elapsed() < 6 * deadline, "it took {:?}", begun.elapsed());
    proxy.stall(false);
    assert_eq!(row(&run, "c").await.expect("the server answers again"), CREATED);
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), ["a", "c"]);
}

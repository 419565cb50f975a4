//! Opening a database.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, postgres::PgPoolOptions};
use storage_postgres::PostgresStorage;
use sync_core::{ErrorKind, Retry, store::Storage as _};
use sync_testkit::postgres::TestDatabase;

use crate::{
    support::{builder, fresh, migrated},
    wire::Proxy,
};

#[tokio::test]
async fn a_database_is_migrated_once_and_opened_again() {
    let newest = storage_postgres::migrations().last().expect("there are some").0;
    let database = TestDatabase::create().await;
    assert_eq!(builder(&database).migrate().await.expect("a new database is migrated"), (0, newest));
    let storage = builder(&database).open().await.expect("a migrated database is opened");
    storage.ping().await.expect("the server is there");
    builder(&database).open().await.expect("an open database is opened beside");
    assert_eq!(builder(&database).migrate().await.expect("nothing is to be done"), (newest, newest));
}

#[tokio::test]
async fn who_migrates_for_too_long_is_named_to_those_who_wait() {
    let database = TestDatabase::create().await;
    let mut stuck: PgConnection = database.connection().await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut stuck).await.expect("a number");
    let lock = "SELECT pg_advisory_lock(hashtextextended('syncline migrations of syncline', 0))";
    sqlx::raw_sql(lock).execute(&mut stuck).await.expect("nobody else migrates");
    let waits = || builder(&database).deadline(Duration::from_millis(200));
    let begun = Instant::now();
    for error in [waits().open().await.expect_err("it is locked"), waits().migrate().await.expect_err("it is locked")] {
        let said = error.to_string();
        assert!(said.contains(&format!("server process {pid};")) && said.contains("\"syncline\""), "{said}");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Storage, Retry::After(None)));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    sqlx::raw_sql("SELECT pg_advisory_unlock_all()").execute(&mut stuck).await.expect("unlocked");
    waits().deadline(Duration::from_secs(30)).open().await.expect("it opens when the other is done");
}

#[tokio::test]
async fn a_server_that_stalls_holds_up_neither_opening_nor_looking() {
    let database = migrated().await;
    let proxy = Proxy::before(&database.url()).await;
    let storage = PostgresStorage::builder(proxy.url()).deadline(Duration::from_millis(100)).open().await.expect("it opens");
    storage.ping().await.expect("the server answers");
    let pool = PgPoolOptions::new().max_connections(3).min_connections(3).test_before_acquire(false);
    let pool = pool.connect(&proxy.url()).await.expect("a pool");
    while pool.num_idle() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.stall(true);
    let settings = || PostgresStorage::from_pool(pool.clone()).deadline(Duration::from_millis(100));
    let limit = Duration::from_secs(3);
    let errors = [
        tokio::time::timeout(limit, settings().open()).await.expect("opening ends").map(drop),
        tokio::time::timeout(limit, settings().pending()).await.expect("looking ends").map(drop),
        tokio::time::timeout(limit, settings().migrate()).await.expect("migrating ends").map(drop),
        tokio::time::timeout(limit, storage.ping()).await.expect("asking ends"),
    ];
    for error in errors {
        let error = error.expect_err("nobody answers");
        assert!(error.kind() == ErrorKind::Storage && error.to_string().contains("before the deadline"), "{error}");
    }
    assert_eq!(pool.num_idle(), 0, "the pool is given back no connection that is in the middle of a question");
    proxy.stall(false);
    storage.ping().await.expect("the server answers again");
}

#[tokio::test]
async fn what_is_an_address_is_judged_alike_everywhere() {
    let database = migrated().await;
    let loud = database.url().replacen("postgres", "POSTGRES", 1);
    assert!(loud.starts_with("POSTGRES"), "{loud}");
    let settings = || PostgresStorage::builder(&*loud).max_connections(2);
    settings().pending().await.expect("the scheme's case does not count");
    settings().doctor().await.expect("nor for the doctor");
    settings().open().await.expect("nor for opening");
    settings().migrate().await.expect("nor for migrating");
    let other = database.url().replacen("postgresql", "mysql", 1).replacen("postgres:", "mysql:", 1);
    assert!(other.starts_with("mysql:"), "{other}");
    let settings = || PostgresStorage::builder(&*other).max_connections(2);
    let refused = [
        settings().pending().await.map(drop),
        settings().doctor().await.map(drop),
        settings().open().await.map(drop),
        settings().migrate().await.map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("it is another database's");
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("cannot be understood"), "{error}");
    }
}

#[tokio::test]
async fn a_workspace_without_a_name_is_refused_before_anything_is_asked() {
    let (_database, storage) = fresh().await;
    let nobody = storage.workspace(&"".into());
    let refused = [
        nobody.connect(crate::connections::connection("c1", "acc")).await.map(drop),
        nobody
            .begin_run(crate::push_support::new_run(&crate::push_support::feed("c1", "s"), &crate::push_support::target("x")))
            .await
            .map(drop),
        nobody.connections().await.map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("it has no name");
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("workspace id is empty"), "{error}");
    }
}

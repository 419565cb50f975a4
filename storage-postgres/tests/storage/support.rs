//! A database and an open storage.

use storage_postgres::{PostgresBuilder, PostgresStorage};
use sync_testkit::postgres::TestDatabase;

/// A fresh database with our tables in it.
pub(crate) async fn migrated() -> TestDatabase {
    let sql = PostgresStorage::builder("").migration_script();
    let name = format!("{:x}", twox_hash::XxHash3_64::oneshot(sql.as_bytes()));
    TestDatabase::prepared(&name, async |database| {
        builder(database).migrate().await.expect("a fresh database is migrated");
    })
    .await
}

/// A fresh database with a storage on it.
pub(crate) async fn fresh() -> (TestDatabase, PostgresStorage) {
    let database = migrated().await;
    let storage = builder(&database).open().await.expect("a fresh database is migrated");
    (database, storage)
}

/// Settings for tests: few connections, since many tests run at once.
pub(crate) fn builder(database: &TestDatabase) -> PostgresBuilder {
    PostgresStorage::builder(database.url()).max_connections(4)
}

//! A database and an open storage.

use storage_postgres::{PostgresBuilder, PostgresStorage};
use sync_testkit::postgres::TestDatabase;

/// A fresh database with a storage on it.
pub(crate) async fn fresh() -> (TestDatabase, PostgresStorage) {
    let database = TestDatabase::create().await;
    let storage = builder(&database).open().await.expect("a fresh database is migrated");
    (database, storage)
}

/// Settings for tests: few connections, since many tests run at once.
pub(crate) fn builder(database: &TestDatabase) -> PostgresBuilder {
    PostgresStorage::builder(database.url()).max_connections(4)
}

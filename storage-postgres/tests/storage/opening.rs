//! Opening a database.

use sync_testkit::postgres::TestDatabase;

use crate::support::builder;

#[tokio::test]
async fn a_database_is_migrated_once_and_opened_again() {
    let database = TestDatabase::create().await;
    assert_eq!(builder(&database).migrate().await.expect("a new database is migrated"), (0, 5));
    let storage = builder(&database).open().await.expect("a migrated database is opened");
    storage.ping().await.expect("the server is there");
    builder(&database).open().await.expect("an open database is opened beside");
    assert_eq!(builder(&database).migrate().await.expect("nothing is to be done"), (5, 5));
}

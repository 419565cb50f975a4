//! Opening a database.

use crate::support::{builder, fresh};

#[tokio::test]
async fn a_database_is_migrated_once_and_opened_again() {
    let (database, storage) = fresh().await;
    storage.ping().await.expect("the server is there");
    builder(&database).open().await.expect("an open database is opened beside");
    assert_eq!(builder(&database).migrate().await.expect("nothing is to be done"), (4, 4));
}

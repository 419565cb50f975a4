//! The conformance suite for storages, on SQLite and on a storage written outside of this workspace.

#[path = "outside_storage/mod.rs"]
mod outside_storage;
#[path = "suite_storage/sqlite.rs"]
mod sqlite;

use outside_storage::Worlds;
use sqlite::Sqlite;
use sync_testkit::suite::storage;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_every_rule_of_a_storage() {
    let report = storage::run(&Sqlite).await;
    report.assert_passed();
    assert!(report.skipped().is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_from_outside_keeps_every_rule() {
    let report = storage::run(&Worlds).await;
    report.assert_passed();
    assert!(report.skipped().iter().all(|check| check.contains("host")), "{report}");
}

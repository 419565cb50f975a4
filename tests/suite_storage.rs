//! The conformance suite for storages, on SQLite and on a storage written outside of this workspace; and the suite itself, on storages
//! that do one thing wrong each.

#[path = "suite_storage/faults/mod.rs"]
mod faults;
#[path = "suite_storage/harm.rs"]
mod harm;
#[path = "outside_storage/mod.rs"]
mod outside_storage;
#[path = "suite_storage/planted/mod.rs"]
mod planted;
#[path = "suite_storage/sqlite.rs"]
mod sqlite;
#[path = "suite_storage/worlds.rs"]
mod worlds;

use std::{collections::BTreeSet, sync::Arc};

use faults::{Fault, conflict_faults, faults, host_faults, retention_faults};
use planted::Planted;
use sqlite::Sqlite;
use sync_testkit::suite::storage::{self, Capability, Check, StorageFixture};
use worlds::Worlds;

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
    let left_out = storage::checks().filter(|check| host(check) || retention(check) || conflicts(check)).map(|check| check.name);
    assert_eq!(
        report.skipped(),
        left_out.collect::<Vec<_>>(),
        "it has no tables of a host, forgets nothing, keeps nothing beside fields, and keeps every other rule"
    );
}

fn host(check: &Check) -> bool {
    check.needs.contains(&Capability::HostTables)
}

fn retention(check: &Check) -> bool {
    check.needs.contains(&Capability::Retention)
}

fn conflicts(check: &Check) -> bool {
    check.needs.contains(&Capability::Conflicts)
}

/// Walks a table of faults, and answers what is not as it says.
async fn walk(inner: Arc<dyn StorageFixture>, faults: impl Iterator<Item = &'static Fault>, wanted: fn(&Check) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for fault in faults {
        let planted = Planted { inner: Arc::clone(&inner), harm: fault.harm };
        let report = storage::run_where(&planted, wanted).await;
        if report.failed() != fault.fails {
            wrong.push(format!("{:?}: fails {:?}", fault.name, report.failed()));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_the_checks_it_is_planted_for_and_no_others() {
    let wrong = walk(Arc::new(Worlds), faults(), |check| !host(check) && !retention(check) && !conflicts(check)).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_with_host_tables_fails_the_checks_it_is_planted_for_and_no_others() {
    let wrong = walk(Arc::new(Sqlite), host_faults(), host).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_pruning_fails_the_checks_it_is_planted_for_and_no_others() {
    let wrong = walk(Arc::new(Sqlite), retention_faults(), retention).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_beside_fields_fails_the_checks_it_is_planted_for_and_no_others() {
    let wrong = walk(Arc::new(Sqlite), conflict_faults(), conflicts).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_is_seen_to_fail_and_every_fault_fails_something() {
    let all = || faults().chain(host_faults()).chain(retention_faults()).chain(conflict_faults());
    let seen: BTreeSet<&str> = all().flat_map(|fault| fault.fails).copied().collect();
    let never: Vec<_> = storage::checks().map(|check| check.name).filter(|name| !seen.contains(name)).collect();
    assert_eq!(never, [""; 0], "checks without a fault");
    let unseen: Vec<_> = all().filter(|fault| fault.fails.is_empty()).map(|fault| fault.name).collect();
    assert_eq!(unseen, [""; 0], "faults that nobody sees");
}

//! Many rows: what is unchanged costs no call, and little time.

mod support;

use std::{sync::Arc, time::Instant};

use serde_json::json;
use support::{World, clean, pushable::Pushable};
use syncline::{
    Credentials, HostTable, Push, PushRecord,
    core::PushLimits,
    mapping::{Column, Mapping},
};

/// In a release build a hundred thousand rows, as the promise says; fewer where checks cost time.
const MANY: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };

#[tokio::test]
async fn unchanged_rows_cost_no_call() {
    let (world, service) = (World::new(), Pushable::new(PushLimits { items: 1_000, ..PushLimits::default() }));
    let crm = world.open(service.clone()).await.workspace("acme").connect("crm", Credentials::token("t")).await.expect("it connects");
    let mut conn = world.sql();
    conn.execute_batch("CREATE TABLE staff (name TEXT PRIMARY KEY, v INTEGER)").expect("a table");
    let tx = conn.transaction().expect("a transaction");
    for n in 0..MANY {
        tx.execute("INSERT INTO staff VALUES (?1, ?2)", rusqlite::params![format!("p{n}"), n as i64]).expect("a row");
    }
    tx.commit().expect("it is written");
    let staff = Mapping::new("staff", "people").table(HostTable::new("staff").key("name"));
    let staff = Arc::new(staff.column(Column::new("name").to("name").key()).column(Column::new("v").to("v")));
    let records =
        || Push::records("people", (0..MANY).map(|n| PushRecord::new(format!("p{n}"), &json!({ "name": format!("p{n}"), "v": n }))));

    for (what, push) in [("table", &(|| Push::mapped(Arc::clone(&staff))) as &dyn Fn() -> Push), ("records", &records)] {
        let push_again = push();
        let started = Instant::now();
        let first = crm.sync_to_external(push()).await.expect("it runs");
        let took_first = started.elapsed();
        clean(&first);
        assert_eq!((first.counts.created, service.called()), (MANY as u64, MANY / 1_000));
        let started = Instant::now();
        let again = crm.sync_to_external(push_again).await.expect("it runs");
        let took = started.elapsed();
        clean(&again);
        assert_eq!((again.counts.unchanged, service.called()), (MANY as u64, 0));
        println!("{MANY} rows of a {what}: first {took_first:?}, again {took:?}");
        if !cfg!(debug_assertions) {
            assert!(took.as_millis() <= 1_000, "{MANY} unchanged rows of a {what} took {took:?}");
        }
    }
}

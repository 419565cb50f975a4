//! Who changed what of a connection, from the command line.

use serde_json::json;

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_connection_say_who_made_them_and_are_taken_back() {
    let house = House::new().await;
    house.connect();
    said(house.bare(&["--as", "ada", "connections", "disable", "sheets"]));
    let history = said(house.bare(&["connections", "history", "sheets"]));
    assert!(history.code == 0 && history.out.contains("version 2  changed by ada"), "{} {}", history.out, history.err);
    assert!(history.out.contains("status: active → paused") && history.out.contains("sync_enabled: true → false"), "{}", history.out);
    let told = said(house.bare(&["connections", "history", "sheets", "--limit", "1", "--json"])).json();
    assert_eq!((&told["versions"][0]["version"], told["versions"].as_array().map(Vec::len)), (&json!(2), Some(1)), "{told}");

    let restored = said(house.syncline(&["connections", "restore", "sheets", "1", "--as", "bob", "--json"])).json();
    assert_eq!(
        (&restored["connection"]["status"], &restored["connection"]["sync_enabled"]),
        (&json!("active"), &json!(true)),
        "{restored}"
    );
    let told = said(house.bare(&["connections", "history", "sheets", "--json"])).json();
    let latest = &told["versions"][0];
    assert_eq!((&latest["version"], &latest["action"], &latest["changed_by"]), (&json!(3), &json!("restored"), &json!("bob")), "{told}");
    let missing = said(house.syncline(&["connections", "restore", "sheets", "9"]));
    assert!(missing.code != 0 && missing.err.contains("no version 9"), "{} {}", missing.code, missing.err);
}

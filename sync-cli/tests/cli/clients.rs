//! Clients from the command line.

use serde_json::json;

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_added_linked_listed_and_removed() {
    let house = House::new().await;
    house.connect();
    let empty = said(house.bare(&["clients"]));
    assert!(empty.code == 0 && empty.out.contains("has no clients"), "{}", empty.out);

    let added = said(house.bare(&["clients", "add", "initech", "--name", "Initech", "--industry", "software"]));
    assert!(added.code == 0 && added.out.contains("Initech  initech") && added.out.contains("added"), "{} {}", added.out, added.err);
    let linked = said(house.bare(&["clients", "link", "initech", "sheets", "1AbC", "--name", "Staff list", "--json"])).json();
    assert_eq!(linked["client"]["accounts"], json!([{ "provider": "sheets", "account_id": "1AbC", "name": "Staff list" }]), "{linked}");
    let connections = said(house.bare(&["connections", "--json"])).json();
    assert_eq!(connections["connections"][0]["connection"]["subject_id"], "initech", "{connections}");

    // What is not given stays, and so do the links.
    said(house.bare(&["clients", "add", "initech", "--status", "active"]));
    let listed = said(house.bare(&["clients", "list", "--json"])).json();
    let client = &listed["clients"][0];
    assert_eq!((&client["name"], &client["industry"], &client["status"]), (&json!("Initech"), &json!("software"), &json!("active")));
    assert_eq!(client["accounts"].as_array().map(Vec::len), Some(1), "{listed}");

    said(house.bare(&["clients", "add", "initrode"]));
    let taken = said(house.bare(&["clients", "link", "initrode", "sheets", "1AbC"]));
    assert!(taken.code != 0 && taken.err.contains("initech"), "{} {}", taken.code, taken.err);
    let unknown = said(house.bare(&["clients", "link", "nobody", "sheets", "2"]));
    assert!(unknown.code != 0 && unknown.err.contains("nobody"), "{}", unknown.err);

    let unlinked = said(house.bare(&["clients", "unlink", "initech", "sheets", "1AbC", "--json"])).json();
    assert_eq!((&unlinked["client"]["accounts"], &unlinked["client"]["name"]), (&json!([]), &json!("Initech")), "{unlinked}");
    assert_eq!(said(house.bare(&["clients", "link", "initrode", "sheets", "1AbC"])).code, 0, "it is free now");
    let removed = said(house.bare(&["clients", "remove", "initech"]));
    assert!(removed.code == 0 && removed.out.contains("was removed"), "{}", removed.out);
    assert_ne!(said(house.bare(&["clients", "remove", "initech"])).code, 0, "there is nothing to remove");
    let left = said(house.bare(&["clients"]));
    assert!(left.out.contains("initrode") && !left.out.contains("Initech"), "{}", left.out);
}

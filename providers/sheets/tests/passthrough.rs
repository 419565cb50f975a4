//! Calls of the host's own.

mod support;

use serde_json::{Value, json};
use support::{Bench, ID};
use sync_core::{Delivery, ErrorKind, IntegrationSync, Method, PassthroughRequest};
use sync_testkit::Fault;

#[tokio::test]
async fn calls_of_the_hosts_own_draw_from_the_quota_of_what_they_do() {
    let bench = Bench::with(&[&["id"], &["a"]]);
    let door = bench.sheets.as_passthrough().expect("it lets them through");
    let cx = bench.context(json!({}));
    let path = format!("v4/spreadsheets/{ID}");
    let answer = door.request(&cx, &PassthroughRequest::get(path.as_str()).query("fields", "properties.title")).await.expect("reads");
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).expect("JSON"), json!({"properties": {"title": "Master Sheet"}}));

    let sheet = json!({"requests": [{"addSheet": {"properties": {"title": "Made"}}}]});
    let add = PassthroughRequest::new(Method::Post, format!("{path}:batchUpdate")).json(&sheet);
    door.request(&cx, &add).await.expect("adds a tab");
    assert_eq!(bench.sim().size("Made"), (1_000, 26));
    assert_eq!(bench.services.calls().permits, [("read".to_owned(), 1), ("write".to_owned(), 1)]);

    let error = door.request(&cx, &add).await.expect_err("the title is taken");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("already exists"), "{error}");
    let error = door.request(&cx, &PassthroughRequest::get("https://elsewhere.example/x")).await.expect_err("leads elsewhere");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_lost_call_of_the_hosts_own_is_not_repeated() {
    let bench = Bench::with(&[&["id"]]);
    bench.simulation.faults().push("sheets.values.append", Fault::LostAnswer);
    let path = format!("v4/spreadsheets/{ID}/values/T!A1:append");
    let call = PassthroughRequest::new(Method::Post, path).query("valueInputOption", "RAW").json(&json!({"values": [["x"]]}));
    let door = bench.sheets.as_passthrough().expect("it lets them through");
    let error = door.request(&bench.context(json!({})), &call).await.expect_err("lost");
    assert_eq!((error.delivery(), bench.simulation.count("sheets.values.append")), (Delivery::Unknown, 1));
    assert_eq!(bench.rows(), ["id", "x"]);
}

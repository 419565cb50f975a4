//! Sensitive values: hashed by the server as the core hashes, and quoted by no refusal.

use std::sync::Arc;

use serde_json::json;
use sync_core::{
    Field, HostTable, Target,
    sensitive::{HidingKey, is_hidden},
    store::Storage as _,
};

use crate::push_support::{Site, begin, feed, host, mapped_feed, target, up};

#[tokio::test]
async fn the_server_hashes_as_the_core_does() {
    let site = Site::new().await;
    let marked = Target { fields: Arc::from([Field::new("mail").sensitive()]), ..target("x_own") };
    let run = begin(&site.storage, "acme", &feed("c1", "own"), &marked).await;
    run.commit(&[up("a", json!({"mail": "ada@x"}))]).await;
    let mut connection = site.database.connection().await;
    let pads =
        sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>("SELECT inner_pad, outer_pad FROM syncline.lineage_keys WHERE workspace_id = 'acme'");
    let (inner, outer) = pads.fetch_one(&mut connection).await.expect("a key");
    let key = HidingKey::of_pads(&inner, &outer).expect("pads");
    let acme = site.storage.workspace(&"acme".into());
    for json in [r#""ada@x""#, r#""caf\u00e9 \"\\ \t\u0001""#, "7", "12345678901234567890.10", "true", r#"["a","b"]"#, "[]", "null"] {
        let hidden = acme.hidden(vec![json.into()]).await.expect("a hash");
        if json.starts_with('[') && json.len() > 2 {
            // Lists are written with blanks there: compared with each other alone.
            assert!(is_hidden(&hidden[0]), "{json}");
            continue;
        }
        assert_eq!(*hidden[0], *key.hide(json), "{json}");
    }
    let twice = acme.hidden(vec![key.hide("7").into(), r#"{"hidden": null}"#.into()]).await.expect("an answer");
    assert_eq!(*twice[0], *key.hide("7"), "what is hidden stays as it is");
    assert!(is_hidden(&twice[1].replace(' ', "")));
}

#[tokio::test]
async fn every_workspace_has_a_key_of_its_own_which_goes_with_it() {
    let site = Site::new().await;
    let marked = Target { fields: Arc::from([Field::new("mail").sensitive()]), ..target("x_own") };
    for workspace in ["acme", "globex"] {
        let run = begin(&site.storage, workspace, &feed("c1", "own"), &marked).await;
        run.commit(&[up("a", json!({"mail": "ada@x"}))]).await;
        run.end().await;
    }
    let mut connection = site.database.connection().await;
    let keys = "SELECT count(DISTINCT inner_pad) FROM syncline.lineage_keys";
    let count: i64 = sqlx::query_scalar(keys).fetch_one(&mut connection).await.expect("a count");
    assert_eq!(count, 2);
    site.storage.fleet().erase(&"acme".into()).await.expect("erased");
    let left: Vec<String> =
        sqlx::query_scalar("SELECT workspace_id FROM syncline.lineage_keys").fetch_all(&mut connection).await.expect("keys");
    assert_eq!(left, ["globex"]);
}

#[tokio::test]
async fn a_refusal_of_the_server_does_not_quote_a_value_where_some_are_sensitive() {
    let site = Site::new().await;
    site.execute("CREATE TABLE staff (id text PRIMARY KEY, age int, day date)").await;
    let staff = host(HostTable::new("staff").key("id"));
    let rows = [up("r1", json!({"id": "a", "age": "secret-77"})), up("r2", json!({"id": "b", "age": 1, "day": "2026-02-31"}))];
    let plainly = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &staff).await;
    let failures = plainly.commit(&rows).await.failures;
    assert!(failures[0].error.contains("secret-77"), "the server quotes it: {failures:?}");
    plainly.end().await;
    let marked = Target { fields: Arc::from([Field::new("age").sensitive()]), ..staff };
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &marked).await;
    let failures = run.commit(&rows).await.failures;
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures.iter().all(|failure| failure.error.contains("SQLSTATE 22")), "{failures:?}");
    assert_eq!(failures[0].column.as_deref(), Some("age"));
    assert!(!format!("{failures:?}").contains("secret-77") && !format!("{failures:?}").contains("2026-02-31"), "{failures:?}");
}

//! The history of values: complete, exact, and the same from the store and from the view.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use storage_sqlite::{SqliteStorage, rusqlite};
use sync_core::{Source, Target, store::LineageEntry};

use crate::support::*;

/// Previous and new values of a history.
fn values(history: &[LineageEntry]) -> Vec<(String, Option<Value>, Option<Value>)> {
    history.iter().map(|entry| (entry.field_name.to_string(), entry.previous_value.clone(), entry.new_value.clone())).collect()
}

/// The rows of the view about an entity, in the form of the store's entries.
fn view(path: &std::path::Path, workspace: &str, entity_type: &str, key: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).expect("opens");
    let mut rows = conn
        .prepare(
            "SELECT id, field_name, source_type, source_id, source_ref, previous_value, new_value, sync_run_id, changed_by \
             FROM syncline_field_lineage WHERE workspace_id = ?1 AND entity_type = ?2 AND entity_id = ?3",
        )
        .expect("a query");
    let json = |text: Option<String>| text.map(|text| serde_json::from_str::<Value>(&text).expect("JSON in the view"));
    let mut lines: Vec<String> = rows
        .query_map([workspace, entity_type, key], |row| {
            let (old, new): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
            Ok(line(
                row.get(0)?,
                &row.get::<_, String>(1)?,
                (&row.get::<_, String>(2)?, &row.get::<_, String>(3)?, row.get::<_, Option<String>>(4)?.as_deref()),
                (&json(old), &json(new)),
                row.get(7)?,
                &row.get::<_, String>(8)?,
            ))
        })
        .expect("rows")
        .map(|line| line.expect("a row"))
        .collect();
    lines.sort();
    lines
}

fn line(seq: i64, field: &str, source: (&str, &str, Option<&str>), values: (&Option<Value>, &Option<Value>), run: i64, by: &str) -> String {
    format!("{seq} {field} {source:?} {values:?} {run} {by}")
}

fn lines(history: &[LineageEntry]) -> Vec<String> {
    let mut lines: Vec<String> = history
        .iter()
        .map(|e| {
            let source = (&*e.source_type, &*e.source_id, e.source_ref.as_deref());
            line(e.seq, &e.field_name, source, (&e.previous_value, &e.new_value), e.sync_run_id.0, &e.changed_by)
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn every_change_of_every_life_is_told_once() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let refs = BTreeMap::from([("name".into(), "Movies → Column B".into())]);
    let source = Arc::new(Source { kind: "google_sheet".into(), id: "sheet1/Movies".into(), refs, ..Source::default() });
    let run = begin(&storage, "acme", &feed("c1", "s"), &Target { source, ..target("x_s") }).await;
    run.commit(&[up("a", json!({"name": "One", "n": 1, "gone": "soon"}))]).await;
    run.commit(&[up("a", json!({"name": "Two", "gone": null}))]).await;
    run.commit(&[up("a", json!({"name": "Two", "late": true}))]).await;
    run.commit(&[gone("a")]).await;
    run.commit(&[up("a", json!({"name": "Three"}))]).await;
    run.commit(&[up("a", json!({"name": "Four"}))]).await;
    let all = run.store.lineage(&entity("x_s"), "a", None).await.expect("lineage");
    let name = run.store.lineage(&entity("x_s"), "a", Some("name")).await.expect("lineage");
    let (some, none) = (|text: &str| Some(json!(text)), None);
    let told: Vec<_> = values(&name).into_iter().map(|(_, old, new)| (old, new)).collect();
    assert_eq!(
        told,
        [
            (none.clone(), some("One")),
            (some("One"), some("Two")),
            (some("Two"), none.clone()),
            (none, some("Three")),
            (some("Three"), some("Four"))
        ]
    );
    assert_eq!(name[0].source_ref.as_deref(), Some("Movies → Column B"));
    assert_eq!((&*name[0].source_type, &*name[0].source_id, &*name[0].changed_by), ("google_sheet", "sheet1/Movies", "tester"));
    let gone: Vec<_> = values(&all).into_iter().filter(|(field, ..)| field == "gone").map(|(_, old, new)| (old, new)).collect();
    assert_eq!(gone, [(None, Some(json!("soon"))), (Some(json!("soon")), Some(Value::Null))]);
    assert_eq!(all.len(), 5 + 2 + 2 + 2, "name 5; n made, deleted; gone made, cleared; late set, deleted");
    assert_eq!(lines(&all), view(&folder.db(), "acme", "x_s", "a"));
}

#[tokio::test]
async fn rows_of_two_connections_with_one_key_have_histories_of_their_own() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let one = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let two = begin(&storage, "acme", &feed("c2", "s"), &target("x_s")).await;
    one.commit(&[up("k", json!({"n": 1}))]).await;
    two.commit(&[up("k", json!({"n": 10}))]).await;
    one.commit(&[gone("k")]).await;
    two.commit(&[up("k", json!({"n": 11}))]).await;
    let told = one.store.lineage(&entity("x_s"), "k", None).await.expect("lineage");
    let mut told: Vec<_> = told.iter().map(|e| (e.sync_run_id, e.previous_value.clone(), e.new_value.clone())).collect();
    told.sort_by_key(|(run, ..)| *run);
    assert_eq!(
        told,
        [
            (one.fence.run, None, Some(json!(1))),
            (one.fence.run, Some(json!(1)), None),
            (two.fence.run, None, Some(json!(10))),
            (two.fence.run, Some(json!(10)), Some(json!(11)))
        ]
    );
    let all = one.store.lineage(&entity("x_s"), "k", None).await.expect("lineage");
    assert_eq!(lines(&all), view(&folder.db(), "acme", "x_s", "k"));
}

#[tokio::test]
async fn the_view_tells_values_of_every_kind_as_the_store_does() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let odd = json!({
        "text": "quote \" back \\ line \n null \u{0} 名前", "int": -5, "float": 0.1, "third": 0.333_333_333_333_333_3, "big": 1e300, "flag": true,
        "list": [1, {"a": null}], "u64": u64::MAX, "date": "2026-01-01", "weird \" field": "x", "empty": "",
    });
    run.commit(&[up("a", odd.clone())]).await;
    // Values that do not fit the kinds their columns have by now.
    let other = json!({"text": 5, "int": "7", "float": "0.5", "flag": 1, "list": "text", "date": {"y": 2026}, "u64": true, "empty": [0]});
    run.commit(&[up("b", other.clone())]).await;
    run.commit(&[up("a", json!({"text": 1.5, "flag": "no", "int": [], "list": null}))]).await;
    for key in ["a", "b"] {
        let all = run.store.lineage(&entity("x_s"), key, None).await.expect("lineage");
        assert_eq!(lines(&all), view(&folder.db(), "acme", "x_s", key));
    }
    let made: serde_json::Map<String, Value> = run
        .store
        .lineage(&entity("x_s"), "a", None)
        .await
        .expect("lineage")
        .into_iter()
        .filter(|entry| entry.previous_value.is_none())
        .map(|entry| (entry.field_name.into(), entry.new_value.expect("a value")))
        .collect();
    assert_eq!(Value::Object(made), odd, "what a row was made with can be told from its later lines and from itself");
}

#[tokio::test]
async fn mapped_rows_and_rows_of_the_host_tell_their_history_too() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), "CREATE TABLE partners (email TEXT PRIMARY KEY, name TEXT, tenant TEXT)");
    let table = sync_core::HostTable::new("partners").key("email").workspace_column("tenant").delete_rows();
    for target in [managed("people", &["email"]), host(table)] {
        let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
        run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await;
        run.commit(&[up("r1", json!({"email": "a@x", "name": "Anna"}))]).await;
        run.commit(&[gone("r1")]).await;
        let all = run.store.lineage(&target.entity, "a@x", None).await.expect("lineage");
        let name: Vec<_> =
            all.iter().filter(|e| &*e.field_name == "name").map(|e| (e.previous_value.clone(), e.new_value.clone())).collect();
        assert_eq!(name, [(None, Some(json!("Ann"))), (Some(json!("Ann")), Some(json!("Anna"))), (Some(json!("Anna")), None)]);
        assert_eq!(lines(&all), view(&folder.db(), "acme", target.entity.as_str(), "a@x"));
        run.end().await;
    }
}

//! Random worlds against a plain map: the store holds what the map holds, and counts what the map saw happen.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use storage_sqlite::SqliteStorage;
use sync_core::Target;

use crate::support::*;

type World = BTreeMap<String, Map<String, Value>>;

/// A field's new value, or nothing said about it.
fn cell() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => any::<i64>().prop_map(|n| Some(json!(n))),
        1 => (-1e9f64..1e9).prop_map(|n| Some(json!(n))),
        1 => any::<bool>().prop_map(|b| Some(json!(b))),
        2 => "[a-c0-9\"\\\\é]{0,3}".prop_map(|s| Some(json!(s))),
        1 => Just(Some(json!({"k": [1, "x", null]}))),
    ]
}

/// A record about one of a few keys: its fields, or its deletion.
type Said = (u8, Option<[Option<Value>; 3]>);

fn record() -> impl Strategy<Value = Said> {
    (0..6u8, prop_oneof![4 => [cell(), cell(), cell()].prop_map(Some), 1 => Just(None)])
}

fn fields(id: &str, mapped: bool, cells: &[Option<Value>; 3]) -> Value {
    let mut fields = Map::new();
    if mapped {
        fields.insert("id".into(), json!(id));
    }
    for (name, value) in ["one", "two", "three"].into_iter().zip(cells) {
        if let Some(value) = value {
            fields.insert(name.into(), value.clone());
        }
    }
    Value::Object(fields)
}

/// Applies a record to the map; answers which count it belongs to, in the order of [`counts`].
fn apply(world: &mut World, id: &str, fields: Option<&Value>) -> usize {
    let Some(fields) = fields else { return if world.remove(id).is_some() { 5 } else { 2 } };
    let new = !world.contains_key(id);
    let row = world.entry(id.to_owned()).or_default();
    let before = row.clone();
    for (name, value) in fields.as_object().expect("an object") {
        match value {
            Value::Null => row.remove(name),
            value => row.insert(name.clone(), value.clone()),
        };
    }
    if new {
        0
    } else if *row == before {
        2
    } else {
        1
    }
}

fn plain(world: &World) -> BTreeMap<String, Value> {
    world.iter().map(|(id, row)| (id.clone(), Value::Object(row.clone()))).collect()
}

async fn live(target: Target, mapped: bool, pages: &[Vec<Said>]) {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let mapping = if mapped { "m" } else { "" };
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", mapping), &target).await;
    let mut world = World::new();
    for page in pages {
        // One record per key and page, so that the order inside a page does not matter.
        let page: BTreeMap<String, Option<Value>> = page
            .iter()
            .map(|(key, cells)| {
                let id = format!("k{key}");
                let fields = cells.as_ref().map(|cells| fields(&id, mapped, cells));
                (id, fields)
            })
            .collect();
        let mut expected = [0; 6];
        for (id, fields) in &page {
            expected[apply(&mut world, id, fields.as_ref())] += 1;
        }
        let rows: Vec<Row<'_>> = page.iter().map(|(id, fields)| (id.as_str(), fields.clone())).collect();
        let report = run.commit(&rows).await;
        assert!(report.counts.balanced());
        assert_eq!(counts(&report.counts), expected);
        assert_eq!(run.table().await, plain(&world));
    }
    // The history of every field ends at the value that is there, and each change begins where the last one ended.
    for key in 0..6 {
        let id = format!("k{key}");
        let mut last: BTreeMap<String, Value> = BTreeMap::new();
        for entry in run.store.lineage(&target.entity, &id, None).await.expect("lineage") {
            let field = entry.field_name.to_string();
            let before = entry.previous_value.unwrap_or(Value::Null);
            assert_eq!(last.get(&field).unwrap_or(&Value::Null), &before, "{id} {field}");
            let now = entry.new_value.unwrap_or(Value::Null);
            assert_ne!(now, before, "{id} {field} changed to what it was");
            last.insert(field, now);
        }
        last.retain(|_, value| !value.is_null());
        let row = world.get(&id).cloned().unwrap_or_default();
        assert_eq!(Value::Object(last.into_iter().collect()), Value::Object(row), "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn the_store_is_what_a_map_would_be(pages in prop::collection::vec(prop::collection::vec(record(), 1..6), 1..10)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(live(target("x_s"), false, &pages));
        runtime.block_on(live(managed("people", &["id"]), true, &pages));
    }
}

//! Streams' own tables: what is kept of a record, what its line of lineage says, and what a refused row leaves alone.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};
use sync_core::{Field, FieldKind, Target, store::PageCommit};

use crate::push_support::*;

async fn lines(site: &Site, key: &str) -> Vec<Value> {
    let query = format!("SELECT changes::text FROM syncline.lineage_entries WHERE entity_id = '{key}' ORDER BY seq");
    site.column(&query).await.iter().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[tokio::test]
async fn what_a_record_does_not_say_stays_and_its_line_tells_what_changed() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"one": 1, "two": "2", "three": [3]})), up("b", json!({"one": 1, "two": "2", "three": [3]}))]).await;
    let done = run
        .commit(&[up("a", json!({"two": "zwei"})), up("b", json!({"one": 5, "two": null, "three": [3]})), up("c", json!({"three": [1]}))])
        .await;
    assert_eq!(counts(&done.counts), [1, 2, 0, 0, 0, 0]);
    let expected = BTreeMap::from([
        ("a".to_owned(), json!({"one": 1, "two": "zwei", "three": [3]})),
        ("b".to_owned(), json!({"one": 5, "three": [3]})),
        ("c".to_owned(), json!({"three": [1]})),
    ]);
    assert_eq!(run.table().await, expected);
    assert_eq!(lines(&site, "a").await, [json!({"two": ["2", "zwei"]})]);
    assert_eq!(lines(&site, "b").await, [json!({"one": [1, 5], "two": ["2", null]})]);
    assert_eq!(lines(&site, "c").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_column_is_kept_beside_it_until_one_fits() {
    let site = Site::new().await;
    let fields = typed(&[Field::typed("n", FieldKind::Integer), Field::typed("t", FieldKind::Text)]);
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &Target { fields, ..target("x_s") }).await;
    let column = "SELECT coalesce(n::text, 'null') || ' ' || coalesce(extra::text, 'null') FROM syncline.x_s WHERE entity_id = 'a'";
    for (value, stored) in [
        (json!(5), "5 null"),
        (json!("five"), r#"null {"n": "five"}"#),
        (json!(u64::MAX), r#"null {"n": 18446744073709551615}"#),
        (json!(7), "7 null"),
        (json!([1]), r#"null {"n": [1]}"#),
        (json!(null), "null null"),
    ] {
        run.commit(&[up("a", json!({"n": value.clone(), "t": "same"}))]).await;
        assert_eq!(site.column(column).await, [stored]);
        let again = run.commit(&[up("a", json!({"t": "same", "n": value.clone()}))]).await;
        assert_eq!(counts(&again.counts), [0, 0, 1, 0, 0, 0], "{value} again");
        // A record that does not name the field leaves it wherever it is.
        let beside = run.commit(&[up("a", json!({"t": "same"}))]).await;
        assert_eq!(counts(&beside.counts), [0, 0, 1, 0, 0, 0], "without {value}");
        assert_eq!(site.column(column).await, [stored]);
    }
    let told = [
        json!({"n": [5, "five"]}),
        json!({"n": ["five", u64::MAX]}),
        json!({"n": [u64::MAX, 7]}),
        json!({"n": [7, [1]]}),
        json!({"n": [[1], null]}),
    ];
    assert_eq!(lines(&site, "a").await, told);
}

#[tokio::test]
async fn content_written_in_another_way_or_moved_is_unchanged() {
    let site = Site::new().await;
    let fields = typed(&[Field::typed("n", FieldKind::Number), Field::typed("j", FieldKind::Json)]);
    for lineage in [true, false] {
        let entity = if lineage { "x_told" } else { "x_untold" };
        let run =
            begin(&site.storage, "acme", &feed("c1", entity), &Target { fields: Arc::clone(&fields), lineage, ..target(entity) }).await;
        let rows = |n: &str, j: &str| {
            let cells = vec![("n".to_owned(), n.to_owned()), ("j".to_owned(), j.to_owned())];
            raw_batch(&[("a", Some(cells.clone())), ("b", Some(cells))])
        };
        let commit = |partition: &'static str, n: &str, j: &str, minute: u32| PageCommit {
            at: at(minute),
            ..run.page(vec![part(partition, rows(n, j))])
        };
        run.store.commit(commit("", "1.10", r#"{"a":1,"b":[2]}"#, 1)).await.expect("created");
        let state = format!("SELECT partition_id || ' ' || row_hash || ' ' || last_synced_at FROM syncline.{entity} WHERE entity_id = 'a'");
        let first = site.column(&state).await;
        for (partition, n, j) in [("", "1.1", r#"{ "b":[2], "a":1.0 }"#), ("moved", "11e-1", r#"{"a":1,"b":[2]}"#)] {
            let done = run.store.commit(commit(partition, n, j, 9)).await.expect("committed");
            assert_eq!(counts(&done.counts), [0, 0, 2, 0, 0, 0], "{n} {j}");
        }
        let last = site.column(&state).await;
        assert!(last[0].starts_with("moved ") && last != first, "{last:?}");
        let time = |state: &[String]| state[0].rsplit_once("2026").expect("a time").1.to_owned();
        assert_eq!(time(&last), time(&first), "when it was last written");
        // The hash is that of the last writing, so the same again is known without a look.
        let done = run.store.commit(commit("moved", "11e-1", r#"{"a":1,"b":[2]}"#, 9)).await.expect("committed");
        assert_eq!((counts(&done.counts), site.column(&state).await), ([0, 0, 2, 0, 0, 0], last));
        assert_eq!(lines(&site, "a").await, [] as [Value; 0]);
    }
}

#[tokio::test]
async fn rows_that_the_database_refuses_fail_alone_and_in_order() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("k05", json!({"n": 1, "t": "x"})), up("k06", json!({"n": 1})), up("k90", json!({"n": 1})), up("k91", json!({"n": 1}))])
        .await;
    site.execute("ALTER TABLE syncline.x_s ADD CONSTRAINT small CHECK (n < 100)").await;
    let names: Vec<String> = (0..40).rev().map(|n| format!("k{n:02}")).collect();
    let mut rows: Vec<Row<'_>> =
        names.iter().map(|name| up(name, json!({"n": if ["k05", "k31", "k30"].contains(&&**name) { 100 } else { 2 }}))).collect();
    // Longer than an index can hold, in a way no compression helps.
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 59) as u8 % 26)
    };
    let huge: String = (0..9000).map(next).collect();
    rows.push(up(&huge, json!({"n": 1})));
    rows.push(gone("k90"));
    let done = run.commit(&rows).await;
    let refused: Vec<_> = done.failures.iter().map(|failure| failure.record.as_deref().unwrap_or_default()).collect();
    assert_eq!(&refused[..3], ["k31", "k30", "k05"], "in the order of the records");
    assert_eq!(refused.len(), 4);
    assert_eq!(refused[3], huge, "a key that no index holds is refused by itself");
    assert_eq!(done.counts.failed, refused.len() as u64);
    assert_eq!((done.counts.updated, done.counts.deleted), (1, 1));
    let table = run.table().await;
    assert_eq!((&table["k05"], &table["k06"]), (&json!({"n": 1, "t": "x"}), &json!({"n": 2})));
    assert!(!table.contains_key("k31") && !table.contains_key("k90") && table.contains_key("k91"));
    assert_eq!(lines(&site, "k05").await, [] as [Value; 0]);
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn value(&mut self) -> Value {
        match self.roll(9) {
            0 => json!(null),
            1 => json!(""),
            2 => json!("text"),
            3 => json!(true),
            4 => json!(1.5),
            5 => json!(u64::MAX),
            6 => json!({"a": [1, null]}),
            n => json!(n),
        }
    }
}

/// What the fields of a row were before the first of these lines.
fn undone(mut row: Map<String, Value>, lines: &[Value]) -> Map<String, Value> {
    for line in lines.iter().rev() {
        for (field, pair) in line.as_object().expect("a line is an object") {
            assert_eq!(row.remove(field).unwrap_or_default(), pair[1], "{field} in {line}");
            if !pair[0].is_null() {
                row.insert(field.clone(), pair[0].clone());
            }
        }
    }
    row
}

#[tokio::test]
async fn whatever_comes_the_table_is_as_if_records_were_written_one_by_one() {
    for seed in 0..4 {
        let site = Site::new().await;
        let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        let (mut dice, mut model, mut made) = (Dice(seed), BTreeMap::<String, Map<String, Value>>::new(), BTreeMap::new());
        for step in 0..12 {
            let names: Vec<String> = (0..1 + dice.roll(60)).map(|_| format!("k{}", dice.roll(40))).collect();
            let mut rows: Vec<Row<'_>> = Vec::new();
            for name in &names {
                if dice.roll(8) == 0 {
                    rows.push(gone(name));
                    model.remove(name);
                    continue;
                }
                // Some sources name every field, others what they have.
                let whole = seed % 2 == 0;
                let mut fields = Map::new();
                for n in 0..7 {
                    if whole || dice.roll(2) == 0 {
                        fields.insert(format!("f{n}"), dice.value());
                    }
                }
                let row = model.entry(name.clone()).or_default();
                for (field, value) in &fields {
                    if value.is_null() {
                        row.remove(field);
                    } else {
                        row.insert(field.clone(), value.clone());
                    }
                }
                rows.push(up(name, Value::Object(fields)));
            }
            let done = run.commit(&rows).await;
            assert!(done.counts.balanced() && done.counts.failed == 0, "{done:?}");
            let expected: BTreeMap<String, Value> = model.iter().map(|(key, row)| (key.clone(), Value::Object(row.clone()))).collect();
            assert_eq!(run.table().await, expected, "seed {seed}, step {step}");
            for (key, row) in &model {
                made.entry(key.clone()).or_insert_with(|| row.clone());
            }
        }
        // Of rows that were never deleted the lines lead back to a row that some commit made.
        for (key, row) in &model {
            let deleted =
                site.column(&format!("SELECT op::text FROM syncline.lineage_entries WHERE entity_id = '{key}' AND op = 'd'")).await;
            if deleted.is_empty() {
                undone(row.clone(), &lines(&site, key).await);
            }
        }
    }
}

#[tokio::test]
async fn the_widest_row_fits_a_page_whatever_the_length_of_its_values() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    for length in [18, 20, 21, 22, 23, 24, 30] {
        let fields: serde_json::Map<String, Value> = (0..330).map(|n| (format!("f{n:03}"), Value::from(format!("{n:0length$}")))).collect();
        let done = run.commit(&[up(&format!("key of {length} letters, long"), Value::Object(fields))]).await;
        assert_eq!(counts(&done.counts), [1, 0, 0, 0, 0, 0], "{length}: {:?}", done.failures);
    }
}

#[tokio::test]
async fn a_field_whose_name_no_text_holds_costs_its_own_record_only() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let done = run.commit(&[up("a", json!({"n": 1})), up("b", json!({"n": 1, "n\u{0}l": 1}))]).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 0, 1, 0], "{:?}", done.failures);
    assert_eq!(done.failures[0].column.as_deref(), Some("n\u{0}l"));
}

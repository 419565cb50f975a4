use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// A batch of the objects in a JSON list, each with the id of its place.
fn batch(json: &str) -> Result<RecordBatch> {
    let body = Bytes::from(json.to_owned());
    let mut batch = RecordBatch::over(body.clone())?;
    let raws: Vec<&RawValue> = serde_json::from_slice(&body).expect("a list");
    for (n, raw) in raws.into_iter().enumerate() {
        let mut draft = batch.record();
        draft.object(raw)?;
        draft.finish(n.to_string(), Operation::Upsert, None);
    }
    Ok(batch)
}

fn cells(batch: &RecordBatch, record: usize) -> Vec<(&str, &str)> {
    batch.cells(&batch.records()[record]).map(|(name, text)| (&*batch.names()[name], text)).collect()
}

fn hashes(json: &str) -> Vec<u64> {
    let batch = batch(json).expect("objects");
    let seeds = batch.name_seeds();
    batch.records().iter().map(|record| batch.hash(record, &seeds)).collect()
}

#[test]
fn cells_keep_the_exact_text_of_the_page() {
    let batch =
        batch(r#"[{"id": 12345678901234567890, "price": 1.10, "nested": {"b": 1,  "a": [ ]}, "t": "\u00e9\n", "n": null, "e": ""}]"#)
            .expect("objects");
    assert_eq!(
        cells(&batch, 0),
        [
            ("id", "12345678901234567890"),
            ("price", "1.10"),
            ("nested", r#"{"b": 1,  "a": [ ]}"#),
            ("t", r#""\u00e9\n""#),
            ("n", "null"),
            ("e", r#""""#)
        ]
    );
    assert_eq!(batch.cell(&batch.records()[0], "absent"), None);
}

#[test]
fn borrowed_cells_are_not_copied_and_made_ones_stand_beside_them() {
    let body = Bytes::from_static(br#"{"a": "text of the page"}"#);
    let mut batch = RecordBatch::over(body.clone()).expect("UTF-8");
    let name = batch.name("made");
    let mut draft = batch.record();
    draft.object(serde_json::from_slice(&body).expect("an object")).expect("an object");
    draft.made(name, "42");
    assert_eq!((draft.cell("a"), draft.cell("made"), draft.cell("b")), (Some(r#""text of the page""#), Some("42"), None));
    draft.finish("1", Operation::Upsert, Some(2));
    let quoted = batch.name("quoted");
    let mut draft = batch.record();
    draft.made_text(quoted, "a \"b\"");
    draft.finish("2", Operation::Delete, None);
    let record = &batch.records()[0];
    let text = batch.cell(record, "a").expect("there");
    assert!(body.as_ptr_range().contains(&text.as_ptr()), "points into the page");
    assert_eq!((record.id.as_str(), record.operation, record.position), ("1", Operation::Upsert, Some(2)));
    assert_eq!(batch.cell(&batch.records()[1], "quoted"), Some(r#""a \"b\"""#));
    assert_eq!(batch.len(), 2);
}

#[test]
fn dropped_draft_leaves_nothing_behind() {
    let mut batch = batch(r#"[{"a": 1}]"#).expect("objects");
    let name = batch.name("b");
    let mut draft = batch.record();
    draft.made(name, "2");
    let weight = draft.batch.weight();
    drop(draft);
    assert!(batch.weight() < weight, "its cells are gone");
    let mut draft = batch.record();
    draft.made(name, "3");
    draft.finish("1", Operation::Upsert, None);
    assert_eq!((cells(&batch, 0), cells(&batch, 1)), (vec![("a", "1")], vec![("b", "3")]));
}

#[test]
fn of_a_field_named_twice_the_last_one_stands() {
    for (json, expected) in [
        (r#"[{"a": 1, "b": 2, "a": 3}]"#, vec![("b", "2"), ("a", "3")]),
        (r#"[{"a": 1, "a": 2, "a": 3}]"#, vec![("a", "3")]),
        (r#"[{"a": 1, "\u0061": 2}]"#, vec![("a", "2")]),
        (r#"[{"b": 1, "a": 2, "b": 3, "a": 4}]"#, vec![("b", "3"), ("a", "4")]),
    ] {
        assert_eq!(cells(&batch(json).expect("objects"), 0), expected, "{json}");
    }
    let second = batch(r#"[{"a": 1, "b": 2}, {"b": 3, "a": 4, "b": 5}]"#).expect("objects");
    assert_eq!(cells(&second, 1), [("a", "4"), ("b", "5")], "also when the names are known from a record before");
}

#[test]
fn what_is_no_object_is_refused() {
    for json in ["[1]", "[[]]", "[\"a\"]", "[null]", "[true]"] {
        assert_eq!(batch(json).expect_err("no object").kind(), ErrorKind::Decode, "{json}");
    }
}

#[test]
fn body_that_is_not_utf8_is_refused() {
    let error = RecordBatch::over(Bytes::from_static(b"{\"a\": \"\xff\"}")).expect_err("not UTF-8");
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[test]
fn hash_depends_on_fields_and_values_and_on_nothing_else() {
    let all = hashes(
        r#"[{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"c": 0, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, {"a": 1, "b": null}, {"a": 1, "b": ""}, {}]"#,
    );
    assert_eq!(all[0], all[1]);
    for (n, hash) in all.iter().enumerate().skip(1) {
        assert!(!all[n + 1..].contains(hash), "record {n}");
    }
    let elsewhere = hashes(r#"[{"z": 1, "b": 1}, {"b": 2, "a": 1}]"#);
    assert_eq!(elsewhere[1], all[0], "names found in another order");
}

#[test]
fn records_of_many_fields_in_changing_order_cost_no_more_than_their_fields() {
    // Steps that no field count here shares a factor with: no name follows the one it followed in the first record.
    let object = |fields: usize, step: usize| {
        let cells = (0..fields).map(|n| format!("\"field_number_{}\":{n}", n * step % fields)).collect::<Vec<_>>();
        format!("{{{}}}", cells.join(","))
    };
    let page = |fields: usize, records: usize| {
        format!("[{}]", (0..records).map(|n| object(fields, [1, 7, 11, 13][n % 4])).collect::<Vec<_>>().join(","))
    };
    let time = |json: &str| {
        let start = Instant::now();
        let cells: usize = batch(json).map(|batch| batch.records().iter().map(|record| batch.cells(record).len()).sum()).expect("objects");
        (start.elapsed(), cells)
    };
    let (few, many) = (page(60, 2500), page(1500, 100));
    let rounds: Vec<_> = (0..7).map(|_| (time(&few), time(&many))).collect();
    let few = rounds.iter().map(|(few, _)| few).min().expect("seven");
    let many = rounds.iter().map(|(_, many)| many).min().expect("seven");
    assert_eq!((few.1, many.1), (150_000, 150_000));
    // As many cells take as long. Looking at each name for each field takes six times as long, measured; looking for doubles three times.
    assert!(many.0 * 2 < few.0 * 5, "100 records of 1,500 fields took {:?}, 2,500 of 60 {:?}", many.0, few.0);
}

#[test]
fn key_text_is_the_text_people_see() {
    for (json, key) in [
        ("null", None),
        ("\"\"", None),
        ("\"a\"", Some("a")),
        ("\"a\\\"b\"", Some("a\"b")),
        ("12345678901234567890", Some("12345678901234567890")),
        ("1.10", Some("1.10")),
        ("true", Some("true")),
        ("\"null\"", Some("null")),
    ] {
        assert_eq!(key_text(json).as_deref(), key, "{json}");
    }
}

fn json_value() -> impl Strategy<Value = String> {
    let text = "\\PC{0,8}|[\"\\\\/\u{0}-\u{1f}é🦀]{0,4}".prop_map(|text| serde_json::to_string(&text).expect("text"));
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number.prop_map(String::from), text];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[ {} ]", values.join(" ,\n"))),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..4)
                .prop_map(|members| format!("{{{}}}", members.iter().map(|(k, v)| format!("\"{k}\" :{v}")).collect::<Vec<_>>().join(", "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_object_comes_back_cell_by_cell_with_its_exact_text(
        records in prop::collection::vec(prop::collection::btree_map("\\PC{0,6}", json_value(), 0..24), 1..5)
    ) {
        let object = |record: &std::collections::BTreeMap<String, String>| {
            let cells = record.iter().map(|(k, v)| format!("{} : {v}", serde_json::to_string(k).expect("text")));
            format!("{{ {} }}", cells.collect::<Vec<_>>().join(" , "))
        };
        let json = format!("[{}]", records.iter().map(object).collect::<Vec<_>>().join(","));
        let batch = batch(&json).expect("objects");
        prop_assert_eq!(batch.len(), records.len());
        for (n, record) in records.iter().enumerate() {
            let expected: Vec<_> = record.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(cells(&batch, n), expected);
            for (name, text) in record {
                prop_assert_eq!(batch.cell(&batch.records()[n], name), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn hash_ignores_the_order_of_fields(
        (fields, shuffled) in prop::collection::btree_map("[a-z]{1,3}", json_value(), 0..30)
            .prop_map(|fields| fields.into_iter().map(|(k, v)| format!("\"{k}\":{v}")).collect::<Vec<_>>())
            .prop_flat_map(|fields| (Just(fields.clone()), Just(fields).prop_shuffle()))
    ) {
        let plain = hashes(&format!("[{{{}}}]", fields.join(",")));
        let other = hashes(&format!("[{{\"zz zz\":0}},{{{}}}]", shuffled.join(",")));
        prop_assert_eq!(plain[0], other[1]);
    }

    #[test]
    fn key_text_of_a_text_is_the_text(text in "\\PC{1,12}|[\"\\\\\u{0}-\u{1f}]{1,4}") {
        let json = serde_json::to_string(&text).expect("text");
        let key = key_text(&json);
        prop_assert_eq!(key.as_deref(), Some(text.as_str()));
    }
}

#[test]
fn joined_keys_never_collide() {
    let letters = ["a", "/", "\\"];
    let mut parts = vec![String::new()];
    parts.extend(letters.map(str::to_owned));
    parts.extend(letters.iter().flat_map(|one| letters.map(|two| format!("{one}{two}"))));
    let mut keys = std::collections::HashMap::new();
    let mut lists: Vec<Vec<&str>> = vec![Vec::new()];
    for _ in 0..3 {
        lists = lists.iter().flat_map(|list| parts.iter().map(|part| [&list[..], &[part.as_str()]].concat())).collect();
        for list in &lists {
            if let Some(other) = keys.insert(crate::join_key(list.iter().copied()), list.clone()) {
                panic!("{list:?} and {other:?} make one key");
            }
        }
    }
    assert_eq!(keys.len(), 13 + 13 * 13 + 13 * 13 * 13);
}

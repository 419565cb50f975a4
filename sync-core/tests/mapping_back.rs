//! Rows through mappings backwards: what is sent, what is refused, and that whatever is sent is read as what it was.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};
use sync_core::{
    ErrorKind, Operation, RecordBatch, Writes,
    mapping::{Authority, Cell, Column, CompiledMapping, Made, Mapped, Mapping, Transform, TransformError, Transforms},
};

/// A batch of the objects in a JSON list.
fn batch(json: &str) -> RecordBatch {
    let body = Bytes::from(json.to_owned());
    let mut batch = RecordBatch::over(body.clone()).expect("UTF-8");
    let raws: Vec<&RawValue> = serde_json::from_slice(&body).expect("a list");
    for (n, raw) in raws.into_iter().enumerate() {
        let mut draft = batch.record();
        draft.object(raw).expect("an object");
        draft.finish(format!("r{n}"), Operation::Upsert, None);
    }
    batch
}

fn movies() -> Mapping {
    Mapping::new("movies", "Movies").entity("movie").column(Column::new("Title").to("title").key())
}

fn compile(mapping: &Mapping) -> CompiledMapping {
    mapping.compile(&Transforms::default()).expect("valid mapping")
}

fn back(mapping: &Mapping, json: &str) -> Mapped {
    compile(mapping).back(&batch(json))
}

/// The records as lists of cells, in order, with their texts as they are.
fn rows(mapped: &Mapped) -> Vec<String> {
    let row = |record| {
        let cells = mapped.batch.cells(record).map(|(name, text)| format!("{}:{text}", mapped.batch.names()[name]));
        cells.collect::<Vec<_>>().join(" ")
    };
    mapped.batch.records().iter().map(row).collect()
}

fn told(mapped: &Mapped) -> Vec<String> {
    mapped.failures.iter().map(|failure| format!("{:?}: {failure}", failure.severity)).collect()
}

fn fields(names: &[&str]) -> Writes {
    Writes::Fields(names.iter().map(|name| Box::from(*name)).collect())
}

#[test]
fn carried_values_go_back_byte_by_byte_and_states_stay_apart() {
    let mapped = back(
        &movies().column(Column::new("V").to("v")),
        r#"[{"title":"a","v":1.10},{"title":"b","v":{"x":  [1, 2.0e3]}},{"title":"\u00e9","v":null},{"v":"","title":"d"},{"title":"e","other":1}]"#,
    );
    assert_eq!(
        rows(&mapped),
        [r#"Title:"a" V:1.10"#, r#"Title:"b" V:{"x":  [1, 2.0e3]}"#, r#"Title:"\u00e9" V:null"#, r#"Title:"d" V:"""#, r#"Title:"e""#]
    );
    assert_eq!((mapped.failed, mapped.skipped, mapped.failures.len()), (0, 0, 0));
    let ids: Vec<_> = mapped.batch.records().iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["r0", "r1", "r2", "r3", "r4"]);
}

#[test]
fn constants_and_references_send_nothing_and_derived_columns_do() {
    let mapping = movies()
        .column(Column::constant("imdb").to("origin"))
        .column(Column::new("Rating").to("rating").authority(Authority::Reference))
        .column(Column::new("Score").to("score").authority(Authority::Derived).then("number"))
        .column(Column::constant(1).to("fixed").authority(Authority::Derived))
        .column(Column::first_of(["Mail", "E-mail"]).to("mail"));
    assert_eq!(compile(&mapping).pushes()[..], ["title".into(), "score".into(), "mail".into()]);
    let row = r#"[{"title":"a","origin":"x","rating":1,"score":7,"fixed":1,"mail":"m"}]"#;
    assert_eq!(rows(&back(&mapping, row)), [r#"Title:"a" Score:7 Mail:"m""#], "of several sources the first");
}

#[test]
fn column_whose_transform_sends_nothing_is_left_out_and_can_be_no_key() {
    let money = movies()
        .column(Column::new("Budget").to("budget").then_with("currency", json!({ "decimal": "auto" })))
        .column(Column::new("Budget").to("currency").then_with("currency_code", json!({ "decimal": "auto" })))
        .column(Column::new("Mail").to("who").then_with("hash", json!({ "salt": "pepper" })));
    let compiled = compile(&money);
    assert_eq!(compiled.pushes()[..], ["title".into(), "budget".into()]);
    compiled.check_back(&fields(&["Title", "Budget"])).expect("the amount alone is sent to its field");
    let row = r#"[{"title":"a","budget":1500000,"currency":"EUR","who":"f00"}]"#;
    assert_eq!(rows(&back(&money, row)), [r#"Title:"a" Budget:1.5"#]);
    let hashed = Mapping::new("m", "s").entity("e").column(Column::new("Mail").to("who").key().then_with("hash", json!({ "salt": "x" })));
    let error = compile(&hashed.column(Column::new("A").to("a"))).check_back(&Writes::Anything).expect_err("no key is sent");
    assert!(error.text().contains("key column \"who\" is not sent by its transform hash"), "{error}");
}

#[test]
fn object_is_taken_apart_and_a_strange_member_fails_the_row() {
    let mapping = movies().column(Column::object([("channel \"id\"", "C"), ("reactions", "R")]).to("meta"));
    let mapped = back(
        &mapping,
        r#"[{"title":"a","meta":{"reactions":[ 1.0 ],"channel \"id\"":"C1"}},{"title":"b","meta":{"reactions":null}},{"title":"c","meta":null},
            {"title":"d","meta":{}},{"title":"e"},{"title":"f","meta":"{\"reactions\":1}"},{"title":"g","meta":{"x":1}},{"title":"h","meta":5}]"#,
    );
    assert_eq!(
        rows(&mapped),
        [
            r#"Title:"a" C:"C1" R:[ 1.0 ]"#,
            r#"Title:"b" R:null"#,
            r#"Title:"c" C:null R:null"#,
            r#"Title:"d""#,
            r#"Title:"e""#,
            r#"Title:"f" R:1"#
        ]
    );
    assert_eq!(mapped.failed, 2);
    assert!(
        told(&mapped)[0].contains(r#"meta: the member "x" belongs to no field; there are channel "id", reactions"#),
        "{:?}",
        told(&mapped)
    );
    assert!(told(&mapped)[1].contains("\"5\" is not an object"), "{:?}", told(&mapped));
}

#[test]
fn value_that_would_come_back_as_another_fails_its_row_alone_with_column_and_reason() {
    let mapping = movies()
        .column(Column::new("Code").to("code").then("trim").then("lower"))
        .column(Column::new("At").to("at").then_with("date", json!({ "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin" })))
        .column(Column::new("Budget").to("budget").then("currency"));
    let mapped = back(
        &mapping,
        r#"[{"title":"a","code":"ABC"},{"title":"b","code":"abc","at":"2024-07-31T10:00:00.000000Z","budget":1500000},{"title":"c","code":" x"},
            {"title":"d","at":"2024-07-31T10:00:59.000000Z"},{"title":"e","at":"2024-10-27T01:30:00.000000Z","budget":0.5},
            {"title":"f","at":"2024-10-27T00:30:00.000000Z"}]"#,
    );
    assert_eq!(rows(&mapped), [r#"Title:"b" Code:"abc" At:"31.07.2024 12:00" Budget:1.5"#, r#"Title:"f" At:"27.10.2024 02:30""#]);
    assert_eq!((mapped.failed, mapped.failures.len()), (4, 4));
    assert_eq!(
        told(&mapped),
        [
            r#"Error: Record r0, code: "ABC" would come back as "abc""#,
            r#"Error: Record r2, code: " x" would come back as "x""#,
            r#"Error: Record r3, at: "2024-07-31T10:00:59.000000Z" would come back as "2024-07-31T10:00:00.000000Z""#,
            r#"Error: Record r4, at: "2024-10-27T01:30:00.000000Z" would come back as "2024-10-27T00:30:00.000000Z"; budget: "0.5" is not a whole number of micros (transform currency, backwards)"#,
        ]
    );
    assert_eq!(mapped.failures[0].record.as_deref(), Some("r0"));
}

#[test]
fn null_and_absent_go_as_they_are_whatever_the_transforms_make_of_them() {
    let mapping = movies().column(Column::new("State").to("state").then_with("default", json!("open")).then("upper"));
    let mapped = back(&mapping, r#"[{"title":"a","state":null},{"title":"b"},{"title":"c","state":"OPEN"}]"#);
    assert_eq!(rows(&mapped), [r#"Title:"a" State:null"#, r#"Title:"b""#, r#"Title:"c" State:"OPEN""#]);
    let mapped = back(&movies().column(Column::new("On").to("on").then("date")), r#"[{"title":"a","on":""}]"#);
    assert!(told(&mapped)[0].contains("on: "), "an empty text is a value: {:?}", told(&mapped));
}

#[test]
fn record_without_a_key_or_a_required_value_is_not_sent() {
    let mapping = movies().column(Column::new("V").to("v").required());
    let mapped = back(
        &mapping,
        r#"[{"v":1},{"title":null,"v":1},{"title":" ","v":1},{"title":[1],"v":1},{"title":"a","v":null},{"title":"b","v":""},{"title":"c"}]"#,
    );
    assert_eq!(rows(&mapped), [r#"Title:"c""#], "a field that is not there says nothing");
    assert_eq!((mapped.failed, mapped.skipped), (6, 0));
    assert!(told(&mapped)[0].contains("title: no value in a key column"), "{:?}", told(&mapped));
    assert!(
        told(&mapped)[3].contains("title: a key is one value") && told(&mapped)[4].contains("v: a value is required"),
        "{:?}",
        told(&mapped)
    );
}

#[test]
fn delete_sends_its_key_and_nothing_else() {
    let body = Bytes::from_static(br#"{"title":"a","v":"x"}"#);
    let mut rows_gone = RecordBatch::over(body.clone()).expect("UTF-8");
    let mut draft = rows_gone.record();
    draft.object(serde_json::from_slice(&body).expect("an object")).expect("an object");
    draft.finish("r1", Operation::Delete, None);
    rows_gone.record().finish("r2", Operation::Delete, None);
    let mapped = compile(&movies().column(Column::new("V").to("v").required().then("date"))).back(&rows_gone);
    assert_eq!(rows(&mapped), [r#"Title:"a""#, ""]);
    assert!(mapped.batch.records().iter().all(|record| record.operation == Operation::Delete));
    assert_eq!((mapped.failed, mapped.failures.len()), (0, 0));
}

#[test]
fn every_problem_of_going_back_is_told_at_once() {
    let mapping = movies()
        .column(Column::constant("imdb").to("origin").key())
        .column(Column::new("Rating").to("rating"))
        .column(Column::new("Rating").to("stars"))
        .column(Column::object([("r", "Rating"), ("b", "Budget")]).to("both"))
        .column(Column::new("State").to("state").then_with("map", json!({ "table": { "A": "on", "B": "on" } })))
        .column(Column::first_of(["X", "Y"]).to("x"));
    let error = compile(&mapping).check_back(&fields(&["Title", "Rating", "State"])).expect_err("full of problems");
    assert_eq!(error.kind(), ErrorKind::Config);
    for words in [
        r#"the stream does not write "Budget", "X"; it writes "Title", "Rating", "State""#,
        r#""rating" and "stars" and "both" would both be sent to "Rating""#,
        r#"key column "origin" is a constant"#,
        r#"column "state": the transform map makes "on" of "A" and "B""#,
    ] {
        assert!(error.text().contains(words), "{words:?} is not in: {}", error.text());
    }
    assert!(!error.text().contains("\"Y\""), "only the first source is sent: {}", error.text());
}

#[test]
fn each_rule_of_going_back_is_checked_alone() {
    let silent = Mapping::new("m", "s").entity("e").column(Column::new("id").key());
    compile(&silent).check_back(&Writes::Anything).expect("fine");
    compile(&silent).check_back(&fields(&["id"])).expect("fine");
    for (mapping, writes, words) in [
        (silent.clone(), Writes::Nothing, "the stream s can only be read"),
        (silent.clone(), fields(&[]), r#"does not write "id"; it writes none"#),
        (silent.clone().column(Column::new("id").to("copy")), Writes::Anything, r#""id" and "copy" would both be sent to "id""#),
    ] {
        let error = compile(&mapping).check_back(&writes).expect_err(words);
        assert!(error.text().contains(words), "{words:?} is not in: {}", error.text());
        assert!(!error.text().contains("; \"") && !error.text().contains("; the"), "one problem alone: {}", error.text());
    }
    let reference = silent.column(Column::new("id").to("copy").authority(Authority::Reference));
    compile(&reference).check_back(&Writes::Anything).expect("a reference sends nothing");
}

/// A transform of the host that goes back by itself.
#[derive(Debug)]
struct Reversed;

impl Transform for Reversed {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        Ok(cell.text().map_or(Made::Unchanged, |text| Made::text(&text.chars().rev().collect::<String>())))
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        match cell.text().as_deref() {
            Some("gone") => Ok(Made::Absent),
            Some("never") => Err(TransformError::new("is never sent")),
            _ => self.apply(cell),
        }
    }
}

#[test]
fn transforms_of_the_host_go_back_in_reverse_order_and_are_proved_too() {
    let mut transforms = Transforms::default();
    transforms.register("reversed", |_| Ok(std::sync::Arc::new(Reversed))).expect("a new name");
    let mapping = movies()
        .column(Column::new("V").to("v").then("reversed").then_with("map", json!({ "table": { "ba": 1, "enog": 2 }, "keep": true })));
    let mapping = mapping.compile(&transforms).expect("known now");
    let mapped = mapping.back(&batch(
        r#"[{"title":"a","v":1},{"title":"b","v":"xyz"},{"title":"c","v":"gone"},{"title":"d","v":"never"},{"title":"e","v":"ba"}]"#,
    ));
    assert_eq!(rows(&mapped), [r#"Title:"a" V:"ab""#, r#"Title:"b" V:"zyx""#]);
    assert_eq!(
        told(&mapped),
        [
            r#"Error: Record r2, v: "gone" would come back as nothing"#,
            r#"Error: Record r3, v: "never" is never sent (transform reversed, backwards)"#,
            r#"Error: Record r4, v: "ba" would come back as "1""#
        ]
    );
}

/// Chains of transforms with whatever options.
fn steps() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let table = json!({ "table": { "a": "x", "b": 5, "": "none" }, "keep": true });
    let step = prop::sample::select(vec![
        ("trim", Value::Null),
        ("lower", Value::Null),
        ("upper", Value::Null),
        ("text", Value::Null),
        ("number", Value::Null),
        ("number", json!({ "decimal": "," })),
        ("currency", Value::Null),
        ("currency", json!({ "decimal": ",", "symbols": ["€"] })),
        ("boolean", Value::Null),
        ("boolean", json!({ "true": ["Ja", "x"], "false": ["Nein", ""] })),
        ("date", Value::Null),
        ("date", json!({ "format": "serial", "zone": "Europe/Berlin" })),
        ("date", json!({ "format": "epoch" })),
        ("date", json!({ "formats": ["%d.%m.%Y %H:%M", "iso"], "zone": "America/New_York", "to": "timestamp" })),
        ("map", table),
        ("default", json!("none")),
    ]);
    prop::collection::vec(step, 0..4)
}

/// Values of all kinds, as a table may hand them over.
fn value() -> impl Strategy<Value = Option<String>> {
    let fixed = prop::sample::select(vec![
        None,
        Some("null"),
        Some(r#""""#),
        Some(r#"" ""#),
        Some("true"),
        Some("0"),
        Some("1"),
        Some("5"),
        Some(r#""x""#),
        Some(r#""A""#),
        Some(r#""none""#),
        Some("[1]"),
        Some(r#"{"a":1}"#),
        Some("12345678901234567890"),
        Some(r#""2024-02-29""#),
        Some(r#""2024-10-27T01:30:00.000000Z""#),
        Some(r#""2024-07-31T10:20:30.123456Z""#),
    ]);
    let whole = any::<i64>().prop_map(|n| Some(n.to_string()));
    let part = (any::<i32>(), 1u32..9).prop_map(|(n, part)| Some(format!("{n}.{part}")));
    let minutes = (-30_000_000i64..100_000_000).prop_map(|minute| {
        let time = chrono::DateTime::from_timestamp(minute * 60, 0).expect("in range");
        Some(format!("\"{}\"", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")))
    });
    let text = "[a-cA-CäÖ ,.0-9€]{0,6}".prop_map(|text| Some(serde_json::to_string(&text).expect("text")));
    prop_oneof![3 => fixed.prop_map(|json| json.map(str::to_owned)), 1 => whole, 1 => part, 1 => minutes, 2 => text]
}

/// Whether two cells say the same. The generator writes no number, time or text in two ways.
fn alike(ours: Option<&str>, again: Option<&str>) -> bool {
    let loose = |json: &str| json.trim_matches('"').to_owned();
    match (ours, again) {
        (Some(ours), Some(again)) => {
            ours == again || loose(ours) == loose(again) || (ours, again) == ("1", "true") || (ours, again) == ("0", "false")
        }
        (ours, again) => ours == again,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn forward_of_back_is_the_row_for_every_row_that_did_not_fail(
        chains in prop::collection::vec(steps(), 1..4),
        member in any::<bool>(),
        table in prop::collection::vec(prop::collection::vec(value(), 4), 1..12),
    ) {
        let mut mapping = movies();
        for (n, steps) in chains.iter().enumerate() {
            let column = Column::first_of([format!("S{n}"), format!("Other{n}")]).to(format!("t{n}"));
            mapping = mapping.column(steps.iter().fold(column, |column, (name, options)| column.then_with(*name, options.clone())));
        }
        if member {
            mapping = mapping.column(Column::object([("a", "M")]).to("t3"));
        }
        let mapping = compile(&mapping);
        let objects: Vec<String> = table.iter().enumerate().map(|(n, row)| {
            let cells = row.iter().enumerate().filter_map(|(at, cell)| cell.as_ref().map(|cell| format!(",\"t{at}\":{cell}")));
            format!("{{\"title\":\"r{n}\"{}}}", cells.collect::<String>())
        }).collect();
        let ours = batch(&format!("[{}]", objects.join(",")));
        let sent = mapping.back(&ours);
        prop_assert_eq!(sent.batch.len() as u64 + sent.failed, ours.len() as u64);
        prop_assert_eq!(sent.failed, sent.failures.len() as u64);
        let again = mapping.apply(&sent.batch, &[]);
        // A row may come back with a default where it has none, or fail for it; that is what null and absent are let through for.
        for row in again.batch.records() {
            let before = ours.records().iter().find(|before| before.id == row.id).expect("a row of ours");
            for target in mapping.targets() {
                let (was, is) = (ours.cell(before, target), again.batch.cell(row, target));
                let nothing = was.is_none_or(|json| json == "null" || json == "{}");
                prop_assert!(nothing || alike(was, is), "{} was {:?} and is {:?} by {:?}", target, was, is, chains);
            }
        }
        for failure in &again.failures {
            let id = failure.record.as_deref().expect("of a row");
            let before = ours.records().iter().find(|before| before.id.as_str() == id).expect("a row of ours");
            prop_assert!(mapping.targets().any(|target| ours.cell(before, target).is_none_or(|json| json == "null")), "{} of {}", failure, id);
        }
    }

    #[test]
    fn what_a_pull_made_goes_back(
        amounts in prop::collection::vec((any::<i32>(), 0u32..100), 1..8),
        flags in prop::collection::vec(prop::sample::select(vec!["Ja", "Nein", "ja"]), 8),
        minutes in prop::collection::vec(0i64..60_000_000, 8),
    ) {
        let mapping = compile(&movies()
            .column(Column::new("Budget").to("budget").then_with("currency", json!({ "decimal": "," })))
            .column(Column::new("Seen").to("seen").then_with("boolean", json!({ "true": ["Ja"], "false": ["Nein"] })))
            .column(Column::new("At").to("at").then_with("date", json!({ "format": "serial" })))
            .column(Column::new("State").to("state").then("trim").then_with("map", json!({ "table": { "A": "active", "P": "paused" } }))));
        let objects: Vec<String> = amounts.iter().zip(&flags).zip(&minutes).enumerate().map(|(n, (((whole, part), flag), minute))| {
            let serial = 25_569.0 + *minute as f64 / 1_440.0;
            let state = if n % 2 == 0 { " A " } else { "P" };
            format!(r#"{{"Title":"r{n}","Budget":"{whole},{part:02} €","Seen":"{flag}","At":{serial:?},"State":"{state}"}}"#)
        }).collect();
        let pulled = mapping.apply(&batch(&format!("[{}]", objects.join(","))), &[]);
        prop_assert_eq!(pulled.batch.len(), amounts.len(), "{:?}", pulled.failures);
        let sent = mapping.back(&pulled.batch);
        prop_assert_eq!(sent.batch.len(), amounts.len(), "{:?}", sent.failures);
        let again = mapping.apply(&sent.batch, &[]);
        prop_assert_eq!(rows(&again), rows(&pulled));
    }
}

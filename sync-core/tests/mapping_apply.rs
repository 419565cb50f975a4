//! Batches through mappings: what rows come out, what is told about the others, and that nothing is lost or changed on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{json, value::RawValue};
use sync_core::{
    Field, Operation, RecordBatch, Severity,
    mapping::{Authority, Cell, Column, CompiledMapping, Made, Mapped, Mapping, OnError, Transform, TransformError, Transforms},
};

/// A batch of the objects in a JSON list; rows count from 2, as under a sheet's header.
fn batch(json: &str) -> RecordBatch {
    let body = Bytes::from(json.to_owned());
    let mut batch = RecordBatch::over(body.clone()).expect("UTF-8");
    let raws: Vec<&RawValue> = serde_json::from_slice(&body).expect("a list");
    for (n, raw) in raws.into_iter().enumerate() {
        let mut draft = batch.record();
        draft.object(raw).expect("an object");
        draft.finish(format!("r{n}"), Operation::Upsert, Some(n as u64 + 2));
    }
    batch
}

fn movies() -> Mapping {
    Mapping::new("movies", "Movies").entity("movie").column(Column::new("Title").to("title").key())
}

fn compile(mapping: &Mapping) -> CompiledMapping {
    mapping.compile(&Transforms::default()).expect("valid mapping")
}

fn apply(mapping: &Mapping, json: &str) -> Mapped {
    let fields = [Field::new("Title").labelled("Column A"), Field::new("Release Date").labelled("Column B"), Field::new("Budget")];
    compile(mapping).apply(&batch(json), &fields)
}

/// The rows as JSON objects, in order, with their texts as they are.
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

#[test]
fn carried_values_keep_their_bytes_and_their_state() {
    let mapping = movies().column(Column::new("v"));
    let mapped = apply(
        &mapping,
        r#"[{"Title":"a","v":1.10},{"Title":"b","v":{"x":  [1, 2.0e3]}},{"Title":"c","v":"\u00e9"},{"Title":"d","v":null},{"Title":"e","v":""},{"v2":1,"Title":"f"}]"#,
    );
    assert_eq!(
        rows(&mapped),
        [
            r#"title:"a" v:1.10"#,
            r#"title:"b" v:{"x":  [1, 2.0e3]}"#,
            r#"title:"c" v:"\u00e9""#,
            r#"title:"d" v:null"#,
            r#"title:"e" v:"""#,
            r#"title:"f""#
        ]
    );
    assert!(mapped.failures.is_empty());
    let ids: Vec<_> = mapped.batch.records().iter().map(|record| (record.id.to_string(), record.position)).collect();
    assert_eq!(ids[1], ("r1".into(), Some(3)));
}

#[test]
fn row_without_a_key_is_skipped_with_a_warning_that_names_the_column() {
    let mapped = apply(&movies(), r#"[{"Title":null},{"Title":""},{"Title":"  "},{},{"Title":"a"},{"Title":0},{"Title":false}]"#);
    assert_eq!(rows(&mapped), [r#"title:"a""#, "title:0", "title:false"]);
    assert_eq!((mapped.skipped, mapped.failed), (4, 0));
    assert_eq!(told(&mapped)[0], "Warning: Row 2, Column A (Title): no value in the key column; the row is left out");
    assert_eq!(mapped.failures.len(), 4);
    assert_eq!(mapped.failures[3].record.as_deref(), Some("r3"));
}

#[test]
fn page_in_which_no_record_has_the_key_column_is_refused() {
    let mapping = compile(&movies().column(Column::constant("x").to("origin").key()).column(Column::new("v")));
    for fine in ["[]", r#"[{"Title":"a"}]"#, r#"[{"v":1},{"Title":null}]"#] {
        mapping.check_batch(&batch(fine)).expect("the column is there");
    }
    let error = mapping.check_batch(&batch(r#"[{"titel":"a"},{"v":1}]"#)).expect_err("nobody has a title");
    assert_eq!(error.kind(), sync_core::ErrorKind::Config);
    assert!(error.text().contains("key column \"Title\" is missing; did you mean \"titel\"?"), "{error}");
    assert!(error.text().ends_with("columns seen: \"titel\", \"v\""), "{error}");

    let mut deletes = RecordBatch::default();
    deletes.record().finish("r1", Operation::Delete, None);
    mapping.check_batch(&deletes).expect("deletes need no cells");
}

#[test]
fn every_part_of_a_key_is_needed_and_constants_count() {
    let mapping = movies().column(Column::constant("imdb").to("origin").key()).column(Column::new("Year").to("year").key());
    let mapped = apply(&mapping, r#"[{"Title":"a","Year":1999},{"Title":"a"},{"Year":1999}]"#);
    assert_eq!(rows(&mapped), [r#"title:"a" origin:"imdb" year:1999"#]);
    assert_eq!(mapped.skipped, 2);
    assert!(told(&mapped)[0].contains("Row 3, Year: no value in the key column"));
}

#[test]
fn key_that_is_a_list_or_an_object_fails_the_row() {
    let mapped = apply(&movies(), r#"[{"Title":["a"]},{"Title":{"a":1}}]"#);
    assert_eq!((mapped.batch.len(), mapped.failed, mapped.skipped), (0, 2, 0));
    assert!(told(&mapped)[0].contains("a key is one value"));
}

#[test]
fn value_that_cannot_be_read_fails_its_row_alone_and_names_everything() {
    let mapping = movies()
        .column(Column::new("Release Date").to("released_on").then("trim").then_with("date", json!({ "format": "%b %d %Y" })))
        .column(Column::new("Budget").to("budget_micros").then("currency"));
    let mapped = apply(
        &mapping,
        r#"[{"Title":"a","Release Date":" Fbr 3 1999","Budget":"$5"},{"Title":"b","Release Date":"Feb 3 1999","Budget":"$5"},{"Title":"c","Release Date":"?","Budget":"much"}]"#,
    );
    assert_eq!(rows(&mapped), [r#"title:"b" released_on:"1999-02-03" budget_micros:5000000"#]);
    assert_eq!((mapped.failed, mapped.skipped, mapped.failures.len()), (2, 0, 2));
    assert_eq!(
        told(&mapped)[0],
        r#"Error: Row 2, Column B (Release Date): " Fbr 3 1999" is not a date; expected %b %d %Y (transform date)"#
    );
    let both = &told(&mapped)[1];
    assert!(both.contains("Row 4, Column B (Release Date)") && both.contains(r#"; Budget: "much" is not an amount"#), "{both}");
}

#[test]
fn failure_quotes_no_more_than_60_characters() {
    let long = "é".repeat(61);
    let mapped = apply(&movies().column(Column::new("d").then("date")), &format!(r#"[{{"Title":"a","d":"{long}"}}]"#));
    let quoted = format!("\"{}\"…", "é".repeat(60));
    assert!(mapped.failures[0].error.starts_with(&quoted), "{}", mapped.failures[0].error);
}

#[test]
fn dropped_value_leaves_the_field_absent_and_warns() {
    let column = || Column::new("d").then("date").on_error(OnError::DropValue);
    let mapped = apply(&movies().column(column()), r#"[{"Title":"a","d":"soon"},{"Title":"b","d":"2024-01-31"}]"#);
    assert_eq!(rows(&mapped), [r#"title:"a""#, r#"title:"b" d:"2024-01-31""#]);
    assert_eq!((mapped.failed, mapped.skipped), (0, 0));
    assert_eq!(mapped.failures[0].severity, Severity::Warning);
    assert!(mapped.failures[0].error.ends_with("the row is taken without it"), "{}", mapped.failures[0].error);

    let mapped = apply(&movies().column(column().required()), r#"[{"Title":"a","d":"soon"}]"#);
    assert_eq!((mapped.batch.len(), mapped.failed), (0, 1), "a required value cannot be dropped");
}

#[test]
fn required_value_has_to_be_there() {
    let mapping = movies().column(Column::new("v").required());
    let mapped = apply(&mapping, r#"[{"Title":"a"},{"Title":"b","v":null},{"Title":"c","v":""},{"Title":"d","v":0}]"#);
    assert_eq!(rows(&mapped), [r#"title:"d" v:0"#]);
    assert_eq!(mapped.failed, 3);
    assert_eq!(told(&mapped)[0], "Error: Row 2, v: a value is required");
    let mapped = apply(&movies().column(Column::new("v").required().then_with("default", json!(1))), r#"[{"Title":"a"}]"#);
    assert_eq!(rows(&mapped), [r#"title:"a" v:1"#], "a default is a value");
}

#[test]
fn first_source_with_a_value_counts() {
    let mapping = movies().column(Column::first_of(["thread_ts", "ts"]).to("thread"));
    let mapped = apply(
        &mapping,
        r#"[{"Title":"a","thread_ts":"1.1","ts":"2.2"},{"Title":"b","ts":"2.2"},{"Title":"c","thread_ts":null,"ts":"2.2"},{"Title":"d","thread_ts":"","ts":null},{"Title":"e"}]"#,
    );
    assert_eq!(
        rows(&mapped),
        [r#"title:"a" thread:"1.1""#, r#"title:"b" thread:"2.2""#, r#"title:"c" thread:"2.2""#, r#"title:"d" thread:"""#, r#"title:"e""#]
    );
}

#[test]
fn object_holds_the_members_that_are_there() {
    let mapping = movies().column(Column::object([("channel \"id\"", "c"), ("reactions", "r")]).to("metadata"));
    let mapped = apply(&mapping, r#"[{"Title":"a","r":[ 1 ],"c":"C1"},{"Title":"b","r":null},{"Title":"c"}]"#);
    assert_eq!(
        rows(&mapped),
        [r#"title:"a" metadata:{"channel \"id\"":"C1","reactions":[ 1 ]}"#, r#"title:"b" metadata:{"reactions":null}"#, r#"title:"c""#]
    );
}

#[test]
fn derived_columns_are_never_written_and_references_are_handed_on() {
    let mapping = movies()
        .column(Column::new("v").to("computed").authority(Authority::Derived))
        .column(Column::constant(1).to("computed_too").authority(Authority::Derived))
        .column(Column::new("v").to("quoted").authority(Authority::Reference));
    assert_eq!(rows(&apply(&mapping, r#"[{"Title":"a","v":1}]"#)), [r#"title:"a" quoted:1"#]);
}

#[test]
fn delete_brings_its_key_and_nothing_else() {
    let body = Bytes::from_static(br#"{"Title":"a","v":"x"}"#);
    let mut batch = RecordBatch::over(body.clone()).expect("UTF-8");
    let mut draft = batch.record();
    draft.object(serde_json::from_slice(&body).expect("an object")).expect("an object");
    draft.finish("r1", Operation::Delete, None);
    batch.record().finish("r2", Operation::Delete, None);
    let mapped = compile(&movies().column(Column::new("v").required().then("date"))).apply(&batch, &[]);
    assert_eq!(rows(&mapped), [r#"title:"a""#, ""]);
    assert!(mapped.batch.records().iter().all(|record| record.operation == Operation::Delete));
    assert_eq!((mapped.skipped, mapped.failed, mapped.failures.len()), (0, 0, 0));
}

#[test]
fn transforms_of_the_host_take_part() {
    #[derive(Debug)]
    struct Hidden;

    impl Transform for Hidden {
        fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
            match cell.text().as_deref() {
                Some("hide") => Ok(Made::Absent),
                Some("fail") => Err(TransformError::new("is not allowed")),
                _ => Ok(Made::Unchanged),
            }
        }
    }

    let mut transforms = Transforms::default();
    transforms.register("hidden", |_| Ok(std::sync::Arc::new(Hidden))).expect("a new name");
    let mapping = movies().column(Column::new("v").then("lower").then("hidden")).compile(&transforms).expect("known now");
    let mapped = mapping.apply(&batch(r#"[{"Title":"a","v":"HIDE"},{"Title":"b","v":"x"},{"Title":"c","v":"fail"}]"#), &[]);
    assert_eq!(rows(&mapped), [r#"title:"a""#, r#"title:"b" v:"x""#]);
    assert_eq!(&*mapped.failures[0].error, r#""fail" is not allowed (transform hidden)"#);
}

/// What a field may be in a generated record.
fn cell() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![
        None,
        Some("null"),
        Some(r#""""#),
        Some(r#"" ""#),
        Some("1"),
        Some("1.50"),
        Some(r#""x""#),
        Some("[1]"),
        Some("12345678901234567890"),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_record_is_a_row_or_skipped_or_failed(records in prop::collection::vec((cell(), cell(), cell()), 0..30)) {
        let object = |(id, money, free): &(Option<&str>, Option<&str>, Option<&str>)| {
            let cells = [("Title", id), ("Budget", money), ("free", free)];
            let cells = cells.iter().filter_map(|(name, cell)| cell.map(|cell| format!("\"{name}\":{cell}")));
            format!("{{{}}}", cells.collect::<Vec<_>>().join(","))
        };
        let json = format!("[{}]", records.iter().map(object).collect::<Vec<_>>().join(","));
        let mapped = apply(&movies().column(Column::new("Budget").then("currency").required()).column(Column::new("free")), &json);
        prop_assert_eq!(mapped.batch.len() as u64 + mapped.skipped + mapped.failed, records.len() as u64);
        let count = |severity| mapped.failures.iter().filter(|failure| failure.severity == severity).count() as u64;
        prop_assert_eq!((count(Severity::Error), count(Severity::Warning)), (mapped.failed, mapped.skipped));
        let by_id: BTreeMap<_, _> = records.iter().enumerate().map(|(n, record)| (format!("r{n}"), record)).collect();
        for record in mapped.batch.records() {
            let (id, _, free) = by_id[record.id.as_str()];
            prop_assert_eq!(mapped.batch.cell(record, "title"), *id, "keys are carried");
            prop_assert_eq!(mapped.batch.cell(record, "free"), *free, "an absent field stays absent, a null one null");
        }
    }
}

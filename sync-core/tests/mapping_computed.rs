//! Computed fields and policies, row by row.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{json, value::RawValue};
use sync_core::{
    Field, FieldKind, FieldRule, Operation, RecordBatch, Severity,
    mapping::{Authority, Column, Computed, Contract, Mapped, Mapping, NullPolicy, OnError, Transforms},
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

fn orders() -> Mapping {
    Mapping::new("orders", "Orders")
        .entity("order")
        .column(Column::new("No").to("number").key())
        .column(Column::new("Price").to("price_micros").then_with("currency", json!({ "decimal": "auto" })))
        .column(Column::new("Pieces").to("pieces").then("number"))
}

fn apply(mapping: &Mapping, json: &str) -> Mapped {
    mapping.compile(&Transforms::default()).expect("valid mapping").apply(&batch(json), &[])
}

/// The rows as lists of cells, in order, with their texts as they are.
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
fn computed_fields_read_what_the_mapping_made_what_was_computed_before_and_the_record() {
    let mapping = orders()
        .computed(Computed::new("total_micros", "price_micros * pieces"))
        .computed(Computed::new("label", "text(total_micros) + source(\"Currency\")"));
    let mapped = apply(
        &mapping,
        r#"[{"No":1,"Price":"1.234,50 €","Pieces":"3","Currency":" EUR"},{"No":2,"Price":"9223372036854","Pieces":1,"Currency":""}]"#,
    );
    assert_eq!(
        rows(&mapped),
        [
            r#"number:1 price_micros:1234500000 pieces:3 total_micros:3703500000 label:"3703500000 EUR""#,
            r#"number:2 price_micros:9223372036854000000 pieces:1 total_micros:9223372036854000000 label:"9223372036854000000""#,
        ]
    );
    assert!(mapped.failures.is_empty());
}

#[test]
fn expression_that_fails_fails_its_row_with_field_reason_and_expression() {
    let each = orders().computed(Computed::new("each", "price_micros / pieces"));
    let json = r#"[{"No":1,"Price":6,"Pieces":0},{"No":2,"Price":6,"Pieces":3},{"No":3,"Price":"","Pieces":3}]"#;
    let mapped = apply(&each, json);
    assert_eq!(rows(&mapped), ["number:2 price_micros:6000000 pieces:3 each:2000000"]);
    assert_eq!(
        told(&mapped),
        [
            "Error: Row 2, each: / by zero (expression \"price_micros / pieces\")",
            "Error: Row 4, each: / takes numbers and was given null (expression \"price_micros / pieces\")",
        ]
    );
    let dropped = orders().computed(Computed::new("each", "price_micros / pieces").on_error(OnError::DropValue));
    let mapped = apply(&dropped, json);
    assert_eq!((mapped.batch.len(), mapped.failed, mapped.failures.len()), (3, 0, 2));
    assert!(mapped.failures.iter().all(|failure| failure.severity == Severity::Warning));
    let required = orders().computed(Computed::new("each", "price_micros / pieces").on_error(OnError::DropValue).required());
    assert_eq!(apply(&required, json).failed, 2, "a required value cannot be dropped");
}

#[test]
fn computed_field_of_an_absent_one_stays_absent_and_a_required_one_fails() {
    let mapping = orders().computed(Computed::new("double", "pieces * 2"));
    assert_eq!(rows(&apply(&mapping, r#"[{"No":1,"Price":1}]"#)), ["number:1 price_micros:1000000"]);
    let mapped = apply(&orders().computed(Computed::new("double", "pieces * 2").required()), r#"[{"No":1,"Price":1}]"#);
    assert_eq!(told(&mapped), ["Error: Row 2, double: a value is required"]);
}

#[test]
fn delete_computes_nothing() {
    let body = Bytes::from_static(br#"{"No":1,"Pieces":0}"#);
    let mut batch = RecordBatch::over(body.clone()).expect("UTF-8");
    let mut draft = batch.record();
    draft.object(serde_json::from_slice(&body).expect("an object")).expect("an object");
    draft.finish("r1", Operation::Delete, None);
    let mapping = orders().computed(Computed::new("each", "1 / source(\"Pieces\")").required());
    let mapped = mapping.compile(&Transforms::default()).expect("valid").apply(&batch, &[]);
    assert_eq!((rows(&mapped), mapped.failures.len()), (vec!["number:1".to_owned()], 0));
}

#[test]
fn computed_field_is_written_as_its_priority_says_and_never_sent() {
    let mapping = orders()
        .computed(Computed::new("total", "micros(price_micros) * pieces").priority(7))
        .computed(Computed::new("many", "pieces > 10"));
    let compiled = mapping.compile(&Transforms::default()).expect("valid");
    assert_eq!(compiled.targets().collect::<Vec<_>>(), ["number", "price_micros", "pieces", "total", "many"]);
    assert_eq!(compiled.rules()["total"], FieldRule { authority: Authority::SourceOfTruth, priority: 7 });
    assert_eq!(&*compiled.refs("Orders", &[])["total"], "Orders → computed by mapping orders");
    let kinds: Vec<_> = compiled.fields(&[]).iter().skip(3).map(|field| field.kind).collect();
    assert_eq!(kinds, [Some(FieldKind::Number), Some(FieldKind::Boolean)]);
    assert_eq!(compiled.pushes()[..], ["number".into(), "price_micros".into(), "pieces".into()]);
    let toml = r#"
        name = "orders"
        stream = "Orders"
        entity = "order"
        columns = [{ source = "No", target = "number", key = true, source_priority = 3 }]
        [[computed]]
        target = "next"
        expression = "number + 1"
        source_priority = 5
    "#;
    let read: Mapping = toml::from_str(toml).expect("valid TOML");
    assert_eq!((read.columns[0].priority, read.computed[0].priority), (3, 5));
    assert_eq!(toml::from_str::<Mapping>(&toml::to_string(&read).expect("serializable")).expect("its own TOML"), read);
}

#[test]
fn null_policy_of_the_mapping_holds_where_a_column_says_nothing() {
    let json = r#"[{"No":1,"a":null,"b":null,"c":""},{"No":2,"a":"","b":"","c":null},{"No":3,"a":0,"c":"x"}]"#;
    let columns = |mapping: Mapping| {
        let mapping = mapping.entity("e").column(Column::new("No").key());
        mapping.column(Column::new("a")).column(Column::new("b").null_policy(NullPolicy::ClearEmpty)).column(Column::new("c"))
    };
    for (policy, expected) in [
        (NullPolicy::Write, [r#"No:1 a:null b:null c:"""#, r#"No:2 a:"" b:null c:null"#, r#"No:3 a:0 c:"x""#]),
        (NullPolicy::Keep, ["No:1 b:null", "No:2 b:null", r#"No:3 a:0 c:"x""#]),
        (NullPolicy::ClearEmpty, ["No:1 a:null b:null c:null", "No:2 a:null b:null c:null", r#"No:3 a:0 c:"x""#]),
    ] {
        assert_eq!(rows(&apply(&columns(Mapping::new("m", "s").null_policy(policy)), json)), expected, "{policy:?}");
    }
    let kept = Mapping::new("m", "s").entity("e").null_policy(NullPolicy::Keep).column(Column::new("No").key());
    let mapped = apply(&kept.column(Column::new("a").required()), r#"[{"No":1,"a":null},{"No":null,"a":1}]"#);
    assert_eq!((mapped.failed, mapped.skipped), (1, 1), "required is asked of the source, and a key without a value is no row");
}

#[test]
fn null_policy_holds_for_computed_fields_too() {
    let mapping = |policy| orders().null_policy(policy).computed(Computed::new("note", "source(\"Note\")"));
    let json = r#"[{"No":1,"Note":""}]"#;
    for (policy, row) in
        [(NullPolicy::Write, r#"number:1 note:"""#), (NullPolicy::Keep, "number:1"), (NullPolicy::ClearEmpty, "number:1 note:null")]
    {
        assert_eq!(rows(&apply(&mapping(policy), json)), [row], "{policy:?}");
    }
}

#[test]
fn contract_says_what_unreadable_values_do_where_a_column_does_not() {
    let mapping = |values| {
        orders()
            .contract(Contract::default().values(values))
            .column(Column::new("On").to("on").then("date").on_error(OnError::FailRow))
            .computed(Computed::new("each", "100 / pieces"))
    };
    let json = r#"[{"No":1,"Pieces":"many"},{"No":2,"Pieces":0},{"No":3,"Pieces":1,"On":"soon"},{"No":4,"Pieces":4}]"#;
    for (values, numbers, failed, skipped) in [
        (OnError::FailRow, vec!["number:4"], 3, 0),
        (OnError::DropRow, vec!["number:4"], 1, 2),
        (OnError::DropValue, vec!["number:1", "number:2", "number:4"], 1, 0),
    ] {
        let mapped = apply(&mapping(values), json);
        let seen: Vec<_> = rows(&mapped).iter().map(|row| row.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(
            (seen, mapped.failed, mapped.skipped),
            (numbers.iter().map(|n| (*n).to_owned()).collect(), failed, skipped),
            "{values:?}"
        );
        assert_eq!(mapped.failures.len(), 3, "each is told: {:?}", told(&mapped));
    }
    let dropped = told(&apply(&mapping(OnError::DropRow), json));
    assert!(
        dropped[0].starts_with("Warning: Row 2, Pieces: \"many\" is not a number") && dropped[0].ends_with("; the row is left out"),
        "{dropped:?}"
    );
    assert!(dropped[2].starts_with("Error: Row 4, On:"), "{dropped:?}");
    let key = Mapping::new("m", "s").entity("e").contract(Contract::default().values(OnError::DropValue));
    let mapped = apply(&key.column(Column::new("No").key().then("number")).column(Column::new("a")), r#"[{"No":"x"}]"#);
    assert_eq!(mapped.failed, 1, "a key's value is never dropped");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_record_is_counted_once_whatever_the_contract(
        cells in prop::collection::vec((prop::sample::select(vec!["1", "null", "\"\"", "\"x\"", "0", "[]"]), prop::sample::select(vec!["2", "\"x\"", "null", "0"])), 0..20),
        values in prop::sample::select(vec![OnError::FailRow, OnError::DropRow, OnError::DropValue]),
        nulls in prop::sample::select(vec![NullPolicy::Write, NullPolicy::Keep, NullPolicy::ClearEmpty]),
    ) {
        let mapping = orders().null_policy(nulls).contract(Contract::default().values(values)).computed(Computed::new("each", "8 / pieces"));
        let objects: Vec<_> = cells.iter().map(|(no, pieces)| format!(r#"{{"No":{no},"Pieces":{pieces}}}"#)).collect();
        let mapped = apply(&mapping, &format!("[{}]", objects.join(",")));
        prop_assert_eq!(mapped.batch.len() as u64 + mapped.skipped + mapped.failed, cells.len() as u64);
        let errors = mapped.failures.iter().filter(|failure| failure.severity == Severity::Error).count() as u64;
        prop_assert_eq!(errors, mapped.failed);
        for record in mapped.batch.records() {
            let (pieces, each) = (mapped.batch.cell(record, "pieces"), mapped.batch.cell(record, "each"));
            prop_assert_eq!(each, (pieces == Some("2")).then_some("4"), "what cannot be computed is not written");
        }
    }
}

#[test]
fn fields_are_named_by_their_words_in_the_source() {
    let fields = [Field::new("Pieces").labelled("Column C")];
    let compiled = orders().contract(Contract::default().values(OnError::DropRow)).compile(&Transforms::default()).expect("valid");
    let mapped = compiled.apply(&batch(r#"[{"No":1,"Pieces":"x"}]"#), &fields);
    assert!(told(&mapped)[0].starts_with("Warning: Row 2, Column C (Pieces):"), "{:?}", told(&mapped));
}

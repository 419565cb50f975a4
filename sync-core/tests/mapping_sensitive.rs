//! Which fields of a mapping are sensitive, and that no failure quotes their values.

use bytes::Bytes;
use serde_json::{json, value::RawValue};
use sync_core::{
    Field, Operation, RecordBatch,
    mapping::{Column, CompiledMapping, Computed, Mapping, OnError, Transforms},
};

fn people() -> Mapping {
    Mapping::new("people", "People").entity("person").column(Column::new("Code").to("code").key())
}

fn compile(mapping: &Mapping) -> CompiledMapping {
    mapping.compile(&Transforms::default()).expect("valid mapping")
}

/// The stream marks `Mail`.
fn source() -> [Field; 3] {
    [Field::new("Code").sensitive(), Field::new("Mail").sensitive(), Field::new("Name")]
}

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

#[test]
fn a_field_is_sensitive_when_it_is_marked_or_reads_what_is_unless_it_says_otherwise() {
    let mail = || Column::new("Mail").to("mail");
    let name = || Column::new("Name").to("name");
    for (mapping, expected) in [
        (people().column(mail()).column(name()), &["mail"][..]),
        (people().column(mail().sensitive(false)).column(name().sensitive(true)), &["name"]),
        (people().column(Column::first_of(["Name", "Mail"]).to("any")), &["any"]),
        (people().column(Column::object([("m", "Mail"), ("n", "Name")]).to("all")), &["all"]),
        (people().column(mail()).computed(Computed::new("greeting", r#""Dear " + mail"#)), &["greeting", "mail"]),
        (
            people()
                .column(mail())
                .computed(Computed::new("a", "mail"))
                .computed(Computed::new("b", "a"))
                .computed(Computed::new("c", "code")),
            &["a", "b", "mail"],
        ),
        (people().column(mail()).computed(Computed::new("known", "has(mail)").sensitive(false)), &["mail"]),
        (people().column(name()).computed(Computed::new("raw", r#"source("Mail")"#)), &["raw"]),
        (people().column(name().sensitive(true)).computed(Computed::new("raw", r#"source("Name")"#)), &["name", "raw"]),
        (people().column(name()).computed(Computed::new("x", "name").sensitive(true)), &["x"]),
    ] {
        let fields = compile(&mapping).fields(&source());
        let mut sensitive: Vec<&str> = fields.iter().filter(|field| field.sensitive).map(|field| &*field.name).collect();
        sensitive.sort_unstable();
        assert_eq!(sensitive, expected, "{mapping:?}");
    }
}

#[test]
fn a_key_column_cannot_be_sensitive_and_the_problem_says_what_to_do() {
    let mapping = Mapping::new("people", "People").entity("person").column(Column::new("Mail").to("mail").key().sensitive(true));
    let problems = mapping.problems(&Transforms::default(), None);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(&*problems[0].place, "columns[0].sensitive");
    assert!(problems[0].hint.as_deref().is_some_and(|hint| hint.contains("`hash`")), "{problems:?}");
    assert!(mapping.compile(&Transforms::default()).is_err());
}

#[test]
fn it_is_written_in_toml_and_json_as_it_is_in_rust() {
    let text = r#"{"name":"p","stream":"People","entity":"person","columns":[{"source":"Code","target":"code","key":true},
        {"source":"Mail","target":"mail","sensitive":true}],"computed":[{"target":"x","expression":"mail","sensitive":false}]}"#;
    let mapping: Mapping = serde_json::from_str(text).expect("a mapping");
    let same = Mapping::new("p", "People").entity("person").column(Column::new("Code").to("code").key());
    let same = same.column(Column::new("Mail").to("mail").sensitive(true)).computed(Computed::new("x", "mail").sensitive(false));
    assert_eq!(mapping, same);
    assert!(!serde_json::to_string(&people()).expect("JSON").contains("sensitive"), "what nobody says is not written");
}

#[test]
fn failures_name_the_column_of_a_sensitive_value_and_do_not_quote_it() {
    let mapping = people()
        .column(Column::new("Mail").to("mail").then("number"))
        .column(Column::new("Name").to("name").then("number").on_error(OnError::DropValue));
    let compiled = compile(&mapping);
    let records = batch(r#"[{"Code":"1","Mail":"ada@x","Name":"5"},{"Code":"2","Mail":"7","Name":"Ada"}]"#);
    let told: Vec<String> = compiled.apply(&records, &source()).failures.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("a sensitive value") && told[0].contains("Mail") && !told[0].contains("ada@x"), "{told:?}");
    assert!(told[1].contains("\"Ada\""), "others are quoted: {told:?}");
}

#[test]
fn the_way_back_does_not_quote_a_sensitive_value_either() {
    let column = Column::new("Mail").to("mail").then_with("date", json!({ "format": "%d/%m/%Y" }));
    let mapping = people().column(column);
    let rows = batch(r#"[{"code":"1","mail":"ada@x"}]"#);
    let quoted = compile(&mapping).back(&rows);
    assert!(quoted.failures[0].error.contains("ada@x"), "it is quoted as long as nobody marks it: {:?}", quoted.failures);
    let hidden = compile(&mapping).with_sensitive(&source()).back(&rows);
    assert!(hidden.failures[0].error.contains("a sensitive value") && !hidden.failures[0].error.contains("ada@x"), "{:?}", hidden.failures);
}

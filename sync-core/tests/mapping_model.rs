//! Mappings as data: what can be written, what is refused, and how it is told.

use serde_json::json;
use sync_core::{
    Duplicates, ErrorKind, Field, FieldKind, FieldRule, HostTable, Place,
    mapping::{Authority, Column, CompiledMapping, Mapping, OnError, Transforms},
};

const SLACK: &str = r##"
name = "slack-communication"
stream = "messages"
entity = "communication"
duplicates = "first_wins"

[[columns]]
value = "slack"
target = "channel"
key = true

[[columns]]
source = "ts"
target = "external_id"
key = true

[[columns]]
sources = ["thread_ts", "ts"]
target = "thread_id"

[[columns]]
source = "ts"
target = "sent_at"
required = true
transforms = [{ date = { format = "epoch" } }]

[[columns]]
source = "text"
target = "content"
authority = "reference"
priority = 7
optional = true
transforms = ["trim", { map = { table = { a = "b" }, keep = true } }]
on_error = "drop_value"

[[columns]]
object = { channel_id = "channel_id", reactions = "reactions" }
target = "metadata"

[[columns]]
target = "sentiment"
authority = "derived"
"##;

fn slack() -> Mapping {
    toml::from_str(SLACK).expect("valid TOML")
}

fn compile(mapping: &Mapping) -> CompiledMapping {
    mapping.compile(&Transforms::default()).expect("valid mapping")
}

fn fields(names: &[&str]) -> Vec<Field> {
    names.iter().zip('A'..).map(|(name, letter)| Field::new(*name).labelled(format!("Column {letter}"))).collect()
}

#[test]
fn toml_json_and_the_builder_make_the_same_mapping() {
    let built = Mapping::new("slack-communication", "messages")
        .entity("communication")
        .duplicates(Duplicates::FirstWins)
        .column(Column::constant("slack").to("channel").key())
        .column(Column::new("ts").to("external_id").key())
        .column(Column::first_of(["thread_ts", "ts"]).to("thread_id"))
        .column(Column::new("ts").to("sent_at").required().then_with("date", json!({ "format": "epoch" })))
        .column(
            Column::new("text")
                .to("content")
                .authority(Authority::Reference)
                .priority(7)
                .optional()
                .then("trim")
                .then_with("map", json!({ "table": { "a": "b" }, "keep": true }))
                .on_error(OnError::DropValue),
        )
        .column(Column::object([("channel_id", "channel_id"), ("reactions", "reactions")]).to("metadata"))
        .column({
            let mut column = Column::default().to("sentiment").authority(Authority::Derived);
            column.source = None;
            column
        });
    assert_eq!(slack(), built);
    let json = serde_json::to_string(&built).expect("serializable");
    assert_eq!(serde_json::from_str::<Mapping>(&json).expect("its own JSON"), built);
    assert_eq!(toml::from_str::<Mapping>(&toml::to_string(&built).expect("serializable")).expect("its own TOML"), built);
}

#[test]
fn compiled_mapping_answers_what_storage_and_lineage_need() {
    let compiled = compile(&slack());
    assert_eq!(
        (compiled.name(), compiled.stream().as_str(), compiled.entity().as_str()),
        ("slack-communication", "messages", "communication")
    );
    assert_eq!(compiled.duplicates(), Some(Duplicates::FirstWins));
    let key: [Box<str>; 2] = ["channel".into(), "external_id".into()];
    assert_eq!(compiled.place(), &Place::Managed { key: key.clone().into() });
    assert_eq!(compiled.key()[..], key);
    assert_eq!(compiled.source_key()[..], ["ts".into()]);
    assert_eq!(compiled.targets().collect::<Vec<_>>(), ["channel", "external_id", "thread_id", "sent_at", "content", "metadata"]);
    let rules = compiled.rules();
    assert_eq!(rules["content"], FieldRule { authority: Authority::Reference, priority: 7 });
    assert_eq!(rules["sentiment"].authority, Authority::Derived);
    assert_eq!(rules["sent_at"], FieldRule::default());
    let source = [
        Field::typed("ts", FieldKind::Text).labelled("Column A"),
        Field::typed("thread_ts", FieldKind::Text),
        Field::typed("text", FieldKind::Text),
    ];
    let refs = compiled.refs("Movies", &source);
    assert_eq!(&*refs["external_id"], "Movies → Column A");
    assert_eq!(&*refs["thread_id"], "Movies → thread_ts, Column A");
    assert_eq!(&*refs["channel"], "Movies → constant of mapping slack-communication");
    assert!(!refs.contains_key("sentiment"));
    let kinds: Vec<_> = compiled.fields(&source).iter().map(|field| (field.name.clone(), field.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("channel".into(), Some(FieldKind::Text)),
            ("external_id".into(), Some(FieldKind::Text)),
            ("thread_id".into(), Some(FieldKind::Text)),
            ("sent_at".into(), Some(FieldKind::Timestamp)),
            ("content".into(), Some(FieldKind::Text)),
            ("metadata".into(), Some(FieldKind::Json)),
        ]
    );
}

#[test]
fn table_of_the_host_brings_its_key_or_takes_the_marked_one() {
    let columns = |mapping: Mapping| mapping.column(Column::new("E-mail").to("email")).column(Column::new("Name").to("name"));
    let named = columns(Mapping::new("partners", "Partners").table(HostTable::new("partners").key("email").workspace_column("tenant")));
    let mut marked = columns(Mapping::new("partners", "Partners").table(HostTable::new("partners").workspace_column("tenant")));
    marked.columns[0].key = true;
    for mapping in [named, marked] {
        let compiled = compile(&mapping);
        assert_eq!(compiled.place(), &Place::Host(HostTable::new("partners").key("email").workspace_column("tenant").into()));
        assert_eq!((compiled.entity().as_str(), &compiled.key()[..]), ("partners", &["email".into()][..]));
        assert_eq!(compiled.source_key()[..], ["E-mail".into()]);
    }
    let text = r#"
        name = "partners"
        stream = "Partners"
        table = { name = "partners", key = ["email"], workspace_column = "tenant" }
        columns = [{ source = "E-mail", target = "email" }]
    "#;
    compile(&toml::from_str(text).expect("a table needs no more than its name"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let mapping = Mapping::new("", "")
        .entity("partner")
        .table(HostTable::new("partners").key("id").workspace_column("tenant"))
        .column(Column::new("a").to("x").key().on_error(OnError::DropValue))
        .column(Column::new("b").to("x").then("trimm"))
        .column(Column::new("c").to("y").then_with("date", json!({ "zone": "Mars/Olympus" })))
        .column(Column::default().to("z"))
        .column({
            let mut column = Column::new("d").to("both");
            column.value = Some(json!(1));
            column
        })
        .column(Column::constant(1.5).to("rate"))
        .column(Column::object([("", "")]).to(""))
        .column(Column::new("e").to("computed").authority(Authority::Derived).required());
    let error = mapping.compile(&Transforms::default()).expect_err("full of problems");
    assert_eq!(error.kind(), ErrorKind::Config);
    for words in [
        "it has no name",
        "it names no stream",
        "both `entity` and `table`",
        "two columns are written to \"x\"",
        "column \"x\" is marked as key, but the table's key is id",
        "key column \"id\" is no column's target",
        "no transform is named \"trimm\"",
        "no time zone is named \"Mars/Olympus\"",
        "column \"z\" has none of source, sources, value and object",
        "column \"both\" has more than one of source",
        "the value of \"rate\" has a binary fraction",
        "a column has no target",
        "names a source without a name",
        "column \"computed\" is derived",
    ] {
        assert!(error.text().contains(words), "{words:?} is not in: {}", error.text());
    }
}

#[test]
fn each_rule_is_checked_alone() {
    let base = || Mapping::new("m", "s").entity("e").column(Column::new("id").key());
    for (mapping, words) in [
        (Mapping::new("m", "s").entity("e").column(Column::new("id")), "no column is marked as key"),
        (Mapping::new("m", "s").column(Column::new("id").key()), "neither `entity` nor `table`"),
        (Mapping::new("m", "s").entity(" ").column(Column::new("id").key()), "`entity` is empty"),
        (Mapping::new("m", "s").entity("e").column(Column::constant("x").to("id").key()), "every key column is a constant"),
        (base().column(Column::object([("a", "b")]).to("o").key()), "key column \"o\" cannot be an object"),
        (base().column(Column::new("r").key().authority(Authority::Reference)), "key column \"r\" has to be a source of truth"),
        (base().column(Column::new("r").key().on_error(OnError::DropValue)), "key column \"r\" cannot drop"),
        (base().column(Column::object::<&str, &str>([]).to("o")), "the object of \"o\" has no members"),
        (
            Mapping::new("m", "s").table(HostTable::new("t").workspace_column("tenant")).column(Column::new("tenant").key()),
            "own column \"tenant\" cannot be the target",
        ),
        (Mapping::new("m", "s").table(HostTable::new("t").key("id").key("id")).column(Column::new("id")), "names \"id\" twice"),
    ] {
        let error = mapping.compile(&Transforms::default()).expect_err(words);
        assert!(error.text().contains(words), "{words:?} is not in: {}", error.text());
        assert!(!error.text().contains("; "), "one problem alone: {}", error.text());
    }
}

#[test]
fn misspelt_settings_are_refused() {
    let column = |column: &str| format!("name = 'm'\nstream = 's'\nentity = 'e'\ncolumns = [{column}]");
    for (text, words) in [
        (column("{ source = 'a', taget = 'b' }"), "taget"),
        (column("{ source = 'a', target = 'b', authority = 'truth' }"), "truth"),
        (column("{ source = 'a', target = 'b', on_error = 'ignore' }"), "ignore"),
        (column("{ source = 'a', target = 'b', transforms = [{ trim = {}, lower = {} }] }"), "lower"),
        (column("{ source = 'a', target = 'b', transforms = [1] }"), "a transform's name"),
        ("name = 'm'\nstream = 's'\nentiti = 'e'".into(), "entiti"),
        ("name = 'm'\nstream = 's'\ntable = { name = 't', keys = ['id'] }".into(), "keys"),
    ] {
        let error = toml::from_str::<Mapping>(&text).expect_err(&text).to_string();
        assert!(error.contains(words), "{words:?} is not in: {error}");
    }
}

#[test]
fn missing_columns_stop_the_run_and_name_what_was_probably_meant() {
    let mapping = Mapping::new("movies", "Movies")
        .entity("movie")
        .column(Column::new("Title").to("title").key())
        .column(Column::new("Release Date").to("released_on"))
        .column(Column::new("Rating").to("rating").optional())
        .column(Column::first_of(["E-mail", "Mail"]).to("email"))
        .column(Column::constant("sheet").to("origin"))
        .column(Column::object([("budget", "Budget"), ("gross", "Gross")]).to("money"))
        .column(Column::new("Score").to("score").authority(Authority::Derived));
    let compiled = compile(&mapping);
    compiled.check_against(&fields(&["Title", "Release Date", "Mail", "Budget", "Gross", "More"])).expect("all there");

    let error = compiled.check_against(&fields(&["Titel", "release_date", "Budget"])).expect_err("columns are missing");
    assert_eq!(error.kind(), ErrorKind::Config);
    for words in [
        "key column \"Title\" is missing; did you mean \"Titel\"?",
        "column \"Release Date\" is missing; did you mean \"release_date\"?",
        "column \"E-mail\" is missing",
        "column \"Gross\" is missing",
        "columns seen: \"Titel\", \"release_date\", \"Budget\"",
    ] {
        assert!(error.text().contains(words), "{words:?} is not in: {}", error.text());
    }
    for words in ["Rating", "Score", "\"E-mail\" is missing; did"] {
        assert!(!error.text().contains(words), "{words:?} is in: {}", error.text());
    }
    let error = compiled.check_against(&[]).expect_err("an empty header");
    assert!(error.text().ends_with("columns seen: none"), "{error}");
}

#[test]
fn optional_key_column_is_needed_all_the_same_and_may_stand_there_only_once() {
    let compiled = compile(&Mapping::new("m", "s").entity("e").column(Column::new("id").key().optional()).column(Column::new("a")));
    compiled.check_against(&fields(&["a"])).expect_err("no key column");
    compiled.check_against(&fields(&["id", "a", "a"])).expect("a double that is no key is the storage's to tell");
    let error = compiled.check_against(&fields(&["id", "a", "id"])).expect_err("two key columns");
    assert!(error.text().contains("key column \"id\" is there more than once"), "{error}");
}

//! Everything that is wrong with a mapping is told at once, each with its place and what to do.

use serde_json::json;
use sync_core::{
    ErrorKind, Field, FieldKind, HostTable, Operation, RecordBatch,
    mapping::{
        Authority, Column, CompiledMapping, Computed, Contract, Drift, HeaderFingerprint, Mapping, NewColumns, NullPolicy, OnError,
        Problem, Transforms,
    },
};

fn fields(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| Field::new(*name)).collect()
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn movies() -> Mapping {
    Mapping::new("movies", "Movies").entity("movie").column(Column::new("Title").to("title").key())
}

#[test]
fn every_problem_has_its_place_and_a_hint_where_there_is_one() {
    let mapping = movies()
        .column(Column::new("Year").to("year").then("trim").then("nummber"))
        .column(Column::new("Code").to("code").then_with("regex", json!({ "pattern": "(" })))
        .column(Column::new("Gross").to("year").then_with("currency", json!({ "decimals": "," })))
        .column(Column::first_of(["Mail", "E-mail"]).to("mail"))
        .column(Column::object([("a", "A")]).to("object"))
        .computed(Computed::new("decade", "floor(yeer / 10) * 10"))
        .computed(Computed::new("title", "source(\"Titel\") +"))
        .computed(Computed::new("next", "source(\"Yaer\") + 1"));
    let problems = mapping.problems(&Transforms::default(), Some(&fields(&["title ", "Yeer", "Code"])));
    let told = told(&problems);
    for words in [
        "columns[1].transforms[1]: column \"year\": no transform is named \"nummber\"; did you mean \"number\"?",
        "columns[2].transforms[0]: column \"code\": regex: the pattern cannot be read",
        "columns[3].transforms[0]: column \"year\": the options of \"currency\" do not fit: unknown field `decimals`",
        "computed[0].expression: the expression of \"decade\" reads \"yeer\", which is no field the mapping makes before it; did you mean \"year\"?",
        "computed[1].expression: the expression of \"title\" cannot be read at character",
        "columns[3].target: two columns are written to \"year\"",
        "computed[1].target: two columns are written to \"title\"",
        "columns[0].source: key column \"Title\" is missing; did you mean \"title \"?",
        "columns[1].source: column \"Year\" is missing; did you mean \"Yeer\"?",
        "columns[3].source: column \"Gross\" is missing",
        "columns[4].sources: column \"Mail\" is missing",
        "columns[5].object: column \"A\" is missing",
        "computed[2].expression: the expression of \"next\" reads the column \"Yaer\", which is missing; did you mean \"Yeer\"?",
    ] {
        assert!(told.iter().any(|told| told.starts_with(words)), "{words:?} is not in: {told:#?}");
    }
    assert_eq!(told.len(), 14, "{told:#?}");
    let json = serde_json::to_value(&problems[0]).expect("serializable");
    assert_eq!(json["place"], "columns[1].transforms[1]");
    assert_eq!(json["hint"], "did you mean \"number\"?");
    assert_eq!(movies().problems(&Transforms::default(), Some(&fields(&["Title"]))), []);
}

#[test]
fn one_line_of_the_error_names_all_of_them() {
    let mapping = movies().column(Column::new("a").then("trimm")).computed(Computed::new("b", "c")).computed(Computed::new("", "1"));
    let error = mapping.compile(&Transforms::default()).expect_err("wrong");
    assert_eq!(error.kind(), ErrorKind::Config);
    let problems = mapping.problems(&Transforms::default(), None);
    assert_eq!(problems.len(), 3);
    for problem in &problems {
        assert!(error.text().contains(&*problem.problem), "{error}");
    }
}

#[test]
fn rules_of_policies_and_computed_fields_are_checked() {
    let derived = movies().column(Column::new("x").to("score").authority(Authority::Derived));
    for (mapping, place, words) in [
        (derived.computed(Computed::new("b", "score + 1")), "computed[0].expression", "reads \"score\", which is no field"),
        (movies().computed(Computed::new("a", "b")).computed(Computed::new("b", "1")), "computed[0].expression", "reads \"b\""),
        (movies().computed(Computed::new("a", "a")), "computed[0].expression", "reads \"a\""),
        (
            Mapping::new("m", "s").table(HostTable::new("t").key("id")).column(Column::new("x")).computed(Computed::new("id", "x")),
            "table.key[0]",
            "is no column's target",
        ),
        (
            Mapping::new("m", "s")
                .table(HostTable::new("t").workspace_column("tenant"))
                .column(Column::new("id").key())
                .computed(Computed::new("tenant", "'x'")),
            "computed[0].target",
            "own column \"tenant\"",
        ),
        (
            Mapping::new("m", "s").entity("e").column(Column::new("id").key().null_policy(NullPolicy::Keep)),
            "columns[0].null_policy",
            "cannot keep what is stored",
        ),
    ] {
        let problems = mapping.problems(&Transforms::default(), None);
        assert_eq!(problems.len(), 1, "{words}: {problems:?}");
        assert!(*problems[0].place == *place && problems[0].problem.contains(words), "{words}: {problems:?}");
    }
    let text = "name = 'm'\nstream = 's'\nentity = 'e'\n[contract]\ncolumns = 'evolve'\nvalues = 'drop_row'\nignore = ['x']";
    let mapping: Mapping = toml::from_str(text).expect("valid TOML");
    assert_eq!(mapping.contract, Contract::default().columns(NewColumns::Evolve).values(OnError::DropRow).ignore("x"));
    toml::from_str::<Mapping>(&text.replace("evolve", "melt")).expect_err("no such policy");
}

#[test]
fn frozen_columns_stop_the_run_when_there_is_one_nobody_knows() {
    let contract = Contract::default().columns(NewColumns::Freeze).ignore("Notes");
    let mapping = movies().column(Column::first_of(["Year", "Jahr"]).to("year").optional()).computed(Computed::new("x", "source(\"Raw\")"));
    let frozen = mapping.clone().contract(contract).compile(&Transforms::default()).expect("valid");
    frozen.check_against(&fields(&["Title", "Jahr", "Raw", "Notes"])).expect("all are read or ignored");
    let error = frozen.check_against(&fields(&["Title", "Raw", "Budget"])).expect_err("a new column");
    assert_eq!(error.kind(), ErrorKind::Config);
    let words = "column \"Budget\" is new, and the contract freezes columns; read it, or add it to `ignore` of the contract";
    assert!(error.text().contains(words), "{error}");
    let open = mapping.compile(&Transforms::default()).expect("valid");
    open.check_against(&fields(&["Title", "Raw", "Budget"])).expect("nobody asked");

    let mut page = RecordBatch::default();
    let names = [page.name("Title"), page.name("Budget")];
    let mut draft = page.record();
    names.into_iter().for_each(|name| draft.made(name, "\"x\""));
    draft.finish("r1", Operation::Upsert, None);
    let error = frozen.check_batch(&page).expect_err("a stream without declared fields shows them in its first page");
    assert!(error.text().contains("column \"Budget\" is new") && !error.text().contains("\"Raw\" is missing"), "{error}");
    open.check_batch(&page).expect("nobody asked");
}

#[test]
fn columns_that_may_evolve_are_told_once() {
    let contract = Contract::default().columns(NewColumns::Evolve).ignore("Notes");
    let evolving = movies().contract(contract).compile(&Transforms::default()).expect("valid");
    let before = fields(&["Title", "Budget", "Notes"]);
    evolving.check_against(&before).expect("they stop nothing");
    let of = |names: &[&str]| HeaderFingerprint::of(&fields(names));
    let told = |mapping: &CompiledMapping, last: &HeaderFingerprint, now: &[&str]| -> Vec<Drift> {
        last.compare(&of(now)).into_iter().filter(|drift| mapping.concerns(drift)).collect()
    };
    let (nothing, last) = (HeaderFingerprint::default(), HeaderFingerprint::of(&before));
    assert_eq!(told(&evolving, &nothing, &["Title", "Budget", "Notes"]), [Drift::New { name: "Budget".into() }]);
    assert_eq!(told(&evolving, &last, &["Title", "Budget", "Notes"]), []);
    assert_eq!(told(&evolving, &last, &["Title", "Budget", "Notes", "Gross"]), [Drift::New { name: "Gross".into() }]);
    let silent = movies().compile(&Transforms::default()).expect("valid");
    assert_eq!(told(&silent, &nothing, &["Title", "Budget", "Notes"]), []);
}

#[test]
fn a_change_concerns_a_mapping_by_what_it_reads_and_what_it_agreed_on() {
    let open = movies().column(Column::new("Year").optional()).computed(Computed::new("x", "source(\"Raw\")"));
    let evolving = open.clone().contract(Contract::default().columns(NewColumns::Evolve).ignore("Notes"));
    let frozen = open.clone().contract(Contract::default().columns(NewColumns::Freeze).ignore("Notes"));
    let renamed = |from: &str, to: &str| Drift::Renamed { from: from.into(), to: to.into() };
    let missing = |name: &str| Drift::Missing { name: name.into() };
    let new = |name: &str| Drift::New { name: name.into() };
    let twice = |name: &str| Drift::Duplicate { name: name.into(), times: 2 };
    let kind = |name: &str| Drift::KindChanged { name: name.into(), from: FieldKind::Text, to: FieldKind::Date };
    // Whether it concerns a mapping whose contract says nothing, and one that lets columns evolve.
    for (drift, plain, evolves) in [
        (missing("Year"), true, true),
        (missing("Raw"), true, true),
        (missing("Budget"), false, true),
        (missing("Notes"), false, false),
        (renamed("Year", "Jahr"), true, true),
        (renamed("Year", "Notes"), true, true),
        (renamed("Jahr", "Year"), false, false),
        (renamed("Budget", "Costs"), false, true),
        (renamed("Budget", "Notes"), false, false),
        (new("Year"), false, false),
        (new("Budget"), false, true),
        (new("Notes"), false, false),
        (twice("Year"), true, true),
        (twice("Budget"), false, true),
        (twice("Notes"), false, false),
        (kind("Raw"), true, true),
        (kind("Budget"), false, true),
        (kind("Notes"), false, false),
        (Drift::Reordered { moved: vec!["Year".into()] }, false, false),
    ] {
        for (mapping, expected) in [(&open, plain), (&frozen, plain), (&evolving, evolves)] {
            let compiled = mapping.compile(&Transforms::default()).expect("valid");
            assert_eq!(compiled.concerns(&drift), expected, "{drift}: {:?}", mapping.contract);
        }
    }
}

#[test]
fn missing_column_is_told_with_the_name_it_probably_has_now() {
    let mapping = movies().column(Column::new("Gross")).compile(&Transforms::default()).expect("valid");
    let last = HeaderFingerprint::of(&fields(&["Title", "Gross", "Year"]));
    let now = fields(&["Title", "Takings", "Year"]);
    let error = mapping.check_since(Some(&last), &now).expect_err("a column is missing");
    let words = "column \"Gross\" is missing; it is probably called \"Takings\" now; columns seen: \"Title\", \"Takings\", \"Year\"";
    assert!(error.text().ends_with(words), "{error}");
    let error = mapping.check_against(&now).expect_err("a column is missing");
    assert!(error.text().contains("column \"Gross\" is missing; columns seen"), "without a look nobody knows: {error}");
    let error = mapping.check_since(Some(&last), &fields(&["Title", "Year", "gross"])).expect_err("a column is missing");
    assert!(error.text().contains("it is probably called \"gross\" now"), "{error}");
    // What was never there was misspelt rather than renamed.
    let error = mapping.check_since(Some(&last), &fields(&["Titel", "Gross", "Year", "Title"])).err();
    assert_eq!(error.map(|error| error.to_string()), None);
}

#[test]
fn frozen_columns_are_looked_for_in_every_page() {
    let contract = Contract::default().columns(NewColumns::Freeze).ignore("Notes");
    let frozen = movies().contract(contract).compile(&Transforms::default()).expect("valid");
    let page = |name: &str| {
        let mut page = RecordBatch::default();
        let name = page.name(name);
        let mut draft = page.record();
        draft.made(name, "\"x\"");
        draft.finish("r1", Operation::Upsert, None);
        page
    };
    frozen.check_further(&page("Notes")).expect("it is ignored; that the key is not on this page is no matter");
    let error = frozen.check_further(&page("Budget")).expect_err("a new column");
    assert!(error.text().contains("column \"Budget\" is new"), "{error}");
    movies().compile(&Transforms::default()).expect("valid").check_further(&page("Budget")).expect("nobody asked");
}

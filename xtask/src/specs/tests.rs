//! Made-up services in the places of the real ones, with exchanges that follow their descriptions and exchanges that differ in one way.

use std::{collections::BTreeSet, path::PathBuf};

use super::{
    problem::{Exception, Kind},
    *,
};

fn fixtures() -> PathBuf {
    shell::root().join("xtask/fixtures/specs")
}

/// The exchanges of bad/, each with the problem it has.
fn bad(provider: &str) -> Vec<(Exchange, String, String)> {
    let lines = exchange::lines(&fixtures().join("bad").join(format!("{provider}.jsonl"))).expect("JSON");
    let text = |line: &Value, name: &str| line["expect"][name].as_str().expect("what is expected").to_owned();
    lines.iter().map(|line| (Exchange::of(line).expect("an exchange"), text(line, "kind"), text(line, "at"))).collect()
}

#[test]
fn what_follows_its_description_has_no_problem() {
    let report = check(&fixtures().join("published"), &fixtures().join("good"), &[]).expect("it is checked");
    assert_eq!(report.wrong(), "");
    let counts: Vec<_> = report.rows.iter().map(|row| (row.provider, row.operations.len(), row.requests, row.replies)).collect();
    assert_eq!(counts, [("sheets", 5, 11, 10), ("slack", 2, 9, 8)]);
}

#[test]
fn each_kind_of_drift_is_found_where_it_is_and_nothing_else() {
    for provider in PROVIDERS {
        let description = (provider.load)(&fixtures().join("published").join(provider.name)).expect("it is read");
        let mut kinds = BTreeSet::new();
        for (exchange, kind, at) in bad(provider.name) {
            let (_, problems) = description.check(&exchange);
            let found: Vec<_> = problems.iter().map(|problem| (problem.kind.to_string(), problem.at.clone())).collect();
            assert_eq!(found, [(kind.clone(), at)], "{exchange:?} {problems:?}");
            kinds.insert(kind);
        }
        assert_eq!(kinds.len(), 9, "{} has no example of some kind: {kinds:?}", provider.name);
    }
}

#[test]
fn drift_is_told_with_its_place_and_what_was_expected_and_fails() {
    let report = check(&fixtures().join("published"), &fixtures().join("bad"), &[]).expect("it is checked");
    let wrong = report.wrong();
    for line in [
        "sheets library.shelves.books.list: wrong value at request.query.order: found \"SIDEWAYS\", the values are TITLE, YEAR",
        "sheets library.shelves.get: wrong type at response.body.best.barcode: expected string (int64), found 9780141439587",
        "slack notes.add: wrong type at response.body.note.at: is number, the reference's examples has string",
        "slack notes.list: undocumented error at response.body.error no_such_room: ",
    ] {
        assert!(wrong.contains(line), "{line}\n{wrong}");
    }
    let args = ["--recording", &fixtures().join("bad").display().to_string(), &fixtures().join("published").display().to_string()];
    let error = run(&args.map(str::to_owned)).expect_err("it fails");
    assert!(error.contains("SIDEWAYS"), "{error}");
}

const MEANT: Exception =
    Exception { provider: "slack", operation: "notes.list", kind: Kind::UnknownField, at: "response.body.pages", reason: "a test" };

#[test]
fn an_exception_covers_its_own_problem_and_no_other() {
    let found = |exceptions: &[Exception]| {
        let report = check(&fixtures().join("published"), &fixtures().join("bad"), exceptions).expect("it is checked");
        (report.wrong().lines().count(), report.rows[1].meant, report.unused.len())
    };
    let (all, ..) = found(&[]);
    assert_eq!(found(&[MEANT]), (all - 1, 1, 0));
    assert_eq!(found(&[Exception { operation: "*", ..MEANT }]), (all - 1, 1, 0));
    assert_eq!(found(&[Exception { at: "response.body.notes[]*", ..MEANT }]), (all - 3, 3, 0));
}

#[test]
fn an_exception_that_covers_nothing_is_an_error() {
    for unused in [
        Exception { provider: "sheets", ..MEANT },
        Exception { operation: "notes.add", ..MEANT },
        Exception { kind: Kind::WrongType, ..MEANT },
        Exception { at: "response.body.page", ..MEANT },
    ] {
        let report = check(&fixtures().join("published"), &fixtures().join("good"), &[unused]).expect("it is checked");
        let wrong = report.wrong();
        assert!(wrong.contains("covers nothing") && wrong.contains("a test"), "{unused:?}: {wrong}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let (published, good) = (fixtures().join("published"), fixtures().join("good"));
    let error = check(&good, &good, &[]).expect_err("no descriptions");
    assert!(error.contains("sheets-v4.discovery.json") && error.contains("xtask/README.md"), "{error}");
    let error = Slack::load(&good).map(|_| ()).expect_err("no descriptions");
    assert!(error.contains("method-ref is missing"), "{error}");
    let error = Google::load(&published.join("slack"), &["slack_web_openapi_v2.subset.json"]).map(|_| ()).expect_err("another description");
    assert!(error.contains("no discovery document"), "{error}");
    let error = check(&published, &published, &[]).expect_err("no recording");
    assert!(error.contains("sheets.jsonl"), "{error}");
    for args in [&[][..], &["a", "b"], &["--record", "a", "b"], &["-x"]] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        run(&args).expect_err("it is no way to call it");
    }
}

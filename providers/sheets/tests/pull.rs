//! Reading tabs: every record once, with its row, whatever shape the sheet is in.

mod support;

use provider_sheets::simulator::SimCell;
use serde_json::json;
use support::Bench;
use sync_core::{ErrorKind, FieldKind, IntegrationSync, Next, Severity};

#[tokio::test]
async fn every_row_comes_once_over_several_pages_with_its_sheet_row() {
    let bench = Bench::numbered(23);
    let scan = bench.scan(json!({"rows_per_page": 5})).await.expect("reads");
    let expected: Vec<(String, u64, _)> = (1..=23).map(|n| (format!("r{n}"), n + 1, json!({"id": format!("r{n}"), "n": n}))).collect();
    assert_eq!(scan.records, expected);
    assert!(scan.complete() && scan.failures.is_empty());
    assert_eq!(scan.pages.len(), 5);
    // One look at the tab, one at its formats, then one call a page.
    assert_eq!((bench.simulation.count("sheets.spreadsheets.get"), bench.simulation.count("sheets.values.batchGet")), (2, 5));
    let permits = bench.services.calls().permits;
    assert!(permits.len() == 7 && permits.iter().all(|permit| *permit == ("read".to_owned(), 1)), "{permits:?}");
}

#[tokio::test]
async fn the_same_position_brings_the_same_page() {
    let bench = Bench::numbered(12);
    let settings = json!({"rows_per_page": 5});
    let Next::Page(token) = bench.page(settings.clone(), None).await.expect("reads").next else { panic!("more pages") };
    let one = bench.page(settings.clone(), Some(token.clone())).await.expect("reads");
    let two = bench.page(settings, Some(token)).await.expect("reads");
    assert_eq!(one.next, two.next);
    let ids = |page: &sync_core::PullPage| page.batch.records().iter().map(|record| record.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&one), ids(&two));
}

#[tokio::test]
async fn blank_rows_end_nothing_and_are_no_records() {
    let bench = Bench::with(&[&["id", "name"], &[], &["a", "x"], &["", ""], &[], &[], &["b"], &["", "no key"], &["c", "y"]]);
    for rows in [2, 3, 100] {
        let scan = bench.scan(json!({"rows_per_page": rows})).await.expect("reads");
        let rows: Vec<(&str, u64)> = scan.records.iter().map(|(id, row, _)| (id.as_str(), *row)).collect();
        assert_eq!(rows, [("a", 3), ("b", 7), ("c", 9)]);
        assert_eq!(scan.records[1].2, json!({"id": "b", "name": null}), "a short row is padded");
        assert_eq!(scan.messages(), [r#"Row 8, Column A (id): the row was left out: nothing stands in the key column "id""#]);
        assert_eq!(scan.pages.iter().map(|page| page.skipped).sum::<u64>(), 1);
        assert!(scan.complete());
    }
}

#[tokio::test]
async fn columns_keep_their_places_when_headers_are_blank_or_doubled() {
    let bench = Bench::with(&[&["id", "", "name", "name"], &["a", "1", "x", "y"], &["b", "", "", "z", "beyond"]]);
    let scan = bench.scan(json!({})).await.expect("reads");
    assert_eq!(scan.records[0].2, json!({"id": "a", "Column B": 1, "name": "x", "name (2)": "y"}));
    assert_eq!(scan.records[1].2, json!({"id": "b", "Column B": null, "name": null, "name (2)": "z"}));
    assert_eq!(
        scan.messages(),
        [
            r#"Row 1, Column D: the header "name" stands there twice; this column is named "name (2)""#,
            "Row 3, Column E: cells without a header above were left out, in column E",
        ]
    );
    let fields = scan.pages[0].fields.as_ref().expect("the first page tells the fields");
    let labels: Vec<(&str, Option<&str>, Option<FieldKind>)> =
        fields.iter().map(|field| (&*field.name, field.label.as_deref(), field.kind)).collect();
    assert_eq!(labels[1], ("Column B", Some("Column B"), None));
    assert_eq!(labels[3], ("name (2)", Some("Column D"), None));
}

#[tokio::test]
async fn a_header_further_down_shifts_everything() {
    let bench = Bench::with(&[&["Report of March"], &[], &["id", "n"], &["a", "1"], &["b", "2"]]);
    let scan = bench.scan(json!({"header_row": 3, "rows_per_page": 1})).await.expect("reads");
    assert_eq!(scan.records[0], ("a".into(), 4, json!({"id": "a", "n": 1})));
    assert_eq!(scan.records[1], ("b".into(), 5, json!({"id": "b", "n": 2})));
}

#[tokio::test]
async fn serial_dates_become_dates_in_the_spreadsheets_zone() {
    let bench = Bench::with(&[&["id", "day", "at", "clock", "plain"]]);
    let sim = bench.sim();
    sim.set_time_zone("America/New_York");
    for (column, format) in [(2, "DATE"), (3, "DATE_TIME"), (4, "TIME"), (5, "NUMBER")] {
        sim.format_column("T", column, format);
    }
    let dates = [46_204.395_833_333_336, 46_204.395_833_333_336, 0.395_833_333_333_333_3, 46_204.0];
    sim.append_row("T", ["a".into()].into_iter().chain(dates.map(SimCell::from)));
    sim.append_row("T", ["b".into(), "TBD".into(), "2026".into(), true.into(), "x".into()]);
    sim.append_row("T", ["c".into()]);

    let scan = bench.scan(json!({"rows_per_page": 1})).await.expect("reads");
    let expected = json!({"id": "a", "day": "2026-07-01", "at": "2026-07-01T09:30:00-04:00", "clock": "09:30:00", "plain": 46204});
    assert_eq!(scan.records[0].2, expected);
    assert_eq!(scan.records[1].2, json!({"id": "b", "day": "TBD", "at": "2026", "clock": true, "plain": "x"}), "text stays text");
    assert!(scan.failures.is_empty());

    sim.set_time_zone("GMT-07:00");
    assert_eq!(bench.scan(json!({})).await.expect("reads").records[0].2["at"], "2026-07-01T09:30:00-07:00");
    let untyped = bench.scan(json!({"typed_dates": false})).await.expect("reads");
    assert_eq!(untyped.records[0].2["day"], json!(46_204.395_833_333_336), "numbers as they are, to the last digit");

    sim.set_time_zone("Moon/Tycho");
    let error = bench.scan(json!({})).await.expect_err("times mean nothing without a zone");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Moon/Tycho") && error.to_string().contains("typed_dates"), "{error}");
}

#[tokio::test]
async fn a_column_is_typed_by_its_format_even_where_its_first_cells_are_blank() {
    let bench = Bench::with(&[&["id", "day"], &["a"], &["b"], &["c"], &["d"], &["e"], &["f"], &["g"]]);
    bench.sim().format_column("T", 2, "DATE");
    bench.sim().set_cell("T", 8, 2, 2.0);
    let scan = bench.scan(json!({"rows_per_page": 2})).await.expect("reads");
    assert_eq!(scan.records[6].2, json!({"id": "g", "day": "1900-01-01"}));
}

#[tokio::test]
async fn failed_formulas_are_warnings_and_a_failed_key_forbids_deletes() {
    let bench = Bench::with(&[&["id", "n"], &["a", "1"], &["b", "2"]]);
    bench.sim().set_cell("T", 2, 2, SimCell::Failed("#N/A"));
    let scan = bench.scan(json!({})).await.expect("reads");
    assert_eq!(scan.messages(), ["Row 2, Column B (n): the formula failed with #N/A; the value is taken as empty"]);
    assert_eq!(scan.records[0].2, json!({"id": "a", "n": null}));
    assert!(!scan.pages[0].unseen);

    bench.sim().set_cell("T", 3, 1, SimCell::Failed("#REF!"));
    let scan = bench.scan(json!({})).await.expect("reads");
    assert_eq!(scan.ids(), ["a"]);
    assert!(scan.pages[0].unseen && scan.failures[1].severity == Severity::Error);
    assert_eq!(scan.pages[0].read(), 2);
}

#[tokio::test]
async fn keys_come_from_the_pull_or_the_settings_and_may_be_several_columns() {
    let bench = Bench::with(&[&["a", "b"], &["x/y", "1"], &["x", "y/1"]]);
    let context = bench.context(json!({"keys": {"T": ["a", "b"], "Other": ["z"]}}));
    let page = bench.sheets.pull(&context, &bench.request(&[], None)).await.expect("by the settings");
    let ids: Vec<&str> = page.batch.records().iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, [r"x\/y/1", r"x/y\/1"]);
    let page = bench.sheets.pull(&context, &bench.request(&["b"], None)).await.expect("the pull wins");
    assert_eq!(page.batch.records()[0].id.as_str(), "1");

    let error = bench.sheets.pull(&bench.context(json!({})), &bench.request(&[], None)).await.expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(r#"The headers are "a", "b""#), "{error}");
}

#[tokio::test]
async fn a_limit_shortens_the_read_and_concludes_nothing() {
    let bench = Bench::numbered(10);
    let mut request = bench.request(&["id"], None);
    request.limit = Some(3);
    let page = bench.sheets.pull(&bench.context(json!({})), &request).await.expect("reads");
    assert_eq!((page.batch.len(), &page.next), (3, &Next::End { complete: false }));
    let asked = bench.simulation.calls().last().expect("a call").path_and_query.clone();
    assert!(asked.contains("A2%3AB4"), "only three rows are fetched: {asked}");

    request.limit = Some(0);
    let page = bench.sheets.pull(&bench.context(json!({})), &request).await.expect("reads");
    assert_eq!((page.batch.len(), &page.next), (0, &Next::End { complete: false }));
    request.limit = Some(50);
    let page = bench.sheets.pull(&bench.context(json!({})), &request).await.expect("reads");
    assert_eq!((page.batch.len(), &page.next), (10, &Next::End { complete: true }), "nothing was left out");
}

#[tokio::test]
async fn titles_that_look_like_cells_or_hold_quotes_are_read() {
    for title in ["CRM26", "Jon's Data", "A:B", "My Tab", "Größe"] {
        let bench = Bench::new();
        bench.sim().load("First", &[["wrong"]]);
        bench.sim().load(title, &[["id"], ["right"]]);
        let mut request = bench.request(&["id"], None);
        request.stream = title.into();
        let page = bench.sheets.pull(&bench.context(json!({})), &request).await.expect(title);
        assert_eq!(page.batch.records()[0].id.as_str(), "right", "{title}");
    }
}

#[tokio::test]
async fn a_tab_with_a_header_alone_is_complete_and_empty() {
    let bench = Bench::with(&[&["id", "n"]]);
    let scan = bench.scan(json!({})).await.expect("reads");
    assert!(scan.records.is_empty() && scan.complete());
    bench.sim().resize("T", 1, 2);
    let scan = bench.scan(json!({})).await.expect("not even room for rows");
    assert!(scan.records.is_empty() && scan.complete());
}

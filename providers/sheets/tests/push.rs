//! Writing rows: by their keys, only the cells that are sent, and nothing that Sheets would change.

mod support;

use std::time::Duration;

use provider_sheets::simulator::SimCell;
use serde_json::json;
use support::{Bench, record, removal, said};
use sync_core::{ErrorKind, IntegrationSync, PushMode, PushOutcome, Retry, Writes};
use sync_testkit::Fault;

fn people() -> Bench {
    Bench::with(&[&["id", "name", "city"], &["a", "Ada", "London"], &["b", "Bob", "Paris"], &["c", "Cyd", "Rome"]])
}

#[tokio::test]
async fn known_rows_are_changed_new_ones_added_and_deleted_ones_removed_in_the_order_of_the_batch() {
    let bench = people();
    let said = bench
        .push(vec![
            record(&json!({"id": "d", "city": "Oslo", "name": "Dan"})),
            removal("a"),
            record(&json!({"id": "c", "name": "Cyd B."})),
            removal("gone"),
            record(&json!({"id": "b"})),
            record(&json!({"id": "e"})),
        ])
        .await;
    assert_eq!(said, ["created d", "deleted a", "updated c", "deleted gone", "unchanged", "created e"]);
    assert_eq!(bench.rows(), ["id|name|city", "b|Bob|Paris", "c|Cyd B.|Rome", "d|Dan|Oslo", "e"]);
}

#[tokio::test]
async fn null_clears_a_cell_and_a_field_that_is_absent_leaves_it() {
    let bench = people();
    let said = bench.push(vec![record(&json!({"id": "a", "city": null})), record(&json!({"id": "b", "name": ""}))]).await;
    assert_eq!(said, ["updated a", "updated b"]);
    assert_eq!(bench.rows()[1..3], ["a|Ada", "b||Paris"]);
}

#[tokio::test]
async fn each_mode_writes_what_it_says() {
    let items = || vec![record(&json!({"id": "a", "name": "X"})), record(&json!({"id": "d", "name": "Y"}))];
    for (mode, outcomes, rows) in [
        (PushMode::Insert, ["skipped: a row with this key is there already", "created d"], ["a|Ada|London", "d|Y"]),
        (PushMode::Update, ["updated a", "skipped: there is no row with this key"], ["a|X|London", ""]),
    ] {
        let bench = people();
        assert_eq!(bench.push_as(mode, items()).await, outcomes);
        assert_eq!([bench.rows()[1].as_str(), bench.rows().get(4).map_or("", String::as_str)], rows);
    }
}

#[tokio::test]
async fn texts_numbers_and_booleans_stay_what_they_are_and_formulas_stay_text() {
    let bench = Bench::with(&[&["id", "v"]]);
    let values = [
        json!("=1+1"),
        json!("+49 30"),
        json!("007"),
        json!("2026-07-01"),
        json!("TRUE"),
        json!("Zeile 1\nZeile 2 — “größer” 👩‍🚀"),
        json!(9_007_199_254_740_991_i64),
        json!(-0.1),
        json!(true),
    ];
    let items = values.iter().enumerate().map(|(n, value)| record(&json!({"id": format!("k{n}"), "v": value}))).collect();
    assert!(bench.push(items).await.iter().all(|said| said.starts_with("created")));
    let scan = bench.scan(json!({})).await.expect("reads");
    let read: Vec<_> = scan.records.iter().map(|(_, _, fields)| fields["v"].clone()).collect();
    assert_eq!(read, values);
    // The same when rows that are there are changed.
    let turned = values.iter().rev().enumerate().map(|(n, value)| record(&json!({"id": format!("k{n}"), "v": value}))).collect();
    assert!(bench.push(turned).await.iter().all(|said| said.starts_with("updated")));
    let scan = bench.scan(json!({})).await.expect("reads");
    assert!(scan.records.iter().map(|(_, _, fields)| &fields["v"]).eq(values.iter().rev()), "{:?}", scan.records);
}

#[tokio::test]
async fn what_no_cell_can_hold_fails_alone_and_says_why() {
    let bench = people();
    let mut broken = record(&json!({}));
    broken.fields = "[1]".into();
    let mut keyless = record(&json!({"name": "x"}));
    keyless.id = None;
    let said = bench
        .push(vec![
            record(&json!({"id": "a", "name": ["list"]})),
            record(&json!({"id": "b", "name": {"an": "object"}})),
            record(&json!({"id": "c", "name": 9_007_199_254_740_993_i64})),
            record(&json!({"id": "d", "name": "x".repeat(50_001)})),
            record(&json!({"id": "e", "nmae": "x"})),
            record(&json!({"id": " ", "name": "x"})),
            record(&json!({"id": "f", "name": "good"})),
            record(&json!({"id": "f", "name": "again"})),
            broken,
            keyless,
        ])
        .await;
    let words = [
        r#"column "name": a list or object"#,
        "a list or object",
        "9007199254740993 exactly; send it as text",
        "50001 characters, and a cell takes 50000",
        r#"there is no column "nmae". The headers are "id", "name", "city""#,
        r#"nothing stands in the key column "id""#,
        "created f",
        r#"another record of this batch has the key "f" too"#,
        "not a JSON object",
        "the record has no key",
    ];
    for (said, words) in said.iter().zip(words) {
        assert!(said.contains(words), "{said} lacks {words}");
    }
    assert_eq!(bench.rows(), ["id|name|city", "a|Ada|London", "b|Bob|Paris", "c|Cyd|Rome", "f|good"]);
}

#[tokio::test]
async fn a_key_that_stands_twice_is_never_guessed_at() {
    let bench = Bench::with(&[&["id", "n"], &["a", "1"], &["b", "2"], &["a", "3"]]);
    for item in [record(&json!({"id": "a", "n": 9})), removal("a")] {
        let said = bench.push(vec![item, record(&json!({"id": "b", "n": 5}))]).await;
        assert!(said[0].contains(r#"the key "a" stands in 2 rows of the sheet, 2, 4"#), "{}", said[0]);
        assert_eq!(said[1], "updated b");
        assert_eq!(bench.rows(), ["id|n", "a|1", "b|5", "a|3"]);
    }
}

#[tokio::test]
async fn a_header_without_the_key_or_with_two_of_it_refuses_the_batch_before_anything_is_written() {
    for (header, words) in [(["Id", "n"], r#"no key column "id"; did you mean "Id"?"#), (["id", "id"], r#""id" stands there twice"#)] {
        let bench = Bench::with(&[&header, &["a", "1"]]);
        let error = bench.try_push(json!({}), PushMode::Upsert, vec![record(&json!({"id": "a"}))]).await.expect_err(words);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(bench.counts()[1..], [0, 0, 0]);
    }
    let bench = Bench::with(&[&[]]);
    let error = bench.try_push(json!({}), PushMode::Upsert, vec![record(&json!({"id": "a"}))]).await.expect_err("no header");
    assert!(error.to_string().contains("row 1 has no column names"), "{error}");
}

#[tokio::test]
async fn a_thousand_records_cost_one_call_of_each_kind() {
    let bench = Bench::numbered(1_000);
    let items = |from: usize, to: usize| (from..to).map(|n| record(&json!({"id": format!("r{n}"), "n": n * 2}))).collect::<Vec<_>>();
    bench.push(items(1, 1_001)).await;
    assert_eq!(bench.counts(), [2, 1, 0, 0], "the first push has to find the key column");
    bench.push(items(1, 1_001)).await;
    assert_eq!(bench.counts(), [3, 2, 0, 0]);
    bench.push(items(1_001, 2_001)).await;
    assert_eq!(bench.counts(), [4, 2, 0, 1]);
    let mut mixed = items(500, 1_500);
    mixed.truncate(500);
    mixed.extend((1..=250).map(|n| removal(&format!("r{n}"))));
    mixed.extend(items(2_001, 2_251));
    bench.push(mixed).await;
    assert_eq!(bench.counts(), [5, 3, 1, 2]);
    assert_eq!(bench.simulation.count("sheets.spreadsheets.get"), 1, "deletes need the tab's number");
    assert_eq!((bench.rows().len(), bench.rows()[1].as_str()), (2_001, "r251|502"));
    let permits = bench.services.calls().permits;
    assert_eq!(permits.iter().filter(|(bucket, cost)| bucket == "write" && *cost == 1).count(), 6);
}

#[tokio::test]
async fn a_key_column_that_moved_is_found_again() {
    let bench = people();
    bench.push(vec![record(&json!({"id": "a", "name": "A"}))]).await;
    for (row, (id, name)) in [("name", "id"), ("A", "a"), ("Bob", "b"), ("Cyd", "c")].into_iter().enumerate() {
        bench.sim().set_cell("T", row + 1, 1, id);
        bench.sim().set_cell("T", row + 1, 2, name);
    }
    assert_eq!(bench.push(vec![record(&json!({"id": "b", "name": "B"}))]).await, ["updated b"]);
    assert_eq!(bench.rows()[2], "B|b|Paris");

    bench.sim().load("T2", &[["id"], ["a"]]);
    bench.sim().rename_tab("T", "Old");
    bench.sim().rename_tab("T2", "T");
    bench.sim().resize("T", 2, 1);
    assert_eq!(bench.push(vec![record(&json!({"id": "b"}))]).await, ["created b"], "the guess lies beyond the grid");
}

#[tokio::test]
async fn a_ragged_header_keeps_every_cell_in_its_column() {
    let bench = Bench::with(&[&["id", "", "name", "name"], &["a", "1", "x", "y", "beyond"]]);
    let said = bench
        .push(vec![record(&json!({"id": "a", "Column B": 2, "name (2)": "Y"})), record(&json!({"id": "b", "name": "only this"}))])
        .await;
    assert_eq!(said, ["updated a", "created b"]);
    assert_eq!(bench.rows()[1..], ["a|2|x|Y|beyond", "b||only this"]);
}

#[tokio::test]
async fn new_rows_need_a_header_in_column_a_because_sheets_finds_the_table_by_it() {
    let bench = Bench::with(&[&["", "id", "n"], &["", "a", "1"]]);
    let said = bench.push(vec![record(&json!({"id": "a", "n": 2})), record(&json!({"id": "b", "n": 3}))]).await;
    assert_eq!(said[0], "updated a");
    assert!(said[1].contains("column A has no header"), "{}", said[1]);
    assert_eq!(bench.rows(), ["|id|n", "|a|2"]);
}

#[tokio::test]
async fn a_header_further_down_and_a_title_above_it_stay_where_they_are() {
    let bench = Bench::with(&[&["Report of March"], &[], &["id", "n"], &["a", "1"], &[], &["note below"]]);
    let items = vec![record(&json!({"id": "a", "n": 5})), record(&json!({"id": "b", "n": 6})), record(&json!({"id": "c", "n": 7}))];
    let outcomes = bench.try_push(json!({"header_row": 3}), PushMode::Upsert, items).await.expect("goes through");
    assert_eq!(outcomes.iter().map(said).collect::<Vec<_>>(), ["updated a", "created b", "created c"]);
    assert_eq!(bench.rows(), ["Report of March", "", "id|n", "a|5", "b|6", "c|7", "", "note below"]);
    let gone = bench.try_push(json!({"header_row": 3}), PushMode::Mirror, vec![removal("a"), removal("c")]).await.expect("goes through");
    assert_eq!(gone.iter().map(said).collect::<Vec<_>>(), ["deleted a", "deleted c"]);
    assert_eq!(bench.rows(), ["Report of March", "", "id|n", "b|6", "", "note below"]);
}

#[tokio::test]
async fn titles_with_quotes_and_titles_like_cells_are_written() {
    for title in ["Jon's \"Data\"", "CRM26", "A:B", "My Tab!", "Größe"] {
        let bench = Bench::new();
        bench.sim().load("First", &[["wrong"]]);
        bench.sim().load("T", &[["id", "n"], ["a", "1"], ["b", "2"]]);
        bench.sim().rename_tab("T", title);
        let mut batch = Bench::batch(
            PushMode::Upsert,
            &["id"],
            vec![record(&json!({"id": "a", "n": 7})), record(&json!({"id": "c", "n": 8})), removal("b")],
        );
        batch.stream = title.into();
        let outcomes = bench.sheets.push(&bench.context(json!({})), &batch).await.expect(title);
        assert_eq!(outcomes.iter().map(said).collect::<Vec<_>>(), ["updated a", "created c", "deleted b"], "{title}");
        bench.sim().rename_tab(title, "T");
        assert_eq!(bench.rows(), ["id|n", "a|7", "c|8"]);
        assert_eq!(bench.sim().cells("First"), [vec![SimCell::from("wrong")]]);
    }
}

#[tokio::test]
async fn a_push_finds_rows_by_the_ids_a_pull_gave_them() {
    let bench = Bench::with(&[&["id", "day", "n"]]);
    bench.sim().format_column("T", 2, "DATE");
    bench.sim().append_row("T", [7.0.into(), 46_204.0.into(), 1.0.into()]);
    bench.sim().append_row("T", ["x/y".into(), 46_205.0.into(), 2.0.into()]);
    let mut request = bench.request(&["id", "day"], None);
    request.key = ["id", "day"].map(Box::from).to_vec().into();
    let page = bench.sheets.pull(&bench.context(json!({})), &request).await.expect("reads");
    let ids: Vec<String> = page.batch.records().iter().map(|record| record.id.to_string()).collect();
    assert_eq!(ids, ["7/2026-07-01", r"x\/y/2026-07-02"]);

    let mut by_id = record(&json!({"n": 20}));
    by_id.id = Some(ids[1].as_str().into());
    let items = vec![record(&json!({"id": 7.0, "day": 46_204, "n": 10})), by_id];
    let batch = Bench::batch(PushMode::Update, &["id", "day"], items);
    let outcomes = bench.sheets.push(&bench.context(json!({})), &batch).await.expect("goes through");
    assert_eq!(outcomes.iter().map(said).collect::<Vec<_>>(), ["updated 7/2026-07-01", r"updated x\/y/2026-07-02"]);
    assert_eq!(bench.rows()[1..], ["7|46204|10", "x/y|46205|20"], "days stay the numbers they are");
}

#[tokio::test]
async fn rows_without_a_key_are_passed_over_and_an_unreadable_key_stops_guessing() {
    let bench = Bench::with(&[&["id", "n"], &["", "1"], &["a", "2"], &["", "total"]]);
    assert_eq!(bench.push(vec![record(&json!({"id": "a", "n": 3}))]).await, ["updated a"]);
    assert_eq!(bench.rows(), ["id|n", "|1", "a|3", "|total"]);
    bench.sim().set_cell("T", 2, 1, SimCell::Failed("#REF!"));
    let outcomes = bench
        .try_push(json!({}), PushMode::Upsert, vec![record(&json!({"id": "a", "n": 4})), record(&json!({"id": "new"})), removal("gone")])
        .await
        .expect("goes through");
    assert_eq!(said(&outcomes[0]), "updated a");
    for outcome in &outcomes[1..] {
        let PushOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().contains("the formula in the key column of row 2 failed"), "{error}");
        assert_eq!(error.retry(), Retry::After(None));
    }
}

#[tokio::test]
async fn the_last_row_of_a_tab_can_be_deleted() {
    let bench = Bench::numbered(3);
    bench.sim().freeze_rows("T", 1);
    assert_eq!(bench.push(vec![removal("r1"), removal("r3"), removal("r2")]).await, ["deleted r1", "deleted r3", "deleted r2"]);
    assert_eq!((bench.rows(), bench.sim().size("T")), (vec!["id|n".to_owned()], (2, 2)));
}

#[tokio::test]
async fn streams_say_which_columns_may_be_written_and_by_which_key() {
    let bench = people();
    bench.sim().load::<[&str; 0], &str>("Empty", &[]);
    let streams = bench.sheets.streams(&bench.context(json!({"keys": {"T": ["id", "name"]}}))).await.expect("reads");
    let names: Vec<Box<str>> = ["id", "name", "city"].map(Box::from).to_vec();
    assert_eq!(streams[0].writes, Writes::Fields(names.into()));
    assert_eq!((streams[0].key.iter().map(|key| &**key).collect::<Vec<_>>(), streams[0].needs_key), (vec!["id", "name"], false));
    assert_eq!((&streams[1].writes, streams[1].key.len(), streams[1].needs_key), (&Writes::Nothing, 0, true));
    let descriptor = bench.sheets.descriptor();
    assert!(descriptor.capabilities.push && descriptor.push.one_writer && !descriptor.push.repeatable);
}

#[tokio::test]
async fn two_connections_to_one_spreadsheet_write_one_after_the_other() {
    let bench = Bench::with(&[&["id", "n"]]);
    for operation in ["sheets.values.batchGet", "sheets.values.append", "sheets.values.batchUpdate"] {
        bench.simulation.faults().push_times(operation, Fault::Slow(Duration::from_secs(1)), 9);
    }
    bench.services.clock().hold(true);
    let passing = async {
        for _ in 0..40 {
            tokio::task::yield_now().await;
            bench.services.clock().advance(Duration::from_secs(1));
        }
    };
    let item = |n: u32| vec![record(&json!({"id": "a", "n": n}))];
    let (one, other, ()) = tokio::join!(bench.push(item(1)), bench.push(item(2)), passing);
    assert_eq!((one[0].as_str(), other[0].as_str()), ("created a", "updated a"), "the second sees what the first wrote");
    assert_eq!(bench.rows(), ["id|n", "a|2"]);
}

#[tokio::test]
async fn deletes_come_before_new_rows_because_those_move_what_lies_below_a_gap() {
    let bench = Bench::with(&[&["id", "n"], &["a", "1"], &[], &["b", "2"], &["c", "3"]]);
    let said = bench.push(vec![record(&json!({"id": "d", "n": 4})), removal("b")]).await;
    assert_eq!(said, ["created d", "deleted b"]);
    assert_eq!(bench.rows(), ["id|n", "a|1", "d|4", "", "c|3"]);
}

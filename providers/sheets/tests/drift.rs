//! Sheets that are not as expected, or change while they are read: loud, and never taken for empty.

mod support;

use serde_json::json;
use support::Bench;
use sync_core::{ErrorKind, Next};

#[tokio::test]
async fn a_missing_header_is_an_error_and_not_an_empty_tab() {
    let bench = Bench::new();
    bench.sim().load::<[&str; 0], &str>("T", &[]);
    let error = bench.scan(json!({})).await.expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("row 1 has no column names") && error.to_string().contains("(tab T)"), "{error}");

    let error = bench.scan(json!({"header_row": 1001})).await.expect_err("below the end");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`header_row`") && error.to_string().contains("1000"), "{error}");
}

#[tokio::test]
async fn a_key_header_that_is_missing_or_doubled_fails_the_pull() {
    let cases: [(&[&str], &str); 3] = [
        (&["Id", "name"], r#"no key column "id"; did you mean "Id"? The headers are "Id", "name""#),
        (&["name", "age"], r#"no key column "id". The headers are "name", "age""#),
        (&["id", "name", "id"], r#"the key column "id" stands there twice. The headers are "id", "name", "id (2)""#),
    ];
    for (header, words) in cases {
        let bench = Bench::with(&[header, &["a", "b"]]);
        let error = bench.scan(json!({})).await.expect_err(words);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_header_that_changes_between_pages_stops_the_scan() {
    for change in ["renamed", "blanked", "added"] {
        let bench = Bench::numbered(10);
        let settings = json!({"rows_per_page": 4});
        let Next::Page(token) = bench.page(settings.clone(), None).await.expect("reads").next else { panic!("more pages") };
        match change {
            "renamed" => bench.sim().rename_header("T", "n", "number"),
            "blanked" => (1..=2).for_each(|column| bench.sim().set_cell("T", 1, column, "")),
            _ => {
                bench.sim().set_cell("T", 1, 2, "id");
            }
        }
        let error = bench.page(settings, Some(token)).await.expect_err(change);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("header row was changed"), "{error}");
    }
}

#[tokio::test]
async fn rows_that_move_between_pages_are_noticed_and_nothing_counts_as_deleted() {
    let bench = Bench::numbered(10);
    let settings = json!({"rows_per_page": 4});
    let first = bench.page(settings.clone(), None).await.expect("reads");
    let Next::Page(mut token) = first.next else { panic!("more pages") };
    bench.sim().append_row("T", ["r11".into()]);
    bench.sim().delete_row("T", 3);
    let mut warnings = Vec::new();
    let end = loop {
        let page = bench.page(settings.clone(), Some(token)).await.expect("goes on");
        warnings.extend(page.failures);
        match page.next {
            Next::Page(next) => token = next,
            end => break end,
        }
    };
    assert_eq!(end, Next::End { complete: false }, "r6 was not seen, but it is there");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().starts_with("Row 5: rows were moved"), "{}", warnings[0]);
}

#[tokio::test]
async fn values_that_change_between_pages_do_not_spoil_the_scan() {
    let bench = Bench::numbered(10);
    let settings = json!({"rows_per_page": 4});
    let Next::Page(token) = bench.page(settings.clone(), None).await.expect("reads").next else { panic!("more pages") };
    bench.sim().set_cell("T", 5, 2, 99.0);
    let page = bench.page(settings, Some(token)).await.expect("goes on");
    assert!(page.failures.is_empty() && matches!(page.next, Next::Page(_)));
}

#[tokio::test]
async fn a_tab_that_shrinks_or_goes_between_pages_is_an_error() {
    let bench = Bench::numbered(10);
    let settings = json!({"rows_per_page": 4});
    let Next::Page(token) = bench.page(settings.clone(), None).await.expect("reads").next else { panic!("more pages") };
    bench.sim().resize("T", 3, 2);
    let error = bench.page(settings.clone(), Some(token.clone())).await.expect_err("rows are gone");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    bench.sim().rename_tab("T", "U");
    let error = bench.page(settings.clone(), Some(token)).await.expect_err("the tab is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("(tab T)"), "{error}");
    let error = bench.page(settings, None).await.expect_err("still gone");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains(r#"no tab "T"; there are "U""#), "{error}");
}

#[tokio::test]
async fn tabs_without_cells_of_their_own_are_refused() {
    for kind in ["chart", "query"] {
        let bench = Bench::new();
        if kind == "chart" {
            bench.sim().add_chart("T")
        } else {
            bench.sim().add_data_source("T")
        }
        let error = bench.scan(json!({})).await.expect_err(kind);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}

#[tokio::test]
async fn a_token_of_another_provider_is_refused() {
    let bench = Bench::numbered(3);
    let error = bench.page(json!({}), Some("dXNlcg==".into())).await.expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(bench.simulation.calls().len(), 0);
}

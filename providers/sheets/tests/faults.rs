//! A service in trouble: errors say what came, waits are kept, and nothing is ever taken for an empty sheet.

mod support;

use std::time::Duration;

use provider_sheets::Sheets;
use serde_json::json;
use support::{Bench, ID, erased};
use sync_core::{ErrorKind, Retry};
use sync_testkit::{Canary, Fault};

#[tokio::test]
async fn an_answer_that_is_no_answer_is_an_error_wherever_it_comes() {
    let bodies = [
        Fault::Html,
        Fault::Empty,
        Fault::Cut(20),
        Fault::Body("{}".into()),
        Fault::Body("[]".into()),
        Fault::Body("null".into()),
        Fault::Body(r#"{"error":{"code":500}}"#.into()),
        Fault::Body(r#"{"spreadsheetId":"x","valueRanges":[{},{}]}"#.into()),
        Fault::Body(r#"{"spreadsheetId":"x","valueRanges":[{"range":"T!A1:B1","values":[["id"]]}]}"#.into()),
        Fault::Body(r#"{"spreadsheetId":"x","properties":{"title":"x"}}"#.into()),
        Fault::Body(r#"{"sheets":[{"properties":{"title":"T"}}]}"#.into()),
    ];
    for fault in bodies {
        for operation in ["sheets.spreadsheets.get", "sheets.values.batchGet"] {
            let bench = Bench::numbered(3);
            bench.simulation.faults().push_times(operation, fault.clone(), 9);
            let error = bench.scan(json!({})).await.expect_err("never an empty page");
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Decode | ErrorKind::Transport), "{operation} {fault:?}: {error:?}");
            assert!(matches!(error.retry(), Retry::GaveUp(_)), "{operation} {fault:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn lost_formats_are_an_error_because_dates_would_turn_into_numbers() {
    let bench = Bench::numbered(3);
    bench.simulation.faults().push("sheets.spreadsheets.get", Fault::Slow(Duration::ZERO));
    bench.simulation.faults().push_times("sheets.spreadsheets.get", Fault::Body(r#"{"sheets":[]}"#.into()), 2);
    assert_eq!(bench.scan(json!({})).await.expect_err("no formats").kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn more_rows_than_asked_for_are_an_error_because_their_numbers_would_be_wrong() {
    let bench = Bench::numbered(1);
    let body = r#"{"valueRanges":[{"range":"T!A1:B1","values":[["id","n"]]},{"range":"T!A2:B2","values":[["a",1],["b",2]]}]}"#;
    bench.simulation.faults().push_times("sheets.values.batchGet", Fault::Body(body.into()), 2);
    assert_eq!(bench.scan(json!({})).await.expect_err("two rows for one").kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn a_huge_answer_is_refused_once_and_not_read_again() {
    let bench = Bench::numbered(3);
    bench.simulation.faults().push("sheets.values.batchGet", Fault::Huge(65));
    let error = bench.scan(json!({})).await.expect_err("beyond the cap");
    assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
    assert_eq!(bench.simulation.count("sheets.values.batchGet"), 1);
}

#[tokio::test]
async fn passing_trouble_is_ridden_out_and_each_record_still_comes_once() {
    for fault in [
        Fault::Html,
        Fault::Cut(40),
        Fault::Refused,
        Fault::LostAnswer,
        Fault::status(503, r#"{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}"#),
    ] {
        let bench = Bench::numbered(9);
        bench.simulation.faults().push("sheets.spreadsheets.get", fault.clone());
        bench.simulation.faults().push("sheets.values.batchGet", fault.clone());
        let scan = bench.scan(json!({"rows_per_page": 4})).await;
        let scan = scan.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(scan.ids().len(), 9, "{fault:?}");
        assert_eq!(bench.simulation.faults().waiting(), 0);
    }
}

#[tokio::test]
async fn a_call_may_take_three_minutes_and_is_made_again_after_that() {
    for (slow, calls) in [(170, 1), (181, 2)] {
        let bench = Bench::numbered(9);
        bench.simulation.faults().push("sheets.values.batchGet", Fault::Slow(Duration::from_secs(slow)));
        assert_eq!(bench.scan(json!({})).await.expect("in time").ids().len(), 9);
        assert_eq!(bench.simulation.count("sheets.values.batchGet"), calls, "{slow} s");
    }
}

#[tokio::test]
async fn a_spent_minute_is_waited_for_and_the_scan_goes_on() {
    let bench = Bench::numbered(20);
    bench.sim().set_reads_per_minute(4);
    let scan = bench.scan(json!({"rows_per_page": 5})).await.expect("goes on after the minute");
    assert_eq!(scan.ids().len(), 20);
    let slept = bench.services.clock().slept();
    assert_eq!(slept.len(), 1);
    assert!(slept[0] >= Duration::from_secs(60) && slept[0] < Duration::from_secs(62), "{slept:?}");
    assert!(bench.simulation.calls().iter().any(|call| call.status == Some(429)));
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_or_reported() {
    let bench = Bench::numbered(3);
    bench.sim().expect_token("second");
    let error = bench.scan(json!({})).await.expect_err("nothing to renew with");
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");

    let mut bench = bench;
    bench.services = sync_testkit::TestServices::new(7).with_token("first").with_refresh(&["second"]);
    assert_eq!(bench.scan(json!({})).await.expect("renewed").ids().len(), 3);
    assert_eq!(bench.services.calls().rejected, [1]);

    bench.sim().revoke_token();
    assert_eq!(bench.scan(json!({})).await.expect_err("revoked").kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn wrong_documents_and_settings_say_what_to_do() {
    let bench = Bench::numbered(3);
    let sheets = erased(&bench.sheets);
    let account = sheets.validate_credentials(&bench.context(json!({}))).await.expect("readable");
    assert_eq!((&*account.id, account.name.as_deref()), (ID, Some("Master Sheet")));

    let error = sheets.validate_credentials(&bench.services.context(json!({}))).await.expect_err("no setting");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("spreadsheet_id"), "{error}");
    let error = sheets.validate_credentials(&bench.context(json!({"spreadsheet_id": "other"}))).await.expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    bench.sim().become_office_file();
    let error = sheets.validate_credentials(&bench.context(json!({}))).await.expect_err("Excel");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("Save as Google Sheets"), "{error}");
    let error = Sheets::builder().base_url("http://sheets.example.com").build().expect_err("no https");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn no_error_holds_the_token() {
    let canary = Canary::new(11);
    for status in [400, 401, 403, 404, 429, 500] {
        let mut bench = Bench::numbered(3);
        bench.services = sync_testkit::TestServices::new(7).with_token(canary.secret());
        let body = json!({"error": {"code": status, "message": format!("bad {}", canary.secret()), "status": canary.secret()}});
        bench.simulation.faults().push_times("sheets.spreadsheets.get", Fault::status(status, body.to_string()), 9);
        let error = bench.scan(json!({})).await.expect_err("refused");
        canary.assert_absent("error", &format!("{error} {error:?}"));
    }
    let bench = Bench::numbered(1);
    canary.assert_absent("debug", &format!("{:?}", bench.sheets));
}

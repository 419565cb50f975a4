//! Sheets and what of Drive belongs to it: reads and writes of our provider, calls of other clients, and what stops every call.

use serde_json::{Value, json};
use syncline::{
    Sheets,
    core::{Found, IntegrationSync, Partition, PassthroughRequest, PushItem, PushOutcome},
    http::Request,
    providers::sheets::simulator::SheetsSim,
    testkit::Fault,
};

use crate::{Bench, OUTSIDE, batch, get, item, post, removal};

const SPREADSHEET: &str = "1AbCdEfGh";
const SHEETS: &str = "https://sheets.googleapis.com/";

fn sheets_good(response: &Value) -> bool {
    response["status"] == 200
}

fn spreadsheet() -> SheetsSim {
    let sim = SheetsSim::new(SPREADSHEET, "Film list");
    sim.load("Movies", &[vec!["Title", "Year", "Seen"], vec!["Metropolis", "1927", "46023"], vec!["Stalker", "1979", ""]]);
    sim.format_column("Movies", 3, "DATE_TIME");
    sim.add_chart("Chart");
    sim
}

#[tokio::test]
async fn every_sheets_operation_is_exercised_and_recorded() {
    let bench = Bench::new(spreadsheet(), json!({"spreadsheet_id": SPREADSHEET}));
    bench.sim().set_reads_per_minute(1_000);
    bench.sim().set_writes_per_minute(1_000);
    let sheets = Sheets::builder().transport(bench.recorder.transport()).build().expect("a provider");
    sheets.validate_credentials(&bench.context()).await.expect("a good token");
    assert_eq!(sheets.streams(&bench.context()).await.expect("tabs").len(), 1);
    assert_eq!(bench.pull(&sheets, "Movies", Partition::whole(), &["Title"]).await.expect("it is read"), 2);
    sheets_writes(&bench, &sheets).await;
    sheets_as_outside(&bench).await;
    sheets_refusals(&bench).await;
    bench.finish("sheets", sheets_good);
}

/// Rows that are changed, added, deleted and left alone, one whose answer is lost and that is looked for, and a call of the host's own.
async fn sheets_writes(bench: &Bench<SheetsSim>, sheets: &Sheets) {
    let rows = |items: &[PushItem]| batch("Movies", &["Title"], items);
    let row = |title: &str, fields: Value| item(title, Some(title), &fields);
    let calls = ["sheets.values.batchUpdate", "sheets.values.append", "sheets.spreadsheets.batchUpdate"];
    let before = calls.map(|operation| bench.simulation.count(operation));
    let outcomes = bench
        .push(
            sheets,
            &rows(&[
                row("Metropolis", json!({"Title": "Metropolis", "Year": 1926})),
                row("Alien", json!({"Title": "Alien", "Year": 1979, "Seen": null})),
                removal("Stalker"),
                row("Heat", json!({"Title": "Heat", "Year": "a year"})),
            ]),
        )
        .await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, PushOutcome::Accepted { .. })), "{outcomes:?}");
    let after = calls.map(|operation| bench.simulation.count(operation));
    assert!(before.iter().zip(after).all(|(before, after)| *before < after), "{calls:?} {before:?} {after:?}");
    let nested = bench.push(sheets, &rows(&[row("Ran", json!({"Title": "Ran", "Year": [1985]}))])).await;
    assert!(matches!(nested[..], [PushOutcome::Failed(_)]), "{nested:?}");

    bench.simulation.faults().push("sheets.values.append", Fault::LostAnswer);
    let lost = rows(&[row("Ikiru", json!({"Title": "Ikiru", "Year": 1952}))]);
    let outcomes = bench.push(sheets, &lost).await;
    assert!(matches!(outcomes[..], [PushOutcome::Unknown]), "{outcomes:?}");
    let found = sheets.find(&bench.context(), &lost).await.expect("it is looked for");
    assert!(matches!(found[..], [Found::Sent { .. }]), "{found:?}");

    let through = sheets.as_passthrough().expect("it lets calls through");
    let request = PassthroughRequest::get(format!("v4/spreadsheets/{SPREADSHEET}/values:batchGet")).query("ranges", "Movies!A1:C1");
    through.request(&bench.context(), &request).await.expect("an answer");
}

/// A call of each operation for a spreadsheet of this id, all of them well-formed.
fn sheets_calls(id: &str) -> Vec<(&'static str, Request)> {
    let path = |rest: &str| format!("v4/spreadsheets/{id}{rest}");
    let put = |rest: &str, body: Value| Request::put(OUTSIDE, path(rest)).query("valueInputOption", "RAW").json(&body);
    let range = |range: &str, values: Value| json!({"range": range, "majorDimension": "ROWS", "values": values});
    let mut calls = vec![
        (SHEETS, get(&path(""), &[("includeGridData", "true")])),
        (SHEETS, get(&path(""), &[("ranges", "Movies!A1:C2"), ("fields", "sheets(properties.title,data/rowData/values/effectiveValue)")])),
        (SHEETS, get(&path("/values/Movies%21A1%3AC9"), &[("valueRenderOption", "FORMATTED_VALUE")])),
        (SHEETS, get(&path("/values:batchGet"), &[("ranges", "Movies!A:A"), ("ranges", "Movies!B2:B"), ("majorDimension", "COLUMNS")])),
        (SHEETS, put("/values/Movies%21A4", range("Movies!A4", json!([["Alien", 1979, true]])))),
        (SHEETS, put("/values/Movies%21A5", range("Movies!A5", json!([["Heat", null, ""]]))).query("includeValuesInResponse", true)),
        (
            SHEETS,
            post(&path("/values/Movies%21A1%3AC1:append"), json!({"values": [["Ran", 1985, "2026-01-02"]]}))
                .query("valueInputOption", "USER_ENTERED")
                .query("insertDataOption", "INSERT_ROWS")
                .query("includeValuesInResponse", true),
        ),
        (
            SHEETS,
            post(
                &path("/values:batchUpdate"),
                json!({"valueInputOption": "RAW", "includeValuesInResponse": true, "data": [range("Movies!B2", json!([[1927]])), range("Movies!C3", json!([[1.5]]))]}),
            ),
        ),
        (SHEETS, post(&path("/values/Movies%21C5:clear"), json!({}))),
        (SHEETS, post(&path("/values:batchClear"), json!({"ranges": ["Movies!C4", "Movies!C3"]}))),
        (
            "https://www.googleapis.com/",
            get(
                &format!("drive/v3/files/{id}"),
                &[("fields", "id,name,mimeType,modifiedTime,version,trashed"), ("supportsAllDrives", "true")],
            ),
        ),
    ];
    let dimension = |from: u32, to: u32| json!({"sheetId": 0, "dimension": "ROWS", "startIndex": from, "endIndex": to});
    for requests in [
        json!([{"addSheet": {"properties": {"title": "New", "gridProperties": {"rowCount": 5, "columnCount": 2}}}}]),
        json!([{"updateSheetProperties": {"properties": {"sheetId": 0, "gridProperties": {"frozenRowCount": 1}}, "fields": "gridProperties.frozenRowCount"}}]),
        json!([{"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 3}}, {"insertDimension": {"range": dimension(4, 6), "inheritFromBefore": true}}]),
        json!([{"deleteDimension": {"range": dimension(5, 6)}}, {"deleteDimension": {"range": dimension(4, 5)}}]),
        json!([{"updateCells": {
            "rows": [{"values": [{"userEnteredValue": {"stringValue": "Title"}}]}], "fields": "userEnteredValue",
            "start": {"sheetId": 0, "rowIndex": 0, "columnIndex": 0},
        }}]),
        json!([{"appendCells": {"sheetId": 0, "rows": [{"values": [{"userEnteredValue": {"numberValue": 7}}]}], "fields": "userEnteredValue"}}]),
    ] {
        calls.push((SHEETS, post(&path(":batchUpdate"), json!({"requests": requests}))));
    }
    calls
}

async fn sheets_as_outside(bench: &Bench<SheetsSim>) {
    let create = json!({
        "properties": {"title": "Another", "locale": "de_DE", "timeZone": "Europe/Berlin"},
        "sheets": [{"properties": {"title": "First", "gridProperties": {"rowCount": 10, "columnCount": 4}}}],
    });
    bench.call(SHEETS, post("v4/spreadsheets", create)).await.expect("a new one");
    for (base, request) in sheets_calls(SPREADSHEET) {
        let label = format!("{request:?}");
        bench.call(base, request).await.expect(&label);
    }
    let path = |rest: &str| format!("v4/spreadsheets/{SPREADSHEET}{rest}");
    for (request, word) in [
        (get(&path("/values:batchGet"), &[("ranges", "Gone!A1")]), "Unable to parse range"),
        (get(&path("/values/Movies%21A5000"), &[]), "exceeds grid limits"),
        (post(&path("/values:batchUpdate"), json!({"valueInputOption": "RAW", "data": [{"range": "Gone!A1", "values": [[1]]}]})), "range"),
        (post(&path(":batchUpdate"), json!({"requests": [{"deleteSheet": {"sheetId": 4711}}]})), "4711"),
        (post("v4/spreadsheets", json!({"sheets": [{"properties": {"title": "A"}}, {"properties": {"title": "A"}}]})), "already exists"),
    ] {
        let error = bench.call(SHEETS, request).await.expect_err(word);
        let last = bench.recorder.exchanges().pop().expect("an exchange");
        let said = last["response"]["body"]["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(word), "{word}: {said} ({error})");
    }
}

/// What stops every call alike: a spreadsheet that is not there, the token, the quota, a file of another kind.
async fn sheets_refusals(bench: &Bench<SheetsSim>) {
    let all = async |id: &str, status: u16| {
        for (base, request) in sheets_calls(id) {
            let label = format!("{request:?}");
            bench.call(base, request).await.expect_err(&label);
            let last = bench.recorder.exchanges().pop().expect("an exchange");
            assert_eq!(last["response"]["status"], status, "{label}");
        }
    };
    all("1NotThere", 404).await;
    bench.sim().expect_token("another");
    all(SPREADSHEET, 401).await;
    bench.sim().revoke_token();
    bench.call(SHEETS, post("v4/spreadsheets", json!({}))).await.expect_err("a revoked token");
    bench.sim().expect_token(bench.canary.secret());
    bench.sim().set_reads_per_minute(1);
    bench.sim().set_writes_per_minute(1);
    for (base, request) in sheets_calls(SPREADSHEET) {
        // some wait for the next minute and go through, others are not to be sent again
        let _ = bench.call(base, request).await;
    }
    for operation in ["sheets.spreadsheets.get", "sheets.spreadsheets.batchUpdate"] {
        assert!(bench.seen(operation, |answer| answer["status"] == 429) > 0, "{operation} never met its quota");
    }
    bench.sim().set_reads_per_minute(1_000);
    bench.sim().become_office_file();
    bench.call(SHEETS, get(&format!("v4/spreadsheets/{SPREADSHEET}"), &[])).await.expect_err("an Excel file");
}

//! The simulated spreadsheet answers like Google's, call by call.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use provider_sheets::simulator::{SheetsSim, SimCell};
use serde_json::{Value, json};
use sync_http::{HeaderMap, Method};
use sync_testkit::{SimRequest, Simulator};

const ID: &str = "1AbC_sheet";
const BASE: &str = "/v4/spreadsheets/1AbC_sheet";

struct Wire {
    sim: SheetsSim,
    now: DateTime<Utc>,
}

impl Wire {
    fn new(rows: &[&[&str]]) -> Self {
        let sim = SheetsSim::new(ID, "Master Sheet");
        sim.load("T", rows);
        Self { sim, now: DateTime::UNIX_EPOCH }
    }

    fn send(&self, method: Method, path: &str, query: &str, body: Value) -> (u16, Value) {
        let query = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer t".parse().expect("a header"));
        let body = if body.is_null() { Default::default() } else { body.to_string().into() };
        let answer = self.sim.answer(&SimRequest { method, path: path.into(), query, headers, body, now: self.now });
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&self, rest: &str, query: &str) -> (u16, Value) {
        self.send(Method::GET, &format!("{BASE}{rest}"), query, Value::Null)
    }

    fn post(&self, rest: &str, query: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, &format!("{BASE}{rest}"), query, body)
    }

    fn good(answer: (u16, Value)) -> Value {
        assert_eq!(answer.0, 200, "{}", answer.1);
        answer.1
    }

    fn refused(answer: (u16, Value)) -> String {
        assert_eq!((answer.0, &answer.1["error"]["code"], &answer.1["error"]["status"]), (400, &json!(400), &json!("INVALID_ARGUMENT")));
        answer.1["error"]["message"].as_str().expect("a message").to_owned()
    }

    fn texts(&self) -> Vec<String> {
        let row = |cells: &Vec<SimCell>| cells.iter().map(SimCell::text).collect::<Vec<_>>().join("|");
        self.sim.cells("T").iter().map(row).collect()
    }
}

#[test]
fn an_update_leaves_null_alone_clears_empty_text_and_tells_what_it_wrote() {
    let wire = Wire::new(&[&["a", "b", "c"], &["1", "2", "3"]]);
    let body = json!({"values": [["x", null, ""], [null, null, "=1+1"]]});
    let path = format!("{BASE}/values/T%21A1%3AC2");
    let answer = Wire::good(wire.send(Method::PUT, &path, "valueInputOption=RAW&includeValuesInResponse=true", body.clone()));
    assert_eq!(
        answer,
        json!({"spreadsheetId": ID, "updatedRange": "T!A1:C2", "updatedRows": 2, "updatedColumns": 2, "updatedCells": 3,
            "updatedData": {"range": "T!A1:C2", "majorDimension": "ROWS", "values": [["x", "b"], ["1", "2", "=1+1"]]}})
    );
    assert_eq!(wire.texts(), ["x|b", "1|2|=1+1"]);
    assert_eq!(Wire::refused(wire.send(Method::PUT, &path, "", body.clone())), "'valueInputOption' is required but not specified");
    let narrow = format!("{BASE}/values/T!A1:B2");
    assert!(Wire::refused(wire.send(Method::PUT, &narrow, "valueInputOption=RAW", body.clone())).contains("tried writing to column [C]"));
    wire.sim.resize("T", 1, 3);
    let anchor = format!("{BASE}/values/T!A1");
    let beyond = Wire::refused(wire.send(Method::PUT, &anchor, "valueInputOption=RAW", body));
    assert_eq!(beyond, "Range (T!A1:C2) exceeds grid limits. Max rows: 1, max columns: 3");
}

#[test]
fn a_batch_of_values_is_written_whole_or_not_at_all() {
    let wire = Wire::new(&[&["a", "b"], &["1", "2"]]);
    let body = |second: &str| json!({"valueInputOption": "USER_ENTERED", "data": [{"range": "T!A2", "values": [["=B2"]]}, {"range": second, "values": [["9"]]}]});
    assert!(
        Wire::refused(wire.post("/values:batchUpdate", "", body("Gone!A1"))).starts_with("Invalid data[1]: Unable to parse range: Gone!A1")
    );
    assert_eq!(wire.texts(), ["a|b", "1|2"], "nothing of it");
    let answer = Wire::good(wire.post("/values:batchUpdate", "", body("T!B1:B2")));
    assert_eq!(
        answer,
        json!({"spreadsheetId": ID, "totalUpdatedRows": 2, "totalUpdatedColumns": 2, "totalUpdatedCells": 2, "totalUpdatedSheets": 1, "responses": [
            {"spreadsheetId": ID, "updatedRange": "T!A2:A2", "updatedRows": 1, "updatedColumns": 1, "updatedCells": 1},
            {"spreadsheetId": ID, "updatedRange": "T!B1:B1", "updatedRows": 1, "updatedColumns": 1, "updatedCells": 1}]})
    );
    let formula = Wire::good(wire.get("/values/T!A2", "valueRenderOption=FORMULA"));
    assert_eq!(formula["values"], json!([["=B2"]]));
}

#[test]
fn an_append_finds_the_table_and_overwrites_or_inserts() {
    let rows: &[&[&str]] = &[&["id", "n"], &["a", "1"], &[], &["note"]];
    let body = json!({"values": [["b", 2], ["c", "=1"]]});
    let append = |wire: &Wire, how: &str| wire.post("/values/T!A1:append", &format!("valueInputOption=RAW{how}"), body.clone());
    let wire = Wire::new(rows);
    let answer = Wire::good(append(&wire, ""));
    assert_eq!(wire.texts(), ["id|n", "a|1", "b|2", "c|=1"], "the note is gone");
    assert_eq!(
        answer,
        json!({"spreadsheetId": ID, "tableRange": "T!A1:B2", "updates":
            {"spreadsheetId": ID, "updatedRange": "T!A3:B4", "updatedRows": 2, "updatedColumns": 2, "updatedCells": 4}})
    );
    let wire = Wire::new(rows);
    Wire::good(append(&wire, "&insertDataOption=INSERT_ROWS"));
    assert_eq!(wire.texts(), ["id|n", "a|1", "b|2", "c|=1", "", "note"]);
    assert_eq!(wire.sim.size("T"), (1002, 26));

    // A blank column splits the header: what is asked for is the lowest table that touches the range.
    let wire = Wire::new(&[&["id", "", "n"], &["a", "", "1"], &["b"]]);
    let answer = Wire::good(wire.post("/values/T!A1:C1:append", "valueInputOption=RAW", body.clone()));
    assert_eq!(answer["tableRange"], "T!A1:A3");
    let wire = Wire::new(&[]);
    wire.sim.resize("T", 1, 1);
    let answer = Wire::good(append(&wire, ""));
    assert!(answer.get("tableRange").is_none());
    assert_eq!((wire.texts(), wire.sim.size("T")), (vec!["b|2".to_owned(), "c|=1".to_owned()], (2, 2)));
}

#[test]
fn clearing_keeps_the_grid() {
    let wire = Wire::new(&[&["a", "b"], &["1", "2"]]);
    assert_eq!(Wire::good(wire.post("/values/T!B1:B:clear", "", json!({}))), json!({"spreadsheetId": ID, "clearedRange": "T!B1:B1000"}));
    assert_eq!(wire.texts(), ["a", "1"]);
    let answer = Wire::good(wire.post("/values:batchClear", "", json!({"ranges": ["T!A1", "T!A2"]})));
    assert_eq!(answer["clearedRanges"], json!(["T!A1:A1", "T!A2:A2"]));
    assert_eq!((wire.texts(), wire.sim.size("T")), (vec![], (1000, 26)));
}

#[test]
fn structure_changes_are_all_or_nothing_with_one_reply_each() {
    let wire = Wire::new(&[&["id"], &["a"], &["b"], &["c"]]);
    let delete =
        |from: u32, to: u32| json!({"deleteDimension": {"range": {"sheetId": 0, "dimension": "ROWS", "startIndex": from, "endIndex": to}}});
    let add =
        json!({"addSheet": {"properties": {"title": "New", "gridProperties": {"rowCount": 5, "columnCount": 2, "frozenRowCount": 1}}}});
    let answer = Wire::good(wire.post(":batchUpdate", "", json!({"requests": [delete(3, 4), delete(1, 2), add]})));
    assert_eq!((wire.texts(), wire.sim.size("T")), (vec!["id".to_owned(), "b".to_owned()], (998, 26)));
    let sheet = json!({"sheetId": 7, "title": "New", "index": 1, "sheetType": "GRID",
        "gridProperties": {"rowCount": 5, "columnCount": 2, "frozenRowCount": 1}});
    assert_eq!(answer, json!({"spreadsheetId": ID, "replies": [{}, {}, {"addSheet": {"properties": sheet}}]}));

    let cells = |text: &str| json!([{"values": [{"userEnteredValue": {"stringValue": text}}, {"userEnteredValue": {"numberValue": 2}}]}]);
    let requests = json!([
        {"insertDimension": {"range": {"sheetId": 0, "dimension": "ROWS", "startIndex": 1, "endIndex": 2}, "inheritFromBefore": false}},
        {"updateCells": {"start": {"sheetId": 0, "rowIndex": 1, "columnIndex": 0}, "rows": cells("=new"), "fields": "userEnteredValue"}},
        {"appendCells": {"sheetId": 0, "rows": cells("last"), "fields": "*"}},
        {"appendDimension": {"sheetId": 7, "dimension": "COLUMNS", "length": 3}},
        {"updateSheetProperties": {"properties": {"sheetId": 7, "title": "Renamed"}, "fields": "title"}},
    ]);
    Wire::good(wire.post(":batchUpdate", "", json!({"requests": requests})));
    assert_eq!(wire.texts(), ["id", "=new|2", "b", "last|2"]);
    assert_eq!(wire.sim.size("Renamed"), (5, 5));

    let before = wire.texts();
    let cases = [
        (json!([]), "Must specify at least one request."),
        (
            json!([delete(1, 2), {"addSheet": {"properties": {"title": "t"}}}]),
            "Invalid requests[1].addSheet: A sheet with the name \"t\" already exists",
        ),
        (
            json!([{"deleteDimension": {"range": {"sheetId": 3, "dimension": "ROWS", "endIndex": 1}}}]),
            "Invalid requests[0].deleteDimension: No grid with id: 3",
        ),
        (json!([delete(998, 1002)]), "Cannot delete a row that doesn't exist."),
        (json!([delete(0, 999)]), "not possible to delete all non-frozen rows"),
        (json!([{"mergeCells": {}}]), "Invalid requests[0].mergeCells: this kind of request is not simulated."),
        (json!([{"addShet": {}}]), "Invalid JSON payload received. Unknown name \"addShet\" at 'requests[0]': Cannot find field."),
        (json!([{"addSheet": {"properties": {"titel": 1}}}]), "Unknown name \"titel\" at 'requests[0].add_sheet.properties'"),
        (json!([{"addSheet": {"properties": {"title": 1}}}]), "Invalid value at 'requests[0].add_sheet.properties.title' (TYPE_STRING), 1"),
        (json!([{"addSheet": {"properties": {"gridProperties": {"rowCount": 10_000_000, "columnCount": 1}}}}]), "limit of 10000000 cells"),
        (
            json!([{"updateSheetProperties": {"properties": {"sheetId": 0, "title": "x"}}}]),
            "At least one field must be listed in 'fields'.",
        ),
        (
            json!([{"deleteSheet": {"sheetId": 7}}, {"deleteSheet": {"sheetId": 0}}]),
            "Invalid requests[1].deleteSheet: You can't remove all the sheets",
        ),
    ];
    for (requests, words) in cases {
        let message = Wire::refused(wire.post(":batchUpdate", "", json!({"requests": requests})));
        assert!(message.contains(words), "{message} lacks {words}");
        assert_eq!(wire.texts(), before, "{words}");
    }
}

#[test]
fn what_a_call_does_not_have_is_refused_by_name() {
    let wire = Wire::new(&[&["a"]]);
    let message = Wire::refused(wire.post("/values/T!A1:append", "valueInputOption=RAW&upsert=true", json!({"values": []})));
    assert!(message.contains("Unknown name \"upsert\": Cannot bind query parameter"), "{message}");
    let message = Wire::refused(wire.post("/values/T!A1:append", "valueInputOption=AS_IS", json!({"values": []})));
    assert!(message.starts_with("Invalid value at 'value_input_option' (type.googleapis.com/"), "{message}");
    let message = Wire::refused(wire.post("/values/T!A1:append", "valueInputOption=RAW", json!({"value": []})));
    assert_eq!(message, "Invalid JSON payload received. Unknown name \"value\": Cannot find field.");
    let (status, body) = wire.get("", "fields=properties.titel");
    assert_eq!((status, &body["error"]["details"][0]["fieldViolations"][0]["field"]), (400, &json!("properties.titel")));
    assert_eq!(wire.send(Method::DELETE, BASE, "", Value::Null).0, 404);
}

#[test]
fn reads_and_writes_have_a_minute_each() {
    let wire = Wire::new(&[&["a"]]);
    wire.sim.set_writes_per_minute(1);
    wire.sim.set_reads_per_minute(1);
    Wire::good(wire.post("/values/T!A1:clear", "", json!({})));
    Wire::good(wire.get("", ""));
    for (answer, kind) in [(wire.post("/values/T!A1:clear", "", json!({})), "Write"), (wire.get("", ""), "Read")] {
        assert_eq!((answer.0, &answer.1["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
        assert_eq!(answer.1["error"]["details"][0]["metadata"]["quota_limit"], format!("{kind}RequestsPerMinutePerUser"));
    }
}

#[test]
fn a_created_spreadsheet_is_one_of_its_own() {
    let wire = Wire::new(&[&["a"]]);
    let body = json!({"properties": {"title": "Made", "timeZone": "Europe/Berlin"}, "sheets": [{"properties": {"title": "One"}}, {}]});
    let made =
        Wire::good(wire.send(Method::POST, "/v4/spreadsheets", "fields=spreadsheetId,properties/timeZone,sheets/properties/title", body));
    let id = made["spreadsheetId"].as_str().expect("an id");
    assert_eq!(
        made,
        json!({"spreadsheetId": id, "properties": {"timeZone": "Europe/Berlin"},
        "sheets": [{"properties": {"title": "One"}}, {"properties": {"title": "Sheet2"}}]})
    );
    assert_eq!(wire.sim.spreadsheet_ids(), [ID, id]);
    let path = format!("/v4/spreadsheets/{id}/values/One!A1:append");
    Wire::good(wire.send(Method::POST, &path, "valueInputOption=RAW", json!({"values": [["x"]]})));
    assert_eq!(wire.texts(), ["a"]);
}

#[test]
fn cells_come_with_a_spreadsheet_only_when_they_are_wanted() {
    let wire = Wire::new(&[&["id", "born"], &["a", "2"]]);
    wire.sim.format_column("T", 2, "DATE");
    assert!(Wire::good(wire.get("", "ranges=T!A1:B2"))["sheets"][0].get("data").is_none());
    let whole = Wire::good(wire.get("", "includeGridData=true"));
    let cell = &whole["sheets"][0]["data"][0]["rowData"][1]["values"][1];
    assert_eq!((&cell["effectiveValue"], &cell["formattedValue"]), (&json!({"numberValue": 2}), &json!("1900-01-01")));
    let query = "ranges=T!A1&ranges=T!B2&fields=sheets.data(startRow,startColumn,rowData.values.effectiveFormat.numberFormat.type)";
    let parts = Wire::good(wire.get("", query));
    assert_eq!(
        parts,
        json!({"sheets": [{"data": [{"rowData": [{"values": [{}]}]},
            {"startRow": 1, "startColumn": 1, "rowData": [{"values": [{"effectiveFormat": {"numberFormat": {"type": "DATE"}}}]}]}]}]})
    );
}

#[test]
fn values_may_be_read_by_columns() {
    let wire = Wire::new(&[&["id", "n"], &["a"], &["b", "2"]]);
    let read = Wire::good(wire.get("/values/T!A1:C3", "majorDimension=COLUMNS&valueRenderOption=UNFORMATTED_VALUE"));
    assert_eq!(read, json!({"range": "T!A1:C3", "majorDimension": "COLUMNS", "values": [["id", "a", "b"], ["n", "", 2]]}));
}

#[test]
fn drive_shows_the_version_at_once_and_the_time_late() {
    let mut wire = Wire::new(&[&["a"]]);
    let path = format!("/drive/v3/files/{ID}");
    let file = |wire: &Wire| {
        Wire::good(wire.send(
            Method::GET,
            &path,
            "fields=id,name,mimeType,modifiedTime,version,trashed&supportsAllDrives=true",
            Value::Null,
        ))
    };
    let first = file(&wire);
    let kind = "application/vnd.google-apps.spreadsheet";
    assert_eq!(
        first,
        json!({"id": ID, "name": "Master Sheet", "mimeType": kind, "modifiedTime": "1970-01-01T00:00:00.000Z", "version": "1", "trashed": false})
    );
    wire.now += TimeDelta::seconds(100);
    Wire::good(wire.post("/values/T!A1:clear", "", json!({})));
    wire.now += TimeDelta::seconds(100);
    assert_eq!((&file(&wire)["version"], &file(&wire)["modifiedTime"]), (&json!("2"), &first["modifiedTime"]));
    wire.now += TimeDelta::seconds(100);
    assert_eq!(file(&wire)["modifiedTime"], "1970-01-01T00:01:40.000Z");
    let (status, body) = wire.send(Method::GET, "/drive/v3/files/other", "", Value::Null);
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (404, &json!("notFound")));
    let (status, body) = wire.send(Method::GET, &path, "fields=nothing", Value::Null);
    assert_eq!((status, &body["error"]["message"]), (400, &json!("Invalid field selection nothing")));
}

#[test]
fn a_long_get_may_come_as_a_form() {
    let wire = Wire::new(&[&["a"]]);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer t".parse().expect("a header"));
    headers.insert("x-http-method-override", "GET".parse().expect("a header"));
    let request = SimRequest {
        method: Method::POST,
        path: format!("{BASE}/values:batchGet"),
        query: vec![],
        headers,
        body: "ranges=T%21A1&ranges=T".into(),
        now: wire.now,
    };
    assert_eq!(wire.sim.operation(&request), "sheets.values.batchGet");
    let answer: Value = serde_json::from_slice(&wire.sim.answer(&request).body).expect("JSON");
    assert_eq!(answer["valueRanges"][0], json!({"range": "T!A1:A1", "majorDimension": "ROWS", "values": [["a"]]}));
}

#[test]
fn every_call_is_listed_once_for_people() {
    let wire = Wire::new(&[]);
    let listed: BTreeSet<&str> = wire.sim.simulated().iter().map(|call| call.operation).collect();
    assert_eq!((listed.len(), wire.sim.simulated().len()), (11, 11));
    for call in wire.sim.simulated() {
        let (method, path) = call.request.split_once(' ').expect("method and path");
        let path = path.replace("{spreadsheetId}", ID).replace("{fileId}", ID).replace("{range}", "T!A1");
        let method = method.parse().expect("a method");
        let request = SimRequest { method, path, query: vec![], headers: HeaderMap::new(), body: Default::default(), now: wire.now };
        assert_eq!(wire.sim.operation(&request), call.operation, "{}", call.request);
    }
    assert!(!wire.sim.not_simulated().is_empty());
}

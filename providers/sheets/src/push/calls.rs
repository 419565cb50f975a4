//! The calls that write, and what they answer.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sync_core::{Error, ErrorKind, Result, SyncContext};
use sync_http::{Answer, Request};

use super::value::Cell;
use crate::api::{self, Rows, SheetsApi};

const BATCH_UPDATE: &str = "sheets.values.batchUpdate";
const APPEND: &str = "sheets.values.append";
const STRUCTURE: &str = "sheets.spreadsheets.batchUpdate";

/// Cells to write, row by row.
#[derive(Debug, Serialize)]
pub(super) struct Block<'a> {
    pub(super) range: String,
    pub(super) values: Vec<Vec<Cell<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchUpdate<'a> {
    value_input_option: &'static str,
    include_values_in_response: bool,
    response_value_render_option: &'static str,
    response_date_time_render_option: &'static str,
    data: &'a [Block<'a>],
}

#[derive(Deserialize)]
struct BatchUpdated<'a> {
    #[serde(borrow)]
    responses: Vec<Updated<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updated<'a> {
    #[serde(borrow)]
    updated_data: ValueRange<'a>,
}

/// A range with its cells; `range` tells it from something else.
#[derive(Deserialize)]
struct ValueRange<'a> {
    #[serde(borrow, rename = "range")]
    _range: Cow<'a, str>,
    #[serde(borrow, default)]
    values: Rows<'a>,
}

#[derive(Deserialize)]
struct Appended<'a> {
    #[serde(borrow)]
    updates: AppendedRange<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppendedRange<'a> {
    #[serde(borrow)]
    updated_range: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restructured<'a> {
    #[serde(borrow)]
    updated_spreadsheet: Spreadsheet<'a>,
}

#[derive(Deserialize)]
struct Spreadsheet<'a> {
    #[serde(borrow)]
    sheets: Vec<Sheet<'a>>,
}

#[derive(Deserialize)]
struct Sheet<'a> {
    #[serde(borrow)]
    data: Vec<GridData<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GridData<'a> {
    #[serde(borrow, default)]
    row_data: Vec<RowData<'a>>,
}

#[derive(Deserialize)]
struct RowData<'a> {
    #[serde(borrow, default)]
    values: Vec<CellData<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CellData<'a> {
    #[serde(borrow, default)]
    effective_value: Option<Effective<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Effective<'a> {
    #[serde(borrow, default)]
    number_value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    string_value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bool_value: Option<&'a RawValue>,
}

impl<'a> CellData<'a> {
    /// The value as values calls give it; that of a failed formula is null, which is no key either.
    fn raw(&self) -> &'a RawValue {
        let value = self.effective_value.as_ref().and_then(|value| value.number_value.or(value.string_value).or(value.bool_value));
        value.unwrap_or(RawValue::NULL)
    }
}

impl SheetsApi {
    /// Writes the blocks as they are, all or none, and hands `take` their cells as they are afterwards. A repeat writes the same.
    pub(super) async fn update<T, F>(&self, cx: &SyncContext, id: &str, data: &[Block<'_>], mut take: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Vec<Rows<'_>>) -> T + Send,
    {
        let body = BatchUpdate {
            value_input_option: "RAW",
            include_values_in_response: true,
            response_value_render_option: "UNFORMATTED_VALUE",
            response_date_time_render_option: "SERIAL_NUMBER",
            data,
        };
        let request = write(BATCH_UPDATE, format!("v4/spreadsheets/{id}/values:batchUpdate")).json(&body).repeatable(true);
        let read = |answer: Answer| {
            let updated: BatchUpdated<'_> = answer.json(BATCH_UPDATE)?;
            if updated.responses.len() != data.len() {
                let text = format!("{} ranges were written and {} answered", data.len(), updated.responses.len());
                return Err(Error::new(ErrorKind::Decode, BATCH_UPDATE, text));
            }
            Ok(take(updated.responses.into_iter().map(|response| response.updated_data.values).collect()))
        };
        self.0.fetch(cx, request, read).await
    }

    /// Inserts rows below the table that `range` is the corner of; where they stand now. A repeat would insert them twice.
    pub(super) async fn append(&self, cx: &SyncContext, id: &str, range: &str, rows: &[Vec<Cell<'_>>]) -> Result<String> {
        let range = utf8_percent_encode(range, NON_ALPHANUMERIC);
        let request = write(APPEND, format!("v4/spreadsheets/{id}/values/{range}:append"))
            .query("valueInputOption", "RAW")
            .query("insertDataOption", "INSERT_ROWS")
            .json(&serde_json::json!({ "values": rows }));
        let read = |answer: Answer| Ok(answer.json::<Appended<'_>>(APPEND)?.updates.updated_range.into_owned());
        self.0.fetch(cx, request, read).await
    }

    /// Carries out structure requests, all or none, and hands `take` the values of `range` as they are afterwards. A repeat would do them
    /// twice.
    pub(super) async fn restructure<T, F>(&self, cx: &SyncContext, id: &str, requests: Vec<Value>, range: &str, mut take: F) -> Result<T>
    where
        T: Send,
        F: FnMut(Rows<'_>) -> T + Send,
    {
        let body = serde_json::json!({
            "requests": requests,
            "includeSpreadsheetInResponse": true,
            "responseRanges": [range],
            "responseIncludeGridData": true,
        });
        let request = write(STRUCTURE, format!("v4/spreadsheets/{id}:batchUpdate"))
            .query("fields", "updatedSpreadsheet(sheets(data(rowData(values(effectiveValue)))))")
            .json(&body);
        let read = |answer: Answer| {
            let done: Restructured<'_> = answer.json(STRUCTURE)?;
            let data = done.updated_spreadsheet.sheets.into_iter().next().and_then(|sheet| sheet.data.into_iter().next());
            let data =
                data.ok_or_else(|| Error::new(ErrorKind::Decode, STRUCTURE, "the answer holds no cells of the range that was asked for"))?;
            Ok(take(data.row_data.iter().map(|row| row.values.iter().map(CellData::raw).collect()).collect()))
        };
        self.0.fetch(cx, request, read).await
    }
}

fn write(operation: &'static str, path: String) -> Request {
    Request::post(operation, path).bucket(api::WRITE).timeout(api::TIMEOUT).max_body(api::MAX_BODY)
}

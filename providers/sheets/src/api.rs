//! The calls that read, and what they answer.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sync_core::{Error, ErrorKind, Result, SyncContext};
use sync_http::{Answer, Api, Request};

/// The quota all reads draw from.
pub(crate) const READ: &str = "read";

/// The quota all writes draw from.
pub(crate) const WRITE: &str = "write";

/// Google ends a call after 180 s; big ranges of formulas come near.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// Wide sheets of long texts at 5,000 rows.
pub(crate) const MAX_BODY: usize = 64 << 20;

const GET: &str = "sheets.spreadsheets.get";
const BATCH_GET: &str = "sheets.values.batchGet";

const METADATA: &str = "spreadsheetId,properties(title,timeZone),\
    sheets.properties(sheetId,title,sheetType,gridProperties(rowCount,columnCount))";
const DETAILS: &str = "spreadsheetId,properties(title,timeZone),sheets(properties(sheetId,title,sheetType,gridProperties(rowCount,columnCount)),\
    data(rowData(values(effectiveValue(numberValue),effectiveFormat(numberFormat(type))))))";
const FORMATS: &str = "sheets(properties(sheetId),data(rowData(values(effectiveValue(numberValue),effectiveFormat(numberFormat(type))))))";

/// Ranges travel in the address, which Google cuts off well above this.
const LONGEST_RANGES: usize = 4_000;

/// A spreadsheet without its cells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spreadsheet {
    pub(crate) spreadsheet_id: String,
    pub(crate) properties: SpreadsheetProperties,
    sheets: Vec<Sheet>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpreadsheetProperties {
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) time_zone: String,
}

#[derive(Debug, Deserialize)]
struct Sheet {
    properties: Tab,
    #[serde(default)]
    data: Vec<FormattedData>,
}

/// One tab. `sheetId` 0 is the usual one of the first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tab {
    #[serde(default)]
    pub(crate) sheet_id: i64,
    pub(crate) title: String,
    #[serde(default)]
    sheet_type: Option<String>,
    #[serde(default)]
    grid_properties: Option<Grid>,
}

/// A tab's size.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Grid {
    pub(crate) row_count: u64,
    pub(crate) column_count: u64,
}

impl Spreadsheet {
    /// Its tabs, in their order.
    pub(crate) fn tabs(&self) -> impl Iterator<Item = &Tab> {
        self.sheets.iter().map(|sheet| &sheet.properties)
    }
}

impl Tab {
    /// Its size, when it holds cells of its own: charts have none, and tabs of a connected data source cannot be read by range.
    pub(crate) fn grid(&self) -> Option<Grid> {
        match self.sheet_type.as_deref() {
            None | Some("GRID") => self.grid_properties,
            Some(_) => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueRanges<'a> {
    #[serde(borrow)]
    value_ranges: Vec<ValueRange<'a>>,
}

/// One range's cells. Trailing blank rows and cells are left out; a range that is blank throughout has no `values` at all. `range`
/// is always there and tells such an answer from one that is something else.
#[derive(Debug, Deserialize)]
struct ValueRange<'a> {
    #[serde(borrow, rename = "range")]
    _range: Cow<'a, str>,
    #[serde(borrow, default)]
    values: Vec<Vec<&'a RawValue>>,
}

/// Rows of cells that lie in the answer's body.
pub(crate) type Rows<'a> = Vec<Vec<&'a RawValue>>;

/// The rows of each range that was asked for, in that order.
fn rows_of(answer: &Answer, asked: usize) -> Result<Vec<Rows<'_>>> {
    let ranges: ValueRanges<'_> = answer.json(BATCH_GET)?;
    if ranges.value_ranges.len() != asked {
        let got = ranges.value_ranges.len();
        return Err(Error::new(ErrorKind::Decode, BATCH_GET, format!("{asked} ranges were asked for and {got} came")));
    }
    Ok(ranges.value_ranges.into_iter().map(|range| range.values).collect())
}

#[derive(Debug, Deserialize)]
struct Formatted {
    sheets: Vec<FormattedSheet>,
}

#[derive(Debug, Deserialize)]
struct FormattedSheet {
    #[serde(default)]
    data: Vec<FormattedData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FormattedData {
    row_data: Vec<FormattedRow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FormattedRow {
    values: Vec<FormattedCell>,
}

/// A cell's number format, and whether it holds a number at all. Cells in the spreadsheet's default format have none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FormattedCell {
    effective_value: Option<EffectiveValue>,
    effective_format: Option<EffectiveFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EffectiveValue {
    number_value: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EffectiveFormat {
    number_format: Option<NumberFormat>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NumberFormat {
    r#type: String,
}

impl FormattedCell {
    pub(crate) fn is_number(&self) -> bool {
        self.effective_value.as_ref().is_some_and(|value| value.number_value.is_some())
    }

    pub(crate) fn format(&self) -> Option<&str> {
        Some(&self.effective_format.as_ref()?.number_format.as_ref()?.r#type)
    }
}

/// The Sheets API as far as it is used.
#[derive(Clone, Debug)]
pub(crate) struct SheetsApi(pub(crate) Api);

impl SheetsApi {
    /// Title, time zone and tabs.
    pub(crate) async fn spreadsheet(&self, cx: &SyncContext, id: &str) -> Result<Spreadsheet> {
        let request = read(GET, format!("v4/spreadsheets/{id}")).query("fields", METADATA);
        self.0.fetch(cx, request, |answer| answer.json(GET)).await
    }

    /// The cells of some ranges, at one unit of quota. `take` gets the body and the rows of each range, which lie in it.
    pub(crate) async fn values<T, F>(&self, cx: &SyncContext, id: &str, ranges: &[String], mut take: F) -> Result<T>
    where
        T: Send,
        F: FnMut(&Bytes, Vec<Rows<'_>>) -> Result<T> + Send,
    {
        let request = read(BATCH_GET, format!("v4/spreadsheets/{id}/values:batchGet"))
            .query("majorDimension", "ROWS")
            .query("valueRenderOption", "UNFORMATTED_VALUE")
            .query("dateTimeRenderOption", "SERIAL_NUMBER")
            .query("prettyPrint", "false");
        let request = ranges.iter().fold(request, |request, range| request.query("ranges", range));
        self.0.fetch(cx, request, |answer| take(&answer.body, rows_of(&answer, ranges.len())?)).await
    }

    /// The spreadsheet, and the tab of a range with the number formats of its cells.
    pub(crate) async fn details(&self, cx: &SyncContext, id: &str, range: &str) -> Result<Details> {
        let request = read(GET, format!("v4/spreadsheets/{id}")).query("ranges", range).query("fields", DETAILS);
        self.0.fetch(cx, request, |answer| Details::of(answer.json(GET)?)).await
    }

    /// The number formats of a range's cells, row by row.
    pub(crate) async fn formats(&self, cx: &SyncContext, id: &str, range: &str) -> Result<Vec<Vec<FormattedCell>>> {
        let request = read(GET, format!("v4/spreadsheets/{id}")).query("ranges", range).query("fields", FORMATS);
        self.0.fetch(cx, request, |answer| cells_of(answer.json(GET)?)).await
    }
}

/// What has to be known of a tab beyond its values.
#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) time_zone: String,
    pub(crate) sheet_id: i64,
    pub(crate) rows: u64,
    /// The cells of the range that was asked for.
    pub(crate) sample: Vec<Vec<FormattedCell>>,
}

impl Details {
    fn of(answer: Spreadsheet) -> Result<Self> {
        let missing = || Error::new(ErrorKind::Decode, GET, "the answer holds no cells of the range that was asked for");
        let sheet = answer.sheets.into_iter().next().ok_or_else(missing)?;
        let grid = sheet.properties.grid().ok_or_else(missing)?;
        let data = sheet.data.into_iter().next().ok_or_else(missing)?;
        let sample = data.row_data.into_iter().map(|row| row.values).collect();
        Ok(Self { time_zone: answer.properties.time_zone, sheet_id: sheet.properties.sheet_id, rows: grid.row_count, sample })
    }
}

/// The rows of the ranges in a body that was read once before.
pub(crate) fn rows(body: &Bytes) -> Result<Vec<Rows<'_>>> {
    let ranges: ValueRanges<'_> = serde_json::from_slice(body)
        .map_err(|problem| Error::new(ErrorKind::Decode, BATCH_GET, "the answer cannot be read").because(problem))?;
    Ok(ranges.value_ranges.into_iter().map(|range| range.values).collect())
}

/// The cells of the one range that was asked for. Their absence is no sign that nothing is formatted: dates would turn into numbers.
fn cells_of(answer: Formatted) -> Result<Vec<Vec<FormattedCell>>> {
    let data = answer.sheets.into_iter().next().and_then(|sheet| sheet.data.into_iter().next());
    let data = data.ok_or_else(|| Error::new(ErrorKind::Decode, GET, "the answer holds no cells of the range that was asked for"))?;
    Ok(data.row_data.into_iter().map(|row| row.values).collect())
}

fn read(operation: &'static str, path: String) -> Request {
    Request::get(operation, path).bucket(READ).timeout(TIMEOUT).max_body(MAX_BODY)
}

/// Cuts a list of ranges where one address would become too long.
pub(crate) fn calls(ranges: &[String]) -> impl Iterator<Item = &[String]> {
    let mut room = LONGEST_RANGES;
    let fits = move |_: &String, next: &String| {
        // Percent-encoding makes up to three bytes of one.
        let length = 3 * next.len() + "&ranges=".len();
        let fits = length <= room;
        room = if fits { room - length } else { LONGEST_RANGES.saturating_sub(length) };
        fits
    };
    ranges.chunk_by(fits)
}

#[cfg(test)]
mod tests {
    use sync_http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn a_blank_range_has_no_values_and_anything_else_is_no_range() {
        let blank = answer(r#"{"spreadsheetId":"s","valueRanges":[{"range":"M!A2:B9","majorDimension":"ROWS"}]}"#);
        let rows = rows_of(&blank, 1).expect("a blank range");
        assert!(rows.len() == 1 && rows[0].is_empty(), "{rows:?}");
        let cases = [
            ("{}", 1, "valueRanges"),
            (r#"{"error":{"code":500}}"#, 1, "valueRanges"),
            (r#"{"valueRanges":[]}"#, 1, "1 ranges were asked for and 0 came"),
            (r#"{"valueRanges":[{"range":"M!A1"}]}"#, 2, "2 ranges were asked for and 1 came"),
            (r#"{"valueRanges":[{"majorDimension":"ROWS"}]}"#, 1, "range"),
            (r#"{"valueRanges":[{"range":"M!A1","values":null}]}"#, 1, "sequence"),
            (r#"{"valueRanges":[{"range":"M!A1","values":[1]}]}"#, 1, "sequence"),
        ];
        for (body, asked, words) in cases {
            let error = rows_of(&answer(body), asked).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(error.to_string().contains(words), "{body}: {error}");
        }
    }

    #[test]
    fn only_grids_have_a_size() {
        let tabs = |json| serde_json::from_str::<Tab>(json).expect("a tab").grid().map(|grid| (grid.row_count, grid.column_count));
        assert_eq!(tabs(r#"{"title":"A","sheetType":"GRID","gridProperties":{"rowCount":9,"columnCount":2}}"#), Some((9, 2)));
        assert_eq!(tabs(r#"{"title":"A","gridProperties":{"rowCount":9,"columnCount":2}}"#), Some((9, 2)));
        assert_eq!(tabs(r#"{"title":"Chart","sheetType":"OBJECT"}"#), None);
        assert_eq!(tabs(r#"{"title":"Query","sheetType":"DATA_SOURCE","gridProperties":{"rowCount":9,"columnCount":2}}"#), None);
    }

    #[test]
    fn long_lists_of_ranges_are_cut_into_calls_and_stay_in_order() {
        let ranges: Vec<String> = (0..300).map(|n| format!("'Tab with a long name {n}'!A1:ZZ1")).collect();
        let cut: Vec<&[String]> = calls(&ranges).collect();
        assert!(cut.len() > 1);
        assert_eq!(cut.concat(), ranges);
        for call in cut {
            assert!(call.iter().map(|range| 3 * range.len() + 8).sum::<usize>() <= LONGEST_RANGES + 3 * call[0].len() + 8);
        }
        assert_eq!(calls(&["'A'!A1:B1".to_owned()]).count(), 1);
    }
}

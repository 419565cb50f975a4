//! Writing values: update, append, clear.

use serde_json::{Value, json};

use super::{
    book::Book,
    entry::{self, Entry, Input},
    grid::{Show, SimCell, Tab},
    range::{self, Area},
};
use crate::dates::DateKind;

/// How a write is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo {
    /// Whether the values come back.
    pub(super) values: bool,
    pub(super) show: Show,
}

/// What a write did.
struct Written {
    rows: usize,
    columns: usize,
    cells: usize,
}

impl Book {
    /// `values.update`.
    pub(super) fn update(&mut self, range: &str, body: &Value, input: Input, echo: Echo) -> Result<Value, String> {
        if let Some(named) = body["range"].as_str().filter(|named| *named != range) {
            let (meant, asked) = (range::find(named, &self.tabs)?, range::find(range, &self.tabs)?);
            if (meant.0.id, meant.1) != (asked.0.id, asked.1) {
                return Err(format!("Requested range [{range}] and the range of the values [{named}] differ."));
            }
        }
        self.write(range, body, input, echo)
    }

    fn write(&mut self, range: &str, body: &Value, input: Input, echo: Echo) -> Result<Value, String> {
        let rows = entry::rows(body, input)?;
        let place = range::locate(range, &self.tabs)?;
        let tab = &mut self.tabs[place.tab];
        let asked = place.area(tab)?;
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let area = place.target(tab, rows.len(), width)?;
        format_dates(tab, area, body, input);
        let written = fill(tab, area, rows);
        let whole =
            Area { rows: (asked.rows.0, asked.rows.1.max(area.rows.1)), columns: (asked.columns.0, asked.columns.1.max(area.columns.1)) };
        let by_columns = body["majorDimension"] == "COLUMNS";
        let data = echo.values.then(|| tab.values(whole, echo.show, by_columns));
        Ok(answer(&self.id, tab, area, &written, data))
    }

    /// `values.batchUpdate`.
    pub(super) fn batch_update(&mut self, body: &Value) -> Result<Value, String> {
        let text = |name: &str| body[name].as_str();
        let input = entry::input(text("valueInputOption"))?;
        let echo = Echo {
            values: body["includeValuesInResponse"] == true,
            show: Show::of(text("responseValueRenderOption"), text("responseDateTimeRenderOption")),
        };
        let parts = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut responses = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let range = part["range"].as_str().unwrap_or_default();
            responses.push(self.write(range, part, input, echo).map_err(|problem| format!("Invalid data[{at}]: {problem}"))?);
        }
        let total = |name: &str| responses.iter().filter_map(|response| response[name].as_u64()).sum::<u64>();
        let mut answer = json!({"spreadsheetId": self.id});
        let mut sheets: Vec<usize> =
            parts.iter().filter_map(|part| Some(range::locate(part["range"].as_str()?, &self.tabs).ok()?.tab)).collect();
        sheets.sort_unstable();
        sheets.dedup();
        let sums = [("totalUpdatedRows", total("updatedRows")), ("totalUpdatedColumns", total("updatedColumns"))];
        let sums = sums.into_iter().chain([("totalUpdatedCells", total("updatedCells")), ("totalUpdatedSheets", sheets.len() as u64)]);
        for (name, sum) in sums.filter(|(_, sum)| *sum > 0) {
            answer[name] = json!(sum);
        }
        if !responses.is_empty() {
            answer["responses"] = Value::Array(responses);
        }
        Ok(answer)
    }

    /// `values.append`: below the table that touches the range, into new rows if `insert`.
    pub(super) fn append(&mut self, range: &str, body: &Value, input: Input, insert: bool, echo: Echo) -> Result<Value, String> {
        let rows = entry::rows(body, input)?;
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let place = range::locate(range, &self.tabs)?;
        let tab = &mut self.tabs[place.tab];
        let asked = place.area(tab)?;
        let table = table(tab, asked);
        let table_range = table.map(|table| range::name(tab, table));
        let (row, column) = table.map_or((asked.rows.0, asked.columns.0), |table| (table.rows.1, table.columns.0));
        let area = Area { rows: (row, row + rows.len().max(1)), columns: (column, column + width.max(1)) };
        if insert && table.is_some() {
            tab.insert_rows(row, rows.len());
        }
        (tab.rows, tab.columns) = (tab.rows.max(area.rows.1), tab.columns.max(area.columns.1));
        format_dates(tab, area, body, input);
        let written = fill(tab, area, rows);
        let data = echo.values.then(|| tab.values(area, echo.show, body["majorDimension"] == "COLUMNS"));
        let updates = answer(&self.id, tab, area, &written, data);
        self.fits()?;
        let mut answer = json!({"spreadsheetId": self.id, "updates": updates});
        if let Some(range) = table_range {
            answer["tableRange"] = json!(range);
        }
        Ok(answer)
    }

    /// Blanks a range; how it is named.
    pub(super) fn clear(&mut self, range: &str) -> Result<String, String> {
        let place = range::locate(range, &self.tabs)?;
        let tab = &mut self.tabs[place.tab];
        let area = place.area(tab)?;
        for row in tab.cells.iter_mut().take(area.rows.1).skip(area.rows.0) {
            row.iter_mut().take(area.columns.1).skip(area.columns.0).for_each(|cell| *cell = SimCell::Blank);
        }
        Ok(range::name(tab, area))
    }
}

fn fill(tab: &mut Tab, area: Area, rows: Vec<Vec<Entry>>) -> Written {
    let mut touched = Written { rows: 0, columns: 0, cells: 0 };
    let mut columns = vec![false; area.columns.1 - area.columns.0];
    for (row, entries) in (area.rows.0..).zip(rows) {
        let before = touched.cells;
        for (at, entry) in entries.into_iter().enumerate() {
            let Some(cell) = entry else { continue };
            tab.put(row, area.columns.0 + at, cell);
            columns[at] = true;
            touched.cells += 1;
        }
        touched.rows += usize::from(touched.cells > before);
    }
    touched.columns = columns.into_iter().filter(|touched| *touched).count();
    touched
}

/// A typed date gives its column the format of one, unless it has a format.
fn format_dates(tab: &mut Tab, area: Area, body: &Value, input: Input) {
    let by_columns = body["majorDimension"] == "COLUMNS";
    for (outer, list) in body["values"].as_array().into_iter().flatten().enumerate() {
        for (inner, value) in list.as_array().into_iter().flatten().enumerate() {
            let column = area.columns.0 + if by_columns { outer } else { inner };
            if entry::is_date(value, input) && !tab.is_formatted(column) {
                tab.format(column + 1, Some(DateKind::Date));
            }
        }
    }
}

/// An `UpdateValuesResponse`; zeros are left out, as everywhere.
fn answer(id: &str, tab: &Tab, area: Area, written: &Written, data: Option<Value>) -> Value {
    let mut answer = json!({"spreadsheetId": id, "updatedRange": range::name(tab, area)});
    for (name, count) in [("updatedRows", written.rows), ("updatedColumns", written.columns), ("updatedCells", written.cells)] {
        if count > 0 {
            answer[name] = json!(count);
        }
    }
    if let Some(data) = data {
        answer["updatedData"] = data;
    }
    answer
}

/// The table that lies in an area or touches it: filled cells without a blank row or column between them. Of several, the lowest.
fn table(tab: &Tab, area: Area) -> Option<Area> {
    let filled = |row: usize, columns: std::ops::Range<usize>| columns.into_iter().any(|column| !tab.is_blank(row, column));
    let rows = area.rows.0..area.rows.1.min(tab.cells.len());
    let (row, column) =
        rows.rev().find_map(|row| Some((row, (area.columns.0..area.columns.1).find(|column| !tab.is_blank(row, *column))?)))?;
    let mut table = Area { rows: (row, row + 1), columns: (column, column + 1) };
    loop {
        let before = table;
        let around = |table: &Area| table.columns.0.saturating_sub(1)..(table.columns.1 + 1).min(tab.columns);
        while table.rows.1 < tab.rows.min(tab.cells.len()) && filled(table.rows.1, around(&table)) {
            table.rows.1 += 1;
        }
        while table.rows.0 > 0 && filled(table.rows.0 - 1, around(&table)) {
            table.rows.0 -= 1;
        }
        let beside = |table: &Area, column: usize| {
            (table.rows.0.saturating_sub(1)..(table.rows.1 + 1).min(tab.rows)).any(|row| !tab.is_blank(row, column))
        };
        if table.columns.0 > 0 && beside(&table, table.columns.0 - 1) {
            table.columns.0 -= 1;
        }
        if table.columns.1 < tab.columns && beside(&table, table.columns.1) {
            table.columns.1 += 1;
        }
        if table == before {
            return Some(table);
        }
    }
}

//! A tab and its cells, and how answers show them.

use serde_json::{Value, json};

use super::range::{self, Area};
use crate::dates::{self, DateKind, Zone};

/// What stands in a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SimCell {
    /// Nothing.
    #[default]
    Blank,
    /// Text.
    Text(String),
    /// A number; in a column formatted as a date, the serial number of one.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A formula that failed, as it is shown: `#N/A`.
    Failed(&'static str),
    /// A formula as it was typed. It is not calculated and shows `#ERROR!`.
    Formula(String),
}

/// What an uncalculated formula shows.
const UNCALCULATED: &str = "#ERROR!";

impl SimCell {
    /// What an import makes of a text: numbers and booleans where it reads as such, but no number of `007` or `1E5`, which are
    /// codes more often.
    #[must_use]
    pub fn imported(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let coded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        let plain = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text {
            "" => Self::Blank,
            "TRUE" => Self::Bool(true),
            "FALSE" => Self::Bool(false),
            _ if plain && !coded => text.parse().map_or_else(|_| Self::from(text), Self::Number),
            _ => Self::from(text),
        }
    }

    /// As a person reads it.
    #[must_use]
    pub fn text(&self) -> String {
        self.json(Show::Texts, None).as_str().unwrap_or_default().to_owned()
    }

    fn json(&self, show: Show, format: Option<DateKind>) -> Value {
        let dated = |serial: f64| {
            let text = dates::render(serial, format?, Zone::Named(chrono_tz::UTC))?;
            Some(text.trim_end_matches("+00:00").replace('T', " "))
        };
        match (self, show) {
            (Self::Blank, _) => json!(""),
            (Self::Text(text), _) => json!(text),
            (Self::Failed(text), _) => json!(text),
            (Self::Formula(text), Show::Formulas) => json!(text),
            (Self::Formula(_), _) => json!(UNCALCULATED),
            (Self::Bool(yes), Show::Values { .. } | Show::Formulas) => json!(yes),
            (Self::Bool(yes), Show::Texts) => json!(yes.to_string().to_uppercase()),
            (Self::Number(number), Show::Values { dates_as_text: false } | Show::Formulas) => self::number(*number),
            (Self::Number(number), Show::Values { dates_as_text: true }) => {
                dated(*number).map_or_else(|| self::number(*number), Value::from)
            }
            (Self::Number(number), Show::Texts) => json!(dated(*number).unwrap_or_else(|| number.to_string())),
        }
    }
}

impl From<&str> for SimCell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(text.to_owned()) }
    }
}

impl From<f64> for SimCell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for SimCell {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

/// Whole numbers are written without a fraction.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 { json!(number as i64) } else { json!(number) }
}

/// How values are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    /// `FORMATTED_VALUE`, the default.
    Texts,
    /// `UNFORMATTED_VALUE`, with dates as serial numbers or texts.
    Values { dates_as_text: bool },
    /// `FORMULA`.
    Formulas,
}

impl Show {
    pub(super) fn of(values: Option<&str>, dates: Option<&str>) -> Self {
        match values {
            Some("UNFORMATTED_VALUE") => Self::Values { dates_as_text: dates == Some("FORMATTED_STRING") },
            Some("FORMULA") => Self::Formulas,
            _ => Self::Texts,
        }
    }
}

/// One tab.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) id: i64,
    pub(super) title: String,
    kind: &'static str,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Rows and columns that stay in view.
    pub(super) frozen: (usize, usize),
    pub(super) hidden: bool,
    pub(super) cells: Vec<Vec<SimCell>>,
    formats: Vec<Option<DateKind>>,
}

impl Tab {
    pub(super) fn grid(title: &str, rows: usize, columns: usize) -> Self {
        let (frozen, hidden) = ((0, 0), false);
        Self { id: 0, title: title.to_owned(), kind: "GRID", rows, columns, frozen, hidden, cells: Vec::new(), formats: Vec::new() }
    }

    /// A tab without cells of its own: `OBJECT` or `DATA_SOURCE`.
    pub(super) fn without_cells(title: &str, kind: &'static str) -> Self {
        Self { kind, ..Self::grid(title, 0, 0) }
    }

    pub(super) fn is_grid(&self) -> bool {
        self.kind == "GRID"
    }

    /// Sets a cell, counted from 1; the grid grows to hold it.
    pub(super) fn set(&mut self, row: usize, column: usize, cell: SimCell) {
        (self.rows, self.columns) = (self.rows.max(row), self.columns.max(column));
        self.cells.resize(self.cells.len().max(row), Vec::new());
        let cells = &mut self.cells[row - 1];
        cells.resize(cells.len().max(column), SimCell::Blank);
        cells[column - 1] = cell;
    }

    /// Formats a column, counted from 1.
    pub(super) fn format(&mut self, column: usize, format: Option<DateKind>) {
        self.formats.resize(self.formats.len().max(column), None);
        self.formats[column - 1] = format;
    }

    /// Writes a cell where it lies, counted from 0; the grid does not grow.
    pub(super) fn put(&mut self, row: usize, column: usize, cell: SimCell) {
        if cell == SimCell::Blank && self.cell(row, column) == &SimCell::Blank {
            return;
        }
        let (rows, columns) = (self.rows, self.columns);
        self.set(row + 1, column + 1, cell);
        debug_assert!(self.rows == rows && self.columns == columns, "the cell lies in the grid");
    }

    /// Inserts rows before a row, counted from 0.
    pub(super) fn insert_rows(&mut self, at: usize, count: usize) {
        self.rows += count;
        if at < self.cells.len() {
            self.cells.splice(at..at, std::iter::repeat_n(Vec::new(), count));
        }
    }

    /// Removes rows, counted from 0, the end excluded.
    pub(super) fn delete_rows(&mut self, from: usize, to: usize) {
        self.rows -= to - from;
        self.frozen.0 -= to.min(self.frozen.0) - from.min(self.frozen.0);
        let end = self.cells.len();
        self.cells.drain(from.min(end)..to.min(end));
    }

    /// Inserts columns before a column, counted from 0.
    pub(super) fn insert_columns(&mut self, at: usize, count: usize) {
        self.columns += count;
        for cells in self.cells.iter_mut().filter(|cells| at < cells.len()) {
            cells.splice(at..at, std::iter::repeat_n(SimCell::Blank, count));
        }
        if at < self.formats.len() {
            self.formats.splice(at..at, std::iter::repeat_n(None, count));
        }
    }

    /// Removes columns, counted from 0, the end excluded.
    pub(super) fn delete_columns(&mut self, from: usize, to: usize) {
        self.columns -= to - from;
        self.frozen.1 -= to.min(self.frozen.1) - from.min(self.frozen.1);
        for cells in &mut self.cells {
            let end = cells.len();
            cells.drain(from.min(end)..to.min(end));
        }
        let end = self.formats.len();
        self.formats.drain(from.min(end)..to.min(end));
    }

    /// `SheetProperties`; only a chart has no `gridProperties`.
    pub(super) fn properties(&self, index: usize) -> Value {
        let mut properties = json!({"sheetId": self.id, "title": self.title, "index": index, "sheetType": self.kind});
        if self.hidden {
            properties["hidden"] = json!(true);
        }
        if self.kind != "OBJECT" {
            let mut grid = json!({"rowCount": self.rows.max(1), "columnCount": self.columns.max(1)});
            for (name, count) in [("frozenRowCount", self.frozen.0), ("frozenColumnCount", self.frozen.1)] {
                if count > 0 {
                    grid[name] = json!(count);
                }
            }
            properties["gridProperties"] = grid;
        }
        properties
    }

    /// From the first cell to the last row and column that hold anything.
    pub(super) fn filled(&self) -> Area {
        let width = self.cells.iter().map(Vec::len).max().unwrap_or_default();
        Area { rows: (0, self.cells.len()), columns: (0, width) }
    }

    pub(super) fn is_formatted(&self, column: usize) -> bool {
        self.formats.get(column).is_some_and(Option::is_some)
    }

    pub(super) fn is_blank(&self, row: usize, column: usize) -> bool {
        *self.cell(row, column) == SimCell::Blank
    }

    fn cell(&self, row: usize, column: usize) -> &SimCell {
        const BLANK: &SimCell = &SimCell::Blank;
        self.cells.get(row).and_then(|cells| cells.get(column)).unwrap_or(BLANK)
    }

    fn shown(&self, row: usize, column: usize, show: Show) -> Value {
        self.cell(row, column).json(show, self.formats.get(column).copied().flatten())
    }

    /// A `ValueRange`: trailing blank cells and rows are left out, and `values` when nothing is left.
    pub(super) fn values(&self, area: Area, show: Show, by_columns: bool) -> Value {
        let (rows, columns) = (area.rows.0..area.rows.1.min(self.cells.len()), area.columns.0..area.columns.1);
        let trimmed = |mut cells: Vec<Value>| {
            while cells.last().is_some_and(|cell| cell == "") {
                cells.pop();
            }
            cells
        };
        let mut lists: Vec<Vec<Value>> = if by_columns {
            columns.map(|column| trimmed(rows.clone().map(|row| self.shown(row, column, show)).collect())).collect()
        } else {
            rows.map(|row| trimmed(columns.clone().map(|column| self.shown(row, column, show)).collect())).collect()
        };
        while lists.last().is_some_and(Vec::is_empty) {
            lists.pop();
        }
        let major = if by_columns { "COLUMNS" } else { "ROWS" };
        let mut range = json!({"range": range::name(self, area), "majorDimension": major});
        if !lists.is_empty() {
            range["values"] = json!(lists);
        }
        range
    }

    /// `GridData` with values and number formats. Cells in the default format have none.
    pub(super) fn grid_data(&self, area: Area) -> Value {
        let cell = |row: usize, column: usize| {
            let mut data = json!({});
            let value = match self.cell(row, column) {
                SimCell::Number(number) => json!({"numberValue": self::number(*number)}),
                SimCell::Text(text) => json!({"stringValue": text}),
                SimCell::Bool(yes) => json!({"boolValue": yes}),
                SimCell::Failed(text) => json!({"errorValue": {"type": text.trim_matches(['#', '!', '?']), "message": text}}),
                SimCell::Formula(_) => json!({"errorValue": {"type": "ERROR", "message": "formulas are not calculated here"}}),
                SimCell::Blank => Value::Null,
            };
            if !value.is_null() {
                data["formattedValue"] = self.shown(row, column, Show::Texts);
                data["userEnteredValue"] = match self.cell(row, column) {
                    SimCell::Formula(text) => json!({"formulaValue": text}),
                    SimCell::Failed(_) => json!({"formulaValue": "=NA()"}),
                    _ => value.clone(),
                };
                data["effectiveValue"] = value;
            }
            if let Some(format) = self.formats.get(column).copied().flatten() {
                data["effectiveFormat"] = json!({"numberFormat": {"type": format}});
                data["userEnteredFormat"] = data["effectiveFormat"].clone();
            }
            data
        };
        let row = |row| json!({"values": (area.columns.0..area.columns.1).map(|column| cell(row, column)).collect::<Vec<_>>()});
        let mut data = json!({"rowData": (area.rows.0..area.rows.1).map(row).collect::<Vec<_>>()});
        for (name, start) in [("startRow", area.rows.0), ("startColumn", area.columns.0)] {
            if start > 0 {
                data[name] = json!(start);
            }
        }
        data
    }
}

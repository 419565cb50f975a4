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
}

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

    fn json(&self, show: Show, format: Option<DateKind>) -> Value {
        let dated = |serial: f64| {
            let text = dates::render(serial, format?, Zone::Named(chrono_tz::UTC))?;
            Some(text.trim_end_matches("+00:00").replace('T', " "))
        };
        match (self, show) {
            (Self::Blank, _) => json!(""),
            (Self::Text(text), _) => json!(text),
            (Self::Failed(text), _) => json!(text),
            (Self::Bool(yes), Show::Values { .. }) => json!(yes),
            (Self::Bool(yes), Show::Texts) => json!(yes.to_string().to_uppercase()),
            (Self::Number(number), Show::Values { dates_as_text: false }) => self::number(*number),
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
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

/// How values are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    /// `FORMATTED_VALUE`, the default.
    Texts,
    /// `UNFORMATTED_VALUE`, with dates as serial numbers or texts.
    Values { dates_as_text: bool },
}

/// One tab.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) title: String,
    kind: &'static str,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) cells: Vec<Vec<SimCell>>,
    formats: Vec<Option<DateKind>>,
}

impl Tab {
    pub(super) fn grid(title: &str, rows: usize, columns: usize) -> Self {
        Self { title: title.to_owned(), kind: "GRID", rows, columns, cells: Vec::new(), formats: Vec::new() }
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

    pub(super) fn format(&mut self, column: usize, format: Option<DateKind>) {
        self.formats.resize(self.formats.len().max(column), None);
        self.formats[column - 1] = format;
    }

    /// `SheetProperties`; only a chart has no `gridProperties`.
    pub(super) fn properties(&self, index: usize) -> Value {
        let mut properties = json!({"sheetId": index * 7, "title": self.title, "index": index, "sheetType": self.kind});
        if self.kind != "OBJECT" {
            properties["gridProperties"] = json!({"rowCount": self.rows.max(1), "columnCount": self.columns.max(1)});
        }
        properties
    }

    fn cell(&self, row: usize, column: usize) -> &SimCell {
        const BLANK: &SimCell = &SimCell::Blank;
        self.cells.get(row).and_then(|cells| cells.get(column)).unwrap_or(BLANK)
    }

    /// A `ValueRange`: trailing blank cells and rows are left out, and `values` when nothing is left.
    pub(super) fn values(&self, area: Area, show: Show) -> Value {
        let format = |column: usize| self.formats.get(column).copied().flatten();
        let row = |row: usize| {
            let end =
                (area.columns.0..area.columns.1).rposition(|column| *self.cell(row, column) != SimCell::Blank).map_or(0, |last| last + 1);
            (area.columns.0..area.columns.0 + end).map(|column| self.cell(row, column).json(show, format(column))).collect::<Vec<_>>()
        };
        let mut rows: Vec<Vec<Value>> = (area.rows.0..area.rows.1.min(self.cells.len())).map(row).collect();
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let mut range = json!({"range": range::name(self, area), "majorDimension": "ROWS"});
        if !rows.is_empty() {
            range["values"] = json!(rows);
        }
        range
    }

    /// `GridData` with values and number formats. Cells in the default format have none.
    pub(super) fn grid_data(&self, area: Area) -> Value {
        let cell = |row: usize, column: usize| {
            let mut data = json!({});
            match self.cell(row, column) {
                SimCell::Number(number) => data["effectiveValue"] = json!({"numberValue": number}),
                SimCell::Text(text) => data["effectiveValue"] = json!({"stringValue": text}),
                SimCell::Bool(yes) => data["effectiveValue"] = json!({"boolValue": yes}),
                SimCell::Blank | SimCell::Failed(_) => {}
            }
            if let Some(format) = self.formats.get(column).copied().flatten() {
                data["effectiveFormat"] = json!({"numberFormat": {"type": format}});
            }
            data
        };
        let row = |row| json!({"values": (area.columns.0..area.columns.1).map(|column| cell(row, column)).collect::<Vec<_>>()});
        json!({"startRow": area.rows.0, "rowData": (area.rows.0..area.rows.1).map(row).collect::<Vec<_>>()})
    }
}

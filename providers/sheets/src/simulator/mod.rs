//! A spreadsheet in memory that answers like Google's: its paths, the shapes of its answers, its minute quota and its error bodies.
//!
//! ```
//! use provider_sheets::simulator::SheetsSim;
//!
//! let sim = SheetsSim::new("1AbC", "Staff list");
//! sim.load("Staff", &[vec!["id", "name"], vec!["1", "Ada"]]);
//! sim.set_cell("Staff", 2, 2, "Ada Lovelace");
//! ```

mod grid;
mod range;
mod refusal;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sync_core::{ExposeSecret, SecretString};
use sync_http::Method;
use sync_testkit::{SimAnswer, SimRequest, Simulator, Window};

pub use self::grid::SimCell;
use self::grid::{Show, Tab};
use crate::dates::DateKind;

/// One spreadsheet of an account, and the account's token and quota. Everything can be edited while it is being read.
///
/// Methods that name a tab panic when there is none of that name; rows and columns count from 1.
#[derive(Debug)]
pub struct SheetsSim {
    id: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    title: String,
    time_zone: String,
    tabs: Vec<Tab>,
    token: Token,
    reads: Window,
    office_file: bool,
}

#[derive(Debug)]
enum Token {
    Any,
    Only(SecretString),
    Revoked,
}

/// The paths that are served.
enum Route {
    Spreadsheet,
    Values(String),
    BatchGet,
}

impl SheetsSim {
    /// A spreadsheet without tabs, in UTC, readable with any token 60 times a minute.
    pub fn new(spreadsheet_id: impl Into<String>, title: impl Into<String>) -> Self {
        let reads = Window::new(60, Duration::from_secs(60));
        let (title, time_zone) = (title.into(), "Etc/GMT".into());
        Self {
            id: spreadsheet_id.into(),
            state: Mutex::new(State { title, time_zone, tabs: Vec::new(), token: Token::Any, reads, office_file: false }),
        }
    }

    /// Adds a tab of 1000 rows and 26 columns, like a new one of Google's, and fills it from its first row on, as an import of CSV
    /// does (see [`SimCell::imported`]).
    pub fn load<R: AsRef<[C]>, C: AsRef<str>>(&self, tab: &str, rows: &[R]) {
        let mut new = Tab::grid(tab, 1000, 26);
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.as_ref().iter().enumerate() {
                new.set(row + 1, column + 1, SimCell::imported(cell.as_ref()));
            }
        }
        self.state().tabs.push(new);
    }

    /// Adds a tab that holds a chart.
    pub fn add_chart(&self, tab: &str) {
        self.state().tabs.push(Tab::without_cells(tab, "OBJECT"));
    }

    /// Adds a tab that shows a connected data source.
    pub fn add_data_source(&self, tab: &str) {
        self.state().tabs.push(Tab::without_cells(tab, "DATA_SOURCE"));
    }

    /// Sets the spreadsheet's time zone: `Europe/Berlin`, `GMT-07:00`.
    pub fn set_time_zone(&self, name: &str) {
        self.state().time_zone = name.to_owned();
    }

    /// Formats a column by its number format `DATE`, `TIME` or `DATE_TIME`; any other name means none.
    pub fn format_column(&self, tab: &str, column: usize, format: &str) {
        self.edit(tab, |tab| tab.format(column, DateKind::of_format(format)));
    }

    /// Sets one cell.
    pub fn set_cell(&self, tab: &str, row: usize, column: usize, cell: impl Into<SimCell>) {
        self.edit(tab, |tab| tab.set(row, column, cell.into()));
    }

    /// Changes the text of a header in the first row.
    ///
    /// # Panics
    /// When there is no such header.
    pub fn rename_header(&self, tab: &str, from: &str, to: &str) {
        self.edit(tab, |tab| {
            let header = tab.cells.first().into_iter().flatten().position(|cell| *cell == SimCell::from(from));
            tab.set(1, header.expect("the header is there") + 1, to.into());
        });
    }

    /// Adds a row below the last one that holds anything.
    pub fn append_row(&self, tab: &str, cells: impl IntoIterator<Item = SimCell>) {
        self.edit(tab, |tab| {
            let row = tab.cells.len() + 1;
            cells.into_iter().enumerate().for_each(|(column, cell)| tab.set(row, column + 1, cell));
        });
    }

    /// Deletes a row; those below move up and the tab becomes one row smaller.
    pub fn delete_row(&self, tab: &str, row: usize) {
        self.edit(tab, |tab| {
            if row <= tab.cells.len() {
                tab.cells.remove(row - 1);
            }
            tab.rows -= 1;
        });
    }

    /// Cuts or widens a tab; what lies outside is lost.
    pub fn resize(&self, tab: &str, rows: usize, columns: usize) {
        self.edit(tab, |tab| {
            (tab.rows, tab.columns) = (rows, columns);
            tab.cells.truncate(rows);
            tab.cells.iter_mut().for_each(|cells| cells.truncate(columns));
        });
    }

    /// Gives a tab another title.
    pub fn rename_tab(&self, from: &str, to: &str) {
        self.edit(from, |tab| tab.title = to.to_owned());
    }

    /// From now on the file is an Excel workbook, as if it had been replaced in Drive.
    pub fn become_office_file(&self) {
        self.state().office_file = true;
    }

    /// From now on only this access token is good.
    pub fn expect_token(&self, token: &str) {
        self.state().token = Token::Only(SecretString::from(token));
    }

    /// From now on no token is good, until [`expect_token`](Self::expect_token).
    pub fn revoke_token(&self) {
        self.state().token = Token::Revoked;
    }

    /// Sets how many calls a minute are answered; 60 at first.
    pub fn set_reads_per_minute(&self, reads: u32) {
        self.state().reads = Window::new(reads, Duration::from_secs(60));
    }

    fn edit(&self, tab: &str, change: impl FnOnce(&mut Tab)) {
        let mut state = self.state();
        change(state.tabs.iter_mut().find(|known| known.title == tab).expect("a tab of that name was added"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, request: &SimRequest) -> Option<(bool, Route)> {
        let path = request.path.strip_prefix("/v4/spreadsheets/").filter(|_| request.method == Method::GET)?;
        let (id, rest) = path.split_once('/').map_or((path, None), |(id, rest)| (id, Some(rest)));
        let route = match rest {
            None => Route::Spreadsheet,
            Some("values:batchGet") => Route::BatchGet,
            Some(rest) => Route::Values(percent_decode_str(rest.strip_prefix("values/")?).decode_utf8().ok()?.into_owned()),
        };
        Some((id == self.id, route))
    }
}

impl Simulator for SheetsSim {
    fn operation(&self, request: &SimRequest) -> &'static str {
        match self.route(request) {
            Some((_, Route::Spreadsheet)) => "sheets.spreadsheets.get",
            Some((_, Route::Values(_))) => "sheets.values.get",
            Some((_, Route::BatchGet)) => "sheets.values.batchGet",
            None => "sheets.unknown",
        }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        let mut state = self.state();
        let Some((known, route)) = self.route(request) else { return refusal::no_such_page() };
        let welcome = match (&state.token, request.bearer()) {
            (Token::Any, token) => token.is_some_and(|token| !token.is_empty()),
            (Token::Only(expected), Some(token)) => expected.expose_secret() == token,
            _ => false,
        };
        if !welcome {
            return refusal::unauthenticated();
        }
        if state.reads.take(request.now, 1).is_err() {
            return refusal::quota_exceeded();
        }
        if !known {
            return refusal::not_found();
        }
        if state.office_file {
            return refusal::office_file();
        }
        let ranges: Vec<&str> = request.query.iter().filter(|(name, _)| name == "ranges").map(|(_, range)| range.as_str()).collect();
        let body = match route {
            Route::Spreadsheet => state.spreadsheet(&self.id, &ranges),
            Route::Values(range) => state.values(&range, show(request)),
            Route::BatchGet => ranges
                .iter()
                .map(|range| state.values(range, show(request)))
                .collect::<Result<Vec<Value>, String>>()
                .map(|ranges| json!({"spreadsheetId": self.id, "valueRanges": ranges})),
        };
        match body {
            Ok(body) => SimAnswer::json(200, body),
            Err(message) => refusal::invalid(&message),
        }
    }
}

impl State {
    /// With ranges, only the tabs they lie in and their cells. The field mask is not applied: it only leaves things out.
    fn spreadsheet(&self, id: &str, ranges: &[&str]) -> Result<Value, String> {
        let mut sheets = Vec::new();
        for (index, tab) in self.tabs.iter().enumerate().filter(|_| ranges.is_empty()) {
            sheets.push(json!({"properties": tab.properties(index)}));
        }
        for range in ranges {
            let (tab, area) = range::find(range, &self.tabs)?;
            let index = self.tabs.iter().position(|known| known.title == tab.title).unwrap_or_default();
            sheets.push(json!({"properties": tab.properties(index), "data": [tab.grid_data(area)]}));
        }
        let properties = json!({"title": self.title, "locale": "en_US", "timeZone": self.time_zone});
        Ok(json!({"spreadsheetId": id, "properties": properties, "sheets": sheets}))
    }

    fn values(&self, range: &str, show: Show) -> Result<Value, String> {
        let (tab, area) = range::find(range, &self.tabs)?;
        Ok(tab.values(area, show))
    }
}

fn show(request: &SimRequest) -> Show {
    match request.query("valueRenderOption") {
        Some("UNFORMATTED_VALUE" | "FORMULA") => {
            Show::Values { dates_as_text: request.query("dateTimeRenderOption") == Some("FORMATTED_STRING") }
        }
        _ => Show::Texts,
    }
}

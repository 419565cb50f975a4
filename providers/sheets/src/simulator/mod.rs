//! A spreadsheet in memory that answers like Google's: its paths, the shapes of its answers, its minute quota and its error bodies.
//!
//! ```
//! use provider_sheets::simulator::SheetsSim;
//!
//! let sim = SheetsSim::new("1AbC", "Staff list");
//! sim.load("Staff", &[vec!["id", "name"], vec!["1", "Ada"]]);
//! sim.set_cell("Staff", 2, 2, "Ada Lovelace");
//! ```

mod book;
mod entry;
mod grid;
mod mask;
mod range;
mod refusal;
mod route;
mod schema;
mod serve;
mod structure;
mod values;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sync_core::{RefreshRule, SecretString};
use sync_testkit::{AuthorizationRules, AuthorizationServer, Window};

pub use self::grid::SimCell;
use self::{book::Book, grid::Tab};
use crate::dates::DateKind;

/// An account with one spreadsheet, and those that are made in it over the API; the account's token and quotas. Everything can be edited
/// while it is being read and written.
///
/// Methods that name a tab mean the first spreadsheet and panic when it has none of that name; rows and columns count from 1.
#[derive(Debug)]
pub struct SheetsSim {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Never empty.
    books: Vec<Book>,
    token: Token,
    authorization: Option<AuthorizationServer>,
    reads: Window,
    writes: Window,
    drive_lag: Duration,
}

#[derive(Debug)]
enum Token {
    Any,
    Only(SecretString),
    Revoked,
}

impl SheetsSim {
    /// A spreadsheet without tabs, in UTC, readable and writable with any token 60 times a minute each. Drive shows changes 3 minutes late.
    pub fn new(spreadsheet_id: impl Into<String>, title: impl Into<String>) -> Self {
        let minute = Window::new(60, Duration::from_secs(60));
        let books = vec![Book::new(spreadsheet_id.into(), title.into())];
        Self {
            state: Mutex::new(State {
                books,
                token: Token::Any,
                authorization: None,
                reads: minute,
                writes: minute,
                drive_lag: Duration::from_secs(180),
            }),
        }
    }

    /// How Google's OAuth behaves, for the server that [`authorized_by`](Self::authorized_by) takes: refresh tokens stay, come only for
    /// `access_type=offline`, and single scopes can be unticked.
    #[must_use]
    pub fn authorization_rules() -> AuthorizationRules {
        AuthorizationRules {
            authorize_path: "/o/oauth2/v2/auth",
            token_path: "/token",
            revoke_path: "/revoke",
            refresh: RefreshRule::Kept,
            life: Some(Duration::from_secs(3599)),
            offline: true,
            unknown_is_refused: true,
            access_prefix: "ya29.",
            refresh_prefix: "1//0",
            ..AuthorizationRules::default()
        }
    }

    /// Joins it with an authorization server: its page and endpoints answer here, and beside a token that was named with
    /// [`expect_token`](Self::expect_token) only those it gave out for spreadsheets are good.
    #[must_use]
    pub fn authorized_by(self, server: &AuthorizationServer) -> Self {
        self.state().authorization = Some(server.clone());
        self
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
        self.change(|book| book.add(new));
    }

    /// Adds a tab that holds a chart.
    pub fn add_chart(&self, tab: &str) {
        self.change(|book| book.add(Tab::without_cells(tab, "OBJECT")));
    }

    /// Adds a tab that shows a connected data source.
    pub fn add_data_source(&self, tab: &str) {
        self.change(|book| book.add(Tab::without_cells(tab, "DATA_SOURCE")));
    }

    /// Sets the spreadsheet's time zone: `Europe/Berlin`, `GMT-07:00`.
    pub fn set_time_zone(&self, name: &str) {
        self.change(|book| name.clone_into(&mut book.time_zone));
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
        self.change(|book| book.office_file = true);
    }

    /// From now on only this access token is good.
    pub fn expect_token(&self, token: &str) {
        self.state().token = Token::Only(SecretString::from(token));
    }

    /// From now on no token is good, until [`expect_token`](Self::expect_token).
    pub fn revoke_token(&self) {
        self.state().token = Token::Revoked;
    }

    /// Sorts the rows below row `header` by the text of a column, as a person may at any time. Blank cells come last.
    pub fn sort(&self, tab: &str, header: usize, column: usize) {
        self.edit(tab, |tab| {
            let texts = |cells: &Vec<SimCell>| cells.get(column - 1).map(SimCell::text).unwrap_or_default();
            tab.cells.iter_mut().skip(header).for_each(|cells| {
                while cells.last() == Some(&SimCell::Blank) {
                    cells.pop();
                }
            });
            tab.cells[header..].sort_by_key(|cells| (texts(cells).is_empty(), texts(cells)));
        });
    }

    /// Inserts a blank row before a row.
    pub fn insert_row(&self, tab: &str, row: usize) {
        self.edit(tab, |tab| tab.insert_rows(row - 1, 1));
    }

    /// Keeps the first rows in view.
    pub fn freeze_rows(&self, tab: &str, rows: usize) {
        self.edit(tab, |tab| tab.frozen.0 = rows);
    }

    /// What stands in a tab: its rows without trailing blank cells, without trailing blank rows.
    #[must_use]
    pub fn cells(&self, tab: &str) -> Vec<Vec<SimCell>> {
        let state = self.state();
        let tab = state.books[0].tabs.iter().find(|known| known.title == tab).expect("a tab of that name was added");
        let mut rows = tab.cells.clone();
        rows.iter_mut().for_each(|cells| {
            while cells.last() == Some(&SimCell::Blank) {
                cells.pop();
            }
        });
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        rows
    }

    /// How many rows and columns a tab has.
    #[must_use]
    pub fn size(&self, tab: &str) -> (usize, usize) {
        let state = self.state();
        let tab = state.books[0].tabs.iter().find(|known| known.title == tab).expect("a tab of that name was added");
        (tab.rows, tab.columns)
    }

    /// The ids of all spreadsheets, those that were made over the API after the first.
    #[must_use]
    pub fn spreadsheet_ids(&self) -> Vec<String> {
        self.state().books.iter().map(|book| book.id.clone()).collect()
    }

    /// Sets how many reads a minute are answered; 60 at first.
    pub fn set_reads_per_minute(&self, reads: u32) {
        self.state().reads = Window::new(reads, Duration::from_secs(60));
    }

    /// Sets how many writes a minute are answered; 60 at first.
    pub fn set_writes_per_minute(&self, writes: u32) {
        self.state().writes = Window::new(writes, Duration::from_secs(60));
    }

    /// Sets how late Drive shows the time of a change; 3 minutes at first. Its version is never late.
    pub fn set_drive_lag(&self, lag: Duration) {
        self.state().drive_lag = lag;
    }

    fn edit(&self, tab: &str, change: impl FnOnce(&mut Tab)) {
        self.change(|book| change(book.tabs.iter_mut().find(|known| known.title == tab).expect("a tab of that name was added")));
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut state = self.state();
        change(&mut state.books[0]);
        state.books[0].changes.touch();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

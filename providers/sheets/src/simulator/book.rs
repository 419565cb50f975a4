//! One spreadsheet: its tabs, what it answers, and when it changed.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{
    grid::{Show, Tab},
    mask::Mask,
    range,
};

/// Cells a spreadsheet may have, blank ones included.
const MOST_CELLS: usize = 10_000_000;

#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) locale: String,
    pub(super) time_zone: String,
    pub(super) tabs: Vec<Tab>,
    pub(super) office_file: bool,
    pub(super) changes: Changes,
}

impl Book {
    pub(super) fn new(id: String, title: String) -> Self {
        let (locale, time_zone) = ("en_US".into(), "Etc/GMT".into());
        Self { id, title, locale, time_zone, tabs: Vec::new(), office_file: false, changes: Changes::default() }
    }

    /// Adds a tab behind the others; its `sheetId` is 0 for the first and grows.
    pub(super) fn add(&mut self, mut tab: Tab) {
        tab.id = self.tabs.iter().map(|tab| tab.id + 7).max().unwrap_or_default();
        self.tabs.push(tab);
    }

    /// A `Spreadsheet`: with ranges only the tabs they lie in. `grid` says whether cells are wanted; with a mask that is what the mask says.
    pub(super) fn describe(&self, ranges: &[&str], grid: bool, mask: Option<&Mask>) -> Result<Value, String> {
        let with_cells = mask.map_or(grid, |mask| mask.wants(&["sheets", "data"]));
        let mut areas: Vec<Vec<Value>> = vec![Vec::new(); self.tabs.len()];
        for text in ranges {
            let place = range::locate(text, &self.tabs)?;
            let area = place.area(&self.tabs[place.tab])?;
            areas[place.tab].push(if with_cells { self.tabs[place.tab].grid_data(area) } else { Value::Null });
        }
        let mut sheets = Vec::new();
        for (index, (tab, mut data)) in self.tabs.iter().zip(areas).enumerate() {
            if data.is_empty() && !ranges.is_empty() {
                continue;
            }
            let mut sheet = json!({"properties": tab.properties(index)});
            if with_cells && tab.is_grid() {
                if data.is_empty() {
                    data.push(tab.grid_data(tab.filled()));
                }
                sheet["data"] = Value::Array(data);
            }
            sheets.push(sheet);
        }
        Ok(json!({
            "spreadsheetId": self.id,
            "properties": {"title": self.title, "locale": self.locale, "autoRecalc": "ON_CHANGE", "timeZone": self.time_zone},
            "sheets": sheets,
            "spreadsheetUrl": format!("https://docs.google.com/spreadsheets/d/{}/edit", self.id),
        }))
    }

    pub(super) fn values(&self, range: &str, show: Show, by_columns: bool) -> Result<Value, String> {
        let (tab, area) = range::find(range, &self.tabs)?;
        Ok(tab.values(area, show, by_columns))
    }

    /// Refuses a state with more cells than a spreadsheet may have.
    pub(super) fn fits(&self) -> Result<(), String> {
        let cells: usize = self.tabs.iter().map(|tab| tab.rows.saturating_mul(tab.columns)).sum();
        if cells <= MOST_CELLS {
            return Ok(());
        }
        Err(format!("This action would increase the number of cells in the workbook above the limit of {MOST_CELLS} cells."))
    }
}

/// When the spreadsheet changed, as Drive shows it: the version at once, the time late.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) version: u64,
    /// Changed since the last request; edits of the test have no time of their own.
    untimed: bool,
    shown: Option<DateTime<Utc>>,
    /// First and last change that is not shown yet.
    late: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Changes {
    pub(super) fn touch(&mut self) {
        self.version += 1;
        self.untimed = true;
    }

    /// Gives what changed its time.
    pub(super) fn stamp(&mut self, now: DateTime<Utc>) {
        if !std::mem::take(&mut self.untimed) {
            return;
        }
        if self.shown.is_none() {
            self.shown = Some(now);
        } else {
            self.late = Some((self.late.map_or(now, |(first, _)| first), now));
        }
    }

    /// Shows what changed `lag` ago or longer.
    pub(super) fn show(&mut self, now: DateTime<Utc>, lag: Duration) {
        if let Some((_, last)) = self.late.take_if(|(first, _)| now >= *first + lag) {
            self.shown = Some(last);
        }
    }

    pub(super) fn modified(&self, now: DateTime<Utc>) -> String {
        self.shown.unwrap_or(now).to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

//! One page of a tab: which rows to ask for, and what their answer means for the scan.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use sync_core::{Error, ErrorKind, Next, PullPage, PullRequest, RecordFailure, Result, SyncContext};
use twox_hash::XxHash3_64;

use crate::{
    Settings, a1,
    api::{Rows, SheetsApi, Spreadsheet, Tab},
    dates::{DateKind, Zone},
    header::Header,
    map::{self, Key, Layout},
    position::{Position, Seen},
};

const OPERATION: &str = "sheets.pull";

/// Rows whose number formats stand for their columns.
pub(crate) const SAMPLE: u64 = 5;

/// What one page is about.
struct Part<'a> {
    tab: &'a str,
    header_row: u64,
    /// The key columns asked for.
    key: &'a [Box<str>],
    zone: Zone,
    /// The scan so far.
    position: Position,
    /// The last row to read.
    last: u64,
    /// Whether that is so because fewer records are wanted.
    limited: bool,
}

/// Reads the page after `request.after`.
pub(crate) async fn page(api: &SheetsApi, cx: &SyncContext, request: &PullRequest) -> Result<PullPage> {
    let settings = Settings::of(cx)?;
    let tab = request.stream.as_str();
    let position = match &request.after {
        Some(token) => Position::of(token)?,
        None => begin(api, cx, &settings, tab).await?,
    };
    let key = &settings.key(tab, &request.key)[..];
    let page = u64::from(settings.rows_per_page);
    let span = page.min(request.limit.unwrap_or(u64::MAX));
    let part = Part {
        tab,
        header_row: u64::from(settings.header_row),
        key,
        zone: zone(OPERATION, &position.zone, position.dates.iter().map(|(_, kind)| *kind))?,
        last: position.next.saturating_sub(1).saturating_add(span).min(position.rows),
        limited: span < page,
        position,
    };
    api.values(cx, &settings.spreadsheet_id, &part.ranges(), |body, ranges| part.read(body, ranges)).await.map_err(|e| e.at("tab", tab))
}

/// The start of a scan: the tab's size, and which of its columns hold dates.
async fn begin(api: &SheetsApi, cx: &SyncContext, settings: &Settings, tab: &str) -> Result<Position> {
    let spreadsheet = api.spreadsheet(cx, &settings.spreadsheet_id).await?;
    let grid = find(&spreadsheet, tab)?.grid().ok_or_else(|| {
        Error::config(OPERATION, "the tab is a chart or the view of a connected data source; only tabs with cells of their own can be read")
            .at("tab", tab)
    })?;
    let header_row = u64::from(settings.header_row);
    if grid.row_count < header_row || grid.column_count == 0 {
        let text = format!("`header_row` is {header_row}, but the tab ends with row {}", grid.row_count);
        return Err(Error::config(OPERATION, text).at("tab", tab));
    }
    let mut dates = Vec::new();
    if settings.typed_dates && header_row < grid.row_count {
        let last = (header_row + SAMPLE).min(grid.row_count);
        let range = a1::rows(tab, header_row + 1, last, grid.column_count);
        let sample = api.formats(cx, &settings.spreadsheet_id, &range).await.map_err(|e| e.at("tab", tab))?;
        dates = map::date_columns(&sample);
    }
    let zone = spreadsheet.properties.time_zone;
    Ok(Position { next: header_row + 1, rows: grid.row_count, columns: grid.column_count, zone, dates, seen: None, moved: false })
}

fn find<'s>(spreadsheet: &'s Spreadsheet, tab: &str) -> Result<&'s Tab> {
    spreadsheet.tabs().find(|known| known.title == tab).ok_or_else(|| {
        let known: Vec<String> = spreadsheet.tabs().map(|tab| format!("{:?}", tab.title)).collect();
        Error::new(ErrorKind::NotFound, OPERATION, format!("there is no tab {tab:?}; there are {}", known.join(", "))).at("tab", tab)
    })
}

/// The zone times are to be understood in; one that is unknown matters only where there are times.
pub(crate) fn zone(operation: &'static str, name: &str, mut dates: impl Iterator<Item = DateKind>) -> Result<Zone> {
    match Zone::parse(name) {
        Some(zone) => Ok(zone),
        None if dates.all(|kind| kind != DateKind::DateTime) => Ok(Zone::Named(chrono_tz::UTC)),
        None => Err(Error::config(
            operation,
            format!(
                "the spreadsheet's time zone {name:?} is unknown, so its times cannot be read; choose another under File, Settings, or set \
                 `typed_dates` to false"
            ),
        )),
    }
}

impl Part<'_> {
    /// Header and rows in one call. From the second page on, the row before is read again.
    fn ranges(&self) -> Vec<String> {
        let columns = self.position.columns;
        let mut ranges = vec![a1::rows(self.tab, self.header_row, self.header_row, columns)];
        if self.position.next <= self.last {
            ranges.push(a1::rows(self.tab, self.position.next - self.overlap(), self.last, columns));
        }
        ranges
    }

    fn overlap(&self) -> u64 {
        u64::from(self.position.seen.is_some())
    }

    fn read(&self, body: &Bytes, ranges: Vec<Rows<'_>>) -> Result<PullPage> {
        let mut ranges = ranges.into_iter();
        let header = self.header(ranges.next().unwrap_or_default())?;
        let key = header.key(self.key)?;
        let rows = ranges.next().unwrap_or_default();
        let asked = (self.last + 1).saturating_sub(self.position.next) + self.overlap();
        if rows.len() as u64 > asked {
            return Err(Error::new(ErrorKind::Decode, OPERATION, format!("{asked} rows were asked for and {} came", rows.len())));
        }
        let layout = Layout { header: &header, key: &key, dates: self.position.date_kinds(), zone: self.zone };

        // Trailing blank rows are left out of an answer, the overlapping row among them.
        let (before, rows) = rows.split_at(rows.len().min(self.overlap() as usize));
        let mut page = map::page(body, rows, self.position.next, &layout)?;
        let mut position = self.position.clone();
        match &self.position.seen {
            None => {
                page.fields = Some(Arc::from(header.fields()));
                page.failures.splice(0..0, header.warnings(self.header_row));
            }
            Some(seen) if !position.moved && seen.key != key_hash(&layout, before.first()) => {
                position.moved = true;
                page.failures.push(
                    RecordFailure::warning(
                        "rows were moved while the sheet was read; some may be missing until the next pull, and none is taken as deleted",
                    )
                    .at_row(Some(self.position.next - 1)),
                );
            }
            Some(_) => {}
        }
        page.next = if self.last >= position.rows {
            Next::End { complete: !position.moved }
        } else if self.limited {
            Next::End { complete: false }
        } else {
            let last = (self.last - self.position.next) as usize;
            position.seen = Some(Seen { header: header.fingerprint(), key: key_hash(&layout, rows.get(last)) });
            position.next = self.last + 1;
            Next::Page(position.token())
        };
        Ok(page)
    }

    /// The header, the same as on the page before.
    fn header(&self, mut rows: Rows<'_>) -> Result<Header> {
        let header = rows.pop().filter(|_| rows.is_empty()).and_then(|cells| Header::read(&cells));
        match (&self.position.seen, header) {
            (None, Some(header)) => Ok(header),
            (None, None) => Err(no_header(OPERATION, self.header_row)),
            (Some(seen), Some(header)) if header.fingerprint() == seen.header => Ok(header),
            (Some(_), header) => {
                let now = header.map(|header| header.seen()).unwrap_or_else(|| "It is blank now".into());
                Err(Error::new(ErrorKind::Conflict, OPERATION, format!("the header row was changed while the sheet was read. {now}")))
            }
        }
    }
}

/// The refusal of a tab without header.
pub(crate) fn no_header(operation: &'static str, row: u64) -> Error {
    Error::config(operation, format!("row {row} has no column names; write them there, or set `header_row` to the row that has them"))
}

/// A hash of a row's key, or of there being none.
fn key_hash(layout: &Layout<'_>, row: Option<&Vec<&RawValue>>) -> u64 {
    match row.map(|row| layout.key_of(row)) {
        Some(Key::Text(key)) => XxHash3_64::oneshot(key.as_bytes()),
        _ => 0,
    }
}

//! Where the rows of a tab stand, by their keys.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use sync_core::{Error, ErrorKind, Result, Retry, SyncContext};

use super::{OPERATION, value::key_part};
use crate::{
    Settings, a1,
    api::{self, SheetsApi},
    dates::{self, DateKind, Zone},
    header::Header,
    map::{self, Key, Layout},
    read,
};

/// A tab as a push sees it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) header: Header,
    /// Places of the key columns.
    key: Vec<usize>,
    /// Per column, whether its numbers are dates, as far as that matters for keys.
    dates: Vec<Option<DateKind>>,
    zone: Zone,
    /// Sheet rows by key, counted from 1.
    rows: HashMap<String, Vec<u64>>,
    /// The first row whose key is a formula that failed: whose it is, nobody knows.
    pub(super) unreadable: Option<u64>,
    /// The tab's number and its rows, where they were asked for.
    pub(super) sheet: Option<(i64, u64)>,
}

/// Which tab, by which key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tab: &'a str,
    /// The names of the key columns.
    pub(super) key: &'a [Box<str>],
}

impl Target<'_> {
    pub(super) fn header_row(&self) -> u64 {
        u64::from(self.settings.header_row)
    }
}

impl Table {
    /// Reads header and key columns: one call where the guess holds, else two; one more for deletes and for keys that may be dates.
    pub(super) async fn read(
        api: &SheetsApi,
        cx: &SyncContext,
        target: Target<'_>,
        guess: Option<(usize, usize)>,
        deletes: bool,
    ) -> Result<Self> {
        let Target { settings, tab, .. } = target;
        let row = target.header_row();
        let ask = async |columns: Option<(usize, usize)>| {
            let mut ranges = vec![a1::row(tab, row)];
            // The header is part of the range, so that it never begins below the tab's end.
            ranges.extend(columns.map(|columns| a1::down(tab, columns, row)));
            api.values(cx, &settings.spreadsheet_id, &ranges, |body, ranges| {
                let header = ranges.first().and_then(|rows| Header::read(rows.first()?));
                Ok((header.ok_or_else(|| read::no_header(OPERATION, row))?, Bytes::clone(body)))
            })
            .await
        };
        let (mut header, mut body) = match ask(guess).await {
            // Columns that were deleted since lie beyond the grid.
            Err(error) if guess.is_some() && error.kind() == ErrorKind::Conflict => ask(None).await?,
            other => other?,
        };
        let mut key = header.key(target.key)?;
        let columns = span(&key);
        if guess != Some(columns) || api::rows(&body)?.len() < 2 {
            (header, body) = ask(Some(columns)).await?;
            key = header.key(target.key)?;
            if span(&key) != columns {
                let text = "the header row was changed while it was read";
                return Err(Error::new(ErrorKind::Conflict, OPERATION, text).with_retry(Retry::After(None)));
            }
        }
        let ranges = api::rows(&body)?;
        let cells = ranges.get(1).map(Vec::as_slice).unwrap_or_default();

        let mut table =
            Self { header, key, dates: Vec::new(), zone: Zone::Named(chrono_tz::UTC), rows: HashMap::new(), unreadable: None, sheet: None };
        let numbers = || cells.iter().skip(1).flatten().any(|cell| map::number(cell).is_some());
        if deletes || settings.typed_dates && numbers() {
            let sample = a1::cells(tab, (0, columns.1), (row, row + read::SAMPLE));
            let details = api.details(cx, &settings.spreadsheet_id, &sample).await?;
            table.sheet = Some((details.sheet_id, details.rows));
            if settings.typed_dates {
                table.dates = vec![None; columns.1 + 1];
                let kinds = map::date_columns(details.sample.get(1..).unwrap_or_default());
                for (column, kind) in kinds.into_iter().filter(|(column, _)| table.key.contains(column)) {
                    table.dates[column] = Some(kind);
                }
                table.zone = read::zone(OPERATION, &details.time_zone, table.dates.iter().flatten().copied())?;
            }
        }
        for (key, number) in table.keys(columns.0, cells.iter().map(Vec::as_slice)).into_iter().zip(row..).skip(1) {
            match key {
                Key::Text(key) => table.rows.entry(key).or_default().push(number),
                Key::Blank(_) => {}
                Key::Failed(_) => table.unreadable = table.unreadable.or(Some(number)),
            }
        }
        Ok(table)
    }

    /// The rows that have a key.
    pub(super) fn rows(&self, key: &str) -> &[u64] {
        self.rows.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// First and last key column.
    pub(super) fn span(&self) -> (usize, usize) {
        span(&self.key)
    }

    /// Places of the key columns, in the key's order.
    pub(super) fn key(&self) -> &[usize] {
        &self.key
    }

    /// The text a value has as part of a key once it stands in a column.
    pub(super) fn key_part(&self, column: usize, value: &RawValue) -> Option<String> {
        let date = self.dates.get(column).copied().flatten().zip(map::number(value));
        date.and_then(|(kind, serial)| dates::render(serial, kind, self.zone)).or_else(|| key_part(value))
    }

    /// The keys of rows whose first cell stands in column `from`; every key column is from there on.
    pub(super) fn keys<'r>(&self, from: usize, rows: impl Iterator<Item = &'r [&'r RawValue]>) -> Vec<Key> {
        let key: Vec<usize> = self.key.iter().map(|column| column - from).collect();
        let dates = self.dates.iter().skip(from).copied().collect();
        let layout = Layout { header: &self.header, key: &key, dates, zone: self.zone };
        rows.map(|row| layout.key_of(row)).collect()
    }
}

fn span(key: &[usize]) -> (usize, usize) {
    (key.iter().copied().min().unwrap_or_default(), key.iter().copied().max().unwrap_or_default())
}

//! Times as they stand in the tables: RFC 3339 in UTC with microseconds, so that they sort as text.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::types::Type;

pub(crate) fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(crate) fn parse(text: &str, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.with_timezone(&Utc))
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// Reads a time from a column.
pub(crate) fn column(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<DateTime<Utc>> {
    parse(row.get_ref(at)?.as_str()?, at)
}

/// Reads a time that may be missing.
pub(crate) fn optional(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    row.get_ref(at)?.as_str_or_null()?.map(|text| parse(text, at)).transpose()
}

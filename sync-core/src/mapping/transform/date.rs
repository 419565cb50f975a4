//! `date`.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde::Deserialize;

use super::{
    Made, Transform, TransformError, Transforms,
    date_format::{Format, iso},
    transform_options,
};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("date", |options| Ok(Arc::new(Date::new(transform_options("date", options)?)?)))
}

/// What a text or number says about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// An instant.
    Instant(DateTime<Utc>),
    /// A time on some wall; the zone says where.
    Local(NaiveDateTime),
    /// A day.
    Day(NaiveDate),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DateOptions {
    /// One format; see `formats`.
    format: Option<Box<str>>,
    /// Tried in this order; only these. `iso`, `serial` (days since 1899-12-30, as Google Sheets and Excel count, rounded to the
    /// millisecond), `epoch` (seconds since 1970, with any fraction), `epoch_ms`, or a chrono pattern such as `%d.%m.%Y %H:%M`.
    /// Default: `iso`.
    formats: Vec<Box<str>>,
    /// The zone of times that name none, such as `Europe/Berlin`; default `UTC`. A time the clock shows twice is the earlier one, a
    /// time it skips is moved on by what was skipped.
    zone: Option<Box<str>>,
    /// Refuses times the clock shows twice or skips.
    strict: bool,
    /// `date`, `timestamp`, or `auto` (default): a date where the value has no time of day.
    to: To,
    /// Cuts what is finer than a microsecond instead of refusing it.
    truncate: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    #[default]
    Auto,
    Date,
    Timestamp,
}

/// A date or time to `YYYY-MM-DD`, or to RFC 3339 in UTC with microseconds. Empty texts become null.
#[derive(Debug)]
struct Date {
    formats: Vec<Format>,
    zone: Tz,
    strict: bool,
    to: To,
    truncate: bool,
}

impl Date {
    fn new(options: DateOptions) -> Result<Self> {
        let problem = |text: String| Error::config("transform", format!("date: {text}"));
        let mut formats: Vec<Box<str>> = options.format.into_iter().chain(options.formats).collect();
        if formats.is_empty() {
            formats.push("iso".into());
        }
        let zone = options.zone.as_deref().unwrap_or("UTC");
        Ok(Self {
            formats: formats.iter().map(|text| Format::parse(text)).collect::<Result<_, _>>().map_err(problem)?,
            zone: zone.parse().map_err(|_| problem(format!("no time zone is named {zone:?}; names look like Europe/Berlin")))?,
            strict: options.strict,
            to: options.to,
            truncate: options.truncate,
        })
    }

    fn instant(&self, local: NaiveDateTime) -> Result<DateTime<Utc>, TransformError> {
        use chrono::LocalResult::{Ambiguous, None, Single};
        let name = self.zone.name();
        match self.zone.from_local_datetime(&local) {
            Single(instant) => Ok(instant.to_utc()),
            Ambiguous(..) if self.strict => Err(TransformError::new(format!("is a time the clock shows twice in {name}"))),
            Ambiguous(earlier, _) => Ok(earlier.to_utc()),
            None if self.strict => Err(TransformError::new(format!("is a time the clock skips in {name}"))),
            // The offset of the day before: the clock as if it had not been set forward.
            None => local
                .checked_sub_signed(TimeDelta::days(1))
                .map(|before| self.zone.offset_from_utc_datetime(&before))
                .and_then(|offset| local.checked_sub_offset(chrono::Offset::fix(&offset)))
                .map(|instant| instant.and_utc())
                .ok_or_else(out_of_range),
        }
    }

    fn timestamp(&self, instant: DateTime<Utc>) -> Result<Made, TransformError> {
        // A leap second is written as the second after it, which every database can hold.
        let nanos = instant.nanosecond();
        let whole = instant.with_nanosecond(0).and_then(|whole| whole.checked_add_signed(TimeDelta::nanoseconds(nanos.into())));
        let whole = whole.ok_or_else(out_of_range)?;
        if !whole.nanosecond().is_multiple_of(1000) && !self.truncate {
            return Err(TransformError::new("is finer than a microsecond; the option `truncate` cuts it"));
        }
        in_range(whole.year())?;
        // By hand: a pattern would be read anew for each value. The year is within four digits.
        let (year, month, day) = (whole.year(), whole.month(), whole.day());
        let (hour, minute, second, micros) = (whole.hour(), whole.minute(), whole.second(), whole.nanosecond() / 1000);
        Ok(Made::text(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")))
    }

    fn day(date: NaiveDate) -> Result<Made, TransformError> {
        in_range(date.year())?;
        Ok(Made::text(&format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())))
    }
}

/// Years of four digits, as RFC 3339 needs them. What comes out before 1000 is a year of two digits read by `%Y`.
fn in_range(year: i32) -> Result<(), TransformError> {
    match year {
        1000..=9999 => Ok(()),
        0..=99 => Err(TransformError::new(format!("would be the year {year}; years of two digits need %y"))),
        _ => Err(out_of_range()),
    }
}

fn out_of_range() -> TransformError {
    TransformError::new("is outside the years 1000 to 9999")
}

impl Transform for Date {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Empty => return Ok(Made::Null),
            Cell::Value(_) => cell.text().unwrap_or_default(),
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(Made::Null);
        }
        let Some(moment) = self.formats.iter().find_map(|format| format.read(text)) else {
            let tried = self.formats.iter().map(Format::name).collect::<Vec<_>>().join(", ");
            return Err(TransformError::new(format!("is not a date; expected {tried}")));
        };
        // Before any arithmetic, which could leave the range of the calendar.
        in_range(match moment {
            Moment::Instant(instant) => instant.year(),
            Moment::Local(local) => local.year(),
            Moment::Day(day) => day.year(),
        })?;
        match (self.to, moment) {
            (To::Auto | To::Timestamp, Moment::Instant(instant)) => self.timestamp(instant),
            (To::Auto | To::Timestamp, Moment::Local(local)) => self.timestamp(self.instant(local)?),
            (To::Timestamp, Moment::Day(day)) => self.timestamp(self.instant(day.and_time(NaiveTime::MIN))?),
            (To::Date, Moment::Instant(instant)) => Self::day(instant.with_timezone(&self.zone).date_naive()),
            (To::Date, Moment::Local(local)) => Self::day(local.date()),
            (To::Auto | To::Date, Moment::Day(day)) => Self::day(day),
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = cell.text().unwrap_or_default();
        let Some(moment) = iso(text.trim()) else {
            return Err(TransformError::new("is neither a day (YYYY-MM-DD) nor a time (RFC 3339)"));
        };
        let Some(first) = self.formats.first() else { return Ok(Made::Unchanged) };
        // A column of a database that knows no zones holds what `apply` wrote: the time in UTC.
        let instant = match moment {
            Moment::Day(day) => return first.write_day(day, || Ok(self.instant(day.and_time(NaiveTime::MIN))?.with_timezone(&self.zone))),
            Moment::Instant(instant) => instant,
            Moment::Local(local) => local.and_utc(),
        };
        in_range(instant.year())?;
        first.write(instant.with_timezone(&self.zone))
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        match self.to {
            To::Date => Some(FieldKind::Date),
            To::Timestamp => Some(FieldKind::Timestamp),
            To::Auto => {
                let first = self.formats.first()?.kind()?;
                self.formats.iter().all(|format| format.kind() == Some(first)).then_some(first)
            }
        }
    }
}

#[cfg(test)]
#[path = "date_tests.rs"]
mod tests;

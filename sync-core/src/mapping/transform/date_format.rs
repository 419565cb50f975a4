//! The ways a date is written.

use std::fmt::{Display, Write as _};

use chrono::{
    DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, SecondsFormat, TimeDelta, Utc,
    format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse},
};
use chrono_tz::Tz;

use super::{Made, TransformError, date::Moment, exact::Exact};
use crate::FieldKind;

/// One way.
#[derive(Debug)]
pub(super) enum Format {
    Iso,
    Serial,
    Epoch,
    EpochMillis,
    Pattern { text: Box<str>, items: Vec<Item<'static>>, holds: Holds },
}

/// What a pattern holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Instant,
    Local,
    Day,
}

impl Format {
    /// Reads a format's name or pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "iso" => return Ok(Self::Iso),
            "serial" => return Ok(Self::Serial),
            "epoch" => return Ok(Self::Epoch),
            "epoch_ms" => return Ok(Self::EpochMillis),
            _ if !text.contains('%') => {
                return Err(format!("the format {text:?} is none of iso, serial, epoch, epoch_ms, and no pattern such as %d.%m.%Y"));
            }
            _ => {}
        }
        let items = StrftimeItems::new(text).parse_to_owned().map_err(|_| format!("the pattern {text:?} cannot be read"))?;
        let numeric = |wanted: &[Numeric]| items.iter().any(|item| matches!(item, Item::Numeric(n, _) if wanted.contains(n)));
        let fixed = |wanted: &[Fixed]| items.iter().any(|item| matches!(item, Item::Fixed(f) if wanted.contains(f)));
        let zoned = numeric(&[Numeric::Timestamp])
            || fixed(&[
                Fixed::TimezoneOffset,
                Fixed::TimezoneOffsetColon,
                Fixed::TimezoneOffsetDoubleColon,
                Fixed::TimezoneOffsetTripleColon,
                Fixed::TimezoneOffsetColonZ,
                Fixed::TimezoneOffsetZ,
                Fixed::RFC2822,
                Fixed::RFC3339,
            ])
            || text.contains("%#z");
        let holds = if zoned {
            Holds::Instant
        } else if numeric(&[Numeric::Hour, Numeric::Hour12, Numeric::Minute, Numeric::Second]) {
            Holds::Local
        } else {
            Holds::Day
        };
        if fixed(&[Fixed::TimezoneName]) {
            return Err(format!("the pattern {text:?} holds %Z; names of zones are ambiguous, set `zone` instead"));
        }
        if holds == Holds::Local && !(numeric(&[Numeric::Minute]) && numeric(&[Numeric::Hour, Numeric::Hour12])) {
            return Err(format!("the pattern {text:?} has a part of a time; it needs hour and minute"));
        }
        Ok(Self::Pattern { text: text.into(), items, holds })
    }

    /// As people wrote it in the mapping.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Iso => "iso",
            Self::Serial => "serial",
            Self::Epoch => "epoch",
            Self::EpochMillis => "epoch_ms",
            Self::Pattern { text, .. } => text,
        }
    }

    /// What comes out of it, when that is always the same.
    pub(super) fn kind(&self) -> Option<FieldKind> {
        match self {
            Self::Iso | Self::Serial => None,
            Self::Pattern { holds: Holds::Day, .. } => Some(FieldKind::Date),
            Self::Epoch | Self::EpochMillis | Self::Pattern { .. } => Some(FieldKind::Timestamp),
        }
    }

    /// Reads a text without blanks at its ends; `None` when it is not written this way.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        match self {
            Self::Iso => iso(text),
            Self::Serial => serial(text),
            Self::Epoch => epoch(text, 6),
            Self::EpochMillis => epoch(text, 3),
            Self::Pattern { items, holds, .. } => {
                let mut parsed = Parsed::new();
                parse(&mut parsed, text, items.iter()).ok()?;
                match holds {
                    Holds::Instant => parsed.to_datetime().ok().map(|instant| Moment::Instant(instant.to_utc())),
                    Holds::Local => parsed.to_naive_datetime_with_offset(0).ok().map(Moment::Local),
                    Holds::Day => parsed.to_naive_date().ok().map(Moment::Day),
                }
            }
        }
    }

    /// Writes a time as the clock of its zone shows it. What the format cannot hold is left out.
    pub(super) fn write(&self, time: DateTime<Tz>) -> Result<Made, TransformError> {
        match self {
            // Local mean times, from before there were zones, have offsets with seconds, which nobody can write.
            Self::Iso if time.offset().fix().local_minus_utc() % 60 != 0 => {
                Ok(Made::text(&time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)))
            }
            Self::Iso => Ok(Made::text(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))),
            Self::Serial => Ok(Made::Json(days(time.naive_local()))),
            Self::Epoch => Ok(Made::Json(units(time.timestamp_micros(), 6))),
            Self::EpochMillis => Ok(Made::Json(units(time.timestamp_micros(), 3))),
            Self::Pattern { items, holds: Holds::Instant, .. } => self.formatted(time.format_with_items(items.iter())),
            Self::Pattern { items, holds: Holds::Local, .. } => self.formatted(time.naive_local().format_with_items(items.iter())),
            Self::Pattern { items, holds: Holds::Day, .. } => self.formatted(time.date_naive().format_with_items(items.iter())),
        }
    }

    /// Writes a day; `midnight` is its beginning, for formats that hold an instant.
    pub(super) fn write_day(
        &self,
        day: NaiveDate,
        midnight: impl FnOnce() -> Result<DateTime<Tz>, TransformError>,
    ) -> Result<Made, TransformError> {
        let begins = day.and_time(NaiveTime::MIN);
        match self {
            Self::Iso => Ok(Made::text(&day.format("%Y-%m-%d").to_string())),
            Self::Serial => Ok(Made::Json(days(begins))),
            Self::Pattern { items, holds: Holds::Day, .. } => self.formatted(day.format_with_items(items.iter())),
            Self::Pattern { items, holds: Holds::Local, .. } => self.formatted(begins.format_with_items(items.iter())),
            Self::Epoch | Self::EpochMillis | Self::Pattern { holds: Holds::Instant, .. } => self.write(midnight()?),
        }
    }

    fn formatted(&self, written: impl Display) -> Result<Made, TransformError> {
        let mut text = String::new();
        match write!(text, "{written}") {
            Ok(()) => Ok(Made::text(&text)),
            Err(_) => Err(TransformError::new(format!("cannot be written as {}, a pattern that is for reading alone", self.name()))),
        }
    }
}

pub(super) fn iso(text: &str) -> Option<Moment> {
    // A text with a time of day is no day; trying it would cost as much as reading it.
    if !text.contains(':')
        && let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d")
    {
        return Some(Moment::Day(day));
    }
    let text = text.replacen([' ', 't'], "T", 1);
    let instant = |pattern| DateTime::parse_from_str(&text, pattern).ok().map(|instant| Moment::Instant(instant.to_utc()));
    let local = |pattern| NaiveDateTime::parse_from_str(&text, pattern).ok().map(Moment::Local);
    instant("%Y-%m-%dT%H:%M:%S%.f%#z")
        .or_else(|| instant("%Y-%m-%dT%H:%M%#z"))
        .or_else(|| local("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|| local("%Y-%m-%dT%H:%M"))
}

/// Days since 1899-12-30 with the time of day as fraction. Sources hand it over as a binary fraction, so that a time comes out a few
/// microseconds beside what was typed; rounding to the millisecond, the finest a sheet shows, brings it back.
fn serial(text: &str) -> Option<Moment> {
    const DAY: u128 = 86_400_000;
    let exact = Exact::plain(text)?;
    let days: i64 = exact.whole.parse().ok()?;
    let digits = &exact.fraction[..exact.fraction.len().min(20)];
    let scale = 10u128.pow(digits.len() as u32);
    let millis = if digits.is_empty() { 0 } else { (digits.parse::<u128>().ok()? * DAY + scale / 2) / scale };
    let total = i128::from(days) * DAY as i128 + millis as i128;
    let total = i64::try_from(if exact.negative { -total } else { total }).ok()?;
    let start = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_time(chrono::NaiveTime::MIN);
    let local = start.checked_add_signed(TimeDelta::try_milliseconds(total)?)?;
    Some(if exact.fraction.bytes().all(|digit| digit == b'0') { Moment::Day(local.date()) } else { Moment::Local(local) })
}

/// Units since 1970 of which a microsecond is the `places`-th decimal. Digits below a microsecond leave a trace in the nanoseconds, so that they
/// are not lost unseen; the microseconds are never rounded up.
fn epoch(text: &str, places: usize) -> Option<Moment> {
    let exact = Exact::plain(text)?;
    let kept = &exact.fraction[..exact.fraction.len().min(places)];
    let finer = exact.fraction[kept.len()..].bytes().any(|digit| digit != b'0');
    let micros: i64 = format!("{}{kept:0<places$}", exact.whole).parse().ok()?;
    let micros = if exact.negative { -micros - i64::from(finer) } else { micros };
    let instant = DateTime::<Utc>::from_timestamp_micros(micros)?;
    instant.checked_add_signed(TimeDelta::nanoseconds(finer.into())).map(Moment::Instant)
}

/// The opposite of [`serial`]. A sheet keeps a binary fraction of about these many digits.
fn days(local: NaiveDateTime) -> String {
    const DAY: u128 = 86_400_000_000;
    const DIGITS: u32 = 11;
    let start = NaiveDate::from_ymd_opt(1899, 12, 30).unwrap_or_default().and_time(NaiveTime::MIN);
    let micros = local.signed_duration_since(start).num_microseconds().unwrap_or(i64::MAX);
    let (whole, rest) = (u128::from(micros.unsigned_abs()) / DAY, u128::from(micros.unsigned_abs()) % DAY);
    let fraction = (rest * 10u128.pow(DIGITS) + DAY / 2) / DAY;
    decimal(micros < 0, whole, fraction, DIGITS as usize)
}

/// The opposite of [`epoch`].
fn units(micros: i64, places: usize) -> String {
    let (one, amount) = (10u128.pow(places as u32), u128::from(micros.unsigned_abs()));
    decimal(micros < 0, amount / one, amount % one, places)
}

fn decimal(negative: bool, whole: u128, fraction: u128, places: usize) -> String {
    let sign = if negative { "-" } else { "" };
    let fraction = format!("{fraction:0>places$}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

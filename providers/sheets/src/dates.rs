//! Serial dates: days since 1899-12-30 with the time of day as fraction, and no time zone inside.

use chrono::{DateTime, Duration, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// What a column's number format makes of a serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DateKind {
    /// `2026-03-01`; a time of day, which the sheet does not show either, is left out.
    Date,
    /// A time of day or a duration, `09:30:00`; durations may have more than 24 hours.
    Time,
    /// RFC 3339 in the spreadsheet's time zone.
    DateTime,
}

impl DateKind {
    /// The kind of a `numberFormat.type`, if it is one of a date or time.
    pub(crate) fn of_format(name: &str) -> Option<Self> {
        match name {
            "DATE" => Some(Self::Date),
            "TIME" => Some(Self::Time),
            "DATE_TIME" => Some(Self::DateTime),
            _ => None,
        }
    }
}

/// A spreadsheet's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// `America/New_York`.
    Named(Tz),
    /// `GMT-07:00`.
    Fixed(FixedOffset),
}

impl Zone {
    /// Reads the name as Sheets gives it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Ok(zone) = name.parse() {
            return Some(Self::Named(zone));
        }
        let offset = name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC"))?;
        let (east, clock) = match offset.strip_prefix('+') {
            Some(clock) => (1, clock),
            None => (-1, offset.strip_prefix('-')?),
        };
        let (hours, minutes) = clock.split_once(':').unwrap_or((clock, "0"));
        let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok().filter(|minutes| *minutes < 60)?);
        FixedOffset::east_opt(east * (i32::from(hours) * 60 + i32::from(minutes)) * 60).map(Self::Fixed)
    }

    fn stamp(self, local: NaiveDateTime) -> Option<String> {
        match self {
            Self::Named(zone) => stamp(&zone, local),
            Self::Fixed(zone) => stamp(&zone, local),
        }
    }
}

/// A serial number as text, exact to the millisecond; `None` outside the years 1 to 9999.
pub(crate) fn render(serial: f64, kind: DateKind, zone: Zone) -> Option<String> {
    let millis = (serial * 86_400_000.0).round();
    if kind == DateKind::Time {
        return (millis.abs() < 1e15).then(|| clock(millis as i64));
    }
    if millis.abs() > 1e15 {
        return None;
    }
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_hms_opt(0, 0, 0)?;
    let local = epoch.checked_add_signed(Duration::milliseconds(millis as i64)).filter(|local| in_range(&local.date()))?;
    match kind {
        DateKind::Date => Some(local.date().to_string()),
        _ => zone.stamp(local),
    }
}

fn in_range(date: &NaiveDate) -> bool {
    use chrono::Datelike;
    (1..=9999).contains(&date.year())
}

fn clock(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.abs();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}") };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A local time that the clocks skip moves on by the gap; of one that they show twice the first counts.
fn stamp<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Option<String>
where
    Z::Offset: std::fmt::Display,
{
    let time = match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => time,
        MappedLocalTime::None => {
            let before = zone.offset_from_local_datetime(&(local - Duration::days(1))).earliest()?;
            zone.from_utc_datetime(&(local - before.fix()))
        }
    };
    let precision = if time.timestamp_subsec_millis() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    // RFC 3339 has no seconds in offsets, local mean time before about 1900 does.
    if time.offset().fix().local_minus_utc() % 60 == 0 {
        Some(time.to_rfc3339_opts(precision, false))
    } else {
        Some(DateTime::<Utc>::from(time.fixed_offset()).to_rfc3339_opts(precision, true))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn serial_numbers_become_what_their_column_shows() {
        use DateKind::{Date, DateTime, Time};
        let cases = [
            (2.5, Date, "UTC", Some("1900-01-01")),
            (2.5, DateTime, "UTC", Some("1900-01-01T12:00:00+00:00")),
            (33.625, DateTime, "GMT-07:00", Some("1900-02-01T15:00:00-07:00")),
            (25_569.0, DateTime, "Etc/GMT", Some("1970-01-01T00:00:00+00:00")),
            (0.0, Date, "UTC", Some("1899-12-30")),
            (-0.25, DateTime, "UTC", Some("1899-12-29T18:00:00+00:00")),
            (60.0, Date, "UTC", Some("1900-02-28")),
            (61.0, Date, "UTC", Some("1900-03-01")),
            (46_204.395_833_333_336, DateTime, "America/New_York", Some("2026-07-01T09:30:00-04:00")),
            (46_204.395_833_345, DateTime, "Europe/Berlin", Some("2026-07-01T09:30:00.001+02:00")),
            (46_203.999_999_999_99, Date, "UTC", Some("2026-07-01")),
            (46_089.104_166_666_664, DateTime, "America/New_York", Some("2026-03-08T03:30:00-04:00")),
            (46_327.062_5, DateTime, "America/New_York", Some("2026-11-01T01:30:00-04:00")),
            (-10_000.0, DateTime, "America/New_York", Some("1872-08-13T04:56:02Z")),
            (2_958_465.0, Date, "UTC", Some("9999-12-31")),
            (2_958_466.0, Date, "UTC", None),
            (1e300, Date, "UTC", None),
            (1e300, Time, "UTC", None),
            (0.395_833_333_333_333_3, Time, "UTC", Some("09:30:00")),
            (1.520_833_333_333_333_3, Time, "UTC", Some("36:30:00")),
            (-0.041_666_666_666_666_664, Time, "UTC", Some("-01:00:00")),
            (0.000_000_011_574_074, Time, "UTC", Some("00:00:00.001")),
        ];
        for (serial, kind, zone, expected) in cases {
            let zone = Zone::parse(zone).expect("a zone");
            assert_eq!(render(serial, kind, zone).as_deref(), expected, "{serial} as {kind:?}");
        }
    }

    #[test]
    fn zones_are_names_or_offsets_from_greenwich() {
        let east = |minutes: i32| FixedOffset::east_opt(minutes * 60).map(Zone::Fixed);
        let cases = [
            ("Asia/Kolkata", Some(Zone::Named(Tz::Asia__Kolkata))),
            ("GMT-07:00", east(-420)),
            ("GMT+05:30", east(330)),
            ("GMT+5", east(300)),
            ("UTC-3", east(-180)),
            ("GMT+99:00", None),
            ("GMT+05:75", None),
            ("Moon/Tycho", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Zone::parse(name), expected, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn milliseconds_survive(millis in -62_000_000_000_000i64..253_000_000_000_000) {
            let time = DateTime::<Utc>::from_timestamp_millis(millis).expect("inside the range");
            let serial = millis as f64 / 86_400_000.0 + 25_569.0;
            let text = render(serial, DateKind::DateTime, Zone::Fixed(FixedOffset::east_opt(0).expect("zero"))).expect("inside the years");
            prop_assert_eq!(DateTime::parse_from_rfc3339(&text).expect("RFC 3339"), time);
        }
    }
}

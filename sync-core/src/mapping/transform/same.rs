//! When a value that came back is the one that was sent.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{date::Moment, date_format::iso, exact::Exact};
use crate::mapping::Cell;

/// Whether what came back says the same as what was sent: numbers by their digits, objects whatever the order of their members, and
/// where a time comes back, times by their instant.
///
/// A database without a type for it hands over a boolean as 0 or 1, and a number or an object as text (or text of digits as a number);
/// these count as the same too, since what came back is stored as what it was.
pub(in crate::mapping) fn same(ours: &str, again: &str) -> bool {
    if ours == again {
        return true;
    }
    let first = |json: &str| json.bytes().next().unwrap_or_default();
    match (first(ours), first(again)) {
        (b'"', b'"') => {
            let (ours, again) = (text(ours), text(again));
            ours == again || (is_written_time(&again) && instant(&ours).is_some_and(|ours| instant(&again) == Some(ours)))
        }
        (b'"', _) => in_text(&text(ours), again),
        (b'-' | b'0'..=b'9', b'"') => {
            let again = text(again);
            matches!(first(&again), b'-' | b'0'..=b'9') && in_text(&again, ours)
        }
        (b'{', b'{') => {
            let parse = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>;
            let (Ok(ours), Ok(again)) = (parse(ours), parse(again)) else { return false };
            let member = |name, json: &RawValue| again.get(name).is_some_and(|again| same(json.get(), again.get()));
            ours.len() == again.len() && ours.iter().all(|(name, json)| member(name, json))
        }
        (b'[', b'[') => {
            let parse = serde_json::from_str::<Vec<&RawValue>>;
            let (Ok(ours), Ok(again)) = (parse(ours), parse(again)) else { return false };
            ours.len() == again.len() && ours.iter().zip(&again).all(|(ours, again)| same(ours.get(), again.get()))
        }
        (b't' | b'f', _) | (_, b't' | b'f') => truth(ours) == truth(again),
        _ => Exact::plain(ours).zip(Exact::plain(again)).is_some_and(|(ours, again)| ours.equals(&again)),
    }
}

fn text(json: &str) -> Cow<'_, str> {
    Cell::of(Some(json)).text().unwrap_or_default()
}

/// Whether a text holds this value, which is none itself.
fn in_text(text: &str, json: &str) -> bool {
    !text.starts_with('"') && serde_json::from_str::<&RawValue>(text).is_ok_and(|inner| inner.get() == text && same(text, json))
}

fn truth(json: &str) -> Option<bool> {
    match json {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Whether it is a time just as the transform `date` writes it.
fn is_written_time(text: &str) -> bool {
    let pattern = b"0000-00-00T00:00:00.000000Z";
    let fits = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == pattern.len() && text.bytes().zip(*pattern).all(fits)
}

/// The instant of a text that has a time of day; one without a zone is in UTC.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    match iso(text)? {
        Moment::Instant(instant) => Some(instant),
        Moment::Local(local) => Some(local.and_utc()),
        Moment::Day(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn values_are_the_same_by_what_they_say() {
        for (ours, again) in [
            ("1.50", "1.5"),
            ("1e3", "1000"),
            ("-0", "0.0"),
            (r#""\u00e9""#, r#""é""#),
            (r#"{"a":1,"b":[2.0]}"#, r#"{ "b": [2], "a": 1 }"#),
            ("true", "1"),
            ("0", "false"),
            (r#""12""#, "12"),
            ("12", r#""12""#),
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""2024-01-31T10:00:00Z""#, r#""2024-01-31T10:00:00.000000Z""#),
            (r#""2024-01-31 11:00:00+01:00""#, r#""2024-01-31T10:00:00.000000Z""#),
            (r#""2024-01-31 10:00:00""#, r#""2024-01-31T10:00:00.000000Z""#),
        ] {
            assert!(same(ours, again), "{ours} {again}");
        }
        for (ours, again) in [
            ("1", "2"),
            ("1", "-1"),
            ("12345678901234567890", "12345678901234567891"),
            ("0.1", "0.10000000000000001"),
            ("true", "false"),
            ("true", "2"),
            ("0", r#""false""#),
            ("true", r#""1""#),
            ("null", "0"),
            ("null", r#""""#),
            (r#""a""#, r#""A""#),
            (r#""007""#, "7"),
            (r#"" 5""#, "5"),
            (r#"{"a":1}"#, r#""{\"a\":1}""#),
            ("[1]", r#"{"a":1}"#),
            (r#""\"a\"""#, r#""a""#),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("[1]", "[1,1]"),
            (r#""2024-01-31T10:00:00Z""#, r#""2024-01-31T10:00:01.000000Z""#),
            (r#""2024-01-31T10:00:00.000000Z""#, r#""2024-01-31t10:00:00.000000z""#),
            (r#""2024-01-31""#, r#""2024-01-31T00:00:00.000000Z""#),
        ] {
            assert!(!same(ours, again), "{ours} {again}");
        }
    }
}

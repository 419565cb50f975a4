//! Cells of records as the texts that columns are written with.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::value::RawValue;

use crate::{
    host::{Class, HostColumn},
    table::Form,
    value::{self, Misfit},
};

/// A cell as it is sent to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    /// The column's text; `None` for null.
    Fits(Option<Cow<'a, str>>),
    /// The column cannot hold it: its JSON text goes into `extra`.
    Extra(&'a str),
}

/// A cell for a column of ours; `None` as form when the field has none.
///
/// # Errors
/// What is wrong with a value that PostgreSQL cannot hold.
pub(super) fn managed(json: &str, form: Option<Form>) -> Result<Cell<'_>, &'static str> {
    check(json)?;
    if json == "null" {
        return Ok(Cell::Fits(None));
    }
    let first = json.as_bytes().first().copied().unwrap_or_default();
    let fits = match form {
        Some(Form::Text) if first == b'"' => Some(text(json)?),
        Some(Form::Integer) if is_number(first) => integer(json),
        Some(Form::Number) if is_number(first) => Some(Cow::Borrowed(json)),
        Some(Form::Boolean) if matches!(first, b't' | b'f') => Some(Cow::Borrowed(json)),
        Some(Form::Json) => Some(Cow::Borrowed(json)),
        _ => None,
    };
    Ok(fits.map_or(Cell::Extra(json), |text| Cell::Fits(Some(text))))
}

/// A cell for a column of the host's: the text its type reads.
///
/// # Errors
/// What is wrong with a value that PostgreSQL cannot hold.
pub(super) fn host<'a>(json: &'a str, column: &HostColumn) -> Result<Option<Cow<'a, str>>, &'static str> {
    check(json)?;
    if json == "null" {
        return Ok(None);
    }
    let first = json.as_bytes().first().copied().unwrap_or_default();
    Ok(Some(match column.class {
        Class::Json => Cow::Borrowed(json),
        Class::Array { .. } if first == b'[' => Cow::Owned(list(json)?),
        Class::Integer if is_number(first) => integer(json).unwrap_or(Cow::Borrowed(json)),
        _ if first == b'"' => text(json)?,
        _ => Cow::Borrowed(json),
    }))
}

fn is_number(first: u8) -> bool {
    first == b'-' || first.is_ascii_digit()
}

/// The text inside a JSON string.
fn text(json: &str) -> Result<Cow<'_, str>, &'static str> {
    let inner = &json[1..json.len() - 1];
    if inner.contains('\\') {
        return serde_json::from_str(json).map(Cow::Owned).map_err(|_| BROKEN);
    }
    Ok(Cow::Borrowed(inner))
}

const BROKEN: &str = "the cell is not a JSON value";

/// Refuses what PostgreSQL can hold neither in text nor in JSON.
fn check(json: &str) -> Result<(), &'static str> {
    if json.is_empty() {
        return Err(BROKEN);
    }
    value::check_json(json).map_err(Misfit::reason)
}

/// The digits of a JSON number that is whole and fits 64 bits, however it is written: `5`, `5.0`, `50e-1`.
fn integer(json: &str) -> Option<Cow<'_, str>> {
    if json.parse::<i64>().is_ok() {
        return Some(Cow::Borrowed(if json == "-0" { "0" } else { json }));
    }
    let (mantissa, exponent) = match json.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (json, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut digits = format!("{whole}{fraction}");
    let mut shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    while shift < 0 && digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
        shift += 1;
    }
    let digits = digits.trim_start_matches('0');
    match (digits.is_empty(), shift) {
        (true, _) => return Some("0".into()),
        (false, 0..=19) => {}
        _ => return None,
    }
    let zeros = usize::try_from(shift).ok()?;
    let text = format!("{sign}{digits}{}", "0".repeat(zeros));
    text.parse::<i64>().ok().map(|_| Cow::Owned(text))
}

/// A JSON list as PostgreSQL reads arrays.
fn list(json: &str) -> Result<String, &'static str> {
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| BROKEN)?;
    let mut array = String::from("{");
    for (at, item) in items.iter().map(|item| item.get()).enumerate() {
        if at > 0 {
            array.push(',');
        }
        match item.as_bytes().first() {
            Some(b'[') => array.push_str(&list(item)?),
            Some(b'n') => array.push_str("NULL"),
            Some(b'"') => element(&text(item)?, &mut array),
            _ => element(item, &mut array),
        }
    }
    array.push('}');
    Ok(array)
}

/// Appends one element of an array, quoted.
fn element(text: &str, array: &mut String) {
    array.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            array.push('\\');
        }
        array.push(letter);
    }
    array.push('"');
}

/// Texts as PostgreSQL reads an array of them.
pub(super) fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut array = String::from("{");
    for (at, text) in texts.enumerate() {
        if at > 0 {
            array.push(',');
        }
        element(text, &mut array);
    }
    array.push('}');
    array
}

/// Appends a text as a JSON string.
pub(super) fn quote(text: &str, json: &mut String) {
    json.push('"');
    for letter in text.chars() {
        match letter {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            letter => json.push(letter),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_go_where_they_fit_and_keep_their_kind() {
        let fits = |text: &'static str| Cell::Fits(Some(Cow::Borrowed(text)));
        for (json, form, expected) in [
            ("null", Some(Form::Text), Cell::Fits(None)),
            ("null", None, Cell::Fits(None)),
            (r#""""#, Some(Form::Text), fits("")),
            (r#""7""#, Some(Form::Text), fits("7")),
            ("7", Some(Form::Text), Cell::Extra("7")),
            (r#""7""#, Some(Form::Integer), Cell::Extra(r#""7""#)),
            ("7", Some(Form::Integer), fits("7")),
            ("7.0", Some(Form::Integer), fits("7")),
            ("7.5", Some(Form::Integer), Cell::Extra("7.5")),
            ("9223372036854775808", Some(Form::Integer), Cell::Extra("9223372036854775808")),
            ("9223372036854775808", Some(Form::Number), fits("9223372036854775808")),
            ("true", Some(Form::Boolean), fits("true")),
            ("1", Some(Form::Boolean), Cell::Extra("1")),
            (r#""x""#, Some(Form::Json), fits(r#""x""#)),
            ("[1]", Some(Form::Text), Cell::Extra("[1]")),
            (r#""x""#, None, Cell::Extra(r#""x""#)),
        ] {
            assert_eq!(managed(json, form), Ok(expected), "{json} {form:?}");
        }
    }

    #[test]
    fn what_postgresql_cannot_hold_is_refused_whatever_the_column() {
        for form in [None, Some(Form::Text), Some(Form::Json), Some(Form::Integer)] {
            for json in [r#""a\u0000b""#, r#""\ud83e""#, r#"{"a":"\u0000"}"#, ""] {
                assert!(managed(json, form).is_err(), "{json} {form:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_one_however_they_are_written() {
        for (json, digits) in [
            ("5", Some("5")),
            ("5.0", Some("5")),
            ("5e0", Some("5")),
            ("1e2", Some("100")),
            ("1.50e1", Some("15")),
            ("500e-2", Some("5")),
            ("0.0", Some("0")),
            ("-0", Some("0")),
            ("-0.0", Some("0")),
            ("-5.00", Some("-5")),
            ("0e99", Some("0")),
            ("5.1", None),
            ("1e30", None),
            ("1e-1", None),
            ("9223372036854775808", None),
            ("-9223372036854775808.0", Some("-9223372036854775808")),
            ("1e99999999999", None),
        ] {
            assert_eq!(integer(json).as_deref(), digits, "{json}");
        }
    }

    #[test]
    fn lists_are_written_as_arrays() {
        for (json, array) in [
            ("[]", "{}"),
            (r#"["a","b c",null,"NULL",""]"#, r#"{"a","b c",NULL,"NULL",""}"#),
            (r#"[1,2.5,true]"#, r#"{"1","2.5","true"}"#),
            (r#"[["a"],["b"]]"#, r#"{{"a"},{"b"}}"#),
            (r#"["q\"b\\s{,}"]"#, r#"{"q\"b\\s{,}"}"#),
            (r#"[{"a":"x"}]"#, r#"{"{\"a\":\"x\"}"}"#),
        ] {
            assert_eq!(list(json).as_deref(), Ok(array), "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn texts_reach_a_text_column_as_they_are(text in "[^\\x00]*") {
            let json = serde_json::to_string(&text).expect("text is JSON");
            prop_assert_eq!(managed(&json, Some(Form::Text)), Ok(Cell::Fits(Some(Cow::Owned(text.clone())))));
            let mut quoted = String::new();
            quote(&text, &mut quoted);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("JSON"), text);
        }

        #[test]
        fn whole_numbers_keep_their_value(number: i64, zeros in 0..4usize) {
            let json = format!("{number}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(integer(&json).map(|text| text.parse::<i64>()), Some(Ok(number)));
        }
    }
}

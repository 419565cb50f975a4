//! One value on its way into a cell.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Characters one cell takes, as UTF-16 counts them, which is the stricter reading of Google's limit.
const LONGEST: usize = 50_000;

/// What is written to a cell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing: it stays as it is.
    Keep,
    /// Blank.
    Clear,
    /// This text, number or boolean, as JSON.
    Value(&'a RawValue),
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => to.serialize_none(),
            Self::Clear => to.serialize_str(""),
            Self::Value(value) => value.serialize(to),
        }
    }
}

impl<'a> Cell<'a> {
    /// The cell a value becomes, or why there is none.
    pub(super) fn of(value: &'a RawValue) -> Result<Self, String> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'n') => return Ok(Self::Clear),
            Some(b'[' | b'{') => return Err("a list or object fits into no cell; send it as text".into()),
            Some(b'"') if text == "\"\"" => return Ok(Self::Clear),
            Some(b'"') => {
                // Escapes are longer than what they stand for, so that only long texts have to be counted.
                if text.len() > LONGEST {
                    let length = serde_json::from_str::<String>(text).map_or(usize::MAX, |text| text.encode_utf16().count());
                    if length > LONGEST {
                        return Err(format!("the text has {length} characters, and a cell takes {LONGEST}"));
                    }
                }
            }
            Some(b't' | b'f') => {}
            _ if is_exact(text) => {}
            _ => return Err(format!("Sheets cannot hold the number {text} exactly; send it as text")),
        }
        Ok(Self::Value(value))
    }

    /// Whether a cell that was read holds this.
    pub(super) fn stands_in(&self, read: Option<&RawValue>) -> bool {
        let read = read.filter(|cell| !crate::map::is_blank(cell));
        match (self, read) {
            (Self::Keep, _) | (Self::Clear, None) => true,
            (Self::Clear, Some(_)) | (Self::Value(_), None) => false,
            (Self::Value(sent), Some(read)) => same(sent.get(), read.get()),
        }
    }
}

/// Whether two values are equal: numbers by what they are, texts by what they say.
fn same(one: &str, other: &str) -> bool {
    match (one.starts_with('"'), other.starts_with('"')) {
        (true, true) => {
            matches!((serde_json::from_str::<String>(one), serde_json::from_str::<String>(other)), (Ok(one), Ok(other)) if one == other)
        }
        (false, false) => one == other || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one == other),
        _ => false,
    }
}

/// Whether a double gives the number back as it was written: 0.1 does, an id above 2^53 may not.
fn is_exact(number: &str) -> bool {
    let Some(double) = number.parse::<f64>().ok().filter(|double| double.is_finite()) else { return false };
    if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        // What is written digit by digit is meant digit by digit.
        return number.parse::<i128>().is_ok_and(|whole| double as i128 == whole);
    }
    // Halfway between two shortest forms, one writer takes the one and another the other: to as many digits as were given is good too.
    let Some((digits, place)) = significant(number) else { return false };
    let given = format!("{double:.*e}", digits.len().saturating_sub(1).min(16));
    [format!("{double:e}"), given].iter().any(|form| significant(form).is_some_and(|form| form == (digits.clone(), place)))
}

/// A number's digits without zeros at either end, and the place of the first; `None` where the exponent is beyond all reason.
fn significant(number: &str) -> Option<(String, i64)> {
    let number = number.trim_start_matches('-');
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let trimmed = digits.trim_matches('0');
    if trimmed.is_empty() {
        return Some((String::new(), 0));
    }
    let place = whole.len() as i64 - leading as i64;
    Some((trimmed.to_owned(), exponent.parse::<i64>().ok()?.checked_add(place)?))
}

/// The text a value has as a key once Sheets shows it: numbers in their shortest form, whole ones without fraction, all without exponent
/// where that is usual.
pub(super) fn key_part(value: &RawValue) -> Option<String> {
    let text = value.get();
    if let Some(number) = crate::map::number(value) {
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            return Some(format!("{}", number as i64));
        }
        if (1e-6..1e15).contains(&number.abs()) {
            return Some(number.to_string());
        }
    }
    sync_core::key_text(text).map(|text| text.into_owned()).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn a_value_is_written_as_it_is_or_refused_with_advice() {
        let long = |n: usize| format!("\"{}\"", "ü".repeat(n));
        let cases: Vec<(String, Result<&str, &str>)> = vec![
            ("null".into(), Ok("\"\"")),
            ("\"\"".into(), Ok("\"\"")),
            ("\"=1+1\"".into(), Ok("\"=1+1\"")),
            ("\"line\\nbreak \\ud83d\\ude00\"".into(), Ok("\"line\\nbreak \\ud83d\\ude00\"")),
            ("true".into(), Ok("true")),
            ("0.1".into(), Ok("0.1")),
            ("-12.50".into(), Ok("-12.50")),
            ("1E3".into(), Ok("1E3")),
            ("9007199254740992".into(), Ok("9007199254740992")),
            ("-0.0".into(), Ok("-0.0")),
            ("9007199254740993".into(), Err("send it as text")),
            ("57691685283815990".into(), Err("send it as text")),
            ("57691685283815992".into(), Ok("57691685283815992")),
            ("0.12345678901234567890".into(), Err("send it as text")),
            ("1809755824173093.2".into(), Ok("1809755824173093.2")),
            ("1809755824173093.3".into(), Ok("1809755824173093.3")),
            ("999999999999999.99".into(), Err("send it as text")),
            ("1e400".into(), Err("send it as text")),
            ("1e99999999999999999999".into(), Err("send it as text")),
            ("1e-400".into(), Err("send it as text")),
            ("[1]".into(), Err("a list or object")),
            ("{\"a\":1}".into(), Err("a list or object")),
            (long(50_001), Err("50001 characters")),
        ];
        for (json, expected) in cases {
            let value = raw(&json);
            let cell = Cell::of(&value).map(|cell| serde_json::to_string(&cell).expect("JSON"));
            match expected {
                Ok(text) => assert_eq!(cell.as_deref(), Ok(text)),
                Err(words) => assert!(cell.as_ref().is_err_and(|text| text.contains(words)), "{json:.40}: {cell:?}"),
            }
        }
        assert!(Cell::of(&raw(&long(50_000))).is_ok(), "as long as it may be");
    }

    #[test]
    fn cells_that_were_read_are_compared_by_what_they_hold() {
        for (sent, read, equal) in [
            ("1.0", Some("1"), true),
            ("\"1\"", Some("1"), false),
            ("\"\\u00e9\"", Some("\"é\""), true),
            ("null", None, true),
            ("null", Some("\"\""), true),
            ("null", Some("0"), false),
            ("true", Some("true"), true),
            ("2", None, false),
        ] {
            let (sent, read) = (raw(sent), read.map(raw));
            assert_eq!(Cell::of(&sent).expect("a value").stands_in(read.as_deref()), equal, "{sent} {read:?}");
        }
        assert!(Cell::Keep.stands_in(Some(&raw("7"))));
    }

    #[test]
    fn a_key_is_what_sheets_will_show() {
        for (json, key) in [
            ("1.0", Some("1")),
            ("1e3", Some("1000")),
            ("0.50", Some("0.5")),
            ("-0.0", Some("0")),
            ("\"007\"", Some("007")),
            ("null", None),
            ("\" \"", None),
            ("true", Some("true")),
        ] {
            assert_eq!(key_part(&raw(json)).as_deref(), key, "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whole_numbers_are_taken_if_and_only_if_a_double_holds_them(number: i64) {
            prop_assert_eq!(is_exact(&number.to_string()), number as f64 as i128 == i128::from(number));
        }

        #[test]
        fn every_double_is_taken_as_it_is_written(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert!(is_exact(&serde_json::to_string(&number).expect("JSON")));
        }
    }
}

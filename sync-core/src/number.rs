//! Numbers and values as readers get them: exact, or as their digits.

use std::fmt::Write as _;

/// Digits without leading and trailing zeros, and the power of ten of the last of them.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    negative: bool,
    digits: [u8; MOST],
    len: usize,
    exponent: i64,
}

/// More digits than any float's shortest text has (17), or an integer below 2^63 (19).
const MOST: usize = 24;

impl Parts {
    /// `None` when there are more digits than any float's shortest text has, or an exponent beyond all bounds.
    fn of(text: &str) -> Option<Self> {
        let mut parts = Self { negative: text.starts_with('-'), digits: [0; MOST], len: 0, exponent: 0 };
        let (mantissa, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (mut after_point, mut zeros, mut point) = (0i64, 0usize, false);
        for byte in mantissa.bytes() {
            match byte {
                b'.' => point = true,
                b'0'..=b'9' => {
                    after_point += i64::from(point);
                    if byte == b'0' {
                        // Leading zeros say nothing, trailing ones only move the exponent.
                        zeros += usize::from(parts.len > 0);
                        continue;
                    }
                    if parts.len + zeros >= MOST {
                        return None;
                    }
                    parts.len += zeros;
                    parts.digits[parts.len] = byte - b'0';
                    parts.len += 1;
                    zeros = 0;
                }
                _ => {}
            }
        }
        parts.exponent = if parts.len == 0 { 0 } else { i64::from(power) - after_point + zeros as i64 };
        parts.negative &= parts.len > 0;
        Some(parts)
    }
}

/// The float with exactly this JSON number's value as people read it: its shortest text is the same number. `None` when there is none.
#[must_use]
pub fn exact_float(text: &str) -> Option<f64> {
    let float: f64 = text.parse().ok()?;
    if !float.is_finite() {
        return None;
    }
    let asked = Parts::of(text)?;
    // Up to 15 digits always come back from a float in the normal range.
    let top = asked.exponent + asked.len as i64;
    if asked.len == 0 || (asked.len <= 15 && (-290..290).contains(&top)) {
        return Some(float);
    }
    let mut shortest = String::with_capacity(32);
    write!(shortest, "{float:e}").expect("a String takes any text");
    (Parts::of(&shortest)? == asked).then_some(float)
}

/// A JSON value for readers. A number that no `Value` holds exactly comes as a string with its digits.
#[must_use]
pub fn json_value(json: &str) -> serde_json::Value {
    let first = json.as_bytes().first().copied().unwrap_or(b'n');
    if first == b'-' || first.is_ascii_digit() {
        return if let Ok(integer) = json.parse::<i64>() {
            integer.into()
        } else if let Ok(integer) = json.parse::<u64>() {
            integer.into()
        } else if let Some(float) = exact_float(json) {
            float.into()
        } else {
            json.into()
        };
    }
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_numbers_a_float_holds_exactly_are_taken() {
        for (text, holds) in [
            ("0.1", true),
            ("1.10", true),
            ("0.0", true),
            ("-0.0", true),
            ("100", true),
            ("1e2", true),
            ("1E+2", true),
            ("0.30000000000000004", true),
            ("0.3000000000000000444", false),
            ("0.1000000000000000000001", false),
            ("12345678901234567890", false),
            ("10000000000000000000", true),
            ("18446744073709551615", false),
            ("1e400", false),
            ("1e-400", false),
            ("5e-324", true),
            ("4.9e-324", false),
            ("1.7976931348623157e308", true),
            ("123456789012345678901234567890", false),
            ("1e99999999999", false),
            ("0.000000000000000000000000000000000000000000000001", true),
        ] {
            assert_eq!(exact_float(text).is_some(), holds, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_float_is_held_in_each_way_to_write_it(float in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
            for text in [format!("{float}"), format!("{float:e}"), format!("{float:?}")] {
                prop_assert_eq!(exact_float(&text).map(f64::to_bits), Some(float.to_bits()), "{}", text);
            }
        }

        #[test]
        fn a_digit_more_than_the_shortest_text_is_another_number(float in -1e10f64..1e10, digit in 1..=9u8) {
            let longer = format!("{float:.25}{digit}");
            prop_assert_eq!(exact_float(&longer), None);
        }
    }
}

//! JSON values as PostgreSQL keeps them, in the binary form COPY takes.

use crate::table::Form;

/// Why a value cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Its kind is not the column's, or it is out of the column's range: it goes into `extra`.
    Kind,
    /// PostgreSQL has no way to hold it at all.
    Never(&'static str),
}

impl Misfit {
    /// What is wrong, for a person.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Kind => "the value is not one of the column's kind",
            Self::Never(reason) => reason,
        }
    }
}

pub(crate) const NUL: &str = "the text holds a NUL character (\\u0000), which PostgreSQL cannot hold";
const SURROGATE: &str = "the text is not Unicode: half of a surrogate pair stands alone";
const HUGE: &str = "the number is beyond what PostgreSQL can hold (131,072 digits before the point, 16,383 after it)";

/// Appends bytes.
pub(crate) fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as i32).to_be_bytes());
    out.extend(bytes);
}

/// Appends a length and what `write` writes.
fn written(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Misfit>) -> Result<(), Misfit> {
    let at = out.len();
    out.extend([0; 4]);
    if let Err(misfit) = write(out) {
        out.truncate(at);
        return Err(misfit);
    }
    let length = i32::try_from(out.len() - at - 4).map_err(|_| Misfit::Never("the value is larger than 2 GiB"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Appends NULL.
pub(crate) fn null(out: &mut Vec<u8>) {
    out.extend((-1i32).to_be_bytes());
}

/// Appends text.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    sized(out, text.as_bytes());
}

/// Appends a 64-bit number.
pub(crate) fn bigint(out: &mut Vec<u8>, value: i64) {
    out.extend(8i32.to_be_bytes());
    out.extend(value.to_be_bytes());
}

/// Appends a list of texts.
pub(crate) fn texts<'a>(out: &mut Vec<u8>, list: impl ExactSizeIterator<Item = &'a str>) {
    const TEXT: i32 = 25;
    let at = out.len();
    out.extend([0; 4]);
    for header in [1, 0, TEXT, list.len() as i32, 1] {
        out.extend(i32::to_be_bytes(header));
    }
    for item in list {
        text(out, item);
    }
    let length = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a JSON value in its column's form.
///
/// # Errors
/// What is wrong with it; nothing was appended then.
pub(crate) fn encode(out: &mut Vec<u8>, json: &str, form: Form) -> Result<(), Misfit> {
    let first = json.as_bytes().first().copied().ok_or(Misfit::Never("the cell is not a JSON value"))?;
    if json == "null" {
        null(out);
        return Ok(());
    }
    match (form, first) {
        (Form::Text, b'"') => written(out, |out| unescape(json, out)),
        (Form::Integer, b'-' | b'0'..=b'9') => {
            let value = json.parse().map_err(|_| Misfit::Kind)?;
            bigint(out, value);
            Ok(())
        }
        (Form::Number, b'-' | b'0'..=b'9') => written(out, |out| numeric(json, out)),
        (Form::Boolean, b't' | b'f') => {
            out.extend(1i32.to_be_bytes());
            out.push(u8::from(first == b't'));
            Ok(())
        }
        (Form::Json, _) => jsonb(out, json),
        _ => Err(Misfit::Kind),
    }
}

/// Appends JSON text as jsonb.
pub(crate) fn jsonb(out: &mut Vec<u8>, json: &str) -> Result<(), Misfit> {
    check_json(json)?;
    written(out, |out| {
        out.push(1);
        out.extend(json.as_bytes());
        Ok(())
    })
}

/// Whether jsonb takes the texts in it: no NUL, no half of a surrogate pair.
pub(crate) fn check_json(json: &str) -> Result<(), Misfit> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found + 1;
        if bytes.get(at) == Some(&b'u') {
            let unit = |at: usize| json.get(at + 1..at + 5).and_then(|digits| u16::from_str_radix(digits, 16).ok());
            match unit(at) {
                Some(0) => return Err(Misfit::Never(NUL)),
                Some(0xd800..0xdc00) if json.get(at + 5..at + 7) == Some("\\u") => match unit(at + 6) {
                    Some(0xdc00..0xe000) => at += 6,
                    _ => return Err(Misfit::Never(SURROGATE)),
                },
                Some(0xd800..0xe000) => return Err(Misfit::Never(SURROGATE)),
                _ => {}
            }
        }
        at += 1;
    }
    Ok(())
}

/// The text of a JSON string.
fn unescape(json: &str, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let inner = &json[1..json.len() - 1];
    if inner.as_bytes().contains(&b'\\') {
        check_json(json)?;
        let text: String = serde_json::from_str(json).map_err(|_| Misfit::Never(SURROGATE))?;
        out.extend(text.as_bytes());
    } else {
        out.extend(inner.as_bytes());
    }
    Ok(())
}

/// A decimal number as `numeric`: groups of four digits, the weight of the first, sign, and digits after the point.
fn numeric(json: &str, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let (negative, rest) = json.strip_prefix('-').map_or((false, json), |rest| (true, rest));
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().map_err(|_| Misfit::Never(HUGE))?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    // The point stands after so many of `digits`.
    let point = (whole.len() as i64).checked_add(exponent).ok_or(Misfit::Never(HUGE))?;
    let scale = (fraction.len() as i64).checked_sub(exponent).ok_or(Misfit::Never(HUGE))?.max(0);
    if point > 131_072 || scale > 16_383 {
        return Err(Misfit::Never(HUGE));
    }
    // Groups begin where the number of digits up to the point is a multiple of four.
    let lead = point.rem_euclid(4);
    let lead = if lead == 0 { 0 } else { 4 - lead } as usize;
    let padded: Vec<u8> = std::iter::repeat_n(0, lead).chain(digits).collect();
    let mut groups: Vec<i16> = padded
        .chunks(4)
        .map(|chunk| chunk.iter().chain(std::iter::repeat(&0)).take(4).fold(0i16, |group, digit| group * 10 + i16::from(*digit)))
        .collect();
    let mut weight = (point + lead as i64) / 4 - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= zeros as i64;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if negative && !groups.is_empty() { 0x4000 } else { 0 };
    let weight = i16::try_from(weight).map_err(|_| Misfit::Never(HUGE))?;
    out.extend((groups.len() as i16).to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend((scale as i16).to_be_bytes());
    for group in groups {
        out.extend(group.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_jsonb_refuses_are_found_before_they_are_sent() {
        for (json, fits) in [
            (r#""a\u0000b""#, false),
            (r#"{"k\u0000":1}"#, false),
            (r#""\ud800""#, false),
            (r#""\ud83d\ude00""#, true),
            (r#""\ud83dx""#, false),
            (r#""\ude00""#, false),
            (r#""\\u0000""#, true),
            (r#"["\\\\","\\\u0000"]"#, false),
            (r#"{"a":[1,"b"]}"#, true),
        ] {
            assert_eq!(check_json(json).is_ok(), fits, "{json}");
        }
    }

    #[test]
    fn numbers_beyond_all_bounds_are_refused_and_nothing_overflows() {
        for json in ["1e9223372036854775807", "1.5e-9223372036854775808", "-12e9223372036854775806", "1e99999999999999999999"] {
            assert_eq!(encode(&mut Vec::new(), json, Form::Number), Err(Misfit::Never(HUGE)), "{json}");
        }
    }

    #[test]
    fn values_of_another_kind_are_no_values_of_the_column() {
        for (json, form) in [
            ("1", Form::Text),
            ("\"1\"", Form::Integer),
            ("1.5", Form::Integer),
            ("9223372036854775808", Form::Integer),
            ("true", Form::Number),
            ("0", Form::Boolean),
        ] {
            let mut out = vec![7];
            assert_eq!(encode(&mut out, json, form), Err(Misfit::Kind), "{json}");
            assert_eq!(out, [7]);
        }
    }
}

//! JSON values as SQLite values, and back, without losing anything.
//!
//! A value that fits its column's kind is stored in the plain form people expect when they open the file: text as TEXT, whole
//! numbers as INTEGER, other numbers as REAL when a float holds exactly that number and as TEXT otherwise, booleans as 0 and 1,
//! objects and lists as their JSON text. A value of another kind is stored so that it cannot be taken for one that fits: as it is
//! where its SQLite type says enough (a number in a text column), otherwise as a BLOB with its JSON text.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use sync_core::{FieldKind, exact_float};

/// How a column's values are to be read, as far as storing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, dates, timestamps; also columns nothing is known of.
    Text,
    /// Numbers of both kinds.
    Number,
    /// 0 and 1.
    Boolean,
    /// JSON text, whatever the value.
    Json,
    /// A column of the host: its declared type decides, nothing is escaped.
    Host,
    /// A host's column declared as boolean.
    HostBoolean,
    /// A host's column declared as JSON.
    HostJson,
}

impl From<FieldKind> for Form {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text | FieldKind::Date | FieldKind::Timestamp => Self::Text,
            FieldKind::Integer | FieldKind::Number => Self::Number,
            FieldKind::Boolean => Self::Boolean,
            FieldKind::Json => Self::Json,
        }
    }
}

/// A value to bind without copying it first.
pub(crate) struct Bind<'a>(pub(crate) ValueRef<'a>);

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// Text to bind.
pub(crate) fn text(text: &str) -> Bind<'_> {
    Bind(ValueRef::Text(text.as_bytes()))
}

/// The SQLite value of a JSON value. `scratch` holds text that had to be unescaped.
///
/// # Errors
/// What is wrong with a value that cannot be stored.
pub(crate) fn encode<'a>(json: &'a str, form: Form, scratch: &'a mut String) -> Result<ValueRef<'a>, &'static str> {
    let bytes = json.as_bytes();
    if json == "null" {
        return Ok(ValueRef::Null);
    }
    if form == Form::Json {
        return Ok(ValueRef::Text(bytes));
    }
    let host = matches!(form, Form::Host | Form::HostBoolean | Form::HostJson);
    match bytes.first() {
        Some(b'"') => {
            let inner = &json[1..json.len() - 1];
            let inner = if inner.as_bytes().contains(&b'\\') {
                *scratch = serde_json::from_str(json).map_err(|_| "the text is not Unicode: half of a surrogate pair stands alone")?;
                scratch.as_str()
            } else {
                inner
            };
            // In a number column text that reads like a number would be taken for one.
            if form == Form::Number && is_number(inner) { Ok(ValueRef::Blob(bytes)) } else { Ok(ValueRef::Text(inner.as_bytes())) }
        }
        Some(b't' | b'f') if host || form == Form::Boolean => Ok(ValueRef::Integer(i64::from(bytes[0] == b't'))),
        Some(b't' | b'f') => Ok(ValueRef::Blob(bytes)),
        Some(b'{' | b'[') if host => Ok(ValueRef::Text(bytes)),
        Some(b'{' | b'[') => Ok(ValueRef::Blob(bytes)),
        Some(_) => Ok(match number(json) {
            ValueRef::Text(_) if form != Form::Number && !host => ValueRef::Blob(bytes),
            ValueRef::Integer(0 | 1) if form == Form::Boolean => ValueRef::Blob(bytes),
            value => value,
        }),
        None => Err("the cell is not a JSON value"),
    }
}

/// INTEGER, REAL, or the text itself when neither holds exactly this number.
fn number(json: &str) -> ValueRef<'_> {
    if let Ok(integer) = json.parse::<i64>() {
        return ValueRef::Integer(integer);
    }
    exact_float(json).map_or(ValueRef::Text(json.as_bytes()), ValueRef::Real)
}

/// Whether text is exactly a JSON number.
fn is_number(text: &str) -> bool {
    let ends = |byte: Option<&u8>, first: bool| byte.is_some_and(|b| b.is_ascii_digit() || (first && *b == b'-'));
    ends(text.as_bytes().first(), true)
        && ends(text.as_bytes().last(), false)
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Appends the JSON text of a stored value.
pub(crate) fn decode(value: ValueRef<'_>, form: Form, json: &mut String) {
    match value {
        ValueRef::Null => json.push_str("null"),
        ValueRef::Integer(n @ (0 | 1)) if matches!(form, Form::Boolean | Form::HostBoolean) => {
            json.push_str(if n == 1 { "true" } else { "false" });
        }
        ValueRef::Integer(n) => {
            use std::fmt::Write as _;
            write!(json, "{n}").expect("a String takes any text");
        }
        ValueRef::Real(float) => match serde_json::Number::from_f64(float) {
            Some(number) => json.push_str(&number.to_string()),
            // A host's column may hold an infinity.
            None => quote(&float.to_string(), json),
        },
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            match form {
                Form::Json => json.push_str(&text),
                Form::Number if is_number(&text) => json.push_str(&text),
                Form::HostJson if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() => json.push_str(&text),
                _ => quote(&text, json),
            }
        }
        ValueRef::Blob(bytes) => match form {
            Form::Host | Form::HostBoolean | Form::HostJson => {
                use std::fmt::Write as _;
                json.push('"');
                for byte in bytes {
                    write!(json, "{byte:02x}").expect("a String takes any text");
                }
                json.push('"');
            }
            _ => json.push_str(&String::from_utf8_lossy(bytes)),
        },
    }
}

/// Appends text as a JSON string.
pub(crate) fn quote(text: &str, json: &mut String) {
    json.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            control => {
                use std::fmt::Write as _;
                write!(json, "\\u{control:04x}").expect("a String takes any text");
            }
        }
    }
    json.push_str(&text[plain..]);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(json: &str, form: Form) -> String {
        let (mut scratch, mut back) = (String::new(), String::new());
        let stored = encode(json, form, &mut scratch).expect("a storable value");
        decode(stored, form, &mut back);
        back
    }

    const OURS: [Form; 4] = [Form::Text, Form::Number, Form::Boolean, Form::Json];

    #[test]
    fn every_value_comes_back_from_a_column_of_every_kind() {
        let values = [
            "null",
            r#""""#,
            r#""007""#,
            r#""7""#,
            r#""-1.5e3""#,
            r#"" 7""#,
            r#""true""#,
            r#""{\"a\":1}""#,
            r#""a\u0000b""#,
            r#""Zoë → 名前 \\ \" \n""#,
            "true",
            "false",
            "0",
            "1",
            "-9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "0.1",
            "1e400",
            "123456789.123456789012345678901234567890",
            r#"{"a": [1, null, "x"]}"#,
            "[]",
            r#"["1"]"#,
        ];
        for form in OURS {
            for json in values {
                let back = round_trip(json, form);
                let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                assert!(back == json || (same(json).is_some() && same(&back) == same(json)), "{form:?}: {json} came back as {back}");
            }
        }
    }

    #[test]
    fn no_two_values_share_a_stored_form() {
        let values =
            ["null", "0", "1", "false", "true", r#""0""#, r#""1""#, r#""true""#, "1e400", r#""1e400""#, r#""null""#, "[]", r#""[]""#];
        for form in OURS {
            for (n, one) in values.iter().enumerate() {
                for other in &values[n + 1..] {
                    let (mut a, mut b) = (String::new(), String::new());
                    let (a, b) = (encode(one, form, &mut a).expect("stored"), encode(other, form, &mut b).expect("stored"));
                    assert!(a != b, "{form:?}: {one} and {other} are both {a:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_that_differ_only_in_writing_are_one_number() {
        for (one, other) in [("1.10", "1.1"), ("1e2", "100.0"), ("5.0", "5e0")] {
            assert_eq!(round_trip(one, Form::Number), round_trip(other, Form::Number));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_with_a_reason() {
        let mut scratch = String::new();
        assert!(encode(r#""\ud800""#, Form::Text, &mut scratch).expect_err("not text").contains("surrogate"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn numbers_come_back_exactly(digits in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?", form in 0..4usize) {
            let back = round_trip(&digits, OURS[form]);
            // Either it is the text itself, or a float or integer that is the same number.
            let same = back == digits
                || (digits.parse::<i64>().is_ok() && digits.parse::<i64>() == back.parse::<i64>())
                || (exact_float(&digits).is_some() && exact_float(&digits) == exact_float(&back));
            prop_assert!(same, "{} came back as {}", digits, back);
        }

        #[test]
        fn text_comes_back_exactly(text in "\\PC*|[\\x00-\\x1f\"\\\\]*", form in 0..4usize) {
            let json = serde_json::to_string(&text).expect("text is JSON");
            let back: String = serde_json::from_str(&round_trip(&json, OURS[form])).expect("JSON comes back");
            prop_assert_eq!(back, text);
        }
    }
}

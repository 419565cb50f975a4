//! The four states of a field.

use std::borrow::Cow;

use crate::key_text;

/// A field of a record: a record that does not have it, one that says null, one that says `""` and one with a value are four
/// different things, and stay so from the page to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Cell<'a> {
    /// The record does not have the field; whatever is stored stays.
    #[default]
    Absent,
    /// The field is null.
    Null,
    /// The field is the empty text.
    Empty,
    /// Anything else, as JSON text.
    Value(&'a str),
}

impl<'a> Cell<'a> {
    /// The cell of a record's JSON text; `None` is [`Absent`](Self::Absent).
    #[must_use]
    pub fn of(json: Option<&'a str>) -> Self {
        match json {
            None => Self::Absent,
            Some("null") => Self::Null,
            Some("\"\"") => Self::Empty,
            Some(json) => Self::Value(json),
        }
    }

    /// The JSON text; `None` when absent. The opposite of [`of`](Self::of).
    #[must_use]
    pub fn json(self) -> Option<&'a str> {
        match self {
            Self::Absent => None,
            Self::Null => Some("null"),
            Self::Empty => Some("\"\""),
            Self::Value(json) => Some(json),
        }
    }

    /// Whether there is a value: neither absent nor null nor empty.
    #[must_use]
    pub fn has_value(self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// The value as people read it: texts without quotes and escapes, everything else as written. `None` without a value.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Value(json) => key_text(json),
            _ => None,
        }
    }

    /// Whether the value is a JSON text, that is, in quotes.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Empty) || matches!(self, Self::Value(json) if json.starts_with('"'))
    }

    /// Whether the value is an object or a list.
    #[must_use]
    pub fn is_nested(self) -> bool {
        matches!(self, Self::Value(json) if json.starts_with(['{', '[']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_states_stay_apart_and_come_back() {
        for (json, cell) in [
            (None, Cell::Absent),
            (Some("null"), Cell::Null),
            (Some("\"\""), Cell::Empty),
            (Some("\" \""), Cell::Value("\" \"")),
            (Some("0"), Cell::Value("0")),
            (Some("false"), Cell::Value("false")),
            (Some("[]"), Cell::Value("[]")),
        ] {
            assert_eq!(Cell::of(json), cell);
            assert_eq!(cell.json(), json);
        }
    }

    #[test]
    fn text_is_unescaped_and_numbers_keep_their_digits() {
        assert_eq!(Cell::Value(r#""a\"b\u00e9""#).text().as_deref(), Some("a\"bé"));
        assert_eq!(Cell::Value("1.10").text().as_deref(), Some("1.10"));
        assert_eq!(Cell::Empty.text(), None);
    }
}

//! The values expressions compute with.

use std::borrow::Cow;

use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::mapping::{Cell, transform::exact::Exact};

/// A value while it is computed with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    /// Up to 28 digits, exactly.
    Number(Decimal),
    Text(Cow<'v, str>),
    /// An object or a list, which can only be handed on.
    Nested(&'v str),
}

impl<'v> Value<'v> {
    /// Reads JSON text.
    pub(super) fn read(json: &'v str) -> Result<Self, String> {
        Ok(match json.as_bytes().first() {
            None | Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') if json == "\"\"" => Self::Text(Cow::Borrowed("")),
            Some(b'"') => Self::Text(Cell::of(Some(json)).text().unwrap_or_default()),
            Some(b'{' | b'[') => Self::Nested(json),
            Some(_) => Self::Number(number_of(json).ok_or("has more digits than can be computed with exactly (28)")?),
        })
    }

    /// As JSON text.
    pub(super) fn json(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(yes) => yes.to_string(),
            Self::Number(number) => plain(*number),
            Self::Text(text) => serde_json::to_string(text).expect("text is always JSON"),
            Self::Nested(json) => (*json).to_owned(),
        }
    }

    /// What it is, in words.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Nested(_) => "an object or a list",
        }
    }

    pub(super) fn number(&self, taker: &str) -> Result<Decimal, String> {
        match self {
            Self::Number(number) => Ok(*number),
            other => Err(format!("{taker} takes numbers and was given {}", other.what())),
        }
    }

    pub(super) fn text(&self, taker: &str) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("{taker} takes texts and was given {}", other.what())),
        }
    }

    pub(super) fn truth(&self, taker: &str) -> Result<bool, String> {
        match self {
            Self::Bool(yes) => Ok(*yes),
            other => Err(format!("{taker} takes true or false and was given {}", other.what())),
        }
    }

    /// As a text that people read.
    pub(super) fn written(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.to_string()),
            Self::Bool(_) | Self::Number(_) => Ok(self.json()),
            Self::Null | Self::Nested(_) => Err(format!("text takes one value and was given {}", self.what())),
        }
    }

    /// Whether there is something: neither null nor the empty text.
    pub(super) fn is_something(&self) -> bool {
        !matches!(self, Self::Null) && !matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// A number by its text, exponent included; `None` unless every digit can be kept.
pub(super) fn number_of(text: &str) -> Option<Decimal> {
    // Most numbers are short and whole.
    if text.len() <= 18
        && let Ok(whole) = text.parse::<i64>()
    {
        return Some(whole.into());
    }
    Decimal::from_str_exact(&Exact::plain(text)?.json()).ok()
}

/// The number in 64 bits, if it is whole and fits.
pub(super) fn whole(number: Decimal) -> Option<i64> {
    if number.is_integer() { number.to_i64() } else { None }
}

/// The digits, without zeros at the end of a fraction.
fn plain(number: Decimal) -> String {
    if number.is_zero() { "0".into() } else { number.normalize().to_string() }
}

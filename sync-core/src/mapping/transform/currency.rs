//! `currency` and `currency_code`: an amount in micros, and the currency it is in.

use std::{borrow::Cow, cell::Cell as Slot, collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{
    Made, Transform, TransformError, Transforms,
    currency_signs::{Sign, code_of, is_code, is_sign},
    exact::{Exact, Point, Unscaled},
    number::{amount, made_nothing, not_written},
    transform_options,
};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("currency", |options| Ok(Arc::new(transform_options::<Currency>("currency", options)?)))?;
    transforms.register("currency_code", |options| Ok(Arc::new(transform_options::<Code>("currency_code", options)?.checked()?)))
}

/// An amount of money as people write it, to whole micros (millionths), exactly. Empty texts become null.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Currency {
    /// `.` (default), `,` or `auto`, for texts; JSON numbers always have a point.
    decimal: Point,
    /// The symbols and codes that may stand beside the digits, whatever their case; an amount with another one is refused. By
    /// default every currency sign and ISO 4217 code.
    symbols: Vec<Box<str>>,
}

impl Transform for Currency {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Some(text) = amount(cell)? else { return Ok(made_nothing(cell)) };
        let exact = match cell.is_text() {
            true => Exact::written(&text, self.decimal, |text| parts(text, &self.symbols).digits),
            false => Exact::plain(&text),
        };
        match exact.ok_or_else(|| not_written("an amount", self.decimal))?.scaled(6) {
            Ok(micros) => Ok(Made::Json(micros.to_string())),
            Err(Unscaled::TooFine) => Err(TransformError::new("has digits finer than a millionth, which would be lost")),
            Err(Unscaled::TooLarge) => Err(TransformError::new("is too large for an amount in micros (64 bits)")),
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let micros = cell.text().and_then(|text| Exact::plain(&text)?.unscaled(6));
        Ok(micros.ok_or_else(|| TransformError::new("is not a whole number of micros"))?.sent(self.decimal))
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Integer)
    }
}

/// The currency of an amount, as its ISO 4217 code: for a column of its own beside the amount's, reading the same source. Empty texts
/// become null; an amount that names no currency is an error unless there is a default, since money is an amount and a currency.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Code {
    /// As for `currency`.
    decimal: Point,
    /// As for `currency`.
    symbols: Vec<Box<str>>,
    /// What signs stand for that several currencies share: `{ "$" = "USD" }`.
    signs: BTreeMap<Box<str>, Box<str>>,
    /// The code of amounts that name none.
    default: Option<Box<str>>,
}

impl Code {
    fn checked(self) -> Result<Self> {
        match self.signs.values().chain(&self.default).find(|code| !is_code(code)) {
            Some(wrong) => Err(Error::config("transform", format!("currency_code: {wrong:?} is no code of ISO 4217, such as EUR"))),
            None => Ok(self),
        }
    }

    fn code(&self, symbol: &str) -> Result<Cow<'_, str>, TransformError> {
        if let Some((_, code)) = self.signs.iter().find(|(sign, _)| sign.to_lowercase() == symbol.to_lowercase()) {
            return Ok(Cow::Borrowed(code));
        }
        match code_of(symbol) {
            Sign::Of(code) => Ok(Cow::Owned(code)),
            Sign::Several => Err(TransformError::new(format!(
                "has a sign of several currencies; the option `signs` says which one {symbol:?} stands for"
            ))),
        }
    }
}

impl Transform for Code {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Some(text) = amount(cell)? else { return Ok(made_nothing(cell)) };
        let (front, behind) = (Slot::new(""), Slot::new(""));
        let exact = match cell.is_text() {
            true => Exact::written(&text, self.decimal, |text| {
                let parts = parts(text, &self.symbols);
                front.set(parts.front);
                behind.set(parts.behind);
                parts.digits
            }),
            false => Exact::plain(&text),
        };
        exact.ok_or_else(|| not_written("an amount", self.decimal))?;
        let code = match (front.get(), behind.get()) {
            ("", "") => self
                .default
                .as_deref()
                .map(Cow::Borrowed)
                .ok_or_else(|| TransformError::new("names no currency; the option `default` says which one amounts without are in"))?,
            (symbol, "") | ("", symbol) => self.code(symbol)?,
            (front, behind) => {
                let code = self.code(front)?;
                if code != self.code(behind)? {
                    return Err(TransformError::new("names two currencies"));
                }
                code
            }
        };
        Ok(Made::text(&code))
    }

    fn sends(&self) -> bool {
        false
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Text)
    }
}

/// An amount without its sign: what stands in front of the digits, they themselves, and what stands behind.
struct Parts<'t> {
    front: &'t str,
    digits: &'t str,
    behind: &'t str,
}

/// Takes known symbols away; unknown ones stay with the digits, which then are none.
fn parts<'t>(text: &'t str, symbols: &[Box<str>]) -> Parts<'t> {
    let outside = |c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '\u{2212}' | ',' | '\'' | '\u{2019}') && !c.is_whitespace();
    // A point belongs to a symbol only behind a letter (`Rs.`, `Fr.`), never alone (`.50`).
    let end = text.find(|c| !outside(c)).unwrap_or(text.len());
    let symbol = &text[..end];
    let symbol = if symbol.ends_with('.') && !known(symbol, symbols) { &symbol[..symbol.len() - 1] } else { symbol };
    let front = if !symbol.is_empty() && known(symbol, symbols) { symbol } else { "" };
    let text = text[front.len()..].trim_start();
    let end = text.char_indices().rev().take_while(|(_, c)| outside(*c)).last().map_or(text.len(), |(at, _)| at);
    let symbol = text[end..].trim_start_matches('.');
    let behind = if !symbol.is_empty() && known(symbol, symbols) { symbol } else { "" };
    let digits = if behind.is_empty() { text } else { text[..text.len() - behind.len()].trim_end() };
    Parts { front, digits, behind }
}

fn known(symbol: &str, symbols: &[Box<str>]) -> bool {
    match symbols {
        [] => is_sign(symbol),
        _ => symbols.iter().any(|known| known.to_lowercase() == symbol.to_lowercase()),
    }
}

#[cfg(test)]
#[path = "currency_tests.rs"]
mod tests;

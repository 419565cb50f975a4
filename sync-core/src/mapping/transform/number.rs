//! `number` and `currency`.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Made, Transform, TransformError, Transforms,
    exact::{Exact, Point, Unscaled},
    transform_options,
};
use crate::{FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("number", |options| Ok(Arc::new(transform_options::<Number>("number", options)?)))?;
    transforms.register("currency", |options| Ok(Arc::new(transform_options::<Currency>("currency", options)?)))
}

/// A number as people write it, to a JSON number with the same digits. Empty texts become null; JSON numbers pass as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Number {
    /// `.` (default) or `,`.
    decimal: Point,
}

impl Transform for Number {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Some(text) = amount(cell)? else { return Ok(made_nothing(cell)) };
        if !cell.is_text() {
            return match Exact::plain(&text) {
                Some(_) => Ok(Made::Unchanged),
                None => Err(TransformError::new("is not a number")),
            };
        }
        match Exact::written(&text, self.decimal, |text| text).or_else(|| Exact::plain(text.trim())) {
            Some(exact) => Ok(Made::Json(exact.json())),
            None => Err(not_written("a number", self.decimal)),
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        // Some databases hand numbers over as text.
        let exact = cell.text().and_then(|text| Exact::plain(&text)).ok_or_else(|| TransformError::new("is not a number"))?;
        Ok(exact.sent(self.decimal))
    }

    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        if input == Some(FieldKind::Integer) { input } else { Some(FieldKind::Number) }
    }
}

/// An amount of money as people write it, to whole micros (millionths), exactly. Empty texts become null.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Currency {
    /// `.` (default) or `,`, for texts; JSON numbers always have a point.
    decimal: Point,
    /// The symbols and codes that may stand beside the digits, whatever their case; an amount with another one is refused. By
    /// default every currency sign and ISO 4217 code.
    symbols: Vec<Box<str>>,
}

impl Transform for Currency {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Some(text) = amount(cell)? else { return Ok(made_nothing(cell)) };
        let exact = if cell.is_text() { Exact::written(&text, self.decimal, |text| self.bare(text)) } else { Exact::plain(&text) };
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

impl Currency {
    /// The text without the symbol in front and the one behind.
    fn bare<'t>(&self, text: &'t str) -> &'t str {
        let outside = |c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '\u{2212}' | ',' | '\'' | '\u{2019}') && !c.is_whitespace();
        // A point belongs to a symbol only behind a letter (`Rs.`, `Fr.`), never alone (`.50`).
        let front = text.find(|c| !outside(c)).unwrap_or(text.len());
        let symbol = &text[..front];
        let symbol = if symbol.ends_with('.') && !self.known(symbol) { &symbol[..symbol.len() - 1] } else { symbol };
        let text = if !symbol.is_empty() && self.known(symbol) { &text[symbol.len()..] } else { text };
        let text = text.trim_start();
        let end = text.char_indices().rev().take_while(|(_, c)| outside(*c)).last().map_or(text.len(), |(at, _)| at);
        let symbol = text[end..].trim_start_matches('.');
        if !symbol.is_empty() && self.known(symbol) { text[..text.len() - symbol.len()].trim_end() } else { text }
    }

    fn known(&self, symbol: &str) -> bool {
        if !self.symbols.is_empty() {
            return self.symbols.iter().any(|known| known.to_lowercase() == symbol.to_lowercase());
        }
        let sign = |c: char| "$£¤¥֏؋৲৳฿៛﷼₽₺₴₫₦₱₩₪₹€₡₲₭₮₸₼₾₿＄￡￥￦".contains(c);
        let letters = symbol.trim_end_matches(sign);
        match symbol.len() - letters.len() {
            0 => WORDS.contains(&symbol) || CODES.split(' ').any(|code| code == symbol.to_uppercase()),
            _ => symbol.chars().filter(|c| sign(*c)).count() == 1 && letters.len() <= 3 && letters.bytes().all(|b| b.is_ascii_uppercase()),
        }
    }
}

/// Signs of currencies that are written in letters.
const WORDS: [&str; 12] = ["kr", "kr.", "zł", "Kč", "Ft", "lei", "Fr.", "Fr", "Rs", "Rs.", "лв", "RM"];

/// The active codes of ISO 4217.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY \
                     COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD \
                     IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
                     MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS \
                     SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR \
                     ZMW ZWG";

/// The text of a cell that holds an amount; `None` for those that hold nothing.
fn amount(cell: Cell<'_>) -> Result<Option<std::borrow::Cow<'_, str>>, TransformError> {
    if cell.is_nested() {
        return Err(TransformError::new("is an object or a list, not a number"));
    }
    Ok(cell.text().filter(|text| !text.trim().is_empty()))
}

/// What becomes of a cell without an amount: absent stays absent, everything else is null.
fn made_nothing(cell: Cell<'_>) -> Made {
    if matches!(cell, Cell::Absent | Cell::Null) { Made::Unchanged } else { Made::Null }
}

fn not_written(what: &str, point: Point) -> TransformError {
    let example = match point {
        Point::Dot => "1,234.56",
        Point::Comma => "1.234,56",
    };
    TransformError::new(format!("is not {what}; expected one like {example}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, refused, stuck};

    #[test]
    fn amounts_become_exact_micros() {
        let point = json!({});
        let comma = json!({ "decimal": "," });
        for (options, input, micros) in [
            (&point, r#""$1,234.56""#, "1234560000"),
            (&point, r#""1234.5""#, "1234500000"),
            (&point, r#""($12.30)""#, "-12300000"),
            (&point, r#""$(12.30)""#, "refused"),
            (&point, r#""-$12.30""#, "-12300000"),
            (&point, r#""$-12.30""#, "-12300000"),
            (&point, r#""12.30-""#, "-12300000"),
            (&point, r#""−5""#, "-5000000"),
            (&point, r#""+5""#, "5000000"),
            (&point, r#""--5""#, "refused"),
            (&point, r#""(-5)""#, "refused"),
            (&point, r#""US$ 5""#, "5000000"),
            (&point, r#""USD 12.50""#, "12500000"),
            (&point, r#""12.50 usd""#, "12500000"),
            (&point, r#""CHF 1'234.50""#, "1234500000"),
            (&point, r#""Rs. 1,00,000.50""#, "100000500000"),
            (&point, r#""£.50""#, "500000"),
            (&point, r#""0.000001""#, "1"),
            (&point, r#""0.0000010""#, "1"),
            (&point, r#""0.0000001""#, "refused"),
            (&point, r#""1,50""#, "refused"),
            (&point, r#""0,500""#, "refused"),
            (&point, r#""1.234,56""#, "refused"),
            (&point, r#""1,2345.00""#, "refused"),
            (&point, r#""5k""#, "refused"),
            (&point, r#""5 MIO""#, "refused"),
            (&point, r#""n/a""#, "refused"),
            (&point, r#""$""#, "refused"),
            (&point, r#""50¢""#, "refused"),
            (&point, "12.1", "12100000"),
            (&point, "1.5e3", "1500000000"),
            (&point, "9223372036854.775807", "9223372036854775807"),
            (&point, "9223372036854.775808", "refused"),
            (&point, "true", "refused"),
            (&point, r#"["5"]"#, "refused"),
            (&comma, r#""1.234,56 €""#, "1234560000"),
            (&comma, r#""1 234,56 zł""#, "1234560000"),
            (&comma, "\"1\u{202f}234,5\u{a0}€\"", "1234500000"),
            (&comma, r#""12.5""#, "refused"),
            (&comma, "12.5", "12500000"),
        ] {
            match micros {
                "refused" => refused("currency", options, input),
                micros => case("currency", options, Some(input), Some(micros)),
            }
        }
    }

    #[test]
    fn another_currency_than_the_named_ones_is_refused() {
        let euros = json!({ "symbols": ["€", "EUR"] });
        case("currency", &euros, Some(r#""€5""#), Some("5000000"));
        case("currency", &euros, Some(r#""5 eur""#), Some("5000000"));
        refused("currency", &euros, r#""$5""#);
        refused("currency", &euros, r#""5 USD""#);
    }

    #[test]
    fn numbers_keep_every_digit() {
        let point = json!({});
        let comma = json!({ "decimal": "," });
        for (options, input, number) in [
            (&point, r#""1,234.50""#, "1234.50"),
            (&point, r#""007""#, "7"),
            (&point, r#"".5""#, "0.5"),
            (&point, r#""5.""#, "5"),
            (&point, r#""-0.10""#, "-0.10"),
            (&point, r#""123456789012345678901234567890.123456789""#, "123456789012345678901234567890.123456789"),
            (&point, r#""1e3""#, "1000"),
            (&point, "9007199254740993", "9007199254740993"),
            (&point, "1.10", "1.10"),
            (&point, r#""$5""#, "refused"),
            (&point, r#""12 apples""#, "refused"),
            (&point, r#""1.2.3""#, "refused"),
            (&point, "false", "refused"),
            (&comma, r#""1.234,50""#, "1234.50"),
            (&comma, "1.5", "1.5"),
        ] {
            match number {
                "refused" => refused("number", options, input),
                number => case("number", options, Some(input), Some(number)),
            }
        }
    }

    #[test]
    fn plain_digits_go_back_with_the_decimal_sign_of_the_source() {
        let point = json!({});
        let comma = json!({ "decimal": "," });
        for (name, options, value, sent) in [
            ("number", &point, "1234.50", "1234.50"),
            ("number", &point, "-0.10", "-0.10"),
            ("number", &point, "1e3", "1000"),
            ("number", &point, r#""12""#, "12"),
            ("number", &point, "123456789012345678901234567890.1", "123456789012345678901234567890.1"),
            ("number", &comma, "1234.50", r#""1234,50""#),
            ("number", &comma, "-7", r#""-7""#),
            ("currency", &point, "1234560000", "1234.56"),
            ("currency", &point, "-1", "-0.000001"),
            ("currency", &point, "0", "0"),
            ("currency", &point, "5000000", "5"),
            ("currency", &point, "9223372036854775807", "9223372036854.775807"),
            ("currency", &comma, "-12300000", r#""-12,3""#),
            ("currency", &json!({ "symbols": ["€"] }), "12300000", "12.3"),
        ] {
            back(name, options, value, sent);
        }
        for (name, value) in [("number", r#""much""#), ("number", "true"), ("currency", "1.5"), ("currency", r#""$5""#), ("currency", "[]")]
        {
            stuck(name, &point, value);
        }
    }
}

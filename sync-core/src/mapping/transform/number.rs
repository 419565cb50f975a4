//! `number`, and what amounts share with it.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Made, Transform, TransformError, Transforms,
    exact::{Exact, Point},
    transform_options,
};
use crate::{FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("number", |options| Ok(Arc::new(transform_options::<Number>("number", options)?)))
}

/// A number as people write it, to a JSON number with the same digits. Empty texts become null; JSON numbers pass as they are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Number {
    /// `.` (default), `,` or `auto`.
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
        // An exponent is nobody's thousand; without one, digits that could be read both ways stay refused.
        let plain = || Exact::plain(text.trim()).filter(|_| self.decimal != Point::Auto || text.contains(['e', 'E']));
        match Exact::written(&text, self.decimal, |text| text).or_else(plain) {
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

/// The text of a cell that holds an amount; `None` for those that hold nothing.
pub(super) fn amount(cell: Cell<'_>) -> Result<Option<std::borrow::Cow<'_, str>>, TransformError> {
    if cell.is_nested() {
        return Err(TransformError::new("is an object or a list, not a number"));
    }
    Ok(cell.text().filter(|text| !text.trim().is_empty()))
}

/// What becomes of a cell without an amount: absent stays absent, everything else is null.
pub(super) fn made_nothing(cell: Cell<'_>) -> Made {
    if matches!(cell, Cell::Absent | Cell::Null) { Made::Unchanged } else { Made::Null }
}

pub(super) fn not_written(what: &str, point: Point) -> TransformError {
    let example = match point {
        Point::Dot => "1,234.56",
        Point::Comma => "1.234,56",
        Point::Auto => "1,234.56 or 1.234,56, and not one that could be either, like 1,234",
    };
    TransformError::new(format!("is not {what}; expected one like {example}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, refused, stuck};

    #[test]
    fn numbers_keep_every_digit() {
        let point = json!({});
        let comma = json!({ "decimal": "," });
        let auto = json!({ "decimal": "auto" });
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
            (&auto, r#""1,234.50""#, "1234.50"),
            (&auto, r#""1.234,50""#, "1234.50"),
            (&auto, r#""1.234.567""#, "1234567"),
            (&auto, r#""1,234,567""#, "1234567"),
            (&auto, r#""12,5""#, "12.5"),
            (&auto, r#""0,500""#, "0.500"),
            (&auto, r#""1234.567""#, "1234.567"),
            (&auto, r#""1.5e3""#, "1500"),
            (&auto, r#""1,234""#, "refused"),
            (&auto, r#""1.234""#, "refused"),
            (&auto, r#""1,234.567,89""#, "refused"),
            (&auto, "1.234", "1.234"),
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
        for (options, value, sent) in [
            (&point, "1234.50", "1234.50"),
            (&point, "-0.10", "-0.10"),
            (&point, "1e3", "1000"),
            (&point, r#""12""#, "12"),
            (&point, "123456789012345678901234567890.1", "123456789012345678901234567890.1"),
            (&comma, "1234.50", r#""1234,50""#),
            (&comma, "-7", r#""-7""#),
            (&json!({ "decimal": "auto" }), "1.234", "1.234"),
        ] {
            back("number", options, value, sent);
        }
        for value in [r#""much""#, "true"] {
            stuck("number", &point, value);
        }
    }
}

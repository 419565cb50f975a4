//! `trim`, `collapse`, `lower`, `upper` and `text`.

use super::{Made, Transform, TransformError, Transforms, without_options};
use crate::{FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("trim", |options| without_options("trim", options, Text::Trim))?;
    transforms.register("collapse", |options| without_options("collapse", options, Text::Collapse))?;
    transforms.register("lower", |options| without_options("lower", options, Text::Lower))?;
    transforms.register("upper", |options| without_options("upper", options, Text::Upper))?;
    transforms.register("text", |options| without_options("text", options, Text::Keep))
}

/// Changes of texts. Numbers, booleans, objects and lists pass as they are, except that `text` puts them into quotes.
#[derive(Clone, Copy, Debug)]
enum Text {
    /// Without blanks at both ends.
    Trim,
    /// Each run of white space as one blank.
    Collapse,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
    /// Any value as a text of the same digits, so that an id that looks like a number stays one.
    Keep,
}

impl Transform for Text {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Cell::Value(json) = cell else { return Ok(Made::Unchanged) };
        match (self, cell.is_text()) {
            (Self::Keep, false) => return Ok(Made::text(json)),
            (Self::Keep, true) | (_, false) => return Ok(Made::Unchanged),
            _ => {}
        }
        let text = cell.text().unwrap_or_default();
        let changed = match self {
            Self::Trim => text.trim().to_owned(),
            Self::Collapse => collapsed(&text),
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Keep => return Ok(Made::Unchanged),
        };
        Ok(if changed == *text { Made::Unchanged } else { Made::text(&changed) })
    }

    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        if matches!(self, Self::Keep) { Some(FieldKind::Text) } else { input }
    }
}

fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !gap {
            out.push(' ');
        }
        gap = c.is_whitespace();
    }
    out
}

//! `boolean`.

use std::sync::Arc;

use serde::Deserialize;

use super::{Made, Transform, TransformError, Transforms, transform_options};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("boolean", |options| {
        let mut boolean: Boolean = transform_options("boolean", options)?;
        for (words, said) in [(&mut boolean.yes, &mut boolean.says.1), (&mut boolean.no, &mut boolean.says.0)] {
            *said = words.iter().find(|word| !word.trim().is_empty()).cloned();
            for word in words {
                *word = word.trim().to_lowercase().into();
            }
        }
        if let Some(word) = boolean.yes.iter().find(|word| boolean.no.contains(word)) {
            return Err(Error::config("transform", format!("boolean: {word:?} is a word for both true and false")));
        }
        Ok(Arc::new(boolean))
    })
}

/// A word for true or false, whatever its case. Empty texts become null; JSON's own true and false pass.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Boolean {
    /// Words for true, in place of `true yes y 1 on`.
    #[serde(rename = "true")]
    yes: Vec<Box<str>>,
    /// Words for false, in place of `false no n 0 off`.
    #[serde(rename = "false")]
    no: Vec<Box<str>>,
    /// The words a push sends for false and true, as they were given.
    #[serde(skip)]
    says: (Option<Box<str>>, Option<Box<str>>),
}

impl Default for Boolean {
    fn default() -> Self {
        let words = |words: [&str; 5]| words.map(Into::into).into();
        Self { yes: words(["true", "yes", "y", "1", "on"]), no: words(["false", "no", "n", "0", "off"]), says: (None, None) }
    }
}

impl Transform for Boolean {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let json = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Empty => return Ok(Made::Null),
            Cell::Value(json) => json,
        };
        if matches!(json, "true" | "false") {
            return Ok(Made::Unchanged);
        }
        let word = cell.text().unwrap_or_default().trim().to_lowercase();
        let among = |words: &[Box<str>]| words.iter().any(|known| **known == *word);
        match (word.is_empty(), among(&self.yes), among(&self.no)) {
            (_, true, _) => Ok(Made::Json("true".into())),
            (_, _, true) => Ok(Made::Json("false".into())),
            (true, ..) => Ok(Made::Null),
            _ => Err(TransformError::new(format!("is neither true ({}) nor false ({})", self.yes.join(", "), self.no.join(", ")))),
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        // Databases without booleans hand over 0 and 1.
        let (json, said) = match cell.json() {
            Some("true" | "1") => ("true", &self.says.1),
            Some("false" | "0") => ("false", &self.says.0),
            _ => return Err(TransformError::new("is neither true nor false")),
        };
        Ok(match said.as_deref().filter(|word| *word != json) {
            Some(word) => Made::text(word),
            None => Made::Json(json.into()),
        })
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Boolean)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, problem, refused, stuck};

    #[test]
    fn words_and_json_booleans_are_read_whatever_their_case() {
        for (input, value) in [
            ("true", "true"),
            (r#""TRUE""#, "true"),
            (r#"" Yes ""#, "true"),
            ("1", "true"),
            ("0", "false"),
            (r#""off""#, "false"),
            (r#"" ""#, "null"),
        ] {
            case("boolean", &json!(null), Some(input), Some(value));
        }
        for input in [r#""maybe""#, "2", "[]", r#""ja""#] {
            refused("boolean", &json!(null), input);
        }
    }

    #[test]
    fn own_words_replace_the_list_they_are_given_for() {
        let options = json!({ "true": ["Ja"], "false": ["Nein", ""] });
        case("boolean", &options, Some(r#""JA""#), Some("true"));
        case("boolean", &options, Some(r#"" ""#), Some("false"));
        refused("boolean", &options, r#""yes""#);
        assert!(problem("boolean", &json!({ "true": ["x"], "false": ["X"] })).contains("both true and false"));
    }

    #[test]
    fn first_word_that_was_given_goes_back_as_it_was_written() {
        let own = json!({ "true": ["Ja", "J"], "false": ["", "Nein"] });
        for (options, value, sent) in [
            (&json!(null), "true", "true"),
            (&json!(null), "false", "false"),
            (&json!(null), "1", "true"),
            (&own, "true", r#""Ja""#),
            (&own, "false", r#""Nein""#),
            (&own, "0", r#""Nein""#),
            (&json!({ "true": ["x"] }), "true", r#""x""#),
            (&json!({ "true": ["x"] }), "false", "false"),
            (&json!({ "true": [] }), "true", "true"),
        ] {
            back("boolean", options, value, sent);
        }
        for value in [r#""Ja""#, "2", r#""""#, "[]"] {
            stuck("boolean", &own, value);
        }
    }
}

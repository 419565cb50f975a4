//! `split` and `join`.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Made, Transform, TransformError, Transforms, transform_options};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("split", |options| {
        let split: Split = transform_options("split", options)?;
        separates("split", &split.separator)?;
        Ok(Arc::new(split))
    })?;
    transforms.register("join", |options| {
        let join: Join = transform_options("join", options)?;
        separates("join", &join.separator)?;
        Ok(Arc::new(join))
    })
}

fn separates(name: &str, separator: &str) -> Result<()> {
    if separator.is_empty() {
        return Err(Error::config("transform", format!("{name}: the option `separator` is empty")));
    }
    Ok(())
}

/// A text to a list of the texts between separators, without blanks at their ends. The empty text is the empty list; lists pass.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Split {
    /// Default `,`.
    separator: Box<str>,
    /// Leaves out the empty ones.
    drop_empty: bool,
}

impl Default for Split {
    fn default() -> Self {
        Self { separator: ",".into(), drop_empty: false }
    }
}

impl Transform for Split {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Value(json) if json.starts_with('[') => return Ok(Made::Unchanged),
            Cell::Value(json) if json.starts_with('{') => return Err(TransformError::new("is an object, not a text")),
            Cell::Empty => Cow::Borrowed(""),
            Cell::Value(_) => cell.text().unwrap_or_default(),
        };
        let pieces = text.split(&*self.separator).map(str::trim).filter(|piece| !self.drop_empty || !piece.is_empty());
        let pieces: Vec<&str> = if text.trim().is_empty() { Vec::new() } else { pieces.collect() };
        Ok(Made::Json(serde_json::to_string(&pieces).expect("texts are always JSON")))
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        joined(cell, &self.separator)
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Json)
    }
}

/// A list to one text: texts and numbers as they read, null left out. Other values pass.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Join {
    /// Default a comma and a blank.
    separator: Box<str>,
}

impl Default for Join {
    fn default() -> Self {
        Self { separator: ", ".into() }
    }
}

impl Transform for Join {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        match cell {
            Cell::Value(json) if json.starts_with('[') => joined(cell, &self.separator),
            Cell::Value(json) if json.starts_with('{') => Err(TransformError::new("is an object, not a list")),
            _ => Ok(Made::Unchanged),
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Empty => return Ok(Made::Json("[]".into())),
            Cell::Value(_) if cell.is_text() => cell.text().unwrap_or_default(),
            _ => return Ok(Made::Unchanged),
        };
        let pieces: Vec<&str> = text.split(&*self.separator).collect();
        Ok(Made::Json(serde_json::to_string(&pieces).expect("texts are always JSON")))
    }

    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        if input == Some(FieldKind::Json) { Some(FieldKind::Text) } else { input }
    }
}

/// The members of a list in one text.
fn joined(cell: Cell<'_>, separator: &str) -> Result<Made, TransformError> {
    // A column without a type for lists hands them over as text.
    let json = match cell.is_text() {
        true => cell.text().unwrap_or_default(),
        false => Cow::Borrowed(cell.json().unwrap_or_default()),
    };
    let members: Vec<&RawValue> = serde_json::from_str(&json).map_err(|_| TransformError::new("is not a list"))?;
    let mut text = String::new();
    let mut first = true;
    for member in members {
        let member = Cell::of(Some(member.get()));
        if member.is_nested() {
            return Err(TransformError::new("is a list with a list or an object in it"));
        }
        if member == Cell::Null {
            continue;
        }
        if !first {
            text.push_str(separator);
        }
        first = false;
        text.push_str(&member.text().unwrap_or_default());
    }
    Ok(Made::text(&text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, problem, refused, stuck};

    #[test]
    fn texts_between_separators_become_a_list() {
        let comma = json!(null);
        let dense = json!({ "separator": ";", "drop_empty": true });
        for (options, input, list) in [
            (&comma, r#""a, b ,c""#, r#"["a","b","c"]"#),
            (&comma, r#""a,,b""#, r#"["a","","b"]"#),
            (&dense, r#""a;; b;""#, r#"["a","b"]"#),
            (&dense, r#"";""#, "[]"),
            (&comma, r#""""#, "[]"),
            (&comma, r#"" ""#, "[]"),
            (&comma, "12", r#"["12"]"#),
            (&comma, r#"[1, "a"]"#, r#"[1, "a"]"#),
            (&comma, r#""Köln, \"Bonn\"""#, r#"["Köln","\"Bonn\""]"#),
        ] {
            case("split", options, Some(input), Some(list));
        }
        refused("split", &comma, r#"{"a":1}"#);
        assert!(problem("split", &json!({ "separator": "" })).contains("`separator` is empty"));
    }

    #[test]
    fn members_of_a_list_become_one_text() {
        for (options, input, text) in [
            (json!(null), r#"["a", "b"]"#, r#""a, b""#),
            (json!({ "separator": "|" }), r#"["a",1.50,true,null,""]"#, r#""a|1.50|true|""#),
            (json!(null), "[]", r#""""#),
            (json!(null), r#""a""#, r#""a""#),
            (json!(null), "7", "7"),
        ] {
            case("join", &options, Some(input), Some(text));
        }
        for input in ["[[1]]", r#"[{"a":1}]"#, r#"{"a":1}"#] {
            refused("join", &json!(null), input);
        }
        assert!(problem("join", &json!({ "separator": "" })).contains("`separator` is empty"));
    }

    #[test]
    fn lists_go_back_as_text_and_texts_as_lists() {
        for value in [r#"["a","b"]"#, r#"["a"]"#, "[]"] {
            back("split", &json!(null), value, &serde_json::to_string(&value.replace(['[', ']', '"'], "")).expect("text"));
        }
        back("split", &json!(null), r#""[\"a\",\"b\"]""#, r#""a,b""#);
        back("join", &json!(null), r#""a, b""#, r#"["a","b"]"#);
        back("join", &json!(null), r#""""#, "[]");
        stuck("split", &json!(null), "7");
        stuck("split", &json!(null), "[[1]]");
    }
}

//! Values and parameters against a discovery document's schemas.

use serde_json::{Map, Value};

use crate::specs::problem::{Kind, Problem};

/// The schemas of a document by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schemas<'d>(pub(super) &'d Map<String, Value>);

impl<'d> Schemas<'d> {
    /// The schema itself, where one only points at another.
    pub(super) fn resolve(self, schema: &'d Value) -> Option<&'d Value> {
        match schema["$ref"].as_str() {
            Some(name) => self.0.get(name),
            None => Some(schema),
        }
    }

    /// Checks a value of a body at `at`.
    pub(super) fn check(self, schema: &'d Value, value: &Value, at: &str, found: &mut Vec<Problem>) {
        let Some(schema) = self.resolve(schema) else {
            found.push(Problem::new(Kind::WrongType, at, format!("the document has no schema {}", schema["$ref"])));
            return;
        };
        match (schema["type"].as_str().unwrap_or("any"), value) {
            ("any", _) => {}
            ("object", Value::Object(fields)) => {
                for (name, value) in fields {
                    let place = format!("{at}.{name}");
                    match field(schema, name) {
                        Some(schema) => self.check(schema, value, &place, found),
                        None => found.push(Problem::new(Kind::UnknownField, place, format!("there {}", those(schema)))),
                    }
                }
            }
            ("array", Value::Array(items)) => {
                for item in items {
                    self.check(&schema["items"], item, &format!("{at}[]"), found);
                }
            }
            (kind, value) => {
                if let Err((kind, text)) = scalar(schema, kind, value) {
                    found.push(Problem::new(kind, at, text));
                }
            }
        }
    }

    /// Checks the names of a field mask (`a,b(c,d/e)`) against the schema it selects from.
    pub(super) fn check_mask(self, schema: &'d Value, mask: &str, at: &str, found: &mut Vec<Problem>) {
        let mut rest = mask;
        self.selection(Some(schema), &mut rest, at, found);
        if !rest.is_empty() {
            found.push(Problem::new(Kind::WrongValue, at, format!("the field mask {mask:?} cannot be read to its end")));
        }
    }

    /// Reads names up to where a list of them ends. Below one that is not there nothing can be said, so it has no schema.
    fn selection(self, schema: Option<&'d Value>, rest: &mut &str, at: &str, found: &mut Vec<Problem>) {
        loop {
            let mut within = schema;
            loop {
                let (name, after) = rest.split_at(rest.find([',', '(', ')', '/', '.']).unwrap_or(rest.len()));
                *rest = after;
                within = within.and_then(|schema| self.selected(schema, name, at, found));
                match rest.strip_prefix(['/', '.']) {
                    Some(after) => *rest = after,
                    None => break,
                }
            }
            if let Some(after) = rest.strip_prefix('(') {
                *rest = after;
                self.selection(within, rest, at, found);
                match rest.strip_prefix(')') {
                    Some(after) => *rest = after,
                    None => *rest = "(",
                }
            }
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return,
            }
        }
    }

    /// The schema of what a mask names, through lists.
    fn selected(self, schema: &'d Value, name: &str, at: &str, found: &mut Vec<Problem>) -> Option<&'d Value> {
        let mut schema = self.resolve(schema)?;
        while schema["type"] == "array" {
            schema = self.resolve(&schema["items"])?;
        }
        if name == "*" || schema["type"] == "any" {
            return None;
        }
        let known = field(schema, name);
        if known.is_none() {
            found.push(Problem::new(Kind::UnknownField, at, format!("the field mask names {name:?}; there {}", those(schema))));
        }
        known
    }
}

/// The schema of an object's field.
fn field<'d>(schema: &'d Value, name: &str) -> Option<&'d Value> {
    schema["properties"].get(name).or_else(|| schema.get("additionalProperties"))
}

fn those(schema: &Value) -> String {
    let names: Vec<&str> = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "are no fields".to_owned() } else { format!("are {}", names.join(", ")) }
}

/// A parameter in a path or query, which comes as text.
pub(super) fn parameter(schema: &Value, text: &str) -> Result<(), (Kind, String)> {
    let kind = schema["type"].as_str().unwrap_or("string");
    let value = match kind {
        "string" => Value::from(text),
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
    };
    scalar(schema, kind, &value)
}

fn scalar(schema: &Value, kind: &str, value: &Value) -> Result<(), (Kind, String)> {
    let format = schema["format"].as_str().unwrap_or_default();
    let wrong = || {
        let expected = if format.is_empty() { kind.to_owned() } else { format!("{kind} ({format})") };
        (Kind::WrongType, format!("expected {expected}, found {}", shown(value)))
    };
    let right = match kind {
        "string" => value.as_str().is_some_and(|text| formatted(text, format)),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_i64().is_some_and(|number| match format {
            "int32" => i32::try_from(number).is_ok(),
            "uint32" => u32::try_from(number).is_ok(),
            _ => true,
        }),
        _ => false,
    };
    if !right {
        return Err(wrong());
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return Err((Kind::WrongValue, format!("found {}, the values are {}", shown(value), values.join(", "))));
    }
    let bound = |name: &str| schema[name].as_str().and_then(|bound| bound.parse::<f64>().ok());
    match value.as_f64() {
        Some(number) if bound("minimum").is_some_and(|least| number < least) || bound("maximum").is_some_and(|most| number > most) => {
            Err((Kind::WrongValue, format!("found {number}, allowed from {} to {}", schema["minimum"], schema["maximum"])))
        }
        _ => Ok(()),
    }
}

/// Whether a text has its format: whole numbers too large for JSON travel as text.
fn formatted(text: &str, format: &str) -> bool {
    match format {
        "int64" => text.parse::<i64>().is_ok(),
        "uint64" => text.parse::<u64>().is_ok(),
        "date" => like(text, "0000-00-00"),
        "date-time" | "google-datetime" => {
            let Some((start, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
            let rest = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            like(start, "0000-00-00T00:00:00") && (rest == "Z" || like(rest, "+00:00") || like(rest, "-00:00"))
        }
        "byte" => text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)),
        _ => true,
    }
}

/// Whether a text looks like an example: digits where it has digits, the same elsewhere.
fn like(text: &str, example: &str) -> bool {
    let same = |(a, b): (char, char)| if b.is_ascii_digit() { a.is_ascii_digit() } else { a == b };
    text.len() == example.len() && text.chars().zip(example.chars()).all(same)
}

/// A value in a message, cut short.
pub(in crate::specs) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

//! What a value looks like, learned from examples or from a schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

use crate::specs::problem::{Kind, Problem};

/// The types of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "number" | "integer" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        })
    }
}

/// Definitions that point at each other are followed this deep.
const DEPTH: usize = 12;

/// What one source knows of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    types: BTreeSet<Type>,
    fields: BTreeMap<String, Shape>,
    /// Whether the source says that there may be other fields.
    open: bool,
    items: Option<Box<Shape>>,
}

impl Shape {
    /// Takes an example in.
    pub(super) fn learn(&mut self, example: &Value) {
        self.types.insert(Type::of(example));
        match example {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.field(name).learn(value)),
            Value::Array(items) => items.iter().for_each(|item| self.items.get_or_insert_default().learn(item)),
            _ => {}
        }
    }

    /// Takes a JSON schema in, as Slack's OpenAPI file has them: alternatives stand as a list in `items`, without a `type`.
    pub(super) fn learn_schema(&mut self, schema: &Value, definitions: &Map<String, Value>) {
        self.schema(schema, definitions, DEPTH);
    }

    fn schema(&mut self, schema: &Value, definitions: &Map<String, Value>, depth: usize) {
        let Some(deeper) = depth.checked_sub(1) else { return };
        if let Some(name) = schema["$ref"].as_str() {
            let definition = name.rsplit('/').next().and_then(|name| definitions.get(name));
            return self.schema(definition.unwrap_or(&Value::Null), definitions, deeper);
        }
        match &schema["type"] {
            Value::String(name) => self.types.extend(Type::named(name)),
            Value::Array(names) => self.types.extend(names.iter().filter_map(|name| Type::named(name.as_str()?))),
            _ => {}
        }
        if let Some(fields) = schema["properties"].as_object() {
            self.types.insert(Type::Object);
            self.open |= schema["additionalProperties"] == true;
            for (name, field) in fields {
                self.field(name).schema(field, definitions, deeper);
            }
        }
        match &schema["items"] {
            Value::Array(alternatives) if schema["type"].is_null() => {
                alternatives.iter().for_each(|alternative| self.schema(alternative, definitions, deeper));
            }
            Value::Array(alternatives) => {
                alternatives.iter().for_each(|alternative| self.items.get_or_insert_default().schema(alternative, definitions, deeper));
            }
            Value::Object(_) => self.items.get_or_insert_default().schema(&schema["items"], definitions, deeper),
            _ => {}
        }
    }

    fn field(&mut self, name: &str) -> &mut Self {
        self.fields.entry(name.to_owned()).or_default()
    }
}

/// A shape and where it is from.
pub(super) type Source<'s> = (&'static str, &'s Shape);

/// Checks a value at `at`: each source that knows its type must agree, and of an object whose fields are known one must know each
/// field.
pub(super) fn check(value: &Value, sources: &[Source<'_>], at: &str, found: &mut Vec<Problem>) {
    let of = Type::of(value);
    for (source, shape) in sources {
        // one that only ever saw null has seen no type
        let known = shape.types.iter().any(|known| *known != Type::Null);
        if known && !shape.types.contains(&of) {
            let types: Vec<String> = shape.types.iter().map(ToString::to_string).collect();
            found.push(Problem::new(Kind::WrongType, at, format!("is {of}, {source} has {}", types.join(" or "))));
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{at}.{name}");
                let inside: Vec<Source<'_>> =
                    sources.iter().filter_map(|(source, shape)| Some((*source, shape.fields.get(name)?))).collect();
                if inside.is_empty() && sources.iter().any(|(_, shape)| !shape.fields.is_empty() && !shape.open) {
                    let names: Vec<&str> = sources.iter().map(|(source, _)| *source).collect();
                    found.push(Problem::new(Kind::UnknownField, place, format!("not in {}", names.join(", "))));
                } else {
                    check(value, &inside, &place, found);
                }
            }
        }
        Value::Array(items) => {
            let inside: Vec<Source<'_>> = sources.iter().filter_map(|(source, shape)| Some((*source, shape.items.as_deref()?))).collect();
            items.iter().for_each(|item| check(item, &inside, &format!("{at}[]"), found));
        }
        _ => {}
    }
}

//! `map` and `default`.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

use super::{Made, Transform, TransformError, Transforms, same, transform_options};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("map", |options| {
        let map: Map = transform_options("map", options)?;
        match (map.table.is_empty(), map.keep && map.default.is_some()) {
            (true, _) => Err(Error::config("transform", "map: the option `table` is missing or empty")),
            (_, true) => Err(Error::config("transform", "map: `keep` and `default` exclude each other")),
            _ => Ok(Arc::new(map.inverted())),
        }
    })?;
    transforms.register("default", |options| Ok(Arc::new(Fallback::new(options)?)))
}

/// Looks the value up in a table. Absent and null cells pass, and empty ones unless the table has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Map {
    /// From the value's text to any JSON value.
    table: BTreeMap<Box<str>, Value>,
    /// For values that are not in the table; without it and `keep` they are errors.
    default: Option<Value>,
    /// Lets values pass that are not in the table.
    keep: bool,
    /// By the JSON text of what the table makes, the words it makes it of.
    #[serde(skip)]
    inverse: BTreeMap<Box<str>, Vec<Box<str>>>,
}

impl Map {
    fn inverted(mut self) -> Self {
        for (word, value) in &self.table {
            self.inverse.entry(value.to_string().into()).or_default().push(word.clone());
        }
        self
    }
}

impl Transform for Map {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Empty => "".into(),
            Cell::Value(_) => cell.text().unwrap_or_default(),
        };
        let known = self.table.get(&*text).or(self.default.as_ref().filter(|_| !text.is_empty()));
        match known {
            Some(value) => Ok(Made::Json(value.to_string())),
            None if self.keep || text.is_empty() => Ok(Made::Unchanged),
            None => {
                let known = self.table.keys().take(10).map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
                let more = if self.table.len() > 10 { ", …" } else { "" };
                Err(TransformError::new(format!("is not in the table ({known}{more})")))
            }
        }
    }

    fn back(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let Some(json) = cell.json() else { return Ok(Made::Unchanged) };
        let alike = || self.inverse.iter().find(|(made, _)| same(json, made)).map(|(_, words)| words);
        match self.inverse.get(json).or_else(alike) {
            Some(words) => Ok(Made::text(&words[0])),
            None if self.keep || cell == Cell::Empty => Ok(Made::Unchanged),
            None => Err(TransformError::new("is not what the table makes of any word")),
        }
    }

    fn check_back(&self) -> Result<(), TransformError> {
        let several = self.inverse.iter().filter(|(made, words)| words.len() > 1 && ***made != *"null");
        let several = several.map(|(made, words)| {
            let words = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>();
            format!("makes {made} of {}", words.join(" and "))
        });
        let several = several.collect::<Vec<_>>().join(", ");
        if several.is_empty() { Ok(()) } else { Err(TransformError::new(several)) }
    }

    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        let texts = self.table.values().chain(&self.default).all(Value::is_string);
        if texts && (!self.keep || input == Some(FieldKind::Text)) { Some(FieldKind::Text) } else { None }
    }
}

/// A value where there is none: `{ default = "open" }`, or `{ default = { value = "open", when = ["null", "empty"] } }`.
#[derive(Debug)]
struct Fallback {
    json: String,
    when: Vec<Without>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FallbackOptions {
    value: Value,
    /// Which cells it stands in for; all three when not given. Without `absent`, a record that lacks the field leaves a stored value as
    /// it is.
    #[serde(default = "Without::all")]
    when: Vec<Without>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Without {
    Absent,
    Null,
    Empty,
}

impl Without {
    fn all() -> Vec<Self> {
        vec![Self::Absent, Self::Null, Self::Empty]
    }
}

impl Fallback {
    fn new(options: &Value) -> Result<Self> {
        let FallbackOptions { value, when } = match options {
            Value::Null => return Err(Error::config("transform", "default: it needs the value, as in { default = \"open\" }")),
            Value::Object(_) => FallbackOptions::deserialize(options)
                .map_err(|e| Error::config("transform", format!("the options of \"default\" do not fit: {e}")))?,
            value => FallbackOptions { value: value.clone(), when: Without::all() },
        };
        if value.is_f64() {
            return Err(Error::config("transform", "default: write numbers with a fraction as text and add the transform \"number\""));
        }
        Ok(Self { json: value.to_string(), when })
    }
}

impl Transform for Fallback {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let without = match cell {
            Cell::Absent => Without::Absent,
            Cell::Null => Without::Null,
            Cell::Empty => Without::Empty,
            Cell::Value(_) => return Ok(Made::Unchanged),
        };
        Ok(if self.when.contains(&without) { Made::Json(self.json.clone()) } else { Made::Unchanged })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, built, case, problem, refused, stuck};

    #[test]
    fn table_maps_texts_numbers_and_booleans_by_their_text() {
        let options = json!({ "table": { "A": "active", "1": 10, "true": null } });
        for (input, value) in [(r#""A""#, r#""active""#), ("1", "10"), (r#""1""#, "10"), ("true", "null"), (r#""""#, r#""""#)] {
            case("map", &options, Some(input), Some(value));
        }
        refused("map", &options, r#""B""#);
        case("map", &json!({ "table": { "A": 1 }, "default": 0 }), Some(r#""B""#), Some("0"));
        case("map", &json!({ "table": { "A": 1 }, "keep": true }), Some(r#""B""#), Some(r#""B""#));
        case("map", &json!({ "table": { "": "none" } }), Some(r#""""#), Some(r#""none""#));
        assert!(problem("map", &json!(null)).contains("`table`"));
        assert!(problem("map", &json!({ "table": { "A": 1 }, "keep": true, "default": 2 })).contains("exclude"));
    }

    #[test]
    fn default_stands_in_for_the_states_it_is_meant_for() {
        for input in [None, Some("null"), Some(r#""""#)] {
            case("default", &json!("open"), input, Some(r#""open""#));
        }
        case("default", &json!("open"), Some(r#""closed""#), Some(r#""closed""#));
        let present = json!({ "value": 0, "when": ["null", "empty"] });
        case("default", &present, None, None);
        case("default", &present, Some("null"), Some("0"));
        assert!(problem("default", &json!(null)).contains("needs the value"));
        assert!(problem("default", &json!(0.1)).contains("as text"));
    }

    #[test]
    fn word_of_the_table_goes_back_for_what_it_makes() {
        let options = json!({ "table": { "A": "active", "1": 10, "": "none", "N": null } });
        for (value, sent) in [(r#""active""#, r#""A""#), ("10", r#""1""#), ("10.0", r#""1""#), (r#""none""#, r#""""#)] {
            back("map", &options, value, sent);
        }
        stuck("map", &options, r#""gone""#);
        stuck("map", &json!({ "table": { "A": 1 }, "default": 0 }), "0");
        back("map", &json!({ "table": { "A": 1 }, "default": 1 }), "1", r#""A""#);
        back("map", &json!({ "table": { "A": 1 }, "keep": true }), r#""B""#, r#""B""#);
        back("default", &json!("open"), r#""open""#, r#""open""#);
    }

    #[test]
    fn table_with_two_words_for_one_value_does_not_go_back() {
        let twice = built("map", &json!({ "table": { "A": "active", "a": "active", "X": 1, "Y": 1, "n": null, "m": null, "Z": 2 } }));
        let error = twice.check_back().expect_err("two words").to_string();
        assert_eq!(error, r#"makes "active" of "A" and "a", makes 1 of "X" and "Y""#);
        built("map", &json!({ "table": { "A": 1, "B": 2 } })).check_back().expect("one word each");
    }
}

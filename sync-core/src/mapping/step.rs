//! One step of a column's way from source to target, as it is written.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::Value;

/// A transform by name, with its options: `"trim"`, or `{ date = { format = "%b %d %Y" } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name it is registered by.
    pub name: Box<str>,
    /// Its options, null when it has none.
    pub options: Value,
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.options.is_null() {
            return out.serialize_str(&self.name);
        }
        let mut map = out.serialize_map(Some(1))?;
        map.serialize_entry(&self.name, &self.options)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct StepVisitor;

        impl<'de> Visitor<'de> for StepVisitor {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transform's name, or one name with its options")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Step, E> {
                Ok(Step { name: name.into(), options: Value::Null })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
                let (name, options) = map.next_entry()?.ok_or_else(|| A::Error::custom("a transform without a name"))?;
                if let Some(second) = map.next_key::<String>()? {
                    return Err(A::Error::custom(format_args!("a step is one transform; make {second:?} a step of its own")));
                }
                Ok(Step { name, options })
            }
        }

        from.deserialize_any(StepVisitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A transform by name, or one name with its options.",
            "anyOf": [
                { "type": "string", "description": "The name of a transform without options." },
                { "type": "object", "minProperties": 1, "maxProperties": 1, "description": "One transform's name, and its options." },
            ],
        })
    }
}

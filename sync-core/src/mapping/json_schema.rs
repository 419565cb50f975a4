//! The JSON Schema of mapping files.

use serde_json::Value;

use super::Mapping;

impl Mapping {
    /// The JSON Schema of mapping files, TOML and JSON alike.
    #[must_use]
    pub fn json_schema() -> Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".into(), "Syncline mapping".into());
        let mut schema = schema.to_value();
        tidy(&mut schema);
        schema
    }
}

/// Takes the examples in Rust out of descriptions, and lets `priority` be written by its other name.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description")
                && let Some(example) = text.find("\n\n```")
            {
                text.truncate(example);
            }
            if let Some(Value::Object(properties)) = members.get_mut("properties")
                && let Some(priority) = properties.get("priority").cloned()
            {
                properties.insert("source_priority".into(), priority);
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(members) => members.iter_mut().for_each(tidy),
        _ => {}
    }
}

//! A record the host hands over.

use serde::Serialize;
use serde_json::Value;
use sync_core::{Operation, RecordId};

/// A record to write or to remove: the fields of a stream, and the key the host knows it by.
///
/// ```
/// # use serde_json::json;
/// # use sync_engine::PushRecord;
/// let ada = PushRecord::new("u-1", &json!({ "email": "ada@example.org" }));
/// let bob = PushRecord::delete("u-2").id("rec8116cdd76088af");
/// ```
#[derive(Clone, Debug)]
pub struct PushRecord {
    pub(crate) key: Option<Box<str>>,
    pub(crate) id: Option<RecordId>,
    pub(crate) operation: Operation,
    /// A JSON object, or why there is none.
    pub(crate) fields: Result<Box<str>, Box<str>>,
}

impl PushRecord {
    /// A record by the host's own key of it. `fields` has to serialise to a JSON object; one that does not fails by itself when it is
    /// pushed.
    pub fn new(key: impl Into<Box<str>>, fields: &impl Serialize) -> Self {
        Self { key: Some(key.into()), ..Self::keyless(fields) }
    }

    /// A record whose key is made of the push's key columns.
    pub fn keyless(fields: &impl Serialize) -> Self {
        let fields = match serde_json::to_string(fields) {
            Ok(json) if json.starts_with('{') => Ok(json.into()),
            Ok(_) => Err("the record is not a JSON object".into()),
            Err(error) => Err(format!("the record cannot be written as JSON: {error}").into()),
        };
        Self { key: None, id: None, operation: Operation::Upsert, fields }
    }

    /// A record that shall go at the service.
    pub fn delete(key: impl Into<Box<str>>) -> Self {
        Self { key: Some(key.into()), id: None, operation: Operation::Delete, fields: Ok("{}".into()) }
    }

    /// Sets the service's own key of it, when the host knows it.
    #[must_use]
    pub fn id(mut self, id: impl Into<RecordId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The host's key of it, if it was given one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Its fields, a JSON object; `None` when they were none.
    #[must_use]
    pub fn fields(&self) -> Option<&str> {
        self.fields.as_deref().ok()
    }
}

impl From<Value> for PushRecord {
    fn from(fields: Value) -> Self {
        Self::keyless(&fields)
    }
}

impl From<serde_json::Map<String, Value>> for PushRecord {
    fn from(fields: serde_json::Map<String, Value>) -> Self {
        Self::keyless(&fields)
    }
}

//! A mapping against the fields its source has: what is missing, what people call it, what types come out.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use serde_json::Value;

use super::{
    CompiledMapping,
    compile::{CompiledColumn, Input},
};
use crate::{Error, Field, FieldKind, Operation, RecordBatch, Result};

impl CompiledMapping {
    /// Checks that the source has the columns the mapping reads. Of several `sources` one is enough; of an object every member's
    /// field has to be there. A key column that the source has twice is refused too, since nobody could say which one counts.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming every column that is missing, the one that was probably meant, and the
    /// columns that were seen.
    pub fn check_against(&self, fields: &[Field]) -> Result<()> {
        let has = |name: &str| fields.iter().any(|field| *field.name == *name);
        let mut problems = Vec::new();
        for column in self.written() {
            let what = if column.key { "key column" } else { "column" };
            let missing: Vec<&str> = column.input.fields().filter(|field| !has(field)).collect();
            let lacking = match &column.input {
                Input::Fields(sources) => missing.len() == sources.len(),
                _ => !missing.is_empty(),
            };
            if lacking && (column.key || !column.optional) {
                for name in &missing {
                    let mut text = format!("{what} {name:?} is missing");
                    if let Some(likely) = likely(name, fields) {
                        let _ = write!(text, "; did you mean {likely:?}?");
                    }
                    problems.push(text);
                }
            }
            if column.key {
                for name in column.input.fields().filter(|name| fields.iter().filter(|field| *field.name == **name).count() > 1) {
                    problems.push(format!("key column {name:?} is there more than once"));
                }
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let seen = fields.iter().map(|field| format!("{:?}", field.name)).collect::<Vec<_>>().join(", ");
        let seen = if seen.is_empty() { "none" } else { &seen };
        let text = format!("mapping {:?} does not fit {}: {}; columns seen: {seen}", self.name, self.stream, problems.join("; "));
        Err(Error::config("mapping", text))
    }

    /// Checks a page of a stream that declares no fields: if none of its records has a key column, the column is missing rather than empty
    /// in every row, and the run must not end as a success without rows.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming the key columns that are missing and the fields that were seen.
    pub fn check_batch(&self, batch: &RecordBatch) -> Result<()> {
        if !batch.records().iter().any(|record| record.operation == Operation::Upsert) {
            return Ok(());
        }
        let seen = |name: &str| batch.names().iter().any(|seen| **seen == *name);
        let keys = self.columns.iter().filter(|column| column.key);
        if keys.clone().all(|column| column.input.fields().next().is_none() || column.input.fields().any(seen)) {
            return Ok(());
        }
        let fields: Vec<_> = batch.names().iter().map(|name| Field::new(&**name)).collect();
        let keys = Self { columns: keys.cloned().collect(), ..self.clone() };
        keys.check_against(&fields)
    }

    /// Per field of the target where a person finds its value: `Movies → Column B`. For [`Source::refs`](crate::Source).
    #[must_use]
    pub fn refs(&self, stream_title: &str, fields: &[Field]) -> BTreeMap<Box<str>, Box<str>> {
        let reference = |column: &CompiledColumn| match column.input {
            Input::Constant(_) | Input::Computed => format!("{stream_title} → constant of mapping {}", self.name),
            _ => {
                let places = column.input.fields().map(|name| match labelled(name, fields) {
                    Some(label) => label.to_owned(),
                    None => name.to_owned(),
                });
                format!("{stream_title} → {}", places.collect::<Vec<_>>().join(", "))
            }
        };
        self.written().map(|column| (column.target.clone(), reference(column).into())).collect()
    }

    /// The target's fields with the types that come out, where those are known; labels are the source columns'.
    #[must_use]
    pub fn fields(&self, source: &[Field]) -> Arc<[Field]> {
        self.written()
            .map(|column| {
                let mut named = column.input.fields().filter_map(|name| source.iter().find(|field| *field.name == *name));
                let (kind, label) = match &column.input {
                    Input::Constant(json) => (constant_kind(json), None),
                    Input::Object(_) => (Some(FieldKind::Json), None),
                    Input::Fields(_) => {
                        let first = named.next();
                        let kind = first.and_then(|field| field.kind);
                        (kind.filter(|_| named.all(|field| field.kind == kind)), first.and_then(|field| field.label.clone()))
                    }
                    Input::Computed => (None, None),
                };
                let kind = column.steps.iter().fold(kind, |kind, (_, transform)| transform.kind(kind));
                Field { name: column.target.clone(), label, kind }
            })
            .collect()
    }
}

fn constant_kind(json: &str) -> Option<FieldKind> {
    match serde_json::from_str(json).ok()? {
        Value::String(_) => Some(FieldKind::Text),
        Value::Bool(_) => Some(FieldKind::Boolean),
        Value::Number(_) => Some(FieldKind::Integer),
        Value::Array(_) | Value::Object(_) => Some(FieldKind::Json),
        Value::Null => None,
    }
}

/// A column as people find it: `Column B (Release Date)`; by its source's name alone where the service has no other words.
pub(super) fn describe(column: &CompiledColumn, fields: &[Field]) -> String {
    let place = |name: &str| match labelled(name, fields) {
        Some(label) => format!("{label} ({name})"),
        None => name.to_owned(),
    };
    let places = column.input.fields().map(place).collect::<Vec<_>>().join(", ");
    if places.is_empty() { column.target.clone().into() } else { places }
}

fn labelled<'f>(name: &str, fields: &'f [Field]) -> Option<&'f str> {
    fields.iter().find(|field| *field.name == *name).and_then(|field| field.label.as_deref())
}

/// The column that was probably meant: the same letters and digits, or the nearest by edits if at most a third of it differs.
fn likely<'f>(name: &str, fields: &'f [Field]) -> Option<&'f str> {
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wanted = bare(name);
    let distance = |field: &&'f Field| strsim::osa_distance(&wanted, &bare(&field.name));
    let nearest = fields.iter().min_by_key(distance)?;
    (distance(&nearest) * 3 <= wanted.chars().count()).then_some(&*nearest.name)
}

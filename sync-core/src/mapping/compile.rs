//! From a mapping as written to one that can be applied: every problem is found, and all are reported at once.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{Authority, Column, Mapping, OnError, Transform, Transforms};
use crate::{Duplicates, EntityType, Error, FieldRule, Place, Result, StreamName};

/// A mapping that was checked and is ready to be applied. Cheap to share behind an `Arc`.
#[derive(Clone, Debug)]
pub struct CompiledMapping {
    pub(super) name: Box<str>,
    pub(super) stream: StreamName,
    pub(super) entity: EntityType,
    pub(super) place: Place,
    pub(super) duplicates: Option<Duplicates>,
    pub(super) key: Arc<[Box<str>]>,
    pub(super) columns: Vec<CompiledColumn>,
}

/// Where a column's value comes from.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// The first of these fields that has a value.
    Fields(Vec<Box<str>>),
    /// The same JSON text in every row.
    Constant(Box<str>),
    /// Members, each by its quoted name and the field it comes from.
    Object(Vec<(Box<str>, Box<str>)>),
    /// Nothing: a derived column.
    Computed,
}

impl Input {
    /// The fields of the source it reads.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let (plain, members) = match self {
            Self::Fields(fields) => (&fields[..], &[][..]),
            Self::Object(members) => (&[][..], &members[..]),
            Self::Constant(_) | Self::Computed => (&[][..], &[][..]),
        };
        plain.iter().map(|field| &**field).chain(members.iter().map(|(_, field)| &**field))
    }
}

#[derive(Clone, Debug)]
pub(super) struct CompiledColumn {
    pub(super) input: Input,
    pub(super) target: Box<str>,
    pub(super) key: bool,
    pub(super) rule: FieldRule,
    pub(super) required: bool,
    pub(super) optional: bool,
    pub(super) on_error: OnError,
    pub(super) steps: Vec<(Box<str>, Arc<dyn Transform>)>,
}

impl CompiledColumn {
    /// The transform that keeps the column out of pushes, if it has one.
    pub(super) fn silent(&self) -> Option<&str> {
        self.steps.iter().find(|(_, transform)| !transform.sends()).map(|(name, _)| &**name)
    }
}

impl Mapping {
    /// Checks the mapping and makes it ready.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) that names every problem there is, not just the first.
    pub fn compile(&self, transforms: &Transforms) -> Result<CompiledMapping> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() {
            problems.push("it has no name".into());
        }
        if self.stream.as_str().is_empty() {
            problems.push("it names no stream".into());
        }
        let columns: Vec<_> = self.columns.iter().map(|column| Self::column_of(column, transforms, &mut problems)).collect();
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].iter().any(|earlier| earlier.target == column.target) {
                problems.push(format!("two columns are written to {:?}", column.target));
            }
        }
        let key: Arc<[Box<str>]> = self.key_of(&columns, &mut problems).into();
        let (entity, place) = match (&self.entity, &self.table) {
            (Some(entity), None) if entity.as_str().trim().is_empty() => {
                problems.push("`entity` is empty".into());
                (entity.clone(), Place::Stream)
            }
            (Some(entity), None) => (entity.clone(), Place::Managed { key: Arc::clone(&key) }),
            (None, Some(table)) => {
                let mut table = table.clone();
                if table.name.trim().is_empty() {
                    problems.push("`table` has no name".into());
                }
                for own in [&table.workspace_column, &table.version_column].into_iter().flatten() {
                    if columns.iter().any(|column| column.target == *own) {
                        problems.push(format!("the table's own column {own:?} cannot be the target of a column"));
                    }
                }
                table.key = key.to_vec();
                (table.entity_type(), Place::Host(Arc::new(table)))
            }
            (Some(_), Some(_)) => {
                problems.push("it names both `entity` and `table`; one of them says where rows go".into());
                (EntityType::from(""), Place::Stream)
            }
            (None, None) => {
                problems.push("it names neither `entity` nor `table`".into());
                (EntityType::from(""), Place::Stream)
            }
        };
        if !problems.is_empty() {
            return Err(Error::config("mapping", format!("mapping {:?} cannot be used: {}", self.name, problems.join("; "))));
        }
        let columns = columns.into_iter().map(|column| CompiledColumn { key: key.contains(&column.target), ..column }).collect();
        Ok(CompiledMapping {
            name: self.name.clone(),
            stream: self.stream.clone(),
            entity,
            place,
            duplicates: self.duplicates,
            key,
            columns,
        })
    }

    /// The key: what the table names, otherwise the marked columns in their order.
    fn key_of(&self, columns: &[CompiledColumn], problems: &mut Vec<String>) -> Vec<Box<str>> {
        let marked: Vec<Box<str>> = columns.iter().filter(|column| column.key).map(|column| column.target.clone()).collect();
        let named = self.table.as_ref().map_or(&[][..], |table| &table.key);
        let key = if named.is_empty() { marked.clone() } else { named.to_vec() };
        if key.is_empty() {
            problems.push("no column is marked as key".into());
        }
        if !named.is_empty() {
            for extra in marked.iter().filter(|target| !named.contains(target)) {
                problems.push(format!("column {extra:?} is marked as key, but the table's key is {}", named.join(", ")));
            }
        }
        for (at, target) in key.iter().enumerate() {
            if key[..at].contains(target) && !named.is_empty() {
                problems.push(format!("the table's key names {target:?} twice"));
            }
            match columns.iter().find(|column| column.target == *target) {
                None => problems.push(format!("the table's key column {target:?} is no column's target")),
                Some(column) => {
                    if column.rule.authority != Authority::SourceOfTruth {
                        problems.push(format!("key column {target:?} has to be a source of truth"));
                    }
                    if column.on_error == OnError::DropValue {
                        problems.push(format!("key column {target:?} cannot drop its value on errors"));
                    }
                    if matches!(column.input, Input::Object(_)) {
                        problems.push(format!("key column {target:?} cannot be an object"));
                    }
                }
            }
        }
        if !key.is_empty() && key.iter().all(|target| columns.iter().any(|c| c.target == *target && matches!(c.input, Input::Constant(_))))
        {
            problems.push("every key column is a constant, so that all rows would be one".into());
        }
        key
    }

    fn column_of(column: &Column, transforms: &Transforms, problems: &mut Vec<String>) -> CompiledColumn {
        let target = &column.target;
        if target.trim().is_empty() {
            problems.push("a column has no target".into());
        }
        let mut inputs: Vec<Input> = Vec::new();
        if let Some(source) = &column.source {
            inputs.push(Input::Fields(vec![source.clone()]));
        }
        if !column.sources.is_empty() {
            inputs.push(Input::Fields(column.sources.clone()));
        }
        if let Some(value) = &column.value {
            if holds_fraction(value) {
                problems.push(format!("the value of {target:?} has a binary fraction; write it as text and add the transform \"number\""));
            }
            inputs.push(Input::Constant(value.to_string().into()));
        }
        if let Some(members) = &column.object {
            if members.is_empty() {
                problems.push(format!("the object of {target:?} has no members"));
            }
            inputs.push(Input::Object(members.iter().map(|(m, field)| (Value::from(&**m).to_string().into(), field.clone())).collect()));
        }
        if inputs.len() > 1 {
            problems.push(format!("column {target:?} has more than one of source, sources, value and object"));
        }
        let input = inputs.pop().unwrap_or(Input::Computed);
        if matches!(input, Input::Computed) && column.authority != Authority::Derived {
            problems.push(format!("column {target:?} has none of source, sources, value and object"));
        }
        if input.fields().any(str::is_empty) {
            problems.push(format!("column {target:?} names a source without a name"));
        }
        if column.authority == Authority::Derived && column.required {
            problems.push(format!("column {target:?} is derived, which no sync writes, and cannot be required"));
        }
        let mut steps = Vec::with_capacity(column.transforms.len());
        for step in &column.transforms {
            match transforms.build(step) {
                Ok(transform) => steps.push((step.name.clone(), transform)),
                Err(error) => problems.push(format!("column {target:?}: {}", error.text())),
            }
        }
        CompiledColumn {
            input,
            target: target.clone(),
            key: column.key,
            rule: FieldRule { authority: column.authority, priority: column.priority },
            required: column.required,
            optional: column.optional,
            on_error: column.on_error,
            steps,
        }
    }
}

/// Whether a constant holds a number that went through a binary fraction and may have lost digits.
fn holds_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none() && number.as_u64().is_none(),
        Value::Array(values) => values.iter().any(holds_fraction),
        Value::Object(members) => members.values().any(holds_fraction),
        _ => false,
    }
}

impl CompiledMapping {
    /// Its name; feeds and lineage carry it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stream it reads.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The entity type it writes.
    #[must_use]
    pub fn entity(&self) -> &EntityType {
        &self.entity
    }

    /// Where rows land, with the key.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The key fields of the target, in their order.
    #[must_use]
    pub fn key(&self) -> &Arc<[Box<str>]> {
        &self.key
    }

    /// Which of two records with one key counts, when the mapping says so itself.
    #[must_use]
    pub fn duplicates(&self) -> Option<Duplicates> {
        self.duplicates
    }

    /// The fields rows are written to, in the mapping's order; derived ones are not among them.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.written().map(|column| &*column.target)
    }

    /// How each field of the target behaves, derived ones included.
    #[must_use]
    pub fn rules(&self) -> BTreeMap<Box<str>, FieldRule> {
        self.columns.iter().map(|column| (column.target.clone(), column.rule)).collect()
    }

    /// The key's fields at the source: what a source without keys of its own (a sheet) makes record ids of. Constants among the
    /// key columns have none; of several sources the first counts.
    #[must_use]
    pub fn source_key(&self) -> Arc<[Box<str>]> {
        let columns = self.key.iter().filter_map(|target| self.columns.iter().find(|column| column.target == *target));
        columns.filter_map(|column| column.input.fields().next().map(Into::into)).collect()
    }

    pub(super) fn written(&self) -> impl Iterator<Item = &CompiledColumn> {
        self.columns.iter().filter(|column| column.rule.authority != Authority::Derived)
    }
}

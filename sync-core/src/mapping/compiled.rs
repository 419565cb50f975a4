//! A mapping that is ready to be applied, and what storages and runs ask of it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Authority, Contract, NullPolicy, OnError, Transform,
    expression::{Expression, Read},
};
use crate::{Duplicates, EntityType, FieldRule, Place, StreamName};

/// A mapping that was checked and is ready to be applied. Cheap to share behind an `Arc`.
#[derive(Clone, Debug)]
pub struct CompiledMapping {
    pub(super) name: Box<str>,
    pub(super) stream: StreamName,
    pub(super) entity: EntityType,
    pub(super) place: Place,
    pub(super) duplicates: Option<Duplicates>,
    pub(super) contract: Contract,
    pub(super) key: Arc<[Box<str>]>,
    pub(super) columns: Vec<CompiledColumn>,
    pub(super) computed: Vec<CompiledComputed>,
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
    Nothing,
}

impl Input {
    /// The fields of the source it reads.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let (plain, members) = match self {
            Self::Fields(fields) => (&fields[..], &[][..]),
            Self::Object(members) => (&[][..], &members[..]),
            Self::Constant(_) | Self::Nothing => (&[][..], &[][..]),
        };
        plain.iter().map(|field| &**field).chain(members.iter().map(|(_, field)| &**field))
    }
}

/// A column that is ready.
#[derive(Clone, Debug)]
pub(super) struct CompiledColumn {
    /// Where it stands among the mapping's columns.
    pub(super) at: usize,
    pub(super) input: Input,
    pub(super) target: Box<str>,
    pub(super) key: bool,
    pub(super) rule: FieldRule,
    pub(super) required: bool,
    pub(super) optional: bool,
    pub(super) on_error: OnError,
    pub(super) nulls: NullPolicy,
    pub(super) steps: Vec<(Box<str>, Arc<dyn Transform>)>,
    /// As the mapping says; otherwise what the stream says counts.
    pub(super) sensitive: Option<bool>,
}

impl CompiledColumn {
    /// The transform that keeps the column out of pushes, if it has one.
    pub(super) fn silent(&self) -> Option<&str> {
        self.steps.iter().find(|(_, transform)| !transform.sends()).map(|(name, _)| &**name)
    }
}

/// A computed field that is ready.
#[derive(Clone, Debug)]
pub(super) struct CompiledComputed {
    /// Where it stands among the mapping's computed fields.
    pub(super) at: usize,
    pub(super) target: Box<str>,
    pub(super) rule: FieldRule,
    pub(super) required: bool,
    pub(super) on_error: OnError,
    pub(super) nulls: NullPolicy,
    /// As it is written, for failures.
    pub(super) text: Box<str>,
    pub(super) expression: Expression,
    /// As the mapping says; otherwise what it reads counts.
    pub(super) sensitive: Option<bool>,
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

    /// The fields rows are written to, in the mapping's order, computed ones last; derived ones are not among them.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.written().map(|column| &*column.target).chain(self.computed.iter().map(|computed| &*computed.target))
    }

    /// How each field of the target behaves, derived ones included.
    #[must_use]
    pub fn rules(&self) -> BTreeMap<Box<str>, FieldRule> {
        let computed = self.computed.iter().map(|computed| (computed.target.clone(), computed.rule));
        self.columns.iter().map(|column| (column.target.clone(), column.rule)).chain(computed).collect()
    }

    /// Whether a field of the source holds what a sensitive field of the target does.
    #[must_use]
    pub fn is_sensitive_source(&self, field: &str) -> bool {
        let mut columns = self.columns.iter().filter(|column| column.sensitive == Some(true));
        columns.any(|column| column.input.fields().any(|source| *source == *field))
    }

    /// Whether a column, not only a computed field, reads a field of the source.
    #[must_use]
    pub fn column_reads(&self, field: &str) -> bool {
        self.columns.iter().any(|column| column.input.fields().any(|source| *source == *field))
    }

    /// What a computed field reads: fields of the target, and fields of the source. `None` when it is not computed.
    #[must_use]
    pub fn inputs(&self, target: &str) -> Option<(Vec<&str>, Vec<&str>)> {
        let computed = self.computed.iter().find(|computed| *computed.target == *target)?;
        let (mut fields, mut sources) = (Vec::new(), Vec::new());
        for read in &computed.expression.reads {
            match read {
                Read::Field(name) => fields.push(&**name),
                Read::Source(name) => sources.push(&**name),
            }
        }
        Some((fields, sources))
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

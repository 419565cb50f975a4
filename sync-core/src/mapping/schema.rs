//! A mapping against the fields its source has: what is missing, what people call it, what types come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    CompiledMapping, Drift, HeaderFingerprint, NewColumns, Problem,
    compiled::{CompiledColumn, CompiledComputed, Input},
    expression::Read,
    likely::likely_of,
    problem::line,
};
use crate::{Error, Field, FieldKind, Operation, RecordBatch, Result};

impl CompiledMapping {
    /// Checks that the source has the columns the mapping reads. Of several `sources` one is enough; of an object every member's
    /// field has to be there. A key column that the source has twice is refused too, since nobody could say which one counts, and with a
    /// contract that freezes columns each one that is neither read nor ignored.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming every column that is missing, the one that was probably meant, and the
    /// columns that were seen.
    pub fn check_against(&self, fields: &[Field]) -> Result<()> {
        self.check_since(None, fields)
    }

    /// The same, knowing the header at the last look: a column that is missing and was there then is told with the name it probably has
    /// now.
    ///
    /// # Errors
    /// As of [`check_against`](Self::check_against).
    pub fn check_since(&self, last: Option<&HeaderFingerprint>, fields: &[Field]) -> Result<()> {
        self.fits(&self.problems_since(last, fields), fields)
    }

    /// What [`check_against`](Self::check_against) finds, one by one.
    #[must_use]
    pub fn problems_against(&self, fields: &[Field]) -> Vec<Problem> {
        self.problems_since(None, fields)
    }

    fn problems_since(&self, last: Option<&HeaderFingerprint>, fields: &[Field]) -> Vec<Problem> {
        let source = &Columns::new(last, fields);
        let mut problems: Vec<Problem> = self.written().flat_map(|column| column.problems_against(source)).collect();
        for computed in &self.computed {
            for name in computed.sources().filter(|name| !has(fields, name)) {
                let text = format!("the expression of {:?} reads the column {name:?}, which is missing", computed.target);
                problems.push(source.suggest(Problem::new(format!("computed[{}].expression", computed.at), text), name));
            }
        }
        problems.extend(self.frozen(fields));
        problems
    }

    /// Columns that the contract does not let in.
    fn frozen<'f>(&'f self, fields: &'f [Field]) -> impl Iterator<Item = Problem> + 'f {
        let frozen = |name: &str| {
            let text = format!("column {name:?} is new, and the contract freezes columns");
            Problem::new("contract.columns", text).hint("read it, or add it to `ignore` of the contract")
        };
        let fields = if self.contract.columns == Some(NewColumns::Freeze) { fields } else { &[] };
        self.unread(fields).map(frozen)
    }

    /// Whether a run is to warn of this change of the source's header: any of a column that the mapping reads; of others, under a contract
    /// that lets columns evolve, those that it does not ignore. Another order is nothing to warn of, nor is a column that came and is read.
    #[must_use]
    pub fn concerns(&self, drift: &Drift) -> bool {
        let evolves = self.contract.columns == Some(NewColumns::Evolve);
        let ignored = |name: &str| self.contract.ignore.iter().any(|ignored| **ignored == *name);
        match drift {
            Drift::New { name } => evolves && !self.reads(name) && !ignored(name),
            Drift::Renamed { from, to } => self.reads(from) || (evolves && !self.reads(to) && !ignored(to)),
            Drift::Missing { name } | Drift::Duplicate { name, .. } | Drift::KindChanged { name, .. } => {
                self.reads(name) || (evolves && !ignored(name))
            }
            Drift::Reordered { .. } => false,
        }
    }

    /// Whether it reads this field of the source.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.read().any(|read| *read == *name)
    }

    /// The fields of the source it reads, some of them several times.
    fn read(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().flat_map(|column| column.input.fields()).chain(self.computed.iter().flat_map(CompiledComputed::sources))
    }

    /// Checks a page of a stream that declares no fields: if none of its records has a key column, the column is missing rather than empty
    /// in every row, and the run must not end as a success without rows. What the contract freezes is checked by the fields the page has.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming the key columns that are missing and the fields that were seen.
    pub fn check_batch(&self, batch: &RecordBatch) -> Result<()> {
        if !batch.records().iter().any(|record| record.operation == Operation::Upsert) {
            return Ok(());
        }
        let seen = |name: &str| batch.names().iter().any(|seen| **seen == *name);
        let lacking = |column: &&CompiledColumn| column.input.fields().next().is_some() && !column.input.fields().any(seen);
        let lacks_key = self.columns.iter().filter(|column| column.key).any(|column| lacking(&column));
        if !lacks_key && self.contract.columns != Some(NewColumns::Freeze) {
            return Ok(());
        }
        let fields: Vec<_> = batch.names().iter().map(|name| Field::new(&**name)).collect();
        let mut problems = self.problems_against(&fields);
        // A field that no record of one page has may stand in the next.
        let keys: Vec<String> = self.columns.iter().filter(|column| column.key).map(|column| format!("columns[{}].", column.at)).collect();
        problems.retain(|problem| *problem.place == *"contract.columns" || keys.iter().any(|key| problem.place.starts_with(&**key)));
        self.fits(&problems, &fields)
    }

    /// Checks a later page of such a stream: what the contract freezes may stand in any of them.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming the fields that are new.
    pub fn check_further(&self, batch: &RecordBatch) -> Result<()> {
        if self.contract.columns != Some(NewColumns::Freeze) {
            return Ok(());
        }
        let fields: Vec<_> = batch.names().iter().map(|name| Field::new(&**name)).collect();
        self.fits(&self.frozen(&fields).collect::<Vec<_>>(), &fields)
    }

    fn fits(&self, problems: &[Problem], fields: &[Field]) -> Result<()> {
        if problems.is_empty() {
            return Ok(());
        }
        let seen = fields.iter().map(|field| format!("{:?}", field.name)).collect::<Vec<_>>().join(", ");
        let seen = if seen.is_empty() { "none" } else { &seen };
        let text = format!("mapping {:?} does not fit {}: {}; columns seen: {seen}", self.name, self.stream, line(problems));
        Err(Error::config("mapping", text))
    }

    /// The columns of the source that the mapping neither reads nor ignores.
    fn unread<'f>(&'f self, fields: &'f [Field]) -> impl Iterator<Item = &'f str> {
        let known: BTreeSet<&str> = self.read().chain(self.contract.ignore.iter().map(|name| &**name)).collect();
        fields.iter().map(|field| &*field.name).filter(move |name| !known.contains(name))
    }

    /// Per field of the target where a person finds its value: `Movies → Column B`. For [`Source::refs`](crate::Source).
    #[must_use]
    pub fn refs(&self, stream_title: &str, fields: &[Field]) -> BTreeMap<Box<str>, Box<str>> {
        let reference = |column: &CompiledColumn| match column.input {
            Input::Constant(_) | Input::Nothing => format!("{stream_title} → constant of mapping {}", self.name),
            _ => {
                let places = column.input.fields().map(|name| match labelled(name, fields) {
                    Some(label) => label.to_owned(),
                    None => name.to_owned(),
                });
                format!("{stream_title} → {}", places.collect::<Vec<_>>().join(", "))
            }
        };
        let computed = format!("{stream_title} → computed by mapping {}", self.name);
        let computed = self.computed.iter().map(|field| (field.target.clone(), computed.as_str().into()));
        self.written().map(|column| (column.target.clone(), reference(column).into())).chain(computed).collect()
    }

    /// The target's fields with the types that come out, where those are known; labels are the source columns'.
    #[must_use]
    pub fn fields(&self, source: &[Field]) -> Arc<[Field]> {
        let sensitive = self.sensitive(source);
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
                    Input::Nothing => (None, None),
                };
                let kind = column.steps.iter().fold(kind, |kind, (_, transform)| transform.kind(kind));
                Field { name: column.target.clone(), label, kind, sensitive: sensitive.contains(&*column.target) }
            })
            .chain(self.computed.iter().map(|field| {
                let (name, kind) = (field.target.clone(), field.expression.kind());
                Field { name, label: None, kind, sensitive: sensitive.contains(&*field.target) }
            }))
            .collect()
    }
}

impl CompiledColumn {
    fn problems_against(&self, source: &Columns<'_>) -> Vec<Problem> {
        let fields = source.fields;
        let what = if self.key { "key column" } else { "column" };
        let part = match &self.input {
            Input::Object(_) => "object",
            Input::Fields(sources) if sources.len() > 1 => "sources",
            _ => "source",
        };
        let place = format!("columns[{}].{part}", self.at);
        let missing: Vec<&str> = self.input.fields().filter(|name| !has(fields, name)).collect();
        let lacking = match &self.input {
            Input::Fields(sources) => missing.len() == sources.len(),
            _ => !missing.is_empty(),
        };
        let mut problems = Vec::new();
        if lacking && (self.key || !self.optional) {
            let told = |name: &&str| source.suggest(Problem::new(&*place, format!("{what} {name:?} is missing")), name);
            problems.extend(missing.iter().map(told));
        }
        if self.key {
            let twice = |name: &&str| fields.iter().filter(|field| *field.name == **name).count() > 1;
            let told = |name: &str| Problem::new(&*place, format!("key column {name:?} is there more than once"));
            problems.extend(self.input.fields().filter(twice).map(told));
        }
        problems
    }
}

impl CompiledComputed {
    /// The fields of the source it reads.
    fn sources(&self) -> impl Iterator<Item = &str> {
        self.expression.reads.iter().filter_map(|read| match read {
            Read::Source(name) => Some(&**name),
            Read::Field(_) => None,
        })
    }
}

fn has(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| *field.name == *name)
}

/// The columns there are, and what those that are gone are probably called now.
struct Columns<'f> {
    fields: &'f [Field],
    renamed: BTreeMap<Box<str>, Box<str>>,
}

impl<'f> Columns<'f> {
    fn new(last: Option<&HeaderFingerprint>, fields: &'f [Field]) -> Self {
        let drifts = last.map(|last| last.compare(&HeaderFingerprint::of(fields))).unwrap_or_default();
        let renamed = drifts.into_iter().filter_map(|drift| match drift {
            Drift::Renamed { from, to } => Some((from, to)),
            _ => None,
        });
        Self { fields, renamed: renamed.collect() }
    }

    /// With the column that was probably meant.
    fn suggest(&self, problem: Problem, name: &str) -> Problem {
        if let Some(to) = self.renamed.get(name) {
            return problem.hint(format!("it is probably called {to:?} now"));
        }
        match likely_of(name, self.fields.iter().map(|field| &*field.name)) {
            Some(likely) => problem.hint(format!("did you mean {likely:?}?")),
            None => problem,
        }
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

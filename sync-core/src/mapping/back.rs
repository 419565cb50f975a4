//! Backwards: from rows of the target to records of the stream. Pure.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde_json::value::RawValue;

use super::{
    Authority, Cell, CompiledMapping, Made, Mapped,
    apply::{blank, gather, run},
    compiled::{CompiledColumn, Input},
    transform::same,
};
use crate::{Error, Operation, Record, RecordBatch, RecordFailure, Result, Writes};

impl CompiledMapping {
    /// The fields of the target that a push sends, in the mapping's order: those of columns with a source, derived ones included, less
    /// references, whose value is the service's own, and those with a transform that [sends](super::Transform::sends) nothing.
    #[must_use]
    pub fn pushes(&self) -> Arc<[Box<str>]> {
        self.sent().map(|column| column.target.clone()).collect()
    }

    /// Checks that a push through this mapping can write a stream that takes `writes`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming every problem there is: nothing to send, fields the stream does not write (with those
    /// it does), two columns for one field, key columns and transforms that do not go back.
    pub fn check_back(&self, writes: &Writes) -> Result<()> {
        let mut problems = Vec::new();
        if self.sent().next().is_none() {
            problems.push("no column sends anything: each one is a constant, a reference or computed".into());
        }
        match writes {
            Writes::Nothing => problems.push(format!("the stream {} can only be read", self.stream)),
            Writes::Anything => {}
            Writes::Fields(fields) => {
                let strange = |field: &&str| !fields.iter().any(|known| **known == **field);
                let mut unknown: Vec<_> = self.sent().flat_map(fields_of).filter(strange).map(|field| format!("{field:?}")).collect();
                unknown.dedup();
                if !unknown.is_empty() {
                    let known = fields.iter().map(|field| format!("{field:?}")).collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "none" } else { &known };
                    problems.push(format!("the stream does not write {}; it writes {known}", unknown.join(", ")));
                }
            }
        }
        let mut senders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for column in self.sent() {
            fields_of(column).for_each(|field| senders.entry(field).or_default().push(&column.target));
        }
        for (field, targets) in senders.iter().filter(|(_, targets)| targets.len() > 1) {
            let targets = targets.iter().map(|target| format!("{target:?}")).collect::<Vec<_>>().join(" and ");
            problems.push(format!("{targets} would both be sent to {field:?}; make all but one of them a reference"));
        }
        for column in self.columns.iter().filter(|column| column.key && matches!(column.input, Input::Constant(_))) {
            problems.push(format!("key column {:?} is a constant, so that nobody could tell whose rows these are", column.target));
        }
        for column in self.columns.iter().filter(|column| column.key) {
            if let Some(name) = column.silent() {
                problems.push(format!(
                    "key column {:?} is not sent by its transform {name}, so that nobody could tell whose rows these are",
                    column.target
                ));
            }
        }
        for column in self.sent() {
            for (name, transform) in &column.steps {
                if let Err(error) = transform.check_back() {
                    problems.push(format!("column {:?}: the transform {name} {error}", column.target));
                }
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::config("mapping", format!("mapping {:?} cannot be pushed: {}", self.name, problems.join("; "))))
    }

    /// This mapping without the key columns whose field a stream does not write: for pushes to streams that give their records keys of
    /// their own, where ours only tells rows apart.
    #[must_use]
    pub fn without_unwritten_keys(&self, writes: &Writes) -> Self {
        let written = |column: &CompiledColumn| match writes {
            Writes::Fields(fields) => fields_of(column).all(|field| fields.iter().any(|known| **known == *field)),
            Writes::Anything | Writes::Nothing => true,
        };
        let kept = self.columns.iter().filter(|column| !column.key || written(column)).cloned().collect();
        Self { columns: kept, ..self.clone() }
    }

    /// Maps rows of the target to records of the stream. Ids, operations and positions are the rows'.
    ///
    /// A column sends its value to its source (of several to the first), an object its members to their fields. Values that are only
    /// carried keep their text to the last byte; the others go back through the transforms, last one first, and are proved: read
    /// again they have to give the row's value, otherwise the row fails, so that no write comes back as something else. Null goes
    /// as null and a field the row does not have stays absent. A row without a value in a key column or a required one fails. A delete
    /// sends its key alone. Only for mappings that [`check_back`](Self::check_back) lets pass.
    #[must_use]
    pub fn back(&self, batch: &RecordBatch) -> Mapped {
        let mut mapped = Mapped::default();
        let plan = Plan::new(self, batch, &mut mapped.batch);
        let mut cells = vec![None; plan.columns.len()];
        for row in batch.records() {
            cells.fill(None);
            for (name, json) in batch.cells(row) {
                if let Some(at) = plan.column_of[name] {
                    cells[at] = Some(json);
                }
            }
            record(&plan, row, &cells, &mut mapped);
        }
        mapped
    }

    fn sent(&self) -> impl Iterator<Item = &CompiledColumn> {
        self.columns.iter().filter(|column| {
            let read = matches!(column.input, Input::Fields(_) | Input::Object(_));
            read && column.rule.authority != Authority::Reference && column.silent().is_none()
        })
    }
}

/// The fields of the stream a column sends to.
fn fields_of(column: &CompiledColumn) -> impl Iterator<Item = &str> {
    let only_first = if matches!(column.input, Input::Fields(_)) { 1 } else { usize::MAX };
    column.input.fields().take(only_first)
}

/// Which columns of the rows are read, and where they go. Looked up once per batch.
struct Plan<'m> {
    column_of: Vec<Option<usize>>,
    columns: Vec<Wired<'m>>,
}

struct Wired<'m> {
    column: &'m CompiledColumn,
    /// The names of the fields it sends, in the order of the column's own.
    names: Vec<usize>,
    /// `0..names.len()`, as [`gather`] wants them.
    slots: Vec<usize>,
    /// The members of an object, without quotes.
    members: Vec<String>,
}

impl<'m> Plan<'m> {
    fn new(mapping: &'m CompiledMapping, batch: &RecordBatch, out: &mut RecordBatch) -> Self {
        let wire = |column: &'m CompiledColumn| {
            let names: Vec<_> = fields_of(column).map(|field| out.name(field)).collect();
            let members = match &column.input {
                Input::Object(members) => members.iter().map(|(member, _)| serde_json::from_str(member).unwrap_or_default()).collect(),
                _ => Vec::new(),
            };
            Wired { column, slots: (0..names.len()).collect(), names, members }
        };
        let columns: Vec<_> = mapping.sent().map(wire).collect();
        let column_of = batch.names().iter().map(|name| columns.iter().position(|wired| *wired.column.target == **name)).collect();
        Self { column_of, columns }
    }
}

fn record(plan: &Plan<'_>, row: &Record, cells: &[Option<&str>], mapped: &mut Mapped) {
    let deleted = row.operation == Operation::Delete;
    let mut errors: Vec<(&str, String)> = Vec::new();
    let mut draft = mapped.batch.record();
    for (wired, json) in plan.columns.iter().zip(cells).filter(|(wired, _)| wired.column.key || !deleted) {
        match wired.fields(*json, deleted) {
            Ok(fields) => {
                for (name, json) in wired.names.iter().zip(&fields) {
                    if let Some(json) = json {
                        draft.made(*name, json);
                    }
                }
            }
            Err(reason) => errors.push((&wired.column.target, reason)),
        }
    }
    if errors.is_empty() {
        return draft.finish(row.id.clone(), row.operation, row.position);
    }
    drop(draft);
    mapped.failed += 1;
    let mut errors = errors.into_iter();
    let (column, mut text) = errors.next().unwrap_or_default();
    for (column, further) in errors {
        text.push_str(&format!("; {column}: {further}"));
    }
    mapped.failures.push(RecordFailure::error(text).in_column(column).at_row(row.position).of_record(row.id.as_str()));
}

impl Wired<'_> {
    /// What the row's value is in each field it is sent to, or why it cannot be sent.
    fn fields<'j>(&self, json: Option<&'j str>, deleted: bool) -> Result<Vec<Option<Cow<'j, str>>>, String> {
        let (column, cell) = (self.column, Cell::of(json));
        if column.key && !deleted && blank(cell) {
            return Err("no value in a key column, so that the record could not be found again".into());
        }
        if column.key && cell.is_nested() {
            return Err("a key is one value, not an object or a list".into());
        }
        if column.required && !deleted && matches!(cell, Cell::Null | Cell::Empty) {
            return Err("a value is required".into());
        }
        let Some(json) = json.filter(|json| *json != "null") else {
            return Ok(self.names.iter().map(|_| json.map(Cow::Borrowed)).collect());
        };
        let whole = undo(column, json)?;
        let fields = match &column.input {
            Input::Object(_) => self.take_apart(json, whole.as_deref())?,
            _ if column.steps.is_empty() => return Ok(vec![whole]),
            _ => vec![whole],
        };
        if fields.iter().all(Option::is_none) && matches!(column.input, Input::Object(_)) {
            return Ok(fields); // an object without members says nothing about any field
        }
        let cells: Vec<_> = fields.iter().map(Option::as_deref).collect();
        let again = gather(&column.input, &self.slots, &cells);
        match run(column, again.as_deref()) {
            Ok(Some(again)) if same(json, &again) => Ok(fields),
            Ok(again) => {
                let again = again.map_or_else(|| "nothing".to_owned(), |again| column.quoted(Some(&again)));
                Err(format!("{} would come back as {again}", column.quoted(Some(json))))
            }
            Err((transform, error)) => {
                let sent = column.quoted(again.as_deref());
                Err(format!(
                    "{} would be sent as {sent}, which could not be read again: it {error} (transform {transform})",
                    column.quoted(Some(json))
                ))
            }
        }
    }

    /// The members of an object, by the fields they go to.
    fn take_apart<'j>(&self, json: &str, whole: Option<&str>) -> Result<Vec<Option<Cow<'j, str>>>, String> {
        // A column without a type for objects hands them over as text.
        let text = whole.map(Some).map(Cell::of).and_then(Cell::text).unwrap_or_default();
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(&text).map_err(|_| format!("{} is not an object", self.column.quoted(Some(json))))?;
        if let Some(member) = members.keys().find(|member| !self.members.contains(member)) {
            return Err(format!("the member {member:?} belongs to no field; there are {}", self.members.join(", ")));
        }
        Ok(self.members.iter().map(|member| members.get(member).map(|json| Cow::Owned(json.get().to_owned()))).collect())
    }
}

/// A value before the column's transforms; an error quotes it and names the one that does not know.
fn undo<'j>(column: &CompiledColumn, json: &'j str) -> Result<Option<Cow<'j, str>>, String> {
    let mut current = Some(Cow::Borrowed(json));
    for (name, transform) in column.steps.iter().rev() {
        let made = transform.back(Cell::of(current.as_deref()));
        match made.map_err(|error| format!("{} {error} (transform {name}, backwards)", column.quoted(Some(json))))? {
            Made::Unchanged => {}
            Made::Absent => current = None,
            Made::Null => current = Some(Cow::Borrowed("null")),
            Made::Json(json) => current = Some(Cow::Owned(json)),
        }
    }
    Ok(current)
}

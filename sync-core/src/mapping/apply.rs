//! From a batch of the stream to a batch of the target. Pure.

use std::borrow::Cow;

use super::{
    Cell, CompiledMapping, Made, OnError, TransformError,
    compiled::{CompiledColumn, CompiledComputed, Input},
    expression::Read,
    schema::describe,
    sensitive::SENSITIVE,
};
use crate::{Field, Operation, Record, RecordBatch, RecordFailure};

/// What became of a batch. Every record of it is in `batch`, in `skipped` or in `failed`.
#[derive(Clone, Debug, Default)]
pub struct Mapped {
    /// The rows; names are fields of the target. Ids, operations and positions are the records'.
    pub batch: RecordBatch,
    /// One error for each failed row, and warnings about skipped rows and dropped values.
    pub failures: Vec<RecordFailure>,
    /// Rows without a key, and those a contract or a column drops.
    pub skipped: u64,
    /// Rows that could not be taken.
    pub failed: u64,
}

/// The longest piece of a value that a failure quotes, in characters.
const QUOTED: usize = 60;

impl CompiledMapping {
    /// Maps a batch. `fields` are the stream's, for the words failures name columns by; unknown ones are named as in the source.
    ///
    /// Values that are only carried keep their text to the last byte. A field the record does not have stays absent, null stays
    /// null and `""` stays `""`, unless a transform or a policy says otherwise. Derived columns are never written. Computed fields are
    /// computed last; one that reads a field the record does not have stays absent too. A delete needs no key cells: those it has are
    /// mapped, the others are absent, and no other column is read.
    #[must_use]
    pub fn apply(&self, batch: &RecordBatch, fields: &[Field]) -> Mapped {
        let mut mapped = Mapped::default();
        let plan = Plan::new(self, batch, &mut mapped.batch);
        let mut cells = vec![None; plan.slots];
        for record in batch.records() {
            cells.fill(None);
            for (name, text) in batch.cells(record) {
                if let Some(slot) = plan.slot_of[name] {
                    cells[slot] = Some(text);
                }
            }
            row(&plan, record, &cells, fields, &mut mapped);
        }
        mapped
    }
}

/// Which fields of a batch are read, and which columns read them. Looked up once per batch, so that a row costs one pass over its cells.
struct Plan<'m> {
    mapping: &'m CompiledMapping,
    slot_of: Vec<Option<usize>>,
    slots: usize,
    columns: Vec<Wired<'m>>,
    computed: Vec<WiredComputed<'m>>,
}

struct Wired<'m> {
    column: &'m CompiledColumn,
    slots: Vec<usize>,
    name: usize,
}

struct WiredComputed<'m> {
    computed: &'m CompiledComputed,
    reads: Vec<At<'m>>,
    name: usize,
}

/// Where a computed field finds what it reads.
enum At<'m> {
    /// Among the cells of the record.
    Slot(usize),
    /// Among those of the row that is being made.
    Row(&'m str),
}

impl<'m> Plan<'m> {
    fn new(mapping: &'m CompiledMapping, batch: &RecordBatch, out: &mut RecordBatch) -> Self {
        let mut wanted: Vec<&str> = Vec::new();
        let mut slot = |field: &'m str| {
            wanted.iter().position(|known| *known == field).unwrap_or_else(|| {
                wanted.push(field);
                wanted.len() - 1
            })
        };
        let wire = |column: &'m CompiledColumn| {
            let slots = column.input.fields().map(&mut slot).collect();
            Wired { column, slots, name: out.name(&column.target) }
        };
        let columns = mapping.written().map(wire).collect();
        let wire = |computed: &'m CompiledComputed| {
            let at = |read: &'m Read| match read {
                Read::Source(field) => At::Slot(slot(field)),
                Read::Field(target) => At::Row(target),
            };
            WiredComputed { computed, reads: computed.expression.reads.iter().map(at).collect(), name: out.name(&computed.target) }
        };
        let computed = mapping.computed.iter().map(wire).collect();
        let slot_of = batch.names().iter().map(|name| wanted.iter().position(|field| **field == **name)).collect();
        Self { mapping, slot_of, slots: wanted.len(), columns, computed }
    }
}

/// What is the matter with a row so far: the column, and what to say.
#[derive(Default)]
struct Matters {
    errors: Vec<(String, String)>,
    warnings: Vec<(String, String)>,
    /// The column without which there is no key.
    without_key: Option<String>,
    /// Why the row is dropped.
    dropped: Option<(String, String)>,
}

impl Matters {
    /// A value that could not be had, and what the column does then.
    fn add(&mut self, on_error: OnError, required: bool, column: String, text: String) {
        match on_error {
            OnError::DropRow => {
                self.dropped.get_or_insert((column, text));
            }
            OnError::DropValue if !required => self.warnings.push((column, text)),
            OnError::DropValue | OnError::FailRow => self.errors.push((column, text)),
        }
    }
}

fn row(plan: &Plan<'_>, record: &Record, cells: &[Option<&str>], fields: &[Field], mapped: &mut Mapped) {
    let deleted = record.operation == Operation::Delete;
    let mut matters = Matters::default();
    let mut draft = mapped.batch.record();
    for Wired { column, slots, name } in plan.columns.iter().filter(|wired| wired.column.key || !deleted) {
        let input = gather(&column.input, slots, cells);
        match run(column, input.as_deref()) {
            Ok(text) => {
                let cell = column.nulls.apply(Cell::of(text.as_deref()));
                if column.key && !deleted && blank(cell) {
                    matters.without_key.get_or_insert_with(|| describe(column, fields));
                } else if column.key && cell.is_nested() {
                    matters.errors.push((describe(column, fields), "a key is one value, not an object or a list".into()));
                } else if column.required && !deleted && !cell.has_value() {
                    matters.errors.push((describe(column, fields), "a value is required".into()));
                } else if let Some(json) = cell.json() {
                    draft.made(*name, json);
                }
            }
            Err((transform, error)) => {
                let value = if plan.mapping.hides(column, fields) { SENSITIVE.into() } else { quoted(input.as_deref()) };
                let text = format!("{value} {error} (transform {transform})");
                matters.add(column.on_error, column.required, describe(column, fields), text);
            }
        }
    }
    // Without its row a computed field has nothing to read.
    let whole = !deleted && matters.errors.is_empty() && matters.without_key.is_none() && matters.dropped.is_none();
    for WiredComputed { computed, reads, name } in plan.computed.iter().filter(|_| whole) {
        let made = computed.expression.evaluate(&|at| match reads[at] {
            At::Slot(slot) => cells[slot],
            At::Row(target) => draft.cell(target),
        });
        match made {
            Ok(text) => {
                let cell = computed.nulls.apply(Cell::of(text.as_deref()));
                if computed.required && !cell.has_value() {
                    matters.errors.push((computed.target.clone().into(), "a value is required".into()));
                } else if let Some(json) = cell.json() {
                    draft.made(*name, json);
                }
            }
            Err(reason) => {
                let text = format!("{reason} (expression {})", shortened(&computed.text));
                matters.add(computed.on_error, computed.required, computed.target.clone().into(), text);
            }
        }
    }
    let Matters { errors, warnings, without_key, dropped } = matters;
    let about = |failure: RecordFailure| failure.at_row(record.position).of_record(record.id.as_str());
    if !errors.is_empty() {
        drop(draft);
        mapped.failed += 1;
        let mut errors = errors.into_iter();
        let (column, mut text) = errors.next().unwrap_or_default();
        for (column, further) in errors {
            text.push_str(&format!("; {column}: {further}"));
        }
        mapped.failures.push(about(RecordFailure::error(text)).in_column(column));
    } else if let Some(column) = without_key {
        drop(draft);
        mapped.skipped += 1;
        mapped.failures.push(about(RecordFailure::warning("no value in the key column; the row is left out")).in_column(column));
    } else if let Some((column, text)) = dropped {
        drop(draft);
        mapped.skipped += 1;
        mapped.failures.push(about(RecordFailure::warning(format!("{text}; the row is left out"))).in_column(column));
    } else {
        draft.finish(record.id.clone(), record.operation, record.position);
        let warn = |(column, text): (String, String)| {
            about(RecordFailure::warning(format!("{text}; the row is taken without it"))).in_column(column)
        };
        mapped.failures.extend(warnings.into_iter().map(warn));
    }
}

/// Whether a cell makes no key: nothing, or blanks alone.
pub(super) fn blank(cell: Cell<'_>) -> bool {
    cell.text().is_none_or(|text| text.trim().is_empty())
}

/// The JSON text a column starts from.
pub(super) fn gather<'c>(input: &'c Input, slots: &[usize], cells: &[Option<&'c str>]) -> Option<Cow<'c, str>> {
    match input {
        Input::Fields(_) => {
            let mut present = slots.iter().filter_map(|slot| cells[*slot]);
            let first = present.clone().find(|json| Cell::of(Some(json)).has_value());
            first.or_else(|| present.next()).map(Cow::Borrowed)
        }
        Input::Constant(json) => Some(Cow::Borrowed(json)),
        Input::Object(members) => {
            let mut object = String::from("{");
            for ((member, _), slot) in members.iter().zip(slots) {
                if let Some(json) = cells[*slot] {
                    if object.len() > 1 {
                        object.push(',');
                    }
                    object.push_str(member);
                    object.push(':');
                    object.push_str(json);
                }
            }
            object.push('}');
            (object.len() > 2).then_some(Cow::Owned(object))
        }
        Input::Nothing => None,
    }
}

/// Runs a column's transforms; an error names the one that failed.
pub(super) fn run<'c>(column: &'c CompiledColumn, input: Option<&'c str>) -> Result<Option<Cow<'c, str>>, (&'c str, TransformError)> {
    let mut current = input.map(Cow::Borrowed);
    for (name, transform) in &column.steps {
        match transform.apply(Cell::of(current.as_deref())).map_err(|error| (&**name, error))? {
            Made::Unchanged => {}
            Made::Absent => current = None,
            Made::Null => current = Some(Cow::Borrowed("null")),
            Made::Json(json) => current = Some(Cow::Owned(json)),
        }
    }
    Ok(current)
}

/// A value as a failure quotes it, cut to a length a table can show.
pub(super) fn quoted(json: Option<&str>) -> String {
    let Some(json) = json else { return "a missing value".into() };
    let text = Cell::of(Some(json)).text().unwrap_or(Cow::Borrowed(json));
    shortened(&text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

//! A row as a push sees it: its key, and the fields that are sent, always in the same words, so that equal content has an equal hash.

use rusqlite::{Row, types::ValueRef};
use sync_core::{RecordBatch, join_key, key_text};

use crate::{
    error::Db,
    host::Host,
    table::Table,
    value::{Form, decode, quote},
};

/// Bytes of rows that are kept before they are thrown away.
const KEPT: usize = 1 << 16;

/// What makes a row's key.
enum Key {
    /// The entity's, as it stands in a managed table.
    Entity,
    /// The columns of a host's table.
    Columns(Vec<(Box<str>, Form)>),
}

/// Renders the rows of one table.
pub(crate) struct Content {
    key: Key,
    fields: Vec<Field>,
    /// Rows that were read lately, one record each.
    rows: RecordBatch,
    seeds: Vec<u64>,
    json: String,
}

struct Field {
    name: Box<str>,
    /// The column's name as it stands in SQL, quoted. A field without a column is null in every row.
    column: Option<(Box<str>, Form)>,
}

/// What was read of a row.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The entity's key; `None` when a part of it has no value, or holds bytes.
    pub(crate) key: Option<String>,
    /// The hash of its content, or the field that cannot be sent since it holds bytes.
    pub(crate) hash: Result<u64, usize>,
}

impl Content {
    pub(crate) fn of_table(table: &Table, pushes: &[Box<str>]) -> Self {
        let column = |name: &str| table.position(name).map(|at| (table.columns[at].sql.clone(), table.columns[at].form()));
        Self::new(Key::Entity, pushes, column)
    }

    pub(crate) fn of_host(host: &Host, pushes: &[Box<str>]) -> Self {
        let key = host.key().map(|column| (column.sql.clone(), column.form)).collect();
        Self::new(Key::Columns(key), pushes, |name| host.column(name).map(|column| (column.sql.clone(), column.form)))
    }

    fn new(key: Key, pushes: &[Box<str>], column: impl Fn(&str) -> Option<(Box<str>, Form)>) -> Self {
        let mut fields: Vec<Field> = Vec::with_capacity(pushes.len());
        for name in pushes {
            if !fields.iter().any(|field| field.name == *name) {
                fields.push(Field { name: name.clone(), column: column(name) });
            }
        }
        let mut this = Self { key, fields, rows: RecordBatch::default(), seeds: Vec::new(), json: String::new() };
        this.rows = this.empty();
        this.seeds = this.rows.name_seeds();
        this
    }

    /// A batch that has the fields' names, in their order.
    pub(crate) fn empty(&self) -> RecordBatch {
        let mut batch = RecordBatch::default();
        for field in &self.fields {
            batch.name(&field.name);
        }
        batch
    }

    /// What to select: the key, then the fields.
    pub(crate) fn list(&self) -> String {
        let fields = self.fields.iter().map(|field| field.column.as_ref().map_or("NULL", |(sql, _)| sql));
        match &self.key {
            Key::Entity => std::iter::once("entity_id").chain(fields).collect::<Vec<_>>().join(", "),
            Key::Columns(columns) => columns.iter().map(|(sql, _)| &**sql).chain(fields).collect::<Vec<_>>().join(", "),
        }
    }

    /// How many columns [`list`](Self::list) has.
    pub(crate) fn width(&self) -> usize {
        self.key_width() + self.fields.len()
    }

    fn key_width(&self) -> usize {
        match &self.key {
            Key::Entity => 1,
            Key::Columns(columns) => columns.len(),
        }
    }

    /// Reads a row whose first columns are those of [`list`](Self::list).
    pub(crate) fn read(&mut self, row: &Row<'_>) -> Db<Seen> {
        let key = self.key(row)?;
        if self.rows.weight() > KEPT {
            self.rows = self.empty();
        }
        let first = self.key_width();
        let mut bytes = None;
        let mut draft = self.rows.record();
        for (at, field) in self.fields.iter().enumerate() {
            let form = field.column.as_ref().map_or(Form::Text, |(_, form)| *form);
            let mut value = row.get_ref(first + at)?;
            // SQLite takes both zeros for one.
            if value == ValueRef::Real(0.0) {
                value = ValueRef::Real(0.0);
            }
            self.json.clear();
            decode(value, form, &mut self.json);
            // What others wrote into a table of ours need not be in our forms.
            match value {
                ValueRef::Blob(_) if matches!(form, Form::Host | Form::HostBoolean | Form::HostJson) || !is_json(&self.json) => {
                    bytes = Some(at)
                }
                ValueRef::Text(_) if form == Form::Json && !is_json(&self.json) => {
                    let text = std::mem::take(&mut self.json);
                    quote(&text, &mut self.json);
                }
                _ => {}
            }
            draft.made(at, &self.json);
        }
        draft.finish("", sync_core::Operation::Upsert, None);
        let record = self.rows.records().last().ok_or_else(|| crate::error::internal("changed_rows", "a row was read and is not there"))?;
        Ok(Seen { key, hash: bytes.map_or_else(|| Ok(self.rows.hash(record, &self.seeds)), Err) })
    }

    fn key(&mut self, row: &Row<'_>) -> Db<Option<String>> {
        let Key::Columns(columns) = &self.key else { return Ok(row.get(0)?) };
        let mut parts = Vec::with_capacity(columns.len());
        for (at, (_, form)) in columns.iter().enumerate() {
            let value = row.get_ref(at)?;
            if matches!(value, ValueRef::Blob(_)) {
                return Ok(None);
            }
            self.json.clear();
            decode(value, *form, &mut self.json);
            parts.push(key_text(&self.json).unwrap_or_default().into_owned());
        }
        Ok((!parts.iter().any(String::is_empty)).then(|| join_key(parts.iter().map(String::as_str))))
    }

    /// The JSON text of each field of the row that was read last.
    pub(crate) fn last(&self) -> impl Iterator<Item = (usize, &str)> {
        self.rows.records().last().into_iter().flat_map(|record| self.rows.cells(record))
    }

    /// The name of a field.
    pub(crate) fn name(&self, at: usize) -> &str {
        &self.fields[at].name
    }

    /// The names of the fields that have no column.
    pub(crate) fn missing(&self) -> Vec<&str> {
        self.fields.iter().filter(|field| field.column.is_none()).map(|field| &*field.name).collect()
    }

    /// Whether a field is among those that are sent.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// How many fields are sent.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|json| json.get().len() == text.len())
}

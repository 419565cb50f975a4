//! A row as a push sees it: its key, and the fields that are sent, always in the same words, so that equal content has an equal hash.

use sqlx::{Row as _, postgres::PgRow};
use sync_core::{RecordBatch, RecordId, hash_cells, store::PushLink};

use crate::{
    error::Db,
    host::{Class, Host, HostColumn},
    name::literal,
    table::{MOST_COLUMNS, Table},
};

/// Renders the rows of one table, which its statements call `t`.
#[derive(Debug)]
pub(crate) struct Content {
    /// The SQL of the row's key; null when a part of it has no value.
    key: String,
    fields: Vec<Field>,
    seeds: Vec<u64>,
}

#[derive(Debug)]
struct Field {
    name: Box<str>,
    /// The SQL of its JSON text; `None` is null in every row.
    sql: Option<String>,
    /// Whether it holds bytes, which cannot be sent.
    bytes: bool,
}

/// What was read of a row.
#[derive(Debug)]
pub(crate) struct Seen<'r> {
    /// The key as the table has it.
    pub(crate) key: &'r str,
    /// The JSON text of each field.
    pub(crate) cells: Vec<&'r str>,
    /// The hash of its content.
    pub(crate) hash: u64,
}

/// The JSON text of a column of any type.
fn json(column: &str) -> String {
    format!("to_json(t.{column})::text")
}

/// The text of a column as keys have it: that of its JSON, without quotes.
fn part(column: &HostColumn) -> String {
    match column.class {
        // Their JSON says the same, at five times the price.
        Class::Text | Class::Integer => format!("t.{}::text", column.sql),
        _ => format!("(to_json(t.{}) #>> '{{}}')", column.sql),
    }
}

/// The SQL of a row's key, as [`sync_core::join_key`] would join its parts; null when one of them has no value.
pub(crate) fn key_of(host: &Host) -> String {
    let escaped = |column: &HostColumn| match column.class {
        Class::Integer => part(column),
        _ => format!(r"replace(replace({}, E'\\', E'\\\\'), '/', E'\\/')", part(column)),
    };
    let joined = host.key().map(escaped).collect::<Vec<_>>().join(" || '/' || ");
    let empty = host.key().filter(|column| column.class != Class::Integer).map(|column| format!("{} = ''", part(column)));
    let empty = empty.collect::<Vec<_>>().join(" OR ");
    if empty.is_empty() { joined } else { format!("CASE WHEN {empty} THEN NULL ELSE {joined} END") }
}

impl Content {
    pub(crate) fn of_table(table: &Table, pushes: &[Box<str>]) -> Db<Self> {
        Self::new("t.entity_id".into(), pushes, |name| {
            let extra = format!("(t.extra -> {})::text", literal(name)?);
            Ok(match table.position(name) {
                // A value that is not of the column's kind stands beside it.
                Some(at) => Some((format!("coalesce({}, {extra})", json(&table.columns[at].sql)), false)),
                None if table.columns.len() >= MOST_COLUMNS => Some((extra, false)),
                None => None,
            })
        })
    }

    pub(crate) fn of_host(host: &Host, pushes: &[Box<str>]) -> Db<Self> {
        Self::new(key_of(host), pushes, |name| Ok(host.column(name).map(|column| (json(&column.sql), column.cast.starts_with("bytea")))))
    }

    fn new(key: String, pushes: &[Box<str>], column: impl Fn(&str) -> Db<Option<(String, bool)>>) -> Db<Self> {
        let mut this = Self { key, fields: Vec::with_capacity(pushes.len()), seeds: Vec::new() };
        for name in pushes {
            if !this.fields.iter().any(|field| field.name == *name) {
                let (sql, bytes) = column(name)?.unzip();
                this.fields.push(Field { name: name.clone(), sql, bytes: bytes == Some(true) });
            }
        }
        this.seeds = this.empty().name_seeds();
        Ok(this)
    }

    /// A batch that has the fields' names, in their order.
    pub(crate) fn empty(&self) -> RecordBatch {
        let mut batch = RecordBatch::default();
        for field in &self.fields {
            batch.name(&field.name);
        }
        batch
    }

    /// What to select of `t`: the key as `key`, then the fields as `f0`, `f1` and so on.
    pub(crate) fn list(&self) -> String {
        let fields =
            self.fields.iter().enumerate().map(|(at, field)| format!(", {} AS f{at}", field.sql.as_deref().unwrap_or("NULL::text")));
        format!("{} AS key{}", self.key, fields.collect::<String>())
    }

    /// The same of a subquery `t` that selected [`list`](Self::list).
    pub(crate) fn names(&self) -> String {
        let fields = (0..self.fields.len()).map(|at| format!(", t.f{at}"));
        format!("t.key{}", fields.collect::<String>())
    }

    /// Reads a row that has the columns of [`list`](Self::list) from `first` on. `None` when it has no key.
    pub(crate) fn read<'r>(&self, row: &'r PgRow, first: usize) -> Db<Option<Seen<'r>>> {
        let Some(key) = row.try_get::<Option<&str>, _>(first)?.filter(|key| !key.is_empty()) else { return Ok(None) };
        let mut cells = Vec::with_capacity(self.fields.len());
        for at in 0..self.fields.len() {
            let cell = row.try_get::<Option<&str>, _>(first + 1 + at)?.unwrap_or("null");
            // PostgreSQL takes both zeros for one.
            cells.push(if cell == "-0" { "0" } else { cell });
        }
        let hash = hash_cells(cells.iter().copied().enumerate(), &self.seeds);
        Ok(Some(Seen { key, cells, hash }))
    }

    /// The name of a field.
    pub(crate) fn name(&self, at: usize) -> &str {
        &self.fields[at].name
    }

    /// The names of the fields that are nowhere.
    pub(crate) fn missing(&self) -> Vec<&str> {
        self.fields.iter().filter(|field| field.sql.is_none()).map(|field| &*field.name).collect()
    }

    /// The first field that cannot be sent since it holds bytes.
    pub(crate) fn bytes(&self) -> Option<&str> {
        self.fields.iter().find(|field| field.bytes).map(|field| &*field.name)
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

/// The end of a statement that joins what is known at the service to rows `t`, by their `key`, as `l`. Its first four parameters are the
/// workspace and the feed; [`link`] reads it.
pub(crate) const LINKED: &str = "LEFT JOIN LATERAL (SELECT true AS there, p.external_id, p.content_hash, p.version FROM push_links p \
    WHERE p.workspace_id = $1 AND p.feed_no = (SELECT no FROM push_feeds WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 \
    AND mapping = $4) AND p.entity_id = t.key OFFSET 0) l ON true";
/// What to select of `l`.
pub(crate) const LINK: &str = "l.there, l.external_id, l.content_hash, l.version";

/// Reads the columns of [`LINK`] from `first` on.
pub(crate) fn link(row: &PgRow, first: usize) -> Db<Option<PushLink>> {
    if row.try_get::<Option<bool>, _>(first)?.is_none() {
        return Ok(None);
    }
    Ok(Some(PushLink {
        id: row.try_get::<Option<&str>, _>(first + 1)?.map(RecordId::from),
        hash: row.try_get::<Option<i64>, _>(first + 2)?.map(i64::cast_unsigned),
        version: row.try_get::<Option<&str>, _>(first + 3)?.map(Into::into),
    }))
}

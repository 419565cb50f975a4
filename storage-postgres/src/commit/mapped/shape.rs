//! The fields of a commit in their table, and the statements that read and write them.

use std::{borrow::Cow, collections::HashMap, fmt::Write as _};

use sqlx::{AssertSqlSafe, postgres::PgArguments, query::Query};
use sync_core::{FieldRule, Record, RecordBatch, Target, mapping::Authority, store::PartitionBatch};

use super::{
    super::{Rows, remember::Asked},
    beside::Reference,
    cell::{self, Cell, quote},
};
use crate::{
    error::{Db, internal},
    host::{Host, HostColumn},
    name::literal,
    table::{Column, Table},
    value::NUL,
};

/// A field of the commit's batches in its table.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) field: &'a str,
    /// Its column's place in the table; `None` when its values are in `extra`.
    column: Option<usize>,
    pub(super) rule: FieldRule,
    /// Whether it is part of the key.
    pub(super) key: bool,
    /// Whether a new row without a value for it may be written with null: nothing else would come there by itself.
    plain: bool,
}

impl Slot<'_> {
    /// Whether what the source says of it is kept beside it.
    pub(super) fn refers(&self) -> bool {
        self.rule.authority == Authority::Reference && !self.key
    }
}

/// One record, ready to be compared with its row.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) part: &'a PartitionBatch,
    pub(super) record: &'a Record,
    pub(super) key: &'a str,
    /// The link from the record to its entity.
    pub(super) link: Option<i64>,
    /// Slots and JSON texts of its cells.
    pub(super) cells: Vec<(usize, &'a str)>,
    /// Per slot the text its column is written with.
    texts: Vec<Option<Cow<'a, str>>>,
    /// The fields its columns cannot hold, a JSON object.
    extra: Option<String>,
    /// A cell that PostgreSQL cannot hold, and why.
    pub(super) refused: Option<(usize, &'static str)>,
}

/// What a statement does with a row.
pub(super) struct Write<'i, 'a> {
    pub(super) item: &'i Item<'a>,
    /// The slots to write.
    pub(super) slots: &'i [usize],
}

/// A field's row as it stands.
#[derive(Debug)]
pub(super) struct Seen {
    /// Whether the row has fields in `extra`.
    pub(super) extra: bool,
    /// Per slot the stored JSON text where it is not what the record has; `None` when nothing differs.
    pub(super) old: Option<Vec<Option<String>>>,
}

/// The fields of a commit and its table.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    rows: &'a Rows,
    pub(super) slots: Vec<Slot<'a>>,
    /// Per part and name of its batch the slot.
    names: Vec<Vec<usize>>,
    /// The slots of the key's parts, of a host's table.
    key: Vec<usize>,
    find: String,
    /// Whether the source may make rows.
    pub(super) makes: bool,
}

/// A statement with one text parameter, the workspace, and arrays of texts after it.
pub(super) type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// The arrays of a statement: names of their columns, and their values.
struct Arrays<'i> {
    /// The number of the first one's parameter.
    first: usize,
    names: Vec<String>,
    types: Vec<&'static str>,
    values: Vec<Vec<Option<&'i str>>>,
}

impl<'i> Arrays<'i> {
    fn new(first: usize) -> Self {
        Self { first, names: Vec::new(), types: Vec::new(), values: Vec::new() }
    }

    fn add(&mut self, name: impl Into<String>, kind: &'static str, values: impl Iterator<Item = Option<&'i str>>) {
        self.names.push(name.into());
        self.types.push(kind);
        self.values.push(values.collect());
    }

    /// The arrays as a table `k` with a number `n` for each row.
    fn source(&self) -> String {
        source(self.first, &self.names, &self.types)
    }

    fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        self.values.iter().fold(statement, |statement, values| statement.bind(values))
    }
}

fn source(first: usize, names: &[String], types: &[&str]) -> String {
    let mut sql = String::from("unnest(");
    for (at, kind) in types.iter().enumerate() {
        let _ = write!(sql, "{}${}::text[]{kind}", if at > 0 { ", " } else { "" }, first + at);
    }
    let _ = write!(sql, ") WITH ORDINALITY AS k({}, n)", names.join(", "));
    sql
}

const JSONB: &str = "::jsonb[]";

impl<'a> Shape<'a> {
    pub(super) fn open(rows: &'a Rows, target: &Target, parts: &'a [PartitionBatch], key: &[Box<str>]) -> Db<Self> {
        let mut slots: Vec<Slot<'a>> = Vec::new();
        let mut known: HashMap<&str, ()> = HashMap::new();
        for field in parts.iter().flat_map(|part| part.batch.names()) {
            if known.insert(field, ()).is_some() {
                continue;
            }
            let (column, plain) = match rows {
                Rows::Stream(table) | Rows::Managed(table) => (table.position(field), true),
                Rows::Host(host) => {
                    let at = host.position(field).ok_or_else(|| internal("commit", "a column of the host's table went missing"))?;
                    (Some(at), !host.columns[at].defaulted)
                }
            };
            let key = key.iter().any(|name| name.eq_ignore_ascii_case(field));
            let rule = target.rule(field);
            slots.push(Slot { field, column, rule, key, plain });
        }
        // One order whatever the records', so that there are few texts of statements.
        slots.sort_by_key(|slot| (slot.column.is_none(), slot.column, slot.field));
        let places: HashMap<&str, usize> = slots.iter().enumerate().map(|(at, slot)| (slot.field, at)).collect();
        let names = parts.iter().map(|part| part.batch.names().iter().map(|name| places[&**name]).collect()).collect();
        let makes = target.makes_rows(slots.iter().map(|slot| slot.field));
        let mut this = Self { rows, slots, names, key: Vec::new(), find: String::new(), makes };
        if let Rows::Host(host) = rows {
            for name in key {
                let column = host.position(name);
                // A batch without the column has no record with a key.
                if let Some(at) = this.slots.iter().position(|slot| slot.column == column) {
                    this.key.push(at);
                }
            }
        }
        this.find = this.find_sql()?;
        Ok(this)
    }

    fn host(&self) -> Option<&'a Host> {
        match self.rows {
            Rows::Host(host) => Some(host),
            Rows::Stream(_) | Rows::Managed(_) => None,
        }
    }

    fn table(&self) -> Option<&'a Table> {
        match self.rows {
            Rows::Stream(table) | Rows::Managed(table) => Some(table),
            Rows::Host(_) => None,
        }
    }

    fn sql(&self) -> &'a str {
        match self.rows {
            Rows::Stream(table) | Rows::Managed(table) => &table.sql,
            Rows::Host(host) => &host.sql,
        }
    }

    fn managed_column(&self, slot: usize) -> Option<&'a Column> {
        self.table().zip(self.slots[slot].column).map(|(table, at)| &table.columns[at])
    }

    pub(super) fn host_column(&self, slot: usize) -> Option<&'a HostColumn> {
        self.host().zip(self.slots[slot].column).map(|(host, at)| &host.columns[at])
    }

    /// The slot of a column of the host's table.
    pub(super) fn slot_of(&self, column: &HostColumn) -> Option<&Slot<'a>> {
        let at = self.host()?.columns.iter().position(|known| known.name == column.name)?;
        self.slots.iter().find(|slot| slot.column == Some(at))
    }

    /// The slots that have columns.
    fn columns(&self) -> impl Iterator<Item = usize> {
        (0..self.slots.len()).filter(|at| self.slots[*at].column.is_some())
    }

    fn column_sql(&self, slot: usize) -> &'a str {
        match (self.managed_column(slot), self.host_column(slot)) {
            (Some(column), _) => &column.sql,
            (None, Some(column)) => &column.sql,
            (None, None) => "NULL",
        }
    }

    /// The SQL that makes a column's value of a text.
    pub(super) fn value(&self, slot: usize, text: &str) -> String {
        match (self.managed_column(slot), self.host_column(slot)) {
            (Some(column), _) => format!("{text}::{}", column.form.sql()),
            (None, Some(column)) => column.value(text),
            (None, None) => text.to_owned(),
        }
    }

    /// Reads a record's cells.
    pub(super) fn item(&self, at: usize, part: &'a PartitionBatch, record: &'a Record, key: &'a str) -> Item<'a> {
        let batch: &'a RecordBatch = &part.batch;
        let mut item = Item {
            part,
            record,
            key,
            link: None,
            cells: Vec::with_capacity(batch.cells(record).len()),
            texts: vec![None; self.slots.len()],
            extra: None,
            refused: None,
        };
        for (name, json) in batch.cells(record) {
            let slot = self.names[at][name];
            if self.slots[slot].field.contains('\0') {
                if json != "null" {
                    item.refused.get_or_insert((slot, NUL));
                }
                continue;
            }
            item.cells.push((slot, json));
            let cell = match self.host_column(slot) {
                Some(column) => cell::host(json, column).map(Cell::Fits),
                None => cell::managed(json, self.managed_column(slot).map(|column| column.form)),
            };
            match cell {
                Ok(Cell::Fits(text)) => item.texts[slot] = text,
                Ok(Cell::Extra(json)) => {
                    let extra = item.extra.get_or_insert_with(|| "{".into());
                    if extra.len() > 1 {
                        extra.push(',');
                    }
                    quote(self.slots[slot].field, extra);
                    extra.push(':');
                    extra.push_str(json);
                }
                Err(reason) => {
                    item.refused.get_or_insert((slot, reason));
                }
            }
        }
        if let Some(extra) = &mut item.extra {
            extra.push('}');
        }
        item
    }

    /// The condition that finds the row of `k` in a table.
    fn condition(&self, alias: &str) -> String {
        match self.host() {
            Some(host) => host.by_key(alias, "$1::text", |part| format!("k.k{part}")),
            None => format!("{alias}workspace_id = $1 AND {alias}connection_no = 0 AND {alias}entity_id = k.k0"),
        }
    }

    fn find_sql(&self) -> Db<String> {
        let mut same = Vec::with_capacity(self.slots.len());
        let mut old = Vec::with_capacity(self.slots.len());
        for at in 0..self.slots.len() {
            if self.slots[at].field.contains('\0') {
                // No row has such a field.
                old.push("NULL".to_owned());
                continue;
            }
            let (is_same, stored) = match (self.managed_column(at), self.host_column(at)) {
                (_, Some(column)) => (column.same("m.", &format!("k.v{at}")), format!("to_json(m.{})::text", column.sql)),
                (column, None) => {
                    let field = literal(self.slots[at].field)?;
                    let beside = format!("(m.extra -> {field}) IS NOT DISTINCT FROM (k.x -> {field})");
                    match column {
                        Some(column) => (
                            format!("m.{0} IS NOT DISTINCT FROM k.v{at}::{1} AND {beside}", column.sql, column.form.sql()),
                            format!("to_json(m.{})::text, (m.extra -> {field})::text", column.sql),
                        ),
                        None => (beside, format!("(m.extra -> {field})::text")),
                    }
                }
            };
            old.push(format!("CASE WHEN NOT ({is_same}) THEN coalesce({stored}, 'null') END"));
            same.push(is_same);
        }
        let extra = if self.host().is_some() { "false" } else { "m.extra IS NOT NULL" };
        let lock = if self.host().is_none_or(|host| host.lockable) { "FOR UPDATE" } else { "OFFSET 0" };
        let (names, types): (Vec<String>, Vec<&str>) = self.find_arrays().unzip();
        Ok(format!(
            "SELECT k.n, {extra}, CASE WHEN NOT ({}) THEN ARRAY[{}]::text[] END FROM {} \
             CROSS JOIN LATERAL (SELECT * FROM {} m WHERE {} {lock}) m",
            if same.is_empty() { "true".into() } else { same.join(" AND ") },
            old.join(", "),
            source(2, &names, &types),
            self.sql(),
            self.condition("m."),
        ))
    }

    fn key_names(&self) -> impl Iterator<Item = String> + use<> {
        let parts = self.host().map_or(1, |_| self.key.len());
        (0..parts).map(|part| format!("k{part}"))
    }

    fn find_arrays(&self) -> impl Iterator<Item = (String, &'static str)> {
        let keys = self.key_names().map(|name| (name, ""));
        let extra = self.table().map(|_| ("x".to_owned(), JSONB));
        keys.chain(extra).chain(self.columns().map(|at| (format!("v{at}"), "")))
    }

    /// A part of an item's key, as the text its column is compared with.
    fn key_part<'i>(&self, item: &'i Item<'a>, part: usize) -> Option<&'i str> {
        if self.host().is_some() { item.texts[self.key[part]].as_deref() } else { Some(item.key) }
    }

    fn add_keys<'i>(&self, arrays: &mut Arrays<'i>, items: &[&'i Item<'a>]) {
        for (part, name) in self.key_names().enumerate() {
            arrays.add(name, "", items.iter().map(|item| self.key_part(item, part)));
        }
    }

    /// Reads and locks the rows of items, in the order of their keys: for each its place among the items, and the row.
    pub(super) async fn find(&self, work: &mut super::Work<'_>, items: &[Item<'a>]) -> Db<Vec<Option<Seen>>> {
        let mut arrays = Arrays::new(2);
        self.add_keys(&mut arrays, &items.iter().collect::<Vec<_>>());
        if self.table().is_some() {
            arrays.add("x", JSONB, items.iter().map(|item| item.extra.as_deref()));
        }
        for at in self.columns() {
            arrays.add("", "", items.iter().map(|item| item.texts[at].as_deref()));
        }
        let statement = arrays.bind(sqlx::query(AssertSqlSafe(self.find.clone())).bind(work.workspace.as_str()));
        let mut seen: Vec<Option<Seen>> = (0..items.len()).map(|_| None).collect();
        for row in statement.fetch_all(&mut **work.tx).await? {
            use sqlx::Row as _;
            let n: i64 = row.try_get(0)?;
            // Where nothing proves keys unique, the first of several rows is the one.
            let place = &mut seen[n as usize - 1];
            if place.is_none() {
                *place = Some(Seen { extra: row.try_get(1)?, old: row.try_get(2)? });
            }
        }
        Ok(seen)
    }

    /// Inserts rows; answers how many came to be. With `yield_to_others` a row whose key somebody else has just inserted is left out.
    pub(super) async fn insert(&self, work: &mut super::Work<'_>, writes: &[Write<'_, 'a>], yield_to_others: bool) -> Db<u64> {
        // Of the host's table what nobody writes is left to the table itself, so rows go in groups that write the same columns.
        let mut groups: Vec<(Vec<usize>, Vec<&Write<'_, 'a>>)> = Vec::new();
        let mut places: HashMap<Vec<usize>, usize> = HashMap::new();
        for write in writes {
            let columns: Vec<usize> = self.columns().filter(|at| self.slots[*at].plain || write.slots.contains(at)).collect();
            let place = *places.entry(columns).or_insert_with_key(|columns| {
                groups.push((columns.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(write);
        }
        let mut inserted = 0;
        for (columns, writes) in groups {
            inserted += self.insert_group(work, &columns, &writes, yield_to_others).await?;
        }
        Ok(inserted)
    }

    async fn insert_group(
        &self,
        work: &mut super::Work<'_>,
        columns: &[usize],
        writes: &[&Write<'_, 'a>],
        yield_to_others: bool,
    ) -> Db<u64> {
        let items: Vec<&Item<'a>> = writes.iter().map(|write| write.item).collect();
        let (mut names, mut values): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        let mut arrays = Arrays::new(if self.table().is_some() { 4 } else { 2 });
        let extras: Vec<Option<String>>;
        let conflict = match self.host() {
            Some(host) => {
                if let Some(column) = host.workspace() {
                    names.push(column.sql.to_string());
                    values.push(column.value("$1::text"));
                }
                host.conflict()
            }
            None => {
                let own =
                    ["workspace_id", "connection_no", "entity_id", "partition_id", "created_run", "created_at", "last_synced_at", "extra"];
                names.extend(own.map(String::from));
                values.extend(["$1", "0", "k.k0", "''", "$2::bigint", "$3::timestamptz", "$3::timestamptz", "k.x"].map(String::from));
                self.add_keys(&mut arrays, &items);
                extras = writes.iter().map(|write| self.written_extra(write)).collect();
                arrays.add("x", JSONB, extras.iter().map(Option::as_deref));
                Some("workspace_id, connection_no, entity_id".into())
            }
        };
        for at in columns {
            names.push(self.column_sql(*at).to_owned());
            values.push(self.value(*at, &format!("k.v{at}")));
            arrays.add(format!("v{at}"), "", writes.iter().map(|write| write.text(*at)));
        }
        let conflict = conflict.filter(|_| yield_to_others).map(|columns| format!(" ON CONFLICT ({columns}) DO NOTHING"));
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY k.n{}",
            self.sql(),
            names.join(", "),
            values.join(", "),
            arrays.source(),
            conflict.unwrap_or_default()
        );
        let mut statement = sqlx::query(AssertSqlSafe(self.with_workspace(sql))).bind(work.workspace.as_str());
        if self.table().is_some() {
            let run = work.commit.target.lineage.then_some(work.commit.fence.run.0);
            statement = statement.bind(run).bind(work.commit.at);
        }
        Ok(arrays.bind(statement).execute(&mut **work.tx).await?.rows_affected())
    }

    /// A statement that has no use for its first parameter names it all the same, so that its type is known.
    fn with_workspace(&self, sql: String) -> String {
        if sql.contains("$1") { sql } else { sql.replacen(" FROM unnest(", " FROM (SELECT $1::text) AS workspace, unnest(", 1) }
    }

    /// The fields of a row that its columns cannot hold, of those that are written.
    fn written_extra(&self, write: &Write<'_, 'a>) -> Option<String> {
        let extra = write.item.extra.as_ref()?;
        let all = write.item.cells.iter().all(|(slot, _)| write.slots.contains(slot));
        if all {
            return Some(extra.clone());
        }
        let mut json = String::from("{");
        for (slot, cell) in &write.item.cells {
            let beside = write.item.texts[*slot].is_none() && *cell != "null";
            if beside && write.slots.contains(slot) {
                if json.len() > 1 {
                    json.push(',');
                }
                quote(self.slots[*slot].field, &mut json);
                json.push(':');
                json.push_str(cell);
            }
        }
        json.push('}');
        (json.len() > 2).then_some(json)
    }

    /// Updates rows that [`find`](Self::find) has locked: of each row the columns it writes. `extra` says whether any of them has fields
    /// there, or shall have.
    pub(super) async fn update(&self, work: &mut super::Work<'_>, writes: &[Write<'_, 'a>], extra: bool) -> Db<()> {
        let columns: Vec<usize> = self.columns().filter(|at| writes.iter().any(|write| write.slots.contains(at))).collect();
        let masks: Vec<String> =
            writes.iter().map(|write| columns.iter().map(|at| if write.slots.contains(at) { '1' } else { '0' }).collect()).collect();
        let items: Vec<&Item<'a>> = writes.iter().map(|write| write.item).collect();
        let extras: Vec<Option<String>>;
        let dropped: Vec<String>;
        let mut arrays = Arrays::new(if self.table().is_some() { 3 } else { 2 });
        self.add_keys(&mut arrays, &items);
        arrays.add("w", "", masks.iter().map(|mask| Some(&**mask)));
        let mut sets: Vec<String> = Vec::new();
        if self.table().is_some() {
            sets.push("last_synced_at = $2::timestamptz".into());
        }
        if extra {
            extras = writes.iter().map(|write| self.written_extra(write)).collect();
            dropped = writes.iter().map(|write| cell::texts(write.slots.iter().map(|at| self.slots[*at].field))).collect();
            arrays.add("x", JSONB, extras.iter().map(Option::as_deref));
            arrays.add("d", "", dropped.iter().map(|fields| Some(&**fields)));
            sets.push("extra = nullif(coalesce(m.extra, '{}') - k.d::text[] || coalesce(k.x, '{}'), '{}')".into());
        }
        for (place, at) in columns.iter().enumerate() {
            let (column, value) = (self.column_sql(*at), self.value(*at, &format!("k.v{at}")));
            sets.push(format!("{column} = CASE WHEN substr(k.w, {}, 1) = '1' THEN {value} ELSE m.{column} END", place + 1));
            arrays.add(format!("v{at}"), "", writes.iter().map(|write| write.text(*at)));
        }
        let (table, source) = (self.sql(), arrays.source());
        // By the place of the row, found by its key in the same breath: of a plain join the server could read the whole table for each row.
        let sql = if self.host().is_none_or(|host| host.stored) {
            format!(
                "UPDATE {table} m SET {} FROM (SELECT k.*, l.at, l.part FROM {source} CROSS JOIN LATERAL (SELECT l.ctid AS at, l.tableoid AS part \
                 FROM {table} l WHERE {} FOR UPDATE) l OFFSET 0) k WHERE m.ctid = k.at AND m.tableoid = k.part",
                sets.join(", "),
                self.condition("l.")
            )
        } else {
            format!("UPDATE {table} m SET {} FROM {source} WHERE {}", sets.join(", "), self.condition("m."))
        };
        let mut statement = sqlx::query(AssertSqlSafe(self.with_workspace(sql))).bind(work.workspace.as_str());
        if self.table().is_some() {
            statement = statement.bind(work.commit.at);
        }
        arrays.bind(statement).execute(&mut **work.tx).await?;
        Ok(())
    }

    /// Adds what a record says of fields its source is only a reference for; answers whether there is any.
    pub(super) fn refer<'i>(&'i self, item: &'i Item<'a>, references: &mut Vec<Reference<'i>>) -> bool {
        let before = references.len();
        let said = item.cells.iter().map(|(place, value)| (&self.slots[*place], *value)).filter(|(slot, _)| slot.refers());
        references.extend(said.map(|(slot, value)| Reference { key: item.key, field: slot.field, value }));
        references.len() > before
    }

    /// The text a column is written with.
    pub(super) fn text_of<'i>(&self, item: &'i Item<'a>, slot: usize) -> Option<&'i str> {
        item.texts[slot].as_deref()
    }
}

impl<'a> Item<'a> {
    /// The record and its key, for what pushes shall know.
    pub(super) fn asked(&self) -> Asked<'a> {
        Asked { batch: &self.part.batch, record: self.record, key: self.key }
    }

    /// Whether a row of it needs `extra`.
    pub(super) fn has_extra(&self) -> bool {
        self.extra.is_some()
    }
}

impl<'i> Write<'i, '_> {
    fn text(&self, slot: usize) -> Option<&'i str> {
        if self.slots.contains(&slot) { self.item.texts[slot].as_deref() } else { None }
    }
}

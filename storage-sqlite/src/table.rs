//! Which table holds an entity type, and which column a field.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use sync_core::{ConnectionId, EntityType, Error, Field, FieldKind, Place, RecordBatch, WorkspaceId};

use crate::{
    error::{Db, damaged},
    name::{self, quoted},
    value::Form,
    view,
};

/// Columns of fields in one table; what comes beyond goes into `extra`. SQLite allows 2,000 in all.
pub(crate) const MOST_COLUMNS: usize = 1500;

/// What makes a row's key in an entity type's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// Connection and record id.
    Stream,
    /// Key fields; the connection is empty.
    Managed,
    /// The host's own columns.
    Host,
}

impl Keyed {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Managed => "managed",
            Self::Host => "host",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Stream => "is fed by a stream alone, keyed by its record ids",
            Self::Managed => "is fed through mappings, keyed by fields",
            Self::Host => "is a table of the host",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Stream, Self::Managed, Self::Host].into_iter().find(|keyed| keyed.name() == name)
    }
}

impl From<&Place> for Keyed {
    fn from(place: &Place) -> Self {
        match place {
            Place::Stream => Self::Stream,
            Place::Managed { .. } => Self::Managed,
            Place::Host(_) => Self::Host,
        }
    }
}

/// A field and its column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) id: i64,
    pub(crate) field: Box<str>,
    /// The column's name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) kind: Option<FieldKind>,
}

impl Column {
    pub(crate) fn form(&self) -> Form {
        self.kind.map_or(Form::Text, Form::from)
    }
}

/// An entity type's table. Of the host's tables only number and name stand here.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) id: i64,
    pub(crate) name: Box<str>,
    /// The name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) keyed: Keyed,
    pub(crate) columns: Vec<Column>,
    fields: HashMap<Box<str>, usize>,
}

impl Table {
    /// Reads an entity type's table from the registry.
    pub(crate) fn load(conn: &Connection, entity: &EntityType) -> Db<Option<Self>> {
        let found = conn
            .prepare_cached("SELECT id, table_name, place FROM syncline_entity_types WHERE entity_type = ?1")?
            .query_row([entity.as_str()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
            .optional()?;
        let Some((id, table, place)) = found else { return Ok(None) };
        let keyed = Keyed::parse(&place).ok_or_else(|| damaged("entity", "place of an entity type"))?;
        let mut this = Self { id, sql: quoted(&table).into(), name: table.into(), keyed, columns: Vec::new(), fields: HashMap::new() };
        let mut columns =
            conn.prepare_cached("SELECT id, field, column_name, kind FROM syncline_entity_columns WHERE type_id = ?1 ORDER BY id")?;
        let mut rows = columns.query([id])?;
        while let Some(row) = rows.next()? {
            let kind = row.get_ref(3)?.as_str_or_null()?.and_then(FieldKind::parse);
            this.push(Column { id: row.get(0)?, field: row.get(1)?, sql: quoted(row.get_ref(2)?.as_str()?).into(), kind });
        }
        Ok(Some(this))
    }

    fn push(&mut self, column: Column) {
        self.fields.insert(column.field.clone(), self.columns.len());
        self.columns.push(column);
    }

    /// The place of a field's column in `columns`; `None` when its values are in `extra`, or it was never seen.
    pub(crate) fn position(&self, field: &str) -> Option<usize> {
        self.fields.get(field).copied()
    }

    /// Makes the table, if it is new.
    fn create(tx: &Transaction<'_>, entity: &EntityType, keyed: Keyed) -> Db<Self> {
        let wanted = sync_core::snake(entity.as_str());
        let wanted = if wanted.starts_with("sqlite_") { format!("syncline_{wanted}") } else { wanted };
        let mut taken = tx.prepare_cached("SELECT 1 FROM sqlite_master WHERE name = ?1 COLLATE NOCASE")?;
        let mut ours = tx.prepare_cached("SELECT 1 FROM syncline_entity_types WHERE table_name = ?1 AND place <> 'host'")?;
        // A table of ours beside which another entity type would have the same name gets a number; the host's keeps its name.
        let name = if taken.exists([&wanted])? && !ours.exists([&wanted])? { format!("syncline_{wanted}") } else { wanted };
        let mut name = name;
        let plain = name.clone();
        let kept = |name: &str| name.strip_prefix("syncline_").is_some_and(sync_core::is_reserved_table);
        for n in 2.. {
            if !taken.exists([&name])? && !kept(&name) {
                break;
            }
            name = format!("{plain}_{n}");
        }
        let sql = quoted(&name);
        tx.execute_batch(&format!(
            "CREATE TABLE {sql} (workspace_id TEXT NOT NULL, connection_no INTEGER NOT NULL, entity_id TEXT NOT NULL, \
             row_hash INTEGER, partition_id TEXT NOT NULL, created_run INTEGER, created_at TEXT NOT NULL, \
             last_synced_at TEXT NOT NULL, extra TEXT, PRIMARY KEY (workspace_id, connection_no, entity_id))"
        ))?;
        tx.execute(
            "INSERT INTO syncline_entity_types (entity_type, table_name, place) VALUES (?1, ?2, ?3)",
            (entity.as_str(), &name, keyed.name()),
        )?;
        let id = tx.last_insert_rowid();
        Ok(Self { id, sql: sql.into(), name: name.into(), keyed, columns: Vec::new(), fields: HashMap::new() })
    }

    /// Adds columns for fields that have none, as far as there is room.
    fn add<'a>(&mut self, tx: &Transaction<'_>, fields: impl Iterator<Item = (&'a str, Option<FieldKind>, Option<&'a str>)>) -> Db<bool> {
        let mut added = false;
        for (field, kind, label) in fields {
            if self.columns.len() >= MOST_COLUMNS || self.fields.contains_key(field) {
                continue;
            }
            let column = name::column(field, |name| self.columns.iter().any(|column| *column.sql == quoted(name)));
            tx.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {}", self.sql, quoted(&column)))?;
            tx.prepare_cached(
                "INSERT INTO syncline_entity_columns (type_id, field, column_name, kind, label) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((self.id, field, &column, kind.map(FieldKind::as_str), label))?;
            self.push(Column { id: tx.last_insert_rowid(), field: field.into(), sql: quoted(&column).into(), kind });
            added = true;
        }
        Ok(added)
    }

    /// Learns the kinds of columns from the first value that is not null.
    fn learn(&mut self, tx: &Transaction<'_>, batch: &RecordBatch) -> Db<()> {
        let mut unknown: Vec<(usize, usize)> = batch
            .names()
            .iter()
            .enumerate()
            .filter_map(|(name, field)| self.position(field).map(|at| (name, at)))
            .filter(|(_, at)| self.columns[*at].kind.is_none())
            .collect();
        for record in batch.records() {
            if unknown.is_empty() {
                break;
            }
            for (name, json) in batch.cells(record) {
                let Some(found) = unknown.iter().position(|(wanted, _)| *wanted == name) else { continue };
                let Some(kind) = FieldKind::of(json) else { continue };
                let (_, at) = unknown.swap_remove(found);
                tx.prepare_cached("UPDATE syncline_entity_columns SET kind = ?2 WHERE id = ?1")?
                    .execute((self.columns[at].id, kind.as_str()))?;
                self.columns[at].kind = Some(kind);
            }
        }
        Ok(())
    }
}

/// The number of a connection in rows and keys; given when it is first asked for.
pub(crate) fn connection_no(tx: &Transaction<'_>, workspace: &WorkspaceId, connection: &ConnectionId) -> Db<i64> {
    let whose = (workspace.as_str(), connection.as_str());
    tx.prepare_cached("INSERT INTO syncline_connection_numbers (workspace_id, connection_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(whose)?;
    Ok(tx
        .prepare_cached("SELECT no FROM syncline_connection_numbers WHERE workspace_id = ?1 AND connection_id = ?2")?
        .query_row(whose, |row| row.get(0))?)
}

/// The tables the writer has met, as its transactions left them.
#[derive(Debug, Default)]
pub(crate) struct Tables(HashMap<EntityType, Arc<Table>>);

impl Tables {
    /// The managed table of an entity type with a column for every field of `fields` and of the batches.
    pub(crate) fn managed<'a>(
        &mut self,
        tx: &Transaction<'_>,
        entity: &EntityType,
        place: &Place,
        fields: &[Field],
        batches: impl Iterator<Item = &'a RecordBatch> + Clone,
    ) -> Db<Arc<Table>> {
        let keyed = Keyed::from(place);
        let known = match self.0.get(entity) {
            Some(table) => Some(Arc::clone(table)),
            None => Table::load(tx, entity)?.map(Arc::new),
        };
        let new = known.is_none();
        let mut table = match known {
            Some(table) => table,
            None => Arc::new(Table::create(tx, entity, keyed)?),
        };
        if table.keyed != keyed {
            let text =
                format!("entity type {entity} {}, so it cannot be one that {}; choose another name", table.keyed.words(), keyed.words());
            return Err(Error::config("commit", text).into());
        }
        let declared = fields.iter().map(|field| (&*field.name, field.kind, field.label.as_deref()));
        let seen = batches.clone().flat_map(|batch| batch.names().iter().map(|name| (&**name, None, None)));
        let full = table.columns.len() >= MOST_COLUMNS;
        let lacks = !full && declared.clone().chain(seen.clone()).any(|(field, ..)| table.position(field).is_none());
        if lacks || new {
            Arc::make_mut(&mut table).add(tx, declared.chain(seen))?;
            view::rebuild(tx)?;
        }
        for batch in batches {
            let unknown = |name: &Arc<str>| table.position(name).is_some_and(|at| table.columns[at].kind.is_none());
            if batch.names().iter().any(unknown) {
                Arc::make_mut(&mut table).learn(tx, batch)?;
            }
        }
        self.0.insert(entity.clone(), Arc::clone(&table));
        Ok(table)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The entity type a table of the host is known by; made if it is new.
pub(crate) fn register_host(tx: &Transaction<'_>, entity: &EntityType, table: &str) -> Db<i64> {
    if let Some(known) = Table::load(tx, entity)? {
        if known.keyed == Keyed::Host {
            return Ok(known.id);
        }
        let text = format!("entity type {entity} {}, so it cannot be one that {}", known.keyed.words(), Keyed::Host.words());
        return Err(Error::config("register_table", text).into());
    }
    tx.execute("INSERT INTO syncline_entity_types (entity_type, table_name, place) VALUES (?1, ?2, 'host')", (entity.as_str(), table))?;
    Ok(tx.last_insert_rowid())
}

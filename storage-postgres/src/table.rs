//! Which table holds an entity type, and which column a field.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{EntityType, Error, Field, FieldKind, Place, RecordBatch};

use crate::{
    error::{Db, damaged},
    hiding::Hiding,
    name::{self, quoted},
    security,
    storage::Inner,
    tx::{Tx, raw},
    view,
};

/// The longest row, in bytes: it has to fit a page of 8 KiB.
const LONGEST_ROW: usize = 8160;
/// What a column takes of it at most, in bytes: a value of 23 and its length are never kept elsewhere, and longer ones are.
const WIDEST_COLUMN: usize = 24;
/// The header of a row with one bit for each column, and the columns every row has.
const OWN_COLUMNS: usize = 480;
/// Columns of fields in one table; what comes beyond goes into `extra`.
pub(crate) const MOST_COLUMNS: usize = (LONGEST_ROW - OWN_COLUMNS) / WIDEST_COLUMN;

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

/// How the values of a column are kept. A value of another kind than its column's goes into `extra`, so that nothing is lost and nothing
/// is taken for what it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text`: texts, and dates and timestamps in the very words of their source.
    Text,
    /// `bigint`.
    Integer,
    /// `numeric`, exact.
    Number,
    /// `boolean`.
    Boolean,
    /// `jsonb`: objects and lists.
    Json,
}

impl From<FieldKind> for Form {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text | FieldKind::Date | FieldKind::Timestamp => Self::Text,
            FieldKind::Integer => Self::Integer,
            FieldKind::Number => Self::Number,
            FieldKind::Boolean => Self::Boolean,
            FieldKind::Json => Self::Json,
        }
    }
}

impl Form {
    /// The column's type in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "bigint",
            Self::Number => "numeric",
            Self::Boolean => "boolean",
            Self::Json => "jsonb",
        }
    }
}

/// A field and its column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) field: Box<str>,
    /// The column's name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) form: Form,
}

/// An entity type's table. Of the host's tables only number and name stand here.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) id: i64,
    pub(crate) name: Box<str>,
    /// The name as it stands in SQL, quoted, found by our search path.
    pub(crate) sql: Box<str>,
    /// The schema of our tables.
    pub(crate) schema: Box<str>,
    pub(crate) keyed: Keyed,
    pub(crate) columns: Vec<Column>,
    fields: HashMap<Box<str>, usize>,
}

impl Table {
    /// Reads an entity type's table from the registry.
    pub(crate) async fn load(tx: &mut Tx, entity: &EntityType) -> Db<Option<Self>> {
        let found = sqlx::query("SELECT id, table_name, place FROM entity_types WHERE entity_type = $1")
            .bind(entity.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(found) = found else { return Ok(None) };
        let (id, table, place): (i64, String, String) = (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?);
        let keyed = Keyed::parse(&place).ok_or_else(|| damaged("entity", "place of an entity type"))?;
        let schema = tx.inner.settings.schema.as_str().into();
        let mut this =
            Self { id, sql: quoted(&table).into(), name: table.into(), schema, keyed, columns: Vec::new(), fields: HashMap::new() };
        let columns = sqlx::query("SELECT field, column_name, kind FROM entity_columns WHERE type_id = $1 ORDER BY id").bind(id);
        for row in columns.fetch_all(&mut **tx).await? {
            let kind = FieldKind::parse(row.try_get(2)?).ok_or_else(|| damaged("entity", "kind of a column"))?;
            let (field, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            this.push(Column { field: field.into(), sql: quoted(&column).into(), form: kind.into() });
        }
        Ok(Some(this))
    }

    fn push(&mut self, column: Column) {
        self.fields.insert(column.field.clone(), self.columns.len());
        self.columns.push(column);
    }

    /// The place of a field's column in `columns`; `None` when its values are in `extra`, or it never had one.
    pub(crate) fn position(&self, field: &str) -> Option<usize> {
        self.fields.get(field).copied()
    }

    /// Makes the table. The transaction is the owner's and holds the lock on the registry.
    async fn create(tx: &mut Tx, entity: &EntityType, keyed: Keyed) -> Db<Self> {
        let schema = tx.inner.settings.schema.clone();
        let taken: Vec<String> =
            sqlx::query_scalar("SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1")
                .bind(&schema)
                .fetch_all(&mut **tx)
                .await?;
        // The names that tables of ours take later on are not given away, nor those of sequences and indexes made with a table.
        let reserved =
            |name: &str| taken.iter().any(|taken| taken == name) || name.starts_with("syncline_") || sync_core::is_reserved_table(name);
        let name = name::numbered(&sync_core::snake(entity.as_str()), reserved);
        let sql = quoted(&name);
        let mut script = format!(
            "CREATE TABLE {sql} (workspace_id text COLLATE \"C\" NOT NULL, connection_no bigint NOT NULL, entity_id text COLLATE \"C\" NOT NULL, \
             row_no bigint GENERATED ALWAYS AS IDENTITY (CACHE 100), row_hash bigint, partition_id text COLLATE \"C\" NOT NULL, created_run bigint, \
             created_at timestamptz NOT NULL, last_synced_at timestamptz NOT NULL, extra jsonb, \
             PRIMARY KEY (workspace_id, connection_no, entity_id));"
        );
        script.push_str(&security::wall(&schema, &name, &tx.inner.settings.row_security));
        raw(tx, script).await?;
        let id: i64 = sqlx::query_scalar("INSERT INTO entity_types (entity_type, table_name, place) VALUES ($1, $2, $3) RETURNING id")
            .bind(entity.as_str())
            .bind(&name)
            .bind(keyed.name())
            .fetch_one(&mut **tx)
            .await?;
        Ok(Self { id, sql: sql.into(), name: name.into(), schema: schema.into(), keyed, columns: Vec::new(), fields: HashMap::new() })
    }

    /// Adds columns for fields that have none, as far as there is room.
    async fn add(&mut self, tx: &mut Tx, fields: &[Wanted<'_>]) -> Db<()> {
        for Wanted { field, kind, label } in fields {
            if self.columns.len() >= MOST_COLUMNS || self.fields.contains_key(*field) {
                continue;
            }
            let form = Form::from(*kind);
            let column = name::column(field, |name| self.columns.iter().any(|column| *column.sql == quoted(name)));
            raw(tx, format!("ALTER TABLE {} ADD COLUMN {} {}", self.sql, quoted(&column), form.sql())).await?;
            sqlx::query("INSERT INTO entity_columns (type_id, field, column_name, kind, label) VALUES ($1, $2, $3, $4, $5)")
                .bind(self.id)
                .bind(*field)
                .bind(&column)
                .bind(kind.as_str())
                .bind(*label)
                .execute(&mut **tx)
                .await?;
            self.push(Column { field: (*field).into(), sql: quoted(&column).into(), form });
        }
        Ok(())
    }
}

/// A column that a table shall have.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    field: &'a str,
    kind: FieldKind,
    label: Option<&'a str>,
}

/// The fields that need a column: those whose kind is declared, and those that a record has a value of, of whatever kind that is.
fn wanted<'a>(table: Option<&Table>, fields: &'a [Field], batches: &[&'a RecordBatch]) -> Vec<Wanted<'a>> {
    // A name with a NUL can stand nowhere in PostgreSQL: the rows that have a value of it are refused.
    let lacks = |field: &str| !field.contains('\0') && table.is_none_or(|table| table.position(field).is_none());
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    let mut kinds: HashMap<&str, Option<FieldKind>> = HashMap::new();
    for field in fields.iter().filter(|field| lacks(&field.name)) {
        kinds.insert(&field.name, field.kind);
    }
    for batch in batches {
        let mut open: Vec<usize> = Vec::new();
        for (at, name) in batch.names().iter().enumerate().filter(|(_, name)| lacks(name)) {
            if kinds.entry(name).or_insert(None).is_none() {
                open.push(at);
            }
        }
        for record in batch.records() {
            if open.is_empty() {
                break;
            }
            for (name, json) in batch.cells(record) {
                if open.contains(&name)
                    && let Some(kind) = FieldKind::of(json)
                {
                    open.retain(|at| *at != name);
                    kinds.insert(&batch.names()[name], Some(kind));
                }
            }
        }
    }
    // In the order they were declared, then in that of the records.
    let declared = fields.iter().map(|field| (&*field.name, field.label.as_deref()));
    let seen = batches.iter().flat_map(|batch| batch.names().iter().map(|name| (&**name, None)));
    for (field, label) in declared.chain(seen) {
        if let Some(Some(kind)) = kinds.remove(field) {
            wanted.push(Wanted { field, kind, label });
        }
    }
    wanted
}

/// The tables that transactions have met. Columns are never taken away, so what is remembered stays true.
#[derive(Debug, Default)]
pub(crate) struct Tables(Mutex<HashMap<EntityType, Arc<Table>>>);

impl Tables {
    pub(crate) fn known(&self, entity: &EntityType) -> Option<Arc<Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(entity).cloned()
    }

    /// Remembers a table as a transaction that was committed has left it.
    pub(crate) fn remember(&self, entity: &EntityType, table: &Arc<Table>) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = tables.get(entity).is_none_or(|known| known.id != table.id || known.columns.len() < table.columns.len());
        if newer {
            tables.insert(entity.clone(), Arc::clone(table));
        }
    }
}

impl Inner {
    /// A table as the registry has it; from memory where it was read before.
    pub(crate) async fn table(&self, tx: &mut Tx, entity: &EntityType) -> Db<Option<Arc<Table>>> {
        if let Some(known) = self.tables.known(entity) {
            return Ok(Some(known));
        }
        Ok(Table::load(tx, entity).await?.map(Arc::new))
    }
}

/// The managed table of an entity type with a column for every field of `fields` and of the batches; made here, in this transaction,
/// where it lacks. To be [remembered](Tables::remember) once the transaction is committed.
pub(crate) async fn managed(tx: &mut Tx, entity: &EntityType, place: &Place, fields: &[Field], batches: &[&RecordBatch]) -> Db<Arc<Table>> {
    let keyed = Keyed::from(place);
    let inner = Arc::clone(&tx.inner);
    let known = inner.table(tx, entity).await?;
    if let Some(table) = &known {
        check_keyed(entity, table.keyed, keyed)?;
        let room = table.columns.len() < MOST_COLUMNS;
        if !room || wanted(Some(table), fields, batches).is_empty() {
            return Ok(Arc::clone(table));
        }
    }
    tx.as_owner().await?;
    // One at a time over all processes; whoever waited sees what the one before made.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('syncline registry of ' || current_schema(), 0))")
        .execute(&mut **tx)
        .await?;
    let mut table = match Table::load(tx, entity).await? {
        Some(table) => table,
        None => Table::create(tx, entity, keyed).await?,
    };
    check_keyed(entity, table.keyed, keyed)?;
    let wanted = wanted(Some(&table), fields, batches);
    table.add(tx, &wanted).await?;
    view::rebuild(tx).await?;
    tx.as_app().await?;
    Ok(Arc::new(table))
}

fn check_keyed(entity: &EntityType, is: Keyed, wanted: Keyed) -> Db<()> {
    if is == wanted {
        return Ok(());
    }
    let text = format!("entity type {entity} {}, so it cannot be one that {}; choose another name", is.words(), wanted.words());
    Err(Error::config("commit", text).into())
}

/// The entity type a table of the host is known by; made if it is new.
pub(crate) async fn register_host(tx: &mut Tx, entity: &EntityType, table: &str) -> Db<i64> {
    if let Some(known) = Table::load(tx, entity).await? {
        if known.keyed == Keyed::Host {
            return Ok(known.id);
        }
        let text = format!("entity type {entity} {}, so it cannot be one that {}", known.keyed.words(), Keyed::Host.words());
        return Err(Error::config("register_table", text).into());
    }
    tx.as_owner().await?;
    sqlx::query("INSERT INTO entity_types (entity_type, table_name, place) VALUES ($1, $2, 'host') ON CONFLICT DO NOTHING")
        .bind(entity.as_str())
        .bind(table)
        .execute(&mut **tx)
        .await?;
    let id = sqlx::query_scalar("SELECT id FROM entity_types WHERE entity_type = $1 AND place = 'host'")
        .bind(entity.as_str())
        .fetch_one(&mut **tx)
        .await?;
    tx.as_app().await?;
    Ok(id)
}

/// The number of a connection, as [`connection_no`] gives it, and in the same breath what is hidden of an entity type.
pub(crate) async fn connection_no_and_hiding(tx: &mut Tx, connection: &str, entity: &EntityType) -> Db<(i64, Hiding)> {
    let find = "SELECT no, ARRAY(SELECT field FROM sensitive_fields \
                WHERE workspace_id = current_setting('app.workspace_id') AND entity_type = $2 ORDER BY field) FROM connection_numbers \
                WHERE workspace_id = current_setting('app.workspace_id') AND connection_id = $1";
    let found: Option<(i64, Vec<String>)> = sqlx::query_as(find).bind(connection).bind(entity.as_str()).fetch_optional(&mut **tx).await?;
    if let Some((no, fields)) = found {
        return Ok((no, Hiding::known(fields)));
    }
    connection_no(tx, connection).await?;
    let (no, fields): (i64, Vec<String>) = sqlx::query_as(find).bind(connection).bind(entity.as_str()).fetch_one(&mut **tx).await?;
    Ok((no, Hiding::known(fields)))
}

/// The number of a connection in rows and keys; given when it is first asked for.
pub(crate) async fn connection_no(tx: &mut Tx, connection: &str) -> Db<i64> {
    let find = "SELECT no FROM connection_numbers \
                WHERE workspace_id = current_setting('app.workspace_id') AND connection_id = $1";
    if let Some(no) = sqlx::query_scalar(find).bind(connection).fetch_optional(&mut **tx).await? {
        return Ok(no);
    }
    sqlx::query(
        "INSERT INTO connection_numbers (workspace_id, connection_id) VALUES (current_setting('app.workspace_id'), $1) ON CONFLICT DO NOTHING",
    )
    .bind(connection)
    .execute(&mut **tx)
    .await?;
    Ok(sqlx::query_scalar(AssertSqlSafe(find.to_owned())).bind(connection).fetch_one(&mut **tx).await?)
}

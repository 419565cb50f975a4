//! Tables of the host: checked before they are written, read by their declared types.

use rusqlite::{Connection, OptionalExtension as _, Transaction, types::Value as Sql};
use sync_core::{EntityType, Error, HostTable, WorkspaceId};

use crate::{
    error::{Db, damaged},
    name::quoted,
    table,
    value::Form,
};

/// A column of a host's table.
#[derive(Clone, Debug)]
pub(crate) struct HostColumn {
    pub(crate) name: Box<str>,
    /// The name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) form: Form,
    /// Computed by the database: read, never written.
    pub(crate) generated: bool,
    /// Without a declared type nothing is converted, so that a key's text may not be compared as it is.
    pub(crate) untyped: bool,
}

impl HostColumn {
    /// What a key's text is compared with, and ordered by.
    pub(crate) fn comparable(&self) -> String {
        if self.untyped { format!("CAST({} AS TEXT)", self.sql) } else { self.sql.to_string() }
    }

    /// A part of a key as it is compared; the column's type converts the text where it is not one of ours.
    pub(crate) fn key_value(&self, part: String) -> Sql {
        match (self.form, part.as_str()) {
            (Form::HostBoolean, "true") => Sql::Integer(1),
            (Form::HostBoolean, "false") => Sql::Integer(0),
            _ => Sql::Text(part),
        }
    }
}

/// A host's table as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its entity type's number.
    pub(crate) id: i64,
    /// The name as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) columns: Vec<HostColumn>,
    pub(crate) spec: HostTable,
}

impl Host {
    /// Looks the table up and checks that it has the columns `spec` and `fields` name.
    pub(crate) fn inspect(conn: &Connection, operation: &'static str, spec: &HostTable, fields: &[&str]) -> Db<Self> {
        let refuse = |text: String| Err(Error::config(operation, text).into());
        let lower = spec.name.to_ascii_lowercase();
        if lower.starts_with("syncline_") || lower.starts_with("sqlite_") {
            return refuse(format!("table {:?} is not the host's", spec.name));
        }
        let mut found = conn.prepare("SELECT name, type, hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1")?;
        let columns = found
            .query_map([&*spec.name], |row| {
                let name: Box<str> = row.get(0)?;
                let declared = row.get_ref(1)?.as_str_or_null()?.unwrap_or_default().to_ascii_uppercase();
                let form = match () {
                    () if declared.contains("BOOL") => Form::HostBoolean,
                    () if declared.contains("JSON") => Form::HostJson,
                    () => Form::Host,
                };
                let untyped = declared.is_empty() || declared.contains("BLOB");
                Ok(HostColumn { sql: quoted(&name).into(), name, form, generated: row.get::<_, i64>(2)? != 0, untyped })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if columns.is_empty() {
            return refuse(format!("there is no table {:?} in the database", spec.name));
        }
        if spec.key.is_empty() {
            return refuse(format!("table {:?} is registered without key columns", spec.name));
        }
        let this = Self { id: 0, sql: quoted(&spec.name).into(), columns, spec: spec.clone() };
        let named = spec.key.iter().chain(&spec.workspace_column).chain(&spec.version_column).map(|name| &**name);
        let missing: Vec<String> =
            named.chain(fields.iter().copied()).filter(|name| this.column(name).is_none()).map(|n| format!("{n:?}")).collect();
        if !missing.is_empty() {
            let there = this.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(", ");
            let (noun, missing) = (if missing.len() == 1 { "column" } else { "columns" }, missing.join(", "));
            return refuse(format!("table {:?} has no {noun} {missing}; it has: {there}", spec.name));
        }
        Ok(this)
    }

    /// Checks that a source may write these fields.
    fn check_writable(&self, fields: &[&str]) -> Db<()> {
        let (spec, refuse) = (&self.spec, |text: String| Err(Error::config("register_table", text).into()));
        for field in fields {
            if spec.workspace_column.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(field)) {
                return refuse(format!("column {field:?} of table {:?} holds the workspace and cannot be written by a source", spec.name));
            }
            if self.column(field).is_some_and(|column| column.generated) {
                return refuse(format!("column {field:?} of table {:?} is generated and cannot be written", spec.name));
            }
        }
        Ok(())
    }

    /// Whether this workspace has registered the table just so.
    pub(crate) fn is_registered(conn: &Connection, workspace: &WorkspaceId, spec: &HostTable) -> Db<bool> {
        let json = serde_json::to_string(spec).map_err(|_| damaged("register_table", "table"))?;
        Ok(conn
            .prepare_cached("SELECT 1 FROM syncline_host_tables WHERE workspace_id = ?1 AND entity_type = ?2 AND spec = ?3")?
            .exists((workspace.as_str(), spec.entity_type().as_str(), json))?)
    }

    /// Checks the table and remembers that this workspace uses it.
    pub(crate) fn register(tx: &Transaction<'_>, workspace: &WorkspaceId, spec: &HostTable, fields: &[&str]) -> Db<Self> {
        let mut this = Self::inspect(tx, "register_table", spec, fields)?;
        this.check_writable(fields)?;
        let entity = spec.entity_type();
        let ours =
            tx.prepare_cached("SELECT 1 FROM syncline_entity_types WHERE table_name = ?1 AND place <> 'host'")?.exists([&*spec.name])?;
        if ours {
            return Err(Error::config("register_table", format!("table {:?} is kept by Syncline, not by the host", spec.name)).into());
        }
        if spec.workspace_column.is_none() {
            let others = tx
                .prepare_cached("SELECT 1 FROM syncline_host_tables WHERE entity_type = ?1 AND workspace_id <> ?2")?
                .exists((entity.as_str(), workspace.as_str()))?;
            if others {
                let text =
                    format!("table {:?} has no workspace column and is already used by another workspace; name its column", spec.name);
                return Err(Error::config("register_table", text).into());
            }
        }
        this.id = table::register_host(tx, &entity, &spec.name)?;
        let json = serde_json::to_string(spec).map_err(|_| damaged("register_table", "table"))?;
        tx.prepare_cached(
            "INSERT INTO syncline_host_tables (workspace_id, entity_type, spec) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET spec = excluded.spec WHERE spec <> excluded.spec",
        )?
        .execute((workspace.as_str(), entity.as_str(), json))?;
        Ok(this)
    }

    /// The table this workspace registered under an entity type.
    pub(crate) fn registered(conn: &Connection, workspace: &WorkspaceId, entity: &EntityType, id: i64) -> Db<Option<Self>> {
        let spec: Option<String> = conn
            .prepare_cached("SELECT spec FROM syncline_host_tables WHERE workspace_id = ?1 AND entity_type = ?2")?
            .query_row((workspace.as_str(), entity.as_str()), |row| row.get(0))
            .optional()?;
        let Some(spec) = spec else { return Ok(None) };
        let spec: HostTable = serde_json::from_str(&spec).map_err(|_| damaged("entities", "table"))?;
        let there = conn
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE")?
            .exists([&*spec.name])?;
        if !there {
            return Ok(None);
        }
        Ok(Some(Self { id, ..Self::inspect(conn, "entities", &spec, &[])? }))
    }

    /// A column by its name, in whatever case, as SQLite finds it.
    pub(crate) fn column(&self, name: &str) -> Option<&HostColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The key's columns, in their order.
    pub(crate) fn key(&self) -> impl Iterator<Item = &HostColumn> {
        self.spec.key.iter().filter_map(|name| self.column(name))
    }

    /// The columns that hold values, without the workspace's.
    pub(crate) fn values(&self) -> impl Iterator<Item = &HostColumn> {
        let own = self.spec.workspace_column.as_deref();
        self.columns.iter().filter(move |column| own.is_none_or(|own| !column.name.eq_ignore_ascii_case(own)))
    }

    /// Finds a row by the text of its key: a condition whose first parameter is `from`. The workspace comes first, then the key's parts.
    pub(crate) fn by_key_text(&self, from: usize) -> String {
        let mut terms = Vec::new();
        let mut at = from;
        if let Some(column) = &self.spec.workspace_column {
            terms.push(format!("{} = ?{at}", quoted(column)));
            at += 1;
        }
        for column in self.key() {
            terms.push(format!("{} = ?{at}", column.comparable()));
            at += 1;
        }
        terms.join(" AND ")
    }
}

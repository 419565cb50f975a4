//! Tables of the host: checked before they are written, read and written in their own types.

mod column;
mod find;

use sqlx::Row as _;
use sync_core::{EntityType, Error, HostTable, WorkspaceId};

pub(crate) use self::column::{Class, HostColumn};
use self::find::Access;
use crate::{
    error::{Db, code, damaged, said},
    name::{literal, quoted},
    table,
    tx::{Tx, raw},
};

/// A host's table as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its entity type's number.
    pub(crate) id: i64,
    /// The name with its schema as it stands in SQL, quoted.
    pub(crate) sql: Box<str>,
    pub(crate) columns: Vec<HostColumn>,
    pub(crate) spec: HostTable,
    /// Whether it is a table of this database, whose rows have a place of their own (`ctid`).
    pub(crate) stored: bool,
    /// Whether its rows can be locked.
    pub(crate) lockable: bool,
    /// Whether checks of the table may wait until the transaction is committed.
    pub(crate) deferrable: bool,
    /// Names of unique keys, checks and references, each with its columns.
    constraints: Vec<(Box<str>, Vec<Box<str>>)>,
    /// The columns of a unique index that proves two rows with one key impossible.
    unique: Option<Vec<Box<str>>>,
}

impl Host {
    /// Looks the table up and checks that it has the columns `spec` and `fields` name. `known` is where it was registered. `None` when there
    /// is no such table.
    async fn inspect(
        tx: &mut Tx,
        workspace: &WorkspaceId,
        operation: &'static str,
        spec: &HostTable,
        fields: &[&str],
        (known, access): (Option<&str>, Access),
    ) -> Db<Option<Self>> {
        let refuse = |text: String| Err(Error::config(operation, text).into());
        let Some(found) = find::look(tx, workspace, &spec.name, known).await? else { return Ok(None) };
        if access != Access::Read {
            let ours = tx.inner.settings.schema.clone();
            find::check(&found, operation, &ours, &spec.name, spec.delete_rows)?;
        }
        find::check_privileges(&found, operation, access)?;
        if spec.key.is_empty() {
            return refuse(format!("table {:?} is registered without key columns", spec.name));
        }
        let columns = column::read(tx, found.oid).await?;
        let mut this = Self {
            id: 0,
            sql: found.sql().into(),
            columns,
            spec: spec.clone(),
            stored: matches!(&*found.kind, "r" | "p"),
            lockable: found.lockable,
            deferrable: found.deferrable,
            constraints: Vec::new(),
            unique: None,
        };
        let named = spec.key.iter().chain(&spec.workspace_column).chain(&spec.version_column).map(|name| &**name);
        let missing: Vec<&str> = named.chain(fields.iter().copied()).filter(|name| this.column(name).is_none()).collect();
        if !missing.is_empty() {
            let there = this.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(", ");
            let noun = if missing.len() == 1 { "column" } else { "columns" };
            let missing = missing.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            return refuse(format!("table {:?} has no {noun} {missing}; it has: {there}", spec.name));
        }
        if let Some(column) = this.key().find(|column| matches!(column.class, Class::Json | Class::Composite)) {
            return refuse(format!("column {:?} of table {:?} is of type {}, which cannot be a key", column.name, spec.name, column.cast));
        }
        this.read_constraints(tx, found.oid).await?;
        Ok(Some(this))
    }

    async fn read_constraints(&mut self, tx: &mut Tx, table: i64) -> Db<()> {
        let found = sqlx::query(
            "SELECT n.name, n.proves, ARRAY(SELECT a.attname::text FROM unnest(n.columns) WITH ORDINALITY u(number, at) \
                 JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = u.number ORDER BY u.at) \
             FROM (SELECT c.relname::text AS name, i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AS proves, \
                     (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns \
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::oid AND i.indisunique \
                   UNION ALL SELECT conname::text, false, conkey FROM pg_constraint WHERE conrelid = $1::oid AND contype IN ('c', 'f')) n ORDER BY 1",
        )
        .bind(table)
        .fetch_all(&mut **tx)
        .await?;
        let mut own: Vec<Box<str>> = self.key().map(|column| column.name.clone()).collect();
        own.extend(self.workspace().map(|column| column.name.clone()));
        for row in found {
            let columns: Vec<Box<str>> = row.try_get::<Vec<String>, _>(2)?.into_iter().map(Into::into).collect();
            let proves: bool = row.try_get(1)?;
            // Of several the longest: it is the one that knows the workspace.
            let longer = self.unique.as_ref().is_none_or(|known| known.len() < columns.len());
            if proves && longer && columns.iter().all(|column| own.contains(column)) {
                self.unique = Some(columns.clone());
            }
            self.constraints.push((row.try_get::<String, _>(0)?.into(), columns));
        }
        Ok(())
    }

    /// Checks that a source may write these fields.
    fn check_writable(&self, fields: &[&str]) -> Db<()> {
        let (spec, refuse) = (&self.spec, |text: String| Err(Error::config("register_table", text).into()));
        for (at, field) in fields.iter().enumerate() {
            let Some(column) = self.column(field) else { continue };
            if self.workspace().is_some_and(|own| own.name == column.name) {
                return refuse(format!("column {field:?} of table {:?} holds the workspace and cannot be written by a source", spec.name));
            }
            if column.generated {
                return refuse(format!("column {field:?} of table {:?} is generated and cannot be written", spec.name));
            }
            let twin = fields[..at].iter().find(|other| self.column(other).is_some_and(|other| other.name == column.name));
            if let Some(twin) = twin {
                return refuse(format!("fields {twin:?} and {field:?} are both column {:?} of table {:?}", column.name, spec.name));
            }
        }
        Ok(())
    }

    /// Checks once what cannot change under a table that stays registered as it is.
    async fn check_use(&self, tx: &mut Tx, workspace: &WorkspaceId) -> Db<()> {
        let spec = &self.spec;
        let refuse = |text: String| Err(Error::config("register_table", text).into());
        if let Some(column) = self.workspace()
            && column.class != Class::Text
        {
            tx.savepoint().await?;
            let text = format!("{}::text", literal(workspace.as_str())?);
            self.enter(tx).await?;
            let tried = raw(tx, format!("SELECT {}", column.value(&text))).await;
            // Which leaves, too.
            tx.back().await?;
            tx.release().await?;
            if let Err(error) = tried {
                if code(&error).is_none_or(|code| !code.starts_with("22")) {
                    return Err(error.into());
                }
                return refuse(format!(
                    "column {:?} of table {:?} is of type {}, which this workspace's id is not a value of",
                    column.name, spec.name, column.exact
                ));
            }
        }
        if self.used_by_others(tx, workspace).await? {
            let text = if spec.workspace_column.is_none() {
                "has no workspace column and is already used by another workspace; name its column"
            } else {
                "is already used by another workspace, which named no workspace column and takes all its rows for its own"
            };
            return refuse(format!("table {:?} {text}", spec.name));
        }
        let key = spec.key.join(", ");
        match (&self.unique, &spec.workspace_column) {
            (None, _) => tracing::warn!(
                table = &*spec.name,
                key,
                "no unique index covers the key: looking rows up is slow, and two writers at once may make a row twice"
            ),
            (Some(columns), Some(own)) if !columns.contains(own) => tracing::warn!(
                table = &*spec.name,
                key,
                "the unique index of the key does not have the workspace column: two workspaces cannot have one key"
            ),
            _ => {}
        }
        Ok(())
    }

    /// Whether another workspace uses the table, and one of us takes all its rows for its own. Asked as the fleet: what other workspaces
    /// registered is not for this one to see.
    async fn used_by_others(&self, tx: &mut Tx, workspace: &WorkspaceId) -> Db<bool> {
        let role = tx.inner.settings.fleet_role().unwrap_or("none").to_owned();
        // Two workspaces that register it at once take turns.
        sqlx::query("SELECT set_config('role', $1, true), pg_advisory_xact_lock(hashtextextended('syncline host table ' || $2, 0))")
            .bind(role)
            .bind(&*self.sql)
            .execute(&mut **tx)
            .await?;
        let used = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM host_tables h JOIN entity_types e ON e.entity_type = h.entity_type \
             WHERE e.table_name = $1 AND e.place = 'host' AND h.workspace_id <> $2 AND ($3 OR h.spec ->> 'workspace_column' IS NULL))",
        )
        .bind(&*self.sql)
        .bind(workspace.as_str())
        .bind(self.spec.workspace_column.is_none())
        .fetch_one(&mut **tx)
        .await?;
        tx.as_app().await?;
        Ok(used)
    }

    /// Where an entity type's table was when it was registered.
    async fn known(tx: &mut Tx, entity: &EntityType) -> Db<Option<String>> {
        Ok(sqlx::query_scalar("SELECT table_name FROM entity_types WHERE entity_type = $1 AND place = 'host'")
            .bind(entity.as_str())
            .fetch_optional(&mut **tx)
            .await?)
    }

    /// Whether this workspace has registered the table just so.
    pub(crate) async fn is_registered(tx: &mut Tx, workspace: &WorkspaceId, spec: &HostTable) -> Db<bool> {
        let json = serde_json::to_string(spec).map_err(|_| damaged("register_table", "table"))?;
        let found = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM host_tables WHERE workspace_id = $1 AND entity_type = $2 AND spec = $3::text::jsonb)",
        );
        let entity = spec.entity_type();
        Ok(found.bind(workspace.as_str()).bind(entity.as_str()).bind(json).fetch_one(&mut **tx).await?)
    }

    /// Checks the table and remembers that this workspace uses it.
    pub(crate) async fn register(tx: &mut Tx, workspace: &WorkspaceId, spec: &HostTable, fields: &[&str]) -> Db<Self> {
        let entity = spec.entity_type();
        let known = Self::known(tx, &entity).await?;
        let access = Access::Write { delete: spec.delete_rows };
        let Some(mut this) = Self::inspect(tx, workspace, "register_table", spec, fields, (known.as_deref(), access)).await? else {
            return Err(find::missing(tx, "register_table", &spec.name).await?.into());
        };
        this.check_writable(fields)?;
        this.id = table::register_host(tx, &entity, &this.sql).await?;
        if known.is_some_and(|known| *known != *this.sql) {
            // It was moved to another schema.
            tx.as_owner().await?;
            sqlx::query("UPDATE entity_types SET table_name = $2 WHERE id = $1").bind(this.id).bind(&*this.sql).execute(&mut **tx).await?;
            tx.as_app().await?;
        }
        if Self::is_registered(tx, workspace, spec).await? {
            return Ok(this);
        }
        this.check_use(tx, workspace).await?;
        let json = serde_json::to_string(spec).map_err(|_| damaged("register_table", "table"))?;
        sqlx::query(
            "INSERT INTO host_tables (workspace_id, entity_type, spec) VALUES ($1, $2, $3::text::jsonb) \
             ON CONFLICT (workspace_id, entity_type) DO UPDATE SET spec = excluded.spec",
        )
        .bind(workspace.as_str())
        .bind(entity.as_str())
        .bind(json)
        .execute(&mut **tx)
        .await?;
        Ok(this)
    }

    /// The table this workspace registered under an entity type, to be read; `None` when it registered none, or the table is gone.
    pub(crate) async fn registered(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, id: i64) -> Db<Option<Self>> {
        let spec: Option<String> = sqlx::query_scalar("SELECT spec::text FROM host_tables WHERE workspace_id = $1 AND entity_type = $2")
            .bind(workspace.as_str())
            .bind(entity.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        let Some(spec) = spec else { return Ok(None) };
        let spec: HostTable = serde_json::from_str(&spec).map_err(|_| damaged("entities", "table"))?;
        let known = Self::known(tx, entity).await?;
        let found = Self::inspect(tx, workspace, "entities", &spec, &[], (known.as_deref(), Access::Read)).await?;
        Ok(found.map(|found| Self { id, ..found }))
    }

    /// A column by its name: just so, else in another case if there is only one such.
    pub(crate) fn column(&self, name: &str) -> Option<&HostColumn> {
        self.position(name).map(|at| &self.columns[at])
    }

    /// The place of a column in `columns`.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        if let Some(exact) = self.columns.iter().position(|column| *column.name == *name) {
            return Some(exact);
        }
        let mut alike = self.columns.iter().enumerate().filter(|(_, column)| column.name.eq_ignore_ascii_case(name));
        alike.next().map(|(at, _)| at).filter(|_| alike.next().is_none())
    }

    /// The key's columns, in their order.
    pub(crate) fn key(&self) -> impl Iterator<Item = &HostColumn> {
        self.spec.key.iter().filter_map(|name| self.column(name))
    }

    /// The column of the workspace.
    pub(crate) fn workspace(&self) -> Option<&HostColumn> {
        self.spec.workspace_column.as_deref().and_then(|name| self.column(name))
    }

    /// The columns that hold values, without the workspace's.
    pub(crate) fn values(&self) -> impl Iterator<Item = &HostColumn> {
        let own = self.workspace().map(|column| column.name.clone());
        self.columns.iter().filter(move |column| own.as_ref().is_none_or(|own| column.name != *own))
    }

    /// The condition that finds a row: `workspace` and `part` name expressions of type `text` that hold the workspace and the parts of the
    /// key.
    pub(crate) fn by_key(&self, alias: &str, workspace: &str, part: impl Fn(usize) -> String) -> String {
        let own = self.workspace().map(|column| column.is_key(alias, workspace));
        let key = self.key().enumerate().map(|(at, column)| column.is_key(alias, &part(at)));
        own.into_iter().chain(key).collect::<Vec<_>>().join(" AND ")
    }

    /// Goes on in the host's own role, whose privileges, triggers and row security hold for its tables, with its search path, and with
    /// checks that speak at once; our settings of the planner stay. Statements until [`leave`](Self::leave) name no table of ours: the
    /// walls around those may not hold for that role.
    pub(crate) async fn enter(&self, tx: &mut Tx) -> Db<()> {
        let role = if tx.inner.settings.app_role().is_some() { "set_config('role', 'none', true), " } else { "" };
        let checks = if self.deferrable { "; SET CONSTRAINTS ALL IMMEDIATE" } else { "" };
        let sql = format!("SELECT {role}set_config('search_path', {}, true){checks}", literal(&tx.inner.search_path)?);
        Ok(raw(tx, sql).await?)
    }

    /// Goes on in the role that our own tables are written in.
    pub(crate) async fn leave(tx: &mut Tx) -> Db<()> {
        let ours = format!("{}, pg_temp", quoted(&tx.inner.settings.schema));
        let mut sql = format!("SELECT set_config('search_path', {}, true)", literal(&ours)?);
        if let Some(role) = tx.inner.settings.app_role() {
            sql.push_str(&format!(", set_config('role', {}, true)", literal(role)?));
        }
        Ok(raw(tx, sql).await?)
    }

    /// The columns two rows cannot have alike, as ON CONFLICT names them.
    pub(crate) fn conflict(&self) -> Option<String> {
        self.unique.as_ref().map(|columns| columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", "))
    }

    /// The column a refusal is about, as far as the server tells: it names it, or a constraint or domain of one column alone.
    pub(crate) fn blamed(&self, error: &sqlx::Error) -> Option<&HostColumn> {
        let said = said(error)?;
        if let Some(column) = said.column() {
            return self.column(column);
        }
        if let Some(name) = said.constraint()
            && let Some((_, columns)) = self.constraints.iter().find(|(known, _)| **known == *name)
        {
            let own = self.workspace().map(|column| &column.name);
            let mut columns = columns.iter().filter(|column| own.is_none_or(|own| own != *column));
            return columns.next().filter(|_| columns.next().is_none()).and_then(|column| self.column(column));
        }
        let domain = said.data_type()?;
        let bare = |column: &HostColumn| column.domain.as_ref().is_some_and(|full| full.rsplit('.').next() == Some(domain));
        let mut alike = self.columns.iter().filter(|column| bare(column));
        alike.next().filter(|_| alike.next().is_none())
    }
}

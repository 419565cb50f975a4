//! Rows of entity types: writing, sweeping, reading.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Transaction, params_from_iter, types::Value as Sql};
use sync_core::{
    ConnectionId, EntityType, Error, ErrorKind, HostTable, Place, Result, WorkspaceId, join_key, key_text, split_key,
    store::{CommitReport, Entity, EntityQuery, EntityStore, ErasedEntity, PageCommit, Preview, Sweep, SweepReport, Trial},
};

use crate::{
    commit::{self, Mode},
    erase_entity,
    error::{Db, Fault},
    host::Host,
    name::quoted,
    row,
    storage::{Durability, Scoped, Shared},
    sweep,
    table::{Keyed, Table},
    time,
    value::decode,
};

/// An entity type that this workspace may look at.
enum Known {
    Ours(Table),
    Host(Host),
}

fn known(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType) -> Db<Option<Known>> {
    let Some(table) = Table::load(tx, entity)? else { return Ok(None) };
    if table.keyed == Keyed::Host {
        return Ok(Host::registered(tx, workspace, entity, table.id)?.map(Known::Host));
    }
    Ok(Some(Known::Ours(table)))
}

/// The entity types a workspace has rows of.
fn types(tx: &Transaction<'_>, workspace: &WorkspaceId) -> Db<Vec<EntityType>> {
    let mut all = tx.prepare_cached("SELECT entity_type FROM syncline_entity_types ORDER BY entity_type")?;
    let all: Vec<String> = all.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut present = Vec::new();
    for entity in all.into_iter().map(EntityType::from) {
        let Some(known) = known(tx, workspace, &entity)? else { continue };
        let (sql, whose) = rows_of(&known, workspace, "1");
        if tx.prepare_cached(&sql)?.exists(params_from_iter(whose))? {
            present.push(entity);
        }
    }
    Ok(present)
}

/// A SELECT of all rows a workspace has of an entity type, with its parameter.
fn rows_of<'w>(known: &Known, workspace: &'w WorkspaceId, what: &str) -> (String, Option<&'w str>) {
    match known {
        Known::Ours(table) => (format!("SELECT {what} FROM {} WHERE workspace_id = ?1", table.sql), Some(workspace.as_str())),
        Known::Host(host) => match &host.spec.workspace_column {
            Some(column) => (format!("SELECT {what} FROM {} WHERE {} = ?1", host.sql, quoted(column)), Some(workspace.as_str())),
            None => (format!("SELECT {what} FROM {}", host.sql), None),
        },
    }
}

/// A connection whose rows a table has: its number there and its id, which is empty for rows fed through mappings.
type Origin = (i64, String);

/// The connections of a workspace that have rows in a table.
pub(crate) fn origins(tx: &Transaction<'_>, table: &Table, workspace: &WorkspaceId) -> Db<Vec<Origin>> {
    let mut all = tx.prepare_cached("SELECT no, connection_id FROM syncline_connection_numbers WHERE workspace_id = ?1")?;
    let mut origins = vec![(0, String::new())];
    for origin in all.query_map([workspace.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))? {
        origins.push(origin?);
    }
    let mut any = tx.prepare_cached(&format!("SELECT 1 FROM {} WHERE workspace_id = ?1 AND connection_no = ?2 LIMIT 1", table.sql))?;
    let mut present = Vec::new();
    for origin in origins {
        if any.exists((workspace.as_str(), origin.0))? {
            present.push(origin);
        }
    }
    Ok(present)
}

fn ours(tx: &Transaction<'_>, table: &Table, workspace: &WorkspaceId, query: &EntityQuery, limit: usize) -> Db<Vec<Entity>> {
    let mut origins = origins(tx, table, workspace)?;
    if let Some(connection) = &query.connection {
        origins.retain(|(_, id)| *id == connection.as_str());
    }
    let (condition, key) = match (&query.key, &query.after) {
        (Some(key), _) => ("= ?3", &**key),
        (None, Some(after)) => ("> ?3", &**after),
        (None, None) => (">= ?3", ""),
    };
    let sql = format!(
        "SELECT entity_id, last_synced_at, {} FROM {} WHERE workspace_id = ?1 AND connection_no = ?2 AND entity_id {condition} \
         ORDER BY entity_id LIMIT ?4",
        row::columns(table),
        table.sql
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let mut found = Vec::new();
    for (number, connection) in &origins {
        let mut rows = statement.query((workspace.as_str(), number, key, limit as i64 + 1))?;
        while let Some(row) = rows.next()? {
            found.push(Entity {
                key: row.get(0)?,
                connection: (!connection.is_empty()).then(|| ConnectionId::from(connection.as_str())),
                last_synced_at: time::optional(row, 1)?,
                fields: row::object(table, row, 2)?,
            });
        }
    }
    found.sort_by(|one, other| (&one.key, &one.connection).cmp(&(&other.key, &other.connection)));
    cut_between_keys(&mut found, limit);
    Ok(found)
}

/// Cuts a page, but never between rows of one key (they come from different connections): the next page begins after a key.
fn cut_between_keys(found: &mut Vec<Entity>, limit: usize) {
    if found.len() <= limit || limit == 0 {
        return;
    }
    let next = found[limit].key.clone();
    let whole = found[..limit].iter().rposition(|entity| entity.key != next).map_or(0, |at| at + 1);
    let end = if whole > 0 { whole } else { found.iter().position(|entity| entity.key != next).unwrap_or(found.len()) };
    found.truncate(end);
}

fn hosts(tx: &Transaction<'_>, host: &Host, workspace: &WorkspaceId, query: &EntityQuery, limit: usize) -> Db<Vec<Entity>> {
    let columns: Vec<_> = host.values().collect();
    let list = columns.iter().map(|column| &*column.sql).collect::<Vec<_>>().join(", ");
    let keys: Vec<&str> = host.key().map(|column| &*column.sql).collect();
    let mut parameters: Vec<Sql> = host.spec.workspace_column.iter().map(|_| Sql::Text(workspace.as_str().into())).collect();
    let mut terms: Vec<String> = host.spec.workspace_column.iter().map(|column| format!("{} = ?1", quoted(column))).collect();
    if let Some(key) = &query.key {
        terms = vec![host.by_key_text(1)];
        parameters.extend(split_key(key).into_iter().map(Sql::Text));
    } else if let Some(after) = &query.after {
        let marks: Vec<String> = (1..=keys.len()).map(|at| format!("?{}", parameters.len() + at)).collect();
        terms.push(format!("({}) > ({})", keys.join(", "), marks.join(", ")));
        parameters.extend(split_key(after).into_iter().map(Sql::Text));
    }
    // A row belongs to a connection when one of its records stands behind it.
    if let Some(connection) = &query.connection {
        parameters.push(Sql::Text(connection.as_str().into()));
    }
    let condition = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
    let mut statement = tx.prepare(&format!("SELECT {list} FROM {}{condition} ORDER BY {}", host.sql, keys.join(", ")))?;
    if query.connection.is_some() {
        parameters.pop();
    }
    if statement.parameter_count() != parameters.len() {
        // A key with another number of parts than the table's is nobody's.
        return Ok(Vec::new());
    }
    let mut rows = statement.query(params_from_iter(parameters))?;
    let mut linked = tx.prepare_cached(
        "SELECT 1 FROM syncline_record_links WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 AND connection_id = ?4",
    )?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if found.len() >= limit {
            break;
        }
        let mut fields = serde_json::Map::new();
        let mut parts: Vec<String> = vec![String::new(); keys.len()];
        for (at, column) in columns.iter().enumerate() {
            let mut json = String::new();
            decode(row.get_ref(at)?, column.form, &mut json);
            for (part, _) in host.spec.key.iter().enumerate().filter(|(_, name)| column.name.eq_ignore_ascii_case(name)) {
                parts[part] = key_text(&json).unwrap_or_default().into_owned();
            }
            if json != "null" {
                fields.insert(column.name.to_string(), sync_core::json_value(&json));
            }
        }
        let key: Box<str> = join_key(parts.iter().map(String::as_str)).into();
        if let Some(connection) = &query.connection
            && !linked.exists((workspace.as_str(), host.id, &*key, connection.as_str()))?
        {
            continue;
        }
        found.push(Entity { key, connection: None, last_synced_at: None, fields });
    }
    Ok(found)
}

pub(crate) fn list(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType, query: &EntityQuery) -> Db<Vec<Entity>> {
    let limit = if query.limit == 0 { 100 } else { query.limit as usize };
    match known(tx, workspace, entity)? {
        Some(Known::Ours(table)) => {
            let found = ours(tx, &table, workspace, query, limit)?;
            // A table that only other workspaces have rows in is unknown here.
            if found.is_empty() && origins(tx, &table, workspace)?.is_empty() {
                return Err(unknown(tx, workspace, entity)?.into());
            }
            Ok(found)
        }
        Some(Known::Host(host)) => hosts(tx, &host, workspace, query, limit),
        None => Err(unknown(tx, workspace, entity)?.into()),
    }
}

fn unknown(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType) -> Db<Error> {
    let there = types(tx, workspace)?;
    let there = there.iter().map(EntityType::as_str).collect::<Vec<_>>().join(", ");
    let text = format!("there are no rows of {entity} here; there are: {}", if there.is_empty() { "none yet" } else { &there });
    Ok(Error::new(ErrorKind::NotFound, "entities", text))
}

#[async_trait]
impl EntityStore for Scoped {
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        let workspace = self.workspace.clone();
        self.inner
            .write("commit", move |writer| {
                let done = writer
                    .write(Durability::Normal, |tx, cache, shared| commit::write(tx, cache, shared, &workspace, &commit, Mode::Commit));
                let done = match done {
                    Err(Fault::Moved(moved)) => return Ok(CommitReport { moved, ..CommitReport::default() }),
                    done => done?,
                };
                writer.shared.crash_point("p11");
                Ok(done.report)
            })
            .await
    }

    async fn preview(&self, trial: Trial) -> Result<Preview> {
        let workspace = self.workspace.clone();
        self.inner
            .write("preview", move |writer| {
                writer.try_out(|tx, cache, shared| {
                    let mut preview = Preview::default();
                    for commit in &trial.commits {
                        preview.add(commit::write(tx, cache, shared, &workspace, commit, Mode::Preview)?);
                    }
                    if let Some(sweep) = &trial.sweep {
                        sweep::try_out(tx, &workspace, sweep, &mut preview)?;
                    }
                    Ok(preview)
                })
            })
            .await
    }

    async fn sweep(&self, what: Sweep) -> Result<SweepReport> {
        let workspace = self.workspace.clone();
        self.inner.write("sweep", move |writer| sweep::sweep(writer, &workspace, &what)).await
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        let (workspace, fields) = (self.workspace.clone(), fields.to_vec());
        let job = move |tx: &Transaction<'_>| {
            let fields: Vec<&str> = fields.iter().map(|field| &**field).collect();
            Host::register(tx, &workspace, &table, &fields).map(drop)
        };
        self.inner.write("register_table", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn place(&self, entity: &EntityType) -> Result<Option<Place>> {
        let (workspace, entity) = (self.workspace.clone(), entity.clone());
        let find = move |tx: &Transaction<'_>| {
            Ok(known(tx, &workspace, &entity)?.map(|known| match known {
                Known::Ours(table) if table.keyed == Keyed::Stream => Place::Stream,
                Known::Ours(_) => Place::Managed { key: Arc::from([]) },
                Known::Host(host) => Place::Host(Arc::new(host.spec)),
            }))
        };
        self.inner.read("place", find).await
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        let workspace = self.workspace.clone();
        self.inner.read("entity_types", move |tx| types(tx, &workspace)).await
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        let (workspace, entity) = (self.workspace.clone(), entity.clone());
        self.inner
            .read("count_entities", move |tx| {
                let Some(known) = known(tx, &workspace, &entity)? else { return Ok(0) };
                let (sql, whose) = rows_of(&known, &workspace, "count(*)");
                let count: i64 = tx.prepare_cached(&sql)?.query_row(params_from_iter(whose), |row| row.get(0))?;
                Ok(count.cast_unsigned())
            })
            .await
    }

    async fn erase_entity(&self, entity: &EntityType, key: &str) -> Result<ErasedEntity> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), Box::<str>::from(key));
        let job = move |tx: &Transaction<'_>, shared: &Shared| erase_entity::erase(tx, shared, &workspace, &entity, &key);
        self.inner.write("erase_entity", move |writer| writer.write_over(|tx, shared| job(tx, shared))).await
    }

    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>> {
        let (workspace, entity) = (self.workspace.clone(), entity.clone());
        self.inner.read("entities", move |tx| list(tx, &workspace, &entity, &query)).await
    }
}

//! The rows that a run changed, and what happened to them.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    EntityType, Error, Place, RunId, WorkspaceId,
    store::{RowHistory, RunRows},
};

use crate::{
    error::Db,
    hiding::Hiding,
    host::Host,
    lineage::{lines, live},
    retention,
    table::{Keyed, Table},
    time,
};

/// Where the rows of a run are.
struct Changed {
    table: Table,
    entity: EntityType,
    place: Place,
    connection: String,
    /// The connection's number in a stream's own table, -1 where it has none; 0 in the others.
    number: i64,
    started: DateTime<Utc>,
}

/// `None` when there is no such run; `Err` of what there is to tell when it cannot have changed a row.
fn changed(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId) -> Db<Option<std::result::Result<Changed, RunRows>>> {
    let found: Option<(String, String, DateTime<Utc>)> = tx
        .prepare_cached("SELECT entity_type, connection_id, started_at FROM syncline_sync_runs WHERE workspace_id = ?1 AND id = ?2")?
        .query_row((workspace.as_str(), run.0), |row| Ok((row.get(0)?, row.get(1)?, time::column(row, 2)?)))
        .optional()?;
    let Some((entity, connection, started)) = found else { return Ok(None) };
    let entity = EntityType::from(entity);
    let nothing = || Ok(Some(Err(RunRows::none(Place::Stream))));
    let Some(table) = Table::load(tx, &entity)? else { return nothing() };
    let (place, number) = match table.keyed {
        Keyed::Stream => {
            let mut number =
                tx.prepare_cached("SELECT no FROM syncline_connection_numbers WHERE workspace_id = ?1 AND connection_id = ?2")?;
            (Place::Stream, number.query_row((workspace.as_str(), &connection), |row| row.get(0)).optional()?.unwrap_or(-1))
        }
        Keyed::Managed => (Place::Managed { key: Arc::from([]) }, 0),
        Keyed::Host => match Host::registered(tx, workspace, &entity, table.id)? {
            Some(host) => (Place::Host(Arc::new(host.spec)), 0),
            None => return nothing(),
        },
    };
    Ok(Some(Ok(Changed { table, entity, place, connection, number, started })))
}

/// The keys of the rows a run changed, in the order of its lines and then of the table: so a page of either is read once.
pub(crate) fn rows(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, limit: u32) -> Db<Option<RunRows>> {
    let Changed { table, entity, place, number, started, .. } = match changed(tx, workspace, run)? {
        None => return Ok(None),
        Some(Err(nothing)) => return Ok(Some(nothing)),
        Some(Ok(changed)) => changed,
    };
    let mut keys: Vec<Box<str>> = Vec::new();
    let lined = "SELECT entity_id FROM syncline_lineage_entries WHERE workspace_id = ?1 AND (run_id = ?2 OR created_run = ?2) AND type_id = ?3 ORDER BY seq";
    let mut lined = tx.prepare_cached(lined)?;
    let mut found = lined.query((workspace.as_str(), run.0, table.id))?;
    while let Some(row) = found.next()? {
        keys.push(row.get(0)?);
    }
    if table.keyed != Keyed::Host {
        let made = format!(
            "SELECT entity_id FROM {} WHERE workspace_id = ?1 AND connection_no = ?2 AND created_run = ?3 ORDER BY rowid",
            table.sql
        );
        let mut made = tx.prepare(&made)?;
        let mut found = made.query((workspace.as_str(), number, run.0))?;
        while let Some(row) = found.next()? {
            keys.push(row.get(0)?);
        }
    }
    let mut met = HashSet::with_capacity(keys.len());
    keys.retain(|key| met.insert(key.clone()));
    if keys.len() > limit as usize {
        let text = format!("run {run} changed more than {limit} rows, too many at once");
        return Err(Error::config("run_rows", text).into());
    }
    let pruned = retention::lineage_mark(tx)?.is_some_and(|pruned| started < pruned);
    let sensitive = Hiding::of(tx, workspace, &entity)?.fields();
    Ok(Some(RunRows { place, keys, sensitive, pruned }))
}

/// The histories of some of them.
pub(crate) fn histories(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, keys: &[Box<str>]) -> Db<Vec<RowHistory>> {
    let Some(Ok(Changed { table, connection, number, .. })) = changed(tx, workspace, run)? else { return Ok(Vec::new()) };
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let mut of = lines(tx, workspace, &table, key)?;
        let lines = of.remove(if table.keyed == Keyed::Stream { connection.as_str() } else { "" }).unwrap_or_default();
        let live = if table.keyed == Keyed::Host { None } else { live(tx, workspace, &table, number, key)? };
        rows.push(RowHistory { entity: key.clone(), lines, live });
    }
    Ok(rows)
}

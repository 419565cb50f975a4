//! Taking rows away, with the lineage of what they held.

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{WorkspaceId, mapping::Rule, split_key, store::Feed};

use super::{beside, journal::Journal, target::Rows};
use crate::{
    error::Db,
    host::Host,
    push::{self, content::Content},
    row,
    table::Table,
    value::decode,
};

/// Deletes a managed row by its number.
pub(crate) fn managed(tx: &Transaction<'_>, table: &Table, rowid: i64, journal: &mut Journal) -> Db<Option<Box<str>>> {
    let sql = format!("SELECT entity_id, created_run, created_at, {} FROM {} WHERE rowid = ?1", row::columns(table), table.sql);
    let mut found = tx.prepare_cached(&sql)?;
    let mut rows = found.query([rowid])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key: Box<str> = row.get(0)?;
    let created = row.get::<_, Option<i64>>(1)?.zip(row.get::<_, Option<Box<str>>>(2)?);
    journal.open(&key);
    row::fields(table, row, 3, |field, json| journal.change_text(field, json, None, Rule::Deleted))?;
    journal.close("d", created);
    drop(rows);
    tx.prepare_cached(&format!("DELETE FROM {} WHERE rowid = ?1", table.sql))?.execute([rowid])?;
    Ok(Some(key))
}

/// Deletes a managed row that mappings fed, by its key.
pub(crate) fn managed_key(tx: &Transaction<'_>, workspace: &WorkspaceId, table: &Table, key: &str, journal: &mut Journal) -> Db<bool> {
    let sql = format!("SELECT rowid FROM {} WHERE workspace_id = ?1 AND connection_no = 0 AND entity_id = ?2", table.sql);
    let rowid: Option<i64> = tx.prepare_cached(&sql)?.query_row((workspace.as_str(), key), |row| row.get(0)).optional()?;
    let Some(rowid) = rowid else { return Ok(false) };
    managed(tx, table, rowid, journal)?;
    beside::forget(tx, workspace, table.id, key)?;
    Ok(true)
}

/// Deletes a row of the host by its key; a row that is gone already is none of our concern.
pub(crate) fn host_key(tx: &Transaction<'_>, workspace: &WorkspaceId, host: &Host, key: &str, journal: &mut Journal) -> Db<bool> {
    let parts = split_key(key);
    let whose = host.spec.workspace_column.is_some().then(|| workspace.as_str());
    let values = || whose.into_iter().chain(parts.iter().map(String::as_str));
    let list = host.values().map(|column| &*column.sql).collect::<Vec<_>>().join(", ");
    let condition = host.by_key_text(1);
    journal.open(key);
    {
        let mut found = tx.prepare_cached(&format!("SELECT {list} FROM {} WHERE {condition}", host.sql))?;
        let mut rows = found.query(rusqlite::params_from_iter(values()))?;
        let Some(row) = rows.next()? else {
            journal.abandon();
            return Ok(false);
        };
        let mut old = String::new();
        for (at, column) in host.values().enumerate() {
            let value = row.get_ref(at)?;
            if value != rusqlite::types::ValueRef::Null {
                old.clear();
                decode(value, column.form, &mut old);
                journal.change_text(&column.name, &old, None, Rule::Deleted);
            }
        }
    }
    let deleted = tx.prepare_cached(&format!("DELETE FROM {} WHERE {condition}", host.sql))?.execute(rusqlite::params_from_iter(values()));
    if let Err(error) = deleted {
        journal.abandon();
        return Err(error.into());
    }
    journal.close("d", None);
    beside::forget(tx, workspace, host.id, key)?;
    Ok(true)
}

/// Deletes a row whatever stands behind it; answers whether it was there.
pub(crate) fn by_hand(tx: &Transaction<'_>, workspace: &WorkspaceId, rows: &Rows, key: &str, journal: &mut Journal) -> Db<bool> {
    tx.prepare_cached("DELETE FROM syncline_record_links WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3")?.execute((
        workspace.as_str(),
        rows.type_id(),
        key,
    ))?;
    // Also where a row never came to be.
    beside::forget(tx, workspace, rows.type_id(), key)?;
    match rows {
        Rows::Stream(table) | Rows::Managed(table) => managed_key(tx, workspace, table, key, journal),
        Rows::Host(host) => host_key(tx, workspace, host, key, journal),
    }
}

/// Whether a record of any feed stands behind an entity.
pub(crate) fn linked(tx: &Transaction<'_>, workspace: &WorkspaceId, type_id: i64, key: &str) -> Db<bool> {
    Ok(tx.prepare_cached("SELECT 1 FROM syncline_record_links WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3")?.exists((
        workspace.as_str(),
        type_id,
        key,
    ))?)
}

/// What becomes of an entity when a record of `feed` behind it is gone: it goes too, unless another record stands behind it, or it is a
/// row of the host that stays by the table's own setting. What pushes of the feed know of a row goes with it, and stays with it.
pub(crate) fn orphan(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    feed: &Feed,
    rows: &Rows,
    key: &str,
    journal: &mut Journal,
) -> Db<bool> {
    if linked(tx, workspace, rows.type_id(), key)? {
        return Ok(false);
    }
    let (gone, own) = match rows {
        Rows::Stream(_) => return Ok(false),
        Rows::Managed(table) => (managed_key(tx, workspace, table, key, journal)?, None),
        Rows::Host(host) if host.spec.delete_rows => {
            let own = key_in_table(tx, workspace, host, key)?;
            (host_key(tx, workspace, host, key, journal)?, own)
        }
        Rows::Host(_) => return Ok(false),
    };
    if gone {
        push::link::forget(tx, workspace, feed, own.as_deref().unwrap_or(key))?;
    }
    Ok(gone)
}

/// A row's key as the table has it: a record's `007` is 7 in a column of numbers.
fn key_in_table(tx: &Transaction<'_>, workspace: &WorkspaceId, host: &Host, key: &str) -> Db<Option<String>> {
    let mut content = Content::of_host(host, &[]);
    let mut found = tx.prepare_cached(&format!("SELECT {} FROM {} WHERE {}", content.list(), host.sql, host.by_key_text(1)))?;
    let parts = split_key(key);
    let whose = host.spec.workspace_column.is_some().then(|| workspace.as_str());
    let mut rows = found.query(rusqlite::params_from_iter(whose.into_iter().chain(parts.iter().map(String::as_str))))?;
    match rows.next()? {
        Some(row) => Ok(content.read(row)?.key),
        None => Ok(None),
    }
}

//! Writes that the service has not confirmed.

use rusqlite::{Row, Transaction, params_from_iter, types::Value as Sql};
use sync_core::{
    Operation, PushMode, RunId, WorkspaceId,
    store::{Feed, Intent, IntentFilter, IntentState},
};

use super::link::feed_no;
use crate::{
    error::{Db, damaged},
    time,
};

const COLUMNS: &str = "entity_id, marker, operation, fields, content_hash, external_id, version, state, attempts, sent_at, looks, \
    looked_at, next_at, handle, error, run_id, mode";

fn from_row(row: &Row<'_>) -> Db<Intent> {
    let error = row.get_ref(14)?.as_str_or_null()?.map(serde_json::from_str).transpose();
    Ok(Intent {
        key: row.get(0)?,
        marker: row.get_ref(1)?.as_str()?.into(),
        operation: if row.get_ref(2)?.as_str()? == "delete" { Operation::Delete } else { Operation::Upsert },
        fields: row.get(3)?,
        hash: row.get::<_, i64>(4)?.cast_unsigned(),
        id: row.get_ref(5)?.as_str_or_null()?.map(Into::into),
        version: row.get(6)?,
        state: IntentState::parse(row.get_ref(7)?.as_str()?).ok_or_else(|| damaged("intents", "state of a write"))?,
        attempts: row.get(8)?,
        sent_at: time::column(row, 9)?,
        looks: row.get(10)?,
        looked_at: time::optional(row, 11)?,
        next_at: time::optional(row, 12)?,
        handle: row.get(13)?,
        error: error.map_err(|_| damaged("intents", "error of a write"))?,
        run: RunId(row.get(15)?),
        mode: PushMode::parse(row.get_ref(16)?.as_str()?).ok_or_else(|| damaged("intents", "mode of a write"))?,
    })
}

/// Writes an intent in place of the one its row had.
pub(super) fn put(tx: &Transaction<'_>, workspace: &WorkspaceId, feed_no: i64, intent: &Intent) -> Db<()> {
    let error = intent.error.as_ref().map(serde_json::to_string).transpose().map_err(|_| damaged("journal", "error of a write"))?;
    let operation = match intent.operation {
        Operation::Upsert => "upsert",
        Operation::Delete => "delete",
    };
    let sql = format!(
        "INSERT OR REPLACE INTO syncline_push_intents (workspace_id, feed_no, {COLUMNS}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)"
    );
    tx.prepare_cached(&sql)?.execute(rusqlite::params![
        workspace.as_str(),
        feed_no,
        &*intent.key,
        intent.marker.as_str(),
        operation,
        &*intent.fields,
        intent.hash.cast_signed(),
        intent.id.as_ref().map(AsRef::<str>::as_ref),
        intent.version.as_deref(),
        intent.state.as_str(),
        intent.attempts,
        time::text(intent.sent_at),
        intent.looks,
        intent.looked_at.map(time::text),
        intent.next_at.map(time::text),
        intent.handle.as_deref(),
        error,
        intent.run.0,
        intent.mode.as_str(),
    ])?;
    Ok(())
}

/// The write is over.
pub(super) fn remove(tx: &Transaction<'_>, workspace: &WorkspaceId, feed_no: i64, key: &str) -> Db<()> {
    tx.prepare_cached("DELETE FROM syncline_push_intents WHERE workspace_id = ?1 AND feed_no = ?2 AND entity_id = ?3")?.execute((
        workspace.as_str(),
        feed_no,
        key,
    ))?;
    Ok(())
}

/// The feeds a filter asks for, in order, with their numbers; none before the one it goes on after.
fn feeds(tx: &Transaction<'_>, workspace: &WorkspaceId, filter: &IntentFilter) -> Db<Vec<(i64, Feed)>> {
    let mut feeds = match &filter.feed {
        Some(feed) => feed_no(tx, workspace, feed)?.map(|no| (no, feed.clone())).into_iter().collect(),
        None => {
            let mut found = tx.prepare_cached(
                "SELECT no, connection_id, stream, mapping FROM syncline_push_feeds \
                 WHERE workspace_id = ?1 AND (?2 IS NULL OR connection_id = ?2) ORDER BY connection_id, stream, mapping",
            )?;
            let connection = filter.connection.as_ref().map(AsRef::<str>::as_ref);
            let rows = found.query_map((workspace.as_str(), connection), |row| {
                let (connection, stream) = (row.get_ref(1)?.as_str()?.into(), row.get_ref(2)?.as_str()?.into());
                Ok((row.get(0)?, Feed { connection, stream, mapping: row.get(3)? }))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        }
    };
    feeds.retain(|(_, feed)| {
        filter.connection.as_ref().is_none_or(|connection| *connection == feed.connection)
            && filter.after.as_ref().is_none_or(|(after, _)| order(feed) >= order(after))
    });
    Ok(feeds)
}

fn order(feed: &Feed) -> (&str, &str, &str) {
    (feed.connection.as_str(), feed.stream.as_str(), &feed.mapping)
}

/// The writes a filter asks for, by feed and key.
pub(super) fn list(tx: &Transaction<'_>, workspace: &WorkspaceId, filter: &IntentFilter) -> Db<Vec<(Feed, Intent)>> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit as usize };
    let states = (0..filter.states.len()).map(|at| format!("?{}", at + 5)).collect::<Vec<_>>().join(", ");
    let states = if states.is_empty() { states } else { format!(" AND state IN ({states})") };
    let mut keys: Vec<&str> = filter.keys.iter().map(|key| &**key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut listed = Vec::new();
    for (feed_no, feed) in feeds(tx, workspace, filter)? {
        let after = filter.after.as_ref().filter(|(after, _)| *after == feed).map(|(_, key)| &**key);
        let mut look = |condition: &str, key: &str| -> Db<()> {
            let sql = format!(
                "SELECT {COLUMNS} FROM syncline_push_intents WHERE workspace_id = ?1 AND feed_no = ?2 AND entity_id {condition} ?3{states} \
                 ORDER BY entity_id LIMIT ?4"
            );
            let room = Sql::Integer((limit - listed.len()) as i64);
            let whose = [Sql::Text(workspace.as_str().into()), Sql::Integer(feed_no), Sql::Text(key.into()), room];
            let states = filter.states.iter().map(|state| Sql::Text(state.as_str().into()));
            let mut found = tx.prepare_cached(&sql)?;
            let mut rows = found.query(params_from_iter(whose.into_iter().chain(states)))?;
            while let Some(row) = rows.next()? {
                listed.push((feed.clone(), from_row(row)?));
            }
            Ok(())
        };
        if keys.is_empty() {
            look(if after.is_some() { ">" } else { ">=" }, after.unwrap_or_default())?;
        }
        for key in keys.iter().filter(|key| after.is_none_or(|after| **key > after)) {
            look("=", key)?;
        }
    }
    Ok(listed)
}

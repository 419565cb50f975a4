//! What the last run of a feed saw of its stream.

use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    WorkspaceId,
    store::{Feed, Look, Run, RunEnd},
};

use crate::{
    error::{Db, damaged},
    time,
};

/// Keeps what a run that ends has seen, if it has.
pub(crate) fn keep(tx: &Transaction<'_>, workspace: &WorkspaceId, run: &Run, end: &RunEnd) -> Db<()> {
    let Some(look) = &end.look else { return Ok(()) };
    let header = serde_json::to_string(&look.header).map_err(|_| damaged("end_run", "header of a stream"))?;
    let feed = &run.feed;
    tx.prepare_cached(
        "INSERT INTO syncline_sync_looks (workspace_id, connection_id, stream, mapping, header, records, run_id, seen_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET header = excluded.header, records = excluded.records, \
         run_id = excluded.run_id, seen_at = excluded.seen_at",
    )?
    .execute((
        workspace.as_str(),
        feed.connection.as_str(),
        feed.stream.as_str(),
        &*feed.mapping,
        header,
        look.records.map(u64::cast_signed),
        run.id.0,
        time::text(end.at),
    ))?;
    Ok(())
}

pub(crate) fn last(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed) -> Db<Option<Look>> {
    let found: Option<(String, Option<i64>)> = tx
        .prepare_cached(
            "SELECT header, records FROM syncline_sync_looks WHERE workspace_id = ?1 AND connection_id = ?2 AND stream = ?3 AND mapping = ?4",
        )?
        .query_row((workspace.as_str(), feed.connection.as_str(), feed.stream.as_str(), &*feed.mapping), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((header, records)) = found else { return Ok(None) };
    let header = serde_json::from_str(&header).map_err(|_| damaged("last_look", "header of a stream"))?;
    Ok(Some(Look { header, records: records.map(i64::cast_unsigned) }))
}

//! What the last run of a feed saw of its stream.

use sqlx::Row as _;
use sync_core::{
    WorkspaceId,
    store::{Feed, Look, Run, RunEnd},
};

use crate::{
    error::{Db, damaged},
    tx::Tx,
};

/// Keeps what a run that ends has seen, if it has.
pub(crate) async fn keep(tx: &mut Tx, workspace: &WorkspaceId, run: &Run, end: &RunEnd) -> Db<()> {
    let Some(look) = &end.look else { return Ok(()) };
    let header = serde_json::to_string(&look.header).map_err(|_| damaged("end_run", "header of a stream"))?;
    sqlx::query(
        "INSERT INTO sync_looks (workspace_id, connection_id, stream, mapping, header, records, run_id, seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace_id, connection_id, stream, mapping) DO UPDATE SET \
         header = excluded.header, records = excluded.records, run_id = excluded.run_id, seen_at = excluded.seen_at",
    )
    .bind(workspace.as_str())
    .bind(run.feed.connection.as_str())
    .bind(run.feed.stream.as_str())
    .bind(&*run.feed.mapping)
    .bind(header)
    .bind(look.records.map(u64::cast_signed))
    .bind(run.id.0)
    .bind(end.at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn last(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed) -> Db<Option<Look>> {
    let found = sqlx::query(
        "SELECT header, records FROM sync_looks WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4",
    )
    .bind(workspace.as_str())
    .bind(feed.connection.as_str())
    .bind(feed.stream.as_str())
    .bind(&*feed.mapping)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let header = serde_json::from_str(row.try_get(0)?).map_err(|_| damaged("last_look", "header of a stream"))?;
    Ok(Some(Look { header, records: row.try_get::<Option<i64>, _>(1)?.map(i64::cast_unsigned) }))
}

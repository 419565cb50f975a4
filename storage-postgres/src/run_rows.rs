//! The rows that a run changed, and what happened to them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    EntityType, Error, Place, RunId, WorkspaceId,
    store::{LiveRow, RowHistory, RunRows},
};

use crate::{
    error::Db,
    hiding::Hiding,
    host::Host,
    lineage::line,
    retention, row,
    table::{Keyed, Table},
    tx::{Tx, raw},
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
async fn changed(tx: &mut Tx, workspace: &WorkspaceId, run: RunId) -> Db<Option<Result<Changed, RunRows>>> {
    let found = sqlx::query_as::<_, (String, String, DateTime<Utc>)>(
        "SELECT entity_type, connection_id, started_at FROM sync_runs WHERE workspace_id = $1 AND id = $2",
    );
    let found = found.bind(workspace.as_str()).bind(run.0).fetch_optional(&mut **tx).await?;
    let Some((entity, connection, started)) = found else { return Ok(None) };
    let entity = EntityType::from(entity);
    let nothing = || Ok(Some(Err(RunRows::none(Place::Stream))));
    let Some(table) = Table::load(tx, &entity).await? else { return nothing() };
    let (place, number) = match table.keyed {
        Keyed::Stream => {
            let number = sqlx::query_scalar("SELECT no FROM connection_numbers WHERE workspace_id = $1 AND connection_id = $2");
            let number: Option<i64> = number.bind(workspace.as_str()).bind(&connection).fetch_optional(&mut **tx).await?;
            (Place::Stream, number.unwrap_or(-1))
        }
        Keyed::Managed => (Place::Managed { key: Arc::from([]) }, 0),
        Keyed::Host => match Host::registered(tx, workspace, &entity, table.id).await? {
            Some(host) => (Place::Host(Arc::new(host.spec)), 0),
            None => return nothing(),
        },
    };
    Ok(Some(Ok(Changed { table, entity, place, connection, number, started })))
}

/// The keys of the rows a run changed, in the order of its lines and then of the table: so a page of either is read once.
pub(crate) async fn rows(tx: &mut Tx, workspace: &WorkspaceId, run: RunId, limit: u32) -> Db<Option<RunRows>> {
    let Changed { table, entity, place, number, started, .. } = match changed(tx, workspace, run).await? {
        None => return Ok(None),
        Some(Err(nothing)) => return Ok(Some(nothing)),
        Some(Ok(changed)) => changed,
    };
    // All lines of a run are looked for once, in whatever way is fastest.
    raw(tx, "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on").await?;
    let made = match table.keyed {
        Keyed::Host => String::new(),
        Keyed::Stream | Keyed::Managed => format!(
            " UNION ALL (SELECT m.entity_id FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = $4 AND m.created_run = $2 ORDER BY m.ctid)",
            table.sql
        ),
    };
    let keys = format!(
        "SELECT k.e FROM ((SELECT l.entity_id AS e FROM lineage_entries l \
         WHERE l.workspace_id = $1 AND (l.run_id = $2 OR l.created_run = $2) AND l.type_id = $3 ORDER BY l.seq){made}) k \
         WHERE $4::bigint IS NOT NULL"
    );
    let keys: Vec<String> = sqlx::query_scalar(AssertSqlSafe(keys))
        .bind(workspace.as_str())
        .bind(run.0)
        .bind(table.id)
        .bind(number)
        .fetch_all(&mut **tx)
        .await?;
    let mut keys: Vec<Box<str>> = keys.into_iter().map(Into::into).collect();
    let mut met = HashSet::with_capacity(keys.len());
    keys.retain(|key| met.insert(key.clone()));
    if keys.len() > limit as usize {
        let text = format!("run {run} changed more than {limit} rows, too many at once");
        return Err(Error::config("run_rows", text).into());
    }
    let pruned = retention::lineage_mark(tx).await?.is_some_and(|pruned| started < pruned);
    let sensitive = Hiding::of(tx, workspace, &entity).await?.into_fields();
    Ok(Some(RunRows { place, keys, sensitive, pruned }))
}

/// The histories of some of them.
pub(crate) async fn histories(tx: &mut Tx, workspace: &WorkspaceId, run: RunId, keys: &[Box<str>]) -> Db<Vec<RowHistory>> {
    let Some(Ok(Changed { table, connection, number, .. })) = changed(tx, workspace, run).await? else { return Ok(Vec::new()) };
    let texts: Vec<&str> = keys.iter().map(|key| &**key).collect();
    let found = sqlx::query(
        "SELECT l.seq, l.run_id, l.op::text, l.changes::text, l.changed_at, l.created_run, l.created_at, k.n \
         FROM unnest($3::text[]) WITH ORDINALITY AS k(key, n) CROSS JOIN LATERAL (SELECT * FROM lineage_entries l \
         WHERE l.workspace_id = $1 AND l.type_id = $2 AND l.entity_id = k.key AND ($4::text IS NULL OR EXISTS \
         (SELECT FROM sync_runs r WHERE r.workspace_id = $1 AND r.id = l.run_id AND r.connection_id = $4)) OFFSET 0) l ORDER BY k.n, l.seq",
    );
    let whose = (table.keyed == Keyed::Stream).then_some(connection);
    let found = found.bind(workspace.as_str()).bind(table.id).bind(&texts).bind(whose).fetch_all(&mut **tx).await?;
    let mut rows: Vec<RowHistory> = keys.iter().map(|key| RowHistory { entity: key.clone(), lines: Vec::new(), live: None }).collect();
    for row in &found {
        rows[row.try_get::<i64, _>(7)? as usize - 1].lines.push(line(row)?);
    }
    if table.keyed != Keyed::Host {
        let sql = format!(
            "SELECT k.n, m.created_run, m.created_at, {} FROM unnest($3::text[]) WITH ORDINALITY AS k(key, n) CROSS JOIN LATERAL \
             (SELECT * FROM {} m WHERE m.workspace_id = $1 AND m.connection_no = $2 AND m.entity_id = k.key AND m.created_run IS NOT NULL \
             OFFSET 0) m",
            row::columns(&table),
            table.sql
        );
        let found = sqlx::query(AssertSqlSafe(sql)).bind(workspace.as_str()).bind(number).bind(&texts).fetch_all(&mut **tx).await?;
        for row in &found {
            let mut fields = BTreeMap::new();
            row::fields(&table, row, 3, |field, json| {
                fields.insert(field.to_owned(), json.to_owned());
            })?;
            rows[row.try_get::<i64, _>(0)? as usize - 1].live = Some(LiveRow { run: row.try_get(1)?, made: row.try_get(2)?, fields });
        }
    }
    Ok(rows)
}

//! What sources say beside the fields of entities: reference values, and what loses to a source of higher priority.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    RunId, WorkspaceId,
    mapping::{ConflictState, FieldSource, Rival},
};

use super::{super::Work, link::Links};
use crate::{
    error::{Db, damaged},
    tx::Tx,
};

/// What sources said of fields: by the place of the entity's key, and the field.
pub(super) type Rivals = HashMap<(usize, Box<str>), Vec<Rival>>;

/// What a source says of a field, to be kept.
#[derive(Debug)]
pub(super) struct Contest<'a> {
    pub(super) key: &'a str,
    pub(super) field: &'a str,
    pub(super) rival: Rival,
}

/// What this source says of a field it is only a reference for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference<'a> {
    pub(super) key: &'a str,
    pub(super) field: &'a str,
    pub(super) value: &'a str,
}

fn rival(row: &PgRow) -> Db<Rival> {
    let source = |connection: &str, mapping: &str| FieldSource { connection: connection.into(), mapping: mapping.into() };
    let winner: Option<&str> = row.try_get(7)?;
    let winner = winner.map(|connection| Ok::<_, sqlx::Error>(source(connection, row.try_get(8)?))).transpose()?;
    Ok(Rival {
        source: source(row.try_get(2)?, row.try_get(3)?),
        priority: row.try_get(4)?,
        value: row.try_get::<&str, _>(5)?.into(),
        live: row.try_get(6)?,
        winner,
        winner_priority: row.try_get(9)?,
        winning: row.try_get::<&str, _>(10)?.into(),
        state: ConflictState::parse(row.try_get(11)?).ok_or_else(|| damaged("commit", "conflict"))?,
        accepted: row.try_get(12)?,
    })
}

/// What sources said of the fields of entities. To be asked when their rows are locked.
pub(super) async fn rivals(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, keys: &[&str]) -> Db<Rivals> {
    let found = sqlx::query(
        "SELECT k.n, c.field, c.connection_id, c.mapping, c.priority, c.value, c.live, c.winner_connection_id, c.winner_mapping, \
         c.winner_priority, c.winning_value, c.state, c.accepted FROM unnest($3::text[]) WITH ORDINALITY AS k(key, n) CROSS JOIN LATERAL \
         (SELECT * FROM mapping_conflicts c WHERE c.workspace_id = $1 AND c.type_id = $2 AND c.entity_id = k.key OFFSET 0) c",
    )
    .bind(workspace.as_str())
    .bind(type_id)
    .bind(keys)
    .fetch_all(&mut **tx)
    .await?;
    let mut rivals = Rivals::new();
    for row in &found {
        let at = row.try_get::<i64, _>(0)? as usize - 1;
        rivals.entry((at, row.try_get::<&str, _>(1)?.into())).or_default().push(rival(row)?);
    }
    Ok(rivals)
}

/// Keeps what sources say against the owners of fields.
pub(super) async fn keep_rivals(work: &mut Work<'_>, type_id: i64, mut contests: Vec<Contest<'_>>) -> Db<()> {
    if contests.is_empty() {
        return Ok(());
    }
    contests.sort_by(|one, other| (one.key, one.field, &one.rival.source).cmp(&(other.key, other.field, &other.rival.source)));
    let rivals = || contests.iter().map(|contest| &contest.rival);
    sqlx::query(
        "INSERT INTO mapping_conflicts AS c (workspace_id, type_id, entity_id, field, connection_id, mapping, priority, value, live, \
         winner_connection_id, winner_mapping, winner_priority, winning_value, state, accepted, rule, run_id, since, changed_at) \
         SELECT $1, $2, k.key, k.field, k.connection, k.mapping, k.priority, k.value, k.live, k.winner_connection, k.winner_mapping, \
         k.winner_priority, k.winning, k.state, k.accepted, 'lower_priority', $3, $4, $4 FROM unnest($5::text[], $6::text[], $7::text[], \
         $8::text[], $9::integer[], $10::text[], $11::boolean[], $12::text[], $13::text[], $14::integer[], $15::text[], $16::text[], \
         $17::boolean[]) WITH ORDINALITY AS k(key, field, connection, mapping, priority, value, live, winner_connection, winner_mapping, \
         winner_priority, winning, state, accepted, n) ORDER BY k.n \
         ON CONFLICT (workspace_id, type_id, entity_id, field, connection_id, mapping) DO UPDATE SET priority = excluded.priority, \
         value = excluded.value, live = excluded.live, winner_connection_id = excluded.winner_connection_id, \
         winner_mapping = excluded.winner_mapping, winner_priority = excluded.winner_priority, winning_value = excluded.winning_value, \
         state = excluded.state, accepted = excluded.accepted, run_id = excluded.run_id, \
         since = CASE WHEN c.state = excluded.state THEN c.since ELSE excluded.since END, changed_at = excluded.changed_at, \
         resolved_by = CASE WHEN excluded.accepted OR excluded.state = 'taken' THEN c.resolved_by END, \
         resolved_at = CASE WHEN excluded.accepted OR excluded.state = 'taken' THEN c.resolved_at END",
    )
    .bind(work.workspace.as_str())
    .bind(type_id)
    .bind(work.commit.fence.run.0)
    .bind(work.commit.at)
    .bind(contests.iter().map(|contest| contest.key).collect::<Vec<_>>())
    .bind(contests.iter().map(|contest| contest.field).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.source.connection.as_str()).collect::<Vec<_>>())
    .bind(rivals().map(|rival| &*rival.source.mapping).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.priority).collect::<Vec<_>>())
    .bind(rivals().map(|rival| &*rival.value).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.live).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.winner.as_ref().map(|winner| winner.connection.as_str())).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.winner.as_ref().map(|winner| &*winner.mapping)).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.winner_priority).collect::<Vec<_>>())
    .bind(rivals().map(|rival| &*rival.winning).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.state.as_str()).collect::<Vec<_>>())
    .bind(rivals().map(|rival| rival.accepted).collect::<Vec<_>>())
    .execute(&mut **work.tx)
    .await?;
    Ok(())
}

/// Keeps what this source says of fields it is only a reference for, where it is something new.
pub(super) async fn keep_references(work: &mut Work<'_>, type_id: i64, mut values: Vec<Reference<'_>>) -> Db<()> {
    if values.is_empty() {
        return Ok(());
    }
    values.sort_unstable();
    let feed = &work.commit.feed;
    let known: Vec<i64> = sqlx::query_scalar(
        "SELECT k.n FROM unnest($5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS k(key, field, value, n) CROSS JOIN LATERAL \
         (SELECT FROM reference_values r WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key AND r.connection_id = $3 \
         AND r.mapping = $4 AND r.field = k.field AND r.value = k.value OFFSET 0) r",
    )
    .bind(work.workspace.as_str())
    .bind(type_id)
    .bind(feed.connection.as_str())
    .bind(&*feed.mapping)
    .bind(values.iter().map(|value| value.key).collect::<Vec<_>>())
    .bind(values.iter().map(|value| value.field).collect::<Vec<_>>())
    .bind(values.iter().map(|value| value.value).collect::<Vec<_>>())
    .fetch_all(&mut **work.tx)
    .await?;
    let mut new = vec![true; values.len()];
    for n in known {
        new[n as usize - 1] = false;
    }
    let new: Vec<Reference<'_>> = values.into_iter().zip(new).filter_map(|(value, new)| new.then_some(value)).collect();
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO reference_values (workspace_id, type_id, entity_id, connection_id, mapping, field, value, run_id, changed_at) \
         SELECT $1, $2, k.key, $3, $4, k.field, k.value, $5, $6 FROM unnest($7::text[], $8::text[], $9::text[]) WITH ORDINALITY \
         AS k(key, field, value, n) ORDER BY k.n ON CONFLICT (workspace_id, type_id, entity_id, connection_id, mapping, field) DO UPDATE \
         SET value = excluded.value, run_id = excluded.run_id, changed_at = excluded.changed_at",
    )
    .bind(work.workspace.as_str())
    .bind(type_id)
    .bind(feed.connection.as_str())
    .bind(&*feed.mapping)
    .bind(work.commit.fence.run.0)
    .bind(work.commit.at)
    .bind(new.iter().map(|value| value.key).collect::<Vec<_>>())
    .bind(new.iter().map(|value| value.field).collect::<Vec<_>>())
    .bind(new.iter().map(|value| value.value).collect::<Vec<_>>())
    .execute(&mut **work.tx)
    .await?;
    Ok(())
}

/// The run that took links away, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) run: RunId,
    pub(super) at: DateTime<Utc>,
}

/// Takes away what a feed said beside entities that no record of its mapping stands behind any more. To be called when their rows are
/// locked.
pub(super) async fn release(tx: &mut Tx, links: Links<'_>, keys: &[&str], taken: Taken) -> Db<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT k.key FROM unnest($5::text[]) WITH ORDINALITY AS k(key, n) WHERE NOT EXISTS (SELECT FROM record_links r \
         WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key AND r.connection_id = $3 AND r.mapping = $4) ORDER BY k.n",
    )
    .bind(links.workspace.as_str())
    .bind(links.type_id)
    .bind(links.feed.connection.as_str())
    .bind(&*links.feed.mapping)
    .bind(keys)
    .fetch_all(&mut **tx)
    .await?;
    if silent.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM reference_values v USING (SELECT r.ctid AS at FROM unnest($5::text[]) AS k(key) CROSS JOIN LATERAL \
         (SELECT r.ctid FROM reference_values r WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key \
         AND r.connection_id = $3 AND r.mapping = $4 FOR UPDATE) r OFFSET 0) k WHERE v.ctid = k.at",
    )
    .bind(links.workspace.as_str())
    .bind(links.type_id)
    .bind(links.feed.connection.as_str())
    .bind(&*links.feed.mapping)
    .bind(&silent)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE mapping_conflicts m SET since = CASE WHEN m.state = 'settled' THEN m.since ELSE $7 END, live = false, accepted = false, \
         state = 'settled', run_id = $6, changed_at = $7, resolved_by = NULL, resolved_at = NULL FROM (SELECT c.ctid AS at \
         FROM unnest($5::text[]) AS k(key) CROSS JOIN LATERAL (SELECT c.ctid FROM mapping_conflicts c WHERE c.workspace_id = $1 \
         AND c.type_id = $2 AND c.entity_id = k.key AND c.connection_id = $3 AND c.mapping = $4 AND c.live FOR UPDATE) c OFFSET 0) k \
         WHERE m.ctid = k.at",
    )
    .bind(links.workspace.as_str())
    .bind(links.type_id)
    .bind(links.feed.connection.as_str())
    .bind(&*links.feed.mapping)
    .bind(&silent)
    .bind(taken.run.0)
    .bind(taken.at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets all that was said beside the fields of entities that are gone.
pub(super) async fn forget(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, keys: &[&str]) -> Db<()> {
    for sql in [
        "DELETE FROM reference_values v USING (SELECT r.ctid AS at FROM unnest($3::text[]) AS k(key) CROSS JOIN LATERAL \
         (SELECT r.ctid FROM reference_values r WHERE r.workspace_id = $1 AND r.type_id = $2 AND r.entity_id = k.key FOR UPDATE) r \
         OFFSET 0) k WHERE v.ctid = k.at",
        "DELETE FROM mapping_conflicts m USING (SELECT c.ctid AS at FROM unnest($3::text[]) AS k(key) CROSS JOIN LATERAL \
         (SELECT c.ctid FROM mapping_conflicts c WHERE c.workspace_id = $1 AND c.type_id = $2 AND c.entity_id = k.key FOR UPDATE) c \
         OFFSET 0) k WHERE m.ctid = k.at",
    ] {
        sqlx::query(sql).bind(workspace.as_str()).bind(type_id).bind(keys).execute(&mut **tx).await?;
    }
    Ok(())
}

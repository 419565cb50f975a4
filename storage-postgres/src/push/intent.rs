//! Writes that the service has not confirmed.

use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Operation, PushMode, RecordId, RunId, WorkspaceId,
    store::{Feed, Intent, IntentFilter, IntentState},
};

use crate::{
    error::{Db, damaged},
    nul,
    tx::Tx,
};

/// Writes that are listed when the filter does not say how many.
const LIMIT: u32 = 100;

fn from_row(row: &PgRow) -> Db<(Feed, Intent)> {
    let text = |at: usize| row.try_get::<&str, _>(at);
    let maybe = |at: usize| row.try_get::<Option<&str>, _>(at);
    let number = |at: usize| row.try_get::<i64, _>(at).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let error = maybe(17)?.map(serde_json::from_str).transpose();
    let intent = Intent {
        key: text(3)?.into(),
        marker: text(4)?.into(),
        operation: if text(5)? == "delete" { Operation::Delete } else { Operation::Upsert },
        fields: text(6)?.into(),
        hash: row.try_get::<i64, _>(7)?.cast_unsigned(),
        id: maybe(8)?.map(RecordId::from),
        version: maybe(9)?.map(Into::into),
        state: IntentState::parse(text(10)?).ok_or_else(|| damaged("intents", "state of a write"))?,
        attempts: number(11)?,
        sent_at: row.try_get(12)?,
        looks: number(13)?,
        looked_at: row.try_get(14)?,
        next_at: row.try_get(15)?,
        handle: maybe(16)?.map(Into::into),
        error: error.map_err(|_| damaged("intents", "error of a write"))?,
        run: RunId(row.try_get(18)?),
        mode: PushMode::parse(text(19)?).ok_or_else(|| damaged("intents", "mode of a write"))?,
    };
    Ok((Feed { connection: text(0)?.into(), stream: text(1)?.into(), mapping: text(2)?.into() }, intent))
}

/// Writes intents, each in place of the one its row had; no key stands here twice.
pub(super) async fn put(tx: &mut Tx, workspace: &WorkspaceId, feed_no: i64, mut intents: Vec<&Intent>) -> Db<()> {
    if intents.is_empty() {
        return Ok(());
    }
    intents.sort_unstable_by_key(|intent| &*intent.key);
    let mut errors = Vec::with_capacity(intents.len());
    for intent in &intents {
        let error = intent.error.as_ref().map(serde_json::to_string).transpose();
        errors.push(error.map_err(|_| damaged("journal", "error of a write"))?.map(|error| nul::json(&error).into_owned()));
    }
    let operation = |intent: &&Intent| match intent.operation {
        Operation::Upsert => "upsert",
        Operation::Delete => "delete",
    };
    macro_rules! column {
        ($of:expr) => {
            intents.iter().map($of).collect::<Vec<_>>()
        };
    }
    sqlx::query(
        "INSERT INTO push_intents (workspace_id, feed_no, entity_id, marker, operation, fields, content_hash, external_id, version, state, \
         attempts, sent_at, looks, looked_at, next_at, handle, run_id, error, mode) \
         SELECT $1, $2, u.entity_id, u.marker, u.operation, u.fields, u.content_hash, u.external_id, u.version, u.state, u.attempts, \
         u.sent_at, u.looks, u.looked_at, u.next_at, u.handle, u.run_id, u.error::jsonb, u.mode \
         FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::bigint[], \
         $12::timestamptz[], $13::bigint[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::bigint[], $18::text[], $19::text[]) \
         u(entity_id, marker, operation, fields, content_hash, external_id, version, state, attempts, sent_at, looks, looked_at, next_at, \
         handle, run_id, error, mode) \
         ON CONFLICT (workspace_id, feed_no, entity_id) DO UPDATE SET marker = excluded.marker, operation = excluded.operation, \
         fields = excluded.fields, content_hash = excluded.content_hash, external_id = excluded.external_id, version = excluded.version, \
         state = excluded.state, attempts = excluded.attempts, sent_at = excluded.sent_at, looks = excluded.looks, \
         looked_at = excluded.looked_at, next_at = excluded.next_at, handle = excluded.handle, run_id = excluded.run_id, \
         error = excluded.error, mode = excluded.mode",
    )
    .bind(workspace.as_str())
    .bind(feed_no)
    .bind(column!(|intent| &*intent.key))
    .bind(column!(|intent| intent.marker.as_str()))
    .bind(column!(operation))
    .bind(column!(|intent| &*intent.fields))
    .bind(column!(|intent| intent.hash.cast_signed()))
    .bind(column!(|intent| intent.id.as_ref().map(RecordId::as_str)))
    .bind(column!(|intent| intent.version.as_deref()))
    .bind(column!(|intent| intent.state.as_str()))
    .bind(column!(|intent| i64::from(intent.attempts)))
    .bind(column!(|intent| intent.sent_at))
    .bind(column!(|intent| i64::from(intent.looks)))
    .bind(column!(|intent| intent.looked_at))
    .bind(column!(|intent| intent.next_at))
    .bind(column!(|intent| intent.handle.as_deref()))
    .bind(column!(|intent| intent.run.0))
    .bind(errors)
    .bind(column!(|intent| intent.mode.as_str()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// These writes are over.
pub(super) async fn remove(tx: &mut Tx, workspace: &WorkspaceId, feed_no: i64, mut keys: Vec<&str>) -> Db<()> {
    if keys.is_empty() {
        return Ok(());
    }
    keys.sort_unstable();
    sqlx::query(
        "DELETE FROM push_intents i USING (SELECT l.ctid AS at FROM unnest($3::text[]) AS u(key) CROSS JOIN LATERAL (SELECT l.ctid \
         FROM push_intents l WHERE l.workspace_id = $1 AND l.feed_no = $2 AND l.entity_id = u.key FOR UPDATE) l OFFSET 0) k \
         WHERE i.ctid = k.at",
    )
    .bind(workspace.as_str())
    .bind(feed_no)
    .bind(keys)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

macro_rules! listed {
    ($of:literal) => {
        concat!(
            "SELECT f.connection_id, f.stream, f.mapping, i.entity_id, i.marker, i.operation, i.fields, i.content_hash, i.external_id, \
             i.version, i.state, i.attempts, i.sent_at, i.looks, i.looked_at, i.next_at, i.handle, i.error::text, i.run_id, i.mode \
             FROM (SELECT no, connection_id, stream, mapping FROM push_feeds WHERE workspace_id = $1 AND ($2::text IS NULL OR connection_id = $2) \
             AND ($3::text IS NULL OR (connection_id = $3 AND stream = $4 AND mapping = $5)) \
             AND ($6::text IS NULL OR (connection_id, stream, mapping) >= ($6, $7, $8)) \
             ORDER BY connection_id, stream, mapping OFFSET 0) f CROSS JOIN LATERAL (SELECT * FROM ",
            $of,
            " AND i.entity_id > CASE WHEN (f.connection_id, f.stream, f.mapping) = ($6, $7, $8) THEN $9 ELSE '' END \
             AND (cardinality($10::text[]) = 0 OR i.state = ANY($10)) ORDER BY i.entity_id LIMIT $11) i \
             ORDER BY f.connection_id, f.stream, f.mapping, i.entity_id LIMIT $11"
        )
    };
}

/// The writes a filter asks for, by feed and key.
pub(super) async fn list(tx: &mut Tx, workspace: &WorkspaceId, filter: &IntentFilter) -> Db<Vec<(Feed, Intent)>> {
    let limit = i64::from(if filter.limit == 0 { LIMIT } else { filter.limit });
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let mut keys: Vec<&str> = filter.keys.iter().map(|key| &**key).collect();
    keys.sort_unstable();
    keys.dedup();
    let feed = filter.feed.as_ref();
    let after = filter.after.as_ref().map(|(feed, _)| feed);
    let sql = if keys.is_empty() {
        listed!("push_intents i WHERE i.workspace_id = $1 AND i.feed_no = f.no AND $12::text[] IS NOT NULL")
    } else {
        listed!(
            "unnest($12::text[]) u(key) CROSS JOIN LATERAL (SELECT * FROM push_intents p \
                 WHERE p.workspace_id = $1 AND p.feed_no = f.no AND p.entity_id = u.key OFFSET 0) i WHERE true"
        )
    };
    let found = sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(filter.connection.as_ref().map(AsRef::<str>::as_ref))
        .bind(feed.map(|feed| feed.connection.as_str()))
        .bind(feed.map(|feed| feed.stream.as_str()))
        .bind(feed.map(|feed| &*feed.mapping))
        .bind(after.map(|feed| feed.connection.as_str()))
        .bind(after.map(|feed| feed.stream.as_str()))
        .bind(after.map(|feed| &*feed.mapping))
        .bind(filter.after.as_ref().map(|(_, key)| &**key))
        .bind(states)
        .bind(limit)
        .bind(keys)
        .fetch_all(&mut **tx)
        .await?;
    found.iter().map(from_row).collect()
}

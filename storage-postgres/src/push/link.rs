//! Numbers of feeds, and what is known of rows at the service.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Postgres, Row as _, SqlSafeStr, postgres::PgArguments, query::Query};
use sync_core::{
    RecordId, WorkspaceId,
    store::{Feed, PushLink},
};

use super::content::{LINK, LINKED, link};
use crate::{
    error::{Db, internal},
    tx::Tx,
};

/// A statement whose first four parameters are the workspace and the feed.
pub(crate) fn of_feed<'q>(sql: impl SqlSafeStr, workspace: &WorkspaceId, feed: &Feed) -> Query<'q, Postgres, PgArguments> {
    let query = sqlx::query(sql).bind(workspace.as_str().to_owned()).bind(feed.connection.as_str().to_owned());
    query.bind(feed.stream.as_str().to_owned()).bind(feed.mapping.to_string())
}

/// The number of a feed in rows and keys; `None` when nothing was ever kept for it.
pub(crate) async fn feed_no(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed) -> Db<Option<i64>> {
    let sql = "SELECT no FROM push_feeds WHERE workspace_id = $1 AND connection_id = $2 AND stream = $3 AND mapping = $4";
    let found = of_feed(sql, workspace, feed).fetch_optional(&mut **tx).await?;
    Ok(found.map(|row| row.try_get(0)).transpose()?)
}

/// The number of a feed; given when it is first asked for.
pub(crate) async fn number(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed) -> Db<i64> {
    if let Some(no) = feed_no(tx, workspace, feed).await? {
        return Ok(no);
    }
    // Another transaction may give it one at this moment: this statement waits for it then.
    let sql = "INSERT INTO push_feeds (workspace_id, connection_id, stream, mapping) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    of_feed(sql, workspace, feed).execute(&mut **tx).await?;
    feed_no(tx, workspace, feed).await?.ok_or_else(|| internal("push", "a feed that was given a number has none"))
}

/// What is known of rows, in the order of their keys.
pub(crate) async fn find(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, keys: &[&str]) -> Db<Vec<Option<PushLink>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {LINK} FROM unnest($5::text[]) WITH ORDINALITY t(key, at) {LINKED} ORDER BY t.at");
    let rows = of_feed(AssertSqlSafe(sql), workspace, feed).bind(keys).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| link(row, 0)).collect()
}

/// The keys of rows that are linked to these records, in the order of the ids; of several the first in key order.
pub(super) async fn keys_of(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, ids: &[RecordId]) -> Db<Vec<Option<Box<str>>>> {
    let sql = "SELECT l.entity_id FROM unnest($5::text[]) WITH ORDINALITY u(id, at) LEFT JOIN LATERAL (SELECT p.entity_id FROM push_links p \
               WHERE p.workspace_id = $1 AND p.feed_no = (SELECT no FROM push_feeds WHERE workspace_id = $1 AND connection_id = $2 \
               AND stream = $3 AND mapping = $4) AND p.external_id = u.id ORDER BY p.entity_id LIMIT 1) l ON true ORDER BY u.at";
    let ids: Vec<&str> = ids.iter().map(RecordId::as_str).collect();
    let rows = of_feed(sql, workspace, feed).bind(ids).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok(row.try_get::<Option<String>, _>(0)?.map(Into::into))).collect()
}

/// Says what is known of rows from now on; no key stands here twice. A link that says so already is left as it is.
pub(crate) async fn put(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    feed_no: i64,
    mut links: Vec<(&str, &PushLink)>,
    at: DateTime<Utc>,
) -> Db<()> {
    if links.is_empty() {
        return Ok(());
    }
    // Locks are taken in one order, whoever writes.
    links.sort_unstable_by_key(|(key, _)| *key);
    let keys: Vec<&str> = links.iter().map(|(key, _)| *key).collect();
    let ids: Vec<Option<&str>> = links.iter().map(|(_, link)| link.id.as_ref().map(RecordId::as_str)).collect();
    let hashes: Vec<Option<i64>> = links.iter().map(|(_, link)| link.hash.map(u64::cast_signed)).collect();
    let versions: Vec<Option<&str>> = links.iter().map(|(_, link)| link.version.as_deref()).collect();
    sqlx::query(
        "INSERT INTO push_links AS p (workspace_id, feed_no, updated_at, entity_id, external_id, content_hash, version) \
         SELECT $1, $2, $3, u.* FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[]) u \
         ON CONFLICT (workspace_id, feed_no, entity_id) DO UPDATE SET external_id = excluded.external_id, \
         content_hash = excluded.content_hash, version = excluded.version, updated_at = excluded.updated_at \
         WHERE p.external_id IS DISTINCT FROM excluded.external_id OR p.content_hash IS DISTINCT FROM excluded.content_hash \
         OR p.version IS DISTINCT FROM excluded.version",
    )
    .bind(workspace.as_str())
    .bind(feed_no)
    .bind(at)
    .bind(keys)
    .bind(ids)
    .bind(hashes)
    .bind(versions)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets rows.
pub(super) async fn remove(tx: &mut Tx, workspace: &WorkspaceId, feed_no: i64, mut keys: Vec<&str>) -> Db<()> {
    if keys.is_empty() {
        return Ok(());
    }
    keys.sort_unstable();
    sqlx::query(
        "DELETE FROM push_links p USING (SELECT l.ctid AS at FROM unnest($3::text[]) AS u(key) CROSS JOIN LATERAL (SELECT l.ctid \
         FROM push_links l WHERE l.workspace_id = $1 AND l.feed_no = $2 AND l.entity_id = u.key FOR UPDATE) l OFFSET 0) k \
         WHERE p.ctid = k.at",
    )
    .bind(workspace.as_str())
    .bind(feed_no)
    .bind(keys)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets rows that a pull or a sweep took away, by their keys as the table had them ([`key_of`](super::content::key_of)).
pub(crate) async fn forget(tx: &mut Tx, workspace: &WorkspaceId, feed: &Feed, keys: Vec<&str>) -> Db<()> {
    if keys.is_empty() {
        return Ok(());
    }
    match feed_no(tx, workspace, feed).await? {
        Some(feed_no) => remove(tx, workspace, feed_no, keys).await,
        None => Ok(()),
    }
}

//! Which source set a field, where sources of different priority meet.

use std::collections::HashMap;

use sync_core::{
    Target, WorkspaceId,
    mapping::{FieldOwner, FieldSource},
    store::Feed,
};

use crate::{error::Db, tx::Tx};

/// Those who set fields: by the place of the entity's key, and the field.
pub(super) type Owners = HashMap<(usize, Box<str>), FieldOwner>;

/// A field of an entity, and the priority of the source that owns it from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owned<'a> {
    pub(super) key: &'a str,
    pub(super) field: &'a str,
    pub(super) priority: i32,
}

/// Whether priorities of sources are kept for this entity type.
pub(super) async fn are_kept(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, target: &Target) -> Db<bool> {
    if target.by_hand() || target.rules.values().any(|rule| rule.priority != 0) {
        return Ok(!target.by_hand());
    }
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM field_owners WHERE workspace_id = $1 AND type_id = $2)")
        .bind(workspace.as_str())
        .bind(type_id)
        .fetch_one(&mut **tx)
        .await?)
}

/// The owners of the fields of entities. To be asked when their rows are locked.
pub(super) async fn of(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, keys: &[&str]) -> Db<Owners> {
    let found: Vec<(i64, String, i32, String, String)> = sqlx::query_as(
        "SELECT k.n, o.field, o.priority, o.connection_id, o.mapping FROM unnest($3::text[]) WITH ORDINALITY AS k(key, n) CROSS JOIN LATERAL \
         (SELECT o.field, o.priority, o.connection_id, o.mapping FROM field_owners o WHERE o.workspace_id = $1 AND o.type_id = $2 AND o.entity_id = k.key OFFSET 0) o",
    )
    .bind(workspace.as_str())
    .bind(type_id)
    .bind(keys)
    .fetch_all(&mut **tx)
    .await?;
    let owner = |(n, field, priority, connection, mapping): (i64, String, i32, String, String)| {
        let source = FieldSource { connection: connection.into(), mapping: mapping.into() };
        ((n as usize - 1, field.into()), FieldOwner { source, priority })
    };
    Ok(found.into_iter().map(owner).collect())
}

/// Makes a feed the owner of fields.
pub(super) async fn own(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, feed: &Feed, mut fields: Vec<Owned<'_>>) -> Db<()> {
    if fields.is_empty() {
        return Ok(());
    }
    fields.sort_unstable();
    sqlx::query(
        "INSERT INTO field_owners (workspace_id, type_id, entity_id, field, priority, connection_id, mapping) \
         SELECT $1, $2, k.key, k.field, k.priority, $3, $4 FROM unnest($5::text[], $6::text[], $7::integer[]) WITH ORDINALITY \
         AS k(key, field, priority, n) ORDER BY k.n ON CONFLICT (workspace_id, type_id, entity_id, field) DO UPDATE \
         SET priority = excluded.priority, connection_id = excluded.connection_id, mapping = excluded.mapping",
    )
    .bind(workspace.as_str())
    .bind(type_id)
    .bind(feed.connection.as_str())
    .bind(&*feed.mapping)
    .bind(fields.iter().map(|owned| owned.key).collect::<Vec<_>>())
    .bind(fields.iter().map(|owned| owned.field).collect::<Vec<_>>())
    .bind(fields.iter().map(|owned| owned.priority).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets who set the fields of entities that are gone.
pub(super) async fn forget(tx: &mut Tx, workspace: &WorkspaceId, type_id: i64, keys: &[&str]) -> Db<()> {
    sqlx::query(
        "DELETE FROM field_owners f USING (SELECT o.ctid AS at FROM unnest($3::text[]) AS k(key) CROSS JOIN LATERAL \
         (SELECT o.ctid FROM field_owners o WHERE o.workspace_id = $1 AND o.type_id = $2 AND o.entity_id = k.key FOR UPDATE) o OFFSET 0) k \
         WHERE f.ctid = k.at",
    )
    .bind(workspace.as_str())
    .bind(type_id)
    .bind(keys)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

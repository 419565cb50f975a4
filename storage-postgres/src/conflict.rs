//! Reading what sources say beside fields, and deciding about it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use serde_json::value::RawValue;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    EntityType, Result, RunId, WorkspaceId,
    mapping::{ConflictState, FieldOwner, FieldSource},
    store::{Conflict, ConflictFilter, ConflictId, ConflictStore, Conflicts, Feed, ReferenceValue, SettleConflicts},
};

use crate::{
    error::{Db, damaged},
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

fn json(row: &PgRow, at: usize) -> Db<Box<RawValue>> {
    RawValue::from_string(row.try_get(at)?).map_err(|_| damaged("conflicts", "value beside a field"))
}

async fn reference_values(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<Vec<ReferenceValue>> {
    let rows = sqlx::query(
        "SELECT v.field, v.connection_id, v.mapping, v.value, v.run_id, v.changed_at FROM reference_values v \
         WHERE v.workspace_id = $1 AND v.type_id = (SELECT t.id FROM entity_types t WHERE t.entity_type = $2) AND v.entity_id = $3 \
         ORDER BY v.field, v.connection_id, v.mapping",
    )
    .bind(workspace.as_str())
    .bind(entity.as_str())
    .bind(key.replace('\0', ""))
    .fetch_all(&mut **tx)
    .await?;
    let value = |row: &PgRow| {
        Ok(ReferenceValue {
            field: row.try_get::<&str, _>(0)?.into(),
            source: FieldSource { connection: row.try_get::<&str, _>(1)?.into(), mapping: row.try_get::<&str, _>(2)?.into() },
            value: json(row, 3)?,
            run: RunId(row.try_get(4)?),
            at: row.try_get(5)?,
        })
    };
    rows.iter().map(value).collect()
}

async fn field_owners(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<Vec<(Box<str>, FieldOwner)>> {
    let rows = sqlx::query(
        "SELECT o.field, o.connection_id, o.mapping, o.priority FROM field_owners o WHERE o.workspace_id = $1 \
         AND o.type_id = (SELECT t.id FROM entity_types t WHERE t.entity_type = $2) AND o.entity_id = $3 ORDER BY o.field",
    )
    .bind(workspace.as_str())
    .bind(entity.as_str())
    .bind(key.replace('\0', ""))
    .fetch_all(&mut **tx)
    .await?;
    let owner = |row: &PgRow| {
        let source = FieldSource { connection: row.try_get::<&str, _>(1)?.into(), mapping: row.try_get::<&str, _>(2)?.into() };
        Ok((row.try_get::<&str, _>(0)?.into(), FieldOwner { source, priority: row.try_get(3)? }))
    };
    rows.iter().map(owner).collect()
}

fn conflict(row: &PgRow) -> Db<Conflict> {
    let winner: Option<&str> = row.try_get(9)?;
    Ok(Conflict {
        id: ConflictId(row.try_get(0)?),
        entity_type: row.try_get::<&str, _>(1)?.into(),
        entity: row.try_get::<&str, _>(2)?.into(),
        field: row.try_get::<&str, _>(3)?.into(),
        loser: Feed {
            connection: row.try_get::<&str, _>(4)?.into(),
            mapping: row.try_get::<&str, _>(5)?.into(),
            stream: row.try_get::<&str, _>(6)?.into(),
        },
        priority: row.try_get(7)?,
        value: json(row, 8)?,
        winner: match winner {
            Some(connection) => Some(FieldSource { connection: connection.into(), mapping: row.try_get::<&str, _>(10)?.into() }),
            None => None,
        },
        winner_priority: row.try_get(11)?,
        winning: json(row, 12)?,
        rule: row.try_get::<&str, _>(13)?.into(),
        state: ConflictState::parse(row.try_get(14)?).ok_or_else(|| damaged("conflicts", "conflict"))?,
        run: RunId(row.try_get(15)?),
        since: row.try_get(16)?,
        at: row.try_get(17)?,
        resolved_by: row.try_get::<Option<&str>, _>(18)?.map(Into::into),
        resolved_at: row.try_get(19)?,
    })
}

async fn conflicts(tx: &mut Tx, workspace: &WorkspaceId, filter: &ConflictFilter) -> Db<Vec<Conflict>> {
    let loser = filter.loser.as_ref();
    // No text of ours has a NUL, so a filter with one finds nothing.
    let texts = [filter.key.as_deref(), filter.field.as_deref(), filter.mapping.as_deref(), loser.map(|loser| &*loser.mapping)];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT c.id, t.entity_type, c.entity_id, c.field, c.connection_id, c.mapping, coalesce((SELECT l.stream FROM record_links l \
         WHERE l.workspace_id = c.workspace_id AND l.type_id = c.type_id AND l.entity_id = c.entity_id \
         AND l.connection_id = c.connection_id AND l.mapping = c.mapping LIMIT 1), ''), c.priority, c.value, c.winner_connection_id, \
         c.winner_mapping, c.winner_priority, c.winning_value, c.rule, c.state, c.run_id, c.since, c.changed_at, c.resolved_by, c.resolved_at \
         FROM mapping_conflicts c JOIN entity_types t ON t.id = c.type_id WHERE c.workspace_id = $1 \
         AND ($3::text IS NULL OR t.entity_type = $3) AND ($4::text IS NULL OR c.entity_id = $4) AND ($5::text IS NULL OR c.field = $5) \
         AND ($6::text IS NULL OR c.connection_id = $6) AND ($7::text IS NULL OR c.mapping = $7) AND ($8::text IS NULL OR c.mapping = $8) \
         AND ($9::text IS NULL OR c.state = $9) AND ($10::bigint IS NULL OR c.id = $10) AND ($11::bigint IS NULL OR c.id > $11) \
         ORDER BY c.id LIMIT $2",
    )
    .bind(workspace.as_str())
    .bind(i64::from(filter.limit))
    .bind(filter.entity_type.as_ref().map(EntityType::as_str))
    .bind(filter.key.as_deref())
    .bind(filter.field.as_deref())
    .bind(loser.map(|loser| loser.connection.as_str()))
    .bind(loser.map(|loser| &*loser.mapping))
    .bind(filter.mapping.as_deref())
    .bind(filter.state.map(ConflictState::as_str))
    .bind(filter.id.map(|id| id.0))
    .bind(filter.after.map(|id| id.0))
    // What is asked for differs from call to call, so each has a plan of its own.
    .persistent(false)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(conflict).collect()
}

async fn settle(tx: &mut Tx, workspace: &WorkspaceId, what: &SettleConflicts) -> Db<u64> {
    let set = "UPDATE mapping_conflicts c SET state = $2, accepted = $3, since = CASE WHEN c.state = $2 THEN c.since ELSE $5 END, \
               resolved_by = $4, resolved_at = $5, changed_at = $5, run_id = coalesce($6, c.run_id)";
    let condition = "WHERE c.workspace_id = $1 AND c.live AND c.state IN ('open', 'accepted')";
    let sql = match &what.which {
        Conflicts::Each(_) => {
            format!("{set} FROM unnest($7::bigint[], $8::text[]) AS k(id, value) {condition} AND c.id = k.id AND c.value = k.value")
        }
        Conflicts::Alike { .. } => format!(
            "{set} {condition} AND c.state = 'open' AND c.type_id = (SELECT t.id FROM entity_types t WHERE t.entity_type = $7) \
             AND c.field = $8 AND c.connection_id = $9 AND c.mapping = $10"
        ),
    };
    let statement = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace.as_str())
        .bind(what.state.as_str())
        .bind(what.state == ConflictState::Accepted)
        .bind(&*what.by)
        .bind(what.at)
        .bind(what.run.map(|run| run.0));
    let statement = match &what.which {
        Conflicts::Each(each) => {
            let (ids, values): (Vec<i64>, Vec<&str>) = each.iter().map(|(id, value)| (id.0, &**value)).unzip();
            statement.bind(ids).bind(values)
        }
        Conflicts::Alike { entity_type, field, loser } => {
            statement.bind(entity_type.as_str()).bind(&**field).bind(loser.connection.as_str()).bind(&*loser.mapping)
        }
    };
    Ok(statement.execute(&mut **tx).await?.rows_affected())
}

#[async_trait]
impl ConflictStore for Scoped {
    async fn reference_values(&self, entity: &EntityType, key: &str) -> Result<Vec<ReferenceValue>> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), key.to_owned());
        let found = self.inner.read("reference_values", &self.workspace, move |tx| {
            let (workspace, entity, key) = (workspace.clone(), entity.clone(), key.clone());
            async move { reference_values(tx, &workspace, &entity, &key).await }.boxed()
        });
        found.await
    }

    async fn field_owners(&self, entity: &EntityType, key: &str) -> Result<Vec<(Box<str>, FieldOwner)>> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), key.to_owned());
        let found = self.inner.read("field_owners", &self.workspace, move |tx| {
            let (workspace, entity, key) = (workspace.clone(), entity.clone(), key.clone());
            async move { field_owners(tx, &workspace, &entity, &key).await }.boxed()
        });
        found.await
    }

    async fn conflicts(&self, filter: ConflictFilter) -> Result<Vec<Conflict>> {
        let (workspace, filter) = (self.workspace.clone(), Arc::new(filter));
        let found = self.inner.read("conflicts", &self.workspace, move |tx| {
            let (workspace, filter) = (workspace.clone(), Arc::clone(&filter));
            async move { conflicts(tx, &workspace, &filter).await }.boxed()
        });
        found.await
    }

    async fn settle_conflicts(&self, what: SettleConflicts) -> Result<u64> {
        let (workspace, what) = (self.workspace.clone(), Arc::new(what));
        let done = self.inner.run("settle_conflicts", Door::Workspace(self.workspace.clone()), Repeat::UnlessCommitted, move |tx| {
            let (workspace, what) = (workspace.clone(), Arc::clone(&what));
            async move { settle(tx, &workspace, &what).await }.boxed()
        });
        done.await
    }
}

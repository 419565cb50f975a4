//! Reading what sources say beside fields, and deciding about it.

use async_trait::async_trait;
use rusqlite::{Row, Transaction, params_from_iter, types::Value as Sql};
use serde_json::value::RawValue;
use sync_core::{
    EntityType, Result, RunId, WorkspaceId,
    mapping::{ConflictState, FieldOwner, FieldSource},
    store::{Conflict, ConflictFilter, ConflictId, ConflictStore, Conflicts, Feed, ReferenceValue, SettleConflicts},
};

use crate::{
    error::{Db, damaged},
    storage::{Durability, Scoped},
    time,
};

fn json(row: &Row<'_>, at: usize) -> Db<Box<RawValue>> {
    RawValue::from_string(row.get(at)?).map_err(|_| damaged("conflicts", "value beside a field"))
}

fn reference_values(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<Vec<ReferenceValue>> {
    let mut found = tx.prepare_cached(
        "SELECT v.field, v.connection_id, v.mapping, v.value, v.run_id, v.changed_at FROM syncline_reference_values v \
         JOIN syncline_entity_types t ON t.id = v.type_id WHERE v.workspace_id = ?1 AND t.entity_type = ?2 AND v.entity_id = ?3 \
         ORDER BY v.field, v.connection_id, v.mapping",
    )?;
    let mut rows = found.query((workspace.as_str(), entity.as_str(), key))?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(ReferenceValue {
            field: row.get(0)?,
            source: FieldSource { connection: row.get_ref(1)?.as_str()?.into(), mapping: row.get(2)? },
            value: json(row, 3)?,
            run: RunId(row.get(4)?),
            at: time::column(row, 5)?,
        });
    }
    Ok(values)
}

fn field_owners(tx: &Transaction<'_>, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<Vec<(Box<str>, FieldOwner)>> {
    let mut found = tx.prepare_cached(
        "SELECT o.field, o.connection_id, o.mapping, o.priority FROM syncline_field_owners o JOIN syncline_entity_types t ON t.id = o.type_id \
         WHERE o.workspace_id = ?1 AND t.entity_type = ?2 AND o.entity_id = ?3 ORDER BY o.field",
    )?;
    let mut rows = found.query((workspace.as_str(), entity.as_str(), key))?;
    let mut owners = Vec::new();
    while let Some(row) = rows.next()? {
        let source = FieldSource { connection: row.get_ref(1)?.as_str()?.into(), mapping: row.get(2)? };
        owners.push((row.get(0)?, FieldOwner { source, priority: row.get(3)? }));
    }
    Ok(owners)
}

fn conflict(row: &Row<'_>) -> Db<Conflict> {
    let winner: Option<String> = row.get(9)?;
    Ok(Conflict {
        id: ConflictId(row.get(0)?),
        entity_type: row.get_ref(1)?.as_str()?.into(),
        entity: row.get(2)?,
        field: row.get(3)?,
        loser: Feed { connection: row.get_ref(4)?.as_str()?.into(), stream: row.get_ref(6)?.as_str()?.into(), mapping: row.get(5)? },
        priority: row.get(7)?,
        value: json(row, 8)?,
        winner: match winner {
            Some(connection) => Some(FieldSource { connection: connection.into(), mapping: row.get(10)? }),
            None => None,
        },
        winner_priority: row.get(11)?,
        winning: json(row, 12)?,
        rule: row.get_ref(13)?.as_str()?.into(),
        state: ConflictState::parse(row.get_ref(14)?.as_str()?).ok_or_else(|| damaged("conflicts", "conflict"))?,
        run: RunId(row.get(15)?),
        since: time::column(row, 16)?,
        at: time::column(row, 17)?,
        resolved_by: row.get(18)?,
        resolved_at: time::optional(row, 19)?,
    })
}

fn conflicts(tx: &Transaction<'_>, workspace: &WorkspaceId, filter: &ConflictFilter) -> Db<Vec<Conflict>> {
    let mut parameters = vec![Sql::Text(workspace.as_str().into()), Sql::Integer(filter.limit.into())];
    let mut terms = String::new();
    let mut also = |term: &str, value: Option<Sql>| {
        if let Some(value) = value {
            parameters.push(value);
            terms.push_str(&format!(" AND {term} ?{}", parameters.len()));
        }
    };
    let text = |text: &str| Sql::Text(text.into());
    also("t.entity_type =", filter.entity_type.as_ref().map(|entity| text(entity.as_str())));
    also("c.entity_id =", filter.key.as_deref().map(text));
    also("c.field =", filter.field.as_deref().map(text));
    also("c.connection_id =", filter.loser.as_ref().map(|loser| text(loser.connection.as_str())));
    also("c.mapping =", filter.loser.as_ref().map(|loser| text(&loser.mapping)));
    also("c.mapping =", filter.mapping.as_deref().map(text));
    also("c.state =", filter.state.map(|state| text(state.as_str())));
    also("c.id =", filter.id.map(|id| Sql::Integer(id.0)));
    also("c.id >", filter.after.map(|id| Sql::Integer(id.0)));
    let sql = format!(
        "SELECT c.id, t.entity_type, c.entity_id, c.field, c.connection_id, c.mapping, coalesce((SELECT l.stream \
         FROM syncline_record_links l WHERE l.workspace_id = c.workspace_id AND l.type_id = c.type_id AND l.entity_id = c.entity_id \
         AND l.connection_id = c.connection_id AND l.mapping = c.mapping LIMIT 1), ''), c.priority, c.value, c.winner_connection_id, \
         c.winner_mapping, c.winner_priority, c.winning_value, c.rule, c.state, c.run_id, c.since, c.changed_at, c.resolved_by, c.resolved_at \
         FROM syncline_mapping_conflicts c JOIN syncline_entity_types t ON t.id = c.type_id WHERE c.workspace_id = ?1{terms} \
         ORDER BY c.id LIMIT ?2"
    );
    let mut found = tx.prepare_cached(&sql)?;
    let mut rows = found.query(params_from_iter(parameters))?;
    let mut conflicts = Vec::new();
    while let Some(row) = rows.next()? {
        conflicts.push(conflict(row)?);
    }
    Ok(conflicts)
}

fn settle(tx: &Transaction<'_>, workspace: &WorkspaceId, what: &SettleConflicts) -> Db<u64> {
    let (accepted, at) = (what.state == ConflictState::Accepted, time::text(what.at));
    let set = "UPDATE syncline_mapping_conflicts SET state = ?2, accepted = ?3, since = CASE WHEN state = ?2 THEN since ELSE ?5 END, \
               resolved_by = ?4, resolved_at = ?5, changed_at = ?5, run_id = coalesce(?6, run_id) \
               WHERE workspace_id = ?1 AND live AND state IN ('open', 'accepted')";
    let run = what.run.map(|run| run.0);
    let mut settled = 0;
    match &what.which {
        Conflicts::Each(each) => {
            let mut update = tx.prepare_cached(&format!("{set} AND id = ?7 AND value = ?8"))?;
            for (id, value) in each {
                settled += update.execute((workspace.as_str(), what.state.as_str(), accepted, &*what.by, &at, run, id.0, &**value))?;
            }
        }
        Conflicts::Alike { entity_type, field, loser } => {
            let sql = format!(
                "{set} AND state = 'open' AND field = ?8 AND connection_id = ?9 AND mapping = ?10 \
                 AND type_id = (SELECT id FROM syncline_entity_types WHERE entity_type = ?7)"
            );
            settled += tx.prepare_cached(&sql)?.execute((
                workspace.as_str(),
                what.state.as_str(),
                accepted,
                &*what.by,
                &at,
                run,
                entity_type.as_str(),
                &**field,
                loser.connection.as_str(),
                &*loser.mapping,
            ))?;
        }
    }
    Ok(settled as u64)
}

#[async_trait]
impl ConflictStore for Scoped {
    async fn reference_values(&self, entity: &EntityType, key: &str) -> Result<Vec<ReferenceValue>> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), key.to_owned());
        self.inner.read("reference_values", move |tx| reference_values(tx, &workspace, &entity, &key)).await
    }

    async fn field_owners(&self, entity: &EntityType, key: &str) -> Result<Vec<(Box<str>, FieldOwner)>> {
        let (workspace, entity, key) = (self.workspace.clone(), entity.clone(), key.to_owned());
        self.inner.read("field_owners", move |tx| field_owners(tx, &workspace, &entity, &key)).await
    }

    async fn conflicts(&self, filter: ConflictFilter) -> Result<Vec<Conflict>> {
        let workspace = self.workspace.clone();
        self.inner.read("conflicts", move |tx| conflicts(tx, &workspace, &filter)).await
    }

    async fn settle_conflicts(&self, what: SettleConflicts) -> Result<u64> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| settle(tx, &workspace, &what);
        self.inner.write("settle_conflicts", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

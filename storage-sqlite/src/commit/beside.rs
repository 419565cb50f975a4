//! What sources say beside an entity's fields: reference values, and what loses to a source of higher priority.

use std::collections::HashMap;

use rusqlite::{Row, Transaction};
use sync_core::{
    RunId, WorkspaceId,
    mapping::{ConflictState, FieldOwner, FieldSource, Rival},
    store::Feed,
};

use super::Work;
use crate::error::{Db, damaged};

/// Who set an entity's fields.
pub(super) type Owners = HashMap<String, FieldOwner>;
/// What others said of them.
pub(super) type Rivals = HashMap<String, Vec<Rival>>;

pub(super) fn owners(work: &Work<'_>, type_id: i64, key: &str) -> Db<Owners> {
    let mut found = work.tx.prepare_cached(
        "SELECT field, priority, connection_id, mapping FROM syncline_field_owners WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3",
    )?;
    let rows = found.query_map((work.workspace.as_str(), type_id, key), |row| {
        Ok((row.get(0)?, FieldOwner { priority: row.get(1)?, source: source(row, 2)? }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn source(row: &Row<'_>, at: usize) -> rusqlite::Result<FieldSource> {
    Ok(FieldSource { connection: row.get_ref(at)?.as_str()?.into(), mapping: row.get(at + 1)? })
}

pub(super) fn rivals(work: &Work<'_>, type_id: i64, key: &str) -> Db<Rivals> {
    let mut found = work.tx.prepare_cached(
        "SELECT field, connection_id, mapping, priority, value, live, winner_connection_id, winner_mapping, winner_priority, winning_value, \
         state, accepted FROM syncline_mapping_conflicts WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3",
    )?;
    let mut rows = found.query((work.workspace.as_str(), type_id, key))?;
    let mut rivals = Rivals::new();
    while let Some(row) = rows.next()? {
        let winner = row.get_ref(6)?.as_str_or_null()?.is_some().then(|| source(row, 6)).transpose()?;
        rivals.entry(row.get(0)?).or_default().push(Rival {
            source: source(row, 1)?,
            priority: row.get(3)?,
            value: row.get(4)?,
            live: row.get(5)?,
            winner,
            winner_priority: row.get(8)?,
            winning: row.get(9)?,
            state: ConflictState::parse(row.get_ref(10)?.as_str()?).ok_or_else(|| damaged("commit", "conflict"))?,
            accepted: row.get(11)?,
        });
    }
    Ok(rivals)
}

/// Keeps what a source says against a field's owner.
pub(super) fn keep_rival(work: &Work<'_>, type_id: i64, key: &str, field: &str, rival: &Rival) -> Db<()> {
    work.tx
        .prepare_cached(
            "INSERT INTO syncline_mapping_conflicts (workspace_id, type_id, entity_id, field, connection_id, mapping, priority, value, \
             winner_connection_id, winner_mapping, winner_priority, winning_value, rule, state, accepted, live, run_id, since, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'lower_priority', ?13, ?14, ?15, ?16, ?17, ?17) \
             ON CONFLICT (workspace_id, type_id, entity_id, field, connection_id, mapping) DO UPDATE SET priority = excluded.priority, \
             value = excluded.value, winner_connection_id = excluded.winner_connection_id, winner_mapping = excluded.winner_mapping, \
             winner_priority = excluded.winner_priority, winning_value = excluded.winning_value, state = excluded.state, \
             accepted = excluded.accepted, live = excluded.live, run_id = excluded.run_id, \
             since = CASE WHEN state = excluded.state THEN since ELSE excluded.since END, changed_at = excluded.changed_at, \
             resolved_by = CASE WHEN excluded.accepted OR excluded.state = 'taken' THEN resolved_by END, \
             resolved_at = CASE WHEN excluded.accepted OR excluded.state = 'taken' THEN resolved_at END",
        )?
        .execute(rusqlite::params![
            work.workspace.as_str(),
            type_id,
            key,
            field,
            rival.source.connection.as_str(),
            &*rival.source.mapping,
            rival.priority,
            &*rival.value,
            rival.winner.as_ref().map(|winner| winner.connection.as_str()),
            rival.winner.as_ref().map(|winner| &*winner.mapping),
            rival.winner_priority,
            &*rival.winning,
            rival.state.as_str(),
            rival.accepted,
            rival.live,
            work.commit.fence.run.0,
            work.at,
        ])?;
    Ok(())
}

/// Keeps what this source says of fields it is only a reference for, where it is something new.
pub(super) fn keep_references(work: &Work<'_>, type_id: i64, key: &str, values: &[(&str, &str)]) -> Db<()> {
    let feed = &work.commit.feed;
    let known: HashMap<String, String> = {
        let mut found = work.tx.prepare_cached(
            "SELECT field, value FROM syncline_reference_values WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 \
             AND connection_id = ?4 AND mapping = ?5",
        )?;
        let whose = (work.workspace.as_str(), type_id, key, feed.connection.as_str(), &*feed.mapping);
        let rows = found.query_map(whose, |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (field, value) in values.iter().filter(|(field, value)| known.get(*field).map(String::as_str) != Some(*value)) {
        work.tx
            .prepare_cached(
                "INSERT INTO syncline_reference_values (workspace_id, type_id, entity_id, connection_id, mapping, field, value, run_id, \
                 changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET value = excluded.value, \
                 run_id = excluded.run_id, changed_at = excluded.changed_at",
            )?
            .execute((
                work.workspace.as_str(),
                type_id,
                key,
                feed.connection.as_str(),
                &*feed.mapping,
                field,
                value,
                work.commit.fence.run.0,
                work.at,
            ))?;
    }
    Ok(())
}

/// The run that took a link away, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<'a> {
    pub(crate) run: RunId,
    pub(crate) at: &'a str,
}

/// Takes away what a source said beside an entity, unless another of its records stands behind it.
pub(crate) fn release(tx: &Transaction<'_>, workspace: &WorkspaceId, feed: &Feed, type_id: i64, key: &str, taken: Taken<'_>) -> Db<()> {
    let whose = (workspace.as_str(), type_id, key, feed.connection.as_str(), &*feed.mapping);
    let linked = tx
        .prepare_cached(
            "SELECT 1 FROM syncline_record_links WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 AND connection_id = ?4 \
             AND mapping = ?5",
        )?
        .exists(whose)?;
    if linked {
        return Ok(());
    }
    tx.prepare_cached(
        "DELETE FROM syncline_reference_values WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 AND connection_id = ?4 \
         AND mapping = ?5",
    )?
    .execute(whose)?;
    tx.prepare_cached(
        "UPDATE syncline_mapping_conflicts SET since = CASE state WHEN 'settled' THEN since ELSE ?7 END, live = 0, accepted = 0, \
         state = 'settled', run_id = ?6, changed_at = ?7, resolved_by = NULL, resolved_at = NULL \
         WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3 AND connection_id = ?4 AND mapping = ?5 AND live",
    )?
    .execute((workspace.as_str(), type_id, key, feed.connection.as_str(), &*feed.mapping, taken.run.0, taken.at))?;
    Ok(())
}

/// Forgets who set the fields of an entity that is gone, and all that was said beside them.
pub(super) fn forget(tx: &Transaction<'_>, workspace: &WorkspaceId, type_id: i64, key: &str) -> Db<()> {
    for sql in [
        "DELETE FROM syncline_field_owners WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3",
        "DELETE FROM syncline_reference_values WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3",
        "DELETE FROM syncline_mapping_conflicts WHERE workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3",
    ] {
        tx.prepare_cached(sql)?.execute((workspace.as_str(), type_id, key))?;
    }
    Ok(())
}

//! Deleting everything there is of one entity.

use rusqlite::{Params, Transaction};
use sync_core::{
    EntityType, Error, ErrorKind, WorkspaceId,
    store::{EntityQuery, ErasedEntity, Traces},
};

use crate::{
    entity,
    error::Db,
    run,
    storage::Shared,
    table::{Keyed, Table},
};

/// The shortest name that texts of others than the entity's own runs are searched for: a shorter one stands in them by chance.
const TELLING: usize = 4;

/// Erases it, all or nothing.
pub(crate) fn erase(tx: &Transaction<'_>, shared: &Shared, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<ErasedEntity> {
    let this = Erasing { tx, workspace: workspace.as_str(), entity: entity.as_str(), key };
    let known = Table::load(tx, entity)?;
    let had_runs = tx
        .prepare_cached("SELECT 1 FROM syncline_sync_runs WHERE workspace_id = ?1 AND entity_type = ?2")?
        .exists((this.workspace, this.entity))?;
    if known.is_none() && !had_runs {
        let text = format!("nothing is known of {entity} here; nothing was erased");
        return Err(Error::new(ErrorKind::NotFound, "erase_entity", text).into());
    }
    if run::is_under_way(tx, shared, workspace, Some(entity))? {
        let text = format!("a run of {entity} is under way; stop it or wait for its end, then erase again. Nothing was erased");
        return Err(Error::new(ErrorKind::Conflict, "erase_entity", text).into());
    }
    let mut erased = ErasedEntity::default();
    let mut traces = Traces::new(key);
    if let Some(table) = &known {
        if table.keyed == Keyed::Host {
            let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
            // A table that the host has dropped has no rows.
            erased.host_row = entity::list(tx, workspace, entity, &query).is_ok_and(|rows| !rows.is_empty());
        } else {
            erased.rows =
                this.delete(&format!("DELETE FROM {} WHERE workspace_id = ?1 AND entity_id = ?2", table.sql), (this.workspace, key))?;
        }
        this.of_type(table.id, &mut erased, &mut traces)?;
    }
    this.pushes(&mut erased, &mut traces)?;
    this.plans(&mut erased, &traces)?;
    this.texts(&mut erased, &traces)?;
    Ok(erased)
}

struct Erasing<'a> {
    tx: &'a Transaction<'a>,
    workspace: &'a str,
    entity: &'a str,
    key: &'a str,
}

impl Erasing<'_> {
    fn delete(&self, sql: &str, parameters: impl Params) -> Db<u64> {
        Ok(self.tx.prepare_cached(sql)?.execute(parameters)? as u64)
    }

    /// What is kept under the number of its type.
    fn of_type(&self, type_id: i64, erased: &mut ErasedEntity, traces: &mut Traces) -> Db<()> {
        let whose = (self.workspace, type_id, self.key);
        let of = "workspace_id = ?1 AND type_id = ?2 AND entity_id = ?3";
        erased.lineage = self.delete(&format!("DELETE FROM syncline_lineage_entries WHERE {of}"), whose)?;
        for table in ["mapping_conflicts", "reference_values", "field_owners"] {
            erased.beside += self.delete(&format!("DELETE FROM syncline_{table} WHERE {of}"), whose)?;
        }
        let mut behind = self.tx.prepare_cached(&format!("SELECT external_id FROM syncline_record_links WHERE {of}"))?;
        let mut records = behind.query(whose)?;
        while let Some(record) = records.next()? {
            traces.add(record.get_ref(0)?.as_str()?);
        }
        if !erased.host_row {
            erased.links += self.delete(&format!("DELETE FROM syncline_record_links WHERE {of}"), whose)?;
        }
        Ok(())
    }

    /// What pushes know of it: those of feeds that only ever had runs of another type are of another entity.
    fn pushes(&self, erased: &mut ErasedEntity, traces: &mut Traces) -> Db<()> {
        let run = "SELECT 1 FROM syncline_sync_runs r WHERE r.workspace_id = f.workspace_id AND r.connection_id = f.connection_id \
                   AND r.stream = f.stream AND r.mapping = f.mapping";
        let of = format!(
            "workspace_id = ?1 AND entity_id = ?2 AND feed_no IN (SELECT f.no FROM syncline_push_feeds f WHERE f.workspace_id = ?1 \
             AND (EXISTS ({run} AND r.entity_type = ?3) OR NOT EXISTS ({run})))"
        );
        for table in ["push_links", "push_intents"] {
            let mut known =
                self.tx.prepare_cached(&format!("SELECT external_id FROM syncline_{table} WHERE {of} AND external_id IS NOT NULL"))?;
            let mut records = known.query((self.workspace, self.key, self.entity))?;
            while let Some(record) = records.next()? {
                traces.add(record.get_ref(0)?.as_str()?);
            }
        }
        for key in &traces.keys(self.key) {
            let whose = (self.workspace, key, self.entity);
            erased.links += self.delete(&format!("DELETE FROM syncline_push_intents WHERE {of}"), whose)?;
            if !erased.host_row {
                erased.links += self.delete(&format!("DELETE FROM syncline_push_links WHERE {of}"), whose)?;
            }
        }
        Ok(())
    }

    fn plans(&self, erased: &mut ErasedEntity, traces: &Traces) -> Db<()> {
        let mut plans = self.tx.prepare_cached("SELECT run_id, body FROM syncline_plans WHERE workspace_id = ?1 AND entity_type = ?2")?;
        let mut found = plans.query((self.workspace, self.entity))?;
        let keys = traces.keys(self.key);
        while let Some(plan) = found.next()? {
            let run: i64 = plan.get(0)?;
            let sql = "DELETE FROM syncline_plan_items WHERE workspace_id = ?1 AND run_id = ?2 AND entity_id = ?3";
            let mut items = 0;
            for key in &keys {
                items += self.delete(sql, (self.workspace, run, key))?;
            }
            let body = traces.cleared_plan(plan.get_ref(1)?.as_str()?);
            if items > 0 || body.is_some() {
                let sql = "UPDATE syncline_plans SET items = items - ?3, body = coalesce(?4, body) WHERE workspace_id = ?1 AND run_id = ?2";
                self.delete(sql, (self.workspace, run, items.cast_signed(), body))?;
            }
            erased.plan_items += items;
        }
        Ok(())
    }

    /// Texts that quote it: those of its type's runs, and entries of the activity log.
    fn texts(&self, erased: &mut ErasedEntity, traces: &Traces) -> Db<()> {
        let runs = "run_id IN (SELECT id FROM syncline_sync_runs WHERE workspace_id = ?1 AND entity_type = ?2)";
        let failures = format!("SELECT id, record, error FROM syncline_sync_failures WHERE workspace_id = ?1 AND {runs}");
        let failures = self.found(&failures, |name, text| name.is_some_and(|name| traces.has(name)) || traces.quoted_in(text))?;
        let events = format!("SELECT seq, NULL, body FROM syncline_sync_events WHERE workspace_id = ?1 AND {runs}");
        let events = self.found(&events, |_, text| traces.quoted_in(text))?;
        let telling = |text: &str| self.key.chars().count() >= TELLING && Traces::new(self.key).quoted_in(text);
        let entries = "SELECT id, NULL, coalesce(error_message, '') || ' ' || metadata FROM syncline_integration_activity \
                       WHERE workspace_id = ?1 AND ?2 <> ''";
        let entries = self.found(entries, |_, text| telling(text))?;
        for (table, number, numbers) in
            [("sync_failures", "id", failures), ("sync_events", "seq", events), ("integration_activity", "id", entries)]
        {
            for found in numbers {
                let sql = format!("DELETE FROM syncline_{table} WHERE workspace_id = ?1 AND {number} = ?2");
                erased.texts += self.delete(&sql, (self.workspace, found))?;
            }
        }
        let errors = "SELECT id, errors FROM syncline_sync_runs WHERE workspace_id = ?1 AND entity_type = ?2 AND errors <> '[]'";
        let mut errors = self.tx.prepare_cached(errors)?;
        let mut found = errors.query((self.workspace, self.entity))?;
        let mut cleared = Vec::new();
        while let Some(run) = found.next()? {
            cleared.extend(traces.cleared_errors(run.get_ref(1)?.as_str()?).map(|errors| (run.get::<_, i64>(0), errors)));
        }
        for (run, errors) in cleared {
            erased.texts += self.delete("UPDATE syncline_sync_runs SET errors = ?2 WHERE id = ?1", (run?, errors))?;
        }
        Ok(())
    }

    /// The numbers of the rows whose name or text is one that is looked for.
    fn found(&self, sql: &str, wanted: impl Fn(Option<&str>, &str) -> bool) -> Db<Vec<i64>> {
        let mut query = self.tx.prepare_cached(sql)?;
        let mut rows = query.query((self.workspace, self.entity))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if wanted(row.get_ref(1)?.as_str_or_null()?, row.get_ref(2)?.as_str()?) {
                found.push(row.get(0)?);
            }
        }
        Ok(found)
    }
}

//! Deleting everything there is of one entity.

use sqlx::{AssertSqlSafe, Row as _};
use sync_core::{
    EntityType, Error, ErrorKind, WorkspaceId,
    store::{EntityQuery, ErasedEntity, Traces},
};

use crate::{
    entity,
    error::Db,
    host::Host,
    table::{Keyed, Table},
    tx::{Tx, raw},
};

/// The shortest name that texts of others than the entity's own runs are searched for: a shorter one stands in them by chance.
const TELLING: usize = 4;

/// Erases it, all or nothing.
pub(crate) async fn erase(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType, key: &str) -> Db<ErasedEntity> {
    // What is deleted here is found through whatever index there is; some of it through none.
    raw(tx, "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on").await?;
    let known = Table::load(tx, entity).await?;
    let latest = latest_run(tx, workspace, entity).await?;
    if known.is_none() && latest.is_none() {
        let text = format!("nothing is known of {entity} here; nothing was erased");
        return Err(Error::new(ErrorKind::NotFound, "erase_entity", text).into());
    }
    refuse_under_way(tx, workspace, entity).await?;
    let mut erased = ErasedEntity::default();
    let mut traces = Traces::new(key);
    // No text of PostgreSQL has a NUL.
    if key.contains('\0') {
        return Ok(erased);
    }
    let mut this = Erasing { tx, workspace: workspace.as_str(), entity: entity.as_str(), key };
    if let Some(table) = &known {
        if table.keyed == Keyed::Host {
            let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
            // A table that the host has dropped has no rows.
            let there = Host::registered(this.tx, workspace, entity, table.id).await?.is_some();
            erased.host_row = there && !entity::list(this.tx, workspace, entity, &query).await?.is_empty();
        } else {
            let numbers = "SELECT 0 UNION ALL SELECT no FROM connection_numbers WHERE workspace_id = $1";
            let sql = format!("DELETE FROM {} WHERE workspace_id = $1 AND connection_no IN ({numbers}) AND entity_id = $2", table.sql);
            erased.rows = sqlx::query(AssertSqlSafe(sql)).bind(this.workspace).bind(key).execute(&mut **this.tx).await?.rows_affected();
        }
        this.of_type(table.id, &mut erased, &mut traces).await?;
    }
    this.pushes(&mut erased, &mut traces).await?;
    this.plans(&mut erased, &traces).await?;
    this.texts(&mut erased, &traces).await?;
    // One that began meanwhile may have written what was deleted before and read what was deleted after.
    if latest_run(tx, workspace, entity).await? != latest {
        return Err(under_way(entity).into());
    }
    Ok(erased)
}

async fn latest_run(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType) -> Db<Option<i64>> {
    let latest = sqlx::query_scalar("SELECT max(id) FROM sync_runs WHERE workspace_id = $1 AND entity_type = $2");
    Ok(latest.bind(workspace.as_str()).bind(entity.as_str()).fetch_one(&mut **tx).await?)
}

async fn refuse_under_way(tx: &mut Tx, workspace: &WorkspaceId, entity: &EntityType) -> Db<()> {
    let running =
        "SELECT true FROM sync_runs WHERE workspace_id = $1 AND entity_type = $2 AND status = 'running' AND lease_until > clock() LIMIT 1";
    let running: Option<bool> =
        sqlx::query_scalar(running).bind(workspace.as_str()).bind(entity.as_str()).fetch_optional(&mut **tx).await?;
    if running.is_some() { Err(under_way(entity).into()) } else { Ok(()) }
}

fn under_way(entity: &EntityType) -> Error {
    let text = format!("a run of {entity} is under way; stop it or wait for its end, then erase again. Nothing was erased");
    Error::new(ErrorKind::Conflict, "erase_entity", text)
}

struct Erasing<'a> {
    tx: &'a mut Tx,
    workspace: &'a str,
    entity: &'a str,
    key: &'a str,
}

impl Erasing<'_> {
    /// What is kept under the number of its type.
    async fn of_type(&mut self, type_id: i64, erased: &mut ErasedEntity, traces: &mut Traces) -> Db<()> {
        let of = "workspace_id = $1 AND type_id = $2 AND entity_id = $3";
        let behind = format!("SELECT external_id FROM record_links WHERE {of}");
        let behind: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(behind)).bind(self.workspace).bind(type_id).bind(self.key).fetch_all(&mut **self.tx).await?;
        behind.iter().for_each(|record| traces.add(record));
        for table in ["lineage_entries", "mapping_conflicts", "reference_values", "field_owners", "record_links"] {
            if table == "record_links" && erased.host_row {
                continue;
            }
            let sql = format!("DELETE FROM {table} WHERE {of}");
            let done = sqlx::query(AssertSqlSafe(sql)).bind(self.workspace).bind(type_id).bind(self.key).execute(&mut **self.tx).await?;
            *match table {
                "lineage_entries" => &mut erased.lineage,
                "record_links" => &mut erased.links,
                _ => &mut erased.beside,
            } += done.rows_affected();
        }
        Ok(())
    }

    /// What pushes know of it: those of feeds that only ever had runs of another type are of another entity.
    async fn pushes(&mut self, erased: &mut ErasedEntity, traces: &mut Traces) -> Db<()> {
        let run = "SELECT FROM sync_runs r WHERE r.workspace_id = f.workspace_id AND r.connection_id = f.connection_id \
                   AND r.stream = f.stream AND r.mapping = f.mapping";
        let of = format!(
            "workspace_id = $1 AND entity_id = ANY($2) AND feed_no IN (SELECT f.no FROM push_feeds f WHERE f.workspace_id = $1 \
             AND (EXISTS ({run} AND r.entity_type = $3) OR NOT EXISTS ({run})))"
        );
        // Only what stands for the row itself names more records; those of strangers go once all names are known.
        let strangers = |traces: &Traces| traces.keys(self.key).split_off(1);
        let passes = [(false, "push_intents"), (false, "push_links"), (true, "push_intents"), (true, "push_links")];
        for (stranger, table) in passes {
            let keys = if stranger { strangers(traces) } else { vec![self.key.to_owned()] };
            let sql = if table == "push_links" && erased.host_row {
                format!("SELECT external_id FROM {table} WHERE {of}")
            } else {
                format!("DELETE FROM {table} WHERE {of} RETURNING external_id")
            };
            let found: Vec<Option<String>> =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(self.workspace).bind(keys).bind(self.entity).fetch_all(&mut **self.tx).await?;
            if table == "push_intents" || !erased.host_row {
                erased.links += found.len() as u64;
            }
            found.iter().flatten().for_each(|record| traces.add(record));
        }
        Ok(())
    }

    async fn plans(&mut self, erased: &mut ErasedEntity, traces: &Traces) -> Db<()> {
        let items = "WITH i AS (DELETE FROM plan_items i USING plans p WHERE p.workspace_id = $1 AND p.entity_type = $2 \
                     AND i.workspace_id = $1 AND i.run_id = p.run_id AND i.entity_id = ANY($3) RETURNING i.run_id), \
                     n AS (SELECT run_id, count(*) AS n FROM i GROUP BY run_id), \
                     u AS (UPDATE plans p SET items = p.items - n.n FROM n WHERE p.workspace_id = $1 AND p.run_id = n.run_id) \
                     SELECT coalesce(sum(n), 0)::bigint FROM n";
        let keys = traces.keys(self.key);
        let items: i64 = sqlx::query_scalar(items).bind(self.workspace).bind(self.entity).bind(keys).fetch_one(&mut **self.tx).await?;
        erased.plan_items = items.cast_unsigned();
        let plans = sqlx::query("SELECT run_id, body::text FROM plans WHERE workspace_id = $1 AND entity_type = $2");
        for plan in plans.bind(self.workspace).bind(self.entity).fetch_all(&mut **self.tx).await? {
            let Some(body) = traces.cleared_plan(plan.try_get(1)?) else { continue };
            sqlx::query("UPDATE plans SET body = $3::text::json WHERE workspace_id = $1 AND run_id = $2")
                .bind(self.workspace)
                .bind(plan.try_get::<i64, _>(0)?)
                .bind(body)
                .execute(&mut **self.tx)
                .await?;
        }
        Ok(())
    }

    /// Texts that quote it: those of its type's runs, and entries of the activity log.
    async fn texts(&mut self, erased: &mut ErasedEntity, traces: &Traces) -> Db<()> {
        let join = "JOIN sync_runs r ON r.workspace_id = $1 AND r.id = t.run_id AND r.entity_type = $2 WHERE t.workspace_id = $1";
        let failures = format!("SELECT t.id, t.record, t.error FROM sync_failures t {join}");
        let failures = self.found(&failures, |name, text| name.is_some_and(|name| traces.has(name)) || traces.quoted_in(text)).await?;
        let events = format!("SELECT t.seq, NULL::text, t.body::text FROM sync_events t {join}");
        let events = self.found(&events, |_, text| traces.quoted_in(text)).await?;
        let key = Traces::new(self.key);
        let telling = self.key.chars().count() >= TELLING;
        let entries = "SELECT id, NULL::text, coalesce(error_message, '') || ' ' || metadata::text FROM integration_activity \
                       WHERE workspace_id = $1 AND $2::text IS NOT NULL";
        let entries = self.found(entries, |_, text| telling && key.quoted_in(text)).await?;
        for (table, number, numbers) in
            [("sync_failures", "id", failures), ("sync_events", "seq", events), ("integration_activity", "id", entries)]
        {
            let sql = format!("DELETE FROM {table} WHERE workspace_id = $1 AND {number} = ANY($2)");
            let done = sqlx::query(AssertSqlSafe(sql)).bind(self.workspace).bind(numbers).execute(&mut **self.tx).await?;
            erased.texts += done.rows_affected();
        }
        let errors = "SELECT id, errors::text FROM sync_runs WHERE workspace_id = $1 AND entity_type = $2 AND errors::text <> '[]'";
        for run in sqlx::query(errors).bind(self.workspace).bind(self.entity).fetch_all(&mut **self.tx).await? {
            let Some(errors) = traces.cleared_errors(run.try_get(1)?) else { continue };
            let clear = sqlx::query("UPDATE sync_runs SET errors = $3::text::jsonb WHERE workspace_id = $1 AND id = $2");
            let done = clear.bind(self.workspace).bind(run.try_get::<i64, _>(0)?).bind(errors).execute(&mut **self.tx).await?;
            erased.texts += done.rows_affected();
        }
        Ok(())
    }

    /// The numbers of the rows whose name or text is one that is looked for.
    async fn found(&mut self, sql: &str, wanted: impl Fn(Option<&str>, &str) -> bool) -> Db<Vec<i64>> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(self.workspace).bind(self.entity).fetch_all(&mut **self.tx).await?;
        let mut found = Vec::new();
        for row in &rows {
            if wanted(row.try_get(1)?, row.try_get(2)?) {
                found.push(row.try_get(0)?);
            }
        }
        Ok(found)
    }
}

//! Stored plans.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction};
use sync_core::{
    Result, RunId, WorkspaceId,
    store::{ItemState, NewPlan, Plan, PlanItem, PlanState, PlanStore, Settle},
};

use crate::{
    error::{Db, damaged, internal},
    storage::{Durability, Scoped},
    time,
};

const COLUMNS: &str = "body, state, items, changed_by, changed_at, applied_run";

fn from_row(row: &Row<'_>) -> Db<Plan> {
    let unreadable = || damaged("plan", "plan");
    Ok(Plan {
        plan: serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|_| unreadable())?,
        state: PlanState::parse(row.get_ref(1)?.as_str()?).ok_or_else(unreadable)?,
        items: row.get::<_, i64>(2)?.cast_unsigned(),
        changed_by: row.get(3)?,
        changed_at: time::optional(row, 4)?,
        applied_run: row.get::<_, Option<i64>>(5)?.map(RunId),
    })
}

fn put(tx: &Transaction<'_>, workspace: &WorkspaceId, plan: NewPlan, items: &[PlanItem]) -> Db<Plan> {
    let json = |value: serde_json::Result<String>| value.map_err(|_| internal("put_plan", "a plan is not JSON"));
    tx.prepare_cached(
        "INSERT INTO syncline_plans (workspace_id, run_id, connection_id, entity_type, body, items) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        workspace.as_str(),
        plan.run.0,
        plan.feed.connection.as_str(),
        plan.entity.as_str(),
        json(serde_json::to_string(&plan))?,
        items.len() as i64,
    ))?;
    let mut insert =
        tx.prepare_cached("INSERT INTO syncline_plan_items (workspace_id, run_id, no, entity_id, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for item in items {
        insert.execute((workspace.as_str(), plan.run.0, item.no, &*item.entity, json(serde_json::to_string(item))?))?;
    }
    Ok(Plan { plan, state: PlanState::Open, items: items.len() as u64, changed_by: None, changed_at: None, applied_run: None })
}

fn settle(tx: &Transaction<'_>, workspace: &WorkspaceId, run: RunId, expected: PlanState, what: &Settle) -> Db<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE syncline_plans SET state = ?4, applied_run = coalesce(?5, applied_run), changed_by = ?6, changed_at = ?7 \
             WHERE workspace_id = ?1 AND run_id = ?2 AND state = ?3",
        )?
        .execute((
            workspace.as_str(),
            run.0,
            expected.as_str(),
            what.state.as_str(),
            what.run.map(|run| run.0),
            &*what.by,
            time::text(what.at),
        ))?;
    if changed == 0 {
        return Ok(false);
    }
    let mut mark = tx.prepare_cached("UPDATE syncline_plan_items SET state = ?4 WHERE workspace_id = ?1 AND run_id = ?2 AND no = ?3")?;
    for (no, state) in &what.items {
        mark.execute((workspace.as_str(), run.0, no, state.as_str()))?;
    }
    Ok(true)
}

#[async_trait]
impl PlanStore for Scoped {
    async fn put_plan(&self, plan: NewPlan, items: Vec<PlanItem>) -> Result<Plan> {
        self.workspace.check("put_plan")?;
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| put(tx, &workspace, plan, &items);
        self.inner.write("put_plan", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn plan(&self, run: RunId) -> Result<Option<Plan>> {
        let workspace = self.workspace.clone();
        let find = move |tx: &Transaction<'_>| {
            let sql = format!("SELECT {COLUMNS} FROM syncline_plans WHERE workspace_id = ?1 AND run_id = ?2");
            let found = tx.prepare_cached(&sql)?.query_row((workspace.as_str(), run.0), |row| Ok(from_row(row))).optional()?;
            found.transpose()
        };
        self.inner.read("plan", find).await
    }

    async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        let workspace = self.workspace.clone();
        let list = move |tx: &Transaction<'_>| {
            let sql = format!("SELECT {COLUMNS} FROM syncline_plans WHERE workspace_id = ?1 AND run_id < ?2 ORDER BY run_id DESC LIMIT ?3");
            let mut found = tx.prepare_cached(&sql)?;
            let mut rows = found.query((workspace.as_str(), before.map_or(i64::MAX, |run| run.0), limit))?;
            let mut plans = Vec::new();
            while let Some(row) = rows.next()? {
                plans.push(from_row(row)?);
            }
            Ok(plans)
        };
        self.inner.read("plans", list).await
    }

    async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        let workspace = self.workspace.clone();
        let list = move |tx: &Transaction<'_>| {
            let mut found = tx.prepare_cached(
                "SELECT body, state FROM syncline_plan_items WHERE workspace_id = ?1 AND run_id = ?2 AND no > ?3 ORDER BY no LIMIT ?4",
            )?;
            let mut rows = found.query((workspace.as_str(), run.0, after, limit))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                let unreadable = || damaged("plan_items", "item of a plan");
                let mut item: PlanItem = serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|_| unreadable())?;
                item.state = ItemState::parse(row.get_ref(1)?.as_str()?).ok_or_else(unreadable)?;
                items.push(item);
            }
            Ok(items)
        };
        self.inner.read("plan_items", list).await
    }

    async fn settle_plan(&self, run: RunId, expected: PlanState, what: Settle) -> Result<bool> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| settle(tx, &workspace, run, expected, &what);
        self.inner.write("settle_plan", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

//! Stored plans.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Result, RunId, WorkspaceId,
    store::{ItemState, NewPlan, Plan, PlanItem, PlanState, PlanStore, Settle},
};

use crate::{
    error::{Db, damaged, internal},
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

/// Items that are sent at once.
const AT_ONCE: usize = 2_000;

fn from_row(row: &PgRow) -> Db<Plan> {
    let unreadable = || damaged("plan", "plan");
    Ok(Plan {
        plan: serde_json::from_str(row.try_get(0)?).map_err(|_| unreadable())?,
        state: PlanState::parse(row.try_get(1)?).ok_or_else(unreadable)?,
        items: row.try_get::<i64, _>(2)?.cast_unsigned(),
        changed_by: row.try_get::<Option<String>, _>(3)?.map(Into::into),
        changed_at: row.try_get(4)?,
        applied_run: row.try_get::<Option<i64>, _>(5)?.map(RunId),
    })
}

async fn put(tx: &mut Tx, workspace: &WorkspaceId, plan: &NewPlan, items: &[PlanItem]) -> Db<Plan> {
    let json = |value: serde_json::Result<String>| value.map_err(|_| internal("put_plan", "a plan is not JSON"));
    // A plan whose commit was not answered is there already, and is the same.
    let made = sqlx::query(
        "INSERT INTO plans (workspace_id, run_id, connection_id, entity_type, body, items) VALUES ($1, $2, $3, $4, $5::text::json, $6) \
         ON CONFLICT (workspace_id, run_id) DO NOTHING",
    )
    .bind(workspace.as_str())
    .bind(plan.run.0)
    .bind(plan.feed.connection.as_str())
    .bind(plan.entity.as_str())
    .bind(json(serde_json::to_string(plan))?)
    .bind(items.len() as i64)
    .execute(&mut **tx)
    .await?;
    if made.rows_affected() > 0 {
        for some in items.chunks(AT_ONCE) {
            let numbers: Vec<i64> = some.iter().map(|item| i64::from(item.no)).collect();
            // No text takes a NUL; the item's own has it escaped.
            let entities: Vec<String> = some.iter().map(|item| item.entity.replace('\0', "")).collect();
            let bodies = some.iter().map(|item| json(serde_json::to_string(item))).collect::<Db<Vec<_>>>()?;
            sqlx::query(
                "INSERT INTO plan_items (workspace_id, run_id, no, entity_id, body) \
                 SELECT $1, $2, i.no, i.entity, i.body::json FROM unnest($3::bigint[], $4::text[], $5::text[]) AS i(no, entity, body)",
            )
            .bind(workspace.as_str())
            .bind(plan.run.0)
            .bind(numbers)
            .bind(entities)
            .bind(bodies)
            .execute(&mut **tx)
            .await?;
        }
    }
    Ok(Plan {
        plan: plan.clone(),
        state: PlanState::Open,
        items: items.len() as u64,
        changed_by: None,
        changed_at: None,
        applied_run: None,
    })
}

async fn settle(tx: &mut Tx, workspace: &WorkspaceId, run: RunId, expected: PlanState, what: &Settle) -> Db<bool> {
    let changed = sqlx::query(
        "UPDATE plans SET state = $4, applied_run = coalesce($5, applied_run), changed_by = $6, changed_at = $7 \
         WHERE workspace_id = $1 AND run_id = $2 AND state = $3",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(expected.as_str())
    .bind(what.state.as_str())
    .bind(what.run.map(|run| run.0))
    .bind(&*what.by)
    .bind(what.at)
    .execute(&mut **tx)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let (numbers, states): (Vec<i64>, Vec<&str>) = what.items.iter().map(|(no, state)| (i64::from(*no), state.as_str())).unzip();
    sqlx::query(
        "UPDATE plan_items i SET state = s.state FROM unnest($3::bigint[], $4::text[]) AS s(no, state) \
         WHERE i.workspace_id = $1 AND i.run_id = $2 AND i.no = s.no",
    )
    .bind(workspace.as_str())
    .bind(run.0)
    .bind(numbers)
    .bind(states)
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

#[async_trait]
impl PlanStore for Scoped {
    async fn put_plan(&self, plan: NewPlan, items: Vec<PlanItem>) -> Result<Plan> {
        let (workspace, plan, items) = (self.workspace.clone(), Arc::new(plan), Arc::new(items));
        let done = self.inner.run("put_plan", Door::Workspace(self.workspace.clone()), Repeat::Always, move |tx| {
            let (workspace, plan, items) = (workspace.clone(), Arc::clone(&plan), Arc::clone(&items));
            async move { put(tx, &workspace, &plan, &items).await }.boxed()
        });
        done.await
    }

    async fn plan(&self, run: RunId) -> Result<Option<Plan>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("plan", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let row = sqlx::query(
                    "SELECT body::text, state, items, changed_by, changed_at, applied_run FROM plans WHERE workspace_id = $1 AND run_id = $2",
                )
                .bind(workspace.as_str())
                .bind(run.0)
                .fetch_optional(&mut **tx)
                .await?;
                row.as_ref().map(from_row).transpose()
            }
            .boxed()
        });
        found.await
    }

    async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("plans", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let rows = sqlx::query(
                    "SELECT body::text, state, items, changed_by, changed_at, applied_run FROM plans \
                     WHERE workspace_id = $1 AND run_id < $2 ORDER BY run_id DESC LIMIT $3",
                )
                .bind(workspace.as_str())
                .bind(before.map_or(i64::MAX, |run| run.0))
                .bind(i64::from(limit))
                .fetch_all(&mut **tx)
                .await?;
                rows.iter().map(from_row).collect()
            }
            .boxed()
        });
        found.await
    }

    async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("plan_items", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let rows = sqlx::query(
                    "SELECT body::text, state FROM plan_items WHERE workspace_id = $1 AND run_id = $2 AND no > $3 ORDER BY no LIMIT $4",
                )
                .bind(workspace.as_str())
                .bind(run.0)
                .bind(i64::from(after))
                .bind(i64::from(limit))
                .fetch_all(&mut **tx)
                .await?;
                let item = |row: &PgRow| {
                    let unreadable = || damaged("plan_items", "item of a plan");
                    let mut item: PlanItem = serde_json::from_str(row.try_get(0)?).map_err(|_| unreadable())?;
                    item.state = ItemState::parse(row.try_get(1)?).ok_or_else(unreadable)?;
                    Ok(item)
                };
                rows.iter().map(item).collect()
            }
            .boxed()
        });
        found.await
    }

    async fn settle_plan(&self, run: RunId, expected: PlanState, what: Settle) -> Result<bool> {
        let (workspace, what) = (self.workspace.clone(), Arc::new(what));
        let done = self.inner.run("settle_plan", Door::Workspace(self.workspace.clone()), Repeat::UnlessCommitted, move |tx| {
            let (workspace, what) = (workspace.clone(), Arc::clone(&what));
            async move { settle(tx, &workspace, run, expected, &what).await }.boxed()
        });
        done.await
    }
}

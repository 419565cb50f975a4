//! Applying a plan: each row is written as planned, or left alone because it is no longer as the plan had found it.

use std::sync::Arc;

use sync_core::{
    Counts, Direction, Error, ErrorKind, Result, RunId, SyncResult, Target,
    store::{APPLY, Expected, Fence, ItemState, NewRun, Plan, PlanItem, PlanState, Settle},
};

use super::{Apply, Kept, appliable, unfit, write::Writer};
use crate::{
    Connection, SyncEvent,
    run::{self, Report, Start},
};

/// Writes what a stored plan says.
pub(crate) async fn apply(connection: &Connection, apply: Apply) -> Result<SyncResult> {
    connection.usable().await?;
    let workspace = &connection.workspace;
    let plan = workspace.plan(apply.plan).await?;
    if plan.plan.direction == Direction::ToExternal {
        return crate::push::apply(connection, apply, plan).await;
    }
    let target = Arc::new(fitting(connection, &plan)?);
    let new = NewRun {
        feed: plan.plan.feed.clone(),
        direction: Direction::FromExternal,
        entity: plan.plan.entity.clone(),
        job_type: APPLY,
        exclusive: false,
        triggered_by: workspace.asked_by(apply.triggered_by.as_deref()),
        at: workspace.engine.shared.clock.now(),
    };
    let work = Work { connection: connection.clone(), apply, plan, target };
    run::lead(connection, Start { operation: "apply", new }, |fence, _| work.run(fence)).await
}

/// Where the rows of a plan go, if it may be applied.
fn fitting(connection: &Connection, plan: &Plan) -> Result<Target> {
    appliable(connection, plan)?;
    let kept = Kept::read(&plan.plan.request);
    kept.map(|kept| kept.target).ok_or_else(|| unfit(plan, "another version of this library made it; make a new plan"))
}

struct Work {
    connection: Connection,
    apply: Apply,
    plan: Plan,
    target: Arc<Target>,
}

impl Work {
    async fn run(self, fence: Fence) -> Result<Report> {
        let store = &self.connection.workspace.store;
        let engine = &self.connection.workspace.engine;
        let (run, mut after, mut counts, mut unknown) = (self.plan.plan.run, 0, Counts::default(), self.apply.only.clone());
        let (mut state, mut left) = (self.plan.state, false);
        let rows = u32::try_from(self.apply.commit_rows).unwrap_or(u32::MAX);
        let writer = Writer { connection: &self.connection, feed: &self.plan.plan.feed, target: &self.target, of: ("plan", run) };
        loop {
            let items = store.plan_items(run, after, rows).await?;
            let Some(last) = items.last() else { break };
            after = last.no;
            if let Some(unknown) = &mut unknown {
                unknown.retain(|key| !items.iter().any(|item| item.entity == *key));
            }
            let wanted = |item: &PlanItem| self.apply.only.as_ref().is_none_or(|only| only.contains(&item.entity));
            let (chosen, others): (Vec<_>, Vec<_>) = items.into_iter().filter(|item| item.state != ItemState::Applied).partition(wanted);
            left |= !others.is_empty();
            if chosen.is_empty() {
                continue;
            }
            let mut expects = Expected::default();
            chosen.iter().for_each(|item| item.expect(&mut expects));
            let (done, settled) = writer.commit(fence, chosen, expects, Vec::new(), Counts::default()).await?;
            counts.add(&done);
            left |= settled.iter().any(|(_, state)| *state == ItemState::Moved);
            let settle = self.settle(PlanState::Partial, Some(fence.run), settled);
            if !store.settle_plan(run, state, settle).await? {
                let text = "somebody else changed the plan while it was being applied; what was written stays, the rest was not";
                return Err(Error::new(ErrorKind::Conflict, "apply", text).at("plan", run.to_string()));
            }
            state = PlanState::Partial;
            engine.emit(SyncEvent::SyncProgress { run: fence.run, counts, partitions_done: 0, partitions: 1 });
        }
        if let Some(entity) = unknown.iter().flatten().next() {
            let text = format!("the plan has no row with the key {entity:?}; nothing was done about it");
            return Err(Error::config("apply", text).at("plan", run.to_string()));
        }
        if !left {
            store.settle_plan(run, state, self.settle(PlanState::Applied, Some(fence.run), Vec::new())).await?;
        }
        Ok(Report { partial: left && self.apply.only.is_none(), ..Report::default() })
    }

    fn settle(&self, state: PlanState, run: Option<RunId>, items: Vec<(u32, ItemState)>) -> Settle {
        Settle {
            state,
            run,
            items,
            by: self.connection.workspace.asked_by(self.apply.triggered_by.as_deref()),
            at: self.connection.workspace.engine.shared.clock.now(),
        }
    }
}

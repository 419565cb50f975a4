//! Applying a plan: each row is written as planned, or left alone because it is no longer as the plan had found it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sync_core::{
    Counts, Direction, Error, ErrorKind, Operation, PartitionId, RecordBatch, RecordFailure, Result, RunId, SyncResult, Target,
    store::{APPLY, Change, Fence, ItemKind, ItemState, NewRun, PageCommit, PartitionBatch, Plan, PlanItem, PlanState, Settle},
};

use super::{Apply, Kept, appliable, unfit};
use crate::{
    Connection, SyncEvent,
    run::{self, Report, Start},
};

/// How often rows may turn out to have moved while they are being written.
const ROUNDS: u32 = 50;

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
            let (done, settled) = self.commit(fence, chosen).await?;
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

    /// Writes items in one transaction: those that would change their rows in any other way than planned are left out.
    async fn commit(&self, fence: Fence, mut items: Vec<PlanItem>) -> Result<(Counts, Vec<(u32, ItemState)>)> {
        let mut settled: Vec<(u32, ItemState)> = Vec::new();
        let mut failures: Vec<RecordFailure> = Vec::new();
        for _ in 0..ROUNDS {
            let moved = settled.len() as u64;
            let page = self.page(fence, &items, failures.clone(), moved)?;
            let report = self.connection.workspace.store.commit(page).await?;
            if report.moved.is_empty() {
                settled.extend(items.iter().map(|item| (item.no, ItemState::Applied)));
                return Ok((report.counts, settled));
            }
            let names: BTreeSet<&str> = report.moved.iter().map(|entity| &**entity).collect();
            let (gone, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| names.contains(&*item.entity));
            if gone.is_empty() {
                let text = "writing the plan would change rows that it does not name; nothing of this part was written";
                return Err(Error::new(ErrorKind::Conflict, "apply", text).at("plan", self.plan.plan.run.to_string()));
            }
            for item in gone {
                let text = format!("{:?} is no longer as the plan had found it; it was left as it is", &*item.entity);
                let record = item.records.first().map_or(&*item.entity, |(_, record)| record.as_str());
                failures.push(RecordFailure::warning(text).at_row(item.position).of_record(record));
                settled.push((item.no, ItemState::Moved));
            }
            items = rest;
        }
        let text = "others keep changing the rows of this plan; nothing of this part was written";
        Err(Error::new(ErrorKind::Conflict, "apply", text).at("plan", self.plan.plan.run.to_string()))
    }

    fn page(&self, fence: Fence, items: &[PlanItem], failures: Vec<RecordFailure>, moved: u64) -> Result<PageCommit> {
        let expects: Arc<[Change]> = items.iter().flat_map(PlanItem::expected).collect();
        let rows: Counts = Counts { read: moved, skipped: moved, ..Counts::default() };
        let event = serde_json::json!({ "type": "sync-progress", "run": fence.run, "records": items.len() as u64 + moved });
        Ok(PageCommit {
            fence,
            feed: self.plan.plan.feed.clone(),
            target: Arc::clone(&self.target),
            batches: batches(items),
            failures,
            before: rows,
            scan: None,
            cursors: Vec::new(),
            events: vec![event.to_string().into()],
            expects: Some(expects),
            at: self.connection.workspace.engine.shared.clock.now(),
        })
    }
}

/// Records that say what the items say and no more, by partition.
fn batches(items: &[PlanItem]) -> Vec<PartitionBatch> {
    let mut parts: BTreeMap<&PartitionId, RecordBatch> = BTreeMap::new();
    for item in items {
        for (partition, id) in &item.records {
            let batch = parts.entry(partition).or_default();
            if item.kind == ItemKind::Delete {
                batch.record().finish(id.clone(), Operation::Delete, item.position);
                continue;
            }
            let cells = item.changes.iter().filter_map(|change| Some((&*change.field, change.new.as_ref()?.get())));
            let unchanged = |field: &str| !item.changes.iter().any(|change| change.field.eq_ignore_ascii_case(field));
            let key = item.key.iter().filter(|(field, _)| unchanged(field)).map(|(field, json)| (&**field, json.get()));
            let cells: Vec<(usize, &str)> = key.chain(cells).map(|(field, json)| (batch.name(field), json)).collect();
            let mut draft = batch.record();
            for (name, json) in cells {
                draft.made(name, json);
            }
            draft.finish(id.clone(), Operation::Upsert, item.position);
        }
    }
    parts.into_iter().map(|(partition, batch)| PartitionBatch { partition: partition.clone(), batch, present: Vec::new() }).collect()
}

//! Making a plan: everything a pull does, but its commits are tried out and taken back.

use std::sync::{Arc, Mutex, PoisonError};

use sync_core::{
    Error, ErrorKind, Result, RunError,
    store::{Fence, NewPlan, PLAN, Plan, Preview, Trial},
};

use super::{Kept, VERSION, items::items};
use crate::{
    Connection, Pull,
    pull::{Job, Looked},
    run::{self, Report, Start},
};

/// Record failures that a plan keeps; the counts tell how many there are.
const FAILURES_KEPT: usize = 1_000;

/// Reads what a pull would read, and stores what it would change.
pub(crate) async fn plan(connection: &Connection, pull: Pull) -> Result<Plan> {
    let job = Job::new(connection, pull).await?;
    let new = job.new_run(PLAN);
    let made: Arc<Mutex<Option<Plan>>> = Arc::default();
    let slot = Arc::clone(&made);
    let result = run::lead(connection, Start { operation: "plan", new }, move |fence, _| async move {
        let plan = look(job, fence).await?;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
        Ok(Report::default())
    });
    let result = result.await?;
    let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (made, result.errors.first()) {
        (Some(plan), _) if result.success() => Ok(plan),
        (_, Some(error)) => Err(Error::new(error.kind, "plan", error.message.to_string())),
        _ => Err(Error::new(ErrorKind::Internal, "plan", "the run that looked ended without a plan")),
    }
}

async fn look(job: Job, fence: Fence) -> Result<Plan> {
    let (store, entity, made_by) = (Arc::clone(&job.connection.workspace.store), job.entity.clone(), job.pull.triggered_by.clone());
    let Looked { commits, sweep, target, feed, mut errors, at } = job.look(fence).await?;
    let commits = Arc::new(commits);
    let preview = store.preview(Trial { commits: commits.to_vec(), sweep: sweep.clone() }).await?;
    if let (Some(swept), Some(sweep)) = (preview.swept, &sweep)
        && !swept.may_delete(sweep)
    {
        errors.push(RunError::new(&crate::pull::too_many(&target, swept)));
    }
    let Preview { report, swept, .. } = &preview;
    let mut counts = report.counts;
    counts.swept += swept.map_or(0, |swept| swept.deleted);
    let early = commits.iter().flat_map(|commit| &commit.failures);
    let failures = early.chain(&report.failures).take(FAILURES_KEPT).cloned().collect();
    let kept = Kept { version: VERSION, target: (*target).clone() };
    let request = serde_json::to_value(&kept).map_err(|e| Error::new(ErrorKind::Internal, "plan", "a plan is not JSON").because(e))?;
    let key = target.place.key().to_vec();
    let items = items(&target, &commits, preview)?;
    let direction = sync_core::Direction::FromExternal;
    let plan = NewPlan { run: fence.run, feed, direction, entity, key, request, counts, failures, errors, made_by, made_at: at };
    store.put_plan(plan, items).await
}

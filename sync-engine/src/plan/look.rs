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
    run::{self, Report, Shield, Start},
};

/// Record failures that a plan keeps; the counts tell how many there are.
pub(crate) const FAILURES_KEPT: usize = 1_000;

/// Reads what a pull would read, and stores what it would change.
pub(crate) async fn plan(connection: &Connection, pull: Pull) -> Result<Plan> {
    let job = Job::new(connection, pull).await?;
    let new = job.new_run(PLAN);
    planned_by(connection, Start { operation: "plan", new }, |fence, _| look(job, fence)).await
}

/// The plan that a run makes which only looks.
pub(crate) async fn planned_by<W>(
    connection: &Connection,
    start: Start,
    look: impl FnOnce(Fence, Shield) -> W + Send + 'static,
) -> Result<Plan>
where
    W: Future<Output = Result<Plan>> + Send + 'static,
{
    let operation = start.operation;
    let made: Arc<Mutex<Option<Result<Plan>>>> = Arc::default();
    let slot = Arc::clone(&made);
    let result = run::lead(connection, start, move |fence, shield| async move {
        let looked = look(fence, shield).await;
        let ended = looked.as_ref().map(|_| Report::default()).map_err(|error| {
            // The error itself goes to the caller; the run keeps what it says.
            Error::new(error.kind(), error.operation(), error.text().to_owned())
        });
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
        ended
    });
    let result = result.await?;
    let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (made, result.errors.first()) {
        (Some(looked), _) => looked,
        (None, Some(error)) => Err(Error::new(error.kind, operation, error.message.to_string())),
        (None, None) => Err(Error::new(ErrorKind::Internal, operation, "the run that looked ended without a plan")),
    }
}

async fn look(job: Job, fence: Fence) -> Result<Plan> {
    let (store, entity, made_by) = (
        Arc::clone(&job.connection.workspace.store),
        job.entity.clone(),
        job.connection.workspace.asked_by(job.pull.triggered_by.as_deref()),
    );
    let Looked { commits, sweep, target, feed, mut errors, warnings, at } = job.look(fence).await?;
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
    let failures = warnings.iter().chain(early).chain(&report.failures).take(FAILURES_KEPT).cloned().collect();
    let request = Kept { version: VERSION, target: (*target).clone() }.to_json()?;
    let key = target.place.key().to_vec();
    let items = items(&target, &commits, preview)?;
    let direction = sync_core::Direction::FromExternal;
    let plan = NewPlan { run: fence.run, feed, direction, entity, key, request, counts, failures, errors, made_by, made_at: at };
    store.put_plan(plan, items).await
}

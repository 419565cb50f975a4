//! Why a row is not there, from what is stored: the last runs, their failures, its history, and plans that wait.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::{
    Direction, EntityType, RecordFailure, Result, RunId, Severity,
    store::{EntityQuery, ItemKind, ItemState, LOCAL, Plan, PlanState, Run, RunFilter, RunStatus},
};

use super::words::person;
use crate::Workspace;

/// Runs into the table that are looked at, the newest first.
const RUNS: u32 = 200;
/// Failures of one run that are looked at.
const FAILURES: u32 = 10_000;
/// Items of a plan that are looked at, at once and in all.
const ITEMS: (u32, u32) = (1_000, 100_000);

/// Why a row is not there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Absence {
    /// It is there.
    Present,
    /// The last complete reading saw its record and could not take it.
    Failed {
        /// The run.
        run: RunId,
        /// Where and why.
        failure: RecordFailure,
    },
    /// The last complete reading saw its record and left it out on purpose: a duplicate, a row without a key, a rule of the mapping.
    LeftOut {
        /// The run.
        run: RunId,
        /// Where and why.
        failure: RecordFailure,
    },
    /// It was there, and went.
    Deleted {
        /// The run that deleted it.
        run: RunId,
        /// Who asked for that run.
        by: Box<str>,
        /// When.
        at: DateTime<Utc>,
    },
    /// A plan that was not applied would make it.
    Planned {
        /// The plan.
        plan: RunId,
    },
    /// No run that fills this table has ended well since, so it may still come.
    NotYetDue {
        /// The last run, and what stopped it; `None` when there was none.
        last: Option<(RunId, RunStatus, Option<Box<str>>)>,
    },
    /// The runs that fill this table ended well and have shown nothing of it.
    NeverSeen {
        /// The last of them.
        run: RunId,
        /// When it ended.
        at: DateTime<Utc>,
        /// Records that it read.
        read: u64,
    },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("it is there"),
            Self::Failed { run, failure } => write!(f, "its record could not be taken by run {run}: {failure}"),
            Self::LeftOut { run, failure } => write!(f, "its record was left out by run {run}: {failure}"),
            Self::Deleted { run, by, at } => write!(f, "it was deleted on {} by run {run} ({})", at.format("%F %T UTC"), person(by)),
            Self::Planned { plan } => write!(f, "plan {plan} would make it, and was not applied"),
            Self::NotYetDue { last: None } => f.write_str("nothing has been pulled into this table yet"),
            Self::NotYetDue { last: Some((run, status, error)) } => {
                let (status, error) = (status.as_str(), error.as_deref().map(|error| format!(": {error}")).unwrap_or_default());
                write!(f, "no run has filled this table to its end yet; the last one, run {run}, is {status}{error}")
            }
            Self::NeverSeen { run, at, read } => {
                let at = at.format("%F %T UTC");
                write!(f, "the service has not shown it: the last run that ended well, run {run} on {at}, read {read} records without it")
            }
        }
    }
}

/// What is known about a row that is not there.
#[derive(Debug, Default)]
struct Known {
    /// Runs that fill the table, the newest first.
    runs: Vec<Run>,
    /// What the last of them that ended well says of the record.
    told: Option<RecordFailure>,
    /// Its deletion, if that was the last thing that happened to it.
    deleted: Option<(RunId, Box<str>, DateTime<Utc>)>,
    planned: Option<RunId>,
}

/// Whether a run reads records into its table.
pub(super) fn fills(run: &Run) -> bool {
    run.direction == Direction::FromExternal && !LOCAL.contains(&&*run.job_type)
}

fn ended_well(run: &Run) -> bool {
    run.status == RunStatus::Completed
}

fn judge(known: Known) -> Absence {
    let last = known.runs.iter().find(|run| ended_well(run));
    match (known.told, last, known.deleted, known.planned) {
        (Some(failure), Some(run), ..) if failure.severity == Severity::Error => Absence::Failed { run: run.id, failure },
        (Some(failure), Some(run), ..) => Absence::LeftOut { run: run.id, failure },
        (_, _, _, Some(plan)) => Absence::Planned { plan },
        (_, _, Some((run, by, at)), _) => Absence::Deleted { run, by, at },
        (_, Some(run), ..) => Absence::NeverSeen { run: run.id, at: run.completed_at.unwrap_or(run.started_at), read: run.counts.read },
        (_, None, ..) => {
            let error = |run: &Run| run.errors.first().map(|error| error.message.clone());
            Absence::NotYetDue { last: known.runs.first().map(|run| (run.id, run.status, error(run))) }
        }
    }
}

impl Workspace {
    /// Why a row is not there. `key` is the row's key, or the id of the record that would make it.
    pub async fn explain_absence(&self, entity: impl Into<EntityType>, key: &str) -> Result<Absence> {
        let entity = entity.into();
        let query = EntityQuery { key: Some(key.into()), limit: 1, ..EntityQuery::default() };
        let types = self.store.entity_types().await?;
        if types.contains(&entity) && !self.store.entities(&entity, query).await?.is_empty() {
            return Ok(Absence::Present);
        }
        let runs = self.store.runs(RunFilter { entity: Some(entity.clone()), limit: RUNS, ..RunFilter::default() }).await?;
        let mut known = Known { runs: runs.into_iter().filter(fills).collect(), ..Known::default() };
        if let Some(last) = known.runs.iter().find(|run| ended_well(run)) {
            let failures = self.store.failures(last.id, FAILURES).await?;
            known.told = failures.into_iter().find(|failure| failure.record.as_deref() == Some(key));
        }
        let history = self.store.lineage(&entity, key, None).await?;
        known.deleted = history
            .last()
            .filter(|entry| entry.new_value.is_none())
            .map(|entry| (entry.sync_run_id, entry.changed_by.clone(), entry.changed_at));
        known.planned = self.planned(&entity, key).await?;
        Ok(judge(known))
    }

    /// The newest plan that would make a row and was not applied so far.
    async fn planned(&self, entity: &EntityType, key: &str) -> Result<Option<RunId>> {
        let waits = |plan: &Plan| matches!(plan.state, PlanState::Open | PlanState::Approved | PlanState::Partial);
        let plans = self.store.plans(None, 50).await.or_else(|error| match error.kind() {
            sync_core::ErrorKind::Unsupported => Ok(Vec::new()),
            _ => Err(error),
        })?;
        for plan in plans.iter().filter(|plan| plan.plan.direction == Direction::FromExternal && plan.plan.entity == *entity && waits(plan))
        {
            let mut after = 0;
            while after < ITEMS.1 {
                let items = self.store.plan_items(plan.plan.run, after, ITEMS.0).await?;
                let Some(last) = items.last() else { break };
                after = last.no;
                let makes = |item: &sync_core::store::PlanItem| {
                    item.kind == ItemKind::Create && item.state == ItemState::Open && (&*item.entity == key || records(item, key))
                };
                if items.iter().any(makes) {
                    return Ok(Some(plan.plan.run));
                }
            }
        }
        Ok(None)
    }
}

fn records(item: &sync_core::store::PlanItem, id: &str) -> bool {
    item.records.iter().any(|(_, record)| record.as_str() == id)
}

#[cfg(test)]
mod tests {
    use sync_core::{Counts, Direction, Outcome, RunError, store::Feed};

    use super::*;

    fn run(id: i64, status: RunStatus) -> Run {
        let error = sync_core::Error::config("pull", "no such tab");
        Run {
            id: RunId(id),
            feed: Feed { connection: "c".into(), stream: "s".into(), mapping: "".into() },
            direction: Direction::FromExternal,
            entity: "e".into(),
            job_type: "full".into(),
            status,
            outcome: Some(Outcome::Ok),
            counts: Counts { read: 7, ..Counts::default() },
            errors: if status == RunStatus::Failed { vec![RunError::new(&error)] } else { Vec::new() },
            triggered_by: "t".into(),
            started_at: DateTime::UNIX_EPOCH,
            completed_at: Some(DateTime::UNIX_EPOCH),
        }
    }

    #[test]
    fn only_runs_that_read_into_the_table_fill_it() {
        let of = |direction, job_type: &str| Run { direction, job_type: job_type.into(), ..run(1, RunStatus::Completed) };
        assert!(fills(&of(Direction::FromExternal, "full")));
        assert!(!fills(&of(Direction::ToExternal, "full")) && !fills(&of(Direction::FromExternal, "plan")));
    }

    #[test]
    fn every_way_a_row_can_be_absent_is_told_apart() {
        use RunStatus::{Completed, Failed};
        let runs = |statuses: &[RunStatus]| statuses.iter().zip((1..10).rev()).map(|(status, id)| run(id, *status)).collect::<Vec<_>>();
        let bad = RecordFailure::error("is not a date").at_row(Some(4)).of_record("k");
        let twice = RecordFailure::warning("stands twice").of_record("k");
        let gone = Some((RunId(3), Box::<str>::from("anna"), DateTime::UNIX_EPOCH));
        let cases = [
            (Known { runs: runs(&[Completed]), told: Some(bad.clone()), ..Known::default() }, "could not be taken by run 9: Row 4"),
            (Known { runs: runs(&[Failed, Completed]), told: Some(twice), ..Known::default() }, "left out by run 8"),
            (
                Known { runs: runs(&[Completed]), deleted: gone.clone(), ..Known::default() },
                "deleted on 1970-01-01 00:00:00 UTC by run 3 (anna)",
            ),
            (Known { runs: runs(&[Completed]), deleted: gone, planned: Some(RunId(5)), ..Known::default() }, "plan 5 would make it"),
            (Known { runs: runs(&[Failed, Completed]), ..Known::default() }, "run 8 on 1970-01-01 00:00:00 UTC, read 7 records without it"),
            (Known { runs: runs(&[Failed]), ..Known::default() }, "the last one, run 9, is failed: pull: no such tab"),
            (Known::default(), "nothing has been pulled into this table yet"),
        ];
        for (known, expected) in cases {
            let told = judge(known).to_string();
            assert!(told.contains(expected), "{told} lacks {expected}");
        }
    }
}

//! What a pull does between the beginning and the end of its run.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use sync_core::{
    Direction, EntityType, Error, ErrorKind, Place, RecordFailure, Result, RunError, SyncContext, SyncResult, Target,
    mapping::CompiledMapping,
    store::{Feed, Fence, NewRun, PageCommit, Sweep, SweepReport},
};
use tokio::sync::mpsc;

use super::{
    Pull,
    columns::{Extent, Judged},
    committer::{Committer, Kept, Lanes, Sink},
    course::{Course, entity_of, scan_of},
    lane::Fetch,
};
use crate::{
    Connection, SyncEvent,
    run::{self, AbortOnDrop, Report, Start},
};

/// Pages that wait for the committer while it writes; each lane holds at most one more.
const PAGES_AHEAD: usize = 1;

/// The share of known rows a sweep may delete without being confirmed (reliability: DS7).
const SWEEP_SHARE: f64 = 0.2;

/// A run about to begin.
pub(crate) struct Job {
    pub(crate) connection: Connection,
    pub(crate) pull: Pull,
    pub(crate) entity: EntityType,
    feed: Feed,
    mapping: Option<Arc<CompiledMapping>>,
    cx: SyncContext,
}

impl Job {
    pub(crate) async fn new(connection: &Connection, pull: Pull) -> Result<Self> {
        let row = connection.usable().await?;
        let transforms = &connection.workspace.engine.transforms;
        let mapping = pull.mapping.as_ref().map(|mapping| mapping.compile(transforms)).transpose()?.map(Arc::new);
        let cx = connection.context_with(&row.settings)?;
        let feed = Feed {
            connection: connection.id.clone(),
            stream: pull.stream.clone(),
            mapping: mapping.as_ref().map(|mapping| mapping.name().into()).unwrap_or_default(),
        };
        let own_table = || entity_of(connection.integration_name(), &pull.stream);
        let entity = mapping.as_ref().map_or_else(own_table, |mapping| mapping.entity().clone());
        Ok(Self { connection: connection.clone(), pull, entity, feed, mapping, cx })
    }

    pub(crate) fn new_run(&self, job_type: &'static str) -> NewRun {
        NewRun {
            feed: self.feed.clone(),
            direction: Direction::FromExternal,
            entity: self.entity.clone(),
            job_type,
            exclusive: false,
            triggered_by: self.connection.workspace.asked_by(self.pull.triggered_by.as_deref()),
            at: self.cx.services.now(),
        }
    }

    /// Reads everything and writes nothing.
    pub(crate) async fn look(self, fence: Fence) -> Result<Looked> {
        let Self { connection, pull, feed, mapping, cx, .. } = self;
        let engine = &connection.workspace.engine;
        let course = Course::make(&connection, &cx, &pull, &feed, fence.run, mapping).await?;
        engine.emit(SyncEvent::SyncPlanned { run: fence.run, partitions: course.lanes.len() as u64 });
        let kept = Kept::default();
        let mut lanes = read(&connection, &pull, &feed, fence, cx, &course, Sink::Keep(&kept)).await?;
        lanes.one_read(&course)?;
        let Judged { warnings, .. } = judge(&connection, fence, &course, &lanes);
        let errors = lanes.failed.iter().map(RunError::new).collect();
        let sweep = what_to_sweep(&connection, &pull, &feed, fence, &course, &lanes);
        let commits = kept.into_commits();
        Ok(Looked { commits, sweep, target: course.target, feed, errors, warnings, at: engine.shared.clock.now() })
    }
}

/// What a pull read, and would have committed.
pub(crate) struct Looked {
    pub(crate) commits: Vec<PageCommit>,
    pub(crate) sweep: Option<Sweep>,
    pub(crate) target: Arc<Target>,
    pub(crate) feed: Feed,
    /// Partitions that could not be read.
    pub(crate) errors: Vec<RunError>,
    /// What is no longer as the last run saw it.
    pub(crate) warnings: Vec<RecordFailure>,
    pub(crate) at: DateTime<Utc>,
}

pub(crate) async fn pull(connection: &Connection, pull: Pull) -> Result<SyncResult> {
    let job = Job::new(connection, pull).await?;
    let new = job.new_run(if job.pull.full { "full" } else { "incremental" });
    run::lead(connection, Start { operation: "pull", new }, |fence, _| execute(job, fence)).await
}

async fn execute(job: Job, fence: Fence) -> Result<Report> {
    let Job { connection, pull, feed, mapping, cx, .. } = job;
    let engine = &connection.workspace.engine;
    let course = Course::make(&connection, &cx, &pull, &feed, fence.run, mapping).await?;
    engine.emit(SyncEvent::SyncPlanned { run: fence.run, partitions: course.lanes.len() as u64 });
    if let Place::Host(table) = &course.target.place {
        let names: Vec<Box<str>> = course.target.fields.iter().map(|field| field.name.clone()).collect();
        connection.workspace.store.register_table(Arc::clone(table), &names).await?;
    }
    let mut lanes = read(&connection, &pull, &feed, fence, cx, &course, Sink::Store(&*connection.workspace.store)).await?;
    lanes.one_read(&course)?;
    let mut report = Report { gone: course.gone.clone(), ..Report::default() };
    report.errors = lanes.failed.iter().map(RunError::new).collect();
    if let Some(swept) = sweep(&connection, &pull, &feed, fence, &course, &lanes).await?
        && swept.needs_confirmation()
    {
        report.errors.push(RunError::new(&too_many(&course.target, swept)));
    }
    let Judged { warnings, look } = judge(&connection, fence, &course, &lanes);
    report.failures = warnings;
    // Somebody who only wants a few rows looks, and leaves it to the next run to remember.
    report.look = pull.limit.is_none().then_some(look);
    report.partial = !report.errors.is_empty() || lanes.counts.failed > 0;
    Ok(report)
}

/// Holds the columns that were seen against the last look, and tells what has changed.
fn judge(connection: &Connection, fence: Fence, course: &Course, lanes: &Lanes) -> Judged {
    let everything = course.whole && lanes.complete.len() == course.lanes.len() && course.lanes.iter().all(|lane| lane.after.is_none());
    let extent = Extent { records: lanes.counts.read, everything };
    let judged = course.columns.judge(course.mapping.as_deref(), course.last.as_ref(), extent);
    if !judged.warnings.is_empty() {
        let warnings = judged.warnings.iter().map(|warning| warning.to_string().into()).collect();
        connection.workspace.engine.emit(SyncEvent::SourceChanged { run: fence.run, warnings });
    }
    judged
}

impl Lanes {
    /// Refuses a read of which nothing came to its end.
    fn one_read(&mut self, course: &Course) -> Result<()> {
        if !self.failed.is_empty() && self.failed.len() == course.lanes.len() {
            return Err(self.failed.swap_remove(0));
        }
        Ok(())
    }
}

async fn read(
    connection: &Connection,
    pull: &Pull,
    feed: &Feed,
    fence: Fence,
    cx: SyncContext,
    course: &Course,
    sink: Sink<'_>,
) -> Result<Lanes> {
    let engine = &connection.workspace.engine;
    let descriptor = connection.provider.descriptor();
    let lag = chrono::Duration::from_std(pull.safety_lag).unwrap_or_default();
    let fetch = Fetch {
        provider: Arc::clone(&connection.provider),
        until: cx.services.now() - lag,
        cx,
        stream: pull.stream.clone(),
        key: Arc::clone(&course.key),
        // At least the lag, since a read of everything moves the position up to now.
        look_back: pull.look_back.unwrap_or(descriptor.look_back).max(pull.safety_lag),
        limit: pull.limit,
        mapping: course.mapping.clone(),
        fields: Arc::clone(&course.fields),
        fields_declared: course.fields_declared,
        last: course.last.as_ref().map(|last| last.header.clone()),
        columns: Arc::clone(&course.columns),
        anew: scan_of(fence.run, true),
        crash_points: engine.crash_points.clone(),
    };
    let (out, arrivals) = mpsc::channel(PAGES_AHEAD);
    let committer = Committer {
        sink,
        engine,
        fence,
        feed: feed.clone(),
        target: Arc::clone(&course.target),
        partitions: course.lanes.iter().map(|lane| lane.partition.id.clone()).collect(),
        scans: course.lanes.iter().map(|lane| lane.scan).collect(),
        group: pull.group,
    };
    // Fetching is a task of its own: pages are read and parsed while the committer waits for the database.
    let lanes = course.lanes.clone();
    let side_by_side = pull.lanes.unwrap_or(descriptor.lanes).max(1);
    let fetching = tokio::spawn(async move {
        stream::iter(lanes.into_iter().enumerate()).for_each_concurrent(side_by_side, |(lane, course)| fetch.run(lane, course, &out)).await;
    });
    let mut fetching = AbortOnDrop(fetching);
    let lanes = committer.run(arrivals).await?;
    if (&mut fetching.0).await.is_err_and(|e| e.is_panic()) {
        return Err(Error::new(ErrorKind::Internal, "pull", "the provider panicked").at("provider", descriptor.name));
    }
    let ended = lanes.done + lanes.failed.len() as u64;
    if ended != course.lanes.len() as u64 {
        let text = format!("{ended} of {} partitions reported their end", course.lanes.len());
        return Err(Error::new(ErrorKind::Internal, "pull", text));
    }
    Ok(lanes)
}

/// Deletes what complete scans did not show.
async fn sweep(
    connection: &Connection,
    pull: &Pull,
    feed: &Feed,
    fence: Fence,
    course: &Course,
    lanes: &Lanes,
) -> Result<Option<SweepReport>> {
    let Some(sweep) = what_to_sweep(connection, pull, feed, fence, course, lanes) else { return Ok(None) };
    connection.workspace.engine.crash_points.at("p13");
    connection.workspace.store.sweep(sweep).await.map(Some)
}

/// The scans that were complete. Partitions that are gone count as complete scans that showed nothing, but only when everything else was
/// read.
fn what_to_sweep(connection: &Connection, pull: &Pull, feed: &Feed, fence: Fence, course: &Course, lanes: &Lanes) -> Option<Sweep> {
    if pull.limit.is_some() {
        return None;
    }
    let mut scans = lanes.complete.clone();
    if course.whole && lanes.complete.len() == course.lanes.len() {
        scans.extend(course.gone.iter().map(|partition| (partition.clone(), scan_of(fence.run, false))));
    }
    if scans.is_empty() {
        return None;
    }
    Some(Sweep {
        fence,
        feed: feed.clone(),
        target: Arc::clone(&course.target),
        scans,
        max_share: SWEEP_SHARE,
        confirmed: pull.confirm_deletes,
        at: connection.workspace.engine.shared.clock.now(),
    })
}

/// Says that more rows would go than may without somebody's word.
pub(crate) fn too_many(target: &Target, swept: SweepReport) -> Error {
    Error::new(ErrorKind::Conflict, "sweep", refused_sweep(target, swept))
}

fn refused_sweep(target: &Target, swept: SweepReport) -> String {
    format!(
        "a complete read showed {} of the {} known rows of {}; deleting the other {} needs to be confirmed (confirm_deletes)",
        swept.known - swept.missing,
        swept.known,
        target.entity,
        swept.missing,
    )
}

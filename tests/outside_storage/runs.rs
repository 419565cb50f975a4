//! Runs, their fences, positions and events.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use syncline::core::{
    Counts, Error, ErrorKind, Outcome, RecordFailure, Result, RunError, RunId, WorkspaceId, async_trait,
    store::{
        Begin, ConnectionStatus, CursorMove, Event, Feed, Fence, Look, NewRun, PartitionState, Run, RunEnd, RunFilter, RunStatus, RunStore,
    },
};

use super::{Handle, KeptRun, Scoped, World, feed_key};

impl World {
    /// The run of a fence, if it holds.
    pub(super) fn fenced(&mut self, workspace: &WorkspaceId, fence: Fence, operation: &'static str) -> Result<&mut KeptRun> {
        let holds =
            |kept: &&mut KeptRun| kept.workspace == *workspace && kept.token == fence.token && kept.run.status == RunStatus::Running;
        self.runs
            .get_mut(&fence.run)
            .filter(holds)
            .ok_or_else(|| Error::new(ErrorKind::LeaseLost, operation, format!("run {} has ended or belongs to another worker", fence.run)))
    }

    /// Writes down what belongs to a run and not to its rows.
    pub(super) fn book(&mut self, workspace: &WorkspaceId, run: RunId, counts: &Counts, failures: &[RecordFailure], events: &[Box<str>]) {
        if let Some(kept) = self.runs.get_mut(&run) {
            kept.run.counts.add(counts);
            kept.failures.extend_from_slice(failures);
        }
        for body in events {
            let seq = self.number();
            self.events.push((workspace.clone(), Event { seq, run: Some(run), body: body.clone() }));
        }
    }

    pub(super) fn move_cursor(&mut self, workspace: &WorkspaceId, feed: &Feed, moved: &CursorMove) {
        let place = (feed_key(workspace, feed), moved.partition.clone());
        let before = self.positions.remove(&place).and_then(|state| state.cursor);
        let cursor = moved.cursor.clone().or(before);
        let state = PartitionState { partition: moved.partition.clone(), cursor, page: moved.page.clone(), scan: moved.scan, gone: false };
        self.positions.insert(place, state);
    }

    /// Ends a run whose owner is gone. That says nothing about the account.
    fn bury(&mut self, id: RunId, at: DateTime<Utc>) {
        let Some(kept) = self.runs.get_mut(&id) else { return };
        let kind = ErrorKind::Cancelled;
        let error = RunError { kind, message: "its owner ended before it did".into(), hint: kind.hint().into(), partition: None };
        (kept.run.status, kept.run.outcome, kept.run.completed_at) = (RunStatus::Failed, Some(Outcome::Failed), Some(at));
        kept.run.errors.push(error);
        let (workspace, connection) = (kept.workspace.clone(), kept.run.feed.connection.clone());
        if let Some((connection, _)) = self.connection_mut(&workspace, &connection) {
            connection.sync_status = Some("failed".into());
        }
    }

    pub(super) fn reap(&mut self) -> u64 {
        let left = |kept: &&KeptRun| kept.run.status == RunStatus::Running && kept.owner.strong_count() == 0;
        let gone: Vec<RunId> = self.runs.values().filter(left).map(|kept| kept.run.id).collect();
        for id in &gone {
            self.bury(*id, Utc::now());
        }
        gone.len() as u64
    }

    fn begin(&mut self, handle: &Handle, workspace: &WorkspaceId, new: NewRun) -> Begin {
        self.reap();
        let in_the_way = self.runs.values().find(|kept| {
            kept.workspace == *workspace
                && kept.run.status == RunStatus::Running
                && kept.run.feed.connection == new.feed.connection
                && (kept.run.feed.stream == new.feed.stream || (kept.exclusive && new.exclusive))
        });
        if let Some(busy) = in_the_way {
            return Begin::Busy(Box::new(busy.run.clone()));
        }
        let (id, token) = (RunId(self.number()), self.number());
        if let Some((connection, _)) = self.connection_mut(workspace, &new.feed.connection) {
            (connection.sync_status, connection.updated_at) = (Some("running".into()), new.at);
        }
        let run = Run {
            id,
            feed: new.feed,
            direction: new.direction,
            entity: new.entity,
            job_type: new.job_type.into(),
            status: RunStatus::Running,
            outcome: None,
            counts: Counts::default(),
            errors: Vec::new(),
            triggered_by: new.triggered_by,
            started_at: new.at,
            completed_at: None,
        };
        let (workspace, owner) = (workspace.clone(), Arc::downgrade(&handle.owner));
        self.runs.insert(id, KeptRun { workspace, run, token, exclusive: new.exclusive, owner, failures: Vec::new() });
        Begin::Started(Fence { run: id, token })
    }

    fn end(&mut self, workspace: &WorkspaceId, fence: Fence, end: RunEnd) -> Result<Run> {
        let kept = self.fenced(workspace, fence, "end_run")?;
        (kept.run.status, kept.run.outcome, kept.run.completed_at) = (end.status, Some(end.outcome), Some(end.at));
        kept.run.errors = end.errors;
        kept.failures.extend(end.failures);
        let run = kept.run.clone();
        if let Some(look) = end.look {
            self.looks.insert(feed_key(workspace, &run.feed), look);
        }
        for partition in end.gone {
            let empty = PartitionState { partition: partition.clone(), cursor: None, page: None, scan: 0, gone: false };
            self.positions.entry((feed_key(workspace, &run.feed), partition)).or_insert(empty).gone = true;
        }
        if let Some((connection, _)) = self.connection_mut(workspace, &run.feed.connection) {
            connection.sync_status = Some(end.status.as_str().into());
            connection.updated_at = end.at;
            match end.status {
                RunStatus::Completed => {
                    (connection.last_sync_at, connection.error_count) = (Some(end.at), 0);
                    (connection.error_message, connection.error_kind) = (None, None);
                    if connection.status == ConnectionStatus::Error {
                        connection.status = ConnectionStatus::Active;
                    }
                }
                RunStatus::Failed => {
                    connection.error_message = run.errors.first().map(|error| error.message.clone());
                    connection.error_kind = run.errors.first().map(|error| error.kind);
                    connection.error_count += u32::from(end.counts_against_connection || end.revoked);
                    let broken = end.revoked || (end.counts_against_connection && connection.error_count >= 3);
                    if broken && connection.status == ConnectionStatus::Active {
                        connection.status = ConnectionStatus::Error;
                    }
                }
                RunStatus::Cancelled | RunStatus::Running => {}
            }
        }
        Ok(run)
    }
}

#[async_trait]
impl RunStore for Scoped {
    async fn begin_run(&self, new: NewRun) -> Result<Begin> {
        self.handle.write(|world| Ok(world.begin(&self.handle, &self.workspace, new)))
    }

    async fn end_run(&self, fence: Fence, end: RunEnd) -> Result<Run> {
        self.handle.write(|world| world.end(&self.workspace, fence, end))
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let own = |kept: &&KeptRun| kept.workspace == self.workspace;
        Ok(self.handle.read(|world| world.runs.get(&id).filter(own).map(|kept| kept.run.clone())))
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let limit = if filter.limit == 0 { 50 } else { filter.limit as usize };
        let wanted = |kept: &&KeptRun| {
            kept.workspace == self.workspace
                && filter.connection.as_ref().is_none_or(|connection| kept.run.feed.connection == *connection)
                && filter.entity.as_ref().is_none_or(|entity| kept.run.entity == *entity)
                && filter.before.is_none_or(|before| kept.run.id < before)
        };
        Ok(self.handle.read(|world| world.runs.values().rev().filter(wanted).take(limit).map(|kept| kept.run.clone()).collect()))
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let own = |kept: &&KeptRun| kept.workspace == self.workspace;
        let of = |kept: &KeptRun| kept.failures.iter().take(limit as usize).cloned().collect();
        Ok(self.handle.read(|world| world.runs.get(&run).filter(own).map(of).unwrap_or_default()))
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let whose = feed_key(&self.workspace, feed);
        let of = |world: &World| {
            let own = world.positions.iter().filter(|((feed, _), _)| *feed == whose);
            own.map(|(_, state)| state.clone()).collect()
        };
        Ok(self.handle.read(of))
    }

    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>> {
        let whose = feed_key(&self.workspace, feed);
        Ok(self.handle.read(|world| world.looks.get(&whose).cloned()))
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        let whose = feed_key(&self.workspace, feed);
        self.handle.write(|world| {
            world.positions.retain(|(feed, _), _| *feed != whose);
            Ok(())
        })
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let of = |world: &World| {
            let own = world.events.iter().filter(|(workspace, event)| *workspace == self.workspace && event.seq > after);
            own.take(limit as usize).map(|(_, event)| event.clone()).collect()
        };
        Ok(self.handle.read(of))
    }
}

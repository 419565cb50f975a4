//! The engine's handle.

use std::sync::{Arc, Mutex, PoisonError};

use sync_core::{
    Registry, Result, WorkspaceId,
    mapping::Transforms,
    store::{Fence, Onboarding, RunEnd, Storage, WorkspaceStore},
};
use tokio::sync::broadcast;

use crate::{
    Builder, Events, ForceOverwrite, SyncEvent, Workspace,
    crash::CrashPoints,
    event::advance,
    push::RecordSource,
    run::{Stopping, Turns},
    services::Shared,
};

/// The engine. A cheap clone; there is no way to data but through a [`Workspace`].
#[derive(Clone, Debug)]
pub struct Syncline(pub(crate) Arc<Engine>);

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) registry: Registry,
    pub(crate) shared: Arc<Shared>,
    pub(crate) transforms: Transforms,
    pub(crate) events: broadcast::Sender<SyncEvent>,
    pub(crate) crash_points: CrashPoints,
    /// Ends of runs of this process that the database refused to take.
    pub(crate) unended: Unended,
    pub(crate) stopping: Stopping,
    /// Exclusive runs, one after the other.
    pub(crate) turns: Turns,
    /// The host's own rows.
    pub(crate) source: Option<Arc<dyn RecordSource>>,
    /// Where browsers may go after an authorization.
    pub(crate) return_paths: Vec<Box<str>>,
}

/// Ends that could not be written, since the database was locked or full. Their runs are over, but say `running` and hold their stream,
/// so they are written before the next run of the workspace begins.
#[derive(Debug, Default)]
pub(crate) struct Unended(Mutex<Vec<(WorkspaceId, Fence, RunEnd)>>);

impl Unended {
    pub(crate) fn keep(&self, workspace: &WorkspaceId, fence: Fence, end: RunEnd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((workspace.clone(), fence, end));
    }

    /// Writes those of one workspace; what is refused again is kept.
    pub(crate) async fn write(&self, engine: &Engine, workspace: &WorkspaceId, store: &dyn WorkspaceStore) -> Result<()> {
        loop {
            let next = {
                let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                ends.iter().position(|(whose, ..)| whose == workspace).map(|at| ends.swap_remove(at))
            };
            let Some((_, fence, end)) = next else { return Ok(()) };
            match store.end_run_onboarding(fence, end.clone()).await {
                Ok((run, advanced)) => {
                    tracing::info!(run = %run.id, "wrote the end of a run that the database had refused");
                    engine.advanced(workspace, advanced);
                }
                // Somebody has ended it for us.
                Err(error) if error.kind() == sync_core::ErrorKind::LeaseLost => {}
                Err(error) => {
                    self.keep(workspace, fence, end);
                    return Err(error);
                }
            }
        }
    }
}

impl Engine {
    /// Tells those who listen; nobody has to.
    pub(crate) fn emit(&self, event: SyncEvent) {
        let _ = self.events.send(event);
    }

    /// Tells of an onboarding that advanced.
    pub(crate) fn advanced(&self, workspace: &WorkspaceId, onboarding: Option<Onboarding>) {
        if let Some(onboarding) = onboarding {
            self.emit(advance(workspace, onboarding));
        }
    }
}

impl Syncline {
    /// Begins to put an engine together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The handle of one tenant. Makes nothing: a workspace exists by its rows.
    pub fn workspace(&self, id: impl Into<WorkspaceId>) -> Workspace {
        Workspace::new(Arc::clone(&self.0), id.into())
    }

    /// Mints the capability to overwrite whatever a source may not write, in somebody's name. Whoever holds this handle decides who that is;
    /// what is done with it stands in the runs.
    #[must_use]
    pub fn force_overwrite(&self, by: impl Into<Box<str>>) -> ForceOverwrite {
        ForceOverwrite(by.into())
    }

    /// Events of this process from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.0.events.subscribe())
    }

    /// The names of the registered providers, in order.
    #[must_use]
    pub fn providers(&self) -> Vec<&'static str> {
        self.0.registry.names().collect()
    }
}

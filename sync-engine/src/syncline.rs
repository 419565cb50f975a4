//! The engine's handle.

use std::sync::Arc;

use sync_core::{Registry, WorkspaceId, mapping::Transforms, store::Storage};
use tokio::sync::broadcast;

use crate::{Builder, Events, SyncEvent, Workspace, crash::CrashPoints, services::Shared};

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
}

impl Engine {
    /// Tells those who listen; nobody has to.
    pub(crate) fn emit(&self, event: SyncEvent) {
        let _ = self.events.send(event);
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

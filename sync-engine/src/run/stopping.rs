//! Runs whose caller is gone and that are writing down their end: the next run of the stream waits for it instead of being refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sync_core::{ConnectionId, StreamName, WorkspaceId};
use tokio::sync::{oneshot, watch};

use crate::syncline::Engine;

pub(crate) type Key = (WorkspaceId, ConnectionId, StreamName);

/// The runs of this process that are stopping.
#[derive(Debug, Default)]
pub(crate) struct Stopping(Mutex<HashMap<Key, watch::Receiver<()>>>);

impl Stopping {
    /// Waits for the end of the run that is stopping, if there is one; answers whether there was.
    pub(crate) async fn wait(&self, key: &Key) -> bool {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        match ended {
            Some(mut ended) => {
                // Nothing is ever sent: the run's task lets go of its end when it is done.
                let _ = ended.changed().await;
                true
            }
            None => false,
        }
    }
}

/// What the caller's future holds while its run goes on. Dropped before the run has ended, it stops the run.
#[derive(Debug)]
pub(crate) struct Caller {
    engine: Arc<Engine>,
    key: Key,
    ended: watch::Receiver<()>,
    stop: Option<oneshot::Sender<()>>,
}

/// What the run's task holds to its end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) stopped: oneshot::Receiver<()>,
    pub(crate) end: watch::Sender<()>,
}

impl Caller {
    pub(crate) fn new(engine: Arc<Engine>, key: Key) -> (Self, Running) {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = watch::channel(());
        (Self { engine, key, ended, stop: Some(stop) }, Running { stopped, end })
    }

    /// The run has ended by itself.
    pub(crate) fn done(mut self) {
        self.stop = None;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.stop.take().is_some() {
            let mut stopping = self.engine.stopping.0.lock().unwrap_or_else(PoisonError::into_inner);
            stopping.retain(|_, ended| ended.has_changed().is_ok());
            stopping.insert(self.key.clone(), self.ended.clone());
        }
    }
}

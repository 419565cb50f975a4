//! Work that goes on to its end when its run is stopped.

use std::{convert::Infallible, future::Future};

use tokio::{sync::mpsc, task::JoinHandle};

/// Starts tasks that the end of a run waits for, whether anybody else does or not.
#[derive(Clone, Debug)]
pub(crate) struct Shield {
    /// Closes the channel with the last task.
    _alive: mpsc::Sender<Infallible>,
}

/// Waits for them.
#[derive(Debug)]
pub(crate) struct Shielded(mpsc::Receiver<Infallible>);

impl Shield {
    pub(crate) fn new() -> (Self, Shielded) {
        let (alive, tasks) = mpsc::channel(1);
        (Self { _alive: alive }, Shielded(tasks))
    }

    /// Starts one. It has to notice by itself that the run was stopped.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let alive = self.clone();
        tokio::spawn(async move {
            let done = work.await;
            drop(alive);
            done
        })
    }
}

impl Shielded {
    /// Over when every task is, and nobody can start another.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent: the channel closes with the last task.
        let _ = self.0.recv().await;
    }
}

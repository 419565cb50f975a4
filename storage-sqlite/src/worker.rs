//! Threads that own connections. SQLite calls block, so none is made on the host's executor.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use sync_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// One or more threads, each with a state of its own, that take jobs from one queue. Ends its threads when dropped.
pub(crate) struct Workers<S> {
    queue: Option<mpsc::Sender<Job<S>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<S> fmt::Debug for Workers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers({})", self.threads.len())
    }
}

impl<S: Send + 'static> Workers<S> {
    /// Starts a thread for each state. After a job that panicked `heal` puts its state in order.
    pub(crate) fn start(name: &str, states: Vec<S>, heal: fn(&mut S)) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job<S>>();
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = states
            .into_iter()
            .map(|mut state| {
                let jobs = Arc::clone(&jobs);
                thread::Builder::new().name(name.to_owned()).spawn(move || {
                    loop {
                        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(job) = job else { break };
                        if catch_unwind(AssertUnwindSafe(|| job(&mut state))).is_err() {
                            tracing::error!("work on the database panicked; nothing of the transaction it was in was written");
                            heal(&mut state);
                        }
                    }
                })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { queue: Some(queue), threads })
    }

    /// Runs a job. Once begun it goes on to its end, whether anybody waits for it or not; one nobody waits for any more is not begun.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            if !answer.is_closed() {
                let _ = answer.send(job(state));
            }
        });
        let gone = || Error::new(ErrorKind::Internal, operation, "the storage's thread stopped in the middle of this work");
        self.queue.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl<S> Drop for Workers<S> {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a hook, on the writer's own thread.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

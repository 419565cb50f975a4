//! Real processes killed with SIGKILL at a place of choice, and run again to their end.
//!
//! A child is this very test program, told to run one test alone, which does the work an [`order`] describes. It stands still at a
//! named [`point`], or while a simulated service of the parent holds its call, and is killed there; a second child then runs to the
//! end. What must be the same after both is the caller's to compare.
//!
//! ```no_run
//! # use sync_testkit::crash::{Crash, order, point};
//! #[test]
//! fn child() {
//!     let Some(order) = order() else { return };
//!     std::fs::write(&order, "half").expect("written");
//!     point("between"); // in real life handed to the engine as its crash hook
//!     std::fs::write(&order, "whole").expect("written");
//! }
//!
//! #[tokio::test]
//! async fn a_killed_writer_ends_as_if_nothing_had_happened() {
//!     let crash = Crash::child("child");
//!     crash.kill_at("/tmp/file", "between", 1).await;
//!     crash.finish("/tmp/file").await;
//! }
//! ```

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use crate::{Fault, Faults};

const ORDER: &str = "SYNC_TESTKIT_CRASH_ORDER";
const STOP: &str = "SYNC_TESTKIT_CRASH_STOP";
const BEGUN: &str = "the order was taken";
const REACHED: &str = "the crash point was reached";
const SIGKILL: i32 = 9;

/// In a child: what it shall do. `None` in a run of all tests, in which the child's test has nothing to do.
#[must_use]
pub fn order() -> Option<String> {
    let order = std::env::var(ORDER).ok()?;
    say(BEGUN);
    Some(order)
}

/// In a child: a place at which it may be killed. Stands still for ever if that was ordered, otherwise does nothing; it costs so little that
/// hooks may call it always.
pub fn point(at: &str) {
    static STOP_AT: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static HITS: AtomicUsize = AtomicUsize::new(0);
    let stop = STOP_AT.get_or_init(|| {
        let stop = std::env::var(STOP).ok()?;
        let (hit, point) = stop.split_once(' ')?;
        Some((point.to_owned(), hit.parse().ok()?))
    });
    if let Some((point, hit)) = stop
        && at == point
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *hit
    {
        say(REACHED);
        loop {
            std::thread::park();
        }
    }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("the parent listens");
}

/// Runs children of this test program. Its calls need a tokio runtime with time; they fail the test by panics that say what the child did.
#[derive(Clone, Debug)]
pub struct Crash {
    test: String,
    patience: Duration,
}

impl Crash {
    /// Children that run `test`, named as the test harness prints it: `child`, or `module::child`. That test has to ask for its
    /// [`order`].
    #[must_use]
    pub fn child(test: impl Into<String>) -> Self {
        Self { test: test.into(), patience: Duration::from_secs(120) }
    }

    /// How long a child may take, in real time; default two minutes. One that takes longer is killed and fails the test.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs a child to its end.
    ///
    /// # Panics
    /// When it fails, takes no order, or takes too long.
    pub async fn finish(&self, order: &str) {
        let child = Running::start(&self.test, order, None);
        let ended = timeout(self.patience, child.end()).await;
        let Ok(Ended { status, begun, said, .. }) = ended else {
            panic!("the child had not ended after {:?}", self.patience);
        };
        assert!(status.success(), "the child failed ({status}):\n{said}");
        assert!(begun, "the child did nothing: is there a test {:?}, and does it ask for its order?", self.test);
    }

    /// Runs a child until it comes by `at` for the `hit`-th time, and kills it there.
    ///
    /// # Panics
    /// When it ends before, ends by itself instead of standing still, or takes too long.
    pub async fn kill_at(&self, order: &str, at: &str, hit: usize) {
        let what = format!("the point {at} for the {hit}. time");
        let mut child = Running::start(&self.test, order, Some(format!("{hit} {at}")));
        let reached = child.reached.take().expect("taken once");
        self.kill(child, &what, async {
            if reached.await.is_err() {
                // it ended, which is noticed elsewhere
                std::future::pending::<()>().await;
            }
        })
        .await;
    }

    /// Runs a child until the `nth` call of `operation` from now on is held by a simulated service of this process, and kills it
    /// there. With [`HeldRequest`](Fault::HeldRequest) the service has the request and did not act, with
    /// [`HeldAnswer`](Fault::HeldAnswer) it acted and did not answer. What it still holds afterwards goes on with
    /// [`Faults::release`].
    ///
    /// # Panics
    /// As [`kill_at`](Self::kill_at), and when `fault` is none that holds.
    pub async fn kill_while_held(&self, order: &str, faults: &Faults, operation: &str, nth: usize, fault: Fault) {
        assert!(matches!(fault, Fault::HeldRequest | Fault::HeldAnswer), "{fault:?} holds nothing");
        let what = format!("the {nth}. call of {operation} ({fault:?})");
        let held = faults.held() + 1;
        faults.push_times(operation, Fault::Pass, nth.saturating_sub(1));
        faults.push(operation, fault);
        self.kill(Running::start(&self.test, order, None), &what, faults.until_held(held)).await;
    }

    /// Runs a child until `happened`, and kills it there.
    ///
    /// # Panics
    /// As [`kill_at`](Self::kill_at).
    pub async fn kill_when(&self, order: &str, what: &str, happened: impl Future<Output = ()>) {
        self.kill(Running::start(&self.test, order, None), what, happened).await;
    }

    async fn kill(&self, mut child: Running, what: &str, happened: impl Future<Output = ()>) {
        let waited = timeout(self.patience, async {
            tokio::select! {
                biased; // a child that came there and ended is another failure than one that did not come
                () = happened => true,
                () = child.silent() => false,
            }
        });
        let reached = waited.await.unwrap_or_else(|_| panic!("the child did not come to {what} within {:?}", self.patience));
        child.kill();
        let Ended { status, said, .. } = child.end().await;
        assert!(reached, "the child did not come to {what} ({status}):\n{said}");
        assert_eq!(status.signal(), Some(SIGKILL), "the child was to be killed at {what}, but ended by itself ({status}):\n{said}");
    }
}

/// A child; killed when dropped.
#[derive(Debug)]
struct Running {
    child: Option<Child>,
    out: JoinHandle<bool>,
    out_ended: Option<bool>,
    said: JoinHandle<String>,
    reached: Option<oneshot::Receiver<()>>,
}

/// A child that is gone.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    begun: bool,
    said: String,
}

impl Running {
    fn start(test: &str, order: &str, stop: Option<String>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ORDER, order).env_remove(STOP);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(stop) = stop {
            command.env(STOP, stop);
        }
        let mut child = command.spawn().expect("a child process");
        let (stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (tell, reached) = oneshot::channel();
        // both are read while it runs: a full pipe would stop it
        let out = spawn_blocking(move || {
            let (mut begun, mut tell) = (false, Some(tell));
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                begun |= line.contains(BEGUN);
                if line.contains(REACHED)
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(());
                }
            }
            begun
        });
        let said = spawn_blocking(move || {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Self { child: Some(child), out, out_ended: None, said, reached: Some(reached) }
    }

    /// Waits until it says no more, as a process that ended.
    async fn silent(&mut self) {
        if self.out_ended.is_none() {
            self.out_ended = Some((&mut self.out).await.expect("lines are read"));
        }
    }

    fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().expect("SIGKILL");
        }
    }

    async fn end(mut self) -> Ended {
        self.silent().await;
        let said = (&mut self.said).await.expect("texts are read");
        let mut child = self.child.take().expect("ended once");
        let status = spawn_blocking(move || child.wait()).await.expect("no panic").expect("it ended");
        Ended { status, begun: self.out_ended.unwrap_or_default(), said }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
#[path = "crash_tests.rs"]
mod tests;

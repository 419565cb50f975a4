//! A clock that moves only when told.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

/// A clock that stands still until told, or jumps when somebody sleeps. Clones are the same clock.
///
/// Waiting costs no real time: a sleep moves the clock by its wait and is over. With [`hold`](Self::hold) a sleep waits until
/// [`advance`](Self::advance) reaches its end, so that a test can look at what happens meanwhile.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    now: watch::Sender<DateTime<Utc>>,
    held: Arc<AtomicBool>,
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl VirtualClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn new(at: DateTime<Utc>) -> Self {
        Self { now: watch::Sender::new(at), held: Arc::default(), slept: Arc::default() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    /// Moves the clock forward and ends every held sleep that is due.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = later(*now, by));
    }

    /// Whether sleeps wait for [`advance`](Self::advance) (`true`) or move the clock themselves (`false`, as at first).
    pub fn hold(&self, hold: bool) {
        self.held.store(hold, Ordering::Relaxed);
    }

    /// Waits in virtual time. Counted in [`slept`](Self::slept) when it begins; dropping it moves nothing.
    pub fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        let (clock, due) = (self.clone(), later(self.now(), wait));
        async move {
            clock.log().push(wait);
            if !clock.held.load(Ordering::Relaxed) {
                clock.now.send_modify(|now| *now = (*now).max(due));
                return;
            }
            // the sender lives in `clock`, so that the channel cannot close while this waits
            let _ = clock.now.subscribe().wait_for(|now| *now >= due).await;
        }
        .boxed()
    }

    /// Every wait so far, in the order they began.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.log().clone()
    }

    fn log(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `wait` after `now`, or the end of time.
fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> VirtualClock {
        VirtualClock::new(DateTime::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_sleep_moves_the_clock_by_its_wait() {
        let clock = clock();
        clock.sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now().timestamp(), 90);
        assert_eq!(clock.slept(), [Duration::from_secs(90)]);
        drop(clock.sleep(Duration::from_secs(5)));
        assert_eq!(clock.now().timestamp(), 90, "what was never waited for moves nothing");
    }

    #[tokio::test]
    async fn a_held_sleep_ends_when_the_clock_reaches_it() {
        let clock = clock();
        clock.hold(true);
        let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("no panic");
        assert_eq!(clock.now().timestamp(), 10);
    }
}

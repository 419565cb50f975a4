//! Quotas of this process: one bucket per provider, account and quota name.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use governor::{
    Quota as Rate, RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use sync_core::{CallOutcome, Quota};

/// Quotas set by the host: provider and bucket, units, and the time they are for.
pub(crate) type Overrides = HashMap<(Box<str>, Box<str>), (u32, Duration)>;

#[derive(Debug, Default)]
pub(crate) struct Limits {
    overrides: Overrides,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
}

impl Limits {
    pub(crate) fn new(overrides: Overrides) -> Self {
        Self { overrides, buckets: Mutex::default() }
    }

    /// The bucket of an account; without a quota it only knows what answers teach it.
    pub(crate) fn bucket(&self, provider: &str, account: &str, name: &str, quota: Option<&Quota>) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{provider}\n{account}\n{name}");
        let bucket = buckets.entry(key).or_insert_with(|| {
            let set = self.overrides.get(&(provider.into(), name.into())).copied();
            Arc::new(Bucket::new(set.or(quota.map(|quota| (quota.units, quota.per)))))
        });
        Arc::clone(bucket)
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>;

/// One quota of one account. The limiter runs on a clock of its own that is set to the handed-in time.
#[derive(Debug)]
pub(crate) struct Bucket {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limiter: Option<(Limiter, FakeRelativeClock)>,
    burst: u32,
    set_to: Option<DateTime<Utc>>,
    paused_until: Option<DateTime<Utc>>,
}

impl Bucket {
    fn new(quota: Option<(u32, Duration)>) -> Self {
        let (limiter, burst) = match quota.and_then(|(units, per)| rate(units, per)) {
            Some(rate) => {
                let clock = FakeRelativeClock::default();
                (Some((RateLimiter::direct_with_clock(rate, clock.clone()), clock)), rate.burst_size().get())
            }
            None => (None, u32::MAX),
        };
        Self { state: Mutex::new(State { limiter, burst, set_to: None, paused_until: None }) }
    }

    /// Takes `cost` units, or says how long to wait before asking again.
    pub(crate) fn take(&self, cost: u32, now: DateTime<Utc>) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.paused_until {
            match (until - now).to_std() {
                Ok(wait) if !wait.is_zero() => return Err(wait),
                _ => state.paused_until = None,
            }
        }
        let passed = state.set_to.and_then(|then| (now - then).to_std().ok()).unwrap_or_default();
        if state.set_to.is_none_or(|then| now > then) {
            state.set_to = Some(now);
        }
        // A cost beyond the burst could never be met; it takes the whole burst.
        let Some(cost) = NonZeroU32::new(cost.min(state.burst)) else { return Ok(()) };
        let Some((limiter, clock)) = &state.limiter else { return Ok(()) };
        clock.advance(passed);
        match limiter.check_n(cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(clock.now())),
            Err(_) => Ok(()),
        }
    }

    /// One answer that says the bucket is empty pauses it for all callers.
    pub(crate) fn learn(&self, outcome: &CallOutcome, now: DateTime<Utc>) {
        if let (None | Some(0), Some(wait)) = (outcome.left, outcome.resets_in) {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(wait) = chrono::Duration::from_std(wait) {
                state.paused_until = state.paused_until.max(Some(now + wait));
            }
        }
    }
}

/// A rate that gives at most `units` in any window of `per`, even one that begins with a full burst: a tenth at once, the rest spread
/// so that burst - 1 + window / interval is `units`.
fn rate(units: u32, per: Duration) -> Option<Rate> {
    let burst = NonZeroU32::new(units.div_ceil(10))?;
    let spread = units - burst.get() + 1;
    // Rounded up: a nanosecond less would let one call more into the window.
    Some(Rate::with_period(per / spread + Duration::from_nanos(1))?.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn bucket(units: u32) -> Bucket {
        Bucket::new(Some((units, MINUTE)))
    }

    /// Calls as often as allowed for ten minutes; answers when each went out.
    fn run(bucket: &Bucket) -> Vec<DateTime<Utc>> {
        let start = DateTime::<Utc>::UNIX_EPOCH;
        let (mut now, mut sent) = (start, Vec::new());
        while now < start + MINUTE * 10 {
            match bucket.take(1, now) {
                Ok(()) => sent.push(now),
                Err(wait) => now += wait,
            }
        }
        sent
    }

    #[test]
    fn no_window_of_a_minute_holds_more_calls_than_the_quota() {
        for units in [1, 2, 20, 50, 60, 300] {
            let sent = run(&bucket(units));
            for (n, first) in sent.iter().enumerate() {
                let within = sent[n..].iter().take_while(|at| **at < *first + MINUTE).count();
                assert!(within <= units as usize, "{within} calls of {units}");
            }
            assert!(sent.len() >= units as usize * 8, "{} calls in 10 minutes of {units} a minute", sent.len());
        }
    }

    #[test]
    fn a_retry_after_pauses_every_caller_of_the_bucket() {
        let bucket = Bucket::new(None);
        let start = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(bucket.take(1, start), Ok(()));
        let outcome =
            CallOutcome { health: sync_core::Health::Ignored, took: Duration::ZERO, left: None, resets_in: Some(Duration::from_secs(30)) };
        bucket.learn(&outcome, start);
        assert_eq!(bucket.take(1, start + Duration::from_secs(10)), Err(Duration::from_secs(20)));
        assert_eq!(bucket.take(1, start + Duration::from_secs(30)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_neither_panics_nor_gives_more() {
        let bucket = bucket(20);
        let start = DateTime::<Utc>::UNIX_EPOCH + MINUTE;
        while bucket.take(1, start).is_ok() {}
        assert!(bucket.take(1, start - Duration::from_secs(30)).is_err());
    }
}

//! What a circuit breaker remembers: calls of the last minutes, and which connections made them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use chrono::{DateTime, Utc};

/// The window moves in this many steps.
const STEPS: i64 = 30;

/// Counts of calls over a rolling time. It moves in steps of a thirtieth of its length, so that its size does not grow with the number of calls.
#[derive(Clone, Debug)]
pub(super) struct Window {
    step: i64,
    now: i64,
    steps: VecDeque<Step>,
    total: Step,
    connections: HashMap<u64, Last>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    at: i64,
    calls: u64,
    failures: u64,
    slow: u64,
}

/// The steps a connection last called and last failed in.
#[derive(Clone, Copy, Debug)]
struct Last {
    call: i64,
    failure: i64,
}

/// The sums of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
    pub(super) active: usize,
    pub(super) failing: usize,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self { step: (millis / STEPS).max(1), now: i64::MIN, steps: VecDeque::new(), total: Step::default(), connections: HashMap::new() }
    }

    /// Counts one call. A clock that went back counts into the latest step.
    pub(super) fn add(&mut self, now: DateTime<Utc>, connection: u64, failed: bool, slow: bool) {
        self.advance(now);
        if self.steps.back().is_none_or(|step| step.at != self.now) {
            self.steps.push_back(Step { at: self.now, ..Step::default() });
        }
        if let Some(latest) = self.steps.back_mut() {
            for step in [latest, &mut self.total] {
                step.calls += 1;
                step.failures += u64::from(failed);
                step.slow += u64::from(slow);
            }
        }
        let last = self.connections.entry(connection).or_insert(Last { call: self.now, failure: i64::MIN });
        last.call = self.now;
        if failed {
            last.failure = self.now;
        }
    }

    pub(super) fn sums(&self) -> Sums {
        let oldest = self.oldest();
        Sums {
            calls: self.total.calls,
            failures: self.total.failures,
            slow: self.total.slow,
            active: self.connections.len(),
            failing: self.connections.values().filter(|last| last.failure >= oldest).count(),
        }
    }

    fn oldest(&self) -> i64 {
        self.now.saturating_sub(STEPS - 1)
    }

    fn advance(&mut self, now: DateTime<Utc>) {
        let at = now.timestamp_millis().div_euclid(self.step);
        if at <= self.now {
            return;
        }
        self.now = at;
        let oldest = self.oldest();
        while let Some(step) = self.steps.pop_front_if(|step| step.at < oldest) {
            self.total.calls -= step.calls;
            self.total.failures -= step.failures;
            self.total.slow -= step.slow;
        }
        self.connections.retain(|_, last| last.call >= oldest);
    }
}

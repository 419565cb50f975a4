//! The circuit breaker: stops calling a service that keeps failing, and finds out when it is back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use twox_hash::XxHash3_64;

use super::window::Window;
use crate::Health;

/// When a circuit opens and how it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitPolicy {
    /// How far back calls count, 5 min. The window moves in steps of a thirtieth of it.
    pub window: Duration,
    /// It never opens on fewer calls than this, 10.
    pub min_calls: u64,
    /// Failures have to come from so many connections, 3, or from all that are active when those are fewer: one broken account
    /// does not stop the others.
    pub min_connections: usize,
    /// A call that took longer is slow, 15 s.
    pub slow_call: Duration,
    /// Opens also when more than this share of the calls was slow, 90 (per cent).
    pub slow_percent: u64,
    /// How long it stays open the first time, 60 s; doubled each time the service fails its probes. 10 % are added or taken at random.
    pub open_for: Duration,
    /// The longest it stays open, 10 min, before those 10 %.
    pub max_open: Duration,
    /// Calls that have to succeed before it closes, 3; no others pass meanwhile.
    pub probes: u32,
    /// How long a probe may take, 60 s; one that is not back then has failed.
    pub probe_timeout: Duration,
    /// What callers are told to wait while all probes are under way, 1 s.
    pub probe_wait: Duration,
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            min_calls: 10,
            min_connections: 3,
            slow_call: Duration::from_secs(15),
            slow_percent: 90,
            open_for: Duration::from_secs(60),
            max_open: Duration::from_secs(600),
            probes: 3,
            probe_timeout: Duration::from_secs(60),
            probe_wait: Duration::from_secs(1),
        }
    }
}

impl CircuitPolicy {
    /// How long a circuit stays open that failed its probes `failed` times in a row: doubling, capped, then 10 % more or less.
    #[must_use]
    pub fn open_time(&self, failed: u32, random: u64) -> Duration {
        let doubled = self.open_for.saturating_mul(1u32.checked_shl(failed.min(31)).unwrap_or(u32::MAX));
        let millis = doubled.min(self.max_open).as_millis() as u64;
        Duration::from_millis(millis - millis / 10 + random % (millis / 5 + 1))
    }
}

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// None passes before this time.
    Open {
        /// When probes begin.
        until: DateTime<Utc>,
    },
    /// Probes alone pass.
    HalfOpen,
}

/// Leave for one call. Give it back by [`Circuit::report`], also when the call was never made.
#[derive(Debug)]
#[must_use = "a permit that is not reported counts as a failed probe once its time is over"]
pub struct CircuitPermit {
    generation: u64,
    probe: u64,
}

/// The state of one host's breaker: a pure state machine, to which time and randomness are handed in.
///
/// It opens when at least [`min_calls`](CircuitPolicy::min_calls) calls were made inside the window and more than half failed, on enough
/// connections, or nearly all were slow. What says nothing about the service (4xx, 429, cancelled, never made) does not count at
/// all. A report that comes after the state has changed is dropped.
#[derive(Clone, Debug)]
pub struct Circuit {
    policy: CircuitPolicy,
    generation: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Closed(Window),
    Open { until: DateTime<Utc>, wait: Duration, failed: u32 },
    HalfOpen { failed: u32, good: u32, next: u64, out: Vec<(u64, DateTime<Utc>)> },
}

impl Circuit {
    /// A closed circuit.
    #[must_use]
    pub fn new(policy: CircuitPolicy) -> Self {
        Self { policy, generation: 0, state: State::Closed(Window::new(policy.window)) }
    }

    /// Where it stands; an open one whose time is over stays open until somebody asks for a permit.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        match &self.state {
            State::Closed(_) => CircuitState::Closed,
            State::Open { until, .. } => CircuitState::Open { until: *until },
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Asks leave for one call.
    ///
    /// # Errors
    /// How long to wait before asking again. Nothing is reported for a call that was refused.
    pub fn permit(&mut self, now: DateTime<Utc>, random: u64) -> Result<CircuitPermit, Duration> {
        if let State::Open { until, wait, failed } = &mut self.state {
            // A clock that went back must not hold the circuit open for longer than was decided.
            let left = (*until - now).to_std().unwrap_or(Duration::ZERO);
            if left > *wait {
                *until = later(now, *wait);
            }
            let left = left.min(*wait);
            if left > Duration::ZERO {
                return Err(left);
            }
            let failed = *failed;
            self.enter(State::HalfOpen { failed, good: 0, next: 0, out: Vec::new() });
        }
        let timeout = self.policy.probe_timeout;
        match &mut self.state {
            State::HalfOpen { out, .. } if out.iter().any(|(_, sent)| overdue(*sent, now, timeout)) => Err(self.reopen(now, random)),
            State::HalfOpen { good, next, out, .. } => {
                if out.len() as u64 + u64::from(*good) >= u64::from(self.policy.probes.max(1)) {
                    return Err(self.policy.probe_wait);
                }
                *next += 1;
                out.push((*next, now));
                Ok(CircuitPermit { generation: self.generation, probe: *next })
            }
            State::Closed(_) | State::Open { .. } => Ok(CircuitPermit { generation: self.generation, probe: 0 }),
        }
    }

    /// Reports how a call went that had a permit; `None` when it was never made or was dropped. `connection` is whose call it was.
    pub fn report(
        &mut self,
        permit: CircuitPermit,
        health: Option<Health>,
        took: Duration,
        connection: &str,
        now: DateTime<Utc>,
        random: u64,
    ) {
        if permit.generation != self.generation {
            return;
        }
        let policy = self.policy;
        match &mut self.state {
            State::Closed(window) => {
                let failed = match health {
                    Some(Health::Good) => false,
                    Some(Health::Failed) => true,
                    Some(Health::Ignored) | None => return,
                };
                window.add(now, XxHash3_64::oneshot(connection.as_bytes()), failed, took > policy.slow_call);
                let sums = window.sums();
                let failing = sums.failures * 2 > sums.calls && sums.failing >= policy.min_connections.min(sums.active);
                let slow = sums.slow * 100 > sums.calls * policy.slow_percent;
                if sums.calls >= policy.min_calls && (failing || slow) {
                    self.open(0, now, random);
                }
            }
            State::HalfOpen { good, out, .. } => {
                let Some(at) = out.iter().position(|(probe, _)| *probe == permit.probe) else { return };
                let (_, sent) = out.swap_remove(at);
                match health {
                    Some(Health::Good) if !overdue(sent, now, policy.probe_timeout) => {
                        *good += 1;
                        if *good >= policy.probes {
                            self.enter(State::Closed(Window::new(policy.window)));
                        }
                    }
                    Some(Health::Good | Health::Failed) => {
                        self.reopen(now, random);
                    }
                    Some(Health::Ignored) | None => {}
                }
            }
            State::Open { .. } => {}
        }
    }

    fn reopen(&mut self, now: DateTime<Utc>, random: u64) -> Duration {
        let failed = if let State::HalfOpen { failed, .. } = self.state { failed.saturating_add(1) } else { 0 };
        self.open(failed, now, random)
    }

    fn open(&mut self, failed: u32, now: DateTime<Utc>, random: u64) -> Duration {
        let wait = self.policy.open_time(failed, random);
        self.enter(State::Open { until: later(now, wait), wait, failed });
        wait
    }

    fn enter(&mut self, state: State) {
        self.generation += 1;
        self.state = state;
    }
}

fn overdue(sent: DateTime<Utc>, now: DateTime<Utc>, timeout: Duration) -> bool {
    (now - sent).to_std().is_ok_and(|age| age > timeout)
}

fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;

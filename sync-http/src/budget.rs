//! How many repeats a service is owed: when everything fails, repeats must not become the load.

use std::time::Duration;

use chrono::{DateTime, Utc};

const SECONDS: usize = 60;

/// Repeats of the last minute stay below a fifth of its first attempts plus ten. Pure: the time is handed in.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    /// One slot for each second of the last minute, found by the second modulo 60.
    slots: [Slot; SECONDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: i64,
    first_attempts: u32,
    retries: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { slots: [Slot { second: i64::MIN, ..Slot::default() }; SECONDS] }
    }
}

impl RetryBudget {
    /// Repeats that are always allowed in a minute, so that a quiet connection may repeat at all.
    pub const RESERVE: u32 = 10;

    /// Counts a first attempt.
    pub fn first_attempt(&mut self, now: DateTime<Utc>) {
        let slot = self.slot(now);
        slot.first_attempts = slot.first_attempts.saturating_add(1);
    }

    /// Counts a repeat and answers `true`, or answers `false` when the minute's repeats are used up.
    pub fn try_retry(&mut self, now: DateTime<Utc>) -> bool {
        let (first_attempts, retries) = self.last_minute(now);
        let allowed = first_attempts / 5 + u64::from(Self::RESERVE);
        if retries >= allowed {
            return false;
        }
        self.slot(now).retries += 1;
        true
    }

    /// When the oldest repeat of the last minute no longer counts: the soonest that asking again can help.
    #[must_use]
    pub fn refills_in(&self, now: DateTime<Utc>) -> Duration {
        let second = now.timestamp();
        let oldest = self.slots.iter().filter(|slot| slot.retries > 0 && Self::counts(slot, second)).map(|slot| slot.second).min();
        oldest.map_or(Duration::ZERO, |oldest| {
            Duration::from_secs((oldest + SECONDS as i64 - second).clamp(0, SECONDS as i64).unsigned_abs())
        })
    }

    fn last_minute(&self, now: DateTime<Utc>) -> (u64, u64) {
        let second = now.timestamp();
        let counted = self.slots.iter().filter(|slot| Self::counts(slot, second));
        counted.fold((0, 0), |(first, retries), slot| (first + u64::from(slot.first_attempts), retries + u64::from(slot.retries)))
    }

    fn counts(slot: &Slot, second: i64) -> bool {
        (second - SECONDS as i64 + 1..=second).contains(&slot.second)
    }

    fn slot(&mut self, now: DateTime<Utc>) -> &mut Slot {
        let second = now.timestamp();
        let index = usize::try_from(second.rem_euclid(SECONDS as i64)).unwrap_or_default();
        let slot = &mut self.slots[index];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + seconds, 0).expect("a time")
    }

    #[test]
    fn without_traffic_ten_repeats_a_minute_are_allowed() {
        let mut budget = RetryBudget::default();
        let allowed = (0..60).filter(|_| budget.try_retry(at(0))).count();
        assert_eq!(allowed, 10);
        assert!(!budget.try_retry(at(59)));
        assert_eq!(budget.refills_in(at(59)), Duration::from_secs(1));
        assert!(budget.try_retry(at(60)));
    }

    #[test]
    fn traffic_adds_a_fifth() {
        let mut budget = RetryBudget::default();
        for _ in 0..100 {
            budget.first_attempt(at(0));
        }
        assert_eq!((0..200).filter(|_| budget.try_retry(at(30))).count(), 30);
        assert_eq!((0..200).filter(|_| budget.try_retry(at(61))).count(), 0, "the first attempts are gone, the repeats are not");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_minute_ever_holds_more_than_the_budget(steps in prop::collection::vec((0i64..5, any::<bool>()), 1..400)) {
            let (mut budget, mut now) = (RetryBudget::default(), 0);
            let mut log: VecDeque<(i64, bool)> = VecDeque::new();
            for (wait, retry) in steps {
                now += wait;
                log.retain(|(when, _)| *when > now - 60);
                let first = log.iter().filter(|(_, retry)| !retry).count();
                let repeats = log.iter().filter(|(_, retry)| *retry).count();
                if retry {
                    let allowed = budget.try_retry(at(now));
                    prop_assert_eq!(allowed, repeats < first / 5 + 10);
                    if allowed {
                        log.push_back((now, true));
                    }
                } else {
                    budget.first_attempt(at(now));
                    log.push_back((now, false));
                }
            }
        }
    }
}

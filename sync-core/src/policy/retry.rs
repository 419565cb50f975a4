//! How often a call is repeated, and how long to wait before.

use std::time::Duration;

/// When a failed call is made again: exponential backoff with full jitter.
///
/// ```
/// use std::time::Duration;
/// use sync_core::policy::RetryPolicy;
///
/// let policy = RetryPolicy::default();
/// let asked = Duration::from_secs(9);
/// let wait = policy.delay(0, Some(asked), 7).expect("three retries are left");
/// assert!(wait >= asked);
/// assert_eq!(policy.delay(3, None, 7), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Repeats after the first attempt; 0 never repeats.
    pub max_retries: u32,
    /// The longest wait before the first repeat, when the service asked for none.
    pub base_delay: Duration,
    /// By how much the longest wait grows with each repeat.
    pub multiplier: f64,
    /// The longest wait never grows past this.
    pub max_delay: Duration,
    /// No repeat starts later than this after the first attempt; a wait that would is left to the caller (parked).
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    /// Three repeats, waits of up to 1, 2 and 4 s, all inside five minutes.
    fn default() -> Self {
        Self {
            max_retries: 3,
            base_delay: Duration::from_secs(1),
            multiplier: 2.0,
            max_delay: Duration::from_secs(60),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// A policy that never repeats.
    #[must_use]
    pub fn never() -> Self {
        Self { max_retries: 0, ..Self::default() }
    }

    /// The longest wait before repeat number `retry` (0 is the first), without jitter and without what the service asked for.
    #[must_use]
    pub fn backoff(&self, retry: u32) -> Duration {
        let grown = self.base_delay.as_secs_f64() * self.multiplier.powf(f64::from(retry));
        // a policy read from settings may hold anything: what is no duration is the longest one
        Duration::try_from_secs_f64(grown).map_or(self.max_delay, |wait| wait.min(self.max_delay))
    }

    /// How long to wait before repeat number `retry` (0 is the first), or `None` when none are left.
    ///
    /// The wait is uniform between zero and [`backoff`](Self::backoff), picked by `random`, a uniformly random number. With a `hint`
    /// of the service (`Retry-After`) it comes on top: never sooner than asked, and callers told the same time do not come back together.
    #[must_use]
    pub fn delay(&self, retry: u32, hint: Option<Duration>, random: u64) -> Option<Duration> {
        if retry >= self.max_retries {
            return None;
        }
        let nanos = u64::try_from(self.backoff(retry).as_nanos()).unwrap_or(u64::MAX);
        // (nanos + 1) * random / 2^64 is uniform over 0..=nanos and always fits
        let jitter = ((u128::from(nanos) + 1) * u128::from(random)) >> 64;
        let jitter = Duration::from_nanos(u64::try_from(jitter).unwrap_or(u64::MAX));
        Some(hint.unwrap_or_default().saturating_add(jitter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_longest_wait() {
        let policy = RetryPolicy { max_retries: 10, ..RetryPolicy::default() };
        let seconds: Vec<u64> = (0..8).map(|retry| policy.backoff(retry).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn jitter_reaches_from_zero_to_the_whole_backoff() {
        let policy = RetryPolicy::default();
        for (retry, random, expected) in [
            (0, 0, Duration::ZERO),
            (0, u64::MAX / 2, Duration::from_millis(500)),
            (0, u64::MAX, Duration::from_secs(1)),
            (2, u64::MAX, Duration::from_secs(4)),
        ] {
            let wait = policy.delay(retry, None, random).expect("retries left");
            assert!(wait.abs_diff(expected) <= Duration::from_nanos(1), "{retry} {random}: {wait:?}");
        }
    }

    #[test]
    fn none_are_left_after_the_last() {
        assert!(RetryPolicy::default().delay(2, None, 1).is_some());
        assert_eq!(RetryPolicy::default().delay(3, None, 1), None);
        assert_eq!(RetryPolicy::never().delay(0, Some(Duration::from_secs(1)), 1), None);
    }

    #[test]
    fn a_senseless_multiplier_waits_the_longest() {
        for multiplier in [f64::NAN, f64::INFINITY, -2.0, f64::MAX] {
            let policy = RetryPolicy { multiplier, ..RetryPolicy::default() };
            assert_eq!(policy.backoff(1), Duration::from_secs(60), "{multiplier}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_wait_is_never_sooner_than_asked_nor_later_than_asked_plus_backoff(
            retry in 0u32..12, hint in proptest::option::of(0u64..100_000), random: u64, base in 0u64..100_000, longest in 0u64..1_000_000,
        ) {
            let policy = RetryPolicy {
                max_retries: 10,
                base_delay: Duration::from_millis(base),
                max_delay: Duration::from_millis(longest),
                ..RetryPolicy::default()
            };
            let hint = hint.map(Duration::from_millis);
            match policy.delay(retry, hint, random) {
                None => prop_assert!(retry >= 10),
                Some(wait) => {
                    let asked = hint.unwrap_or_default();
                    prop_assert!(wait >= asked);
                    prop_assert!(wait <= asked + policy.backoff(retry));
                    prop_assert!(policy.backoff(retry) <= policy.max_delay);
                }
            }
        }
    }
}

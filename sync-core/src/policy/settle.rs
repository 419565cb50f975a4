//! What to do about a write whose answer was lost (reliability: WP3).

use std::time::Duration;

use chrono::{DateTime, Utc};

/// When a write that may have arrived is looked for, and when it may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlePolicy {
    /// How long after it was sent a request may still take effect.
    pub in_flight: Duration,
    /// What is waited on top of that.
    pub grace: Duration,
    /// The shortest time between two looks that count.
    pub between_looks: Duration,
    /// Looks that have to find nothing, the last one after the delay.
    pub looks: u32,
}

/// What comes next for a write whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Look for it now.
    Look,
    /// Nothing before this moment; then look.
    Wait(DateTime<Utc>),
    /// It never arrived and will not any more: make it again.
    Write,
}

impl SettlePolicy {
    /// The policy for requests that may be under way for `in_flight`: 30 s of grace, two empty looks 10 s apart.
    #[must_use]
    pub fn new(in_flight: Duration) -> Self {
        Self { in_flight, grace: Duration::from_secs(30), between_looks: Duration::from_secs(10), looks: 2 }
    }

    /// From when on a request that was sent at `sent` cannot take effect any more.
    #[must_use]
    pub fn settled_at(&self, sent: DateTime<Utc>) -> DateTime<Utc> {
        after(sent, self.in_flight.saturating_add(self.grace))
    }

    /// What comes next. `empty` is how many looks found nothing since it was sent and when the last of them was.
    #[must_use]
    pub fn next(&self, sent: DateTime<Utc>, empty: Option<(u32, DateTime<Utc>)>, now: DateTime<Utc>) -> Settle {
        let Some((looks, last)) = empty.filter(|(looks, _)| *looks > 0) else { return Settle::Look };
        let settled = self.settled_at(sent);
        if looks >= self.looks && last >= settled {
            return Settle::Write;
        }
        // The look that decides comes after the delay; those before it only save waiting when the write is found.
        let earliest = after(last, self.between_looks);
        let due = if looks + 1 >= self.looks { earliest.max(settled) } else { earliest };
        if now >= due { Settle::Look } else { Settle::Wait(due) }
    }
}

fn after(moment: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    chrono::Duration::from_std(span).ok().and_then(|span| moment.checked_add_signed(span)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

    fn at(seconds: i64) -> DateTime<Utc> {
        SENT + chrono::Duration::seconds(seconds)
    }

    #[test]
    fn a_second_look_comes_after_the_delay_and_ten_seconds_after_the_first() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        // looks so far and when the last was, now → what comes next
        for (empty, now, expected) in [
            (None, 0, Settle::Look),
            (Some((1, 0)), 1, Settle::Wait(at(60))),
            (Some((1, 0)), 59, Settle::Wait(at(60))),
            (Some((1, 0)), 60, Settle::Look),
            (Some((1, 55)), 60, Settle::Wait(at(65))),
            (Some((1, 70)), 75, Settle::Wait(at(80))),
            (Some((2, 59)), 61, Settle::Wait(at(69))),
            (Some((2, 60)), 60, Settle::Write),
            (Some((7, 90)), 90, Settle::Write),
        ] {
            let empty = empty.map(|(looks, last)| (looks, at(last)));
            assert_eq!(policy.next(SENT, empty, at(now)), expected, "{empty:?} at {now}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_written_again_before_the_delay_and_two_looks_apart(
            in_flight in 0u64..300,
            wakes in prop::collection::vec(0i64..120, 1..30),
        ) {
            let policy = SettlePolicy::new(Duration::from_secs(in_flight));
            let (mut now, mut empty, mut counted) = (0i64, None::<(u32, DateTime<Utc>)>, Vec::new());
            for wake in wakes {
                now += wake;
                match policy.next(SENT, empty, at(now)) {
                    Settle::Look => {
                        empty = Some((empty.map_or(0, |(looks, _)| looks) + 1, at(now)));
                        counted.push(now);
                    }
                    Settle::Wait(until) => prop_assert!(until > at(now)),
                    Settle::Write => {
                        prop_assert!(at(now) >= policy.settled_at(SENT));
                        prop_assert!(counted.len() >= 2);
                        prop_assert!(counted.windows(2).all(|pair| pair[1] - pair[0] >= 10));
                        prop_assert!(at(*counted.last().expect("looked")) >= policy.settled_at(SENT));
                        break;
                    }
                }
            }
        }

        #[test]
        fn who_waits_as_told_writes_in_the_end(in_flight in 0u64..300, first in 0i64..1000) {
            let policy = SettlePolicy::new(Duration::from_secs(in_flight));
            let (mut now, mut empty) = (at(first), None::<(u32, DateTime<Utc>)>);
            for _ in 0..8 {
                match policy.next(SENT, empty, now) {
                    Settle::Look => empty = Some((empty.map_or(0, |(looks, _)| looks) + 1, now)),
                    Settle::Wait(until) => now = until,
                    Settle::Write => return Ok(()),
                }
            }
            prop_assert!(false, "still not written: {empty:?}");
        }
    }
}

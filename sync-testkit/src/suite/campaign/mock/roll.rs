//! Chance, from one seed.

use std::{ops::RangeInclusive, time::Duration};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sync_core::Level;

use super::Trouble;

/// How often what goes wrong with a call, in cases of a thousand, and how long an answer takes. All 0 at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The connection is refused: nothing happened.
    pub failures: u32,
    /// The platform acted, its answer is lost.
    pub lost_answers: u32,
    /// The platform did not act; it looks like a lost answer.
    pub lost_requests: u32,
    /// The platform turns the call away for 30 s.
    pub busy: u32,
    /// The platform refuses the data, good as it is.
    pub refusals: u32,
    /// The shortest and the longest time an answer takes.
    pub delay: (Duration, Duration),
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    Good,
    Trouble(Trouble),
    Busy(Duration),
}

#[derive(Debug)]
pub(super) struct Roll(StdRng);

impl Roll {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(super) fn luck(&mut self, rates: &Rates) -> Luck {
        let mut drawn = self.0.random_range(0..1_000u32);
        for (rate, luck) in [
            (rates.failures, Luck::Trouble(Trouble::Refused)),
            (rates.lost_answers, Luck::Trouble(Trouble::LostAnswer)),
            (rates.lost_requests, Luck::Trouble(Trouble::LostRequest)),
            (rates.busy, Luck::Busy(Duration::from_secs(30))),
            (rates.refusals, Luck::Trouble(Trouble::Invalid)),
        ] {
            match drawn.checked_sub(rate) {
                None => return luck,
                Some(left) => drawn = left,
            }
        }
        Luck::Good
    }

    pub(super) fn delay(&mut self, rates: &Rates) -> Duration {
        let (shortest, longest) = rates.delay;
        if longest <= shortest {
            return shortest;
        }
        let span: RangeInclusive<u64> = 0..=u64::try_from((longest - shortest).as_micros()).unwrap_or(u64::MAX);
        shortest + Duration::from_micros(self.0.random_range(span))
    }

    /// An id as platforms give them for this level.
    pub(super) fn id(&mut self, level: Level, parent: Option<&str>) -> String {
        match level {
            Level::Campaign => format!("2{:010}", self.0.random_range(0..10_000_000_000u64)),
            Level::AdGroup => format!("15{:010}", self.0.random_range(0..10_000_000_000u64)),
            Level::Ad => format!("68{:010}", self.0.random_range(0..10_000_000_000u64)),
            Level::Keyword => format!("{}~{}", parent.unwrap_or_default(), self.0.random_range(10_000_000_000..400_000_000_000u64)),
            Level::Part(_) => {
                let mut number = self.0.next_u64() % 36u64.pow(7);
                let mut tail: Vec<char> = Vec::new();
                for _ in 0..7 {
                    tail.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
                    number /= 36;
                }
                format!("t3_{}", tail.into_iter().collect::<String>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_met_within_a_few_of_a_thousand() {
        let rates = Rates { failures: 100, lost_answers: 50, lost_requests: 20, busy: 10, refusals: 5, ..Rates::default() };
        let mut roll = Roll::new(7);
        let drawn: Vec<Luck> = (0..100_000).map(|_| roll.luck(&rates)).collect();
        let share = |wanted: Luck| drawn.iter().filter(|luck| **luck == wanted).count() / 100;
        for (wanted, rate) in [
            (Luck::Trouble(Trouble::Refused), 100),
            (Luck::Trouble(Trouble::LostAnswer), 50),
            (Luck::Trouble(Trouble::LostRequest), 20),
            (Luck::Busy(Duration::from_secs(30)), 10),
            (Luck::Trouble(Trouble::Invalid), 5),
            (Luck::Good, 815),
        ] {
            assert!(share(wanted).abs_diff(rate) <= 5, "{wanted:?}: {} of a thousand", share(wanted));
        }
    }

    #[test]
    fn ids_look_like_those_of_their_level() {
        let mut roll = Roll::new(7);
        let digits = |id: &str, length| id.len() == length && id.bytes().all(|byte| byte.is_ascii_digit());
        assert!(digits(&roll.id(Level::Campaign, None), 11));
        assert!(digits(&roll.id(Level::AdGroup, Some("1")), 12));
        assert!(digits(&roll.id(Level::Ad, Some("1")), 12));
        let keyword = roll.id(Level::Keyword, Some("150000000001"));
        assert!(keyword.starts_with("150000000001~") && keyword.len() >= 24, "{keyword}");
        let post = roll.id(Level::Part("post"), None);
        assert!(post.starts_with("t3_") && post.len() == 10, "{post}");
    }

    #[test]
    fn delays_stay_between_the_shortest_and_the_longest() {
        let (shortest, longest) = (Duration::from_millis(50), Duration::from_millis(60));
        let rates = Rates { delay: (shortest, longest), ..Rates::default() };
        let mut roll = Roll::new(7);
        let delays: Vec<_> = (0..1_000).map(|_| roll.delay(&rates)).collect();
        assert!(delays.iter().all(|delay| (shortest..=longest).contains(delay)));
        assert!(delays.iter().min() != delays.iter().max());
    }
}

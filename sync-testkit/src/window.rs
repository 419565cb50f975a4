//! A service's quota, as simulators keep it.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A fixed-window quota on the simulator's own clock: so many units, full again after so long. The first call opens the first window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    units: u32,
    per: Duration,
    opened: Option<DateTime<Utc>>,
    left: u32,
}

impl Window {
    /// A quota of `units` in `per`.
    #[must_use]
    pub fn new(units: u32, per: Duration) -> Self {
        Self { units, per, opened: None, left: units }
    }

    /// Takes `cost` units.
    ///
    /// # Errors
    /// The time until the window is full again, when fewer are left; nothing is taken then.
    pub fn take(&mut self, now: DateTime<Utc>, cost: u32) -> Result<(), Duration> {
        let open_for = self.opened.and_then(|opened| (now - opened).to_std().ok());
        let refills_in = match open_for.and_then(|open_for| self.per.checked_sub(open_for)).filter(|wait| !wait.is_zero()) {
            Some(wait) => wait,
            None => {
                self.opened = Some(now);
                self.left = self.units;
                self.per
            }
        };
        self.left = self.left.checked_sub(cost).ok_or(refills_in)?;
        Ok(())
    }

    /// Units left in the window that is open.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn a_window_is_empty_until_it_ends_and_full_afterwards() {
        let mut window = Window::new(3, Duration::from_secs(60));
        for (second, cost, expected) in [
            (5, 2, Ok(())),
            (10, 2, Err(55)),
            (10, 1, Ok(())),
            (64, 1, Err(1)),
            (65, 3, Ok(())),
            (66, 1, Err(59)),
            (500, 1, Ok(())),
            (501, 4, Err(59)),
        ] {
            assert_eq!(window.take(at(second), cost).map_err(|wait| wait.as_secs()), expected, "at {second} for {cost}");
        }
        assert_eq!(window.left(), 2);
    }
}

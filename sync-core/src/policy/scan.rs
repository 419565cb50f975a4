//! Ends scans that would never end.

use std::collections::{HashSet, VecDeque};

use twox_hash::XxHash3_64;

use crate::{Error, ErrorKind, Next, Result};

/// How many of the latest page tokens are remembered one by one.
const REMEMBERED: usize = 4096;

/// Watches the pages of one scan and refuses those that lead nowhere: a page token that came before, and empty pages without end.
///
/// A repeat of one of the last 4,096 tokens is found at once; a longer cycle after at most about three times round, by Brent's
/// method. Memory stays flat however long the scan is: tokens are kept as 64-bit hashes.
#[derive(Clone, Debug)]
pub struct LoopGuard {
    recent: VecDeque<u64>,
    known: HashSet<u64>,
    /// Brent's method: a token that stands still, and how many pages until it moves.
    standing: Option<u64>,
    steps: u64,
    power: u64,
    pages: u64,
    empty: u32,
    max_empty: u32,
}

impl Default for LoopGuard {
    fn default() -> Self {
        Self::new(1000)
    }
}

impl LoopGuard {
    /// A guard for a scan that begins; it lets `max_empty` empty pages in a row pass.
    #[must_use]
    pub fn new(max_empty: u32) -> Self {
        Self { recent: VecDeque::new(), known: HashSet::new(), standing: None, steps: 0, power: 1, pages: 0, empty: 0, max_empty }
    }

    /// Looks at what follows a page of so many records. Pages that are not ready yet and the end of a scan always pass.
    ///
    /// # Errors
    /// [`Decode`](ErrorKind::Decode) when the token was seen before in this scan, or after too many empty pages in a row.
    pub fn check(&mut self, next: &Next, records: usize) -> Result<()> {
        let Next::Page(token) = next else { return Ok(()) };
        self.pages += 1;
        self.empty = if records == 0 { self.empty + 1 } else { 0 };
        if self.empty > self.max_empty {
            let text = format!("the service answered {} empty pages in a row, each with another to follow", self.empty);
            return Err(Error::new(ErrorKind::Decode, "page", text));
        }
        if self.seen(XxHash3_64::oneshot(token.as_str().as_bytes())) {
            let text = format!("the page after number {} is one this scan has read before: the service pages in a circle", self.pages);
            return Err(Error::new(ErrorKind::Decode, "page", text));
        }
        Ok(())
    }

    fn seen(&mut self, token: u64) -> bool {
        if self.standing == Some(token) || !self.known.insert(token) {
            return true;
        }
        self.recent.push_back(token);
        if self.recent.len() > REMEMBERED
            && let Some(oldest) = self.recent.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.steps += 1;
        if self.steps == self.power {
            self.standing = Some(token);
            self.power *= 2;
            self.steps = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PageToken;

    fn page(n: u64) -> Next {
        Next::Page(PageToken::from(n.to_string()))
    }

    #[test]
    fn token_seen_before_is_refused() {
        let mut guard = LoopGuard::default();
        for n in 0..50 {
            guard.check(&page(n), 10).expect("new tokens pass");
        }
        let error = guard.check(&page(3), 10).expect_err("a repeated token");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.text().contains("circle"), "{error}");
    }

    #[test]
    fn empty_pages_pass_up_to_the_limit_and_records_start_the_count_anew() {
        let mut guard = LoopGuard::new(3);
        let mut pages = (0..).map(page);
        let mut check = |guard: &mut LoopGuard, records| guard.check(&pages.next().expect("endless"), records);
        for records in [0, 0, 0, 1, 0, 0, 0] {
            check(&mut guard, records).expect("not above the limit");
        }
        let error = check(&mut guard, 0).expect_err("four in a row");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.text().contains("4 empty pages"), "{error}");
    }

    #[test]
    fn waiting_for_one_page_is_no_loop() {
        let mut guard = LoopGuard::new(0);
        let waiting = Next::NotReady { after: std::time::Duration::from_secs(1), token: PageToken::from("job") };
        for _ in 0..5000 {
            guard.check(&waiting, 0).expect("not ready is not a page");
        }
        guard.check(&Next::End { complete: true }, 0).expect("the end is not a page");
    }

    #[test]
    fn memory_stays_flat_over_a_million_pages() {
        let mut guard = LoopGuard::default();
        for n in 0..1_000_000 {
            guard.check(&page(n), 1).expect("all different");
        }
        assert_eq!((guard.recent.len(), guard.known.len()), (REMEMBERED, REMEMBERED));
        assert!(guard.recent.capacity() <= 4 * REMEMBERED);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_cycle_is_found(lead in 0u64..20_000, length in 1u64..20_000) {
            let mut guard = LoopGuard::default();
            let limit = lead + 4 * (lead + length) + 8;
            let found = (0..limit).find(|n| {
                let token = if *n < lead { *n } else { lead + (n - lead) % length };
                guard.check(&page(token), 1).is_err()
            });
            let found = found.expect("found within a few rounds");
            prop_assert!(found >= lead + length, "no token repeats before page {}", lead + length);
        }
    }
}

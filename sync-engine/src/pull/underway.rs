//! Commits that are under way: handed over in order, answered in order.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    future::BoxFuture,
    stream::{FuturesOrdered, StreamExt as _},
};
use sync_core::{Error, ErrorKind, Result};

/// At most so many commits as the storage takes at once. They begin in the order they were handed over, and their answers are told in
/// that order too, whichever ends first.
pub(super) struct Underway<'a, T> {
    commits: FuturesOrdered<BoxFuture<'a, Result<T>>>,
    at_once: usize,
    /// One has failed: what has not begun does not begin.
    failed: Arc<AtomicBool>,
}

impl<T> fmt::Debug for Underway<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} commits under way", self.commits.len(), self.at_once)
    }
}

impl<'a, T: Send + 'a> Underway<'a, T> {
    pub(super) fn new(at_once: usize) -> Self {
        Self { commits: FuturesOrdered::new(), at_once: at_once.max(1), failed: Arc::default() }
    }

    /// Whether an answer has to come before another commit may begin.
    pub(super) fn full(&self) -> bool {
        self.commits.len() >= self.at_once
    }

    /// Lets a commit begin, at the next time an answer is waited for. Only while it is not [`full`](Self::full).
    pub(super) fn push(&mut self, commit: BoxFuture<'a, Result<T>>) {
        debug_assert!(!self.full(), "{self:?}: another was handed over");
        let failed = Arc::clone(&self.failed);
        self.commits.push_back(Box::pin(async move {
            if failed.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Cancelled, "commit", "the commit before it failed"));
            }
            let written = commit.await;
            failed.fetch_or(written.is_err(), Ordering::Relaxed);
            written
        }));
    }

    /// The answer of the oldest one; `None` when there is none. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<T>> {
        self.commits.next().await
    }

    /// Waits until all that have begun have ended, whatever they answer; no other begins.
    pub(super) async fn end(&mut self) {
        self.failed.store(true, Ordering::Relaxed);
        while self.next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(begun: &Arc<AtomicBool>) -> BoxFuture<'static, Result<()>> {
        let begun = Arc::clone(begun);
        Box::pin(async move {
            begun.store(true, Ordering::Relaxed);
            Ok(())
        })
    }

    #[tokio::test]
    async fn behind_one_that_failed_none_begins_whoever_is_looked_at_first() {
        let begun = Arc::new(AtomicBool::new(false));
        let mut underway = Underway::new(2);
        underway.push(Box::pin(async { Err(Error::new(ErrorKind::Storage, "commit", "the disk is full")) }));
        underway.push(begins(&begun));
        assert_eq!(underway.next().await.expect("an answer").expect_err("it failed").kind(), ErrorKind::Storage);
        underway.end().await;
        assert!(!begun.load(Ordering::Relaxed), "its cursor would cover what was not written");
    }

    #[tokio::test]
    async fn what_was_handed_over_and_not_begun_when_the_run_ends_does_not_begin() {
        let begun = Arc::new(AtomicBool::new(false));
        let mut underway = Underway::new(2);
        underway.push(begins(&begun));
        underway.end().await;
        assert!(!begun.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn answers_come_in_order() {
        let mut underway = Underway::new(2);
        underway.push(Box::pin(async {
            tokio::task::yield_now().await;
            Ok(1)
        }));
        underway.push(Box::pin(async { Ok(2) }));
        assert!(underway.full());
        assert_eq!([underway.next().await, underway.next().await].map(|answer| answer.and_then(Result::ok)), [Some(1), Some(2)]);
    }
}

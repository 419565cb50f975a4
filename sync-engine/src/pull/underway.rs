//! Commits that are under way: handed over in order, answered in order.

use std::fmt;

use futures_util::{
    future::BoxFuture,
    stream::{FuturesOrdered, StreamExt as _},
};
use sync_core::Result;

/// At most so many commits as the storage takes at once. They begin in the order they were handed over, and their answers are told in
/// that order too, whichever ends first.
pub(super) struct Underway<'a, T> {
    commits: FuturesOrdered<BoxFuture<'a, Result<T>>>,
    at_once: usize,
}

impl<T> fmt::Debug for Underway<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} commits under way", self.commits.len(), self.at_once)
    }
}

impl<'a, T> Underway<'a, T> {
    pub(super) fn new(at_once: usize) -> Self {
        Self { commits: FuturesOrdered::new(), at_once: at_once.max(1) }
    }

    /// Whether an answer has to come before another commit may begin.
    pub(super) fn full(&self) -> bool {
        self.commits.len() >= self.at_once
    }

    /// Lets a commit begin, at the next time an answer is waited for. Only while it is not [`full`](Self::full).
    pub(super) fn push(&mut self, commit: BoxFuture<'a, Result<T>>) {
        debug_assert!(!self.full(), "{self:?}: another was handed over");
        self.commits.push_back(commit);
    }

    /// The answer of the oldest one; `None` when there is none. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<T>> {
        self.commits.next().await
    }

    /// Waits until all have ended, whatever they answer.
    pub(super) async fn end(&mut self) {
        while self.next().await.is_some() {}
    }
}

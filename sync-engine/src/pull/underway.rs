//! Commits that are under way: handed over in order, answered in order.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesOrdered, StreamExt as _},
};
use sync_core::Result;

/// At most so many commits as the storage takes at once. They begin in the order they were handed over, and their answers are told in
/// that order too, whichever ends first.
pub(super) struct Underway<'a, T> {
    /// Each answers `None` when it was not begun before the end.
    commits: FuturesOrdered<BoxFuture<'a, Option<Result<T>>>>,
    at_once: usize,
    ending: Arc<AtomicBool>,
}

impl<T> fmt::Debug for Underway<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} commits under way", self.commits.len(), self.at_once)
    }
}

impl<'a, T: Send + 'a> Underway<'a, T> {
    pub(super) fn new(at_once: usize) -> Self {
        Self { commits: FuturesOrdered::new(), at_once: at_once.max(1), ending: Arc::default() }
    }

    /// Whether an answer has to come before another commit may begin.
    pub(super) fn full(&self) -> bool {
        self.commits.len() >= self.at_once
    }

    /// Lets a commit begin, at the next time an answer is waited for. Only while it is not [`full`](Self::full).
    pub(super) fn push(&mut self, commit: BoxFuture<'a, Result<T>>) {
        debug_assert!(!self.full(), "{self:?}: another was handed over");
        let ending = Arc::clone(&self.ending);
        self.commits.push_back(async move { if ending.load(Ordering::Relaxed) { None } else { Some(commit.await) } }.boxed());
    }

    /// The answer of the oldest one; `None` when there is none. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Option<Result<T>> {
        self.commits.next().await.flatten()
    }

    /// Waits until all that have begun have ended, whatever they answer. One that was handed over and not begun never does: it would come
    /// after one that failed.
    pub(super) async fn end(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        while self.commits.next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use sync_core::{Error, ErrorKind};
    use tokio::sync::oneshot;

    use super::*;

    fn failing<'a>() -> BoxFuture<'a, Result<()>> {
        async { Err(Error::new(ErrorKind::Storage, "commit", "planted")) }.boxed()
    }

    #[tokio::test]
    async fn a_commit_behind_a_failed_one_is_not_begun_at_the_end() {
        let begun = AtomicBool::new(false);
        let mut underway = Underway::new(2);
        underway.push(failing());
        let second = async {
            begun.store(true, Ordering::Relaxed);
            Ok(())
        };
        underway.push(second.boxed());
        underway.next().await.expect("an answer").expect_err("the first fails");
        underway.end().await;
        assert!(!begun.load(Ordering::Relaxed), "the second came after one that failed");
    }

    #[tokio::test]
    async fn a_commit_that_has_begun_is_waited_for() {
        let (go, going) = oneshot::channel();
        let ended = AtomicBool::new(false);
        let mut underway = Underway::new(2);
        let (fail, failed) = oneshot::channel::<()>();
        underway.push(failed.then(|_| failing()).boxed());
        let second = going.map(|_| {
            ended.store(true, Ordering::Relaxed);
            Ok(())
        });
        underway.push(second.boxed());
        assert!(underway.next().now_or_never().is_none(), "both have begun");
        fail.send(()).expect("it waits");
        underway.next().await.expect("an answer").expect_err("the first fails");
        {
            let mut end = Box::pin(underway.end());
            assert!((&mut end).now_or_never().is_none(), "the second one goes on");
            go.send(()).expect("it waits");
            end.await;
        }
        assert!(ended.load(Ordering::Relaxed));
    }
}

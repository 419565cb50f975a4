//! What can go wrong between a client and a service, on request.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::hold::Holds;

/// One fault of one call. In-process and over a socket it looks the same to a client, but for [`Refused`](Self::Refused).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This answer instead of the service's; the service does not act.
    Status {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: String,
    },
    /// A page for people with status 200, as proxies and login walls give; the service does not act.
    Html,
    /// The service acts and answers; the connection is cut after so many bytes of the body, or one byte before its end.
    Cut(usize),
    /// The connection is refused: the request surely never arrives. A socket that is already open cannot refuse; there it looks like
    /// [`LostRequest`](Self::LostRequest).
    Refused,
    /// The service acts, its answer is lost.
    LostAnswer,
    /// The service does not act; to the client it looks like [`LostAnswer`](Self::LostAnswer).
    LostRequest,
    /// So many MiB of JSON with status 200; the service does not act.
    Huge(usize),
    /// This body with status 200; the service does not act.
    Body(String),
    /// No body with status 200; the service does not act.
    Empty,
    /// The service acts and answers after this long on the simulation's clock; a client that waits less sees a time-out.
    Slow(Duration),
    /// The service has the request and does nothing until [`Faults::release`]. Then it acts and answers, even if the client is gone: a
    /// request that arrives late.
    HeldRequest,
    /// The service acts; its answer waits for [`Faults::release`].
    HeldAnswer,
    /// No fault: this call goes as if none had been planted, and the next one is struck.
    Pass,
}

impl Fault {
    /// A [`Status`](Self::Status) with a JSON body.
    #[must_use]
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Status { status, headers: vec![("content-type", "application/json".to_owned())], body: body.into() }
    }

    /// A 429 with `Retry-After` in seconds.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::Status { status: 429, headers: vec![("retry-after", retry_after.to_string())], body: String::new() }
    }
}

/// Faults per operation, used up in order. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    queues: Arc<Mutex<Queues>>,
    pub(super) holds: Holds,
}

#[derive(Debug, Default)]
struct Queues {
    waiting: BTreeMap<String, VecDeque<Fault>>,
    used: usize,
}

impl Faults {
    /// The next call of `operation` without one yet gets `fault`.
    pub fn push(&self, operation: impl Into<String>, fault: Fault) {
        self.push_times(operation, fault, 1);
    }

    /// The next `times` calls of `operation` without one yet get `fault`.
    pub fn push_times(&self, operation: impl Into<String>, fault: Fault, times: usize) {
        self.queues().waiting.entry(operation.into()).or_default().extend(std::iter::repeat_n(fault, times));
    }

    /// How many faults were used; a test that plants one can see that it struck.
    #[must_use]
    pub fn used(&self) -> usize {
        self.queues().used
    }

    /// How many are still waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queues().waiting.values().map(VecDeque::len).sum()
    }

    /// Forgets those that are still waiting.
    pub fn clear(&self) {
        self.queues().waiting.clear();
    }

    /// How many calls were held so far, those that were released included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.holds.count()
    }

    /// Waits until so many calls were held in all. What a [`HeldAnswer`](Fault::HeldAnswer) does is done by then.
    pub async fn until_held(&self, calls: usize) {
        self.holds.until(calls).await;
    }

    /// Lets every call go on that is held now.
    pub fn release(&self) {
        self.holds.release();
    }

    pub(super) fn take(&self, operation: &str) -> Option<Fault> {
        let mut queues = self.queues();
        let fault = queues.waiting.get_mut(operation)?.pop_front().filter(|fault| *fault != Fault::Pass)?;
        queues.used += 1;
        Some(fault)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// JSON of at least `mib` MiB.
pub(super) fn huge(mib: usize) -> String {
    const ITEM: &str = r#"{"id":"0123456789abcdef","text":"all work and no play"},"#;
    let items = (mib << 20).div_ceil(ITEM.len());
    [r#"{"ok":true,"items":["#, &ITEM.repeat(items), "null]}"].concat()
}

//! One simulated service with its faults, clock and call log.

use std::{
    fmt::Debug,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, request::Parts};
use sync_http::HttpTransport;

use super::{Fault, Faults, SimAnswer, SimRequest, fault::huge, transport::SimTransport};
use crate::VirtualClock;

/// A service's behaviour: its real paths, paging, quotas and error bodies. State stands behind a lock of its own.
pub trait Simulator: Debug + Send + Sync + 'static {
    /// What the request asks for, by the provider's own operation name (`slack.conversations.history`); faults queue by it.
    fn operation(&self, request: &SimRequest) -> &'static str;

    /// The service's answer.
    fn answer(&self, request: &SimRequest) -> SimAnswer;

    /// What it simulates, for people who look at a sandbox.
    fn simulated(&self) -> &'static [Simulated] {
        &[]
    }

    /// What the real service has and this one has not, in words, for the same people.
    fn not_simulated(&self) -> &'static [&'static str] {
        &[]
    }
}

/// One call a simulated service answers as the real one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The provider's name of the operation, as [`Simulator::operation`] gives it.
    pub operation: &'static str,
    /// Method and path: `GET /v4/spreadsheets/{spreadsheetId}`.
    pub request: &'static str,
    /// Where it differs from the real one; empty where it does not.
    pub note: &'static str,
}

const _: Option<&dyn Simulator> = None;

/// One call a simulated service received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it asked for.
    pub operation: &'static str,
    /// GET, POST, …
    pub method: Method,
    /// Where it was sent to; empty when the request does not say.
    pub host: String,
    /// Path and query as they were sent.
    pub path_and_query: String,
    /// The status it was answered with; `None` when no answer left.
    pub status: Option<u16>,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// What a test does to a simulated service whatever it simulates: faults, call log, latency. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    faults: Faults,
    calls: Arc<Mutex<Vec<Call>>>,
    latency_micros: Arc<AtomicU64>,
}

impl Controls {
    /// The faults to come.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every call so far, in the order they came. One that was refused never came and is not among them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.log().clone()
    }

    /// How many calls of `operation` came.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.log().iter().filter(|call| call.operation == operation).count()
    }

    /// Sets how long each answer takes from now on.
    pub fn latency(&self, latency: Duration) {
        self.latency_micros.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn log(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One simulated service with faults, clock and call log. Clones are the same service.
#[derive(Debug)]
pub struct Simulation<S> {
    sim: Arc<S>,
    controls: Controls,
    clock: Option<VirtualClock>,
}

impl<S> Clone for Simulation<S> {
    fn clone(&self) -> Self {
        Self { sim: Arc::clone(&self.sim), controls: self.controls.clone(), clock: self.clock.clone() }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) struct Fate {
    /// How long it takes.
    pub(super) delay: Duration,
    pub(super) end: End,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum End {
    Answer(SimAnswer),
    /// The head and so many bytes of the body, then nothing.
    Cut(SimAnswer, usize),
    Lost,
    Refused,
    /// Nothing yet.
    Held(Box<Held>),
}

/// A call that stands still, and how far it came.
#[derive(Debug)]
pub(super) enum Held {
    Request(SimRequest),
    Answer(SimAnswer),
}

impl<S: Simulator> Simulation<S> {
    /// A service on the real clock.
    #[must_use]
    pub fn new(sim: S) -> Self {
        Self { sim: Arc::new(sim), controls: Controls::default(), clock: None }
    }

    /// Puts the service on a virtual clock: its time, its delays.
    #[must_use]
    pub fn with_clock(mut self, clock: VirtualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A transport that reaches this service without a network.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn HttpTransport> {
        Arc::new(SimTransport(self.clone()))
    }

    /// Faults, call log and latency, for those who need not know what is simulated.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The faults to come.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.controls.faults()
    }

    /// Every call so far, in the order they came. One that was refused never came and is not among them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.controls.calls()
    }

    /// How many calls of `operation` came.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.controls.count(operation)
    }

    /// The service itself.
    #[must_use]
    pub fn sim(&self) -> &S {
        &self.sim
    }

    /// Sets how long each answer takes from now on.
    pub fn latency(&self, latency: Duration) {
        self.controls.latency(latency);
    }

    /// The service's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.as_ref().map_or_else(Utc::now, VirtualClock::now)
    }

    pub(super) async fn wait(&self, wait: Duration) {
        match &self.clock {
            _ if wait.is_zero() => {}
            Some(clock) => clock.sleep(wait).await,
            None => tokio::time::sleep(wait).await,
        }
    }

    /// Decides what becomes of a request, lets the service act where it does, and logs the call.
    pub(super) fn receive(&self, head: Parts, body: Bytes) -> Fate {
        let (method, at) = (head.method.clone(), self.now());
        let path_and_query = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = head.uri.host().or(named).unwrap_or_default().to_owned();
        let request = SimRequest::new(head, body, at);
        let operation = self.sim.operation(&request);
        let mut delay = Duration::from_micros(self.controls.latency_micros.load(Ordering::Relaxed));
        let mut end = match self.faults().take(operation) {
            None => End::Answer(self.sim.answer(&request)),
            Some(Fault::Status { status, headers, body }) => End::Answer(SimAnswer { status, headers, body: body.into() }),
            Some(Fault::Html) => End::Answer(SimAnswer::html(200, "<!DOCTYPE html><title>Sign in</title><h1>Sign in to continue</h1>")),
            Some(Fault::Cut(after)) => End::Cut(self.sim.answer(&request), after),
            Some(Fault::Refused) => End::Refused,
            Some(Fault::LostAnswer) => {
                self.sim.answer(&request);
                End::Lost
            }
            Some(Fault::LostRequest) => End::Lost,
            Some(Fault::Huge(mib)) => End::Answer(SimAnswer::new(200, "application/json", huge(mib))),
            Some(Fault::Body(body)) => End::Answer(SimAnswer::new(200, "application/json", body)),
            Some(Fault::Empty) => End::Answer(SimAnswer { status: 200, headers: Vec::new(), body: Bytes::new() }),
            Some(Fault::Slow(slow)) => {
                delay += slow;
                End::Answer(self.sim.answer(&request))
            }
            Some(Fault::Pass) => End::Answer(self.sim.answer(&request)),
            Some(Fault::HeldRequest) => End::Held(Box::new(Held::Request(request))),
            Some(Fault::HeldAnswer) => End::Held(Box::new(Held::Answer(self.sim.answer(&request)))),
        };
        let status = match &mut end {
            End::Answer(answer) | End::Cut(answer, _) => {
                // every real service says when it answered; clients count dates in other headers from there
                if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
                    answer.headers.push(("date", httpdate::fmt_http_date((at + delay).into())));
                }
                Some(answer.status)
            }
            End::Lost | End::Refused | End::Held(_) => None,
        };
        if !matches!(end, End::Refused) {
            self.controls.log().push(Call { operation, method, host, path_and_query, status, at });
        }
        Fate { delay, end }
    }
}

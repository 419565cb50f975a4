//! What the engine lends a provider, without an engine.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use futures_util::future::BoxFuture;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::value::RawValue;
use sync_core::{
    AccessToken, CallOutcome, CallSite, ConnectionId, Error, ErrorKind, Permit, Result, SecretString, Services, SyncContext, WorkspaceId,
};

use crate::VirtualClock;

/// Services without engine or database: one token for every connection, leave for every call unless scripted otherwise, a virtual clock,
/// seeded randomness, everything counted. Clones are the same services.
#[derive(Clone, Debug)]
pub struct TestServices {
    clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    token: SecretString,
    version: u64,
    refreshes: VecDeque<SecretString>,
    permits: VecDeque<Error>,
    random: StdRng,
    calls: ServiceCalls,
}

/// What was asked of [`TestServices`].
#[derive(Clone, Debug, Default)]
pub struct ServiceCalls {
    /// Tokens handed out.
    pub tokens: usize,
    /// Token versions a 401 came for, in order.
    pub rejected: Vec<u64>,
    /// Calls that were let through, as (bucket, cost), in order.
    pub permits: Vec<(String, u32)>,
    /// How they went, in the order of their ends.
    pub outcomes: Vec<CallOutcome>,
    /// Permits that were dropped without a report.
    pub unreported: usize,
}

impl TestServices {
    /// Services whose randomness replays from `seed`, on a clock that stands at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let at = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a real date");
        let state = State {
            token: SecretString::from("test-token"),
            version: 1,
            refreshes: VecDeque::new(),
            permits: VecDeque::new(),
            random: StdRng::seed_from_u64(seed),
            calls: ServiceCalls::default(),
        };
        Self { clock: VirtualClock::new(at), state: Arc::new(Mutex::new(state)) }
    }

    /// Sets the token; default `test-token`.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        self.state().token = SecretString::from(token);
        self
    }

    /// Sets the tokens that refused ones are renewed with, in order; with none left a renewal fails.
    #[must_use]
    pub fn with_refresh(self, tokens: &[&str]) -> Self {
        self.state().refreshes = tokens.iter().map(|token| SecretString::from(*token)).collect();
        self
    }

    /// The next call is not let through but answered with `error`; more of them queue.
    pub fn refuse_permit(&self, error: Error) {
        self.state().permits.push_back(error);
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// A context in workspace `test` for connection `c1` with these settings and five minutes to the deadline.
    ///
    /// # Panics
    /// Never: a JSON value can always be written.
    #[must_use]
    pub fn context(&self, settings: serde_json::Value) -> SyncContext {
        let settings: Box<RawValue> = serde_json::value::to_raw_value(&settings).expect("a JSON value can be written");
        SyncContext {
            workspace: WorkspaceId::from("test"),
            connection: ConnectionId::from("c1"),
            settings: Arc::from(settings),
            deadline: self.clock.now() + Duration::from_secs(300),
            services: Arc::new(self.clone()),
        }
    }

    /// What was asked so far.
    #[must_use]
    pub fn calls(&self) -> ServiceCalls {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Services for TestServices {
    async fn token(&self, _: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        let mut state = self.state();
        if let Some(version) = rejected {
            state.calls.rejected.push(version);
            if version >= state.version {
                let renewed = state
                    .refreshes
                    .pop_front()
                    .ok_or_else(|| Error::new(ErrorKind::Auth, "token", "there is nothing to renew the token with"))?;
                state.token = renewed;
                state.version += 1;
            }
        }
        state.calls.tokens += 1;
        Ok(AccessToken { secret: state.token.clone(), version: state.version })
    }

    async fn permit(&self, call: &CallSite<'_>, _: DateTime<Utc>) -> Result<Permit> {
        let mut state = self.state();
        if let Some(error) = state.permits.pop_front() {
            return Err(error);
        }
        state.calls.permits.push((call.bucket.to_owned(), call.cost));
        let services = self.clone();
        Ok(Permit::new(move |outcome| {
            let calls = &mut services.state().calls;
            match outcome {
                Some(outcome) => calls.outcomes.push(outcome),
                None => calls.unreported += 1,
            }
        }))
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(wait)
    }

    fn random(&self) -> u64 {
        self.state().random.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_refused_token_is_renewed_once_per_version() {
        let services = TestServices::new(1).with_token("first").with_refresh(&["second"]);
        let connection = ConnectionId::from("c1");
        let first = services.token(&connection, None).await.expect("a token");
        let second = services.token(&connection, Some(first.version)).await.expect("a renewed one");
        let again = services.token(&connection, Some(first.version)).await.expect("the newer one that is there");
        assert_eq!((second.secret.expose_secret(), again.secret.expose_secret()), ("second", "second"));
        let error = services.token(&connection, Some(second.version)).await.expect_err("nothing left");
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert_eq!(services.calls().rejected, [1, 1, 2]);
    }

    #[tokio::test]
    async fn permits_are_counted_with_what_became_of_them() {
        let services = TestServices::new(1);
        let cx = services.context(serde_json::json!({}));
        let site = CallSite { workspace: &cx.workspace, connection: None, host: "x", bucket: "reads", cost: 3 };
        drop(services.permit(&site, cx.deadline).await.expect("leave"));
        services.refuse_permit(Error::new(ErrorKind::CircuitOpen, "permit", "open"));
        assert_eq!(services.permit(&site, cx.deadline).await.expect_err("scripted").kind(), ErrorKind::CircuitOpen);
        let calls = services.calls();
        assert_eq!((calls.permits, calls.unreported, calls.outcomes.len()), (vec![("reads".to_owned(), 3)], 1, 0));
    }

    #[test]
    fn a_seed_replays() {
        let draw = |seed| (0..4).map(|_| 0).scan(TestServices::new(seed), |services, _: i32| Some(services.random())).collect::<Vec<_>>();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}

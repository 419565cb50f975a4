//! What the engine lends a provider for one call: a fresh token, the fleet's quota and breaker, the clock.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::value::RawValue;

use crate::{ConnectionId, Result, WorkspaceId};

/// A credential as it is sent, with the version that tells a newer one from a refused one.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The text to send. `Debug` shows `[REDACTED]`, memory is zeroed on drop.
    pub secret: SecretString,
    /// Grows with each refresh.
    pub version: u64,
}

/// Where a call is about to go and what it costs there.
#[derive(Clone, Copy, Debug)]
pub struct CallSite<'a> {
    /// The tenant it is made for.
    pub workspace: &'a WorkspaceId,
    /// The account it is made with; `None` while OAuth is still making one.
    pub connection: Option<&'a ConnectionId>,
    /// Host name (and port) of the service; the breaker counts by it.
    pub host: &'a str,
    /// Name of the quota it draws from, one of the descriptor's [`Quota`](crate::Quota)s.
    pub bucket: &'a str,
    /// Units of that quota, usually 1.
    pub cost: u32,
}

/// Leave to make one call. Dropped without a report the breaker hears nothing of it; the quota it drew stays drawn, since the call may
/// have left.
pub struct Permit(Option<Box<dyn FnOnce(Option<CallOutcome>) + Send>>);

impl Permit {
    /// A permit that tells `back` how the call went, or `None` when it was never reported.
    pub fn new(back: impl FnOnce(Option<CallOutcome>) + Send + 'static) -> Self {
        Self(Some(Box::new(back)))
    }

    /// A permit nobody waits for.
    #[must_use]
    pub fn free() -> Self {
        Self(None)
    }

    /// Reports how the call went.
    pub fn report(mut self, outcome: CallOutcome) {
        if let Some(back) = self.0.take() {
            back(Some(outcome));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(back) = self.0.take() {
            back(None);
        }
    }
}

impl Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

/// What an answer says about the service's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It failed: refused, reset, timed out, 5xx, unreadable.
    Failed,
    /// Says nothing about it: 4xx, 429, cancelled.
    Ignored,
}

/// What one attempt taught.
#[derive(Clone, Copy, Debug)]
pub struct CallOutcome {
    /// For the breaker.
    pub health: Health,
    /// How long it took.
    pub took: Duration,
    /// Calls left in the bucket, when the answer said so.
    pub left: Option<u32>,
    /// When the bucket is full again, or how long a 429 asked to wait.
    pub resets_in: Option<Duration>,
}

/// What the engine lends a provider. In one process at first, backed by the database for a fleet, the testkit's own in tests;
/// no provider changes for it.
#[async_trait]
pub trait Services: Debug + Send + Sync {
    /// A token that is good now. `rejected` is the version a 401 came for: refreshes once, unless a newer one is already there.
    ///
    /// # Errors
    /// [`Auth`](crate::ErrorKind::Auth) when there is nothing to refresh with, [`Key`](crate::ErrorKind::Key) when it cannot be opened.
    async fn token(&self, connection: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken>;

    /// Waits for quota and breaker.
    ///
    /// # Errors
    /// [`RateLimited`](crate::ErrorKind::RateLimited) or [`CircuitOpen`](crate::ErrorKind::CircuitOpen) with
    /// [`Retry::After`](crate::Retry::After) when the wait would pass `deadline`: the work is parked, not slept.
    async fn permit(&self, call: &CallSite<'_>, deadline: DateTime<Utc>) -> Result<Permit>;

    /// The time.
    fn now(&self) -> DateTime<Utc>;

    /// Waits; dropping the future ends the wait.
    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()>;

    /// A uniformly random number, for jitter. Seeded in tests, so that a failure replays.
    fn random(&self) -> u64;
}

/// For whom and with what a call is made. Cheap to clone; owned, so that a create can run on a task of its own.
#[derive(Clone, Debug)]
pub struct SyncContext {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The account.
    pub connection: ConnectionId,
    /// The connection's settings, a JSON object.
    pub settings: Arc<RawValue>,
    /// No attempt starts and no wait ends after this.
    pub deadline: DateTime<Utc>,
    /// Token, quota, clock.
    pub services: Arc<dyn Services>,
}

impl SyncContext {
    /// The settings as the provider's own type.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming the setting that is missing, unknown or of the wrong type.
    pub fn settings<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.settings.get())
            .map_err(|e| crate::Error::config("settings", format!("the connection's settings do not fit: {e}")))
    }
}

const _: Option<&dyn Services> = None;

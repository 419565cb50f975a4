//! Putting an engine together.

use std::{sync::Arc, time::Duration};

use sync_core::{Error, IntegrationSync, Registry, Result, mapping::Transforms, store::Storage};
use tokio::sync::broadcast;

use crate::{
    Clock, Keyring, Syncline, SystemClock,
    crash::CrashPoints,
    push::RecordSource,
    run::{Stopping, Turns},
    services::{Breakers, Limits, Overrides, Shared},
    syncline::{Engine, Unended},
};

/// Events kept for a reader that is behind.
const EVENTS_KEPT: usize = 1024;

/// Collects storage, keyring and providers; [`build`](Self::build) reports every problem at once.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    storage: Option<Arc<dyn Storage>>,
    keyring: Option<Keyring>,
    providers: Vec<Arc<dyn IntegrationSync>>,
    clock: Option<Arc<dyn Clock>>,
    quotas: Overrides,
    transforms: Transforms,
    source: Option<Arc<dyn RecordSource>>,
    crash_points: CrashPoints,
}

impl Builder {
    /// Where state and rows are kept. Required.
    pub fn storage(self, storage: impl Storage) -> Self {
        self.shared_storage(Arc::new(storage))
    }

    /// The same, for a storage the host holds on to.
    pub fn shared_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// The keys credentials are sealed with. Required.
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Adds a provider.
    pub fn provider(mut self, provider: impl IntegrationSync) -> Self {
        self.providers.push(Arc::new(provider));
        self
    }

    /// Sets a quota that differs from the provider's default: `units` in each `per`, for every account.
    pub fn quota(mut self, provider: &str, bucket: &str, units: u32, per: Duration) -> Self {
        self.quotas.insert((provider.into(), bucket.into()), (units, per));
        self
    }

    /// The transforms mappings may name; the built-in ones by default.
    pub fn transforms(mut self, transforms: Transforms) -> Self {
        self.transforms = transforms;
        self
    }

    /// Rows of the host's own, for pushes of whole tables ([`Push::source`](crate::Push::source)).
    pub fn source(mut self, source: impl RecordSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What happens at named places of a run; for crash tests.
    #[doc(hidden)]
    pub fn on_crash_point(mut self, at: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        self.crash_points = CrashPoints::new(at);
        self
    }

    /// Builds the engine and ends runs whose process is gone.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming everything that is missing or registered twice.
    pub async fn build(self) -> Result<Syncline> {
        let mut problems = Vec::new();
        let mut registry = Registry::default();
        for provider in self.providers {
            if let Err(error) = registry.register(provider) {
                problems.push(error.text().to_owned());
            }
        }
        if self.storage.is_none() {
            problems.push("no storage was given: call storage(…)".to_owned());
        }
        if self.keyring.is_none() {
            problems.push("no keyring was given: call keyring(…)".to_owned());
        }
        let (Some(storage), Some(keyring), true) = (self.storage, self.keyring, problems.is_empty()) else {
            return Err(Error::config("build", problems.join("; ")));
        };
        let interrupted = storage.fleet().reap().await?;
        if interrupted > 0 {
            tracing::warn!(runs = interrupted, "ended runs whose process is gone; the next pull goes on from their last commit");
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let shared = Shared { clock, keyring, limits: Limits::new(self.quotas), breakers: Breakers::default() };
        Ok(Syncline(Arc::new(Engine {
            storage,
            registry,
            shared: Arc::new(shared),
            transforms: self.transforms,
            events: broadcast::Sender::new(EVENTS_KEPT),
            crash_points: self.crash_points,
            unended: Unended::default(),
            stopping: Stopping::default(),
            turns: Turns::default(),
            source: self.source,
        })))
    }
}

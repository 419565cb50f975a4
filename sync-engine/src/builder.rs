//! Putting an engine together.

use std::{sync::Arc, time::Duration};

use sync_core::{Error, IntegrationSync, Registry, Result, mapping::Transforms, store::Storage};
use tokio::sync::broadcast;

use crate::{
    Clock, KeySource, Keyring, OAuthClient, Syncline, SystemClock,
    crash::CrashPoints,
    oauth::Clients,
    push::RecordSource,
    run::{Stopping, Turns},
    services::{Breakers, Limits, Overrides, Shared},
    syncline::{Engine, Unended},
    vault,
};

/// Events kept for a reader that is behind.
const EVENTS_KEPT: usize = 1024;

/// Collects storage, keyring and providers; [`build`](Self::build) reports every problem at once.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    storage: Option<Arc<dyn Storage>>,
    keyring: Option<Keyring>,
    key_source: Option<Arc<dyn KeySource>>,
    providers: Vec<Arc<dyn IntegrationSync>>,
    clock: Option<Arc<dyn Clock>>,
    quotas: Overrides,
    transforms: Transforms,
    source: Option<Arc<dyn RecordSource>>,
    clients: Clients,
    return_paths: Vec<Box<str>>,
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

    /// The keys credentials are sealed with. Required, or a [`key_source`](Self::key_source).
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Where to ask for the keys, in the place of a [`keyring`](Self::keyring).
    pub fn key_source(mut self, source: impl KeySource + 'static) -> Self {
        self.key_source = Some(Arc::new(source));
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

    /// The host's OAuth client for an authority (`google`, `slack`): workspaces without one of their own are authorised with it.
    pub fn oauth_client(mut self, authority: &str, client: OAuthClient) -> Self {
        self.clients.0.insert(authority.into(), client);
        self
    }

    /// Allows a path of the host's application as the place a browser goes to after an authorization: exactly this one.
    pub fn return_path(mut self, path: &str) -> Self {
        self.return_paths.push(path.into());
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
        if self.keyring.is_none() && self.key_source.is_none() {
            problems.push("no keyring was given: call keyring(…)".to_owned());
        }
        if self.keyring.is_some() && self.key_source.is_some() {
            problems.push("both a keyring and a key source were given: one of them has to go".to_owned());
        }
        problems.extend(self.clients.0.iter().filter_map(|(authority, client)| client.check(authority).err()).map(|e| e.to_string()));
        // `//host` and `/\\host` lead away.
        let leads_away = |path: &str| !path.starts_with('/') || path.starts_with("//") || path.contains(['\\', '\r', '\n']);
        problems.extend(
            self.return_paths
                .iter()
                .filter(|path| leads_away(path))
                .map(|path| format!("the return path {path:?} is not a path of the host's own")),
        );
        let (Some(storage), true) = (self.storage, problems.is_empty()) else {
            return Err(Error::config("build", problems.join("; ")));
        };
        let keyring = match (self.keyring, self.key_source) {
            (Some(keyring), _) => keyring,
            (None, Some(source)) => source.keys().await?,
            (None, None) => return Err(Error::config("build", "no keyring was given: call keyring(…)")),
        };
        vault::check(&keyring, &*storage.fleet()).await?;
        let interrupted = storage.fleet().reap().await?;
        if interrupted > 0 {
            tracing::warn!(runs = interrupted, "ended runs whose process is gone; the next pull goes on from their last commit");
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let shared = Shared {
            clock,
            keyring,
            fleet: storage.fleet(),
            limits: Limits::new(self.quotas),
            breakers: Breakers::default(),
            clients: self.clients,
            renewals: Turns::default(),
            crash_points: self.crash_points.clone(),
        };
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
            return_paths: self.return_paths,
        })))
    }
}

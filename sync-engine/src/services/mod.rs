//! What the engine lends providers, in one process: tokens from the vault, quotas, breakers, the clock.

mod breakers;
mod limits;
mod renewal;
#[cfg(test)]
mod tests;
mod tokens;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use sync_core::{
    AccessToken, CallSite, ConnectionId, Error, ErrorKind, IntegrationSync, Permit, Result, Retry, Services, WorkspaceId,
    store::{ActivityStore, AuthorizationStore, ConnectionStore, FleetStore, LeaseStore, WorkspaceStore},
};

use self::tokens::Tokens;
pub(crate) use self::{
    breakers::Breakers,
    limits::{Limits, Overrides},
    renewal::given_up,
    tokens::Ahead,
};
use crate::{Clock, Keyring, crash::CrashPoints, oauth::Clients, run::Turns, vault::Seals};

/// What all connections of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Keyring,
    /// Where uses of keys are counted.
    pub(crate) fleet: Arc<dyn FleetStore>,
    pub(crate) limits: Limits,
    pub(crate) breakers: Breakers,
    /// The host's OAuth clients.
    pub(crate) clients: Clients,
    /// Renewals of this process, one at a time for each connection; between processes leases keep them apart.
    pub(crate) renewals: Turns,
    pub(crate) crash_points: CrashPoints,
}

impl Shared {
    /// Leave to seal so many times.
    pub(crate) async fn seals(&self, seals: u64) -> Result<Seals> {
        // A key that was retired meanwhile is found out before a service is asked for what could not be stored then.
        crate::vault::check_active(&self.keyring, &*self.fleet).await?;
        self.keyring.reserve(&*self.fleet, seals).await
    }
}

/// The services of one connection. A cheap clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionServices {
    shared: Arc<Shared>,
    stores: Stores,
    workspace: WorkspaceId,
    provider: Arc<dyn IntegrationSync>,
    tokens: Tokens,
}

/// The parts of a workspace's store that tokens need.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    pub(crate) connections: Arc<dyn ConnectionStore>,
    pub(crate) authorizations: Arc<dyn AuthorizationStore>,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) activity: Arc<dyn ActivityStore>,
}

impl From<&Arc<dyn WorkspaceStore>> for Stores {
    fn from(store: &Arc<dyn WorkspaceStore>) -> Self {
        Self {
            connections: Arc::clone(store) as _,
            authorizations: Arc::clone(store) as _,
            leases: Arc::clone(store) as _,
            activity: Arc::clone(store) as _,
        }
    }
}

impl ConnectionServices {
    pub(crate) fn new(shared: Arc<Shared>, stores: Stores, workspace: WorkspaceId, provider: Arc<dyn IntegrationSync>) -> Self {
        Self { shared, stores, workspace, provider, tokens: Tokens::Vault(Arc::default()) }
    }

    /// Those of an account that is just being connected with an access token.
    pub(crate) fn connecting(&self, access: SecretString) -> Self {
        Self { tokens: Tokens::Given(access), ..self.clone() }
    }
}

#[async_trait]
impl Services for ConnectionServices {
    async fn token(&self, connection: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        self.usable_token(connection, rejected.map_or(renewal::Need::Now, renewal::Need::Newer)).await
    }

    async fn permit(&self, call: &CallSite<'_>, deadline: DateTime<Utc>) -> Result<Permit> {
        let breaker = self.shared.breakers.breaker(self.provider.descriptor().name, call.host);
        let connection = call.connection.map_or("", ConnectionId::as_str);
        let quota = self.provider.descriptor().quotas.iter().find(|quota| quota.bucket == call.bucket);
        let bucket = self.shared.limits.bucket(self.provider.descriptor().name, connection, call.bucket, quota);
        loop {
            let now = self.shared.clock.now();
            match bucket.take(call.cost, now) {
                Ok(()) => {
                    // The breaker comes last: a probe that waited for quota would not come back in time.
                    let probe = breaker.permit(&self.shared.clock, connection)?;
                    let clock = Arc::clone(&self.shared.clock);
                    return Ok(Permit::new(move |outcome| {
                        if let Some(outcome) = &outcome {
                            bucket.learn(outcome, clock.now());
                        }
                        probe.report(outcome);
                    }));
                }
                Err(wait) if now + wait > deadline => {
                    return Err(Error::new(
                        ErrorKind::RateLimited,
                        "permit",
                        format!("the quota {:?} is used up for {}", call.bucket, words(wait)),
                    )
                    .with_retry(Retry::After(Some(wait)))
                    .with_delivery(sync_core::Delivery::NotSent));
                }
                Err(wait) => {
                    tracing::debug!(bucket = call.bucket, wait_ms = wait.as_millis() as u64, "waiting for quota");
                    metrics::histogram!("syncline_quota_wait_seconds", "provider" => self.provider.descriptor().name)
                        .record(wait.as_secs_f64());
                    self.shared.clock.sleep(wait).await;
                }
            }
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.shared.clock.sleep(wait)
    }

    fn random(&self) -> u64 {
        rand::random()
    }
}

fn words(wait: Duration) -> String {
    match wait.as_secs() {
        0 => "less than a second".to_owned(),
        1..120 => format!("{} s", wait.as_secs()),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

//! What the engine lends providers, in one process: tokens from the vault, quotas, breakers, the clock.

mod breakers;
mod limits;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sync_core::{
    AccessToken, CallSite, ConnectionId, Descriptor, Error, ErrorKind, Permit, Result, Retry, Services, WorkspaceId, store::ConnectionStore,
};
use tokio::sync::Mutex;

pub(crate) use self::{
    breakers::Breakers,
    limits::{Limits, Overrides},
};
use crate::{
    Clock, Credentials, Keyring,
    vault::{Field, Place},
};

/// How long an opened token is kept before the store is asked again.
const TOKEN_KEPT: Duration = Duration::from_secs(30);

/// What all connections of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Keyring,
    pub(crate) limits: Limits,
    pub(crate) breakers: Breakers,
}

/// The services of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionServices {
    shared: Arc<Shared>,
    store: Arc<dyn ConnectionStore>,
    workspace: WorkspaceId,
    descriptor: Descriptor,
    tokens: Tokens,
}

#[derive(Debug)]
enum Tokens {
    /// From the vault, with the last one that was opened and when.
    Vault(Mutex<Option<(AccessToken, DateTime<Utc>)>>),
    /// Handed over by a host that is just connecting.
    Given(Box<Credentials>),
}

impl ConnectionServices {
    pub(crate) fn new(shared: Arc<Shared>, store: Arc<dyn ConnectionStore>, workspace: WorkspaceId, descriptor: &Descriptor) -> Self {
        Self { shared, store, workspace, descriptor: descriptor.clone(), tokens: Tokens::Vault(Mutex::new(None)) }
    }

    pub(crate) fn connecting(
        shared: Arc<Shared>,
        store: Arc<dyn ConnectionStore>,
        workspace: WorkspaceId,
        descriptor: &Descriptor,
        given: Credentials,
    ) -> Self {
        Self { tokens: Tokens::Given(Box::new(given)), ..Self::new(shared, store, workspace, descriptor) }
    }

    async fn open_token(&self, connection: &ConnectionId) -> Result<AccessToken> {
        let sealed = self.store.credentials(connection).await?.ok_or_else(|| {
            Error::new(ErrorKind::Auth, "token", "no access token found: the connection was never authorised, or was disconnected")
                .at("connection", connection.as_str())
        })?;
        if sealed.expires_at.is_some_and(|end| end <= self.shared.clock.now()) {
            return Err(Error::new(ErrorKind::Auth, "token", "the access token has expired").at("connection", connection.as_str()));
        }
        let place = Place { workspace: &self.workspace, connection, field: Field::Access };
        let secret = self.shared.keyring.open(place, &sealed.access)?;
        Ok(AccessToken { secret, version: sealed.version })
    }
}

#[async_trait]
impl Services for ConnectionServices {
    async fn token(&self, connection: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        let kept = match &self.tokens {
            Tokens::Given(given) if rejected.is_none() => return Ok(AccessToken { secret: given.access.clone(), version: 0 }),
            Tokens::Given(_) => return Err(refused(connection)),
            Tokens::Vault(kept) => kept,
        };
        let mut kept = kept.lock().await;
        let now = self.shared.clock.now();
        if rejected.is_none()
            && let Some((token, at)) = &*kept
            && (now - *at).to_std().is_ok_and(|age| age < TOKEN_KEPT)
        {
            return Ok(token.clone());
        }
        let token = self.open_token(connection).await?;
        // A newer version than the refused one is another caller's fresh token; the same one cannot be renewed here.
        if rejected.is_some_and(|version| token.version <= version) {
            return Err(refused(connection));
        }
        *kept = Some((token.clone(), now));
        Ok(token)
    }

    async fn permit(&self, call: &CallSite<'_>, deadline: DateTime<Utc>) -> Result<Permit> {
        let breaker = self.shared.breakers.breaker(self.descriptor.name, call.host);
        let connection = call.connection.map_or("", ConnectionId::as_str);
        let quota = self.descriptor.quotas.iter().find(|quota| quota.bucket == call.bucket);
        let bucket = self.shared.limits.bucket(self.descriptor.name, connection, call.bucket, quota);
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
                    metrics::histogram!("syncline_quota_wait_seconds", "provider" => self.descriptor.name).record(wait.as_secs_f64());
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

fn refused(connection: &ConnectionId) -> Error {
    Error::new(ErrorKind::Auth, "token", "the service refused the access token, and there is no newer one")
        .at("connection", connection.as_str())
}

fn words(wait: Duration) -> String {
    match wait.as_secs() {
        0 => "less than a second".to_owned(),
        1..120 => format!("{} s", wait.as_secs()),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

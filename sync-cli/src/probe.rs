//! Asks a service whose token this is, before anything is stored.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use syncline::{
    Clock as _, Result, SystemClock, WorkspaceId,
    core::{
        AccessToken, Account, CallSite, ConnectionId, Error, ErrorKind, IntegrationSync, Permit, SecretString, Services, SyncContext,
        async_trait,
    },
};

/// How long one question may take, with its attempts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose token this is.
pub(crate) async fn account(
    provider: &dyn IntegrationSync,
    workspace: &WorkspaceId,
    settings: &Value,
    token: SecretString,
) -> Result<Account> {
    let settings =
        serde_json::value::to_raw_value(settings).map_err(|e| Error::config("connect", "the settings are not JSON").because(e))?;
    let cx = SyncContext {
        workspace: workspace.clone(),
        connection: ConnectionId::from("probe"),
        settings: settings.into(),
        deadline: SystemClock.now() + PATIENCE,
        services: Arc::new(OneToken(token)),
    };
    provider.validate_credentials(&cx).await
}

/// One token that cannot be refreshed, and leave for every call.
#[derive(Debug)]
struct OneToken(SecretString);

#[async_trait]
impl Services for OneToken {
    async fn token(&self, _: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        match rejected {
            None => Ok(AccessToken { secret: self.0.clone(), version: 1 }),
            Some(_) => Err(Error::new(ErrorKind::Auth, "connect", "the service refused the token")),
        }
    }

    async fn permit(&self, _: &CallSite<'_>, _: chrono::DateTime<chrono::Utc>) -> Result<Permit> {
        Ok(Permit::free())
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        SystemClock.now()
    }

    fn sleep(&self, wait: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        SystemClock.sleep(wait)
    }

    fn random(&self) -> u64 {
        // Jitter of one process that asks once: the clock is random enough.
        u64::from(SystemClock.now().timestamp_subsec_nanos())
    }
}

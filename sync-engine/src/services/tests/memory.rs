//! A store that keeps one connection in memory, and a service that answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sync_core::{
    Account, AuthScheme, ClientAuth, Descriptor, GrantKind, OAuthCall, OAuthProvider, OAuthSpec, Partitions, PullPage, PullRequest, Stream,
    StreamName, SyncContext, TokenSet,
    store::{
        Activity, ActivityStore, AuthorizationStore, Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, LeaseStore,
        NewActivity, NewConnection, Renewal, SealedCredentials,
    },
};

use super::*;

/// One connection, as a database would keep it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) row: Mutex<Connection>,
    pub(super) credentials: Mutex<Option<SealedCredentials>>,
    pub(super) log: Mutex<Vec<NewActivity>>,
    /// Who holds the lease.
    pub(super) lease: Mutex<Option<String>>,
    /// So many saves fail.
    pub(super) refuses: Mutex<u32>,
    /// How often credentials were read.
    pub(super) reads: Mutex<u32>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub(super) fn new(credentials: Option<SealedCredentials>) -> Self {
        let at = DateTime::UNIX_EPOCH;
        let row = Connection {
            workspace_id: "acme".into(),
            id: "c1".into(),
            provider: "demo".into(),
            subject_id: None,
            account_id: "a".into(),
            account_name: None,
            connected_by: None,
            oauth_provider: None,
            settings: serde_json::json!({}),
            status: ConnectionStatus::Active,
            sync_enabled: true,
            sync_frequency_minutes: 60,
            last_sync_at: None,
            sync_status: None,
            error_message: None,
            error_kind: None,
            error_count: 0,
            expires_at: None,
            token_version: 0,
            grant: None,
            scopes: None,
            renewal: Renewal::default(),
            created_at: at,
            updated_at: at,
        };
        Self {
            row: Mutex::new(row),
            credentials: Mutex::new(credentials),
            log: Mutex::default(),
            lease: Mutex::default(),
            refuses: Mutex::default(),
            reads: Mutex::default(),
        }
    }
}

fn unused<T>() -> Result<T> {
    Err(Error::unsupported("not part of these tests"))
}

#[async_trait]
impl ConnectionStore for Memory {
    async fn connect(&self, _: NewConnection) -> Result<Connection> {
        unused()
    }

    async fn connection(&self, _: &ConnectionId) -> Result<Option<Connection>> {
        Ok(Some(locked(&self.row).clone()))
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        Ok(vec![locked(&self.row).clone()])
    }

    async fn update_connection(&self, _: &ConnectionId, patch: ConnectionPatch, _: DateTime<Utc>) -> Result<Connection> {
        let mut row = locked(&self.row);
        row.status = patch.status.unwrap_or(row.status);
        row.error_message = patch.error_message.or(row.error_message.take());
        Ok(row.clone())
    }

    async fn credentials(&self, _: &ConnectionId) -> Result<Option<SealedCredentials>> {
        *locked(&self.reads) += 1;
        Ok(locked(&self.credentials).clone())
    }

    async fn replace_credentials(&self, _: &ConnectionId, expected: u64, sealed: SealedCredentials, _: DateTime<Utc>) -> Result<bool> {
        let mut refuses = locked(&self.refuses);
        if *refuses > 0 {
            *refuses -= 1;
            return Err(Error::new(ErrorKind::Storage, "replace_credentials", "the database is locked"));
        }
        let mut credentials = locked(&self.credentials);
        let same = credentials.as_ref().map_or(0, |there| there.version) == expected;
        if same {
            locked(&self.row).renewal = Renewal::default();
            *credentials = Some(sealed);
        }
        Ok(same)
    }

    async fn note_renewal(&self, _: &ConnectionId, expected: u64, renewal: Renewal, gone: Option<&str>, _: DateTime<Utc>) -> Result<bool> {
        let same = locked(&self.credentials).as_ref().is_some_and(|there| there.version == expected);
        if same {
            let mut row = locked(&self.row);
            row.renewal = renewal;
            if let Some(gone) = gone {
                (row.error_message, row.error_kind) = (Some(gone.into()), Some(ErrorKind::AuthRevoked));
                if row.status == ConnectionStatus::Active {
                    row.status = ConnectionStatus::Error;
                }
            }
        }
        Ok(same)
    }
}

#[async_trait]
impl AuthorizationStore for Memory {}

/// A database that counts no uses of keys, or says that there were too many.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) used_up: Mutex<bool>,
}

#[async_trait]
impl FleetStore for Counts {
    async fn reap(&self) -> Result<u64> {
        unused()
    }

    async fn use_key(&self, _: &str, uses: u64) -> Result<u64> {
        Ok(if *locked(&self.used_up) { u64::MAX } else { uses })
    }
}

#[async_trait]
impl LeaseStore for Memory {
    async fn lease(&self, _: &str, holder: &str, _: Duration) -> Result<bool> {
        let mut lease = locked(&self.lease);
        if lease.as_ref().is_some_and(|other| other != holder) {
            return Ok(false);
        }
        *lease = Some(holder.to_owned());
        Ok(true)
    }

    async fn release(&self, _: &str, holder: &str) -> Result<()> {
        let mut lease = locked(&self.lease);
        if lease.as_deref() == Some(holder) {
            *lease = None;
        }
        Ok(())
    }
}

#[async_trait]
impl ActivityStore for Memory {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        locked(&self.log).push(activity);
        Ok(())
    }

    async fn activities(&self, _: u32) -> Result<Vec<Activity>> {
        unused()
    }
}

type Answer = Box<dyn FnMut(&str) -> Result<TokenSet> + Send>;

/// A service with OAuth whose token endpoint answers what it is told, in turn; the last answer is given again and again.
pub(super) struct Authority {
    descriptor: Descriptor,
    spec: Option<OAuthSpec>,
    answers: Mutex<VecDeque<Answer>>,
    /// The refresh tokens it was sent.
    pub(super) sent: Mutex<Vec<String>>,
    /// Renewals wait for it.
    pub(super) gate: tokio::sync::Semaphore,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    pub(super) fn new(rule: Option<RefreshRule>, quotas: &'static [Quota]) -> Self {
        let spec = rule.map(|refresh| OAuthSpec {
            authority: "demo",
            authorize_url: "https://demo.example/authorize".into(),
            token_url: "https://demo.example/token".into(),
            revoke_url: None,
            revokes: sync_core::Revokes::Refresh,
            client_auth: ClientAuth::Body,
            scopes: &[],
            scope_separator: ' ',
            authorize_params: &[],
            refresh,
            life: None,
            issuer: None,
        });
        Self {
            descriptor: Descriptor { quotas, auth: AuthScheme::Bearer, ..Descriptor::new("demo", "Demo") },
            spec,
            answers: Mutex::default(),
            sent: Mutex::default(),
            gate: tokio::sync::Semaphore::new(tokio::sync::Semaphore::MAX_PERMITS),
        }
    }

    pub(super) fn answers(&self, answer: impl FnMut(&str) -> Result<TokenSet> + Send + 'static) {
        locked(&self.answers).push_back(Box::new(answer));
    }
}

pub(super) fn tokens(access: &str, refresh: Option<&str>, life: u64) -> TokenSet {
    TokenSet {
        access: access.into(),
        refresh: refresh.map(Into::into),
        expires_in: Some(Duration::from_secs(life)),
        scopes: None,
        settings: serde_json::Map::new(),
    }
}

#[async_trait]
impl IntegrationSync for Authority {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn validate_credentials(&self, _: &SyncContext) -> Result<Account> {
        unused()
    }

    async fn streams(&self, _: &SyncContext) -> Result<Vec<Stream>> {
        unused()
    }

    async fn partitions(&self, _: &SyncContext, _: &StreamName) -> Result<Partitions> {
        unused()
    }

    async fn pull(&self, _: &SyncContext, _: &PullRequest) -> Result<PullPage> {
        unused()
    }

    fn as_oauth(&self) -> Option<&dyn OAuthProvider> {
        self.spec.as_ref().map(|_| self as _)
    }
}

#[async_trait]
impl OAuthProvider for Authority {
    fn spec(&self) -> &OAuthSpec {
        self.spec.as_ref().expect("it has OAuth")
    }

    async fn exchange(&self, _: &OAuthCall<'_>, _: &SecretString, _: &SecretString) -> Result<TokenSet> {
        unused()
    }

    async fn renew(&self, call: &OAuthCall<'_>, grant: &Grant) -> Result<TokenSet> {
        assert_eq!(call.client_id, "client", "the host's client is used");
        let token = match grant {
            Grant::RefreshToken(token) => token.expose_secret().to_owned(),
            other => format!("{:?}", other.kind()),
        };
        locked(&self.sent).push(token.clone());
        self.gate.acquire().await.expect("it stays open").forget();
        let mut answers = locked(&self.answers);
        let mut answer = answers.pop_front().expect("the service is not asked again");
        let answered = answer(&token);
        if answers.is_empty() {
            answers.push_front(answer);
        }
        answered
    }
}

/// The kind of grant of a refresh token that is there.
pub(super) fn kind(refresh: Option<&str>) -> Option<GrantKind> {
    refresh.map(|_| GrantKind::RefreshToken)
}

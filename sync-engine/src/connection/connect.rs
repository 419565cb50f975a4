//! Making a connection.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use serde_json::{Map, Value};
use sync_core::{
    Account, ConnectionId, Error, ErrorKind, IntegrationSync, Result, Services as _, SyncContext,
    store::{self, NewConnection},
};

use super::{CALL_DEADLINE, raw};
use crate::{Connection, Credentials, Workspace, services::ConnectionServices, workspace::unknown};

/// A connection about to be made; await it.
#[derive(Debug)]
#[must_use = "a connection is made when this is awaited"]
pub struct Connect {
    workspace: Workspace,
    provider: Box<str>,
    credentials: Credentials,
    settings: Value,
    subject: Option<Box<str>>,
    connected_by: Option<Box<str>>,
    frequency_minutes: u32,
}

impl Connect {
    pub(crate) fn new(workspace: Workspace, provider: &str, credentials: Credentials) -> Self {
        let settings = Value::Object(serde_json::Map::new());
        let connected_by = workspace.actor();
        Self { workspace, provider: provider.into(), credentials, settings, subject: None, connected_by, frequency_minutes: 60 }
    }

    /// The provider's settings, a JSON object; the provider checks them.
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// The host's client this account belongs to.
    pub fn subject(mut self, subject: impl Into<Box<str>>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Who connects it, for the record; by default who the workspace is [acting](Workspace::acting) for.
    pub fn connected_by(mut self, user: impl Into<Box<str>>) -> Self {
        self.connected_by = Some(user.into());
        self
    }

    /// Minutes between scheduled runs; 60 by default.
    pub fn every_minutes(mut self, minutes: u32) -> Self {
        self.frequency_minutes = minutes.max(1);
        self
    }

    async fn make(self) -> Result<Connection> {
        let provider = self.workspace.engine.registry.provider(&self.provider)?;
        let making = Making {
            settings: Some(self.settings),
            subject: self.subject,
            connected_by: self.connected_by,
            frequency_minutes: Some(self.frequency_minutes),
            ..Making::new(&self.workspace, provider)
        };
        making.make(&self.workspace, self.credentials).await
    }
}

/// An account on its way to becoming a connection.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) provider: Arc<dyn IntegrationSync>,
    /// Its id, unless the account has one already.
    pub(crate) id: ConnectionId,
    pub(crate) services: ConnectionServices,
    /// `None`: those of the connection it is to be, else none.
    pub(crate) settings: Option<Value>,
    /// What the service says beside its tokens; it goes over the settings.
    pub(crate) answered: Map<String, Value>,
    pub(crate) subject: Option<Box<str>>,
    pub(crate) connected_by: Option<Box<str>>,
    /// `None`: that of the connection it is to be, else 60.
    pub(crate) frequency_minutes: Option<u32>,
    /// The connection whose account it has to be.
    pub(crate) again: Option<ConnectionId>,
    /// Whether an account that is connected already is refused.
    pub(crate) only_new: bool,
}

/// How often another id may be found for an account between our look and our write.
const LOOKS: u32 = 3;

impl Making {
    pub(crate) fn new(workspace: &Workspace, provider: Arc<dyn IntegrationSync>) -> Self {
        let services = ConnectionServices::new(
            Arc::clone(&workspace.engine.shared),
            (&workspace.store).into(),
            workspace.id.clone(),
            Arc::clone(&provider),
        );
        Self {
            provider,
            id: ConnectionId::from(short_id()),
            services,
            settings: None,
            answered: Map::new(),
            subject: None,
            connected_by: None,
            frequency_minutes: None,
            again: None,
            only_new: false,
        }
    }

    /// Proves the credentials, and stores the connection with them in one transaction.
    pub(crate) async fn make(self, workspace: &Workspace, credentials: Credentials) -> Result<Connection> {
        let clock = &workspace.engine.shared.clock;
        let name = self.provider.descriptor().name;
        let again = match &self.again {
            Some(again) => Some(workspace.store.connection(again).await?.ok_or_else(|| unknown(again))?),
            None => None,
        };
        let settings = raw(&self.settings_over(again.as_ref()))?;
        let credentials = self.with_token(credentials).await.map_err(|e| e.at("provider", name))?;
        let Some(access) = &credentials.access else {
            return Err(Error::config("connect", "there is neither a token nor anything to get one with").at("provider", name));
        };
        let cx = SyncContext {
            workspace: workspace.id.clone(),
            connection: self.id.clone(),
            settings,
            deadline: clock.now() + CALL_DEADLINE,
            services: Arc::new(self.services.connecting(access.clone())),
        };
        let account = self.provider.validate_credentials(&cx).await.map_err(|e| e.at("provider", name))?;
        if let Some(row) = again
            && row.account_id != account.id
        {
            let text = format!(
                "the account {:?} came back, and this connection is of {:?}; sign in to that one, or connect the other by itself",
                account.id, row.account_id
            );
            return Err(Error::new(ErrorKind::Conflict, "connect", text).at("connection", row.id.as_str()));
        }
        let row = self.store(workspace, &credentials, &account).await?;
        let connection = Connection::new(workspace.clone(), &row)?;
        connection.log(&row, "connected", true, None).await?;
        tracing::info!(workspace = %workspace.id, connection = %row.id, provider = name, "connected");
        Ok(connection)
    }

    /// The settings it is to have, where this connection is there.
    fn settings_over(&self, known: Option<&store::Connection>) -> Value {
        let kept = known.filter(|_| self.again.is_some()).map(|row| &row.settings);
        let mut settings = self.settings.as_ref().or(kept).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        if let Some(object) = settings.as_object_mut() {
            object.extend(self.answered.clone());
        }
        settings
    }

    /// Gets the first token where there is none yet.
    async fn with_token(&self, credentials: Credentials) -> Result<Credentials> {
        let (None, Some(grant)) = (&credentials.access, &credentials.grant) else { return Ok(credentials) };
        let oauth = self.provider.as_oauth().ok_or_else(|| {
            Error::config(
                "connect",
                "this provider knows no OAuth, so no token can be got with these credentials; hand over a key or token",
            )
        })?;
        let (tokens, client_id) = self.services.ask(oauth, grant, None).await?;
        Ok(Credentials::answered(tokens, client_id, Some(grant.clone()), self.services.now()))
    }

    async fn store(&self, workspace: &Workspace, credentials: &Credentials, account: &Account) -> Result<store::Connection> {
        let name = self.provider.descriptor().name;
        for look in 1.. {
            let known = workspace.store.account(name, &account.id).await?;
            if let Some(row) = known.as_ref().filter(|row| self.only_new && row.status != store::ConnectionStatus::Disconnected) {
                let text = format!("{:?} is connected already, and was not to be connected again; nothing was stored", account.id);
                return Err(Error::new(ErrorKind::Conflict, "connect", text).at("connection", row.id.as_str()));
            }
            // As they are now, not as they were when the browser set out.
            let settings = self.settings_over(known.as_ref());
            let frequency = known.as_ref().map(|row| row.sync_frequency_minutes);
            let id = known.map_or_else(|| self.id.clone(), |row| row.id);
            let (mut seals, mut over) = (self.services.seals().await?, None);
            let mut sealed = self.services.seal(&mut seals, &id, credentials, 0)?;
            // A service gives a client the refresh token at the first consent alone, and keeps it good. Another client's is of no use.
            if sealed.grant.is_none()
                && credentials.issued_at.is_some()
                && let Some(kept) = workspace.store.credentials(&id).await?
                && (kept.client_id.is_none() || kept.client_id == sealed.client_id)
            {
                (sealed.refresh, sealed.grant) = (self.services.resealed(&mut seals, &id, &kept)?, kept.grant);
                over = Some(kept.version);
            }
            let by_oauth = sealed.grant.is_some() || credentials.issued_at.is_some();
            let new = NewConnection {
                id,
                provider: name.into(),
                subject_id: self.subject.clone(),
                account_id: account.id.clone(),
                account_name: account.name.clone(),
                connected_by: self.connected_by.clone(),
                oauth_provider: self.provider.as_oauth().filter(|_| by_oauth).map(|oauth| oauth.spec().authority.into()),
                settings,
                sync_frequency_minutes: self.frequency_minutes.or(frequency).unwrap_or(60),
                credentials: Some(sealed),
                over,
                at: self.services.now(),
            };
            match workspace.store.connect_onboarding(new).await {
                // Somebody else connects the same account at this moment, or renews its token: look again.
                Err(error) if error.kind() == ErrorKind::Conflict && look < LOOKS => {}
                done => {
                    let (row, advanced) = done?;
                    workspace.engine.advanced(&workspace.id, advanced);
                    return Ok(row);
                }
            }
        }
        unreachable!("the last look returns")
    }
}

/// A new connection id: 20 characters, the minute and 48 random bits of a UUID of version 7. Short, since it is part of the key of every
/// row the connection brings.
fn short_id() -> String {
    uuid::Uuid::now_v7().simple().to_string().chars().enumerate().filter(|(at, _)| *at < 8 || *at >= 20).map(|(_, c)| c).collect()
}

impl IntoFuture for Connect {
    type Output = Result<Connection>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}

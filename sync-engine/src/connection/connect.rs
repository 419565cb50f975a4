//! Making a connection.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use serde_json::Value;
use sync_core::{
    ConnectionId, Error, ErrorKind, Result, SyncContext,
    store::{NewConnection, SealedCredentials},
};

use super::{CALL_DEADLINE, raw};
use crate::{
    Connection, Credentials, Workspace,
    services::ConnectionServices,
    vault::{Field, Place},
};

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
        Self { workspace, provider: provider.into(), credentials, settings, subject: None, connected_by: None, frequency_minutes: 60 }
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

    /// Who connects it, for the record.
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
        let Workspace { engine, id: workspace, store } = &self.workspace;
        let provider = engine.registry.provider(&self.provider)?;
        let descriptor = provider.descriptor();
        let new_id = ConnectionId::from(short_id());
        let services = Arc::new(ConnectionServices::connecting(
            Arc::clone(&engine.shared),
            Arc::clone(store) as _,
            workspace.clone(),
            descriptor,
            self.credentials.clone(),
        ));
        let clock = &engine.shared.clock;
        let cx = SyncContext {
            workspace: workspace.clone(),
            connection: new_id.clone(),
            settings: raw(&self.settings)?,
            deadline: clock.now() + CALL_DEADLINE,
            services,
        };
        let account = provider.validate_credentials(&cx).await.map_err(|e| e.at("provider", descriptor.name))?;
        let row = store
            .connect(NewConnection {
                id: new_id,
                provider: descriptor.name.into(),
                subject_id: self.subject,
                account_id: account.id,
                account_name: account.name,
                connected_by: self.connected_by,
                oauth_provider: None,
                settings: self.settings,
                sync_frequency_minutes: self.frequency_minutes,
                credentials: None,
                at: clock.now(),
            })
            .await?;
        let place = |field| Place { workspace, connection: &row.id, field };
        let keyring = &engine.shared.keyring;
        let sealed = SealedCredentials {
            access: keyring.seal(place(Field::Access), &self.credentials.access)?,
            refresh: self.credentials.refresh.as_ref().map(|token| keyring.seal(place(Field::Refresh), token)).transpose()?,
            grant: None,
            scopes: None,
            expires_at: self.credentials.expires_at,
            version: row.token_version + 1,
        };
        if !store.replace_credentials(&row.id, row.token_version, sealed, clock.now()).await? {
            let error = Error::new(ErrorKind::Conflict, "connect", "somebody else has just connected this account");
            return Err(error.at("connection", row.id.as_str()));
        }
        let connection = Connection::new(self.workspace.clone(), &row)?;
        connection.log(&row, "connected", true, None).await?;
        tracing::info!(workspace = %workspace, connection = %row.id, provider = descriptor.name, "connected");
        Ok(connection)
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

//! Connections and their sealed credentials.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sync_core::{
    ConnectionId, Result,
    store::{Connection, ConnectionPatch, ConnectionStore, NewConnection, SealedCredentials},
};

use crate::storage::Scoped;

#[async_trait]
impl ConnectionStore for Scoped {
    async fn connect(&self, new: NewConnection) -> Result<Connection> {
        let _ = (new,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        let _ = (id,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let _ = ();
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection> {
        let _ = (id, patch, at);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        let _ = (id,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool> {
        let _ = (id, expected, sealed, at);
        Err(sync_core::Error::unsupported("not built"))
    }
}

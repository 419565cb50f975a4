//! Authorizations under way, and the clients they are made with.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Error, Result};

/// An authorization that was begun and waits for the browser to come back.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingAuthorization {
    /// Random, unique, good once. It travels in the state.
    pub nonce: Box<str>,
    /// The provider's name.
    pub provider: Box<str>,
    /// A hash of what binds it to one browser.
    pub browser: Box<[u8]>,
    /// The sealed PKCE verifier.
    pub verifier: Vec<u8>,
    /// The id of the client the browser was sent away with: no other can exchange its code.
    pub client_id: Option<Box<str>>,
    /// The redirect URI that was sent, exactly.
    pub redirect_uri: Box<str>,
    /// What the connection is to be like, a JSON object of the engine's.
    pub request: serde_json::Value,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// When it is too late.
    pub expires_at: DateTime<Utc>,
}

/// A workspace's own OAuth client, its secret sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClient {
    /// Whose accounts it is registered with: `google`, `slack`.
    pub authority: Box<str>,
    /// Its public id.
    pub client_id: Box<str>,
    /// Its sealed secret; public clients have none.
    pub secret: Option<Vec<u8>>,
    /// The redirect URI it is registered with, exactly.
    pub redirect_uri: Box<str>,
    /// When it was stored.
    pub updated_at: DateTime<Utc>,
}

/// Keeps what the OAuth flow needs between its steps.
#[async_trait]
pub trait AuthorizationStore: Debug + Send + Sync {
    /// Keeps an authorization that was begun, durably. Those of this workspace that expired more than a day before it are forgotten.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) when the nonce is known.
    async fn keep_authorization(&self, pending: PendingAuthorization) -> Result<()> {
        let _ = pending;
        Err(Error::unsupported("keep_authorization"))
    }

    /// Takes an authorization out, durably and once: of any number of callers at once one is answered with it, expired or not.
    ///
    /// # Errors
    /// Those of the storage. After one the authorization counts as taken, whether it is still there or not: an answer that was lost on the
    /// way is given to nobody a second time.
    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        let _ = nonce;
        Err(Error::unsupported("take_authorization"))
    }

    /// The workspace's own client for an authority.
    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        let _ = authority;
        Ok(None)
    }

    /// Stores the workspace's client for an authority, in the place of the one there was.
    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        let _ = client;
        Err(Error::unsupported("set_oauth_client"))
    }

    /// Forgets the workspace's client for an authority; answers whether there was one.
    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        let _ = authority;
        Ok(false)
    }
}

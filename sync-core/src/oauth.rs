//! The OAuth role: the provider speaks, the engine leases and saves.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{Result, Services, WorkspaceId};

/// For whom a token is made and with which client.
#[derive(Debug)]
pub struct OAuthCall<'a> {
    /// The tenant.
    pub workspace: &'a WorkspaceId,
    /// The client registered with the service.
    pub client_id: &'a str,
    /// Its secret; public clients have none.
    pub client_secret: Option<&'a SecretString>,
    /// The registered redirect URI, exactly.
    pub redirect_uri: &'a str,
    /// Quota and clock.
    pub services: &'a dyn Services,
}

/// What a token endpoint answered.
#[derive(Debug)]
pub struct TokenSet {
    /// The access token.
    pub access: SecretString,
    /// The refresh token; `None` keeps the one there is (RFC 6749, section 6).
    pub refresh: Option<SecretString>,
    /// The life of the access token; `None` is unknown, not expired.
    pub expires_in: Option<Duration>,
}

/// Gets, renews and revokes tokens. HTTP stays in the provider; leases and storage stay in the engine.
#[async_trait]
pub trait OAuthProvider: Debug + Send + Sync {
    /// Exchanges an authorization code (RFC 6749, section 4.1.3) with its PKCE verifier (RFC 7636).
    async fn exchange(&self, call: &OAuthCall<'_>, code: &SecretString, verifier: &SecretString) -> Result<TokenSet>;

    /// Renews an access token (RFC 6749, section 6).
    ///
    /// # Errors
    /// [`AuthRevoked`](crate::ErrorKind::AuthRevoked) for `invalid_grant`.
    async fn refresh(&self, call: &OAuthCall<'_>, refresh_token: &SecretString) -> Result<TokenSet>;

    /// Revokes a token (RFC 7009); one that is already gone is no error.
    async fn revoke(&self, call: &OAuthCall<'_>, token: &SecretString) -> Result<()>;
}

const _: Option<&dyn OAuthProvider> = None;

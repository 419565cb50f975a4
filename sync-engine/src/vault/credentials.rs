//! Credentials as a host hands them over.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

/// What an account is reached with. `Debug` shows no secret, memory is zeroed on drop.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Credentials {
    /// An API key or personal access token: no refresh, no known end.
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self { access: key.into(), refresh: None, expires_at: None }
    }

    /// An access token the host got by itself.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::api_key(token)
    }

    /// Adds the refresh token.
    #[must_use]
    pub fn with_refresh(mut self, token: impl Into<SecretString>) -> Self {
        self.refresh = Some(token.into());
        self
    }

    /// Sets when the access token ends.
    #[must_use]
    pub fn expiring(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }
}

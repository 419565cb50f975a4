//! Credentials as a host hands them over.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sync_core::{Error, Grant, Result, TokenSet};

/// What an account is reached with. `Debug` shows no secret, memory is zeroed on drop.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `None` until the first token is got with the grant.
    pub(crate) access: Option<SecretString>,
    pub(crate) grant: Option<Grant>,
    pub(crate) scopes: Option<Vec<Box<str>>>,
    /// The OAuth client they were given to, where it is known.
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) issued_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Credentials {
    const NONE: Self = Self { access: None, grant: None, scopes: None, client_id: None, issued_at: None, expires_at: None };

    /// An API key or personal access token: no refresh, no known end.
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self { access: Some(key.into()), ..Self::NONE }
    }

    /// An access token the host got by itself.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::api_key(token)
    }

    /// A user and a password (RFC 7617), for services that take those with each call. They are kept as one secret, `user:password`, which
    /// providers send with `Auth::BasicPair`.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) for a user that is empty or has a colon in it, and an empty password.
    pub fn basic(user: &str, password: impl Into<SecretString>) -> Result<Self> {
        let password = password.into();
        if user.is_empty() || user.contains(':') {
            return Err(Error::config("credentials", "the user of HTTP Basic is empty, or has a colon in it (RFC 7617, section 2)"));
        }
        if password.expose_secret().is_empty() {
            return Err(Error::config("credentials", "the password is empty"));
        }
        Ok(Self::api_key(format!("{user}:{}", password.expose_secret())))
    }

    /// A service account's key file, as the JSON it was downloaded as: tokens are got with it when they are needed (RFC 7523). It is
    /// sealed like a refresh token.
    pub fn service_account(key_file: impl Into<SecretString>) -> Self {
        Self { grant: Some(Grant::ServiceAccount(key_file.into())), ..Self::NONE }
    }

    /// The OAuth client's own credentials (RFC 6749, section 4.4): tokens are got with them when they are needed.
    #[must_use]
    pub fn client() -> Self {
        Self { grant: Some(Grant::ClientCredentials), ..Self::NONE }
    }

    /// Adds the refresh token.
    #[must_use]
    pub fn with_refresh(mut self, token: impl Into<SecretString>) -> Self {
        self.grant = Some(Grant::RefreshToken(token.into()));
        self
    }

    /// Sets when the access token ends.
    #[must_use]
    pub fn expiring(mut self, at: DateTime<Utc>) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// What a token endpoint answered this client at `now`; without a refresh token the grant stays `kept`.
    pub(crate) fn answered(tokens: TokenSet, client_id: Option<Box<str>>, kept: Option<Grant>, now: DateTime<Utc>) -> Self {
        Self {
            access: Some(tokens.access),
            grant: tokens.refresh.map(Grant::RefreshToken).or(kept),
            scopes: tokens.scopes,
            client_id,
            issued_at: Some(now),
            expires_at: tokens.expires_in.and_then(|life| now.checked_add_signed(chrono::Duration::from_std(life).ok()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_password_are_one_secret_that_comes_apart_again() {
        let pair = Credentials::basic("ada", "s3:cret").expect("well formed");
        assert_eq!(pair.access.as_ref().map(|pair| pair.expose_secret()), Some("ada:s3:cret"));
        assert!(pair.grant.is_none() && !format!("{pair:?}").contains("s3"), "{pair:?}");
        for (user, password) in [("", "x"), ("a:b", "x"), ("ada", "")] {
            let error = Credentials::basic(user, password).expect_err("refused");
            assert!(error.kind() == sync_core::ErrorKind::Config && !error.to_string().contains("a:b"), "{error}");
        }
    }
}

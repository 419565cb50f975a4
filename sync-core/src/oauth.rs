//! OAuth 2.0 as data, and the role that speaks it: the provider speaks, the engine leases and saves.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Services, WorkspaceId};

/// How the client proves itself at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the form.
    Body,
    /// HTTP Basic; a client without a secret names itself in the form.
    Basic,
}

/// What becomes of a refresh token when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRule {
    /// There is none: the access token stays good until it is revoked.
    None,
    /// It stays good; answers usually carry no new one.
    Kept,
    /// It is good once: the answer carries its successor, and using the old one again may revoke the whole grant.
    Rotated,
}

/// Which token [`revoke`](OAuthProvider::revoke) is called with where there are both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revokes {
    /// The refresh token: access tokens go with it (RFC 7009, section 2.1).
    Refresh,
    /// An access token that has not ended.
    Access,
}

/// A permission that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// As the service names it.
    pub name: &'static str,
    /// Streams that cannot be read or written without it, for the message when it was not granted.
    pub streams: &'static [&'static str],
    /// Whether nothing works without it: then the authorization fails, and nothing is stored.
    pub required: bool,
}

/// One service's OAuth 2.0, as data.
#[derive(Clone, Debug)]
pub struct OAuthSpec {
    /// Whose accounts these are: `google`, `slack`. Clients are registered by this name, and several providers may share one.
    pub authority: &'static str,
    /// Where the browser is sent.
    pub authorize_url: Box<str>,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: Box<str>,
    /// Where tokens are revoked; `None` where only the user can do it.
    pub revoke_url: Option<Box<str>>,
    /// Which token is revoked to take a grant back.
    pub revokes: Revokes,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// What is asked for.
    pub scopes: &'static [Scope],
    /// What stands between scopes, in requests and answers.
    pub scope_separator: char,
    /// What the authorization request carries beside the standard's own parameters.
    pub authorize_params: &'static [(&'static str, &'static str)],
    /// What becomes of a refresh token when it is used.
    pub refresh: RefreshRule,
    /// The life of an access token when the answer names none; `None` is unknown, not expired.
    pub life: Option<Duration>,
    /// What `iss` of the answer has to be where it is sent (RFC 9207).
    pub issuer: Option<Box<str>>,
}

impl OAuthSpec {
    /// The names of the scopes asked for, as the request carries them.
    #[must_use]
    pub fn scope_text(&self) -> String {
        let mut text = String::new();
        for scope in self.scopes {
            if !text.is_empty() {
                text.push(self.scope_separator);
            }
            text.push_str(scope.name);
        }
        text
    }

    /// The scopes that were asked for and not granted. A service that does not tell what it granted is taken to have granted all.
    #[must_use]
    pub fn missing(&self, granted: Option<&[Box<str>]>) -> Vec<&Scope> {
        let Some(granted) = granted else { return Vec::new() };
        self.scopes.iter().filter(|scope| !granted.iter().any(|name| **name == *scope.name)).collect()
    }
}

/// What an authorization request says beside the [`OAuthSpec`].
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    /// The client registered with the service.
    pub client_id: &'a str,
    /// The redirect URI it is registered with, exactly.
    pub redirect_uri: &'a str,
    /// What comes back with the answer.
    pub state: &'a str,
    /// The PKCE challenge, S256 (RFC 7636).
    pub challenge: &'a str,
}

impl OAuthSpec {
    /// The address a browser is sent to (RFC 6749, section 4.1.1).
    #[must_use]
    pub fn authorize(&self, request: &AuthorizeRequest<'_>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", request.client_id)
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("state", request.state)
            .append_pair("code_challenge", request.challenge)
            .append_pair("code_challenge_method", "S256");
        if !self.scopes.is_empty() {
            query.append_pair("scope", &self.scope_text());
        }
        for (name, value) in self.authorize_params {
            query.append_pair(name, value);
        }
        let join = if self.authorize_url.contains('?') { '&' } else { '?' };
        format!("{}{join}{}", self.authorize_url, query.finish())
    }
}

/// For whom a token is made and with which client.
#[derive(Debug)]
pub struct OAuthCall<'a> {
    /// The tenant.
    pub workspace: &'a WorkspaceId,
    /// The client registered with the service; empty for grants that need none.
    pub client_id: &'a str,
    /// Its secret; public clients have none.
    pub client_secret: Option<&'a SecretString>,
    /// The registered redirect URI, exactly; empty where none takes part.
    pub redirect_uri: &'a str,
    /// Quota and clock.
    pub services: &'a dyn Services,
}

/// What new access tokens are got with.
#[derive(Clone, Debug)]
pub enum Grant {
    /// A refresh token (RFC 6749, section 6).
    RefreshToken(SecretString),
    /// The client's own credentials (RFC 6749, section 4.4).
    ClientCredentials,
    /// A key file of a service account, as JSON: a signed assertion is exchanged (RFC 7523).
    ServiceAccount(SecretString),
}

impl Grant {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> GrantKind {
        match self {
            Self::RefreshToken(_) => GrantKind::RefreshToken,
            Self::ClientCredentials => GrantKind::ClientCredentials,
            Self::ServiceAccount(_) => GrantKind::ServiceAccount,
        }
    }
}

/// The kinds of [`Grant`], as they are stored beside the sealed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// [`Grant::RefreshToken`].
    RefreshToken,
    /// [`Grant::ClientCredentials`].
    ClientCredentials,
    /// [`Grant::ServiceAccount`].
    ServiceAccount,
}

impl GrantKind {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::ServiceAccount => "service_account",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::RefreshToken, Self::ClientCredentials, Self::ServiceAccount].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a token endpoint answered.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// The access token.
    pub access: SecretString,
    /// The refresh token; `None` keeps the one there is (RFC 6749, section 6).
    pub refresh: Option<SecretString>,
    /// The life of the access token; `None` is unknown, not expired.
    pub expires_in: Option<Duration>,
    /// The scopes it is good for; `None` where the service does not tell.
    pub scopes: Option<Vec<Box<str>>>,
    /// What the provider keeps with the connection's settings: a data centre, a team. Never a secret.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Gets, renews and revokes tokens. HTTP stays in the provider; leases and storage stay in the engine.
#[async_trait]
pub trait OAuthProvider: Debug + Send + Sync {
    /// The service's OAuth, as data. The same every time.
    fn spec(&self) -> &OAuthSpec;

    /// The address a browser is sent to. Providers whose requests are unlike the standard's say their own.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when it cannot be made of this.
    fn authorize_url(&self, request: &AuthorizeRequest<'_>) -> Result<String> {
        Ok(self.spec().authorize(request))
    }

    /// Exchanges an authorization code (RFC 6749, section 4.1.3) with its PKCE verifier (RFC 7636). Sent once: a code is good once.
    ///
    /// # Errors
    /// [`AuthRevoked`](crate::ErrorKind::AuthRevoked) when the code is refused (`invalid_grant`): the flow has to begin again.
    /// [`Config`](crate::ErrorKind::Config) when the client or its redirect URI is (`invalid_client`, `redirect_uri_mismatch`).
    async fn exchange(&self, call: &OAuthCall<'_>, code: &SecretString, verifier: &SecretString) -> Result<TokenSet>;

    /// Gets a new access token.
    ///
    /// # Errors
    /// [`AuthRevoked`](crate::ErrorKind::AuthRevoked) for `invalid_grant`. What may have been answered without arriving says so in its
    /// [`delivery`](Error::delivery).
    async fn renew(&self, call: &OAuthCall<'_>, grant: &Grant) -> Result<TokenSet>;

    /// Revokes a token (RFC 7009), the one that [`revokes`](OAuthSpec::revokes) names; one that is already gone is no error.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where only the user can take a grant back.
    async fn revoke(&self, call: &OAuthCall<'_>, token: &SecretString) -> Result<()> {
        let _ = (call, token);
        Err(Error::unsupported("revoke"))
    }
}

const _: Option<&dyn OAuthProvider> = None;

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPES: &[Scope] = &[
        Scope { name: "channels:read", streams: &["channels"], required: true },
        Scope { name: "chat:write", streams: &["messages"], required: false },
    ];

    fn spec(authorize_url: &str) -> OAuthSpec {
        OAuthSpec {
            authority: "demo",
            authorize_url: authorize_url.into(),
            token_url: "https://demo.example/token".into(),
            revoke_url: None,
            revokes: Revokes::Refresh,
            client_auth: ClientAuth::Body,
            scopes: SCOPES,
            scope_separator: ',',
            authorize_params: &[("access_type", "offline")],
            refresh: RefreshRule::Kept,
            life: None,
            issuer: None,
        }
    }

    #[test]
    fn the_address_carries_everything_escaped() {
        let request = AuthorizeRequest { client_id: "a b", redirect_uri: "https://app.example/cb?x=1&y=2", state: "s.t", challenge: "c-_" };
        assert_eq!(
            spec("https://demo.example/authorize").authorize(&request),
            "https://demo.example/authorize?response_type=code&client_id=a+b&redirect_uri=https%3A%2F%2Fapp.example%2Fcb%3Fx%3D1%26y%3D2\
             &state=s.t&code_challenge=c-_&code_challenge_method=S256&scope=channels%3Aread%2Cchat%3Awrite&access_type=offline"
        );
        assert!(
            spec("https://demo.example/authorize?v=2").authorize(&request).starts_with("https://demo.example/authorize?v=2&response_type")
        );
    }

    #[test]
    fn what_was_not_granted_is_told_unless_the_service_tells_nothing() {
        let missing = |granted: Option<&[Box<str>]>| -> Vec<&'static str> {
            spec("https://demo.example/").missing(granted).iter().map(|scope| scope.name).collect()
        };
        assert!(missing(None).is_empty());
        assert_eq!(missing(Some(&[])), ["channels:read", "chat:write"]);
        assert_eq!(missing(Some(&["chat:write".into(), "other".into()])), ["channels:read"]);
    }

    #[test]
    fn kinds_of_grants_read_back() {
        for kind in [GrantKind::RefreshToken, GrantKind::ClientCredentials, GrantKind::ServiceAccount] {
            assert_eq!(GrantKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(GrantKind::parse("password"), None);
    }
}

//! OAuth 2.0 as data, and the role that speaks it: the provider speaks, the engine leases and saves.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
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
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// What is asked for.
    pub scopes: &'static [Scope],
    /// What stands between scopes, in requests and answers.
    pub scope_separator: char,
    /// What the authorization request carries beside the standard's own parameters.
    pub authorize_params: &'static [(&'static str, &'static str)],
    /// Whether the service checks a PKCE challenge (RFC 7636, S256). It is sent all the same: who does not know it ignores it.
    pub pkce: bool,
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

    /// Where the browser is sent: [`authorize_url`](Self::authorize_url) with the standard's parameters, the service's and the caller's,
    /// in this order. The caller's replace the service's of the same name.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when the caller's parameters name one of the standard's, which are not theirs to set.
    pub fn authorize_link(&self, request: &AuthorizeRequest<'_>) -> Result<String> {
        if let Some((name, _)) = request.extra.iter().find(|(name, _)| OURS.contains(name)) {
            let text = format!("the parameter {name:?} of the authorization request is set by the library; leave it out");
            return Err(Error::config("authorize", text).at("authority", self.authority));
        }
        let mut link = String::from(&*self.authorize_url);
        let mut add = |name: &str, value: &str| {
            link.push(if link.contains('?') { '&' } else { '?' });
            link.extend(utf8_percent_encode(name, ENCODED));
            link.push('=');
            link.extend(utf8_percent_encode(value, ENCODED));
        };
        add("response_type", "code");
        add("client_id", request.client_id);
        add("redirect_uri", request.redirect_uri);
        let scope = self.scope_text();
        if !scope.is_empty() {
            add("scope", &scope);
        }
        add("state", request.state);
        add("code_challenge", request.challenge);
        add("code_challenge_method", "S256");
        for (name, value) in self.authorize_params {
            if !request.extra.iter().any(|(other, _)| other == name) {
                add(name, value);
            }
        }
        for (name, value) in request.extra {
            add(name, value);
        }
        Ok(link)
    }

    /// The scopes that were asked for and not granted. A service that does not tell what it granted is taken to have granted all.
    #[must_use]
    pub fn missing(&self, granted: Option<&[Box<str>]>) -> Vec<&Scope> {
        let Some(granted) = granted else { return Vec::new() };
        self.scopes.iter().filter(|scope| !granted.iter().any(|name| **name == *scope.name)).collect()
    }
}

/// What only a library that keeps the state and the verifier may set.
const OURS: [&str; 7] = ["response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"];

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One visit to the authorization page.
#[derive(Clone, Copy)]
pub struct AuthorizeRequest<'a> {
    /// The client registered with the service.
    pub client_id: &'a str,
    /// The registered redirect URI, exactly.
    pub redirect_uri: &'a str,
    /// What comes back unchanged and proves that the answer belongs to this visit.
    pub state: &'a str,
    /// The PKCE challenge: base64url without padding of the SHA-256 of the verifier.
    pub challenge: &'a str,
    /// More parameters, as the service knows them: `login_hint`, `team`.
    pub extra: &'a [(&'a str, &'a str)],
}

impl Debug for AuthorizeRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizeRequest")
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
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

    /// Where the browser is sent. Pure.
    ///
    /// # Errors
    /// As [`OAuthSpec::authorize_link`].
    fn authorize_url(&self, request: &AuthorizeRequest<'_>) -> Result<String> {
        self.spec().authorize_link(request)
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

    /// Revokes a token (RFC 7009); one that is already gone is no error.
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
    use crate::ErrorKind;

    fn spec() -> OAuthSpec {
        OAuthSpec {
            authority: "shop",
            authorize_url: "https://shop.example/authorize".into(),
            token_url: "https://shop.example/token".into(),
            revoke_url: None,
            client_auth: ClientAuth::Body,
            scopes: &[
                Scope { name: "read:all", streams: &["orders"], required: true },
                Scope { name: "write", streams: &["orders"], required: false },
            ],
            scope_separator: ' ',
            authorize_params: &[("access_type", "offline"), ("prompt", "consent")],
            pkce: true,
            refresh: RefreshRule::Kept,
            life: None,
            issuer: None,
        }
    }

    fn request<'a>(extra: &'a [(&'a str, &'a str)]) -> AuthorizeRequest<'a> {
        AuthorizeRequest {
            client_id: "id&x=1",
            redirect_uri: "https://app.example/back?to=a b",
            state: "st+a/te=",
            challenge: "chal-lenge_",
            extra,
        }
    }

    #[test]
    fn a_link_carries_every_parameter_once_and_encoded() {
        let link = spec().authorize_link(&request(&[("login_hint", "j\u{e9}@x.example"), ("prompt", "none")])).expect("a link");
        assert_eq!(
            link,
            "https://shop.example/authorize?response_type=code&client_id=id%26x%3D1&redirect_uri=https%3A%2F%2Fapp.example%2Fback%3Fto%3Da%20b\
             &scope=read%3Aall%20write&state=st%2Ba%2Fte%3D&code_challenge=chal-lenge_&code_challenge_method=S256&access_type=offline\
             &login_hint=j%C3%A9%40x.example&prompt=none"
        );
    }

    #[test]
    fn a_page_that_has_a_query_already_keeps_it_and_no_scopes_are_no_parameter() {
        let spec = OAuthSpec { authorize_url: "https://shop.example/a?v=2".into(), scopes: &[], authorize_params: &[], ..spec() };
        let link = spec.authorize_link(&request(&[])).expect("a link");
        assert!(link.starts_with("https://shop.example/a?v=2&response_type=code&"), "{link}");
        assert!(!link.contains("scope"), "{link}");
    }

    #[test]
    fn nobody_sets_what_protects_the_flow() {
        for name in OURS {
            let extra = [(name, "x")];
            let error = spec().authorize_link(&request(&extra)).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.text().contains(name), "{error}");
        }
    }

    #[test]
    fn debug_of_a_visit_shows_neither_state_nor_challenge() {
        let shown = format!("{:?}", request(&[]));
        assert!(!shown.contains("st+a") && !shown.contains("chal-lenge"), "{shown}");
    }
}

//! An authorization server: pages for the browser, a token endpoint, revocation; state that expires on the simulation's clock.

mod assertion;
mod authorize;
mod page;
mod state;
mod token;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use http::Method;
use serde_json::json;
use sync_core::RefreshRule;

use self::state::State;
pub use self::{
    authorize::Decision,
    state::{Access, Issued},
    token::Refusal,
};
use super::{SimAnswer, SimRequest, Simulated, Simulator};

/// How one service's OAuth behaves. The default is the standard's: space between scopes, tokens of an hour, refresh tokens good once.
#[derive(Clone, Debug)]
pub struct AuthorizationRules {
    /// Where the consent page is.
    pub authorize_path: &'static str,
    /// Where tokens are asked for.
    pub token_path: &'static str,
    /// Where tokens are revoked.
    pub revoke_path: &'static str,
    /// What stands between scopes.
    pub separator: char,
    /// What becomes of a refresh token when it is used.
    pub refresh: RefreshRule,
    /// The life of an access token; `None` is for ever.
    pub life: Option<Duration>,
    /// What `iss` of an authorization answer says (RFC 9207).
    pub issuer: Option<String>,
    /// Whether a request without a PKCE challenge is refused.
    pub pkce: bool,
    /// Whether single scopes can be unticked.
    pub granular: bool,
    /// Whether a refresh token is given only to who asks with `access_type=offline`.
    pub offline: bool,
    /// Whether revoking an unknown token is refused (Google) and not passed over (RFC 7009).
    pub unknown_is_refused: bool,
    /// What access tokens begin with.
    pub access_prefix: &'static str,
    /// What refresh tokens begin with.
    pub refresh_prefix: &'static str,
}

impl Default for AuthorizationRules {
    fn default() -> Self {
        Self {
            authorize_path: "/authorize",
            token_path: "/token",
            revoke_path: "/revoke",
            separator: ' ',
            refresh: RefreshRule::Rotated,
            life: Some(Duration::from_secs(3600)),
            issuer: None,
            pkce: false,
            granular: true,
            offline: false,
            unknown_is_refused: false,
            access_prefix: "at-",
            refresh_prefix: "rt-",
        }
    }
}

/// An authorization server for ordinary OAuth clients: a consent page, codes that are good once and for a minute, bound to client,
/// redirect URI and PKCE challenge; refresh tokens that rotate or stay, the whole grant revoked when a spent one comes again; client
/// credentials and signed assertions; revocation.
///
/// It stands alone as a [`Simulator`], or is joined with a provider's simulator, which then takes the access tokens it issued. Its
/// operations are `oauth.authorize`, `oauth.token` and `oauth.revoke`: faults queue and calls are counted by them. Clones are the same
/// server.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    rules: Arc<AuthorizationRules>,
    state: Arc<Mutex<State>>,
}

impl Default for AuthorizationServer {
    fn default() -> Self {
        Self::new(AuthorizationRules::default())
    }
}

impl AuthorizationServer {
    /// A server without clients.
    #[must_use]
    pub fn new(rules: AuthorizationRules) -> Self {
        Self { rules: Arc::new(rules), state: Arc::default() }
    }

    /// Registers a client; one without a secret is public. Redirect URIs have to match exactly.
    #[must_use]
    pub fn with_client(self, id: &str, secret: Option<&str>, redirect_uris: &[&str]) -> Self {
        self.state().register(id, secret, redirect_uris, false);
        self
    }

    /// Registers a client that may be sent back to any address of this machine over plain http.
    #[must_use]
    pub fn with_local_client(self, id: &str, secret: Option<&str>) -> Self {
        self.state().register(id, secret, &[], true);
        self
    }

    /// Makes a service account; answers its key file. It is good for one server.
    ///
    /// # Panics
    /// When no key can be made, which needs randomness alone.
    #[must_use]
    pub fn service_account(&self, email: &str) -> String {
        let (file, public_key) = assertion::make(email);
        self.state().accounts.insert(email.to_owned(), public_key);
        file
    }

    /// What a browser gets that opens `url` at `now` and decides: the address it is sent back to.
    ///
    /// # Errors
    /// The page that is shown instead when client or redirect URI are wrong.
    pub fn decide(&self, url: &str, decision: &Decision<'_>, now: DateTime<Utc>) -> Result<String, SimAnswer> {
        authorize::decide(self, url, decision, now)
    }

    /// From now on the consent page approves by itself, for clients that have no browser.
    pub fn approve_at_once(&self) {
        self.state().approving = true;
    }

    /// What an access token is good for at `now`.
    #[must_use]
    pub fn access(&self, token: &str, now: DateTime<Utc>) -> Access {
        self.state().access(token, now)
    }

    /// Takes every grant back, as a user does in the account's settings.
    pub fn revoke_everything(&self) {
        self.state().revoke_all();
    }

    /// Every code, access token and refresh token given out so far, for those who look for leaks.
    #[must_use]
    pub fn issued(&self) -> Vec<String> {
        self.state().secrets.clone()
    }

    /// How many grants are good.
    #[must_use]
    pub fn grants(&self) -> usize {
        self.state().good_grants()
    }

    /// Whether a path is one of its own; a provider's simulator asks before it answers itself.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        [self.rules.authorize_path, self.rules.token_path, self.rules.revoke_path].contains(&path)
    }

    /// What a request to the token endpoint is granted, for simulators that answer in a form of their own.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn grant(&self, request: &SimRequest) -> Result<Issued, Refusal> {
        token::grant(self, request)
    }

    /// Takes back the grant a token belongs to; whether there was one.
    pub fn revoke(&self, token: &str) -> bool {
        self.state().revoke(token)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revocation(&self, request: &SimRequest) -> SimAnswer {
        let form = request.form();
        let named = token::Client::of(request, &form).map(|client| client.check(&self.state()));
        if let Some(Err(refusal)) = named {
            return refusal.answer();
        }
        let Some((_, token)) = form.iter().find(|(name, _)| name == "token") else { return Refusal::Missing("token").answer() };
        if !self.revoke(token) && self.rules.unknown_is_refused {
            return SimAnswer::json(400, json!({"error": "invalid_token", "error_description": "Token expired or revoked"}));
        }
        SimAnswer::json(200, json!({}))
    }
}

impl Simulator for AuthorizationServer {
    fn operation(&self, request: &SimRequest) -> &'static str {
        match &*request.path {
            path if path == self.rules.authorize_path => "oauth.authorize",
            path if path == self.rules.token_path => "oauth.token",
            path if path == self.rules.revoke_path => "oauth.revoke",
            _ => "oauth.unknown",
        }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        match self.operation(request) {
            "oauth.authorize" => authorize::answer(self, request),
            "oauth.token" if request.method == Method::POST => match self.grant(request) {
                Ok(issued) => SimAnswer::json(200, issued.json(self.rules.separator)).with_header("cache-control", "no-store"),
                Err(refusal) => refusal.answer(),
            },
            "oauth.revoke" if request.method == Method::POST => self.revocation(request),
            "oauth.unknown" => SimAnswer::json(404, json!({"error": "not_found"})),
            _ => SimAnswer::json(405, json!({"error": "invalid_request"})).with_header("allow", "POST"),
        }
    }

    fn simulated(&self) -> &'static [Simulated] {
        const SIMULATED: &[Simulated] = &[
            Simulated { operation: "oauth.authorize", request: "GET or POST /authorize", note: "a consent page; nobody signs in" },
            Simulated {
                operation: "oauth.token",
                request: "POST /token",
                note: "codes, refresh tokens, client credentials, signed assertions",
            },
            Simulated { operation: "oauth.revoke", request: "POST /revoke", note: "takes the whole grant back" },
        ];
        SIMULATED
    }
}

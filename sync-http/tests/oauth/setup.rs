//! An authorization server, and the OAuth side of a provider that speaks to it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sync_core::{
    AuthorizeRequest, ClientAuth, Delivery, Grant, OAuthCall, OAuthProvider, OAuthSpec, RefreshRule, Result, Revokes, Scope, TokenSet,
    WorkspaceId,
};
use sync_http::StandardOAuth;
use sync_testkit::{AuthorizationRules, AuthorizationServer, Decision, Simulation, TestServices};

pub(crate) const TOKEN: &str = "oauth.token";
pub(crate) const CLIENT: &str = "app one";
/// With everything that has to be encoded on its way.
pub(crate) const SECRET: &str = "s:c r&t=+%\u{fc}";
pub(crate) const REDIRECT: &str = "https://app.example/back?tenant=1";
pub(crate) const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0";

const SCOPES: &[Scope] =
    &[Scope { name: "read", streams: &["items"], required: true }, Scope { name: "write", streams: &["items"], required: false }];

pub(crate) fn spec(refresh: RefreshRule, client_auth: ClientAuth) -> OAuthSpec {
    OAuthSpec {
        authority: "shop",
        authorize_url: "https://shop.example/authorize".into(),
        token_url: "https://shop.example/token".into(),
        revoke_url: Some("https://shop.example/revoke".into()),
        revokes: Revokes::Refresh,
        client_auth,
        scopes: SCOPES,
        scope_separator: ' ',
        authorize_params: &[],
        refresh,
        life: None,
        issuer: None,
    }
}

pub(crate) struct Bench {
    pub(crate) services: TestServices,
    pub(crate) server: AuthorizationServer,
    pub(crate) simulation: Simulation<AuthorizationServer>,
    pub(crate) oauth: StandardOAuth,
    pub(crate) secret: Option<SecretString>,
    pub(crate) workspace: WorkspaceId,
}

impl Bench {
    pub(crate) fn new(refresh: RefreshRule) -> Self {
        Self::with(refresh, ClientAuth::Basic, Some(SECRET))
    }

    pub(crate) fn with(refresh: RefreshRule, client_auth: ClientAuth, secret: Option<&str>) -> Self {
        let services = TestServices::new(3);
        let rules = AuthorizationRules { refresh, pkce: true, ..AuthorizationRules::default() };
        let server = AuthorizationServer::new(rules).with_client(CLIENT, secret, &[REDIRECT]);
        let simulation = Simulation::new(server.clone()).with_clock(services.clock().clone());
        let oauth = StandardOAuth::builder(spec(refresh, client_auth)).transport(simulation.transport()).build().expect("a valid spec");
        Self { services, server, simulation, oauth, secret: secret.map(SecretString::from), workspace: WorkspaceId::from("test") }
    }

    pub(crate) fn call(&self) -> OAuthCall<'_> {
        OAuthCall {
            workspace: &self.workspace,
            client_id: CLIENT,
            client_secret: self.secret.as_ref(),
            redirect_uri: REDIRECT,
            services: &self.services,
        }
    }

    /// A code, as the browser brings it.
    pub(crate) fn code(&self) -> SecretString {
        self.code_by(&Decision::Approve).expect("approved")
    }

    pub(crate) fn code_by(&self, decision: &Decision<'_>) -> Option<SecretString> {
        let challenge = challenge(VERIFIER);
        let request = AuthorizeRequest { client_id: CLIENT, redirect_uri: REDIRECT, state: "st&te", challenge: &challenge };
        let url = self.oauth.authorize_url(&request).expect("an address");
        let back = self.server.decide(&url, decision, self.services.clock().now()).expect("sent back");
        let back = url::Url::parse(&back).expect("a URL");
        assert!(back.as_str().starts_with("https://app.example/back?tenant=1&"), "{back}");
        let found = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(found("state").as_deref(), Some("st&te"));
        found("code").map(SecretString::from)
    }

    pub(crate) async fn exchange(&self, code: &SecretString) -> Result<TokenSet> {
        self.oauth.exchange(&self.call(), code, &SecretString::from(VERIFIER)).await
    }

    pub(crate) async fn connected(&self) -> TokenSet {
        self.exchange(&self.code()).await.expect("tokens")
    }

    pub(crate) async fn renew(&self, refresh: &SecretString) -> Result<TokenSet> {
        self.oauth.renew(&self.call(), &Grant::RefreshToken(refresh.clone())).await
    }

    pub(crate) fn sent(&self) -> usize {
        self.simulation.count(TOKEN)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.services.clock().advance(time);
    }
}

pub(crate) fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// The S256 challenge, as a host's engine makes it.
pub(crate) fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()))
}

pub(crate) fn is_unknown(delivery: Delivery) -> bool {
    delivery == Delivery::Unknown
}

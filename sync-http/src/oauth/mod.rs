//! OAuth 2.0 by the standard: what a provider has to say of its own is the [`OAuthSpec`].

mod assertion;
mod classify;
mod read;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sync_core::{
    ClientAuth, Delivery, Error, ErrorKind, Grant, OAuthCall, OAuthProvider, OAuthSpec, RefreshRule, Result, TokenSet, policy::RetryPolicy,
};
use url::form_urlencoded;
use zeroize::Zeroizing;

pub use self::classify::classify_oauth;
use crate::{Answer, Api, Auth, Classifier, HttpTransport, Request, api::checked_url};

const EXCHANGE: &str = "oauth.exchange";
const RENEW: &str = "oauth.renew";
const REVOKE: &str = "oauth.revoke";

/// What the calls draw from; few services publish a quota for them, and none counts them with the calls of an account.
const BUCKET: &str = "oauth";

/// One attempt, and a whole renewal with its repeats: both end well inside the half minute for which a renewal is leased.
const TIMEOUT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(20);

/// An answer is a few kilobytes at most.
const MAX_BODY: usize = 256 << 10;

/// Moves what a service puts elsewhere to where the standard has it (RFC 6749, section 5.1), and answers what is kept with the
/// connection's settings: a data centre, never a secret.
pub type TokenReader = fn(&mut Map<String, Value>) -> Result<Map<String, Value>>;

/// OAuth 2.0 (RFC 6749, 7009, 7523, 7636) at the addresses of an [`OAuthSpec`], for a provider's
/// [`as_oauth`](sync_core::IntegrationSync::as_oauth).
///
/// A code is exchanged by one request, never sent again. A renewal is repeated when it surely was not done, or when repeating is
/// harmless: never with a refresh token that is good once and may have been used. Everything ends within 20 s. A provider whose
/// service has a step of its own implements [`OAuthProvider`] itself and hands the other steps on.
///
/// No error, log or `Debug` holds a code, verifier, secret or token.
#[derive(Clone, Debug)]
pub struct StandardOAuth {
    spec: Arc<OAuthSpec>,
    tokens: Api,
    /// For what is sent once whatever becomes of it.
    once: Api,
    revocations: Option<Api>,
    reader: TokenReader,
}

/// Describes the OAuth of a service; made by [`StandardOAuth::builder`].
#[derive(Debug)]
#[must_use]
pub struct StandardOAuthBuilder {
    spec: OAuthSpec,
    transport: Option<Arc<dyn HttpTransport>>,
    classifier: Classifier,
    reader: TokenReader,
}

impl StandardOAuthBuilder {
    /// What carries the requests. Default: as [`ApiBuilder::transport`](crate::ApiBuilder::transport).
    pub fn transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// What turns refusals of the token endpoint into errors. Default: [`classify_oauth`].
    pub fn classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// What a service says elsewhere than the standard. Default: nothing.
    pub fn reader(mut self, reader: TokenReader) -> Self {
        self.reader = reader;
        self
    }

    /// The OAuth side of a provider.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when an address of the spec cannot be used: it is none, is neither https nor of this machine, or
    /// holds credentials.
    pub fn build(self) -> Result<StandardOAuth> {
        let spec = self.spec;
        let page = spec.authorize_url.split_once('?').map_or(&*spec.authorize_url, |(page, _)| page);
        checked_url(page)
            .map_err(|problem| Error::config("configure", format!("authorize_url: {problem}")).at("authority", spec.authority))?;
        let api = |url: &str, classifier: Classifier, retry: RetryPolicy| {
            let builder = Api::builder(spec.authority, url).auth(Auth::None).classifier(classifier).retry(retry);
            match &self.transport {
                Some(transport) => builder.transport(Arc::clone(transport)),
                None => builder,
            }
            .build()
        };
        let retry = RetryPolicy { max_retries: 2, deadline: DEADLINE, ..RetryPolicy::default() };
        Ok(StandardOAuth {
            tokens: api(&spec.token_url, self.classifier, retry)?,
            once: api(&spec.token_url, self.classifier, RetryPolicy { max_retries: 0, ..retry })?,
            revocations: spec.revoke_url.as_deref().map(|url| api(url, classify::revocation, retry)).transpose()?,
            reader: self.reader,
            spec: Arc::new(spec),
        })
    }
}

impl StandardOAuth {
    /// Begins the OAuth of a service.
    pub fn builder(spec: OAuthSpec) -> StandardOAuthBuilder {
        StandardOAuthBuilder { spec, transport: None, classifier: classify_oauth, reader: |_| Ok(Map::new()) }
    }

    /// A form with the client's proof of who it is.
    fn request(
        &self,
        operation: &'static str,
        call: &OAuthCall<'_>,
        fields: &[(&str, &str)],
        secrets: &[&SecretString],
    ) -> Result<Request> {
        if call.client_id.is_empty() {
            let text = format!("no OAuth client is registered for {}; register its id and secret", self.spec.authority);
            return Err(Error::config(operation, text));
        }
        let mut fields = fields.to_vec();
        let request = match (call.client_secret, self.spec.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let (id, password) = (encoded(call.client_id), Zeroizing::new(encoded(secret.expose_secret())));
                let pair = Zeroizing::new(format!("{id}:{}", *password));
                let proof = SecretString::from(BASE64_STANDARD.encode(pair.as_bytes()));
                let header = Zeroizing::new(format!("Basic {}", proof.expose_secret()));
                form(operation, &fields).header("authorization", &*header).secret(&proof)
            }
            (secret, _) => {
                fields.push(("client_id", call.client_id));
                fields.extend(secret.map(|secret| ("client_secret", secret.expose_secret())));
                form(operation, &fields)
            }
        };
        Ok(secrets.iter().copied().chain(call.client_secret).fold(request, Request::secret))
    }

    async fn tokens(&self, api: &Api, call: &OAuthCall<'_>, request: Request) -> Result<TokenSet> {
        let operation = request.operation();
        let read = |answer: Answer| read::tokens(operation, &answer, &self.spec, self.reader);
        api.fetch_oauth(call, request, read).await.map_err(|error| error.at("authority", self.spec.authority))
    }
}

fn form(operation: &'static str, fields: &[(&str, &str)]) -> Request {
    Request::post(operation, "").form(fields).bucket(BUCKET).timeout(TIMEOUT).max_body(MAX_BODY)
}

/// There is nothing to renew with: nothing was sent, someone has to connect again.
fn nothing_to_renew(text: &'static str) -> Error {
    Error::new(ErrorKind::Auth, RENEW, text).with_delivery(Delivery::NotSent)
}

#[async_trait]
impl OAuthProvider for StandardOAuth {
    fn spec(&self) -> &OAuthSpec {
        &self.spec
    }

    async fn exchange(&self, call: &OAuthCall<'_>, code: &SecretString, verifier: &SecretString) -> Result<TokenSet> {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code.expose_secret())];
        if !verifier.expose_secret().is_empty() {
            fields.push(("code_verifier", verifier.expose_secret()));
        }
        if !call.redirect_uri.is_empty() {
            fields.push(("redirect_uri", call.redirect_uri));
        }
        let request = self.request(EXCHANGE, call, &fields, &[code, verifier])?;
        self.tokens(&self.once, call, request).await
    }

    async fn renew(&self, call: &OAuthCall<'_>, grant: &Grant) -> Result<TokenSet> {
        let scope = self.spec.scope_text();
        let request = match grant {
            Grant::RefreshToken(_) if self.spec.refresh == RefreshRule::None => {
                return Err(nothing_to_renew("the service has no refresh tokens: its access tokens are good until they are revoked"));
            }
            Grant::RefreshToken(token) if token.expose_secret().is_empty() => {
                return Err(nothing_to_renew("the connection has no refresh token"));
            }
            Grant::RefreshToken(token) => {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
                self.request(RENEW, call, &fields, &[token])?.repeatable(self.spec.refresh == RefreshRule::Kept)
            }
            Grant::ClientCredentials => {
                let mut fields = vec![("grant_type", "client_credentials")];
                if !scope.is_empty() {
                    fields.push(("scope", &scope));
                }
                self.request(RENEW, call, &fields, &[])?.repeatable(true)
            }
            Grant::ServiceAccount(file) => {
                let assertion = assertion::signed(RENEW, file, &self.spec, call.services.now())?;
                let fields = [("grant_type", assertion::GRANT_TYPE), ("assertion", assertion.expose_secret())];
                // who signs needs no client
                form(RENEW, &fields).secret(&assertion).repeatable(true)
            }
        };
        self.tokens(&self.tokens, call, request).await
    }

    async fn revoke(&self, call: &OAuthCall<'_>, token: &SecretString) -> Result<()> {
        let Some(api) = &self.revocations else { return Err(Error::unsupported(REVOKE).at("authority", self.spec.authority)) };
        let fields = [("token", token.expose_secret())];
        // a grant made without a client is taken back without one
        let request =
            if call.client_id.is_empty() { form(REVOKE, &fields).secret(token) } else { self.request(REVOKE, call, &fields, &[token])? };
        api.send_oauth(call, request.repeatable(true)).await.map(drop).map_err(|error| error.at("authority", self.spec.authority))
    }
}

//! What is sent is what an independent client sends.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl, basic::BasicClient,
};
use secrecy::SecretString;
use sync_core::{ClientAuth, Grant, OAuthCall, OAuthProvider, RefreshRule, WorkspaceId};
use sync_http::{HttpTransport, Limits, StandardOAuth, TransportError};
use sync_testkit::TestServices;

use crate::setup::{CLIENT, REDIRECT, SECRET, VERIFIER, spec};

const ANSWER: &[u8] = br#"{"access_token":"a","token_type":"Bearer"}"#;

/// Method, address, content type, proof, and the fields of the form.
type Seen = (String, String, Option<String>, Option<String>, BTreeMap<String, String>);

fn seen(request: &http::Request<impl AsRef<[u8]>>) -> Seen {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let form = url::form_urlencoded::parse(request.body().as_ref()).into_owned().collect();
    (request.method().to_string(), request.uri().to_string(), header("content-type"), header("authorization"), form)
}

#[derive(Debug, Default)]
struct Watched(Mutex<Vec<Seen>>);

impl Watched {
    fn note(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[sync_core::async_trait]
impl HttpTransport for Watched {
    async fn send(&self, request: http::Request<Bytes>, _: Limits) -> Result<http::Response<Bytes>, TransportError> {
        self.note(seen(&request));
        Ok(http::Response::new(Bytes::from_static(ANSWER)))
    }
}

#[tokio::test]
async fn requests_are_those_of_an_independent_client() {
    for (client_auth, secret) in [(ClientAuth::Basic, Some(SECRET)), (ClientAuth::Body, Some(SECRET)), (ClientAuth::Basic, None)] {
        let (ours, theirs) = (Arc::new(Watched::default()), Watched::default());
        let transport: Arc<dyn HttpTransport> = Arc::<Watched>::clone(&ours);
        let oauth = StandardOAuth::builder(spec(RefreshRule::Kept, client_auth)).transport(transport).build().expect("a valid spec");
        let (workspace, services, kept) = (WorkspaceId::from("w"), TestServices::new(1), secret.map(SecretString::from));
        let call = OAuthCall {
            workspace: &workspace,
            client_id: CLIENT,
            client_secret: kept.as_ref(),
            redirect_uri: REDIRECT,
            services: &services,
        };
        oauth.exchange(&call, &SecretString::from("c/1+ &"), &SecretString::from(VERIFIER)).await.expect("tokens");
        oauth.renew(&call, &Grant::RefreshToken(SecretString::from("r/1+ &"))).await.expect("tokens");

        let client = BasicClient::new(ClientId::new(CLIENT.into()))
            .set_auth_type(if client_auth == ClientAuth::Basic { AuthType::BasicAuth } else { AuthType::RequestBody })
            .set_token_uri(TokenUrl::new("https://shop.example/token".into()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).expect("a URL"));
        let client = match secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.into())),
            None => client,
        };
        let http = |request: oauth2::HttpRequest| {
            theirs.note(seen(&request));
            std::future::ready(Ok::<_, io::Error>(
                http::Response::builder().header("content-type", "application/json").body(ANSWER.to_vec()).expect("an answer"),
            ))
        };
        let verifier = PkceCodeVerifier::new(VERIFIER.into());
        client
            .exchange_code(AuthorizationCode::new("c/1+ &".into()))
            .set_pkce_verifier(verifier)
            .request_async(&http)
            .await
            .expect("tokens");
        client.exchange_refresh_token(&RefreshToken::new("r/1+ &".into())).request_async(&http).await.expect("tokens");
        assert_eq!(ours.all(), theirs.all(), "{client_auth:?}");

        if secret.is_some() {
            oauth.renew(&call, &Grant::ClientCredentials).await.expect("tokens");
            let scopes = ["read", "write"].map(|name| Scope::new(name.into()));
            client.exchange_client_credentials().add_scopes(scopes).request_async(&http).await.expect("tokens");
            assert_eq!(ours.all().last(), theirs.all().last());
        }
    }
}

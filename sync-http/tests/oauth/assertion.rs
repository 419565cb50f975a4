//! Signed assertions that are refused (RFC 7523), and who has to mend what.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use sync_core::{
    AccessToken, CallSite, ClientAuth, ConnectionId, ErrorKind, Grant, OAuthCall, OAuthProvider, OAuthSpec, Permit, RefreshRule, Result,
    Services, async_trait,
};
use sync_http::{HttpTransport, Limits, StandardOAuth, TransportError};
use sync_testkit::TestServices;

use crate::setup::{Bench, spec};

/// Services whose clock is wrong by so much.
#[derive(Debug)]
struct Skewed<'a>(&'a TestServices, TimeDelta);

#[async_trait]
impl Services for Skewed<'_> {
    async fn token(&self, connection: &ConnectionId, rejected: Option<u64>) -> Result<AccessToken> {
        self.0.token(connection, rejected).await
    }

    async fn permit(&self, call: &CallSite<'_>, deadline: DateTime<Utc>) -> Result<Permit> {
        self.0.permit(call, deadline - self.1).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.now() + self.1
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(wait)
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

/// A proxy before the token endpoint, at an address of its own.
#[derive(Debug)]
struct Proxy(Arc<dyn HttpTransport>);

#[async_trait]
impl HttpTransport for Proxy {
    async fn send(&self, mut request: http::Request<Bytes>, limits: Limits) -> Result<http::Response<Bytes>, TransportError> {
        *request.uri_mut() = http::Uri::from_static("https://shop.example/token");
        self.0.send(request, limits).await
    }
}

#[tokio::test]
async fn an_assertion_of_another_time_or_for_another_endpoint_is_the_hosts_to_mend_and_no_grant_is_given_up() {
    let bench = Bench::new(RefreshRule::Kept);
    let grant = Grant::ServiceAccount(SecretString::from(bench.server.service_account("robot@shop.example")));
    // Slow by an hour it has expired when it comes; fast by more than a minute it is from the future.
    for (seconds, taken) in [(0, true), (-3540, true), (-3600, false), (50, true), (61, false), (7200, false)] {
        let services = Skewed(&bench.services, TimeDelta::seconds(seconds));
        let call = OAuthCall { client_id: "", client_secret: None, redirect_uri: "", services: &services, ..bench.call() };
        match bench.oauth.renew(&call, &grant).await {
            Ok(_) => assert!(taken, "{seconds} s"),
            Err(error) => {
                assert!(!taken, "{seconds} s: {error}");
                assert_eq!(error.kind(), ErrorKind::Config, "{error}");
                assert!(error.text().contains("reasonable timeframe") && error.text().contains("clock is wrong"), "{error}");
            }
        }
    }
    let elsewhere = OAuthSpec { token_url: "https://proxy.example/elsewhere".into(), ..spec(RefreshRule::Kept, ClientAuth::Body) };
    let proxy = Arc::new(Proxy(bench.simulation.transport()));
    let oauth = StandardOAuth::builder(elsewhere).transport(proxy).build().expect("a valid spec");
    let call = OAuthCall { client_id: "", client_secret: None, redirect_uri: "", ..bench.call() };
    let error = oauth.renew(&call, &grant).await.expect_err("another audience");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.text().contains("Failed audience check") && error.text().contains("address of the token endpoint"), "{error}");
}

//! Connecting by OAuth: what Slack grants, renews and takes back, and what its methods say then.

use std::time::Duration;

use provider_slack::{Slack, simulator::SlackSim};
use serde_json::json;
use sync_core::{
    AuthorizeRequest, ErrorKind, ExposeSecret, Grant, IntegrationSync, OAuthCall, OAuthProvider, RefreshRule, Result, Revokes,
    SecretString, TokenSet, WorkspaceId,
};
use sync_testkit::{AuthorizationServer, Decision, Fault, Simulation, TestServices};

const REDIRECT: &str = "https://app.example/back";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct Bench {
    services: TestServices,
    server: AuthorizationServer,
    simulation: Simulation<SlackSim>,
    slack: Slack,
    secret: SecretString,
    workspace: WorkspaceId,
}

impl Bench {
    fn new(rotation: bool) -> Self {
        let services = TestServices::new(7);
        let server = AuthorizationServer::new(SlackSim::authorization_rules(rotation)).with_client("1.2", Some("s3cret"), &[REDIRECT]);
        let sim = SlackSim::new("T1", "Acme").authorized_by(&server);
        sim.add_user("U1", "Ada");
        let simulation = Simulation::new(sim).with_clock(services.clock().clone());
        let slack = Slack::builder().transport(simulation.transport()).build().expect("valid");
        Self { services, server, simulation, slack, secret: SecretString::from("s3cret"), workspace: WorkspaceId::from("test") }
    }

    fn oauth(&self) -> &dyn OAuthProvider {
        self.slack.as_oauth().expect("Slack has OAuth")
    }

    fn call(&self) -> OAuthCall<'_> {
        OAuthCall {
            workspace: &self.workspace,
            client_id: "1.2",
            client_secret: Some(&self.secret),
            redirect_uri: REDIRECT,
            services: &self.services,
        }
    }

    fn code(&self) -> SecretString {
        let request = AuthorizeRequest { client_id: "1.2", redirect_uri: REDIRECT, state: "s", challenge: CHALLENGE };
        let url = self.oauth().authorize_url(&request).expect("an address");
        assert!(url.starts_with("https://slack.com/oauth/v2/authorize?"), "{url}");
        let back = self.server.decide(&url, &Decision::Approve, self.services.clock().now()).expect("sent back");
        let code = back.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code");
        SecretString::from(code)
    }

    async fn connected(&self) -> TokenSet {
        self.oauth().exchange(&self.call(), &self.code(), &SecretString::from(VERIFIER)).await.expect("tokens")
    }

    /// What a call with this token says.
    async fn test(&self, token: &SecretString) -> Result<sync_core::Account> {
        let services = TestServices::new(1).with_token(token.expose_secret());
        self.slack.validate_credentials(&services.context(json!({}))).await
    }
}

#[tokio::test]
async fn an_app_with_rotation_renews_after_twelve_hours_and_each_refresh_token_is_good_once() {
    let bench = Bench::new(true);
    let first = bench.connected().await;
    assert_eq!(first.expires_in, Some(Duration::from_secs(43_200)));
    assert!(bench.oauth().spec().missing(first.scopes.as_deref()).is_empty(), "{:?}", first.scopes);
    assert_eq!(&*bench.test(&first.access).await.expect("good").id, "T1");

    bench.services.clock().advance(Duration::from_secs(43_200));
    let error = bench.test(&first.access).await.expect_err("expired");
    assert!(error.kind() == ErrorKind::Auth && error.text().contains("token_expired"), "{error}");
    let refresh = Grant::RefreshToken(first.refresh.expect("a refresh token"));
    let second = bench.oauth().renew(&bench.call(), &refresh).await.expect("renewed");
    assert!(second.refresh.is_some());
    bench.test(&second.access).await.expect("good");

    let error = bench.oauth().renew(&bench.call(), &refresh).await.expect_err("spent");
    assert!(error.kind() == ErrorKind::AuthRevoked && error.text().contains("invalid_refresh_token"), "{error}");
    assert_eq!(bench.test(&second.access).await.expect_err("revoked with it").kind(), ErrorKind::AuthRevoked);
}

#[tokio::test]
async fn an_app_without_rotation_has_a_token_for_good() {
    let bench = Bench::new(false);
    let tokens = bench.connected().await;
    assert!(tokens.expires_in.is_none() && tokens.refresh.is_none());
    bench.services.clock().advance(Duration::from_secs(400 * 24 * 3600));
    bench.test(&tokens.access).await.expect("still good");
    assert_eq!(bench.test(&SecretString::from("xoxb-of-nobody")).await.expect_err("not given out").kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn what_is_wrong_with_the_app_is_not_blamed_on_the_user() {
    let bench = Bench::new(true);
    let (verifier, guess) = (SecretString::from(VERIFIER), SecretString::from("guess"));
    let guessing = OAuthCall { client_secret: Some(&guess), ..bench.call() };
    let elsewhere = OAuthCall { redirect_uri: "https://app.example/other", ..bench.call() };
    let stranger = OAuthCall { client_id: "9.9", ..bench.call() };
    for (call, code) in [(guessing, "bad_client_secret"), (elsewhere, "bad_redirect_uri"), (stranger, "invalid_client_id")] {
        let error = bench.oauth().exchange(&call, &bench.code(), &verifier).await.expect_err(code);
        assert!(error.kind() == ErrorKind::Config && error.text().contains(code), "{error}");
    }
    let error = bench.oauth().exchange(&bench.call(), &bench.code(), &guess).await.expect_err("a wrong verifier");
    assert!(error.kind() == ErrorKind::AuthRevoked && error.text().contains("invalid_code_verifier"), "{error}");
}

#[tokio::test]
async fn a_token_is_taken_back_by_slacks_own_method_and_twice_is_no_error() {
    let bench = Bench::new(true);
    let tokens = bench.connected().await;
    for _ in 0..2 {
        bench.oauth().revoke(&bench.call(), &tokens.access).await.expect("done");
    }
    assert_eq!(bench.test(&tokens.access).await.expect_err("revoked").kind(), ErrorKind::AuthRevoked);
    assert_eq!(bench.simulation.count("oauth.revoke"), 2);
}

#[tokio::test]
async fn a_refresh_token_and_one_that_has_ended_are_not_said_to_be_taken_back() {
    let bench = Bench::new(true);
    let tokens = bench.connected().await;
    assert_eq!(bench.oauth().spec().revokes, Revokes::Access);
    let error = bench.oauth().revoke(&bench.call(), &tokens.refresh.expect("a refresh token")).await.expect_err("no access token");
    assert!(error.kind() == ErrorKind::Auth && error.text().contains("invalid_auth"), "{error}");
    bench.services.clock().advance(Duration::from_secs(43_200));
    let error = bench.oauth().revoke(&bench.call(), &tokens.access).await.expect_err("it has ended");
    assert!(error.kind() == ErrorKind::Auth && error.text().contains("token_expired"), "{error}");
    assert_eq!(bench.server.grants(), 1, "nothing was taken back");
}

#[tokio::test]
async fn a_renewal_whose_answer_is_lost_is_not_sent_again() {
    let bench = Bench::new(true);
    assert_eq!(bench.oauth().spec().refresh, RefreshRule::Rotated);
    let refresh = Grant::RefreshToken(bench.connected().await.refresh.expect("a refresh token"));
    bench.simulation.faults().push("oauth.token", Fault::LostAnswer);
    let error = bench.oauth().renew(&bench.call(), &refresh).await.expect_err("lost");
    assert_eq!((error.delivery(), bench.simulation.count("oauth.token")), (sync_core::Delivery::Unknown, 2));
    assert_eq!(bench.server.grants(), 1);
}

#[tokio::test]
async fn each_stream_names_the_scopes_it_needs() {
    let bench = Bench::new(true);
    for stream in bench.slack.descriptor().fixed_streams {
        assert!(bench.oauth().spec().scopes.iter().any(|scope| scope.streams.contains(stream)), "{stream}");
    }
    assert_eq!(bench.oauth().spec().authority, "slack");
}

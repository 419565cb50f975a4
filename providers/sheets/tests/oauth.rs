//! Connecting by OAuth: what Google grants, keeps and takes back, and what the Sheets API says then.

use std::time::Duration;

use provider_sheets::{Sheets, simulator::SheetsSim};
use serde_json::json;
use sync_core::{
    Account, AuthorizeRequest, ErrorKind, ExposeSecret, Grant, IntegrationSync, OAuthCall, OAuthProvider, Result, SecretString, TokenSet,
    WorkspaceId,
};
use sync_testkit::{AuthorizationServer, Decision, Fault, Simulation, TestServices};

const REDIRECT: &str = "https://app.example/back";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

struct Bench {
    services: TestServices,
    server: AuthorizationServer,
    simulation: Simulation<SheetsSim>,
    sheets: Sheets,
    secret: SecretString,
    workspace: WorkspaceId,
}

impl Bench {
    fn new() -> Self {
        let services = TestServices::new(7);
        let server = AuthorizationServer::new(SheetsSim::authorization_rules()).with_client("app", Some("GOCSPX-1"), &[REDIRECT]);
        let simulation = Simulation::new(SheetsSim::new("1AbC", "Staff").authorized_by(&server)).with_clock(services.clock().clone());
        let sheets = Sheets::builder().transport(simulation.transport()).build().expect("valid");
        Self { services, server, simulation, sheets, secret: SecretString::from("GOCSPX-1"), workspace: WorkspaceId::from("test") }
    }

    fn oauth(&self) -> &dyn OAuthProvider {
        self.sheets.as_oauth().expect("Google has OAuth")
    }

    fn call(&self) -> OAuthCall<'_> {
        OAuthCall {
            workspace: &self.workspace,
            client_id: "app",
            client_secret: Some(&self.secret),
            redirect_uri: REDIRECT,
            services: &self.services,
        }
    }

    async fn connected(&self) -> TokenSet {
        let request = AuthorizeRequest { client_id: "app", redirect_uri: REDIRECT, state: "s", challenge: CHALLENGE };
        let url = self.oauth().authorize_url(&request).expect("an address");
        assert!(url.starts_with("https://accounts.google.com/o/oauth2/v2/auth?"), "{url}");
        assert!(url.contains("access_type=offline") && url.contains("prompt=consent") && !url.contains("include_granted"), "{url}");
        let back = self.server.decide(&url, &Decision::Approve, self.services.clock().now()).expect("sent back");
        let code = back.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code");
        self.oauth().exchange(&self.call(), &SecretString::from(code), &SecretString::from(VERIFIER)).await.expect("tokens")
    }

    async fn test(&self, token: &SecretString) -> Result<Account> {
        let services = TestServices::new(1).with_token(token.expose_secret());
        self.sheets.validate_credentials(&services.context(json!({"spreadsheet_id": "1AbC"}))).await
    }
}

#[tokio::test]
async fn a_renewal_brings_no_refresh_token_and_the_old_one_stays_good() {
    let bench = Bench::new();
    let first = bench.connected().await;
    assert_eq!(first.expires_in, Some(Duration::from_secs(3599)));
    assert_eq!(bench.oauth().spec().authority, "google");
    assert!(bench.oauth().spec().missing(first.scopes.as_deref()).is_empty());
    bench.test(&first.access).await.expect("good");
    let refresh = Grant::RefreshToken(first.refresh.expect("a refresh token"));
    for _ in 0..2 {
        bench.services.clock().advance(Duration::from_secs(3599));
        assert_eq!(bench.test(&first.access).await.expect_err("expired").kind(), ErrorKind::Auth);
        let renewed = bench.oauth().renew(&bench.call(), &refresh).await.expect("renewed");
        assert!(renewed.refresh.is_none());
        bench.test(&renewed.access).await.expect("good");
    }
}

#[tokio::test]
async fn a_grant_taken_back_is_told_from_trouble_at_the_service() {
    let bench = Bench::new();
    let first = bench.connected().await;
    let refresh = Grant::RefreshToken(first.refresh.expect("a refresh token"));
    bench.simulation.faults().push_times("oauth.token", Fault::status(503, ""), 3);
    assert_eq!(bench.oauth().renew(&bench.call(), &refresh).await.expect_err("down").kind(), ErrorKind::Transport);
    for _ in 0..2 {
        bench.oauth().revoke(&bench.call(), &first.access).await.expect("done");
    }
    let error = bench.oauth().renew(&bench.call(), &refresh).await.expect_err("gone");
    assert!(error.kind() == ErrorKind::AuthRevoked && error.text().contains("expired or revoked"), "{error}");
    assert_eq!(bench.test(&first.access).await.expect_err("gone").kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn a_service_account_reads_without_a_user_and_less_than_the_scope_is_forbidden() {
    let bench = Bench::new();
    let file = SecretString::from(bench.server.service_account("robot@acme.example"));
    let call = OAuthCall { client_id: "", client_secret: None, redirect_uri: "", ..bench.call() };
    let tokens = bench.oauth().renew(&call, &Grant::ServiceAccount(file)).await.expect("tokens");
    bench.test(&tokens.access).await.expect("good");
    let hosts: Vec<String> = bench.simulation.calls().iter().map(|call| call.host.clone()).collect();
    assert_eq!(hosts, ["oauth2.googleapis.com", "sheets.googleapis.com"]);

    let other = AuthorizationServer::new(SheetsSim::authorization_rules()).with_client("app", Some("GOCSPX-1"), &[REDIRECT]);
    let url = format!(
        "https://x.example/?client_id=app&redirect_uri={REDIRECT}&response_type=code&scope=openid&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let simulation = Simulation::new(SheetsSim::new("1AbC", "Staff").authorized_by(&other)).with_clock(bench.services.clock().clone());
    let sheets = Sheets::builder().transport(simulation.transport()).build().expect("valid");
    let back = other.decide(&url, &Decision::Approve, bench.services.clock().now()).expect("sent back");
    let code = back.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code");
    let oauth = sheets.as_oauth().expect("Google has OAuth");
    let less = oauth.exchange(&bench.call(), &SecretString::from(code), &SecretString::from(VERIFIER)).await.expect("tokens");
    assert!(less.refresh.is_none(), "without access_type=offline there is none");
    assert_eq!(oauth.spec().missing(less.scopes.as_deref()).len(), 1);
    let services = TestServices::new(1).with_token(less.access.expose_secret());
    let error = sheets.validate_credentials(&services.context(json!({"spreadsheet_id": "1AbC"}))).await.expect_err("less");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[test]
fn what_stands_in_for_google_is_at_one_address() {
    let sheets = Sheets::builder().oauth_url("http://127.0.0.1:4010/sheets/").build().expect("valid");
    let spec = sheets.as_oauth().expect("Google has OAuth").spec().clone();
    assert_eq!(&*spec.authorize_url, "http://127.0.0.1:4010/sheets/o/oauth2/v2/auth");
    assert_eq!(&*spec.token_url, "http://127.0.0.1:4010/sheets/token");
    assert_eq!(spec.revoke_url.as_deref(), Some("http://127.0.0.1:4010/sheets/revoke"));
    assert_eq!(spec.issuer, None);
    let error = Sheets::builder().oauth_url("http://oauth.example").build().expect_err("in the clear");
    assert_eq!(error.kind(), ErrorKind::Config);
}

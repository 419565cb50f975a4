//! The authorization server, as an ordinary OAuth client and a browser see it: over a socket, with clients that are not ours.

use std::time::Duration;

use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    Scope, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicErrorResponseType},
};
use reqwest::{Client, StatusCode, redirect};
use sync_core::RefreshRule;
use sync_testkit::{Access, AuthorizationRules, AuthorizationServer, Decision, Fault, Simulation, VirtualClock};
use url::Url;

const REDIRECT: &str = "https://app.example/back";

struct Bench {
    server: AuthorizationServer,
    simulation: Simulation<AuthorizationServer>,
    clock: VirtualClock,
    served: sync_testkit::Served,
    browser: Client,
}

impl Bench {
    async fn new(rules: AuthorizationRules) -> Self {
        let clock = VirtualClock::new(chrono::DateTime::UNIX_EPOCH);
        let server =
            AuthorizationServer::new(rules).with_client("app", Some("s&cret"), &[REDIRECT]).with_client("other", None, &[REDIRECT]);
        let simulation = Simulation::new(server.clone()).with_clock(clock.clone());
        let served = simulation.serve().await.expect("a socket");
        let browser = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().expect("a client");
        Self { server, simulation, clock, served, browser }
    }

    fn page(&self, challenge: PkceCodeChallenge) -> (Url, CsrfToken) {
        let page = oauth2::AuthUrl::new(format!("{}/authorize", self.served.url)).expect("a URL");
        BasicClient::new(ClientId::new("app".into()))
            .set_auth_uri(page)
            .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).expect("a URL"))
            .authorize_url(CsrfToken::new_random)
            .add_scopes(["read", "write"].map(|name| Scope::new(name.into())))
            .set_pkce_challenge(challenge)
            .url()
    }

    /// Opens the page, fills in the form, and answers the query of the address it leads to.
    async fn consent(&self, page: &Url, form: &[(&str, &str)]) -> Vec<(String, String)> {
        let shown = self.browser.get(page.clone()).send().await.expect("a page");
        assert_eq!(shown.headers()["cache-control"], "no-store");
        assert!(shown.text().await.expect("text").contains("<form method=\"post\">"));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let sent = self.browser.post(page.clone()).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = sent.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::FOUND);
        let location = Url::parse(answer.headers()["location"].to_str().expect("text")).expect("a URL");
        assert!(location.as_str().starts_with(REDIRECT));
        location.query_pairs().into_owned().collect()
    }

    async fn code(&self) -> (String, PkceCodeVerifier) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (page, _) = self.page(challenge);
        let back = self.consent(&page, &[("decision", "approve"), ("scope", "read"), ("scope", "write")]).await;
        (field(&back, "code").expect("a code"), verifier)
    }

    async fn send(&self, request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse, reqwest::Error> {
        let answer = self.browser.execute(reqwest::Request::try_from(request)?).await?;
        let mut response = oauth2::HttpResponse::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer.bytes().await?.to_vec();
        Ok(response)
    }
}

fn field(query: &[(String, String)], name: &str) -> Option<String> {
    query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
}

macro_rules! client {
    ($bench:expr) => {
        BasicClient::new(ClientId::new("app".into()))
            .set_client_secret(ClientSecret::new("s&cret".into()))
            .set_token_uri(TokenUrl::new(format!("{}/token", $bench.served.url)).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(REDIRECT.into()).expect("a URL"))
    };
}

/// The code of a refusal.
fn refused<T: std::fmt::Debug>(
    result: Result<T, RequestTokenError<reqwest::Error, oauth2::basic::BasicErrorResponse>>,
) -> BasicErrorResponseType {
    match result.expect_err("refused") {
        RequestTokenError::ServerResponse(response) => response.error().clone(),
        other => panic!("another error: {other:?}"),
    }
}

#[tokio::test]
async fn an_ordinary_client_connects_renews_and_is_cut_off_when_it_sends_a_spent_token() {
    let bench = Bench::new(AuthorizationRules { issuer: Some("https://issuer.example".into()), ..AuthorizationRules::default() }).await;
    let send = |request| bench.send(request);
    for auth in [AuthType::BasicAuth, AuthType::RequestBody] {
        let client = client!(bench).set_auth_type(auth);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (page, state) = bench.page(challenge);
        let back = bench.consent(&page, &[("decision", "approve"), ("scope", "read")]).await;
        assert_eq!(field(&back, "state").as_ref(), Some(state.secret()));
        assert_eq!(field(&back, "iss").as_deref(), Some("https://issuer.example"));
        let code = AuthorizationCode::new(field(&back, "code").expect("a code"));
        let first = client.exchange_code(code).set_pkce_verifier(verifier).request_async(&send).await.expect("tokens");
        assert_eq!(first.expires_in(), Some(Duration::from_secs(3600)));
        assert_eq!(first.scopes().map(|scopes| scopes.len()), Some(1), "one was unticked");

        let old = first.refresh_token().expect("a refresh token");
        let second = client.exchange_refresh_token(old).request_async(&send).await.expect("renewed");
        assert_ne!(second.refresh_token().map(|token| token.secret()), Some(old.secret()));
        assert!(matches!(bench.server.access(second.access_token().secret(), bench.clock.now()), Access::Good(_)));
        assert_eq!(refused(client.exchange_refresh_token(old).request_async(&send).await), BasicErrorResponseType::InvalidGrant);
        assert_eq!(bench.server.access(second.access_token().secret(), bench.clock.now()), Access::Revoked);
        let successor = second.refresh_token().expect("a successor");
        assert_eq!(refused(client.exchange_refresh_token(successor).request_async(&send).await), BasicErrorResponseType::InvalidGrant);
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_and_for_who_asked() {
    let bench = Bench::new(AuthorizationRules::default()).await;
    let (send, client) = (|request| bench.send(request), client!(bench));
    let exchange = |code: String| client.exchange_code(AuthorizationCode::new(code));

    let (code, verifier) = bench.code().await;
    exchange(code.clone()).set_pkce_verifier(verifier).request_async(&send).await.expect("tokens");
    assert_eq!(refused(exchange(code).request_async(&send).await), BasicErrorResponseType::InvalidGrant);
    assert_eq!(bench.server.grants(), 0, "what a stolen code became is taken back");

    let (code, verifier) = bench.code().await;
    bench.clock.advance(Duration::from_secs(60));
    let late = exchange(code).set_pkce_verifier(verifier).request_async(&send).await;
    assert_eq!(refused(late), BasicErrorResponseType::InvalidGrant);

    let (code, _) = bench.code().await;
    assert_eq!(refused(exchange(code.clone()).request_async(&send).await), BasicErrorResponseType::InvalidGrant, "without the verifier");
    let (_, wrong) = PkceCodeChallenge::new_random_sha256();
    let guessed = exchange(code.clone()).set_pkce_verifier(wrong).request_async(&send).await;
    assert_eq!(refused(guessed), BasicErrorResponseType::InvalidGrant);

    let other =
        BasicClient::new(ClientId::new("other".into())).set_token_uri(TokenUrl::new(format!("{}/token", bench.served.url)).expect("a URL"));
    let stolen = other.exchange_code(AuthorizationCode::new(code)).request_async(&send).await;
    assert_eq!(refused(stolen), BasicErrorResponseType::InvalidGrant, "another client's");
    let guess = client.clone().set_client_secret(ClientSecret::new("guess".into()));
    let unknown = guess.exchange_client_credentials().request_async(&send).await;
    assert_eq!(refused(unknown), BasicErrorResponseType::InvalidClient);
}

#[tokio::test]
async fn a_browser_is_sent_back_only_to_where_the_client_was_registered_with() {
    let bench = Bench::new(AuthorizationRules { pkce: true, ..AuthorizationRules::default() }).await;
    let url = bench.served.url.clone();
    for (query, status, code) in [
        ("client_id=nobody&redirect_uri=https://app.example/back&response_type=code", 401, "invalid_client"),
        ("client_id=app&redirect_uri=https://evil.example/&response_type=code", 400, "redirect_uri_mismatch"),
        ("client_id=app&redirect_uri=https://app.example/back/&response_type=code", 400, "redirect_uri_mismatch"),
        ("client_id=app&response_type=code", 400, "redirect_uri_mismatch"),
    ] {
        let answer = bench.browser.get(format!("{url}/authorize?{query}")).send().await.expect("a page");
        assert_eq!(answer.status().as_u16(), status, "{query}");
        assert!(answer.headers().get("location").is_none(), "{query}");
        assert!(answer.text().await.expect("text").contains(code), "{query}");
    }
    let base = format!("{url}/authorize?client_id=app&redirect_uri=https://app.example/back&state=s%26t");
    for (query, error) in [
        (
            "&response_type=token&code_challenge_method=S256&code_challenge=0123456789012345678901234567890123456789012",
            "unsupported_response_type",
        ),
        ("&response_type=code", "invalid_request"),
        ("&response_type=code&code_challenge=x&code_challenge_method=plain", "invalid_request"),
    ] {
        let answer = bench.browser.get(format!("{base}{query}")).send().await.expect("a redirect");
        let location = Url::parse(answer.headers()["location"].to_str().expect("text")).expect("a URL");
        let back: Vec<(String, String)> = location.query_pairs().into_owned().collect();
        assert_eq!((field(&back, "error").as_deref(), field(&back, "state").as_deref()), (Some(error), Some("s&t")), "{query}");
    }
    let (challenge, _) = PkceCodeChallenge::new_random_sha256();
    let (page, _) = bench.page(challenge);
    for form in [&[("decision", "deny"), ("scope", "read")][..], &[("decision", "approve")], &[]] {
        let back = bench.consent(&page, form).await;
        assert_eq!((field(&back, "error").as_deref(), field(&back, "code")), (Some("access_denied"), None), "{form:?}");
    }
}

#[tokio::test]
async fn tokens_expire_on_the_simulations_clock_and_are_revoked_with_their_grant() {
    let bench =
        Bench::new(AuthorizationRules { refresh: RefreshRule::Kept, unknown_is_refused: true, ..AuthorizationRules::default() }).await;
    let (send, client) = (|request| bench.send(request), client!(bench));
    let (code, verifier) = bench.code().await;
    let tokens = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).request_async(&send).await.expect("tokens");
    let (access, refresh) = (tokens.access_token().secret().clone(), tokens.refresh_token().expect("one").clone());
    bench.clock.advance(Duration::from_secs(3599));
    assert!(matches!(bench.server.access(&access, bench.clock.now()), Access::Good(_)));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.server.access(&access, bench.clock.now()), Access::Expired);
    let renewed = client.exchange_refresh_token(&refresh).request_async(&send).await.expect("renewed");
    assert!(renewed.refresh_token().is_none(), "the old one stays");

    let revoke = |token: String, secret: &'static str| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("token", token.as_str()), ("client_id", "app"), ("client_secret", secret)])
            .finish();
        let request =
            bench.browser.post(format!("{}/revoke", bench.served.url)).header("content-type", "application/x-www-form-urlencoded");
        async { request.body(body).send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(revoke(access.clone(), "guess").await, 401);
    assert!(matches!(bench.server.access(renewed.access_token().secret(), bench.clock.now()), Access::Good(_)));
    assert_eq!(revoke(access.clone(), "s&cret").await, 200);
    assert_eq!(bench.server.access(renewed.access_token().secret(), bench.clock.now()), Access::Revoked);
    assert_eq!(revoke(access, "s&cret").await, 400, "gone already");
}

#[tokio::test]
async fn an_answer_that_is_lost_took_effect_and_every_call_is_counted() {
    let bench = Bench::new(AuthorizationRules::default()).await;
    let (send, client) = (|request| bench.send(request), client!(bench));
    let (code, verifier) = bench.code().await;
    bench.simulation.faults().push("oauth.token", Fault::LostAnswer);
    client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).request_async(&send).await.expect_err("lost");
    assert_eq!((bench.server.grants(), bench.simulation.count("oauth.token"), bench.simulation.count("oauth.authorize")), (1, 1, 2));
    // a code, an access and a refresh token: what a search for leaks has to look for
    assert_eq!(bench.server.issued().len(), 3);
}

#[tokio::test]
async fn a_client_without_a_browser_is_approved_at_once_when_asked_for() {
    let bench = Bench::new(AuthorizationRules::default()).await;
    bench.server.approve_at_once();
    let (challenge, _) = PkceCodeChallenge::new_random_sha256();
    let (page, _) = bench.page(challenge);
    let answer = bench.browser.get(page.clone()).send().await.expect("a redirect");
    assert!(answer.headers()["location"].to_str().expect("text").contains("code=code-"));
    let decided = bench.server.decide(page.as_str(), &Decision::Approve, bench.clock.now()).expect("sent back");
    assert!(decided.contains("code=code-"), "{decided}");
}

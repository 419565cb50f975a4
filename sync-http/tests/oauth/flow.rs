//! What is granted, renewed, refused and taken back.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use sync_core::{ClientAuth, Delivery, ErrorKind, Grant, OAuthCall, OAuthProvider, OAuthSpec, RefreshRule, Result, TokenSet, async_trait};
use sync_http::StandardOAuth;
use sync_testkit::{Access, Decision, Fault};

use crate::setup::{Bench, CLIENT, SECRET, TOKEN, spec, text};

#[tokio::test]
async fn a_code_becomes_tokens_however_the_client_proves_itself() {
    for (client_auth, secret) in
        [(ClientAuth::Basic, Some(SECRET)), (ClientAuth::Body, Some(SECRET)), (ClientAuth::Basic, None), (ClientAuth::Body, None)]
    {
        let bench = Bench::with(RefreshRule::Rotated, client_auth, secret);
        let tokens = bench.connected().await;
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(3600)), "{client_auth:?}");
        assert_eq!(tokens.scopes.as_deref(), Some(["read".into(), "write".into()].as_slice()));
        let good = Access::Good(vec!["read".into(), "write".into()]);
        assert_eq!(bench.server.access(text(&tokens.access), bench.services.clock().now()), good);
        let renewed = bench.renew(&tokens.refresh.expect("a refresh token")).await.expect("renewed");
        assert_eq!(bench.server.access(text(&renewed.access), bench.services.clock().now()), good);
    }
}

#[tokio::test]
async fn each_call_asks_for_leave_without_a_connection_and_without_its_token() {
    let bench = Bench::new(RefreshRule::Kept);
    bench.connected().await;
    let calls = bench.services.calls();
    assert_eq!((calls.permits, calls.tokens, calls.outcomes.len()), (vec![("oauth".to_owned(), 1)], 0, 1));
}

#[tokio::test]
async fn scopes_that_were_unticked_are_told() {
    let bench = Bench::new(RefreshRule::Kept);
    let code = bench.code_by(&Decision::ApproveOnly(&["read"])).expect("approved");
    let tokens = bench.exchange(&code).await.expect("tokens");
    let missing: Vec<&str> = bench.oauth.spec().missing(tokens.scopes.as_deref()).iter().map(|scope| scope.name).collect();
    assert_eq!(missing, ["write"]);
    assert!(bench.code_by(&Decision::Deny).is_none());
}

#[tokio::test]
async fn a_kept_refresh_token_is_good_again_and_no_answer_repeats_it() {
    let bench = Bench::new(RefreshRule::Kept);
    let refresh = bench.connected().await.refresh.expect("a refresh token");
    for _ in 0..3 {
        bench.pass(Duration::from_secs(3600));
        let renewed = bench.renew(&refresh).await.expect("renewed");
        assert!(renewed.refresh.is_none());
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_has_a_successor_and_ends_the_grant_when_it_comes_again() {
    let bench = Bench::new(RefreshRule::Rotated);
    let first = bench.connected().await.refresh.expect("a refresh token");
    let second = bench.renew(&first).await.expect("renewed").refresh.expect("a successor");
    assert_ne!(text(&first), text(&second));
    let error = bench.renew(&first).await.expect_err("spent");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::AuthRevoked, Delivery::Answered));
    assert_eq!(bench.renew(&second).await.expect_err("the whole grant is gone").kind(), ErrorKind::AuthRevoked);
    assert_eq!(bench.server.grants(), 0);
}

#[tokio::test]
async fn refusals_tell_the_user_from_the_client() {
    let bench = Bench::new(RefreshRule::Kept);
    let (code, verifier) = (bench.code(), SecretString::from("x".repeat(43)));
    let wrong = bench.oauth.exchange(&bench.call(), &code, &verifier).await.expect_err("a wrong verifier");
    assert_eq!(wrong.kind(), ErrorKind::AuthRevoked);

    let elsewhere = OAuthCall { redirect_uri: "https://app.example/other", ..bench.call() };
    let verifier = SecretString::from(crate::setup::VERIFIER);
    let error = bench.oauth.exchange(&elsewhere, &bench.code(), &verifier).await.expect_err("another redirect URI");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("redirect_uri_mismatch") && error.to_string().contains("(authority shop)"), "{error}");

    let late = bench.code();
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.exchange(&late).await.expect_err("too late").kind(), ErrorKind::AuthRevoked);

    let (stranger, guess) = (OAuthCall { client_id: "nobody", ..bench.call() }, SecretString::from("guess"));
    let guessing = OAuthCall { client_secret: Some(&guess), ..bench.call() };
    for call in [stranger, guessing] {
        let error = bench.oauth.exchange(&call, &bench.code(), &verifier).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.text().contains("OAuth client"), "{error}");
    }

    let nobody = OAuthCall { client_id: "", ..bench.call() };
    let before = bench.sent();
    let error = bench.oauth.exchange(&nobody, &bench.code(), &verifier).await.expect_err("no client");
    assert_eq!((error.kind(), error.delivery(), bench.sent()), (ErrorKind::Config, Delivery::NotSent, before));
}

#[tokio::test]
async fn a_code_that_comes_twice_ends_what_it_became() {
    let bench = Bench::new(RefreshRule::Kept);
    let code = bench.code();
    bench.exchange(&code).await.expect("tokens");
    assert_eq!(bench.exchange(&code).await.expect_err("used").kind(), ErrorKind::AuthRevoked);
    assert_eq!(bench.server.grants(), 0);
}

#[tokio::test]
async fn nothing_to_renew_with_is_said_before_anything_is_sent() {
    for (refresh, token) in [(RefreshRule::None, "rt-1"), (RefreshRule::Kept, "")] {
        let bench = Bench::new(refresh);
        let error = bench.renew(&SecretString::from(token)).await.expect_err("nothing");
        assert_eq!((error.kind(), error.delivery(), bench.sent()), (ErrorKind::Auth, Delivery::NotSent, 0));
        assert!(error.text().contains("refresh token"), "{error}");
    }
}

#[tokio::test]
async fn a_client_gets_tokens_of_its_own() {
    let bench = Bench::new(RefreshRule::Rotated);
    let tokens = bench.oauth.renew(&bench.call(), &Grant::ClientCredentials).await.expect("tokens");
    assert!(tokens.refresh.is_none());
    assert_eq!(tokens.scopes.as_deref(), Some(["read".into(), "write".into()].as_slice()));
}

#[tokio::test]
async fn a_service_account_signs_for_an_hour_and_only_for_the_services_own_endpoint() {
    let bench = Bench::new(RefreshRule::Kept);
    let file = bench.server.service_account("robot@shop.example");
    let call = OAuthCall { client_id: "", client_secret: None, redirect_uri: "", ..bench.call() };
    let grant = Grant::ServiceAccount(SecretString::from(file.clone()));
    let tokens = bench.oauth.renew(&call, &grant).await.expect("the signature is good");
    assert_eq!(tokens.scopes.as_deref(), Some(["read".into(), "write".into()].as_slice()));
    // the file names another endpoint, which nobody calls
    assert!(file.contains("elsewhere.example"));
    assert!(bench.simulation.calls().iter().all(|call| call.host == "shop.example"), "{:?}", bench.simulation.calls());

    let mut other: Value = serde_json::from_str(&bench.server.service_account("other@shop.example")).expect("a file");
    other["client_email"] = json!("robot@shop.example");
    let forged = Grant::ServiceAccount(SecretString::from(other.to_string()));
    let error = bench.oauth.renew(&call, &forged).await.expect_err("signed by another key");
    assert_eq!(error.kind(), ErrorKind::AuthRevoked);
    assert!(error.text().contains("Invalid JWT Signature") && error.text().contains("make a new key file"), "{error}");
    let mut unknown: Value = serde_json::from_str(&file).expect("a file");
    unknown["client_email"] = json!("nobody@shop.example");
    let error = bench.oauth.renew(&call, &Grant::ServiceAccount(unknown.to_string().into())).await.expect_err("no such account");
    assert!(error.kind() == ErrorKind::AuthRevoked && error.text().contains("account not found"), "{error}");
}

#[tokio::test]
async fn taking_a_token_back_ends_its_grant_and_is_done_when_it_is_gone() {
    let bench = Bench::new(RefreshRule::Rotated);
    let tokens = bench.connected().await;
    for _ in 0..2 {
        bench.oauth.revoke(&bench.call(), tokens.refresh.as_ref().expect("a refresh token")).await.expect("done");
    }
    assert_eq!(bench.server.access(text(&tokens.access), bench.services.clock().now()), Access::Revoked);
    let without = OAuthSpec { revoke_url: None, ..spec(RefreshRule::Kept, ClientAuth::Body) };
    let oauth = StandardOAuth::builder(without).transport(bench.simulation.transport()).build().expect("a valid spec");
    assert_eq!(oauth.revoke(&bench.call(), &tokens.access).await.expect_err("only the user").kind(), ErrorKind::Unsupported);
}

/// A service whose renewals go another way.
#[derive(Debug)]
struct Peculiar(StandardOAuth);

#[async_trait]
impl OAuthProvider for Peculiar {
    fn spec(&self) -> &OAuthSpec {
        self.0.spec()
    }

    async fn exchange(&self, call: &OAuthCall<'_>, code: &SecretString, verifier: &SecretString) -> Result<TokenSet> {
        self.0.exchange(call, code, verifier).await
    }

    async fn renew(&self, call: &OAuthCall<'_>, _: &Grant) -> Result<TokenSet> {
        self.0.renew(call, &Grant::ClientCredentials).await
    }
}

#[tokio::test]
async fn a_provider_renews_in_a_way_of_its_own() {
    let bench = Bench::new(RefreshRule::None);
    let provider = Peculiar(bench.oauth.clone());
    provider.exchange(&bench.call(), &bench.code(), &SecretString::from(crate::setup::VERIFIER)).await.expect("tokens");
    let spent = Grant::RefreshToken(SecretString::from("none"));
    assert!(bench.oauth.renew(&bench.call(), &spent).await.is_err());
    provider.renew(&bench.call(), &spent).await.expect("its own way");
    assert_eq!(bench.server.grants(), 2);
}

#[tokio::test]
async fn what_a_service_says_in_its_own_way_is_read_by_its_reader() {
    let bench = Bench::new(RefreshRule::Kept);
    let oauth = StandardOAuth::builder(spec(RefreshRule::Kept, ClientAuth::Body))
        .transport(bench.simulation.transport())
        .reader(|fields| Ok(fields.remove("dc").map(|dc| ("dc".to_owned(), dc)).into_iter().collect()))
        .build()
        .expect("a valid spec");
    bench.simulation.faults().push(TOKEN, Fault::Body(json!({"access_token": "a", "scope": null, "dc": "us6"}).to_string()));
    let tokens = oauth.exchange(&bench.call(), &bench.code(), &SecretString::from("v")).await.expect("tokens");
    assert_eq!((tokens.settings.get("dc"), tokens.expires_in, tokens.scopes), (Some(&json!("us6")), None, None));
}

#[test]
fn addresses_that_would_send_secrets_in_the_clear_are_refused() {
    let good = || spec(RefreshRule::Kept, ClientAuth::Body);
    for bad in [
        OAuthSpec { authorize_url: "http://shop.example/authorize".into(), ..good() },
        OAuthSpec { token_url: "http://shop.example/token".into(), ..good() },
        OAuthSpec { revoke_url: Some("http://shop.example/revoke".into()), ..good() },
        OAuthSpec { token_url: "https://user:s3cret@shop.example/token".into(), ..good() },
    ] {
        let error = StandardOAuth::builder(bad).build().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    let local = OAuthSpec { authorize_url: "http://127.0.0.1:1/a?v=2".into(), token_url: "http://localhost:1/t".into(), ..good() };
    StandardOAuth::builder(local).build().expect("this machine");
    let _ = CLIENT;
}

//! What is sent again, and what never.

use serde_json::json;
use sync_core::{Delivery, ErrorKind, Grant, OAuthProvider, RefreshRule};
use sync_testkit::Fault;

use crate::setup::{Bench, TOKEN, is_unknown};

fn harmful() -> Vec<Fault> {
    vec![
        Fault::status(500, ""),
        Fault::status(503, json!({"error": "temporarily_unavailable"}).to_string()),
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Html,
        Fault::Empty,
        Fault::Cut(9),
        Fault::Body(json!({"access_token": ""}).to_string()),
        Fault::Huge(1),
    ]
}

#[tokio::test]
async fn a_code_is_sent_once_whatever_becomes_of_it() {
    let refusals = [Fault::rate_limited(1), Fault::status(409, "{}"), Fault::Slow(std::time::Duration::from_secs(11))];
    for fault in harmful().into_iter().chain(refusals) {
        let bench = Bench::new(RefreshRule::Kept);
        bench.simulation.faults().push(TOKEN, fault.clone());
        bench.exchange(&bench.code()).await.expect_err("it failed");
        assert_eq!((bench.sent(), bench.simulation.faults().used()), (1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_good_once_is_not_sent_again_when_it_may_have_been_used() {
    for fault in harmful() {
        let bench = Bench::new(RefreshRule::Rotated);
        let refresh = bench.connected().await.refresh.expect("a refresh token");
        let before = bench.sent();
        bench.simulation.faults().push(TOKEN, fault.clone());
        let error = bench.renew(&refresh).await.expect_err("it failed");
        assert_eq!(bench.sent() - before, 1, "{fault:?}");
        assert!(is_unknown(error.delivery()) || fault == Fault::Huge(1), "{fault:?}: {error:?}");
        // had it been sent again after it was used, the grant would be gone
        assert_eq!(bench.server.grants(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_good_once_is_sent_again_when_it_surely_was_not_used() {
    for fault in [Fault::Refused, Fault::rate_limited(2)] {
        let bench = Bench::new(RefreshRule::Rotated);
        let refresh = bench.connected().await.refresh.expect("a refresh token");
        bench.simulation.faults().push(TOKEN, fault.clone());
        let renewed = bench.renew(&refresh).await.expect("renewed");
        assert!(renewed.refresh.is_some(), "{fault:?}");
        assert_eq!(bench.simulation.faults().used(), 1);
    }
}

#[tokio::test]
async fn a_token_that_stays_good_is_sent_again() {
    for fault in
        [Fault::status(500, ""), Fault::LostAnswer, Fault::LostRequest, Fault::Html, Fault::status(409, "{}"), Fault::rate_limited(2)]
    {
        let bench = Bench::new(RefreshRule::Kept);
        let refresh = bench.connected().await.refresh.expect("a refresh token");
        let before = bench.sent();
        bench.simulation.faults().push(TOKEN, fault.clone());
        bench.renew(&refresh).await.expect("renewed");
        assert_eq!(bench.sent() - before, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_renewal_with_all_its_repeats_ends_within_a_lease() {
    let bench = Bench::new(RefreshRule::Kept);
    let refresh = bench.connected().await.refresh.expect("a refresh token");
    let began = bench.services.clock().now();
    bench.simulation.faults().push_times(TOKEN, Fault::Slow(std::time::Duration::from_secs(60)), 9);
    let error = bench.renew(&refresh).await.expect_err("never in time");
    assert_eq!(error.kind(), ErrorKind::Transport);
    let took = bench.services.clock().now() - began;
    assert!(took.num_seconds() <= 20, "{took}");

    bench.simulation.faults().clear();
    bench.simulation.faults().push(TOKEN, Fault::rate_limited(120));
    let error = bench.renew(&refresh).await.expect_err("parked, not slept");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::RateLimited, Delivery::Answered));
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_unreadable_and_not_a_refusal() {
    let bench = Bench::new(RefreshRule::Kept);
    bench.simulation.faults().push_times(TOKEN, Fault::Html, 2);
    let error = bench.oauth.renew(&bench.call(), &Grant::ClientCredentials).await.expect_err("a page");
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(
        error.to_string().contains("HTML") && error.to_string().contains("(status 200)") && !error.to_string().contains("Sign in"),
        "{error}"
    );
}

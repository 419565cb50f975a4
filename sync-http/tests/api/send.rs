//! The one retry: what is sent again, how long is waited, what is told about it.

use std::time::Duration;

use crate::shop::{CREATE, LIST, create, list, read, setup, with};
use futures_util::FutureExt;
use serde_json::json;
use sync_core::{
    Delivery::{Answered, NotSent, Unknown},
    Error, ErrorKind, Health, OAuthCall,
    Retry::{self, After, GaveUp, Never},
    SecretString,
    policy::RetryPolicy,
};
use sync_http::{Api, Auth, Request};
use sync_testkit::{Fault, TestServices};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn one_fault_is_repeated_where_a_repeat_cannot_double() {
    /// What came of it: `None` is success.
    type Ends = Option<(ErrorKind, Retry, sync_core::Delivery)>;
    use ErrorKind::{Conflict, Decode, Forbidden, Invalid, NotFound, Transport};
    let status = |status| Fault::status(status, r#"{"error":"no"}"#);
    let lost: Ends = Some((Transport, Never, Unknown));
    let table: Vec<(Fault, Ends, Health, Ends)> = vec![
        (Fault::Refused, None, Health::Failed, None),
        (Fault::LostRequest, None, Health::Failed, lost),
        (Fault::LostAnswer, None, Health::Failed, lost),
        (Fault::Cut(3), None, Health::Failed, lost),
        (Fault::Slow(seconds(31)), None, Health::Failed, lost),
        (status(500), None, Health::Failed, lost),
        (status(503), None, Health::Failed, lost),
        (status(408), None, Health::Failed, lost),
        (Fault::rate_limited(7), None, Health::Ignored, None),
        (status(429), None, Health::Ignored, None),
        (Fault::Html, None, Health::Failed, Some((Decode, Never, Unknown))),
        (Fault::Empty, None, Health::Failed, Some((Decode, Never, Unknown))),
        (Fault::Body(r#"{"items":[1,"#.into()), None, Health::Failed, Some((Decode, Never, Unknown))),
        (Fault::Huge(33), Some((Decode, Never, Answered)), Health::Failed, Some((Decode, Never, Unknown))),
        (status(400), Some((Invalid, Never, Answered)), Health::Ignored, Some((Invalid, Never, Answered))),
        (status(403), Some((Forbidden, Never, Answered)), Health::Ignored, Some((Forbidden, Never, Answered))),
        (status(404), Some((NotFound, Never, Answered)), Health::Ignored, Some((NotFound, Never, Answered))),
        (status(409), Some((Conflict, Never, Answered)), Health::Ignored, Some((Conflict, Never, Answered))),
        (status(302), Some((Transport, Never, Answered)), Health::Failed, Some((Transport, Never, Answered))),
    ];
    for (fault, reads, health, creates) in table {
        for (operation, request, expected) in [(LIST, list(), reads), (CREATE, create(), creates)] {
            let s = setup();
            s.shop.faults().push(operation, fault.clone());
            let ended = s.api.fetch(&s.cx, request, read).await.err().map(|error| (error.kind(), error.retry(), error.delivery()));
            assert_eq!(ended, expected, "{operation} {fault:?}");
            assert_eq!(s.shop.faults().used(), 1);
            let heard: Vec<Health> = s.services.calls().outcomes.iter().map(|outcome| outcome.health).collect();
            let repeated = if expected.is_none() { vec![health, Health::Good] } else { vec![health] };
            assert_eq!(heard, repeated, "{operation} {fault:?}");
            assert!(s.shop.sim().made() <= 1, "{operation} {fault:?} doubled");
            assert_eq!(s.services.calls().unreported, 0);
        }
    }
}

#[tokio::test]
async fn repeats_are_used_up_after_the_last() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::status(503, "{}"), 9);
    let error = s.api.send(&s.cx, list()).await.expect_err("nothing but 503");
    assert_eq!((error.retry(), error.kind(), error.delivery()), (GaveUp(4), ErrorKind::Transport, Unknown));
    assert_eq!(error.to_string(), "shop.items.list: the service answered 503 Service Unavailable (attempt 4)");
    assert_eq!(s.shop.count(LIST), 4);
    let slept = s.services.clock().slept();
    assert!(slept.len() == 3 && slept.iter().zip([1, 2, 4]).all(|(wait, most)| *wait <= seconds(most)), "{slept:?}");
}

#[tokio::test]
async fn an_unreadable_answer_is_asked_for_once_more() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::Html, 9);
    let error = s.api.fetch(&s.cx, list(), read).await.expect_err("never JSON");
    assert_eq!((error.retry(), error.kind(), s.shop.count(LIST)), (GaveUp(2), ErrorKind::Decode, 2));
    assert!(error.text().contains("an HTML page"), "{error}");
}

#[tokio::test]
async fn the_service_is_never_asked_sooner_than_it_said() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::rate_limited(40), 2);
    let dated = httpdate::fmt_http_date((s.services.clock().now() + seconds(200)).into());
    s.shop.faults().push(LIST, Fault::Status { status: 503, headers: vec![("retry-after", dated)], body: String::new() });
    s.api.send(&s.cx, list()).await.expect("the fourth attempt");
    let slept = s.services.clock().slept();
    let at: Vec<i64> = s.shop.calls().iter().map(|call| (call.at - s.shop.calls()[0].at).num_milliseconds()).collect();
    assert!(slept[0] >= seconds(40) && slept[0] <= seconds(41), "{slept:?}");
    assert!(slept[1] >= seconds(40) && slept[1] <= seconds(42), "{slept:?}");
    assert!(at[3] >= 199_000, "{at:?}");
    let asked: Vec<_> = s.services.calls().outcomes.iter().map(|outcome| outcome.resets_in).collect();
    assert_eq!(asked, [Some(seconds(40)), Some(seconds(40)), None, None], "a pause of the whole bucket is for 429 alone");
}

#[tokio::test]
async fn retry_after_is_obeyed_even_where_the_classifier_forgot_it() {
    let forgetful = |operation, answer: &sync_http::Answer| match answer.status.as_u16() {
        429 => Err(Error::new(ErrorKind::RateLimited, operation, "slow down").with_retry(After(None))),
        _ => Ok(()),
    };
    let s = with(TestServices::new(7), |builder| builder.classifier(forgetful));
    s.shop.faults().push(LIST, Fault::rate_limited(40));
    s.api.send(&s.cx, list()).await.expect("the second attempt");
    assert!(s.services.clock().slept()[0] >= seconds(40));
    assert_eq!(s.services.calls().outcomes[0].resets_in, Some(seconds(40)));
}

#[tokio::test]
async fn calls_that_went_well_earn_repeats_for_those_that_do_not() {
    let at_once = RetryPolicy { base_delay: Duration::ZERO, ..RetryPolicy::default() };
    let s = with(TestServices::new(7), |builder| builder.retry(at_once));
    for _ in 0..100 {
        s.api.send(&s.cx, list()).await.expect("an answer");
    }
    s.shop.faults().push_times(LIST, Fault::Refused, 1000);
    for _ in 0..40 {
        s.api.send(&s.cx, list()).await.expect_err("refused");
    }
    let repeats = s.services.clock().slept().len();
    assert_eq!(repeats, 140 / 5 + 10, "a fifth of the first attempts and the ten that are always allowed");
}

#[tokio::test]
async fn a_wait_past_the_deadline_is_parked_not_slept() {
    let s = setup();
    s.shop.faults().push(LIST, Fault::rate_limited(301));
    let error = s.api.send(&s.cx, list()).await.expect_err("too far off");
    let After(Some(wait)) = error.retry() else { panic!("{error:?}") };
    assert!(wait >= seconds(301) && error.kind() == ErrorKind::RateLimited, "{error:?}");
    assert!(s.services.clock().slept().is_empty());

    let own = RetryPolicy { deadline: seconds(10), ..RetryPolicy::default() };
    let s = with(TestServices::new(7), |builder| builder.retry(own));
    s.shop.faults().push(LIST, Fault::rate_limited(11));
    assert!(matches!(s.api.send(&s.cx, list()).await.expect_err("too far off").retry(), After(Some(_))), "the policy's own deadline");
}

#[tokio::test]
async fn a_stalled_service_cannot_hold_a_call_past_its_deadline() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::Slow(seconds(3600)), 9);
    let error = s.api.send(&s.cx, list().timeout(seconds(180))).await.expect_err("stalled");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Transport, Unknown));
    assert!(matches!(error.retry(), After(Some(_))), "{error:?}");
    assert_eq!(s.shop.count(LIST), 2, "the second attempt has what is left of the five minutes");
    assert!(s.services.clock().now() <= s.cx.deadline);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let s = setup();
    s.services.clock().advance(seconds(300));
    let error = s.api.send(&s.cx, list()).await.expect_err("too late");
    assert_eq!((error.retry(), error.delivery(), s.shop.calls().len()), (After(None), NotSent, 0));
    assert_eq!(s.services.calls().unreported, 1, "the permit is given back");
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_one_more_attempt() {
    let s = with(TestServices::new(7).with_token("old").with_refresh(&["test-token"]), |builder| builder);
    s.api.send(&s.cx, create()).await.expect("with the new token");
    assert_eq!((s.shop.count(CREATE), s.services.calls().rejected), (2, vec![1]));
    assert!(s.services.clock().slept().is_empty(), "a renewal waits for nothing");

    let s = with(TestServices::new(7).with_token("old").with_refresh(&["older", "test-token"]), |builder| builder);
    let error = s.api.send(&s.cx, list()).await.expect_err("a second 401 is final");
    assert_eq!((error.kind(), error.retry(), s.shop.count(LIST)), (ErrorKind::Auth, Never, 2));
    assert_eq!(s.services.calls().rejected, [1]);
}

#[tokio::test]
async fn a_key_that_cannot_be_renewed_fails_with_the_services_words() {
    let s = with(TestServices::new(7).with_token("wrong-key"), |builder| builder);
    let error = s.api.send(&s.cx, list()).await.expect_err("not known");
    assert_eq!((error.kind(), s.shop.count(LIST)), (ErrorKind::Auth, 1));
    assert_eq!(error.text(), r#"the service answered 401 Unauthorized: token Some("[redacted]") is not known"#);
    assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("nothing to renew"), "{error:?}");
}

#[tokio::test]
async fn a_repeat_asks_for_leave_and_token_again() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::Refused, 2);
    s.api.send(&s.cx, list().bucket("reads").cost(5)).await.expect("the third attempt");
    let calls = s.services.calls();
    assert_eq!(calls.permits, vec![("reads".to_owned(), 5); 3]);
    assert_eq!((calls.tokens, calls.outcomes.len()), (3, 3));
}

#[tokio::test]
async fn without_leave_nothing_is_sent() {
    let s = setup();
    let open = || Error::new(ErrorKind::CircuitOpen, "permit", "suspended").with_retry(After(Some(seconds(60)))).with_delivery(NotSent);
    s.services.refuse_permit(open());
    let error = s.api.send(&s.cx, list()).await.expect_err("no leave");
    assert_eq!((error.kind(), error.retry(), s.shop.calls().len()), (ErrorKind::CircuitOpen, After(Some(seconds(60))), 0));
}

#[tokio::test]
async fn leave_refused_after_a_lost_answer_does_not_claim_that_nothing_was_sent() {
    let s = setup();
    let (services, open) = (s.services.clone(), Error::new(ErrorKind::CircuitOpen, "permit", "suspended").with_delivery(NotSent));
    s.shop.faults().push(LIST, Fault::LostAnswer);
    s.services.clock().hold(true);
    let call = tokio::spawn({
        let (api, cx) = (s.api.clone(), s.cx.clone());
        async move { api.send(&cx, list()).await }
    });
    tokio::task::yield_now().await;
    services.refuse_permit(open);
    services.clock().advance(seconds(1));
    let error = call.await.expect("no panic").expect_err("no leave");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::CircuitOpen, Unknown));
}

#[tokio::test]
async fn a_dropped_call_gives_its_permit_back() {
    let s = setup();
    s.services.clock().hold(true);
    s.shop.latency(seconds(1));
    assert!(s.api.send(&s.cx, list()).now_or_never().is_none());
    let calls = s.services.calls();
    assert_eq!((calls.unreported, calls.outcomes.len(), s.shop.count(LIST)), (1, 0, 1));
}

#[tokio::test]
async fn when_everything_fails_repeats_do_not_become_the_load() {
    let s = setup();
    s.shop.faults().push_times(LIST, Fault::Refused, 10_000);
    let (mut parked, mut gave_up) = (0, 0);
    for _ in 0..300 {
        let cx = s.services.context(json!({}));
        match s.api.send(&cx, list()).await.expect_err("refused").retry() {
            After(Some(_)) => parked += 1,
            GaveUp(4) => gave_up += 1,
            other => panic!("{other:?}"),
        }
    }
    let attempts = s.services.calls().outcomes.len();
    let slept: Duration = s.services.clock().slept().iter().sum();
    assert!(slept < seconds(60), "all inside one minute: {slept:?}");
    assert!((301..=300 + 300 / 5 + 10).contains(&attempts), "{attempts} attempts");
    assert!(parked > 200 && gave_up > 0, "{parked} {gave_up}");
}

#[tokio::test]
async fn requests_go_below_the_base_path_with_everything_encoded() {
    let s = setup();
    let request = Request::get(LIST, "/items?fixed=1").query("name", "a b&c=d/ä").query("name", 2);
    s.api.send(&s.cx, request).await.expect("an answer");
    s.api.send(&s.cx, list().query("x", 1)).await.expect("an answer");
    let seen: Vec<String> = s.shop.calls().into_iter().map(|call| call.path_and_query).collect();
    assert_eq!(seen, ["/v1/items?fixed=1&name=a+b%26c%3Dd%2F%C3%A4&name=2", "/v1/items?x=1"]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_leaves() {
    let s = setup();
    for request in [
        Request::get(LIST, "../admin"),
        Request::get(LIST, "items/%2E%2e/%2e"),
        Request::get(LIST, "items\\..\\x"),
        Request::get(LIST, "items#top"),
        list().header("x-note", "a\nb"),
        list().json(&std::collections::HashMap::from([((1, 2), 3)])),
    ] {
        let error = s.api.send(&s.cx, request).await.expect_err("refused");
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Config, NotSent), "{error}");
    }
    let s = with(TestServices::new(7).with_token("line\nbreak"), |builder| builder);
    let error = s.api.send(&s.cx, list()).await.expect_err("no header value");
    assert!(error.kind() == ErrorKind::Config && error.text().contains("the token"), "{error}");
    assert!(s.shop.calls().is_empty() && s.services.calls().permits.len() == 1);
}

#[tokio::test]
async fn a_redirect_is_an_error_whatever_the_classifier_thinks() {
    let s = with(TestServices::new(7), |builder| builder.classifier(|_, _| Ok(())));
    let headers = vec![("location", "https://evil.example/".to_owned())];
    s.shop.faults().push(LIST, Fault::Status { status: 307, headers, body: String::new() });
    let error = s.api.send(&s.cx, list()).await.expect_err("not followed");
    assert_eq!((error.kind(), s.shop.calls().len()), (ErrorKind::Transport, 1));
    s.shop.faults().push(LIST, Fault::status(304, ""));
    assert_eq!(s.api.send(&s.cx, list()).await.expect("asked for").status, 304);
}

#[tokio::test]
async fn a_token_endpoint_is_called_without_a_token() {
    let s = setup();
    let workspace = "test".into();
    let secret = SecretString::from("client-s3cret");
    let call = OAuthCall {
        workspace: &workspace,
        client_id: "id",
        client_secret: Some(&secret),
        redirect_uri: "https://host.example/back",
        services: &s.services,
    };
    let request = Request::post(CREATE, "token").form(&[("client_secret", "client-s3cret")]).secret(&secret);
    s.shop.faults().push(CREATE, Fault::status(400, r#"{"error":"bad secret client-s3cret"}"#));
    let error = s.api.send_oauth(&call, request.clone()).await.expect_err("refused");
    assert_eq!(error.text(), "the service answered 400 Bad Request: bad secret [redacted]");
    let error = s.api.send_oauth(&call, request).await.expect_err("the shop wants a token and gets none");
    assert!(error.kind() == ErrorKind::Auth && error.text().contains("token None"), "{error}");
    assert_eq!((s.services.calls().tokens, s.shop.count(CREATE)), (0, 2));
}

#[tokio::test]
async fn credentials_are_sent_as_the_service_wants_them() {
    use std::sync::{Arc, Mutex};
    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<Option<String>>>);
    #[sync_core::async_trait]
    impl sync_http::HttpTransport for Recorder {
        async fn send(
            &self,
            request: http::Request<bytes::Bytes>,
            _: sync_http::Limits,
        ) -> Result<http::Response<bytes::Bytes>, sync_http::TransportError> {
            let value = request.headers().get("authorization");
            assert!(value.is_none_or(http::HeaderValue::is_sensitive));
            assert!(request.headers()["user-agent"].to_str().is_ok_and(|agent| agent.starts_with("syncline/")));
            self.0.lock().expect("not poisoned").push(value.map(|value| value.to_str().expect("plain").to_owned()));
            Ok(http::Response::default())
        }
    }
    let recorder = Arc::new(Recorder::default());
    let services = TestServices::new(7).with_token("key");
    for auth in [Auth::Bearer, Auth::Basic { user: "any".into() }, Auth::None] {
        let transport = Arc::<Recorder>::clone(&recorder);
        let api = Api::builder("shop", "http://localhost:1").transport(transport).auth(auth).build().expect("valid");
        api.send(&services.context(json!({})), list()).await.expect("an empty answer");
    }
    let sent = recorder.0.lock().expect("not poisoned").clone();
    assert_eq!(sent, [Some("Bearer key".to_owned()), Some("Basic YW55OmtleQ==".to_owned()), None]);
    assert_eq!(services.calls().tokens, 2);
}

//! Nothing planted comes out: errors, their causes, logs, whatever the service or the transport repeats.

use std::{io, sync::Arc};

use crate::log::logged;
use crate::shop::{CREATE, LIST, create, list, read, with};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use sync_http::{Auth, HttpTransport, Limits, TransportError};
use sync_testkit::{Canary, Fault, TestServices};

/// A transport that puts the credentials it is given into its errors.
#[derive(Debug)]
struct Blabber(bool);

#[sync_core::async_trait]
impl HttpTransport for Blabber {
    async fn send(&self, request: http::Request<Bytes>, _: Limits) -> Result<http::Response<Bytes>, TransportError> {
        let text = format!("sending {:?} failed", request.headers()["authorization"].to_str());
        let cause = io::Error::other(text.clone());
        Err(if self.0 { TransportError::unknown(text) } else { TransportError::not_sent("failed") }.because(cause))
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

fn any_fault(repeated: String) -> impl Strategy<Value = Fault> {
    let long = format!("{}{repeated}", "x".repeat(2030));
    let body = prop_oneof![
        Just(json!({ "error": repeated }).to_string()),
        Just(json!({ "error": long }).to_string()),
        Just(json!({ "error": format!("Bearer {repeated}/{repeated}") }).to_string()),
        Just(repeated.clone()),
        Just(format!("<html>{repeated}")),
        Just(format!(r#"{{"items":"{repeated}","#)),
        Just(format!(r#"["{repeated}"]"#)),
    ];
    let statuses = prop_oneof![Just(200u16), Just(302), 400u16..430, 500u16..505];
    prop_oneof![
        4 => (statuses, body.clone()).prop_map(move |(status, body)| Fault::Status {
            status,
            headers: vec![("location", format!("https://x.example/?t={repeated}")), ("www-authenticate", repeated.clone())],
            body,
        }),
        2 => body.prop_map(Fault::Body),
        1 => prop_oneof![Just(Fault::Html), Just(Fault::Empty), (0usize..40).prop_map(Fault::Cut)],
        1 => prop_oneof![Just(Fault::Refused), Just(Fault::LostAnswer), Just(Fault::LostRequest), Just(Fault::Slow(std::time::Duration::from_secs(99)))],
    ]
}

fn case() -> impl Strategy<Value = (Canary, Vec<Fault>, bool, bool)> {
    any::<u64>().prop_flat_map(|seed| {
        let canary = Canary::new(seed);
        let faults = prop::collection::vec(any_fault(canary.secret().to_owned()), 1..5);
        (Just(canary), faults, any::<bool>(), any::<bool>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_planted_token_is_in_no_error_and_no_log_whatever_fails((canary, faults, writes, basic) in case()) {
        let (error, log) = logged(|| run(async {
            let auth = if basic { Auth::Basic { user: "any".into() } } else { Auth::Bearer };
            let s = with(TestServices::new(1).with_token(canary.secret()), |builder| builder.auth(auth));
            let (operation, request) = if writes { (CREATE, create()) } else { (LIST, list().query("q", "private words")) };
            for fault in faults {
                s.shop.faults().push(operation, fault);
            }
            // past the faults the shop itself refuses the token, and repeats it
            s.api.fetch(&s.cx, request, read).await
        }));
        if let Err(error) = error {
            canary.assert_absent("Display", &error.to_string());
            canary.assert_absent("Debug", &format!("{error:?}"));
        }
        canary.assert_absent("the log", &log);
        prop_assert!(log.contains("shop.items."), "nothing was logged");
        prop_assert!(!log.contains("private") && !log.contains("tea"), "{log}");
    }
}

#[test]
fn a_transport_that_repeats_the_credential_is_not_passed_on() {
    let canary = Canary::new(5);
    for (in_text, auth) in [(true, Auth::Bearer), (false, Auth::Bearer), (true, Auth::Basic { user: "any".into() })] {
        let services = TestServices::new(1).with_token(canary.secret());
        let s = with(services, |builder| builder.auth(auth).transport(Arc::new(Blabber(in_text))));
        let error = run(s.api.send(&s.cx, list())).expect_err("it always fails");
        canary.assert_absent("Debug", &format!("{error:?} {error}"));
        assert!(format!("{error:?}").contains("[redacted]"), "{error:?}");
    }
}

#[test]
fn half_a_token_at_the_cut_of_a_long_message_is_not_left() {
    let canary = Canary::new(6);
    for padding in 1990..2060 {
        let s = with(TestServices::new(1).with_token(canary.secret()), |builder| builder);
        let words = format!("{} {}", "x".repeat(padding), canary.secret());
        s.shop.faults().push(LIST, Fault::status(400, json!({ "error": words }).to_string()));
        let error = run(s.api.send(&s.cx, list())).expect_err("400");
        canary.assert_absent("Display", &error.to_string());
    }
}

#[test]
fn a_request_shows_neither_query_nor_header_nor_body() {
    let canary = Canary::new(7);
    let request = list().query("q", canary.secret()).header("x-key", canary.secret()).form(&[("secret", canary.secret())]);
    canary.assert_absent("Debug", &format!("{request:?}"));
    let request = sync_http::Request::get(LIST, format!("items?key={}", canary.secret()));
    canary.assert_absent("Debug", &format!("{request:?}"));
}

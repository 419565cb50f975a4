//! Nothing secret comes out: errors, their causes, logs, whatever the service repeats.

use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;
use sync_core::{ClientAuth, Grant, OAuthCall, OAuthProvider, RefreshRule};
use sync_testkit::{Canary, Fault};

use crate::log::logged;
use crate::setup::{Bench, CLIENT, TOKEN};

/// A fault whose answer repeats everything that was sent.
fn any_fault(said: String) -> impl Strategy<Value = Fault> {
    let body = prop_oneof![
        Just(json!({"error": "invalid_grant", "error_description": said}).to_string()),
        Just(json!({ "error": said }).to_string()),
        Just(json!({"error": {"status": said, "message": said}}).to_string()),
        Just(json!({"access_token": [said], "refresh_token": said}).to_string()),
        Just(json!({"access_token": format!("{said}\n")}).to_string()),
        Just(format!("<html>{said}")),
        Just(said.clone()),
    ];
    let statuses = prop_oneof![Just(200u16), Just(302), 400u16..430, 500u16..505];
    prop_oneof![
        6 => (statuses, body).prop_map(move |(status, body)| Fault::Status {
            status,
            headers: vec![("location", format!("https://x.example/?c={said}"))],
            body,
        }),
        1 => prop_oneof![Just(Fault::Html), Just(Fault::Refused), Just(Fault::LostAnswer), (0usize..40).prop_map(Fault::Cut)],
    ]
}

/// Secret, code (or refresh token), and verifier.
fn case() -> impl Strategy<Value = ([Canary; 3], Vec<Fault>, usize, bool)> {
    any::<u64>().prop_flat_map(|seed| {
        let canaries = [0, 1, 2].map(|n| Canary::new(seed.wrapping_add(n)));
        let said = canaries.iter().map(|canary| canary.secret().to_owned()).collect::<Vec<_>>().join(" / ");
        (Just(canaries), prop::collection::vec(any_fault(said), 1..4), 0usize..4, any::<bool>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_secret_code_verifier_or_token_is_in_an_error_or_a_log((canaries, faults, what, basic) in case()) {
        let (shown, log) = logged(|| {
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
                let client_auth = if basic { ClientAuth::Basic } else { ClientAuth::Body };
                let bench = Bench::with(RefreshRule::Kept, client_auth, Some("another secret"));
                for fault in faults {
                    bench.simulation.faults().push(TOKEN, fault.clone());
                    bench.simulation.faults().push("oauth.revoke", fault);
                }
                let [secret, token, verifier] = [0, 1, 2].map(|n: usize| SecretString::from(canaries[n].secret()));
                let call = OAuthCall { client_id: CLIENT, client_secret: Some(&secret), ..bench.call() };
                let result = match what {
                    0 => bench.oauth.exchange(&call, &token, &verifier).await.map(drop),
                    1 => bench.oauth.renew(&call, &Grant::RefreshToken(token)).await.map(drop),
                    2 => bench.oauth.renew(&call, &Grant::ClientCredentials).await.map(drop),
                    _ => bench.oauth.revoke(&call, &token).await,
                };
                // verifier and code take no part in the others, where the service cannot know them
                let sent = if what == 0 { 3 } else { 2 };
                let error = result.err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
                (error, sent, format!("{:?} {call:?}", bench.oauth))
            })
        });
        let (error, sent, debug) = shown;
        for canary in canaries.iter().take(if what == 2 { 1 } else { sent }) {
            canary.assert_absent("the error", &error);
        }
        for canary in &canaries {
            canary.assert_absent("the log", &log);
            canary.assert_absent("Debug", &debug);
        }
        prop_assert!(log.contains("oauth."), "nothing was logged");
    }
}

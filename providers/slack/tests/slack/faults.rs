//! A service in trouble: errors say what came, waits are kept, and nothing is ever taken for an empty channel.

use std::time::Duration;

use crate::support::{Bench, HISTORY, REPLIES};
use serde_json::json;
use sync_core::{ErrorKind, IntegrationSync, Retry};
use sync_testkit::{Canary, Fault};

const AUTH: &str = "slack.auth.test";
const LIST: &str = "slack.conversations.list";
const USERS: &str = "slack.users.list";

fn refused(code: &str) -> Fault {
    Fault::Body(json!({"ok": false, "error": code}).to_string())
}

/// A channel with one thread: a whole pull of it makes every call there is but `users.info`.
fn bench() -> Bench {
    let (bench, posted) = Bench::with_messages(3);
    bench.sim().reply("C1", &posted[0], "U2", "an answer");
    bench
}

async fn whole(bench: &Bench) -> sync_core::Result<crate::support::Scan> {
    let partition = bench.partitions().await?.remove(0);
    bench.scan(bench.request_for(partition)).await
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_an_error_wherever_it_comes() {
    let bodies = [
        Fault::Html,
        Fault::Empty,
        Fault::Cut(20),
        Fault::Body("{}".into()),
        Fault::Body("[]".into()),
        Fault::Body("null".into()),
        Fault::Body(r#"{"ok":true}"#.into()),
        Fault::Body(r#"{"ok":false}"#.into()),
        Fault::Body(r#"{"messages":[],"channels":[],"members":[],"team_id":"T1"}"#.into()),
        Fault::Body(r#"{"ok":true,"messages":null,"channels":null,"members":null,"team_id":null}"#.into()),
        Fault::Body(r#"{"ok":true,"messages":{},"channels":{},"members":{},"team_id":{}}"#.into()),
    ];
    for fault in bodies {
        for operation in [AUTH, LIST, USERS, HISTORY, REPLIES] {
            let bench = bench();
            bench.simulation.faults().push_times(operation, fault.clone(), 9);
            let error = whole(&bench).await.expect_err("never an empty page");
            assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Transport), "{operation} {fault:?}: {error:?}");
            assert!(matches!(error.retry(), Retry::GaveUp(_)), "{operation} {fault:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn more_without_a_cursor_is_an_error_and_no_end() {
    for operation in [HISTORY, REPLIES] {
        let bench = bench();
        let body = r#"{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":""}}"#;
        bench.simulation.faults().push_times(operation, Fault::Body(body.into()), 2);
        assert_eq!(whole(&bench).await.expect_err("a hole").kind(), ErrorKind::Decode);
    }
}

#[tokio::test]
async fn passing_trouble_is_ridden_out_and_each_message_still_comes_once() {
    for fault in [
        Fault::Html,
        Fault::Cut(40),
        Fault::Refused,
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::status(503, "upstream"),
        refused("internal_error"),
        refused("fatal_error"),
        refused("service_unavailable"),
        refused("ratelimited"),
        Fault::rate_limited(3),
    ] {
        let bench = bench();
        for operation in [AUTH, LIST, USERS, HISTORY, REPLIES] {
            bench.simulation.faults().push(operation, fault.clone());
        }
        let scan = whole(&bench).await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(scan.ids(), bench.sim().keys(), "{fault:?}");
        assert!(scan.complete());
        assert_eq!(bench.simulation.faults().waiting(), 0);
    }
}

#[tokio::test]
async fn a_refusal_with_status_200_is_an_error_of_its_kind() {
    for (code, kind) in [
        ("invalid_auth", ErrorKind::Auth),
        ("token_revoked", ErrorKind::AuthRevoked),
        ("account_inactive", ErrorKind::AuthRevoked),
        ("channel_not_found", ErrorKind::NotFound),
        ("not_in_channel", ErrorKind::Forbidden),
        ("invalid_cursor", ErrorKind::CursorExpired),
        ("invalid_ts_oldest", ErrorKind::Invalid),
    ] {
        let bench = bench();
        bench.simulation.faults().push_times(HISTORY, refused(code), 9);
        assert_eq!(whole(&bench).await.expect_err(code).kind(), kind, "{code}");
        let times = if kind == ErrorKind::Auth { 1..=2 } else { 1..=1 };
        assert!(times.contains(&bench.simulation.count(HISTORY)), "{code} is not asked for again and again");
    }
}

#[tokio::test]
async fn a_thread_that_is_not_there_is_told_from_a_channel_that_is_not_there() {
    let gone = bench();
    gone.simulation.faults().push(REPLIES, refused("thread_not_found"));
    let scan = whole(&gone).await.expect("the scan goes on");
    assert_eq!((scan.complete(), scan.ids().len()), (false, 3));
    let closed = bench();
    closed.simulation.faults().push(REPLIES, refused("channel_not_found"));
    assert_eq!(whole(&closed).await.expect_err("the channel is gone").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_wait_that_slack_asks_for_is_kept() {
    for fault in [
        Fault::rate_limited(30),
        Fault::Status { status: 429, headers: vec![("retry-after", "30".into())], body: r#"{"ok":false,"error":"ratelimited"}"#.into() },
        Fault::Status { status: 200, headers: vec![("retry-after", "30".into())], body: r#"{"ok":false,"error":"ratelimited"}"#.into() },
    ] {
        let bench = bench();
        bench.simulation.faults().push(HISTORY, fault);
        whole(&bench).await.expect("waits");
        let slept = bench.services.clock().slept();
        assert!(slept.len() == 1 && slept[0] >= Duration::from_secs(30), "{slept:?}");
    }
    let bench = bench();
    bench.simulation.faults().push(HISTORY, Fault::rate_limited(3600));
    let error = whole(&bench).await.expect_err("an hour is parked");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(matches!(error.retry(), Retry::After(Some(wait)) if wait >= Duration::from_secs(3600)), "{error:?}");
}

#[tokio::test]
async fn the_published_quotas_are_lived_with() {
    let (bench, _) = Bench::with_messages(70);
    bench.sim().enforce_quotas(false);
    bench.sim().page_size(1);
    let scan = whole(&bench).await.expect("waits where it has to");
    assert_eq!(scan.ids(), bench.sim().keys());
    assert!(!bench.services.clock().slept().is_empty());
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_a_revoked_one_is_not() {
    let mut fresh = bench();
    fresh.sim().expect_token("xoxb-new");
    fresh.services = fresh.services.clone().with_token("xoxb-old").with_refresh(&["xoxb-new"]);
    fresh.simulation.faults().push(AUTH, refused("token_expired"));
    assert_eq!(whole(&fresh).await.expect("renewed").ids(), fresh.sim().keys());
    assert_eq!(fresh.services.calls().rejected, [1]);

    let revoked = bench();
    revoked.sim().revoke_token();
    assert_eq!(whole(&revoked).await.expect_err("revoked").kind(), ErrorKind::AuthRevoked);
    assert!(revoked.services.calls().rejected.is_empty());
}

#[tokio::test]
async fn no_error_ever_holds_the_token() {
    let canary = Canary::new(11);
    let echo = json!({"ok": false, "error": canary.secret(), "needed": canary.secret(), "provided": canary.secret()}).to_string();
    for fault in [
        Fault::Body(echo.clone()),
        Fault::status(500, echo.clone()),
        Fault::status(403, format!("<html>{}", canary.secret())),
        Fault::status(429, echo),
        Fault::Cut(10),
        Fault::Refused,
        Fault::Html,
        refused("invalid_auth"),
        refused("missing_scope"),
    ] {
        for operation in [AUTH, LIST, USERS, HISTORY, REPLIES] {
            let mut bench = bench();
            bench.services = bench.services.clone().with_token(canary.secret());
            bench.simulation.faults().push_times(operation, fault.clone(), 9);
            let error = whole(&bench).await.expect_err("in trouble");
            canary.assert_absent(operation, &format!("{error} {error:?}"));
        }
    }
    let bench = bench();
    let services = bench.services.clone().with_token(canary.secret());
    canary.assert_absent("the provider", &format!("{:?}", bench.slack));
    let cx = services.context(json!({}));
    bench.slack.validate_credentials(&cx).await.expect("good");
    for call in bench.simulation.calls() {
        canary.assert_absent("an address", &call.path_and_query);
    }
}

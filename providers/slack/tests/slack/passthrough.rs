//! Calls of the host's own.

use crate::support::{Bench, HISTORY, POST};
use serde_json::{Value, json};
use sync_core::{Delivery, ErrorKind, IntegrationSync, Method, PassthroughAnswer, PassthroughRequest, Result};
use sync_testkit::{Canary, Fault};

async fn call(bench: &Bench, request: PassthroughRequest) -> Result<PassthroughAnswer> {
    let cx = bench.services.context(bench.settings.clone());
    bench.slack.as_passthrough().expect("offered").request(&cx, &request).await
}

fn read(answer: &PassthroughAnswer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn any_method_is_called_by_its_name_under_a_quota() {
    let bench = Bench::new();
    bench.sim().expect_token("test-token");
    let team = call(&bench, PassthroughRequest::get("team.info").query("team", "T1")).await.expect("answered");
    assert_eq!((team.status, &read(&team)["team"]["name"]), (200, &json!("Acme")));
    let join = PassthroughRequest::new(Method::Post, "conversations.join").json(&json!({"channel": "C1"}));
    assert_eq!(read(&call(&bench, join).await.expect("answered"))["warning"], "already_in_channel");
    let history = || PassthroughRequest::get("conversations.history").query("channel", "C1");
    call(&bench, history()).await.expect("answered");
    let bench = bench.set(json!({"commercial": true}));
    call(&bench, history()).await.expect("answered");
    let drawn: Vec<String> = bench.services.calls().permits.into_iter().map(|(bucket, _)| bucket).collect();
    assert_eq!(drawn, ["other methods", "other methods", "conversations.history", "conversations.history.commercial"]);
    let quotas = bench.slack.descriptor().quotas;
    assert!(drawn.iter().all(|bucket| quotas.iter().any(|quota| quota.bucket == *bucket)), "each is declared");
}

#[tokio::test]
async fn a_refusal_with_status_200_is_an_error_here_too() {
    let bench = Bench::new();
    for (request, kind) in [
        (PassthroughRequest::get("conversations.info").query("channel", "C9"), ErrorKind::NotFound),
        (PassthroughRequest::get("files.list"), ErrorKind::Invalid),
        (PassthroughRequest::get("../oauth.v2.access"), ErrorKind::Config),
        (PassthroughRequest::get("https://evil.example.com/"), ErrorKind::Config),
    ] {
        let path = request.path.clone();
        assert_eq!(call(&bench, request).await.expect_err(&path).kind(), kind, "{path}");
    }
    assert_eq!(bench.simulation.calls().len(), 2);
}

#[tokio::test]
async fn only_what_cannot_double_is_repeated() {
    let fields = json!({"channel": "C1", "text": "x"});
    let post = || PassthroughRequest::new(Method::Post, "chat.postMessage").json(&fields);
    let get = PassthroughRequest::get("chat.postMessage").query("channel", "C1").query("text", "x");
    let read = PassthroughRequest::get("conversations.history").query("channel", "C1");
    for (request, operation, times) in [(post(), POST, 1), (get, POST, 1), (post().repeatable(), POST, 2), (read, HISTORY, 2)] {
        let bench = Bench::new();
        bench.simulation.faults().push(operation, Fault::LostAnswer);
        let answer = call(&bench, request).await;
        assert_eq!(bench.simulation.count(operation), times, "{operation}");
        match answer {
            Ok(_) => assert_eq!(times, 2),
            Err(error) => assert_eq!((times, error.delivery()), (1, Delivery::Unknown), "{error}"),
        }
    }
}

#[tokio::test]
async fn an_answer_never_holds_the_token() {
    let canary = Canary::new(13);
    let mut bench = Bench::new();
    bench.services = bench.services.clone().with_token(canary.secret());
    bench.simulation.faults().push("slack.team.info", Fault::Body(json!({"ok": true, "echo": canary.secret()}).to_string()));
    let answer = call(&bench, PassthroughRequest::get("team.info")).await.expect("answered");
    canary.assert_absent("the answer", &format!("{answer:?} {}", read(&answer)));
}

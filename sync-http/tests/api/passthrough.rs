//! Calls of the host's own over a real socket of this machine: where they may go, what is sent again, what is taken out of the answer.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;
use sync_core::{Delivery, ErrorKind, Health, Method, PassthroughRequest, Retry, SyncContext};
use sync_http::{Api, Auth, segment};
use sync_testkit::{Canary, Fault, Served, SimAnswer, SimRequest, Simulation, Simulator, TestServices};

const ECHO: &str = "mirror.echo";
const MAKE: &str = "mirror.make";
const CALL: &str = "mirror.passthrough";

/// A service that repeats whatever it is told, token included.
#[derive(Debug)]
struct Mirror {
    token: String,
    made: AtomicU32,
    seen: Mutex<Vec<SimRequest>>,
}

impl Simulator for Mirror {
    fn operation(&self, request: &SimRequest) -> &'static str {
        if request.method == "GET" { ECHO } else { MAKE }
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        self.seen.lock().expect("no panic").push(request.clone());
        let header = request.headers["authorization"].to_str().expect("text").to_owned();
        let sent = header.strip_prefix("Basic ").map(|encoded| BASE64_STANDARD.decode(encoded).expect("base64"));
        let sent =
            sent.map_or_else(|| header.replacen("Bearer ", "", 1), |pair| String::from_utf8(pair).expect("text").replacen("me:", "", 1));
        if sent != self.token {
            return SimAnswer::json(401, json!({ "error": format!("{sent} is not known") }));
        }
        if request.method != "GET" {
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        let mut body =
            json!({ "header": header, "url": format!("https://x.example/?t={}", segment(&sent)), "token": sent }).to_string().into_bytes();
        body.extend_from_slice(&request.body);
        if request.query("raw").is_some() {
            body.extend_from_slice(b"\xff\xfe");
        }
        SimAnswer::new(200, &format!("text/x-echo; t={sent}"), body)
    }
}

struct World {
    services: TestServices,
    mirror: Simulation<Mirror>,
    api: Api,
    cx: SyncContext,
    _served: Served,
}

async fn world(services: TestServices, token: &str, auth: Auth) -> World {
    let mirror = Mirror { token: token.to_owned(), made: AtomicU32::new(0), seen: Mutex::default() };
    let mirror = Simulation::new(mirror);
    let served = mirror.serve().await.expect("a free port");
    let api = Api::builder("mirror", &format!("{}/v1/", served.url)).auth(auth).build().expect("loopback is allowed");
    let cx = services.context(json!({}));
    World { services, mirror, api, cx, _served: served }
}

async fn plain() -> World {
    world(TestServices::new(7), "test-token", Auth::Bearer).await
}

impl World {
    async fn call(&self, request: &PassthroughRequest) -> sync_core::Result<sync_core::PassthroughAnswer> {
        self.api.passthrough(&self.cx, CALL, "others", request).await
    }

    fn seen(&self) -> Vec<SimRequest> {
        self.mirror.sim().seen.lock().expect("no panic").clone()
    }
}

#[tokio::test]
async fn a_call_arrives_as_it_was_described_and_draws_from_its_bucket() {
    let world = plain().await;
    let request = PassthroughRequest::get("a/b%2Fc:d").query("q", "x & y").query("q", "2");
    let answer = world.call(&request).await.expect("answered");
    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("text/x-echo; t=[redacted]")));
    let request = PassthroughRequest::new(Method::Patch, "items/1").json(&json!({ "a": 1 }));
    world.call(&request).await.expect("answered");
    let request = PassthroughRequest::new(Method::Put, "items/1").body("text/csv", Bytes::from_static(b"a,b"));
    let answer = world.call(&request).await.expect("answered");
    assert!(answer.body.ends_with(b"a,b"));
    let seen = world.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].method.as_str()), ("/v1/a/b%2Fc:d", "GET"));
    assert_eq!(seen[0].query, [("q".to_owned(), "x & y".to_owned()), ("q".to_owned(), "2".to_owned())]);
    assert_eq!((seen[1].method.as_str(), seen[1].json()), ("PATCH", Some(json!({ "a": 1 }))));
    assert_eq!(seen[1].headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(
        (seen[2].method.as_str(), &seen[2].headers["content-type"], &seen[2].body[..]),
        ("PUT", &"text/csv".parse().expect("a value"), &b"a,b"[..])
    );
    assert_eq!(world.services.calls().permits, vec![("others".to_owned(), 1); 3]);
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused_before_anything_is_sent() {
    let world = plain().await;
    for path in [
        "https://evil.example.com/x",
        "//evil.example.com/x",
        "/items",
        "../admin",
        "items/%2e%2e/%2E./admin",
        "%252e%252e%252fadmin",
        "me:s3cret@evil.example.com",
        "items#x",
        "items?x=1",
        "items/%0d%0aX: y",
    ] {
        let error = world.call(&PassthroughRequest::get(path)).await.expect_err(path);
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, CALL), "{path}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let error = world.call(&PassthroughRequest::new(Method::Post, "items").body("a\nb", "x")).await.expect_err("no header");
    assert_eq!(error.kind(), ErrorKind::Config);
    let calls = world.services.calls();
    assert_eq!((world.mirror.calls().len(), calls.tokens, calls.permits.len()), (0, 0, 0), "not even a token was asked for");
}

#[tokio::test]
async fn what_can_be_repeated_is_and_nothing_else() {
    let lost = || [Fault::LostAnswer, Fault::Cut(3), Fault::status(503, "{}")];
    for (request, operation) in
        [(PassthroughRequest::get("items"), ECHO), (PassthroughRequest::new(Method::Post, "search").json(&json!({})).repeatable(), MAKE)]
    {
        let world = plain().await;
        lost().into_iter().for_each(|fault| world.mirror.faults().push(operation, fault));
        world.call(&request).await.expect("the fourth attempt");
        assert_eq!((world.mirror.count(operation), world.services.clock().slept().len()), (4, 3));
    }
    for method in [Method::Post, Method::Patch, Method::Put, Method::Delete] {
        for fault in lost() {
            let world = plain().await;
            world.mirror.faults().push(MAKE, fault.clone());
            let error = world.call(&PassthroughRequest::new(method, "items/1")).await.expect_err("lost");
            assert_eq!((error.delivery(), error.retry()), (Delivery::Unknown, Retry::Never), "{method:?} {fault:?}");
            assert_eq!(world.mirror.count(MAKE), 1, "{method:?} {fault:?} was sent again");
            assert!(world.mirror.sim().made.load(Ordering::Relaxed) <= 1);
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_a_full_quota_waited_for_even_where_nothing_is_repeated() {
    let world = world(TestServices::new(7).with_token("old-token").with_refresh(&["new-token"]), "new-token", Auth::Bearer).await;
    world.mirror.faults().push(MAKE, Fault::rate_limited(40));
    let answer = world.call(&PassthroughRequest::new(Method::Post, "items")).await.expect("the third attempt");
    assert!(!String::from_utf8_lossy(&answer.body).contains("new-token"), "{answer:?}");
    let calls = world.services.calls();
    assert_eq!((calls.rejected, world.mirror.count(MAKE), world.mirror.sim().made.load(Ordering::Relaxed)), (vec![1], 3, 1));
    assert!(world.services.clock().slept()[0] >= std::time::Duration::from_secs(40));
    assert_eq!(calls.outcomes.last().expect("reported").health, Health::Good);

    let world = plain().await;
    world.mirror.faults().push_times(ECHO, Fault::status(404, "{}"), 1);
    assert_eq!(world.call(&PassthroughRequest::get("nothing")).await.expect_err("404").kind(), ErrorKind::NotFound);
    let moved = Fault::Status { status: 302, headers: vec![("location", "https://evil.example.com/".to_owned())], body: String::new() };
    world.mirror.faults().push(ECHO, moved);
    world.call(&PassthroughRequest::get("moved")).await.expect_err("never followed");
}

#[tokio::test]
async fn a_token_the_service_repeats_is_not_in_the_answer() {
    for (seed, auth) in [(1, Auth::Bearer), (2, Auth::Basic { user: "me".into() })] {
        let canary = Canary::new(seed);
        // As awkward as tokens get.
        let token = format!("{}/+a-b", canary.secret());
        let world = world(TestServices::new(1).with_token(&token), &token, auth).await;
        let long = "x".repeat(100_000);
        for request in [
            PassthroughRequest::get("echo"),
            PassthroughRequest::get("echo").query("raw", "1"),
            PassthroughRequest::new(Method::Post, "echo").body("text/plain", format!("{long}{token}{long}")),
            PassthroughRequest::new(Method::Post, "echo").query("raw", "1").body("text/plain", format!("{long}{token}{long}")),
        ] {
            let answer = world.call(&request).await.expect("answered");
            canary.assert_absent("the body", &String::from_utf8_lossy(&answer.body));
            canary.assert_absent("the content type", answer.content_type.as_deref().expect("a content type"));
            canary.assert_absent("Debug", &format!("{answer:?}"));
            assert!(answer.body.windows(10).filter(|window| window == b"[redacted]").count() >= 3, "{answer:?}");
            let raw = request.query.iter().any(|(name, _)| **name == *"raw");
            assert_eq!(answer.body.ends_with(b"\xff\xfe"), raw, "bytes that are no text stay as they are");
        }
        world.mirror.faults().push(ECHO, Fault::status(400, json!({ "error": token }).to_string()));
        let error = world.call(&PassthroughRequest::get("echo")).await.expect_err("400");
        canary.assert_absent("the error", &format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn an_answer_without_the_token_comes_as_it_is() {
    let world = plain().await;
    let body = format!("{{\"a\":1.10,\"b\":\"{}\"}}", "\u{e9}".repeat(20_000));
    world.mirror.faults().push(ECHO, Fault::Body(body.clone()));
    let answer = world.call(&PassthroughRequest::get("echo")).await.expect("answered");
    assert_eq!((answer.body, answer.content_type.as_deref()), (Bytes::from(body), Some("application/json")));
    world.mirror.faults().push(ECHO, Fault::Status { status: 204, headers: Vec::new(), body: String::new() });
    let answer = world.call(&PassthroughRequest::get("echo")).await.expect("answered");
    assert_eq!((answer.status, answer.content_type, answer.body.len()), (204, None, 0));
}

//! The transport over reqwest against a real socket of this machine: the same faults, the same errors.
use std::{sync::atomic::AtomicU32, time::Duration};

use crate::shop::{CREATE, LIST, Shop, create, list, read};
use bytes::Bytes;
use serde_json::json;
use sync_core::Delivery;
use sync_http::{Api, Limits, TransportError, reqwest_transport};
use sync_testkit::{Fault, Simulation, TestServices};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), max_body: 1 << 20 };

fn shop() -> Simulation<Shop> {
    Simulation::new(Shop { token: "test-token", made: AtomicU32::new(0) })
}

fn get(base: &str) -> http::Request<Bytes> {
    let request = http::Request::get(format!("{base}/v1/items?limit=2")).header("authorization", "Bearer test-token");
    request.body(Bytes::new()).expect("a request")
}

#[tokio::test]
async fn a_call_goes_round_a_real_socket() {
    let shop = shop();
    let served = shop.serve().await.expect("a free port");
    let services = TestServices::new(7);
    let api = Api::builder("shop", &format!("{}/v1", served.url)).build().expect("loopback is allowed");
    shop.faults().push(LIST, Fault::Cut(5));
    shop.faults().push(LIST, Fault::LostAnswer);
    shop.faults().push(LIST, Fault::status(503, "{}"));
    let cx = services.context(json!({}));
    assert_eq!(api.fetch(&cx, list(), read).await.expect("the fourth attempt"), 200);
    assert_eq!(shop.count(LIST), 4);

    shop.faults().push(CREATE, Fault::LostAnswer);
    let error = api.send(&cx, create()).await.expect_err("lost");
    assert_eq!((error.delivery(), shop.sim().made(), shop.count(CREATE)), (Delivery::Unknown, 1, 1), "acted once, never again");
    assert_eq!(api.send(&cx, create()).await.expect("made").status, 201);
}

/// What a client can tell of an attempt.
#[derive(Debug, PartialEq)]
enum Seen {
    Answer(u16, Bytes),
    Error(Delivery, bool),
}

fn seen(result: Result<http::Response<Bytes>, TransportError>) -> Seen {
    match result {
        Ok(answer) => Seen::Answer(answer.status().as_u16(), answer.into_body()),
        Err(error) => Seen::Error(error.delivery(), error.is_too_large()),
    }
}

#[tokio::test]
async fn faults_look_the_same_in_process_and_over_a_socket() {
    let (here, there) = (shop(), shop());
    let served = there.serve().await.expect("a free port");
    let (near, far) = (here.transport(), reqwest_transport());
    let moved = Fault::Status { status: 302, headers: vec![("location", served.url.clone())], body: String::new() };
    let not_modified = Fault::Status { status: 304, headers: Vec::new(), body: String::new() };
    let faults = [
        Fault::status(500, "{}"),
        Fault::rate_limited(3),
        moved,
        not_modified,
        Fault::Html,
        Fault::Empty,
        Fault::Body("[".into()),
        Fault::Cut(0),
        Fault::Cut(5),
        Fault::Cut(1000),
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Huge(2),
    ];
    for fault in faults {
        here.faults().push(LIST, fault.clone());
        there.faults().push(LIST, fault.clone());
        let (near, far) = (near.send(get("https://shop.example"), LIMITS).await, far.send(get(&served.url), LIMITS).await);
        if let (Fault::Cut(_), Err(near), Err(far)) = (&fault, &near, &far) {
            assert_eq!(near.to_string(), far.to_string(), "{fault:?}");
        }
        assert_eq!(seen(near), seen(far), "{fault:?}");
    }
    let (near, far) = (near.send(get("https://shop.example"), LIMITS).await, far.send(get(&served.url), LIMITS).await);
    assert_eq!(seen(near), seen(far), "no fault");
    let calls = |shop: &Simulation<Shop>| shop.calls().into_iter().map(|call| (call.path_and_query, call.status)).collect::<Vec<_>>();
    assert_eq!(calls(&here), calls(&there), "nothing was repeated, no redirect followed");
}

#[tokio::test]
async fn an_error_says_whether_the_request_left_and_never_where_to() {
    let shop = shop();
    let transport = reqwest_transport();
    let served = shop.serve().await.expect("a free port");
    shop.faults().push(LIST, Fault::Slow(Duration::from_secs(60)));
    let stalled = transport.send(get(&served.url), Limits { timeout: Duration::from_millis(50), ..LIMITS }).await;
    let url = served.url.clone();
    drop(served);
    // the listener closes when its task is dropped, a moment later
    let refused = loop {
        match transport.send(get(&url), LIMITS).await {
            Err(error) if error.delivery() == Delivery::NotSent => break error,
            _ => tokio::task::yield_now().await,
        }
    };
    let stalled = stalled.expect_err("too slow");
    assert_eq!(stalled.delivery(), Delivery::Unknown);
    assert!(stalled.to_string().contains("timed out") && refused.to_string().contains("no connection could be made"), "{refused}");
    for error in [stalled, refused] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("limit=2") && !text.contains("test-token") && !text.contains("/v1/items"), "{text}");
    }
}

#[tokio::test]
async fn a_body_is_not_read_past_the_cap_even_when_its_length_is_not_announced() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await.expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("a head");
        let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
        let mut sent = 0usize;
        // until the client hangs up
        while stream.write_all(&chunk).await.is_ok() {
            sent += 0x10000;
        }
        sent
    });
    let transport = reqwest_transport();
    let error = transport.send(get(&url), LIMITS).await.expect_err("endless");
    assert!(error.is_too_large(), "{error}");
    let sent = server.await.expect("no panic");
    assert!(sent < 64 << 20, "{sent} bytes were taken, far past the cap of 1 MiB and what sockets buffer");
}

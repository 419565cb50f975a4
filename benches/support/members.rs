//! A loopback service of the Mailchimp shape to read from: `GET /3.0/lists/{list}/members?count&offset&since_last_changed`.
//!
//! Pages are rendered once and kept, so that the service costs next to nothing while a reader is measured. It runs on a thread of
//! this process ([`Service::start`]) or, so that its CPU and memory do not count, as a child ([`Child::start`]).
//! `PUT /bench?world=base|hundredth|all&latency_ms=50` changes what it answers.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use chrono::NaiveDateTime;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::member::{self, World};

/// Mailchimp answers at most so many members at once, and so many when it is not told.
const PAGE_CAP: usize = 1_000;
const PAGE_DEFAULT: usize = 10;

/// Up to this many members pages are kept once rendered (1.2 KB a member and state); beyond it they are rendered each time.
const KEPT: usize = 200_000;

/// Numbers of members, ascending.
type Numbers = Arc<[u32]>;

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    members: usize,
    now: Mutex<Now>,
    /// Which members changed after a moment; a filtered list is walked once.
    filtered: Mutex<HashMap<(World, i64), Numbers>>,
    pages: Mutex<HashMap<PageKey, Bytes>>,
}

#[derive(Clone, Copy, Debug)]
struct Now {
    world: World,
    latency: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PageKey {
    world: World,
    since: Option<i64>,
    offset: usize,
    count: usize,
}

impl Service {
    /// Starts it on a free port of the loopback interface and a thread of its own; it ends with the process.
    pub(crate) fn start(members: usize) -> SocketAddr {
        assert!(members <= member::MOST, "at most {} members can be made up", member::MOST);
        let service = Arc::new(Self {
            members,
            now: Mutex::new(Now { world: World::Base, latency: Duration::ZERO }),
            filtered: Mutex::default(),
            pages: Mutex::default(),
        });
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback interface has a free port");
                tell.send(listener.local_addr().expect("a bound socket has an address")).expect("the starter waits for it");
                loop {
                    let (stream, _) = listener.accept().await.expect("connections are accepted");
                    let service = Arc::clone(&service);
                    tokio::spawn(async move {
                        let answer = service_fn(|request| service.answer(request));
                        // A reader that goes away in the middle is its own business.
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                    });
                }
            });
        });
        told.recv().expect("the service says where it listens")
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let answer = match (request.method(), &parts[..]) {
            (&Method::GET, ["3.0", "lists", _, "members"]) => {
                let now = *self.now.lock().expect("no holder panics");
                if !now.latency.is_zero() {
                    tokio::time::sleep(now.latency).await;
                }
                self.members(now.world, &query)
            }
            (&Method::PUT, ["bench"]) => self.change(&query),
            _ => Err("nothing is here"),
        };
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            Err(why) => (StatusCode::BAD_REQUEST, Bytes::from(format!(r#"{{"title":"Bad Request","status":400,"detail":"{why}"}}"#))),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn change(&self, query: &HashMap<String, String>) -> Result<Bytes, &'static str> {
        let mut now = self.now.lock().expect("no holder panics");
        if let Some(world) = query.get("world") {
            now.world = World::parse(world).ok_or("world is base, hundredth or all")?;
        }
        if let Some(latency) = query.get("latency_ms") {
            now.latency = Duration::from_millis(latency.parse().map_err(|_| "latency_ms is a whole number")?);
        }
        Ok(Bytes::from_static(b"{}"))
    }

    fn members(&self, world: World, query: &HashMap<String, String>) -> Result<Bytes, &'static str> {
        let number = |name: &str, default| match query.get(name) {
            Some(text) => text.parse::<usize>().map_err(|_| "count and offset are whole numbers"),
            None => Ok(default),
        };
        let since = match query.get("since_last_changed") {
            Some(text) => Some(seconds(text).ok_or("since_last_changed is an ISO 8601 time")?),
            None => None,
        };
        let key = PageKey { world, since, offset: number("offset", 0)?, count: number("count", PAGE_DEFAULT)?.min(PAGE_CAP) };
        if let Some(page) = self.pages.lock().expect("no holder panics").get(&key) {
            return Ok(page.clone());
        }
        let page = self.render(key);
        if self.members <= KEPT {
            self.pages.lock().expect("no holder panics").insert(key, page.clone());
        }
        Ok(page)
    }

    fn render(&self, key: PageKey) -> Bytes {
        let mut page = Vec::with_capacity(64 + key.count * 1_300);
        page.extend_from_slice(br#"{"members":["#);
        let mut member = |at: usize, number: usize| {
            if at > 0 {
                page.push(b',');
            }
            member::render(&mut page, number, key.world);
        };
        let total = match key.since {
            None => {
                (key.offset..self.members).take(key.count).enumerate().for_each(|(at, number)| member(at, number));
                self.members
            }
            Some(since) => {
                let list = self.changed_after(key.world, since);
                list.iter().skip(key.offset).take(key.count).enumerate().for_each(|(at, number)| member(at, *number as usize));
                list.len()
            }
        };
        page.extend_from_slice(format!(r#"],"list_id":"x","total_items":{total}}}"#).as_bytes());
        page.into()
    }

    fn changed_after(&self, world: World, since: i64) -> Numbers {
        let mut filtered = self.filtered.lock().expect("no holder panics");
        let list = filtered.entry((world, since)).or_insert_with(|| {
            (0..self.members).filter(|number| member::last_changed(*number, world) > since).map(|number| number as u32).collect()
        });
        Arc::clone(list)
    }
}

/// The seconds since 1970 of an ISO 8601 time; the zone is taken for UTC, as all times here are.
fn seconds(text: &str) -> Option<i64> {
    NaiveDateTime::parse_from_str(text.get(..19)?, "%Y-%m-%dT%H:%M:%S").ok().map(|time| time.and_utc().timestamp())
}

/// The service in a process of its own; it ends when this value is dropped, or with this process.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    /// `http://127.0.0.1:…`
    pub(crate) url: String,
}

impl Child {
    /// Starts this program again in the mode `server`.
    pub(crate) fn start(members: usize) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program)
            .args(["server", &members.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let mut url = String::new();
        BufReader::new(process.stdout.take().expect("its output is piped")).read_line(&mut url).expect("it says where it listens");
        assert!(url.starts_with("http://"), "the service did not start");
        Self { process, url: url.trim_end().to_owned() }
    }
}

impl Child {
    /// Puts the members into another state.
    pub(crate) fn world(&self, world: World) {
        let address = self.url.strip_prefix("http://").expect("the child's address is a plain one");
        let mut stream = TcpStream::connect(address).expect("the service listens");
        write!(stream, "PUT /bench?world={} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n", world.name()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The mode `server`: says where it listens and serves until its input is closed.
pub(crate) fn serve(members: usize) {
    println!("http://{}", Service::start(members));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

//! The answer as a request of the browser to this machine.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc};

use super::{state_in, way::Place};
use crate::exit::{Done, Failure};

/// What listens at the redirect URI.
#[derive(Debug)]
pub(super) struct Listening {
    listeners: Vec<TcpListener>,
    path: Arc<str>,
}

impl Listening {
    pub(super) async fn begin(place: &Place) -> Done<Self> {
        let mut listeners = Vec::new();
        for address in &place.addresses {
            match TcpListener::bind(address).await {
                Ok(listener) => listeners.push(listener),
                // Machines without IPv6 have the other one; what somebody else listens at is theirs.
                Err(problem) if !listeners.is_empty() && problem.kind() != io::ErrorKind::AddrInUse => {}
                Err(problem) => return Err(refused(*address, &problem)),
            }
        }
        Ok(Self { listeners, path: place.path.as_str().into() })
    }

    /// Waits for the request with this state and answers its query; all else is not found.
    pub(super) async fn answer(self, state: &str) -> Done<String> {
        let (tell, mut told) = mpsc::channel::<String>(1);
        let state = Arc::<str>::from(state);
        let mut serving = tokio::task::JoinSet::new();
        for listener in self.listeners {
            serving.spawn(serve(listener, Arc::clone(&self.path), Arc::clone(&state), tell.clone()));
        }
        drop(tell);
        let ended = || Failure::failed("nothing listens any more", "connect --browser", "run it again");
        told.recv().await.ok_or_else(ended)
    }
}

async fn serve(listener: TcpListener, path: Arc<str>, state: Arc<str>, tell: mpsc::Sender<String>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tell, path, state) = (tell.clone(), Arc::clone(&path), Arc::clone(&state));
        // Not of the set: the page is sent to its end.
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (tell, path, state) = (tell.clone(), Arc::clone(&path), Arc::clone(&state));
                async move { Ok::<_, Infallible>(respond(&request, (&path, &state), &tell)) }
            });
            let served = hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
            let _ = served.await;
        });
    }
}

fn refused(address: SocketAddr, problem: &io::Error) -> Failure {
    let hint = match problem.kind() {
        io::ErrorKind::AddrInUse => "end what listens there, or register another redirect URI and set it as redirect_uri, or add --paste",
        _ => "allow this program to listen there, or add --paste",
    };
    Failure::failed(format!("{address} cannot be opened: {problem}"), "connect --browser", hint)
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Syncline</title>\
    <style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222}</style>\
    <h1>Thank you</h1><p>The answer has arrived. Go back to the terminal to see whether the account is connected; this page can be closed.</p>";

fn respond(request: &Request<Incoming>, (path, state): (&str, &str), tell: &mpsc::Sender<String>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    // Whoever can reach this machine may ask; only the answer to what was begun ends the wait.
    let ours =
        request.uri().path() == path && request.method() == hyper::Method::GET && state_in(query).is_some_and(|theirs| theirs == state);
    let (status, body) = if ours {
        // Only the first answer counts.
        let _ = tell.try_send(query.to_owned());
        (StatusCode::OK, PAGE)
    } else {
        (StatusCode::NOT_FOUND, "nothing is here")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, if ours { "text/html; charset=utf-8" } else { "text/plain" }),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

//! `connect --browser`: sends a browser to the service and waits for it to come back to this machine.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use syncline::{Authorized, Callback, ErrorKind, core::ExposeSecret as _};
use tokio::{net::TcpListener, sync::mpsc};
use url::Url;

use super::{View, connect};
use crate::{
    args::Connect,
    config::Config,
    exit::{Done, Failure},
    keys::Need,
    output::Style,
    session::{REDIRECT_URI, Session, secret_variable},
    signal,
};

pub(crate) async fn run(config: &Config, args: &Connect, settings: Value, view: View) -> Done {
    let redirect = redirect(config, args)?;
    let session = Session::open(config, Need::Seal).await?;
    let before: Vec<_> = session.workspace.connections().await?.into_iter().filter(|row| *row.provider == *args.provider).collect();
    // Listening begins before anybody is sent away.
    let listener = TcpListener::bind(redirect.address).await.map_err(|problem| refused(redirect.address, &problem))?;
    let mut begin = session.workspace.begin_authorization(&args.provider).settings(settings);
    if let Some(subject) = &args.subject {
        begin = begin.subject(subject.as_str());
    }
    let begun = begin.await?;
    eprintln!("Open this address in a browser and grant access there:\n");
    eprintln!("  {}\n", begun.url);
    if !args.no_open {
        open(&begun.url);
    }
    eprintln!("Waiting for the answer at {} until {} UTC. Ctrl-C gives up.", redirect.uri, begun.expires_at.format("%H:%M"));
    let left = (begun.expires_at - chrono::Utc::now()).to_std().unwrap_or_default();
    let query = tokio::select! {
        query = answer(listener, redirect.path) => query?,
        () = tokio::time::sleep(left) => {
            let text = "nobody came back in time";
            return Err(Failure::failed(text, "connect --browser", "run it again, and grant access within ten minutes"));
        }
        stopped = signal::stopped() => {
            stopped.map_err(|problem| Failure::failed(problem.to_string(), "Ctrl-C", "please report this"))?;
            return Err(Failure::interrupted("given up; nothing was stored"));
        }
    };
    let callback = Callback::from_query(&query, begun.browser.expose_secret().to_owned())?;
    let Authorized { connection, missing_scopes, lost_streams, .. } =
        session.engine.finish_authorization(callback).await.map_err(|error| match error.kind() {
            ErrorKind::Auth => Failure::of(&error).hint("run `syncline connect --browser` again"),
            _ => Failure::of(&error),
        })?;
    if !missing_scopes.is_empty() && !view.quiet {
        let style = Style::stderr();
        eprintln!("{} not granted: {}", style.warn("!"), missing_scopes.join(", "));
        if !lost_streams.is_empty() {
            eprintln!("  without that these streams cannot be used: {}", lost_streams.join(", "));
        }
    }
    connect::tell(&connection, &before, view).await
}

/// Where the browser comes back to.
struct Redirect {
    uri: String,
    address: SocketAddr,
    path: String,
}

fn redirect(config: &Config, args: &Connect) -> Done<Redirect> {
    let provider = &args.provider;
    let Some(service) = config.service(provider) else {
        return Err(Failure::usage(format!("there is no service {provider:?}"), "connect", "name one of: sheets, slack"));
    };
    if service.client_id.is_none() {
        let text = format!("there is no OAuth client for {provider}");
        let hint = format!(
            "register one at the service with the redirect URI {REDIRECT_URI}, put its client_id into [{provider}] of syncline.toml and its \
             secret into {}; README.md tells the clicks",
            secret_variable(provider)
        );
        return Err(Failure::usage(text, "connect --browser", hint));
    }
    let uri = service.redirect_uri.as_deref().unwrap_or(REDIRECT_URI);
    let wrong = |what: &str| {
        let hint = format!("register {REDIRECT_URI} at the service and leave redirect_uri out");
        Failure::usage(format!("the redirect URI {uri:?} {what}"), format!("[{provider}] redirect_uri"), hint)
    };
    let url = Url::parse(uri).map_err(|_| wrong("is no address"))?;
    let host = match url.host() {
        Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(url::Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return Err(wrong("does not lead to this machine")),
    };
    if url.scheme() != "http" || !host.is_loopback() {
        return Err(wrong("does not lead to this machine by http"));
    }
    let port = url.port().ok_or_else(|| wrong("names no port"))?;
    Ok(Redirect { uri: uri.to_owned(), address: SocketAddr::new(host, port), path: url.path().to_owned() })
}

fn refused(address: SocketAddr, problem: &io::Error) -> Failure {
    let hint = match problem.kind() {
        io::ErrorKind::AddrInUse => "end what listens there, or register another redirect URI and set it as redirect_uri",
        _ => "allow this program to listen there",
    };
    Failure::failed(format!("{address} cannot be opened: {problem}"), "connect --browser", hint)
}

/// Opens an address in the person's browser, where there is a way to.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    // Whoever sits at another machine opens it by hand.
    let _ = std::process::Command::new(program).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Syncline</title>\
    <style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222}</style>\
    <h1>Thank you</h1><p>The answer has arrived. Go back to the terminal to see whether the account is connected; this page can be closed.</p>";

/// Waits for the request to the redirect URI and answers its query; other paths are not found.
async fn answer(listener: TcpListener, path: String) -> Done<String> {
    let (tell, mut told) = mpsc::channel::<String>(1);
    let path = Arc::<str>::from(path);
    loop {
        tokio::select! {
            biased;
            Some(query) = told.recv() => return Ok(query),
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (tell, path) = (tell.clone(), Arc::clone(&path));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (tell, path) = (tell.clone(), Arc::clone(&path));
                        async move { Ok::<_, Infallible>(respond(&request, &path, &tell)) }
                    });
                    let served = hyper::server::conn::http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                    let _ = served.await;
                });
            }
        }
    }
}

fn respond(request: &Request<Incoming>, path: &str, tell: &mpsc::Sender<String>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let ours = request.uri().path() == path && request.method() == hyper::Method::GET && query.contains("state=");
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

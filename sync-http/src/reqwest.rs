//! The transport over reqwest and rustls.

use std::{
    error::Error as StdError,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, redirect, retry};

use crate::{HttpTransport, Limits, TransportError, api::is_loopback};

/// The most that is set aside because an answer announced its size: one that lies costs no more than this.
const SET_ASIDE: usize = 4 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A transport over reqwest: rustls with the platform's roots, HTTP/1.1 and 2, gzip, pooled connections, proxies from the environment
/// (never for loopback addresses), 10 s to connect, no redirects, no repeats. Make one and share it.
///
/// TLS is set up by the first call, since it costs a short program more than the call.
#[must_use]
pub fn reqwest_transport() -> Arc<dyn HttpTransport> {
    Arc::new(Reqwest::default())
}

#[derive(Debug, Default)]
struct Reqwest {
    client: OnceLock<Client>,
    direct: OnceLock<Client>,
}

impl Reqwest {
    fn client(&self, url: &reqwest::Url) -> Result<&Client, TransportError> {
        // a plain-text call to this machine would carry its credentials to the proxy
        let (kept, proxied) = if is_loopback(url) { (&self.direct, false) } else { (&self.client, true) };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let builder =
            Client::builder().redirect(redirect::Policy::none()).retry(retry::never()).connect_timeout(CONNECT_TIMEOUT).referer(false);
        let builder = if proxied { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(|error| {
            TransportError::not_sent("the HTTP client could not be set up; check the system's TLS roots").because(error.without_url())
        })?;
        Ok(kept.get_or_init(|| client))
    }
}

#[async_trait]
impl HttpTransport for Reqwest {
    async fn send(&self, request: http::Request<Bytes>, limits: Limits) -> Result<http::Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| named(error, "the request could not be built"))?;
        *request.timeout_mut() = Some(limits.timeout);
        let mut response = self.client(request.url())?.execute(request).await.map_err(|error| named(error, "no answer came"))?;
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if announced > limits.max_body {
            return Err(TransportError::too_large(limits.max_body));
        }
        let mut body = BytesMut::with_capacity(announced.min(SET_ASIDE));
        while let Some(chunk) = response.chunk().await.map_err(|error| cut(error, body.len()))? {
            if body.len() + chunk.len() > limits.max_body {
                return Err(TransportError::too_large(limits.max_body));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// A failure before the answer's head was there.
fn named(error: reqwest::Error, otherwise: &'static str) -> TransportError {
    let error = error.without_url();
    if error.is_connect() {
        let text = if error.is_timeout() { "connecting took too long" } else { "no connection could be made" };
        return TransportError::not_sent(format!("{text}{}", innermost(&error))).because(error);
    }
    if error.is_builder() {
        return TransportError::not_sent(otherwise).because(error);
    }
    if error.is_timeout() {
        return TransportError::unknown("timed out before an answer came").because(error);
    }
    TransportError::unknown(format!("{otherwise}{}", innermost(&error))).because(error)
}

/// A failure inside the body.
fn cut(error: reqwest::Error, after: usize) -> TransportError {
    let error = error.without_url();
    let text = if error.is_timeout() { "timed out" } else { "the connection was cut" };
    TransportError::unknown(format!("{text} after {after} bytes of the body")).because(error)
}

/// The last cause says what happened (`connection refused`); the ones above repeat each other.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut last = None;
    while let Some(found) = cause {
        last = Some(found);
        cause = found.source();
    }
    last.map(|cause| format!(": {cause}")).unwrap_or_default()
}

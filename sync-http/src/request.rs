//! One call of a service, described before it is made.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use secrecy::SecretString;
use serde::Serialize;
use sync_core::{Error, Result};
use url::{Url, form_urlencoded};

use crate::Limits;

/// One call of a service, named for logs and errors.
///
/// Mistakes made while building (a body that is no JSON, an impossible header) come out when it is sent, before anything leaves.
/// `Debug` shows neither query values nor headers nor body.
#[derive(Clone)]
pub struct Request {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    pub(crate) bucket: &'static str,
    pub(crate) cost: u32,
    pub(crate) limits: Limits,
    pub(crate) repeatable: bool,
    pub(crate) secrets: Vec<SecretString>,
    problem: Option<String>,
}

impl Request {
    /// A call of `operation` (`slack.conversations.history`) at `path`: below the base URL, already percent-encoded
    /// (see [`segment`](crate::segment)), with or without a query.
    pub fn new(method: Method, operation: &'static str, path: impl Into<String>) -> Self {
        let repeatable = method.is_idempotent();
        Self {
            operation,
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
            body: Bytes::new(),
            bucket: "requests",
            cost: 1,
            limits: Limits { timeout: Duration::from_secs(30), max_body: 32 << 20 },
            repeatable,
            secrets: Vec::new(),
            problem: None,
        }
    }

    /// A GET.
    pub fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::GET, operation, path)
    }

    /// A POST; not [`repeatable`](Self::repeatable) until said so.
    pub fn post(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::POST, operation, path)
    }

    /// A PUT.
    pub fn put(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::PUT, operation, path)
    }

    /// A PATCH; not [`repeatable`](Self::repeatable) until said so.
    pub fn patch(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, operation, path)
    }

    /// A DELETE.
    pub fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, operation, path)
    }

    /// Adds a query parameter, encoded for you; the same name may come more than once.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets a header, in place of an earlier one of that name.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        match (HeaderName::try_from(name), HeaderValue::from_str(value.as_ref())) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.problem = Some(format!("the header {name:?} cannot be sent: it holds a character that no header may carry")),
        }
        self
    }

    /// Sets the body to form fields.
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into();
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self
    }

    /// Sets the body to JSON.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body = body.into(),
            // serde's words may repeat the data
            Err(_) => self.problem = Some("the body cannot be written as JSON".into()),
        }
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Sets the body to bytes of another type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Names the quota it draws from; default `requests`.
    #[must_use]
    pub fn bucket(mut self, bucket: &'static str) -> Self {
        self.bucket = bucket;
        self
    }

    /// Sets what it costs there; default 1.
    #[must_use]
    pub fn cost(mut self, units: u32) -> Self {
        self.cost = units;
        self
    }

    /// Sets how long one attempt may take; default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Sets how large the answer's body may be; default 32 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.limits.max_body = bytes;
        self
    }

    /// Says whether it may simply be sent again when its answer is lost. By default that is so for GET, PUT and DELETE, not for POST and
    /// PATCH: a POST that only reads or always sets the same is repeatable, a PUT that adds is not.
    #[must_use]
    pub fn repeatable(mut self, yes: bool) -> Self {
        self.repeatable = yes;
        self
    }

    /// Names a credential that travels in this request beside the connection's own token, so that no error repeats it either.
    #[must_use]
    pub fn secret(mut self, secret: &SecretString) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// The operation it was named.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The request as it is sent, less the credential.
    pub(crate) fn build(&self, base: &Url, user_agent: &HeaderValue) -> Result<http::Request<Bytes>> {
        if let Some(problem) = &self.problem {
            return Err(Error::config(self.operation, problem.clone()));
        }
        let url = self.url(base)?;
        let mut request = http::Request::new(self.body.clone());
        *request.uri_mut() =
            http::Uri::try_from(url.as_str()).map_err(|_| Error::config(self.operation, "the path or query cannot be sent as a URL"))?;
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().entry(http::header::USER_AGENT).or_insert_with(|| user_agent.clone());
        Ok(request)
    }

    pub(crate) fn url(&self, base: &Url) -> Result<Url> {
        let path = self.path.trim_start_matches('/');
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        // an id of somebody else's may stand in a segment: it must not climb out of the base path
        let climbs = path.split(['/', '\\']).any(|part| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."));
        if climbs || path.contains(['#', '\\']) || query.is_some_and(|query| query.contains('#')) {
            return Err(Error::config(self.operation, "the path holds a part that is not percent-encoded or leads elsewhere"));
        }
        let mut url = base.clone();
        let joined = match (base.path().trim_end_matches('/'), path) {
            (before, "") => before.to_owned(),
            (before, path) => format!("{before}/{path}"),
        };
        url.set_path(&joined);
        url.set_query(query);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("path", &self.path.split_once('?').map_or(&*self.path, |(path, _)| path))
            .field("query", &self.query.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("bucket", &self.bucket)
            .field("cost", &self.cost)
            .field("limits", &self.limits)
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

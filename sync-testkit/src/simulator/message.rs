//! What a simulator sees and answers.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, header::AUTHORIZATION, request::Parts};
use serde_json::Value;
use url::form_urlencoded;

/// What a simulator sees of a call.
#[derive(Clone, Debug)]
pub struct SimRequest {
    /// GET, POST, …
    pub method: Method,
    /// The path as it was sent: still percent-encoded, without the query.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The simulation's time.
    pub now: DateTime<Utc>,
}

impl SimRequest {
    pub(crate) fn new(head: Parts, body: Bytes, now: DateTime<Utc>) -> Self {
        Self {
            path: head.uri.path().to_owned(),
            query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
            method: head.method,
            headers: head.headers,
            body,
            now,
        }
    }

    /// The first query parameter of that name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as form fields.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    /// The body as JSON, if it is.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The token of `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// A parameter from wherever it came: query, then form, then the top level of a JSON body (text as it is, the rest as JSON).
    #[must_use]
    pub fn param(&self, name: &str) -> Option<String> {
        if let Some(value) = self.query(name) {
            return Some(value.to_owned());
        }
        if let Some(body) = self.json() {
            return match body.get(name)? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
        }
        self.form().into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// What a simulator answers.
#[derive(Clone, Debug)]
pub struct SimAnswer {
    /// The status.
    pub status: u16,
    /// The headers; the length is set by who sends it.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl SimAnswer {
    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    /// A page for people.
    #[must_use]
    pub fn html(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/html; charset=utf-8", text.into())
    }

    /// A body of any type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, body: &'static str) -> SimRequest {
        let uri = format!("https://example.com/api/x%20y{query}");
        let (head, ()) = http::Request::builder().uri(uri).header("authorization", "bearer abc ").body(()).expect("a request").into_parts();
        SimRequest::new(head, Bytes::from_static(body.as_bytes()), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn parameters_are_found_wherever_they_came() {
        for (query, body, expected) in [
            ("?limit=2&limit=3", "limit=4", Some("2")),
            ("?other=2", "limit=4+%26", Some("4 &")),
            ("", r#"{"limit":5}"#, Some("5")),
            ("", r#"{"limit":"six"}"#, Some("six")),
            ("", r#"{"limit":["a"]}"#, Some(r#"["a"]"#)),
            ("", "", None),
        ] {
            assert_eq!(request(query, body).param("limit").as_deref(), expected, "{query} {body}");
        }
        let seen = request("", "");
        assert_eq!((seen.path.as_str(), seen.bearer()), ("/api/x%20y", Some("abc")));
    }
}

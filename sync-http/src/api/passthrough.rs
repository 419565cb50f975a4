//! Calls of the host's own: below the base URL alone, and without the token in what comes back.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use sync_core::{Error, PassthroughAnswer, PassthroughRequest, Result, SyncContext};
use url::Url;

use super::Api;
use crate::{Answer, Request, redact::Forms};

impl Api {
    /// Makes a call of the host's own, for a provider's [`Passthrough`](sync_core::Passthrough): with the connection's token, drawing one
    /// unit of `bucket`, under the same retry, limits and classifier as [`send`](Self::send).
    ///
    /// It is sent again only if it is [`repeatable`](PassthroughRequest::repeatable). Where the service repeats the token, in the body or
    /// in the content type, `[redacted]` stands in its place.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config), before anything is sent, for a path that is not relative, holds a query, a fragment or a
    /// dot segment in any encoding, or cannot be read; otherwise as [`send`](Self::send).
    ///
    /// # Cancellation
    /// As [`send`](Self::send).
    pub async fn passthrough(
        &self,
        cx: &SyncContext,
        operation: &'static str,
        bucket: &'static str,
        request: &PassthroughRequest,
    ) -> Result<PassthroughAnswer> {
        let wrong = |problem: &str| {
            let text = format!("the path of the call {problem}; a path is relative, below the provider's base URL, like \"items/1\"");
            Error::config(operation, text).at("provider", self.provider())
        };
        if let Some(problem) = astray(&request.path) {
            return Err(wrong(problem));
        }
        let method = match request.method {
            sync_core::Method::Get => Method::GET,
            sync_core::Method::Post => Method::POST,
            sync_core::Method::Put => Method::PUT,
            sync_core::Method::Patch => Method::PATCH,
            sync_core::Method::Delete => Method::DELETE,
        };
        let mut call = Request::new(method, operation, &*request.path)
            .bucket(bucket)
            .repeatable(request.repeatable)
            .header("accept", "application/json, */*;q=0.8");
        for (name, value) in &request.query {
            call = call.query(name, value);
        }
        if let Some((content_type, body)) = &request.body {
            call = call.body("application/octet-stream", body.clone()).header("content-type", content_type);
        }
        // The rules above keep it there; this asks the URL itself.
        if !is_below(&call.url(self.base_url())?, self.base_url()) {
            return Err(wrong("leads elsewhere"));
        }
        self.call(&Self::caller(cx), &call, |answer, secrets| Ok(clean(&answer, secrets))).await
    }
}

/// The answer without any secret of the call.
fn clean(answer: &Answer, secrets: &Forms) -> PassthroughAnswer {
    let content_type = answer.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let body = match secrets.scrub_bytes(&answer.body) {
        Cow::Borrowed(_) => answer.body.clone(),
        Cow::Owned(clean) => Bytes::from(clean),
    };
    PassthroughAnswer::new(answer.status.as_u16(), content_type.map(|text| secrets.scrub(&text).into()), body)
}

/// What is wrong with a path that may lead out of the base URL, in this client's reading or in that of a server or proxy behind it.
fn astray(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("begins with a slash");
    }
    if path.contains("//") || Url::parse(path).is_ok() {
        return Some("holds a scheme or an empty part");
    }
    if path.contains('?') {
        return Some("holds a query, which is given apart");
    }
    if path.contains('#') {
        return Some("holds a fragment");
    }
    if path.contains('\\') {
        return Some("holds a backslash");
    }
    if !well_encoded(path) {
        return Some("holds a % that is no percent-encoding");
    }
    // Decoded until nothing changes: a proxy decodes once, and the server behind it perhaps once more.
    let mut text = Cow::Borrowed(path);
    loop {
        if text.chars().any(char::is_control) {
            return Some("holds a control character");
        }
        // A server may part a segment's parameters from it before it looks for dots.
        let bare = |part: &str| matches!(part.split(';').next().unwrap_or_default().trim(), "." | "..");
        if text.split(['/', '\\']).any(bare) {
            return Some("holds a dot segment");
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == *text {
            return None;
        }
        text = Cow::Owned(decoded);
    }
}

fn well_encoded(path: &str) -> bool {
    path.split('%').skip(1).all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

fn is_below(url: &Url, base: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let rest = url.path().strip_prefix(base.path().trim_end_matches('/'));
    bare && url.origin() == base.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Url {
        Url::parse("https://api.example.com/v1/").expect("a URL")
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused_in_whatever_encoding() {
        for (path, problem) in [
            ("https://evil.example.com/v1/x", "scheme"),
            ("HTTPS:evil.example.com", "scheme"),
            ("javascript:alert(1)", "scheme"),
            ("user:pass@evil.example.com/x", "scheme"),
            ("//evil.example.com/x", "begins with a slash"),
            ("/items", "begins with a slash"),
            ("/\\evil.example.com", "begins with a slash"),
            ("items//1", "empty part"),
            ("items\\..\\x", "backslash"),
            ("..", "dot segment"),
            (".", "dot segment"),
            ("items/../../admin", "dot segment"),
            ("items/%2e%2E/x", "dot segment"),
            ("items/.%2e", "dot segment"),
            ("%2e%2e%2fadmin", "dot segment"),
            ("items/..%5cadmin", "dot segment"),
            ("items/%252e%252e/x", "dot segment"),
            ("items/%25252e%25252e/x", "dot segment"),
            ("items/..;v=1/x", "dot segment"),
            ("items/..%20/x", "dot segment"),
            ("items?x=1", "query"),
            ("items#x", "fragment"),
            (".\t./x", "control character"),
            ("items/%00", "control character"),
            ("items/%0d%0aHost:x", "control character"),
            ("items/100%", "percent-encoding"),
            ("items/%zz", "percent-encoding"),
            ("items/%2", "percent-encoding"),
        ] {
            assert!(astray(path).is_some_and(|found| found.contains(problem)), "{path:?}: {:?}", astray(path));
        }
    }

    #[test]
    fn paths_below_the_base_pass_as_they_are() {
        for (path, sent) in [
            ("items/1", "/v1/items/1"),
            ("", "/v1"),
            ("spreadsheets/1AbC:batchUpdate", "/v1/spreadsheets/1AbC:batchUpdate"),
            ("projects/group%2Fname/files/a%20b.txt", "/v1/projects/group%2Fname/files/a%20b.txt"),
            ("users/me@example.com/...", "/v1/users/me@example.com/..."),
            ("items/50%25", "/v1/items/50%25"),
            ("caf\u{e9}/x", "/v1/caf%C3%A9/x"),
            ("items/;a=1/.hidden/", "/v1/items/;a=1/.hidden/"),
        ] {
            assert_eq!(astray(path), None, "{path:?}");
            let url = Request::get("x", path).url(&base()).expect("a URL");
            assert!(is_below(&url, &base()) && url.path() == sent, "{url}");
        }
        for elsewhere in
            ["https://api.example.com/v10/x", "https://api.example.com/", "http://api.example.com/v1/x", "https://u@api.example.com/v1/x"]
        {
            assert!(!is_below(&Url::parse(elsewhere).expect("a URL"), &base()), "{elsewhere}");
        }
    }

    /// Where a server ends up that decodes everything it can, and takes each kind of slash for one.
    fn reached(path: &str) -> Vec<String> {
        let mut text = path.to_owned();
        loop {
            let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
            if decoded == text {
                break;
            }
            text = decoded;
        }
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(['/', '\\']) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part.to_owned()),
            }
        }
        parts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_passes_stays_below_the_base(pieces in prop::collection::vec(prop::sample::select(vec![
            "..", ".", "%2e", "%2E", "/", "/", "\\", "%2f", "%5C", "%25", "2e", "2f", "a", "b", "?", "#", "@", ":", "//", "\t", ";", "\u{e9}", "http:", "%",
            "evil.example.com",
        ]), 0..8)) {
            let path = pieces.concat();
            if let (None, Ok(url)) = (astray(&path), Request::get("x", &*path).url(&base())) {
                prop_assert!(is_below(&url, &base()), "{} became {}", path, url);
                prop_assert!(reached(url.path()).first().is_some_and(|first| first == "v1"), "{} became {}", path, url);
            }
        }
    }
}

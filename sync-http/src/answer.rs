//! What a service answered, and reading it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::error::Category;
use sync_core::{Error, ErrorKind, Result};

/// One whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; borrows from it.
    ///
    /// # Errors
    /// [`Decode`](ErrorKind::Decode) that says what came instead (an HTML page, nothing, a body cut short, another shape), never the body.
    pub fn json<'a, T: Deserialize<'a>>(&'a self, operation: &'static str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::new(ErrorKind::Decode, operation, self.instead(&error)))
    }

    /// Whether the answer is a page for people: a login form, a proxy's error, a maintenance notice.
    #[must_use]
    pub fn is_html(&self) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if declared.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html")) {
            return true;
        }
        let body = self.body.trim_ascii_start();
        ["<!doctype html", "<html"]
            .iter()
            .any(|start| body.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes())))
    }

    fn instead(&self, error: &serde_json::Error) -> String {
        let bytes = self.body.len();
        if self.body.trim_ascii().is_empty() {
            return "nothing came where JSON was expected".into();
        }
        if self.is_html() {
            return format!("an HTML page of {bytes} bytes came where JSON was expected");
        }
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => format!("a body cut after {bytes} bytes came where JSON was expected"),
            Category::Data => {
                format!("the answer has another shape than expected at line {line}, column {column}{}", shape(&error.to_string()))
            }
            Category::Syntax | Category::Io => format!("a body of {bytes} bytes came that is no JSON at line {line}, column {column}"),
        }
    }
}

/// The part of serde's message that stems from our own types and not from the body: the missing field, or what was expected.
fn shape(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    if message.starts_with("missing field `") || message.starts_with("duplicate field `") {
        return format!(": {message}");
    }
    let ours = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"];
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if ours.iter().any(|start| message.starts_with(start)) => format!(": expected {expected}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        _messages: Vec<&'a str>,
        _total: u64,
    }

    fn answer(body: &'static str, content_type: Option<&'static str>) -> Answer {
        let headers = content_type.map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).into_iter().collect();
        Answer { status: StatusCode::OK, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn an_unreadable_body_is_named_and_never_shown() {
        for (body, content_type, expected) in [
            ("", None, "nothing came"),
            (" \n", None, "nothing came"),
            ("<!DOCTYPE HTML><p>s3cret", None, "an HTML page of 24 bytes"),
            ("\n<html lang=en>s3cret", None, "an HTML page"),
            ("s3cret", Some("text/html; charset=utf-8"), "an HTML page"),
            (r#"{"_messages":["s3cret"#, None, "a body cut after 21 bytes"),
            ("s3cret", None, "a body of 6 bytes came that is no JSON"),
            (r#"{"_messages":[]}"#, None, "missing field `_total`"),
            (r#"{"_messages":[],"_total":"s3cret"}"#, None, "expected u64"),
            (r#"{"_messages":[],"_total":"s3cret, expected s3cret"}"#, None, "expected u64"),
            (r#"{"_messages":"s3cret","_total":1}"#, None, "expected a sequence"),
        ] {
            let answer = answer(body, content_type);
            let error = answer.json::<Page<'_>>("x.list").expect_err("not readable");
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(error.text().contains(expected), "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn words_of_a_type_of_ones_own_are_not_repeated() {
        #[derive(Debug)]
        struct Picky;
        impl<'de> Deserialize<'de> for Picky {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                let text = String::deserialize(source)?;
                Err(serde::de::Error::custom(format!("do not like {text}, expected {text}")))
            }
        }
        let error = answer(r#""s3cret""#, None).json::<Picky>("x.list").expect_err("not readable");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

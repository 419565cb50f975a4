//! Google's error bodies. Discovery documents leave them out; all of its services share them.

use serde_json::Value;

use crate::specs::{
    exchange::Reply,
    google::schema::shown,
    problem::{Kind, Problem},
};

/// The codes there are, each with its HTTP status.
const CODES: &[(&str, u64)] = &[
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("OUT_OF_RANGE", 400),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("NOT_FOUND", 404),
    ("ABORTED", 409),
    ("ALREADY_EXISTS", 409),
    ("RESOURCE_EXHAUSTED", 429),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INTERNAL", 500),
    ("DATA_LOSS", 500),
    ("UNIMPLEMENTED", 501),
    ("UNAVAILABLE", 503),
    ("DEADLINE_EXCEEDED", 504),
];

/// Checks the reply to a call that failed. A front end's page for people, as unknown paths and overload get, says nothing to check.
pub(super) fn check(reply: &Reply, found: &mut Vec<Problem>) {
    if reply.message.kind() == "text/html" {
        return;
    }
    let body = reply.message.body.as_ref().unwrap_or(&Value::Null);
    let Some(error) = body["error"].as_object() else {
        let text = format!("expected an object \"error\", found {}", shown(body));
        found.push(Problem::new(Kind::MissingField, "response.body.error", text));
        return;
    };
    let mut wrong = |kind, name: &str, text: String| found.push(Problem::new(kind, format!("response.body.error.{name}"), text));
    for (name, value) in error {
        match (name.as_str(), value) {
            ("code", value) if value.as_u64() == Some(reply.status) => {}
            ("code", value) => wrong(Kind::WrongValue, name, format!("found {}, the HTTP status is {}", shown(value), reply.status)),
            ("message", Value::String(_)) => {}
            ("status", Value::String(code)) => match CODES.iter().find(|(known, _)| known == code) {
                Some((_, status)) if *status == reply.status => {}
                Some((_, status)) => {
                    wrong(Kind::ErrorCode, name, format!("{code} comes with the HTTP status {status}, not {}", reply.status))
                }
                None => wrong(Kind::ErrorCode, name, format!("{code:?} is none of Google's codes")),
            },
            ("details", Value::Array(details)) if details.iter().all(|detail| detail["@type"].is_string()) => {}
            ("details", _) => wrong(Kind::WrongType, name, "expected a list of objects, each with an \"@type\"".to_owned()),
            // the older form, which Drive still gives
            ("errors", Value::Array(errors)) if errors.iter().all(|error| error["reason"].is_string() && error["message"].is_string()) => {}
            ("errors", _) => {
                wrong(Kind::WrongType, name, "expected a list of objects, each with a \"reason\" and a \"message\"".to_owned())
            }
            ("message" | "status", value) => wrong(Kind::WrongType, name, format!("expected string, found {}", shown(value))),
            (_, _) => wrong(Kind::UnknownField, name, "an error has code, message, status, details and errors".to_owned()),
        }
    }
    for name in ["code", "message"] {
        if !error.contains_key(name) {
            wrong(Kind::MissingField, name, "every error has one".to_owned());
        }
    }
    if !error.contains_key("status") && !error.contains_key("errors") {
        wrong(Kind::MissingField, "status", "an error says its code as \"status\", or its reason in \"errors\"".to_owned());
    }
}

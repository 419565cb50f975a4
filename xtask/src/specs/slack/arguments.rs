//! A call's arguments against the method reference.

use serde_json::{Map, Value};

use crate::specs::{
    exchange::{Exchange, pairs},
    google::shown,
    problem::{Kind, Problem},
};

/// Checks the arguments of a call, wherever they stand.
pub(super) fn check(known: &Map<String, Value>, exchange: &Exchange, found: &mut Vec<Problem>) {
    let mut given: Vec<(String, &str, Value)> = Vec::new();
    let texts = |place, list: Vec<(String, String)>| list.into_iter().map(move |(name, value)| (name, place, Value::from(value)));
    given.extend(texts("query", exchange.query.clone()));
    if let Some(body) = &exchange.request.body {
        let kind = exchange.request.kind();
        match (exchange.method.as_str(), kind.as_str(), body) {
            ("GET", ..) => found.push(Problem::new(Kind::Body, "request.body", "a GET has none")),
            (_, "application/x-www-form-urlencoded", body) => match pairs(body) {
                Some(list) => given.extend(texts("form", list)),
                None => found.push(Problem::new(Kind::Body, "request.body", "the form cannot be read")),
            },
            (_, "application/json", Value::Object(fields)) => {
                given.extend(fields.iter().map(|(name, value)| (name.clone(), "body", value.clone())));
            }
            (_, "application/json", body) => {
                found.push(Problem::new(Kind::Body, "request.body", format!("expected an object, found {}", shown(body))));
            }
            _ => found.push(Problem::new(Kind::Body, "request.body", format!("its type is {kind:?}; JSON and forms are understood"))),
        }
    }
    for (at, (name, place, value)) in given.iter().enumerate() {
        let place = format!("request.{place}.{name}");
        match known.get(name) {
            None => {
                let names: Vec<&str> = known.keys().map(String::as_str).collect();
                found.push(Problem::new(Kind::UnknownParameter, place, format!("the method takes {}", names.join(", "))));
            }
            Some(_) if given[..at].iter().any(|(before, ..)| before == name) => {
                found.push(Problem::new(Kind::WrongType, place, "given more than once, and takes one value"));
            }
            Some(argument) => {
                let types = types(argument);
                if !types.is_empty()
                    && !types.iter().any(|expected| fits(expected, argument["format"] == "json", value, !place.starts_with("request.body")))
                {
                    found.push(Problem::new(Kind::WrongType, place, format!("expected {}, found {}", types.join(" or "), shown(value))));
                }
            }
        }
    }
    for (name, argument) in known {
        if argument["required"] == true && !given.iter().any(|(given, ..)| given == name) {
            found.push(Problem::new(Kind::MissingParameter, format!("request.{name}"), "it is required"));
        }
    }
}

/// The types an argument takes; none where the reference does not say.
fn types(argument: &Value) -> Vec<&str> {
    match &argument["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a value is of a type. In queries and forms everything is text.
fn fits(expected: &str, holds_json: bool, value: &Value, as_text: bool) -> bool {
    let text = value.as_str();
    let read = || text.filter(|_| as_text).and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_else(|| value.clone());
    match expected {
        "boolean" => read().is_boolean() || as_text && matches!(text, Some("0" | "1")),
        "number" | "integer" => read().is_i64(),
        // "seconds.micros", or whole seconds; as a number the last digits get lost
        "timestamp" => text.is_some_and(|text| {
            let (seconds, micros) = text.split_once('.').unwrap_or((text, "000000"));
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits(seconds) && digits(micros) && micros.len() == 6
        }),
        "array" => read().is_array() || as_text && text.is_some_and(|text| !text.starts_with('{')),
        // in a JSON body it may stand as what it is
        _ if holds_json => match text {
            Some(text) => serde_json::from_str::<Value>(text).is_ok_and(|inside| inside.is_array() || inside.is_object()),
            None => value.is_array() || value.is_object(),
        },
        // ids of users, channels and files, and words of a list
        _ => text.is_some(),
    }
}

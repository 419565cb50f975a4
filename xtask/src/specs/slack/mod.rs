//! Slack's method reference, with its examples, samples of real replies and the old OpenAPI file.

mod arguments;
mod shape;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use self::shape::{Shape, Source};
use super::{
    Description,
    exchange::{Exchange, Reply},
    file,
    google::shown,
    problem::{Kind, Problem},
};
use crate::shell::Result;

const EXAMPLES: &str = "the reference's examples";
const SAMPLES: &str = "the sample";
const OPENAPI: &str = "the OpenAPI file";

/// The folder of the descriptions, and the OpenAPI file.
#[derive(Debug)]
pub(super) struct Slack {
    folder: PathBuf,
    openapi: Value,
}

impl Slack {
    /// Opens a folder of descriptions.
    ///
    /// # Errors
    /// The file that is missing or cannot be read.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let reference = folder.join("method-ref");
        if !reference.is_dir() {
            return Err(format!("{} is missing: a folder with the reference of each method as JSON", reference.display()));
        }
        Ok(Self { folder: folder.to_owned(), openapi: file(&folder.join("slack_web_openapi_v2.subset.json"))? })
    }

    fn method(&self, name: &str) -> std::result::Result<Method, String> {
        let known = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        let path = self.folder.join("method-ref").join(format!("{name}.json"));
        if !known || !path.is_file() {
            return Err(format!("the reference has no method {name:?} ({} is missing)", path.display()));
        }
        let reference = file(&path)?;
        let (mut refused, mut sample) = (Shape::default(), Shape::default());
        let mut examples = Vec::new();
        for text in reference["response"]["examples"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // some pages show an excerpt that is no JSON
            let Ok(example) = serde_json::from_str::<Value>(text) else { continue };
            if example["ok"] == true {
                examples.push(example);
            } else {
                refused.learn(&example);
            }
        }
        let path = self.folder.join("samples/api").join(format!("{name}.json"));
        if path.is_file() {
            sample.learn(&file(&path)?);
        }
        let mut errors: BTreeSet<String> = reference["errors"].as_object().into_iter().flatten().map(|(code, _)| code.clone()).collect();
        let (mut openapi, mut openapi_refused) = (Shape::default(), Shape::default());
        let empty = Map::new();
        let definitions = self.openapi["definitions"].as_object().unwrap_or(&empty);
        for verb in self.openapi["paths"][format!("/{name}")].as_object().into_iter().flatten().map(|(_, verb)| verb) {
            let (good, bad) = (&verb["responses"]["200"]["schema"], &verb["responses"]["default"]["schema"]);
            openapi.learn_schema(good, definitions);
            openapi_refused.learn_schema(bad, definitions);
            let listed = bad["properties"]["error"]["enum"].as_array().into_iter().flatten();
            errors.extend(listed.filter_map(Value::as_str).map(str::to_owned));
        }
        Ok(Method { reference, errors, examples, refused, sample, openapi, openapi_refused })
    }
}

/// What is known of a method.
#[derive(Debug)]
struct Method {
    reference: Value,
    /// The codes of its refusals: the reference leaves out some that every method has, the OpenAPI file those that came later.
    errors: BTreeSet<String>,
    /// Of good replies.
    examples: Vec<Value>,
    refused: Shape,
    /// A reply with every field that was ever seen, those of refusals too.
    sample: Shape,
    openapi: Shape,
    openapi_refused: Shape,
}

impl Method {
    fn reply(&self, reply: &Reply, found: &mut Vec<Problem>) {
        let kind = reply.message.kind();
        let body = match &reply.message.body {
            Some(Value::Object(body)) if kind == "application/json" => body,
            // a page of a proxy or of Slack's status, without a word about the call
            _ if reply.status >= 500 => return,
            body => {
                let body = body.as_ref().unwrap_or(&Value::Null);
                found.push(Problem::new(
                    Kind::Body,
                    "response.body",
                    format!("expected an object of JSON, found {kind:?} {}", shown(body)),
                ));
                return;
            }
        };
        if !matches!(reply.status, 200 | 429 | 500..) {
            found.push(Problem::new(
                Kind::WrongValue,
                "response.status",
                format!("{} is none of Slack's: 200, 429 and from 500 on", reply.status),
            ));
        }
        let value = Value::Object(body.clone());
        match &body.get("ok") {
            Some(Value::Bool(true)) => self.good(&value, body, found),
            Some(Value::Bool(false)) => self.refusal(&value, body, found),
            other => {
                let text = format!("expected true or false, found {}", shown(other.unwrap_or(&Value::Null)));
                found.push(Problem::new(Kind::MissingField, "response.body.ok", text));
            }
        }
    }

    fn good(&self, value: &Value, body: &Map<String, Value>, found: &mut Vec<Problem>) {
        let mut examples = Shape::default();
        self.examples.iter().for_each(|example| examples.learn(example));
        let sources: [Source<'_>; 3] = [(EXAMPLES, &examples), (SAMPLES, &self.sample), (OPENAPI, &self.openapi)];
        shape::check(value, &sources, "response.body", found);
        // what every example has, every reply has
        let Some((first, others)) = self.examples.split_first() else { return };
        for name in first.as_object().into_iter().flat_map(Map::keys) {
            if others.iter().all(|other| other.get(name).is_some()) && !body.contains_key(name) {
                found.push(Problem::new(Kind::MissingField, format!("response.body.{name}"), format!("{EXAMPLES} all have it")));
            }
        }
    }

    fn refusal(&self, value: &Value, body: &Map<String, Value>, found: &mut Vec<Problem>) {
        let Some(code) = body.get("error").and_then(Value::as_str) else {
            found.push(Problem::new(Kind::MissingField, "response.body.error", "a refusal says why, in one word"));
            return;
        };
        if !self.errors.contains(code) {
            found.push(Problem::new(
                Kind::ErrorCode,
                format!("response.body.error {code}"),
                "neither the method's reference nor the OpenAPI file lists it",
            ));
        }
        let sources: [Source<'_>; 3] = [(EXAMPLES, &self.refused), (SAMPLES, &self.sample), (OPENAPI, &self.openapi_refused)];
        shape::check(value, &sources, "response.body", found);
    }
}

impl Description for Slack {
    fn check(&self, exchange: &Exchange) -> (String, Vec<Problem>) {
        let mut found = Vec::new();
        let name = exchange.path.strip_prefix("/api/").unwrap_or_default();
        if exchange.host.as_deref().is_some_and(|host| host != "slack.com") {
            found.push(Problem::new(
                Kind::Call,
                "request.host",
                format!("found {:?}, expected slack.com", exchange.host.as_deref().unwrap_or_default()),
            ));
        }
        if !matches!(exchange.method.as_str(), "GET" | "POST") {
            found.push(Problem::new(Kind::Call, "request.method", format!("{} is not understood, GET and POST are", exchange.method)));
        }
        match self.method(name) {
            Ok(method) => {
                let empty = Map::new();
                arguments::check(method.reference["args"].as_object().unwrap_or(&empty), exchange, &mut found);
                if let Some(reply) = &exchange.reply {
                    method.reply(reply, &mut found);
                }
                (name.to_owned(), found)
            }
            Err(why) => {
                found.push(Problem::new(Kind::Call, format!("request.path {} {}", exchange.method, exchange.path), why));
                (exchange.operation.clone().unwrap_or_else(|| exchange.path.clone()), found)
            }
        }
    }
}

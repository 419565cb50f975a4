//! Recorded exchanges, as `sync_testkit::Recorder` writes them: one JSON object a line.

use std::{fs, path::Path};

use serde_json::Value;

use crate::shell::Result;

/// A request and, where one came, its reply.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The client's name of it.
    pub(crate) operation: Option<String>,
    pub(crate) method: String,
    pub(crate) host: Option<String>,
    /// As it was sent, percent-encoded.
    pub(crate) path: String,
    /// Decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) request: Message,
    pub(crate) reply: Option<Reply>,
}

/// A reply's status and body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u64,
    pub(crate) message: Message,
}

/// A body and what it says it is.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    content_type: Option<String>,
    /// JSON as JSON, a form as pairs, anything else as text.
    pub(crate) body: Option<Value>,
}

impl Message {
    fn of(value: &Value) -> Self {
        let body = Some(&value["body"]).filter(|body| !body.is_null()).cloned();
        Self { content_type: value["type"].as_str().map(str::to_owned), body }
    }

    /// The content type without its parameters, in lower case; empty without one.
    pub(crate) fn kind(&self) -> String {
        let whole = self.content_type.as_deref().unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

impl Exchange {
    /// One line of a recording.
    ///
    /// # Errors
    /// What it lacks.
    pub(crate) fn of(value: &Value) -> Result<Self> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let needed =
            |name: &str| text(name).ok_or_else(|| format!("an exchange has a text {name:?}; `sync_testkit::Recorder` writes them"));
        let reply = &value["response"];
        let reply = if reply.is_null() {
            None
        } else {
            let status = reply["status"].as_u64().ok_or("a response has a number \"status\"")?;
            Some(Reply { status, message: Message::of(reply) })
        };
        Ok(Self {
            operation: text("operation"),
            method: needed("method")?,
            host: text("host"),
            path: needed("path")?,
            query: pairs(&value["query"]).ok_or("a query is a list of pairs of texts")?,
            request: Message::of(&value["request"]),
            reply,
        })
    }
}

/// A list of pairs of texts.
pub(crate) fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |pair: &Value| match &pair.as_array()?[..] {
        [name, value] => Some((name.as_str()?.to_owned(), value.as_str()?.to_owned())),
        _ => None,
    };
    value.as_array()?.iter().map(pair).collect()
}

/// The lines of a file as JSON.
///
/// # Errors
/// The file and line that is none.
pub(crate) fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let line = |(at, line): (usize, &str)| serde_json::from_str(line).map_err(|why| format!("{}:{}: {why}", path.display(), at + 1));
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// The exchanges of a file.
///
/// # Errors
/// The file and line that holds none.
pub(crate) fn read(path: &Path) -> Result<Vec<Exchange>> {
    let exchange =
        |(at, line): (usize, &Value)| Exchange::of(line).map_err(|why| format!("{}: exchange {}: {why}", path.display(), at + 1));
    lines(path)?.iter().enumerate().map(exchange).collect()
}

//! What went over a transport, kept to be held against a service's description.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use secrecy::SecretString;
use serde_json::{Value, json};
use sync_http::{HttpTransport, Limits, TransportError, scrub};

use crate::{SimRequest, Simulation, Simulator};

/// Parameters and fields that hold credentials, whatever their values are.
const CREDENTIALS: &[&str] = &[
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "oauth_token",
    "key",
    "client_secret",
    "code",
    "code_verifier",
    "assertion",
    "password",
];

const TAKEN_OUT: &str = "[redacted]";

/// Tells a request's operation.
type Naming = Arc<dyn Fn(&SimRequest) -> Option<&'static str> + Send + Sync>;

/// A transport that keeps every exchange that goes through it. Clones keep into the same recording.
///
/// An exchange is one line of JSON: `operation` (null when nobody names it), `method`, `host`, `path` as it was sent, `query` as pairs,
/// `request` with `type` and `body`, and `response` with `status`, `type` and `body`, null when no answer came. A body of JSON stands
/// there as JSON, a form as pairs, anything else as text, none as null.
///
/// Credentials are left out: no header but the content type is kept, the token of `Authorization` is taken out of everything else, and
/// so are the values of parameters and fields that hold credentials by their names (`token`, `refresh_token`, …).
///
/// ```
/// # use {std::sync::Arc, sync_http::HttpTransport, sync_testkit::{Recorder, Simulation, Simulator}};
/// fn recorded(simulation: &Simulation<impl Simulator>) -> (Recorder, Arc<dyn HttpTransport>) {
///     let recorder = Recorder::of(simulation);
///     (recorder.clone(), recorder.transport())
/// }
/// ```
#[derive(Clone)]
pub struct Recorder {
    transport: Arc<dyn HttpTransport>,
    name: Naming,
    exchanges: Arc<Mutex<Vec<Value>>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Recorder {
    /// The environment variable that names the folder for [`save`](Self::save).
    pub const FOLDER: &str = "SYNCLINE_RECORDINGS";

    /// Records what goes over `transport`, without names of operations.
    #[must_use]
    pub fn new(transport: Arc<dyn HttpTransport>) -> Self {
        Self { transport, name: Arc::new(|_| None), exchanges: Arc::default() }
    }

    /// Records what goes to a simulated service, which names the operations.
    #[must_use]
    pub fn of<S: Simulator>(simulation: &Simulation<S>) -> Self {
        let named = simulation.clone();
        Self { name: Arc::new(move |request| Some(named.sim().operation(request))), ..Self::new(simulation.transport()) }
    }

    /// This recorder for a provider.
    #[must_use]
    pub fn transport(&self) -> Arc<dyn HttpTransport> {
        Arc::new(self.clone())
    }

    /// The exchanges so far, in the order of their ends.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Value> {
        self.kept().clone()
    }

    /// Writes the exchanges as lines to `<name>.jsonl` in the folder that [`FOLDER`](Self::FOLDER) names, which is made where it is
    /// missing. Without that variable nothing is written and there is no path.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save(&self, name: &str) -> io::Result<Option<PathBuf>> {
        let Some(folder) = env::var_os(Self::FOLDER).filter(|folder| !folder.is_empty()) else { return Ok(None) };
        self.save_to(Path::new(&folder), name).map(Some)
    }

    /// Writes the exchanges as lines to `<name>.jsonl` in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn save_to(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.jsonl"));
        let lines: String = self.kept().iter().map(|exchange| format!("{exchange}\n")).collect();
        fs::write(&path, lines)?;
        Ok(path)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Value>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HttpTransport for Recorder {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, TransportError> {
        let (head, body) = request.clone().into_parts();
        let host = head.uri.host().map(str::to_owned);
        let seen = SimRequest::new(head, body, Utc::now());
        let answer = self.transport.send(request, limits).await;
        let response = answer.as_ref().ok().map(|answer| {
            json!({"status": answer.status().as_u16(), "type": content_type(answer.headers()), "body": body_of(answer.headers(), answer.body())})
        });
        let mut exchange = json!({
            "operation": (self.name)(&seen), "method": seen.method.as_str(), "host": host, "path": seen.path, "query": pairs(&seen.query),
            "request": {"type": content_type(&seen.headers), "body": body_of(&seen.headers, &seen.body)}, "response": response,
        });
        let token = seen.bearer().map(SecretString::from);
        clean(&mut exchange, token.as_ref());
        self.kept().push(exchange);
        answer
    }
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Pairs as pairs, so that order and repetition stay.
fn pairs(pairs: &[(String, String)]) -> Value {
    let shown = |name: &str, value| if CREDENTIALS.contains(&name) { json!(TAKEN_OUT) } else { json!(value) };
    pairs.iter().map(|(name, value)| json!([name, shown(name, value)])).collect()
}

fn body_of(headers: &HeaderMap, body: &Bytes) -> Value {
    let kind = content_type(headers).unwrap_or_default();
    let text = || Value::from(String::from_utf8_lossy(body));
    match kind.split(';').next().map(str::trim) {
        _ if body.is_empty() => Value::Null,
        Some("application/json") => serde_json::from_slice(body).unwrap_or_else(|_| text()),
        Some("application/x-www-form-urlencoded") => {
            let fields: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
            pairs(&fields)
        }
        _ => text(),
    }
}

/// Takes credentials out: fields by their names, and the token in every text.
fn clean(value: &mut Value, token: Option<&SecretString>) {
    match value {
        Value::String(text) => {
            if let Some(token) = token {
                *text = scrub(text, &[token]);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| clean(item, token)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if CREDENTIALS.contains(&name.as_str()) && value.is_string() {
                    *value = TAKEN_OUT.into();
                }
                clean(value, token);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Canary, Fault, SimAnswer};

    /// Answers with what it was sent.
    #[derive(Debug)]
    struct Echo;

    impl Simulator for Echo {
        fn operation(&self, _: &SimRequest) -> &'static str {
            "echo.say"
        }

        fn answer(&self, request: &SimRequest) -> SimAnswer {
            SimAnswer::json(200, json!({"sent": String::from_utf8_lossy(&request.body), "access_token": request.bearer()}))
        }
    }

    async fn send(recorder: &Recorder, kind: &str, token: &str, uri: &str, body: String) -> Result<Response<Bytes>, TransportError> {
        let request = Request::post(uri).header("authorization", format!("Bearer {token}")).header("content-type", kind);
        let limits = Limits { timeout: Duration::from_secs(9), max_body: 1 << 20 };
        recorder.transport().send(request.body(body.into()).expect("a request"), limits).await
    }

    #[tokio::test]
    async fn an_exchange_is_kept_whole_and_the_caller_gets_the_answer_as_it_came() {
        let simulation = Simulation::new(Echo);
        let recorder = Recorder::of(&simulation);
        let uri = "https://echo.example/say/a%20b?to=you&to=all";
        let answer = send(&recorder, "application/json", "test-token", uri, r#"{"n":1}"#.to_owned()).await.expect("an answer");
        let expected = json!({"sent": r#"{"n":1}"#, "access_token": "test-token"});
        assert_eq!(serde_json::from_slice::<Value>(answer.body()).expect("JSON"), expected);
        simulation.faults().push("echo.say", Fault::LostAnswer);
        send(&recorder, "application/x-www-form-urlencoded", "test-token", uri, "a=1+2&a=3".to_owned()).await.expect_err("no answer");
        let first = json!({
            "operation": "echo.say", "method": "POST", "host": "echo.example", "path": "/say/a%20b", "query": [["to", "you"], ["to", "all"]],
            "request": {"type": "application/json", "body": {"n": 1}},
            "response": {
                "status": 200, "type": "application/json; charset=utf-8", "body": {"sent": r#"{"n":1}"#, "access_token": "[redacted]"},
            },
        });
        let mut second = first.clone();
        second["request"] = json!({"type": "application/x-www-form-urlencoded", "body": [["a", "1 2"], ["a", "3"]]});
        second["response"] = Value::Null;
        assert_eq!(recorder.exchanges(), [first, second]);
    }

    #[tokio::test]
    async fn no_credential_is_kept_wherever_it_stood() {
        let (canary, key) = (Canary::new(5), Canary::new(6));
        let recorder = Recorder::of(&Simulation::new(Echo));
        let (secret, other) = (canary.secret(), key.secret());
        for (kind, body) in [
            (
                "application/json",
                json!({"refresh_token": other, "deep": [{"client_secret": other, "text": format!("is {secret}")}]}).to_string(),
            ),
            ("application/x-www-form-urlencoded", format!("token={other}&text={secret}")),
            ("text/plain", format!("a text with {secret}")),
        ] {
            let uri = format!("https://echo.example/{secret}?key={other}&q={secret}");
            // what the echo repeats of keys in the body is no field of a credential's name, so only the request is looked at for it
            send(&recorder, kind, secret, &uri, body).await.expect("an answer");
        }
        let folder = env::temp_dir().join(format!("recorder-{}", std::process::id()));
        let path = recorder.save_to(&folder, "echo").expect("it is written");
        let text = fs::read_to_string(&path).expect("it is there");
        fs::remove_dir_all(&folder).expect("it is removed");
        assert_eq!(text.lines().count(), 3);
        canary.assert_absent("the recording", &text);
        for exchange in recorder.exchanges() {
            key.assert_absent("a recorded request", &exchange["request"].to_string());
            key.assert_absent("a recorded query", &exchange["query"].to_string());
        }
    }
}

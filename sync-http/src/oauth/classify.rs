//! From a refusal of the token endpoint to an error: who has to do something about it, the user, the host or nobody.

use serde_json::{Map, Value};
use sync_core::{Delivery, Error, ErrorKind, Result, Retry};

use crate::{Answer, StatusCode, classify_status, hint::retry_after, status::one_line};

/// The service's own words are cut here.
const LONGEST_WORDS: usize = 300;

/// What an answer of a token endpoint means (RFC 6749, section 5.2), whatever its status: some services refuse with 200. A provider's own
/// classifier ends with it.
///
/// | answer | kind | again |
/// |---|---|---|
/// | `invalid_grant` | `AuthRevoked`: the user has to connect again | no |
/// | `invalid_grant` for what an assertion says (`Invalid JWT: …`) | `Config`: this machine's clock, or the endpoint's address | no |
/// | `invalid_client`, `unauthorized_client`, `redirect_uri_mismatch`, `invalid_scope`, `invalid_request`, `unsupported_grant_type`, 401 | `Config`: the client is wrong, not the user | no |
/// | `access_denied`, 403 | `Forbidden` | no |
/// | 409 | `Conflict`: another renewal is under way | yes |
/// | 429, `slow_down` | `RateLimited` | yes, after `Retry-After` |
/// | 408, 5xx, `temporarily_unavailable`, `server_error` | `Transport` | yes |
/// | 400, 401 and other 4xx without JSON | `Decode`: it came from something else | no |
/// | another `error` | `Invalid` | no |
///
/// # Errors
/// As the table says.
pub fn classify_oauth(operation: &'static str, answer: &Answer) -> Result<()> {
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let refusal = fields.as_ref().and_then(Refusal::of);
    let words = refusal.as_ref().map(Refusal::words);
    let again = Retry::After(retry_after(&answer.headers));
    match answer.status {
        StatusCode::CONFLICT => return classify_status(operation, answer, words.as_deref()).map_err(|error| error.with_retry(again)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => return classify_status(operation, answer, words.as_deref()),
        status if status.is_server_error() => return classify_status(operation, answer, words.as_deref()),
        _ => {}
    }
    let Some(refusal) = refusal else { return without_reason(operation, answer, fields.is_some()) };
    let (kind, retry, delivery) = match meaning(&refusal) {
        Some(ErrorKind::Transport) => (ErrorKind::Transport, again, Delivery::Unknown),
        Some(ErrorKind::RateLimited) => (ErrorKind::RateLimited, again, Delivery::Answered),
        Some(kind) => (kind, Retry::Never, Delivery::Answered),
        None if answer.status == StatusCode::UNAUTHORIZED => (ErrorKind::Config, Retry::Never, Delivery::Answered),
        None if answer.status == StatusCode::FORBIDDEN => (ErrorKind::Forbidden, Retry::Never, Delivery::Answered),
        None => (ErrorKind::Invalid, Retry::Never, Delivery::Answered),
    };
    Err(Error::new(kind, operation, format!("the token endpoint answered {}{}", refusal.words(), told(&refusal, kind)))
        .with_retry(retry)
        .with_delivery(delivery)
        .at("status", answer.status.as_u16().to_string()))
}

/// As [`classify_oauth`], but a token that is gone already is what was asked for.
pub(super) fn revocation(operation: &'static str, answer: &Answer) -> Result<()> {
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let code = fields.as_ref().and_then(Refusal::of).map(|refusal| refusal.code);
    if !answer.status.is_server_error() && code.as_deref() == Some("invalid_token") {
        return Ok(());
    }
    classify_oauth(operation, answer)
}

/// A status with nothing to read beside it.
fn without_reason(operation: &'static str, answer: &Answer, is_json: bool) -> Result<()> {
    let status = answer.status;
    if status == StatusCode::UNAUTHORIZED && is_json {
        let text = format!("the token endpoint answered {status}{}", advice(ErrorKind::Config));
        return Err(Error::new(ErrorKind::Config, operation, text));
    }
    if status.is_client_error() && !is_json && status != StatusCode::FORBIDDEN {
        // A page of a proxy must not look like a refusal of the user's.
        let what = if answer.is_html() { "an HTML page" } else { "no JSON" };
        let text = format!("the token endpoint answered {status} with {what}; check its address and what stands before it");
        return Err(Error::new(ErrorKind::Decode, operation, text));
    }
    classify_status(operation, answer, None)
}

fn meaning(refusal: &Refusal) -> Option<ErrorKind> {
    Some(match &*refusal.code {
        // The key is good, or the signature would be what is told; so nobody has to connect anything again.
        "invalid_grant" if refusal.assertion().is_some_and(|problem| problem.starts_with(':')) => ErrorKind::Config,
        "invalid_grant" => ErrorKind::AuthRevoked,
        "invalid_client"
        | "unauthorized_client"
        | "redirect_uri_mismatch"
        | "invalid_redirect_uri"
        | "invalid_scope"
        | "invalid_request"
        | "unsupported_grant_type"
        | "org_internal"
        | "deleted_client"
        | "disabled_client" => ErrorKind::Config,
        "access_denied" => ErrorKind::Forbidden,
        "slow_down" => ErrorKind::RateLimited,
        "temporarily_unavailable" | "server_error" | "internal_failure" => ErrorKind::Transport,
        _ => return None,
    })
}

/// What is to be done about a refusal.
fn told(refusal: &Refusal, kind: ErrorKind) -> &'static str {
    match refusal.assertion() {
        Some(problem) if problem.starts_with(" Signature") => {
            "; the service account's key was deleted or is another account's: make a new key file and connect again"
        }
        Some(problem) if problem.contains("timeframe") => "; this machine's clock is wrong: set it, the key file is good",
        Some(problem) if problem.contains("audience") => "; this is not the address of the token endpoint that the service knows itself by",
        Some(_) => "; the key file was changed: download it again",
        None => advice(kind),
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AuthRevoked => "; the grant is gone, connect again",
        ErrorKind::Config => "; check the registered OAuth client: its id, secret, redirect URI and permissions",
        _ => "",
    }
}

/// What a refusal says.
struct Refusal {
    code: String,
    description: Option<String>,
}

impl Refusal {
    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let plain = |text: &str, longest: usize| -> String {
            one_line(text).chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(longest).collect()
        };
        let (code, inner) = match fields.get("error") {
            Some(Value::String(code)) => (plain(code, 64), None),
            Some(Value::Number(code)) => (code.to_string(), None),
            // as Google's and Facebook's APIs refuse, away from the token endpoint
            Some(Value::Object(error)) => {
                let code = ["status", "type", "code"].iter().find_map(|name| error.get(*name)?.as_str());
                (plain(code.unwrap_or("an error"), 64), error.get("message").and_then(Value::as_str))
            }
            Some(Value::Bool(true)) => ("an error".to_owned(), None),
            _ if fields.get("ok") == Some(&Value::Bool(false)) => ("no reason".to_owned(), None),
            _ => return None,
        };
        let description = fields.get("error_description").or_else(|| fields.get("message")).and_then(Value::as_str).or(inner);
        Some(Self { code, description: description.map(|text| plain(text, LONGEST_WORDS)).filter(|text| !text.is_empty()) })
    }

    /// What is wrong with the signed assertion that was sent, in Google's words, from behind the first two on.
    fn assertion(&self) -> Option<&str> {
        self.description.as_deref().filter(|_| self.code == "invalid_grant")?.strip_prefix("Invalid JWT")
    }

    fn words(&self) -> String {
        match &self.description {
            Some(description) => format!("{}: {description}", self.code),
            None => self.code.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("9"))]);
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn refusals_say_whether_the_user_the_client_or_nobody_has_to_act() {
        use ErrorKind::{AuthRevoked, Config, Conflict, Decode, Forbidden, Invalid, RateLimited, Transport};
        let again = Retry::After(Some(Duration::from_secs(9)));
        let never = Retry::Never;
        for (status, body, kind, retry) in [
            (400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#, AuthRevoked, never),
            (400, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, AuthRevoked, never),
            (200, r#"{"error":"invalid_grant"}"#, AuthRevoked, never),
            (400, r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#, AuthRevoked, never),
            (400, r#"{"error":"invalid_grant","error_description":"Invalid JWT: Failed audience check."}"#, Config, never),
            (400, r#"{"error":"invalid_grant","error_description":"Invalid grant: account not found"}"#, AuthRevoked, never),
            (401, r#"{"error":"invalid_grant"}"#, AuthRevoked, never),
            (400, r#"{"error":"invalid_client"}"#, Config, never),
            (401, r#"{"error":"invalid_client","error_description":"The OAuth client was not found."}"#, Config, never),
            (401, r#"{"error":"unauthorized_client"}"#, Config, never),
            (400, r#"{"error":"redirect_uri_mismatch"}"#, Config, never),
            (400, r#"{"error":"unsupported_grant_type"}"#, Config, never),
            (400, r#"{"error":"invalid_scope"}"#, Config, never),
            (401, r#"{"message":"Unauthorized","error":401}"#, Config, never),
            (401, r#"{}"#, Config, never),
            (401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"no"}}"#, Config, never),
            (403, r#"{"error":"access_denied"}"#, Forbidden, never),
            (403, r#"{"error":"something"}"#, Forbidden, never),
            (403, "<html>", Forbidden, never),
            (409, r#"{"error":"invalid_grant"}"#, Conflict, again),
            (429, r#"{"error":"invalid_grant"}"#, RateLimited, again),
            (429, "", RateLimited, again),
            (400, r#"{"error":"slow_down"}"#, RateLimited, again),
            (408, "", Transport, again),
            (500, r#"{"error":"invalid_grant"}"#, Transport, again),
            (502, "<html>", Transport, again),
            (400, r#"{"error":"temporarily_unavailable"}"#, Transport, again),
            (200, r#"{"error":"invalid_token"}"#, Invalid, never),
            (200, r#"{"ok":false}"#, Invalid, never),
            (400, r#"{"error":"tomorrow"}"#, Invalid, never),
            (400, "<!doctype html>", Decode, never),
            (401, "", Decode, never),
            (302, "", Transport, never),
        ] {
            let error = classify_oauth("oauth.renew", &answer(status, body)).expect_err(body);
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}: {error}");
            let unknown = kind == Transport && status != 302;
            assert_eq!(error.delivery() == Delivery::Unknown, unknown, "{status} {body}");
        }
        for body in [r#"{"access_token":"a"}"#, r#"{"error":null}"#, r#"{"ok":true}"#, "<html>", ""] {
            classify_oauth("oauth.renew", &answer(200, body)).expect("for who reads it");
        }
    }

    #[test]
    fn a_refused_client_is_told_from_a_refused_user() {
        let client = classify_oauth("oauth.renew", &answer(401, r#"{"error":"invalid_client"}"#)).expect_err("refused");
        assert!(client.text().contains("invalid_client") && client.text().contains("OAuth client"), "{client}");
        let user = classify_oauth("oauth.renew", &answer(400, r#"{"error":"invalid_grant","error_description":"gone\u0007\n"}"#))
            .expect_err("refused");
        assert!(user.text().contains("invalid_grant: gone; the grant is gone, connect again"), "{user}");
    }

    #[test]
    fn revoking_what_is_gone_is_done() {
        revocation("oauth.revoke", &answer(400, r#"{"error":"invalid_token"}"#)).expect("done");
        revocation("oauth.revoke", &answer(200, "")).expect("done");
        for (status, body) in [(400, r#"{"error":"invalid_client"}"#), (500, r#"{"error":"invalid_token"}"#), (503, "")] {
            revocation("oauth.revoke", &answer(status, body)).expect_err(body);
        }
    }
}

//! From an answer of Slack's to an error: the one place. Slack answers 200 with `ok: false`; only rate limits and server trouble use
//! the status.

use std::borrow::Cow;

use serde::Deserialize;
use sync_core::{Delivery, Error, ErrorKind, Result, Retry};
use sync_http::{Answer, classify_status, retry_after};

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    ok: bool,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow)]
    needed: Option<Cow<'a, str>>,
    #[serde(borrow)]
    provided: Option<Cow<'a, str>>,
}

/// The classifier of every Slack call.
pub(crate) fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    if !answer.status.is_success() {
        let body = answer.json::<Envelope<'_>>(operation).ok();
        return classify_status(operation, answer, body.as_ref().and_then(|body| body.error.as_deref()));
    }
    let envelope: Envelope<'_> = answer.json(operation)?;
    if envelope.ok {
        return Ok(());
    }
    let code = envelope.error.as_deref().unwrap_or("no error code");
    let kind = kind_of(code);
    let mut text = format!("Slack answered {code}");
    if let Some(needed) = envelope.needed {
        text += &format!(": the app needs the scope {needed}, it was granted {}", envelope.provided.as_deref().unwrap_or("none"));
    }
    let retry = match kind {
        ErrorKind::RateLimited => Retry::After(retry_after(&answer.headers)),
        ErrorKind::Transport => Retry::After(None),
        _ => Retry::Never,
    };
    // What Slack calls internal may have been done all the same.
    let delivery = if kind == ErrorKind::Transport { Delivery::Unknown } else { Delivery::Answered };
    Err(Error::new(kind, operation, text).with_retry(retry).with_delivery(delivery))
}

/// What a code means for the caller.
fn kind_of(code: &str) -> ErrorKind {
    match code {
        "invalid_auth" | "not_authed" | "token_expired" => ErrorKind::Auth,
        "token_revoked" | "account_inactive" => ErrorKind::AuthRevoked,
        "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "org_login_required"
        | "ekm_access_denied"
        | "access_denied"
        | "accesslimited"
        | "two_factor_setup_required"
        | "not_in_channel"
        | "channel_is_limited_access" => ErrorKind::Forbidden,
        "channel_not_found" | "thread_not_found" | "user_not_found" | "message_not_found" => ErrorKind::NotFound,
        "ratelimited" | "rate_limited" => ErrorKind::RateLimited,
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => ErrorKind::Transport,
        "invalid_cursor" => ErrorKind::CursorExpired,
        "method_not_supported_for_channel_type" => ErrorKind::Unsupported,
        _ => ErrorKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use sync_http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "30".parse().expect("a header value"));
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: body.to_owned().into() }
    }

    #[test]
    fn codes_and_statuses_have_the_kind_a_caller_can_act_on() {
        let wait = Retry::After(Some(std::time::Duration::from_secs(30)));
        for (status, body, kind, retry) in [
            (200, r#"{"ok":false,"error":"invalid_auth"}"#, ErrorKind::Auth, Retry::Never),
            (200, r#"{"ok":false,"error":"token_expired"}"#, ErrorKind::Auth, Retry::Never),
            (200, r#"{"ok":false,"error":"token_revoked"}"#, ErrorKind::AuthRevoked, Retry::Never),
            (200, r#"{"ok":false,"error":"account_inactive"}"#, ErrorKind::AuthRevoked, Retry::Never),
            (200, r#"{"ok":false,"error":"missing_scope"}"#, ErrorKind::Forbidden, Retry::Never),
            (200, r#"{"ok":false,"error":"not_in_channel"}"#, ErrorKind::Forbidden, Retry::Never),
            (200, r#"{"ok":false,"error":"channel_not_found"}"#, ErrorKind::NotFound, Retry::Never),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, ErrorKind::RateLimited, wait),
            (200, r#"{"ok":false,"error":"internal_error"}"#, ErrorKind::Transport, Retry::After(None)),
            (200, r#"{"ok":false,"error":"invalid_cursor"}"#, ErrorKind::CursorExpired, Retry::Never),
            (200, r#"{"ok":false,"error":"invalid_arg_name"}"#, ErrorKind::Invalid, Retry::Never),
            (200, r#"{"ok":false}"#, ErrorKind::Invalid, Retry::Never),
            (429, r#"{"ok":false,"error":"ratelimited"}"#, ErrorKind::RateLimited, wait),
        ] {
            let error = classify("slack.test", &answer(status, body)).expect_err(body);
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{body}");
        }
        for (status, body, kind) in [
            (503, "", ErrorKind::Transport),
            (200, "", ErrorKind::Decode),
            (200, "<html>", ErrorKind::Decode),
            (200, "{}", ErrorKind::Decode),
            (200, r#"{"ok":true"#, ErrorKind::Decode),
        ] {
            assert_eq!(classify("slack.test", &answer(status, body)).expect_err(body).kind(), kind, "{status} {body}");
        }
        classify("slack.test", &answer(200, r#"{"ok":true,"messages":[]}"#)).expect("it is well");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let body = r#"{"ok":false,"error":"missing_scope","needed":"users:read","provided":"channels:read"}"#;
        let text = classify("slack.users.list", &answer(200, body)).expect_err("refused").to_string();
        assert!(text.contains("needs the scope users:read") && text.contains("granted channels:read"), "{text}");
    }
}

//! From an answer of Slack's to an error: the one place. Slack says almost everything with status 200.

use serde::Deserialize;
use sync_core::{Delivery, Error, ErrorKind, Result, Retry};
use sync_http::{Answer, StatusCode, classify_status, retry_after};

/// The name under which an error carries Slack's own code.
const CODE: &str = "code";

/// What every answer has beside its data.
#[derive(Debug, Deserialize)]
struct Envelope {
    ok: Option<bool>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    needed: Option<String>,
    #[serde(default)]
    provided: Option<String>,
    #[serde(default)]
    response_metadata: Option<Remarks>,
}

/// What Slack has to say about single arguments.
#[derive(Debug, Deserialize)]
struct Remarks {
    #[serde(default)]
    messages: Vec<String>,
}

/// Remarks that an error repeats.
const REMARKS: usize = 3;

/// The classifier of every Slack call. The code in the body counts more than the status.
pub(crate) fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    let envelope = answer.json::<Envelope>(operation);
    let refused = envelope.as_ref().ok().filter(|envelope| envelope.ok == Some(false));
    let code = refused.and_then(|envelope| envelope.error.as_deref()).map(|code| plain(code, 64));
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return classify_status(operation, answer, code.as_deref());
    }
    if answer.status.is_server_error() && code.as_deref().is_some_and(|code| meaning(code).is_none()) {
        // Whatever it says, it did not end well: the call may have taken effect.
        return classify_status(operation, answer, code.as_deref());
    }
    if let (Some(code), Some(envelope)) = (&code, refused) {
        return Err(of_code(operation, answer, code, envelope));
    }
    if !answer.status.is_success() {
        return classify_status(operation, answer, None);
    }
    match envelope?.ok {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Decode, operation, "Slack refused the call and gave no reason")),
        None => Err(Error::new(ErrorKind::Decode, operation, "the answer does not say `ok`; it is not one of Slack's")),
    }
}

/// Codes of refusals that would meet every other call of the account, too.
const OF_THE_ACCOUNT: &[&str] = &[
    "access_denied",
    "accesslimited",
    "app_access_restricted",
    "enterprise_is_restricted",
    "missing_scope",
    "not_allowed_token_type",
    "org_login_required",
    "team_access_not_granted",
    "two_factor_setup_required",
];

/// Whether an error is Slack's refusal of this one message; others may fare better.
pub(crate) fn is_about_the_message(error: &Error) -> bool {
    let of_one = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Forbidden);
    let code = error.context().iter().find(|(what, _)| *what == CODE).map(|(_, code)| code.as_str());
    // Without a code it is either our own refusal, made before anything was sent, or no answer of Slack's.
    of_one && code.map_or(error.delivery() == Delivery::NotSent, |code| !OF_THE_ACCOUNT.contains(&code))
}

/// Whether an error is Slack's `code`.
pub(crate) fn is_code(error: &Error, code: &str) -> bool {
    error.context().iter().any(|(what, which)| *what == CODE && which == code)
}

fn of_code(operation: &'static str, answer: &Answer, code: &str, envelope: &Envelope) -> Error {
    let (kind, advice) = meaning(code).unwrap_or((ErrorKind::Invalid, ""));
    let mut text = format!("Slack answered {code}");
    if let Some(needed) = &envelope.needed {
        text.push_str(&format!("; the scope {} is needed", plain(needed, 300)));
        if let Some(provided) = &envelope.provided {
            text.push_str(&format!(", the token has {}", plain(provided, 600)));
        }
    }
    let remarks = envelope.response_metadata.iter().flat_map(|remarks| &remarks.messages);
    for remark in remarks.take(REMARKS).map(|remark| plain(remark, 300)).filter(|remark| !remark.is_empty()) {
        text.push_str("; ");
        text.push_str(&remark);
    }
    if !advice.is_empty() {
        text.push_str("; ");
        text.push_str(advice);
    }
    let (retry, delivery) = match kind {
        ErrorKind::RateLimited => (Retry::After(retry_after(&answer.headers)), Delivery::Answered),
        ErrorKind::Transport => (Retry::After(retry_after(&answer.headers)), Delivery::Unknown),
        _ => (Retry::Never, Delivery::Answered),
    };
    Error::new(kind, operation, text).with_retry(retry).with_delivery(delivery).at(CODE, code)
}

/// What a code means, and what to do about it where the kind's own hint says too little. `None` for codes that are a mistake of the
/// call and nothing else, and for those of tomorrow.
fn meaning(code: &str) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{Auth, AuthRevoked, Config, CursorExpired, Forbidden, Invalid, NotFound, RateLimited, Transport};
    Some(match code {
        "invalid_auth" | "not_authed" | "token_expired" => (Auth, ""),
        "token_revoked" | "account_inactive" => (AuthRevoked, ""),
        "missing_scope" => (Forbidden, "add it to the app and install the app again"),
        "not_in_channel" => (Forbidden, "invite the app to the channel"),
        "channel_is_limited_access" => (Forbidden, "the channel is closed to this app"),
        "is_archived" | "is_inactive" => (Forbidden, "the channel is archived or frozen; unarchive it, or write elsewhere"),
        "cant_update_message" | "cant_delete_message" => (Forbidden, "an app can change and delete only what it posted itself"),
        "edit_window_closed" => (Forbidden, "the workspace allows edits only for a while after a message was posted"),
        "messages_tab_disabled" => (Forbidden, "turn on the messages tab of the app's home"),
        "method_not_supported_for_channel_type" => (Forbidden, "conversations of this kind cannot be read so"),
        "not_allowed_token_type" => (Forbidden, "connect with a bot token (xoxb-)"),
        "accesslimited" => (Forbidden, "this address is not on the workspace's list of allowed addresses"),
        "no_permission" => (Forbidden, "invite the app to the channel, or let an administrator of the Slack workspace allow it"),
        "access_denied"
        | "app_access_restricted"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "org_login_required"
        | "team_access_not_granted"
        | "two_factor_setup_required" => (Forbidden, "an administrator of the Slack workspace has to allow it"),
        restricted if restricted.starts_with("restricted_action") => {
            (Forbidden, "the workspace or the channel keeps this app from posting so; an administrator or the channel's owner can allow it")
        }
        "missing_argument" => (Config, "tokens of a whole organisation are not supported; install the app in one workspace"),
        "channel_not_found" => (NotFound, "the channel is gone, or private and without the app"),
        "message_not_found" | "thread_not_found" | "user_not_found" | "user_not_visible" => (NotFound, ""),
        "ratelimited" | "rate_limited" => (RateLimited, ""),
        "message_limit_exceeded" => (RateLimited, "the workspace has sent as many messages as its plan allows for now"),
        "fatal_error" | "internal_error" | "request_timeout" | "service_unavailable" | "update_failed" => (Transport, ""),
        "team_added_to_org" => (Transport, "the workspace is being moved into an organisation"),
        "invalid_cursor" => (CursorExpired, ""),
        "invalid_limit" => (Invalid, "an app sold outside the Marketplace needs the setting `commercial`"),
        _ => return None,
    })
}

/// Somebody else's words without what could break a line or a log, cut to length.
fn plain(words: &str, longest: usize) -> String {
    words.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(longest).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use sync_http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: impl Into<String>, headers: &[(&'static str, &str)]) -> Answer {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect();
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: body.into().into() }
    }

    fn refused(code: &str) -> String {
        json!({"ok": false, "error": code}).to_string()
    }

    #[test]
    fn answers_become_errors_as_slack_means_them() {
        use ErrorKind::*;
        let again = Retry::After(None);
        let in_30 = Retry::After(Some(Duration::from_secs(30)));
        let scope = json!({"ok": false, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write,users:read"});
        let problem = "[ERROR] no more than 50 items allowed [json-pointer:/blocks]";
        let remarked = json!({"ok": false, "error": "invalid_blocks", "response_metadata": {"messages": [problem]}});
        let cases = [
            (200, refused("invalid_auth"), Auth, Retry::Never, "invalid_auth"),
            (200, refused("not_authed"), Auth, Retry::Never, "not_authed"),
            (200, refused("token_expired"), Auth, Retry::Never, "token_expired"),
            (401, refused("invalid_auth"), Auth, Retry::Never, "invalid_auth"),
            (401, String::new(), Auth, Retry::Never, "401"),
            (200, refused("token_revoked"), AuthRevoked, Retry::Never, "token_revoked"),
            (200, refused("account_inactive"), AuthRevoked, Retry::Never, "account_inactive"),
            (401, refused("token_revoked"), AuthRevoked, Retry::Never, "token_revoked"),
            (200, scope.to_string(), Forbidden, Retry::Never, "channels:history is needed, the token has chat:write,users:read"),
            (200, refused("not_in_channel"), Forbidden, Retry::Never, "invite the app"),
            (200, refused("channel_is_limited_access"), Forbidden, Retry::Never, "closed"),
            (200, refused("not_allowed_token_type"), Forbidden, Retry::Never, "xoxb-"),
            (200, refused("org_login_required"), Forbidden, Retry::Never, "administrator"),
            (403, refused("accesslimited"), Forbidden, Retry::Never, "allowed addresses"),
            (403, "<html>".into(), Forbidden, Retry::Never, "403"),
            (200, refused("missing_argument"), Config, Retry::Never, "organisation"),
            (200, refused("channel_not_found"), NotFound, Retry::Never, "channel_not_found"),
            (200, refused("thread_not_found"), NotFound, Retry::Never, "thread_not_found"),
            (200, refused("user_not_found"), NotFound, Retry::Never, "user_not_found"),
            (404, "<html>".into(), NotFound, Retry::Never, "404"),
            (200, refused("ratelimited"), RateLimited, in_30, "ratelimited"),
            (200, refused("rate_limited"), RateLimited, in_30, "rate_limited"),
            (429, refused("ratelimited"), RateLimited, in_30, "ratelimited"),
            (429, String::new(), RateLimited, in_30, "429"),
            (429, refused("not_authed"), RateLimited, in_30, "429"),
            (200, refused("internal_error"), Transport, in_30, "internal_error"),
            (200, refused("fatal_error"), Transport, in_30, "fatal_error"),
            (200, refused("service_unavailable"), Transport, in_30, "service_unavailable"),
            (200, refused("request_timeout"), Transport, in_30, "request_timeout"),
            (200, refused("team_added_to_org"), Transport, in_30, "moved"),
            (500, refused("internal_error"), Transport, in_30, "internal_error"),
            (500, refused("a_code_of_tomorrow"), Transport, in_30, "a_code_of_tomorrow"),
            (200, refused("is_archived"), Forbidden, Retry::Never, "unarchive"),
            (200, refused("is_inactive"), Forbidden, Retry::Never, "unarchive"),
            (200, refused("cant_update_message"), Forbidden, Retry::Never, "only what it posted itself"),
            (200, refused("cant_delete_message"), Forbidden, Retry::Never, "only what it posted itself"),
            (200, refused("edit_window_closed"), Forbidden, Retry::Never, "for a while"),
            (200, refused("restricted_action"), Forbidden, Retry::Never, "keeps this app from posting"),
            (200, refused("restricted_action_read_only_channel"), Forbidden, Retry::Never, "keeps this app from posting"),
            (200, refused("no_permission"), Forbidden, Retry::Never, "invite the app"),
            (200, refused("message_not_found"), NotFound, Retry::Never, "message_not_found"),
            (200, refused("message_limit_exceeded"), RateLimited, in_30, "its plan allows"),
            (200, refused("msg_too_long"), Invalid, Retry::Never, "msg_too_long"),
            (200, refused("no_text"), Invalid, Retry::Never, "no_text"),
            (
                200,
                remarked.to_string(),
                Invalid,
                Retry::Never,
                "invalid_blocks; [ERROR] no more than 50 items allowed [json-pointer:/blocks]",
            ),
            (503, "<html>Bad day".into(), Transport, in_30, "503"),
            (502, String::new(), Transport, in_30, "502"),
            (200, refused("invalid_cursor"), CursorExpired, Retry::Never, "invalid_cursor"),
            (200, refused("invalid_limit"), Invalid, Retry::Never, "commercial"),
            (200, refused("invalid_ts_oldest"), Invalid, Retry::Never, "invalid_ts_oldest"),
            (200, refused("unknown_method"), Invalid, Retry::Never, "unknown_method"),
            (400, refused("a_code_of_tomorrow"), Invalid, Retry::Never, "a_code_of_tomorrow"),
            (200, refused("bad\n\u{1b}[31m\u{202e}code"), Invalid, Retry::Never, "bad[31mcode"),
            (200, r#"{"ok":false}"#.into(), Decode, Retry::Never, "no reason"),
            (200, r#"{"messages":[]}"#.into(), Decode, Retry::Never, "`ok`"),
            (200, r#"{"ok":null,"messages":[]}"#.into(), Decode, Retry::Never, "`ok`"),
            (200, r#"{"ok":"true"}"#.into(), Decode, Retry::Never, "boolean"),
            (200, "[]".into(), Decode, Retry::Never, "shape"),
            (200, "null".into(), Decode, Retry::Never, "shape"),
            (200, "<!doctype html><p>Sign in".into(), Decode, Retry::Never, "HTML"),
            (200, r#"{"ok":true,"messages":[{"#.into(), Decode, Retry::Never, "cut"),
            (200, String::new(), Decode, Retry::Never, "nothing"),
            (302, String::new(), Transport, Retry::Never, "302"),
        ];
        for (status, body, kind, retry, words) in cases {
            let error = classify("slack.test", &answer(status, &*body, &[("retry-after", "30")])).expect_err(&body);
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}: {error}");
            assert!(error.to_string().contains(words), "{error} lacks {words}");
            if kind == RateLimited || kind == Transport && status < 300 {
                let plain = classify("slack.test", &answer(status, &*body, &[])).expect_err(&body);
                assert_eq!(plain.retry(), again, "without a hint: {plain}");
            }
        }
        classify("slack.test", &answer(200, r#"{"ok":true,"error":"left_over"}"#, &[])).expect("ok is ok");
    }

    #[test]
    fn a_refusal_of_one_message_is_told_from_one_of_the_account() {
        for (code, about_it) in [
            ("is_archived", true),
            ("not_in_channel", true),
            ("channel_not_found", true),
            ("restricted_action", true),
            ("no_permission", true),
            ("ekm_access_denied", true),
            ("invalid_blocks", true),
            ("a_code_of_tomorrow", true),
            ("missing_scope", false),
            ("accesslimited", false),
            ("org_login_required", false),
            ("invalid_auth", false),
            ("token_revoked", false),
            ("ratelimited", false),
            ("internal_error", false),
        ] {
            let error = classify("slack.test", &answer(200, refused(code), &[])).expect_err(code);
            assert_eq!(is_about_the_message(&error), about_it, "{code}");
        }
        let proxy = classify("slack.test", &answer(403, "<html>", &[])).expect_err("a proxy");
        assert!(!is_about_the_message(&proxy), "it knows nothing of messages");
        assert!(is_about_the_message(&Error::new(ErrorKind::Invalid, "slack.test", "our own").with_delivery(Delivery::NotSent)));
    }

    #[test]
    fn an_error_knows_its_code() {
        let error = classify("slack.test", &answer(200, refused("thread_not_found"), &[])).expect_err("refused");
        assert!(is_code(&error, "thread_not_found") && !is_code(&error, "channel_not_found"));
    }
}

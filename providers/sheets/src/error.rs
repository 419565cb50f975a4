//! From an answer of Google's to an error: the one place.

use std::time::Duration;

use chrono::{DateTime, Timelike};
use serde::Deserialize;
use sync_core::{Error, ErrorKind, Result, Retry};
use sync_http::{Answer, HeaderMap, classify_status, retry_after};

/// `{"error": {"code", "message", "status", "details": [{"reason"}], "errors": [{"reason"}]}}`; `errors` is the older form.
#[derive(Debug, Default, Deserialize)]
struct Body {
    error: Problem,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
    status: String,
    details: Vec<Detail>,
    errors: Vec<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
}

impl Problem {
    fn has_reason(&self, reasons: &[&str]) -> bool {
        self.details.iter().chain(&self.errors).any(|detail| reasons.contains(&detail.reason.as_str()))
    }
}

/// The classifier of every Sheets call. Reason and message are looked at before the status.
pub(crate) fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    let problem = answer.json::<Body>(operation).unwrap_or_default().error;
    let Err(plain) = classify_status(operation, answer, Some(&problem.message)) else { return Ok(()) };
    let advised = |kind, advice: &str| Err(Error::new(kind, operation, format!("{advice}: {}", plain.text())));
    let says = |words: &str| problem.message.contains(words);

    match answer.status.as_u16() {
        429 => Err(plain.with_retry(quota(&answer.headers))),
        403 if problem.has_reason(RATE_REASONS) || problem.status == "RESOURCE_EXHAUSTED" => {
            Err(Error::new(ErrorKind::RateLimited, operation, plain.text().to_owned()).with_retry(quota(&answer.headers)))
        }
        403 if problem.has_reason(&["SERVICE_DISABLED", "accessNotConfigured"]) || says("has not been used in project") => advised(
            ErrorKind::Config,
            "the Google Sheets API is not enabled in the Google Cloud project of this OAuth client; enable it there",
        ),
        403 if problem.has_reason(SCOPE_REASONS) || says("insufficient authentication scopes") => advised(
            ErrorKind::Forbidden,
            "the grant lacks the scope spreadsheets (spreadsheets.readonly for reading alone); connect the account again and allow it",
        ),
        403 => advised(ErrorKind::Forbidden, "the spreadsheet is not shared with this account, or not for editing"),
        404 => advised(ErrorKind::NotFound, "there is no spreadsheet with this id, or this account may not see it"),
        400 if says("Unable to parse range") => advised(ErrorKind::NotFound, "the tab is gone or has another name now"),
        400 if says("exceeds grid limits") => {
            advised(ErrorKind::Conflict, "the tab became smaller meanwhile, or the setting `header_row` lies below its end")
        }
        400 if problem.status == "FAILED_PRECONDITION" && says("not supported for this document") => {
            advised(ErrorKind::Config, "the file is an Office document, not a spreadsheet; open it and choose File, Save as Google Sheets")
        }
        _ => Err(plain),
    }
}

const RATE_REASONS: &[&str] = &["rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "quotaExceeded"];
const SCOPE_REASONS: &[&str] = &["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"];

/// Quotas count by the minute and no `Retry-After` is documented: wait for the next minute of Google's clock.
fn quota(headers: &HeaderMap) -> Retry {
    let next_minute = || {
        let date = headers.get("date")?.to_str().ok()?;
        let answered = DateTime::parse_from_rfc2822(date).ok()?;
        Some(Duration::from_secs(u64::from(60 - answered.second().min(59))))
    };
    Retry::After(Some(retry_after(headers).or_else(next_minute).unwrap_or(Duration::from_secs(60))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sync_http::StatusCode;

    use super::*;

    fn answer(status: u16, body: impl Into<String>) -> Answer {
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers: HeaderMap::new(), body: body.into().into() }
    }

    fn google(status: u16, name: &str, reason: &str, message: &str) -> Answer {
        let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": {"service": "sheets"}}]);
        let body = json!({"error": {"code": status, "message": message, "status": name, "details": details}});
        answer(status, body.to_string())
    }

    #[test]
    fn answers_become_errors_as_google_means_them() {
        use ErrorKind::*;
        let minute = Retry::After(Some(Duration::from_secs(60)));
        let again = Retry::After(None);
        let legacy =
            json!({"error": {"code": 403, "message": "m", "errors": [{"domain": "usageLimits", "reason": "userRateLimitExceeded"}]}});
        let cases = [
            (
                google(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "Quota exceeded for quota metric 'Read requests'"),
                RateLimited,
                minute,
                "Quota exceeded",
            ),
            (answer(429, "<html>"), RateLimited, minute, "429"),
            (google(403, "RESOURCE_EXHAUSTED", "", "slow down"), RateLimited, minute, "slow down"),
            (google(403, "", "rateLimitExceeded", "Rate Limit Exceeded"), RateLimited, minute, "Rate Limit"),
            (answer(403, legacy.to_string()), RateLimited, minute, "403"),
            (
                google(
                    403,
                    "PERMISSION_DENIED",
                    "SERVICE_DISABLED",
                    "Google Sheets API has not been used in project 1 before or it is disabled.",
                ),
                Config,
                Retry::Never,
                "enable it",
            ),
            (google(403, "PERMISSION_DENIED", "", "Google Sheets API has not been used in project 1"), Config, Retry::Never, "enable it"),
            (
                google(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "Request had insufficient authentication scopes."),
                Forbidden,
                Retry::Never,
                "spreadsheets.readonly",
            ),
            (google(403, "PERMISSION_DENIED", "forbidden", "The caller does not have permission"), Forbidden, Retry::Never, "not shared"),
            (google(404, "NOT_FOUND", "", "Requested entity was not found."), NotFound, Retry::Never, "no spreadsheet"),
            (google(400, "INVALID_ARGUMENT", "", "Unable to parse range: 'Movies'!A1:B2"), NotFound, Retry::Never, "'Movies'!A1:B2"),
            (
                google(400, "INVALID_ARGUMENT", "", "Range ('M'!A5:B9) exceeds grid limits. Max rows: 4, max columns: 26"),
                Conflict,
                Retry::Never,
                "Max rows: 4",
            ),
            (
                google(400, "FAILED_PRECONDITION", "failedPrecondition", "This operation is not supported for this document"),
                Config,
                Retry::Never,
                "Save as Google Sheets",
            ),
            (google(400, "INVALID_ARGUMENT", "", "Invalid value at 'majorDimension'"), Invalid, Retry::Never, "majorDimension"),
            (
                google(401, "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED", "Request had invalid authentication credentials."),
                Auth,
                Retry::Never,
                "invalid authentication",
            ),
            (google(500, "INTERNAL", "", "Internal error encountered."), Transport, again, "Internal error"),
            (google(503, "UNAVAILABLE", "", "The service is currently unavailable."), Transport, again, "unavailable"),
            (answer(502, "<html>Bad gateway"), Transport, again, "502"),
            (answer(504, ""), Transport, again, "504"),
        ];
        for (answer, kind, retry, words) in cases {
            let error = classify("sheets.test", &answer).expect_err("an error");
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{error}");
            assert!(error.to_string().contains(words), "{error} lacks {words}");
        }
        classify("sheets.test", &answer(200, "<html>")).expect("what came is looked at where it is read");
    }

    #[test]
    fn a_spent_quota_waits_for_the_next_minute_unless_told_how_long() {
        let wait = |headers: &[(&'static str, &str)]| {
            let mut answer = google(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "Quota exceeded");
            for (name, value) in headers {
                answer.headers.insert(*name, value.parse().expect("a header"));
            }
            classify("sheets.test", &answer).expect_err("spent").retry()
        };
        let seconds = |n| Retry::After(Some(Duration::from_secs(n)));
        assert_eq!(wait(&[("date", "Thu, 01 Jan 2026 00:00:48 GMT")]), seconds(12));
        assert_eq!(wait(&[("date", "Thu, 01 Jan 2026 00:01:00 GMT")]), seconds(60));
        assert_eq!(wait(&[("date", "soon")]), seconds(60));
        assert_eq!(wait(&[("date", "Thu, 01 Jan 2026 00:00:48 GMT"), ("retry-after", "33")]), seconds(33));
    }
}

//! Google's error bodies, as they are seen in the wild.

use serde_json::{Value, json};
use sync_testkit::SimAnswer;

fn error(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// 400 for what was asked.
pub(super) fn invalid(message: &str) -> SimAnswer {
    SimAnswer::json(400, error(400, "INVALID_ARGUMENT", message))
}

/// 400 for a file that Drive shows like a spreadsheet but keeps as Excel.
pub(super) fn office_file() -> SimAnswer {
    SimAnswer::json(400, error(400, "FAILED_PRECONDITION", "This operation is not supported for this document"))
}

pub(super) fn unauthenticated() -> SimAnswer {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication \
                   credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
    SimAnswer::json(401, error(401, "UNAUTHENTICATED", message))
}

pub(super) fn not_found() -> SimAnswer {
    SimAnswer::json(404, error(404, "NOT_FOUND", "Requested entity was not found."))
}

/// A path or method that does not exist answers a page, not JSON.
pub(super) fn no_such_page() -> SimAnswer {
    SimAnswer::html(404, "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title>")
}

/// 429 of the reads per minute. It comes without `Retry-After`.
pub(super) fn quota_exceeded() -> SimAnswer {
    let mut body = error(
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of service 'sheets.googleapis.com' \
         for consumer 'project_number:123'.",
    );
    body["error"]["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {
            "consumer": "projects/123",
            "quota_limit": "ReadRequestsPerMinutePerUser",
            "quota_metric": "sheets.googleapis.com/read_requests",
            "service": "sheets.googleapis.com",
        },
    }]);
    SimAnswer::json(429, body)
}

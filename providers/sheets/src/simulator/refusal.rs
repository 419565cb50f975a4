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

/// 400 for a part of the request, which the details name.
pub(super) fn violation(field: &str, message: &str) -> SimAnswer {
    let mut body = error(400, "INVALID_ARGUMENT", message);
    let mut violation = json!({"description": message});
    if !field.is_empty() {
        violation["field"] = json!(field);
    }
    body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]);
    SimAnswer::json(400, body)
}

/// 400 for a field mask that names what there is not.
pub(super) fn no_such_field(path: &str) -> SimAnswer {
    let mut body = error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.");
    let text = format!("Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'.");
    let violation = json!({"field": path, "description": text});
    body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]);
    SimAnswer::json(400, body)
}

/// An error in the form of Drive, which is the older one.
pub(super) fn drive(code: u16, reason: &str, location: &str, message: &str) -> SimAnswer {
    let place = json!({"message": message, "domain": "global", "reason": reason, "location": location, "locationType": "parameter"});
    SimAnswer::json(code, json!({"error": {"code": code, "message": message, "errors": [place]}}))
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

/// 403 for a token that was granted less.
pub(super) fn insufficient_scopes() -> SimAnswer {
    SimAnswer::json(403, error(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes."))
}

pub(super) fn not_found() -> SimAnswer {
    SimAnswer::json(404, error(404, "NOT_FOUND", "Requested entity was not found."))
}

/// A path or method that does not exist answers a page, not JSON.
pub(super) fn no_such_page() -> SimAnswer {
    SimAnswer::html(404, "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title>")
}

/// 429 of the calls per minute, `Read` or `Write`. It comes without `Retry-After`.
pub(super) fn quota_exceeded(kind: &str) -> SimAnswer {
    let message = format!(
        "Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests per minute per user' of service \
         'sheets.googleapis.com' for consumer 'project_number:123'."
    );
    let mut body = error(429, "RESOURCE_EXHAUSTED", &message);
    body["error"]["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {
            "consumer": "projects/123",
            "quota_limit": format!("{kind}RequestsPerMinutePerUser"),
            "quota_metric": format!("sheets.googleapis.com/{}_requests", kind.to_lowercase()),
            "service": "sheets.googleapis.com",
        },
    }]);
    SimAnswer::json(429, body)
}

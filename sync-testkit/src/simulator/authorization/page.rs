//! What a browser shows.

use std::fmt::Write as _;

use crate::SimAnswer;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}label{display:block}\
button{margin:1rem .5rem 0 0}";

/// Asks whether a client may have what it asks for. The form goes to the address it was opened by, so the request is in the query again.
pub(super) fn consent(client: &str, scopes: &[String], granular: bool) -> SimAnswer {
    let mut page = begin("Allow access");
    let _ = write!(page, "<h1>Allow access</h1><p><b>{}</b> wants to:<form method=\"post\">", text(client));
    for scope in scopes {
        let scope = text(scope);
        let _ = if granular {
            write!(page, "<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> {scope}</label>")
        } else {
            write!(page, "<label>{scope}</label>")
        };
    }
    page.push_str(
        "<button name=\"decision\" value=\"approve\">Allow</button><button name=\"decision\" value=\"deny\">Cancel</button></form>",
    );
    private(SimAnswer::html(200, page))
}

/// Says why the browser goes nowhere.
pub(super) fn refused(status: u16, code: &str, why: &str) -> SimAnswer {
    let mut page = begin("Access blocked");
    let _ = write!(page, "<h1>Access blocked</h1><p>{}<p>Error {status}: {}", text(why), text(code));
    private(SimAnswer::html(status, page))
}

/// Nothing of a page stays in a cache or travels in a referrer.
pub(super) fn private(answer: SimAnswer) -> SimAnswer {
    answer.with_header("cache-control", "no-store").with_header("referrer-policy", "no-referrer").with_header("x-frame-options", "DENY")
}

fn begin(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>"
    )
}

fn text(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

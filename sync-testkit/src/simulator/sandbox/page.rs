//! What people see who open a sandbox in a browser.

use std::fmt::Write as _;

use super::Mount;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{margin-bottom:.25rem}h2{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1.5rem}\
code{background:var(--soft);padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line)}\
dt{font-weight:600}dd{margin:0 0 .5rem}";

/// The page of these services as they are reached at `host`.
pub(super) fn of(host: &str, mounts: &[Mount]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Syncline sandbox</title><style>{STYLE}</style><h1>Syncline sandbox</h1>\
         <p>Simulated services on this machine. Nothing here reaches a real account, and everything is forgotten when it stops. \
         Point a client at a base URL below and use the token beside it."
    );
    for mount in mounts {
        let _ = write!(
            page,
            "<h2 id=\"{0}\">{1}</h2><dl><dt>Base URL</dt><dd><code>http://{2}/{0}</code></dd><dt>Token</dt><dd><code>{3}</code></dd></dl>",
            mount.name,
            text(mount.title),
            text(host),
            text(&mount.token),
        );
        page.push_str("<table><thead><tr><th>Simulated<th>Where it differs</thead><tbody>");
        for one in mount.simulated {
            let _ = write!(page, "<tr><td><code>{}</code><td>{}", text(one.request), text(one.note));
        }
        page.push_str("</tbody></table>");
        if !mount.not_simulated.is_empty() {
            page.push_str("<h3>Not simulated</h3><ul>");
            for one in mount.not_simulated {
                let _ = write!(page, "<li>{}", text(one));
            }
            page.push_str("</ul>");
        }
    }
    page
}

/// Text as it may stand in the page.
fn text(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! Google's OAuth 2.0.

use std::sync::Arc;

use sync_core::{ClientAuth, OAuthSpec, RefreshRule, Result, Revokes, Scope};
use sync_http::{HttpTransport, StandardOAuth};

/// Reading and writing of what a user may read and write. Drive, whose scopes Google restricts, is not asked for: nothing here calls it.
const SCOPES: &[Scope] = &[Scope { name: "https://www.googleapis.com/auth/spreadsheets", streams: &[], required: true }];

/// Without both there is no refresh token after the first consent.
const PARAMS: &[(&str, &str)] = &[("access_type", "offline"), ("prompt", "consent")];

/// Google's authorization server, or one at `url` that stands in for it.
pub(crate) fn google(url: Option<&str>, transport: Option<&Arc<dyn HttpTransport>>) -> Result<StandardOAuth> {
    let url = url.map(|url| url.trim_end_matches('/'));
    let at = |host: &str, path: &str| -> Box<str> { format!("{}/{path}", url.unwrap_or(host)).into() };
    let builder = StandardOAuth::builder(OAuthSpec {
        authority: "google",
        authorize_url: at("https://accounts.google.com", "o/oauth2/v2/auth"),
        token_url: at("https://oauth2.googleapis.com", "token"),
        revoke_url: Some(at("https://oauth2.googleapis.com", "revoke")),
        revokes: Revokes::Refresh,
        client_auth: ClientAuth::Body,
        scopes: SCOPES,
        scope_separator: ' ',
        authorize_params: PARAMS,
        refresh: RefreshRule::Kept,
        life: None,
        issuer: url.is_none().then(|| "https://accounts.google.com".into()),
    });
    match transport {
        Some(transport) => builder.transport(Arc::clone(transport)),
        None => builder,
    }
    .build()
}

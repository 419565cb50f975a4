//! The consent page: who asks, for what, and where the browser goes then.

use chrono::{DateTime, Utc};
use http::Method;
use url::{Url, form_urlencoded};

use super::{AuthorizationServer, page};
use crate::{SimAnswer, SimRequest};

/// What a person decides on the consent page.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// Everything that was asked for.
    Approve,
    /// Only these scopes, where the service lets them be unticked.
    ApproveOnly(&'a [&'a str]),
    /// Nothing.
    Deny,
}

/// A request whose client and redirect URI are right: from here on mistakes are told by a redirect.
struct Asked {
    client: String,
    redirect_uri: String,
    state: Option<String>,
    scopes: Vec<String>,
    challenge: Option<String>,
    offline: bool,
}

pub(super) fn answer(server: &AuthorizationServer, request: &SimRequest) -> SimAnswer {
    let asked = match asked(server, &request.query) {
        Ok(asked) => asked,
        Err(page) => return page,
    };
    if let Some(problem) = problem(server, request, &asked) {
        return back(server, &asked, &[("error", "invalid_request"), ("error_description", problem)]);
    }
    if request.query("response_type") != Some("code") {
        return back(server, &asked, &[("error", "unsupported_response_type")]);
    }
    let approving = server.state().approving;
    if request.method == Method::GET && !approving {
        return page::consent(&asked.client, &asked.scopes, server.rules.granular);
    }
    let form = request.form();
    let ticked = |scope: &String| form.iter().any(|(name, value)| name == "scope" && value == scope);
    match form.iter().find(|(name, _)| name == "decision").map(|(_, value)| value.as_str()) {
        Some("approve") if server.rules.granular => {
            let scopes = asked.scopes.iter().filter(|scope| ticked(scope)).cloned().collect();
            approve(server, &asked, scopes, request.now)
        }
        Some("approve") => approve(server, &asked, asked.scopes.clone(), request.now),
        None if approving => approve(server, &asked, asked.scopes.clone(), request.now),
        _ => back(server, &asked, &[("error", "access_denied"), ("error_description", "The user denied the request")]),
    }
}

pub(super) fn decide(server: &AuthorizationServer, url: &str, decision: &Decision<'_>, now: DateTime<Utc>) -> Result<String, SimAnswer> {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    match decision {
        Decision::Approve => {
            let query: Vec<(String, String)> = form_urlencoded::parse(query_of(url).as_bytes()).into_owned().collect();
            fields.append_pair("decision", "approve");
            for scope in asked(server, &query)?.scopes {
                fields.append_pair("scope", &scope);
            }
        }
        Decision::ApproveOnly(scopes) => {
            fields.append_pair("decision", "approve").extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        }
        Decision::Deny => {
            fields.append_pair("decision", "deny");
        }
    }
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = Method::POST;
    head.uri = format!("http://browser{}?{}", server.rules.authorize_path, query_of(url)).parse().unwrap_or_default();
    let answer = answer(server, &SimRequest::new(head, fields.finish().into(), now));
    match answer.headers.iter().find(|(name, _)| *name == "location") {
        Some((_, location)) => Ok(location.clone()),
        None => Err(answer),
    }
}

fn query_of(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

/// The request, or the page for a browser that cannot be sent back.
fn asked(server: &AuthorizationServer, query: &[(String, String)]) -> Result<Asked, SimAnswer> {
    let named = |name: &str| query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let state = server.state();
    let client = named("client_id").unwrap_or_default();
    let Some(registered) = state.clients.get(&client) else {
        return Err(page::refused(401, "invalid_client", "The OAuth client was not found."));
    };
    let redirect_uri = named("redirect_uri").unwrap_or_default();
    if !registered.allows(&redirect_uri) || Url::parse(&redirect_uri).is_err() {
        return Err(page::refused(400, "redirect_uri_mismatch", "The redirect URI is not one the client was registered with."));
    }
    let scopes = named("scope").unwrap_or_default();
    let scopes = scopes.split([server.rules.separator, ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    Ok(Asked {
        scopes,
        client,
        redirect_uri,
        state: named("state"),
        challenge: named("code_challenge").filter(|challenge| !challenge.is_empty()),
        offline: named("access_type").as_deref() == Some("offline"),
    })
}

fn problem(server: &AuthorizationServer, request: &SimRequest, asked: &Asked) -> Option<&'static str> {
    match (&asked.challenge, request.query("code_challenge_method")) {
        (None, _) if server.rules.pkce => Some("code_challenge is missing"),
        (Some(_), method) if method != Some("S256") => Some("code_challenge_method has to be S256"),
        (Some(challenge), _) if challenge.len() != 43 => Some("code_challenge is no SHA-256 in base64url"),
        _ => None,
    }
}

fn approve(server: &AuthorizationServer, asked: &Asked, scopes: Vec<String>, now: DateTime<Utc>) -> SimAnswer {
    if scopes.is_empty() && !asked.scopes.is_empty() {
        return back(server, asked, &[("error", "access_denied"), ("error_description", "The user denied the request")]);
    }
    let granted = scopes.join(&server.rules.separator.to_string());
    let challenge = asked.challenge.as_deref();
    let code = server.state().make_code(&asked.client, &asked.redirect_uri, challenge, scopes, asked.offline, now);
    back(server, asked, &[("code", &code), ("scope", &granted)])
}

/// Sends the browser back.
fn back(server: &AuthorizationServer, asked: &Asked, fields: &[(&str, &str)]) -> SimAnswer {
    let Ok(mut url) = Url::parse(&asked.redirect_uri) else {
        return page::refused(400, "redirect_uri_mismatch", "The redirect URI is none.");
    };
    url.query_pairs_mut().extend_pairs(fields).extend_pairs(asked.state.iter().map(|state| ("state", state)));
    if let Some(issuer) = &server.rules.issuer {
        url.query_pairs_mut().append_pair("iss", issuer);
    }
    page::private(SimAnswer::html(302, "")).with_header("location", url)
}

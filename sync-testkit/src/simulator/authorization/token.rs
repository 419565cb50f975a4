//! The token endpoint: who asks, with what, and what is given out.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{
    AuthorizationServer, assertion,
    state::{Issued, State},
};
use crate::{SimAnswer, SimRequest};

/// Why a token endpoint gives nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such client.
    UnknownClient,
    /// Its secret is wrong or missing.
    BadSecret,
    /// The code is unknown, used, too old or another client's.
    BadCode,
    /// The redirect URI is not the one the code was asked for with.
    BadRedirectUri,
    /// The PKCE verifier does not fit the challenge.
    BadVerifier,
    /// The refresh token is unknown, spent, revoked or another client's.
    BadRefreshToken,
    /// The signed assertion is not one.
    BadAssertion(&'static str),
    /// There is no such grant.
    UnsupportedGrant,
    /// A parameter is missing.
    Missing(&'static str),
}

impl Refusal {
    /// As RFC 6749 answers it.
    pub(super) fn answer(self) -> SimAnswer {
        let (status, code, words) = match self {
            Self::UnknownClient => (401, "invalid_client", "The OAuth client was not found."),
            Self::BadSecret => (401, "invalid_client", "The provided client secret is invalid."),
            Self::BadCode => (400, "invalid_grant", "Malformed, used or expired auth code."),
            Self::BadRedirectUri => (400, "redirect_uri_mismatch", "Bad Request"),
            Self::BadVerifier => (400, "invalid_grant", "Invalid code verifier."),
            Self::BadRefreshToken => (400, "invalid_grant", "Token has been expired or revoked."),
            Self::BadAssertion(why) => (400, "invalid_grant", why),
            Self::UnsupportedGrant => (400, "unsupported_grant_type", "Invalid grant_type."),
            Self::Missing(name) => (400, "invalid_request", name),
        };
        let answer = SimAnswer::json(status, json!({"error": code, "error_description": words})).with_header("cache-control", "no-store");
        if status == 401 { answer.with_header("www-authenticate", "Basic realm=\"oauth\"") } else { answer }
    }
}

type Form = [(String, String)];

fn field<'a>(form: &'a Form, name: &'static str) -> Result<&'a str, Refusal> {
    form.iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
        .ok_or(Refusal::Missing(name))
}

/// Who says to be asking.
#[derive(Debug)]
pub(super) struct Client {
    id: String,
    secret: Option<String>,
}

impl Client {
    /// From HTTP Basic, or else from the form.
    pub(super) fn of(request: &SimRequest, form: &Form) -> Option<Self> {
        if let Some(header) = request.headers.get(AUTHORIZATION) {
            let (scheme, proof) = header.to_str().ok()?.split_once(' ')?;
            let pair = String::from_utf8(BASE64_STANDARD.decode(proof.trim()).ok()?).ok()?;
            let (id, secret) = pair.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
            // both are form-encoded inside (RFC 6749, section 2.3.1)
            let plain = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
            return Some(Self { id: plain(id), secret: Some(plain(secret)) });
        }
        let id = field(form, "client_id").ok()?.to_owned();
        Some(Self { id, secret: field(form, "client_secret").ok().map(str::to_owned) })
    }

    pub(super) fn check(&self, state: &State) -> Result<(), Refusal> {
        let registered = state.clients.get(&self.id).ok_or(Refusal::UnknownClient)?;
        if registered.secret != self.secret { Err(Refusal::BadSecret) } else { Ok(()) }
    }
}

pub(super) fn grant(server: &AuthorizationServer, request: &SimRequest) -> Result<Issued, Refusal> {
    let form = &request.form();
    let (rules, now, mut state) = (&*server.rules, request.now, server.state());
    // Slack's clients leave it out when they send a code
    let kind = field(form, "grant_type").or_else(|missing| field(form, "code").map(|_| "authorization_code").map_err(|_| missing))?;
    if kind == assertion::GRANT_TYPE {
        let (account, scopes) =
            assertion::check(field(form, "assertion")?, &state.accounts, rules.token_path, now).map_err(Refusal::BadAssertion)?;
        return Ok(state.direct(&account, scopes, rules, now));
    }
    let client = Client::of(request, form).ok_or(Refusal::UnknownClient)?;
    client.check(&state)?;
    match kind {
        "authorization_code" => {
            let code = field(form, "code")?;
            let found = state.code(code, &client.id, now).ok_or(Refusal::BadCode)?;
            if field(form, "redirect_uri").unwrap_or_default() != found.redirect_uri {
                return Err(Refusal::BadRedirectUri);
            }
            let verifier = field(form, "code_verifier").ok();
            let proved = verifier.map(|verifier| BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
            if proved != found.challenge {
                return Err(Refusal::BadVerifier);
            }
            Ok(state.redeem(code, &found, rules, now))
        }
        "refresh_token" => state.renew(field(form, "refresh_token")?, &client.id, rules, now).ok_or(Refusal::BadRefreshToken),
        "client_credentials" if client.secret.is_some() => {
            let asked = field(form, "scope").unwrap_or_default();
            let scopes = asked.split([rules.separator, ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
            Ok(state.direct(&client.id, scopes, rules, now))
        }
        _ => Err(Refusal::UnsupportedGrant),
    }
}

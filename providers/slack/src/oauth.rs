//! Slack's OAuth v2: addresses, scopes, and what it says in a way of its own.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use sync_core::{
    ClientAuth, Error, ErrorKind, ExposeSecret, Grant, OAuthCall, OAuthProvider, OAuthSpec, RefreshRule, Result, Revokes, Scope,
    SecretString, TokenSet, async_trait,
};
use sync_http::{Answer, Api, HttpTransport, Request, StandardOAuth};

use crate::{
    api, error,
    streams::{CHANNELS, MESSAGES, USERS},
};

/// What is read and written without further settings. An app asks for each in its own configuration as well.
const SCOPES: &[Scope] = &[
    Scope { name: "channels:read", streams: &[CHANNELS, MESSAGES], required: true },
    Scope { name: "channels:history", streams: &[MESSAGES], required: false },
    Scope { name: "groups:read", streams: &[CHANNELS, MESSAGES], required: false },
    Scope { name: "groups:history", streams: &[MESSAGES], required: false },
    Scope { name: "users:read", streams: &[USERS, MESSAGES], required: false },
    Scope { name: "users:read.email", streams: &[USERS], required: false },
    Scope { name: "chat:write", streams: &[MESSAGES], required: false },
];

/// Slack's OAuth. Only apps with token rotation have refresh tokens; the answer tells.
#[derive(Clone, Debug)]
pub(crate) struct SlackOAuth {
    standard: StandardOAuth,
    api: Api,
}

impl SlackOAuth {
    /// Beside the methods at `base_url`: the page for people is not below `api/`.
    pub(crate) fn new(base_url: &str, transport: Option<&Arc<dyn HttpTransport>>, api: &Api) -> Result<Self> {
        let methods = base_url.trim_end_matches('/');
        let site = methods.strip_suffix("/api").unwrap_or(methods);
        let builder = StandardOAuth::builder(OAuthSpec {
            authority: "slack",
            authorize_url: format!("{site}/oauth/v2/authorize").into(),
            token_url: format!("{methods}/oauth.v2.access").into(),
            revoke_url: None,
            revokes: Revokes::Access,
            client_auth: ClientAuth::Basic,
            scopes: SCOPES,
            scope_separator: ',',
            authorize_params: &[],
            refresh: RefreshRule::Rotated,
            life: None,
            issuer: None,
        })
        .classifier(classify)
        .reader(read);
        let builder = match transport {
            Some(transport) => builder.transport(Arc::clone(transport)),
            None => builder,
        };
        Ok(Self { standard: builder.build()?, api: api.clone() })
    }
}

#[async_trait]
impl OAuthProvider for SlackOAuth {
    fn spec(&self) -> &OAuthSpec {
        self.standard.spec()
    }

    async fn exchange(&self, call: &OAuthCall<'_>, code: &SecretString, verifier: &SecretString) -> Result<TokenSet> {
        self.standard.exchange(call, code, verifier).await
    }

    async fn renew(&self, call: &OAuthCall<'_>, grant: &Grant) -> Result<TokenSet> {
        self.standard.renew(call, grant).await
    }

    /// `auth.revoke` takes back the token it is called with: an access token, since it takes no other.
    async fn revoke(&self, call: &OAuthCall<'_>, token: &SecretString) -> Result<()> {
        let request = Request::post("slack.auth.revoke", "auth.revoke")
            .header("authorization", format!("Bearer {}", token.expose_secret()))
            .bucket(api::OTHERS)
            .secret(token)
            .repeatable(true);
        match self.api.send_oauth(call, request).await {
            // `token_revoked`, `account_inactive`: it is gone already. `invalid_auth` is said of what was never a token too.
            Err(error) if error.kind() == ErrorKind::AuthRevoked => Ok(()),
            answered => answered.map(drop),
        }
    }
}

#[derive(Deserialize)]
struct Refused {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
}

/// What Slack refuses about a code or token, and about the app; the rest is as for every other method.
fn classify(operation: &'static str, answer: &Answer) -> Result<()> {
    let refused: Option<Refused> = answer.json(operation).ok();
    let Some(code) = refused.filter(|refused| !refused.ok).and_then(|refused| refused.error) else {
        return sync_http::classify_oauth(operation, answer);
    };
    let (kind, advice) = match code.as_str() {
        "invalid_code" | "code_already_used" | "code_expired" | "invalid_code_verifier" => {
            (ErrorKind::AuthRevoked, "the code is not good any more; connect again")
        }
        "invalid_refresh_token" => (ErrorKind::AuthRevoked, "the refresh token was used or taken back; connect again"),
        "bad_client_secret"
        | "bad_redirect_uri"
        | "cannot_install_an_org_installed_app"
        | "invalid_client_id"
        | "invalid_grant_type"
        | "no_scopes"
        | "oauth_authorization_url_mismatch"
        | "token_rotation_not_enabled" => (ErrorKind::Config, "check the registered Slack app: its id, secret, redirect URI and scopes"),
        _ => return error::classify(operation, answer),
    };
    Err(Error::new(kind, operation, format!("Slack answered {code}; {advice}")).at("code", code))
}

/// An app that asks for permissions of the user alone gets a token inside `authed_user` and none beside it.
fn read(fields: &mut Map<String, Value>) -> Result<Map<String, Value>> {
    let has_own = fields.get("access_token").and_then(Value::as_str).is_some_and(|token| !token.is_empty());
    if !has_own && let Some(Value::Object(user)) = fields.remove("authed_user") {
        fields.extend(user);
    }
    Ok(Map::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sync_core::Retry;
    use sync_http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers: HeaderMap::new(), body: body.to_string().into() }
    }

    #[test]
    fn refusals_of_the_token_endpoint_name_the_user_or_the_app() {
        use ErrorKind::{AuthRevoked, Config, Invalid, RateLimited, Transport};
        for (status, code, kind) in [
            (200, "invalid_code", AuthRevoked),
            (200, "code_already_used", AuthRevoked),
            (200, "invalid_code_verifier", AuthRevoked),
            (200, "invalid_refresh_token", AuthRevoked),
            (200, "token_revoked", AuthRevoked),
            (200, "account_inactive", AuthRevoked),
            (200, "bad_client_secret", Config),
            (200, "invalid_client_id", Config),
            (200, "bad_redirect_uri", Config),
            (200, "no_scopes", Config),
            (200, "oauth_authorization_url_mismatch", Config),
            (200, "ratelimited", RateLimited),
            (429, "ratelimited", RateLimited),
            (200, "internal_error", Transport),
            (200, "tomorrow", Invalid),
        ] {
            let error = classify("oauth.renew", &answer(status, &json!({"ok": false, "error": code}))).expect_err(code);
            assert_eq!(error.kind(), kind, "{code}: {error}");
            assert_eq!(matches!(error.retry(), Retry::After(_)), matches!(kind, RateLimited | Transport), "{code}");
        }
        classify("oauth.renew", &answer(200, &json!({"ok": true, "access_token": "x"}))).expect("granted");
    }

    #[test]
    fn a_token_of_the_user_alone_is_found() {
        let mut fields = json!({"ok": true, "authed_user": {"id": "U1", "access_token": "xoxp-1", "scope": "chat:write"}});
        read(fields.as_object_mut().expect("an object")).expect("read");
        assert_eq!((&fields["access_token"], &fields["scope"]), (&json!("xoxp-1"), &json!("chat:write")));
        let mut fields = json!({"ok": true, "access_token": "xoxb-1", "authed_user": {"id": "U1", "access_token": "xoxp-1"}});
        read(fields.as_object_mut().expect("an object")).expect("read");
        assert_eq!(fields["access_token"], "xoxb-1");
    }
}

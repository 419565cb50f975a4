//! Slack's own words for what an authorization server grants and refuses.

use std::time::Duration;

use serde_json::{Value, json};
use sync_core::RefreshRule;
use sync_testkit::{Access, AuthorizationRules, AuthorizationServer, Issued, Refusal, SimAnswer, SimRequest, Simulator};

use super::{answer::refuse, state::State};

const TOKEN: &str = "/api/oauth.v2.access";
const REVOKE: &str = "/api/auth.revoke";

/// How Slack's OAuth behaves, for an app with or without token rotation.
pub(super) fn rules(rotation: bool) -> AuthorizationRules {
    AuthorizationRules {
        authorize_path: "/oauth/v2/authorize",
        token_path: TOKEN,
        revoke_path: REVOKE,
        separator: ',',
        refresh: if rotation { RefreshRule::Rotated } else { RefreshRule::None },
        life: rotation.then_some(Duration::from_secs(43_200)),
        granular: false,
        access_prefix: if rotation { "xoxe.xoxb-" } else { "xoxb-" },
        refresh_prefix: "xoxe-1-",
        ..AuthorizationRules::default()
    }
}

pub(super) fn answer(server: &AuthorizationServer, state: &State, request: &SimRequest) -> SimAnswer {
    match &*request.path {
        TOKEN => SimAnswer::json(200, server.grant(request).map_or_else(|refusal| refuse(code(refusal)), |issued| granted(state, &issued))),
        REVOKE => SimAnswer::json(
            200,
            match request.bearer() {
                None => refuse("not_authed"),
                Some(token) => match server.access(token, request.now) {
                    Access::Good(_) => json!({"ok": server.revoke(token), "revoked": true}),
                    Access::Expired => refuse("token_expired"),
                    Access::Revoked => refuse("token_revoked"),
                    // Refresh tokens too.
                    Access::Unknown => refuse("invalid_auth"),
                },
            },
        ),
        _ => server.answer(request),
    }
}

fn granted(state: &State, issued: &Issued) -> Value {
    let mut body = json!({
        "ok": true, "app_id": state.app.id, "authed_user": {"id": "U0INSTALLER"}, "scope": issued.scopes.join(","), "token_type": "bot",
        "access_token": issued.access, "bot_user_id": state.app.user, "team": {"id": state.team, "name": state.name}, "enterprise": null,
        "is_enterprise_install": false,
    });
    if let Some(refresh) = &issued.refresh {
        body["refresh_token"] = refresh.as_str().into();
    }
    if let Some(life) = issued.life {
        body["expires_in"] = life.as_secs().into();
    }
    body
}

fn code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownClient => "invalid_client_id",
        Refusal::BadSecret => "bad_client_secret",
        Refusal::BadCode => "invalid_code",
        Refusal::BadRedirectUri => "bad_redirect_uri",
        Refusal::BadVerifier => "invalid_code_verifier",
        Refusal::BadRefreshToken => "invalid_refresh_token",
        Refusal::BadAssertion(_) | Refusal::UnsupportedGrant => "invalid_grant_type",
        Refusal::Missing(_) => "invalid_arguments",
    }
}

use sync_core::{GrantKind, store::Renewal};

use super::*;

fn at(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::hours(hour)
}

/// One that works, with a token that lives until hour 10.
fn row() -> Connection {
    Connection {
        workspace_id: "acme".into(),
        id: "c1".into(),
        provider: "demo".into(),
        subject_id: None,
        account_id: "a".into(),
        account_name: None,
        connected_by: None,
        oauth_provider: Some("demo".into()),
        settings: serde_json::json!({}),
        status: ConnectionStatus::Active,
        sync_enabled: true,
        sync_frequency_minutes: 60,
        last_sync_at: Some(at(0)),
        sync_status: Some("completed".into()),
        error_message: None,
        error_kind: None,
        error_count: 0,
        expires_at: Some(at(10)),
        token_version: 1,
        grant: Some(GrantKind::RefreshToken),
        scopes: None,
        renewal: Renewal::default(),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// Every kind there is, and who has to act on it when runs fail, and when renewing does.
const KINDS: [(&str, Actor, Actor); 18] = [
    ("unsupported", Actor::Host, Actor::Host),
    ("config", Actor::Host, Actor::Host),
    ("auth", Actor::User, Actor::Service),
    ("auth_revoked", Actor::User, Actor::Service),
    ("forbidden", Actor::User, Actor::Service),
    ("not_found", Actor::Host, Actor::Host),
    ("rate_limited", Actor::Service, Actor::Service),
    ("cursor_expired", Actor::Service, Actor::Service),
    ("invalid", Actor::Host, Actor::Host),
    ("decode", Actor::Service, Actor::Service),
    ("transport", Actor::Service, Actor::Service),
    ("circuit_open", Actor::Service, Actor::Service),
    ("conflict", Actor::Host, Actor::Host),
    ("lease_lost", Actor::Host, Actor::Host),
    ("key", Actor::Host, Actor::Host),
    ("storage", Actor::Host, Actor::Host),
    ("cancelled", Actor::Host, Actor::Host),
    ("internal", Actor::Host, Actor::Host),
];

#[test]
fn who_has_to_act_follows_from_the_kind_of_the_last_error() {
    for (name, of_runs, of_renewals) in KINDS {
        let kind = ErrorKind::parse(name);
        assert_eq!(kind.map(ErrorKind::as_str), Some(name));
        let message = Some("what was said".into());
        let failed = Connection { status: ConnectionStatus::Error, error_kind: kind, error_message: message, error_count: 3, ..row() };
        let why = diagnose(&failed, true, at(1));
        assert_eq!(why.actor, of_runs, "runs that failed of {name}: {}", why.text);
        assert!(why.text.contains("what was said"), "{}", why.text);
        let renewal = Renewal { error_kind: kind, not_before: Some(at(1)), ..Renewal::default() };
        let why = diagnose(&Connection { renewal, ..row() }, true, at(1));
        assert_eq!(why.actor, of_renewals, "a renewal that failed of {name}: {}", why.text);
        assert!(why.text.contains("again by itself") && why.text.contains("serves until"), "{}", why.text);
    }
}

#[test]
fn each_state_says_who_has_to_act_and_what_to_do() {
    let day = |days: i64| at(24 * days);
    let kind = Some(ErrorKind::Transport);
    let failing = Renewal { failing_since: Some(day(0)), failed_at: Some(day(3)), failures: 7, error_kind: kind, ..Renewal::default() };
    let given_up = Renewal { failed_at: Some(day(4)), ..failing };
    let refused = Renewal { refused_at: Some(at(1)), ..Renewal::default() };
    let with = |renewal| Connection { renewal, ..row() };
    let (status, revoked) = (ConnectionStatus::Error, Some(ErrorKind::AuthRevoked));
    let by_a_call = Connection { status, error_kind: revoked, error_message: Some("token_revoked".into()), error_count: 1, ..row() };
    for (row, opens, now, actor, text) in [
        (row(), true, at(1), Actor::Nobody, "It works"),
        (Connection { last_sync_at: None, ..row() }, true, at(1), Actor::Nobody, "not synced yet"),
        (Connection { sync_enabled: false, ..row() }, true, at(1), Actor::Host, "no schedule runs it"),
        (row(), false, at(1), Actor::User, "no credentials"),
        (Connection { status: ConnectionStatus::Paused, ..row() }, true, at(1), Actor::Host, "switched off"),
        (Connection { status: ConnectionStatus::Disconnected, ..row() }, false, at(1), Actor::User, "disconnected"),
        (with(refused), true, at(1), Actor::User, "took the access back"),
        (by_a_call, true, at(1), Actor::User, "connect the account again"),
        (with(failing), true, day(90), Actor::Service, "asked again by itself"),
        (with(given_up), true, day(4), Actor::User, "asked no more"),
        (with(given_up), true, at(9), Actor::Service, "serves until"),
        (Connection { grant: None, ..row() }, true, at(10), Actor::User, "nothing to renew it with"),
    ] {
        let why = diagnose(&row, opens, now);
        assert!(why.actor == actor && why.text.contains(text), "{text}: {why:?}");
    }
}

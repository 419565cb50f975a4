//! How a connection stands, in a sentence.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::{
    ErrorKind,
    store::{Connection, ConnectionStatus},
};

use crate::services::given_up;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Nobody.
    Nobody,
    /// Somebody who may sign in to the account.
    User,
    /// Whoever runs the application.
    Host,
    /// The service; it is tried again by itself.
    Service,
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// In a sentence.
    pub text: String,
    /// Who has to act.
    pub actor: Actor,
}

/// Who has to act on an error of this kind; the service's ones are tried again by themselves.
fn actor(kind: Option<ErrorKind>) -> Actor {
    use ErrorKind::{Auth, AuthRevoked, CircuitOpen, CursorExpired, Decode, Forbidden, RateLimited, Transport};
    match kind {
        Some(Auth | AuthRevoked | Forbidden) => Actor::User,
        Some(Transport | Decode | RateLimited | CircuitOpen | CursorExpired) => Actor::Service,
        _ => Actor::Host,
    }
}

/// Says how a connection stands at a time. `opens` says whether it has the credentials it needs.
pub(super) fn diagnose(row: &Connection, opens: bool, now: DateTime<Utc>) -> Diagnosis {
    match row.status {
        ConnectionStatus::Disconnected => {
            return said(Actor::User, format!("The account was disconnected on {}. Connect it again to go on.", when(row.updated_at)));
        }
        ConnectionStatus::Paused => return said(Actor::Host, "It is switched off. Enable it to go on."),
        ConnectionStatus::Active | ConnectionStatus::Error => {}
    }
    if !opens {
        return said(Actor::User, "It has no credentials. Connect the account to go on.");
    }
    if let Some(found) = of_the_token(row, now).or_else(|| of_the_runs(row)) {
        return found;
    }
    if !row.sync_enabled {
        return said(Actor::Host, "It works, but no schedule runs it: it was switched off before. Enable it to go on.");
    }
    let synced = match row.last_sync_at {
        Some(at) => format!("It works; the last sync ended on {}.", when(at)),
        None => "It is connected and was not synced yet.".to_owned(),
    };
    said(Actor::Nobody, synced)
}

/// What is wrong with its token or grant.
fn of_the_token(row: &Connection, now: DateTime<Utc>) -> Option<Diagnosis> {
    let ended = row.expires_at.filter(|end| *end <= now);
    let token = || match (ended, row.expires_at) {
        (Some(end), _) => format!("the last one ended on {}", when(end)),
        (None, Some(end)) => format!("the last one serves until {}", when(end)),
        (None, None) => "the last one still serves".to_owned(),
    };
    let renewal = &row.renewal;
    if let Some(at) = renewal.refused_at {
        let text = format!("The service took the access back, as was found on {}. Somebody has to connect the account again.", when(at));
        return Some(said(Actor::User, text));
    }
    if let (Some(since), Some(_)) = (given_up(renewal), ended) {
        let text = format!(
            "The service has given no new token since {} in {} attempts; it is asked no more. Somebody has to connect the account again; \
             enabling it, or asking for a renewal, tries once more.",
            when(since),
            renewal.failures
        );
        return Some(said(Actor::User, text));
    }
    match (actor(renewal.error_kind), renewal.error_kind, renewal.failing_since) {
        (Actor::Host, Some(kind), _) => {
            let text = format!(
                "Its token could not be renewed ({}): the application's OAuth client, keys or database are to be mended, as \
                 oauth_refresh_failed in the activity log says; {}. Nobody has to connect again, and it is tried again by itself.",
                kind.as_str(),
                token()
            );
            return Some(said(Actor::Host, text));
        }
        (_, Some(_), None) => {
            let text = format!("The service could not be asked for a new token; {}. It is tried again by itself.", token());
            return Some(said(Actor::Service, text));
        }
        (_, _, Some(since)) => {
            let text = format!("The service has given no new token since {}; {}. It is asked again by itself.", when(since), token());
            return Some(said(Actor::Service, text));
        }
        (_, None, None) => {}
    }
    let (Some(end), None) = (ended, row.grant) else { return None };
    let text = format!("Its token ended on {}, and there is nothing to renew it with. Connect the account again.", when(end));
    Some(said(Actor::User, text))
}

/// What its last runs failed of.
fn of_the_runs(row: &Connection) -> Option<Diagnosis> {
    if row.status != ConnectionStatus::Error && row.error_count == 0 {
        return None;
    }
    let why = row.error_message.as_deref().unwrap_or("the reason was not kept");
    let failed = match row.error_count {
        0 | 1 => "The last run failed".to_owned(),
        count => format!("The last {count} runs failed"),
    };
    let to_do = match row.error_kind {
        Some(ErrorKind::Auth | ErrorKind::AuthRevoked) => ". Somebody has to connect the account again.".to_owned(),
        Some(kind) => format!(". To do: {}.", kind.hint()),
        None => String::new(),
    };
    Some(said(actor(row.error_kind), format!("{failed}: {}{to_do}", why.trim_end_matches('.'))))
}

fn said(actor: Actor, text: impl Into<String>) -> Diagnosis {
    Diagnosis { text: text.into(), actor }
}

fn when(at: DateTime<Utc>) -> String {
    at.format("%F %H:%M UTC").to_string()
}

#[cfg(test)]
#[path = "diagnosis_tests.rs"]
mod tests;

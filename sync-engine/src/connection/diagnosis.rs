//! How a connection stands, in a sentence.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sync_core::store::{Connection, ConnectionStatus};

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

/// Says how a connection stands at a time.
pub(super) fn diagnose(row: &Connection, now: DateTime<Utc>) -> Diagnosis {
    let when = |at: DateTime<Utc>| at.format("%F %H:%M UTC").to_string();
    let said = |actor, text: String| Diagnosis { text, actor };
    let ended = row.expires_at.filter(|end| *end <= now);
    match row.status {
        ConnectionStatus::Disconnected => {
            return said(Actor::User, format!("The account was disconnected on {}. Connect it again to go on.", when(row.updated_at)));
        }
        ConnectionStatus::Paused => return said(Actor::Host, "It is switched off. Enable it to go on.".to_owned()),
        ConnectionStatus::Active | ConnectionStatus::Error => {}
    }
    if let Some(at) = row.renewal.refused_at {
        let text = format!("The service took the access back, as was found on {}. Somebody has to connect the account again.", when(at));
        return said(Actor::User, text);
    }
    if let Some(since) = row.renewal.failing_since {
        let token = match (ended, row.expires_at) {
            (Some(end), _) => format!("the last one ended on {}", when(end)),
            (None, Some(end)) => format!("the last one serves until {}", when(end)),
            (None, None) => "the last one still serves".to_owned(),
        };
        let text = format!("The service has given no new token since {}; {token}. It is asked again by itself.", when(since));
        return said(Actor::Service, text);
    }
    if let (Some(end), None) = (ended, row.grant) {
        let text = format!("Its token ended on {}, and there is nothing to renew it with. Connect the account again.", when(end));
        return said(Actor::User, text);
    }
    if row.status == ConnectionStatus::Error || row.error_count > 0 {
        let why = row.error_message.as_deref().unwrap_or("the reason was not kept");
        let failed = match row.error_count {
            0 | 1 => "The last run failed".to_owned(),
            count => format!("The last {count} runs failed"),
        };
        return said(Actor::Host, format!("{failed}: {why}"));
    }
    let synced = match row.last_sync_at {
        Some(at) => format!("It works; the last sync ended on {}.", when(at)),
        None => "It is connected and was not synced yet.".to_owned(),
    };
    said(Actor::Nobody, synced)
}

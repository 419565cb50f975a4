//! `connections`: how they stand, in a sentence each, and what can be done with one.

use serde_json::{Value, json};
use syncline::{Actor, ConfigVersion, Connection, Diagnosis};

use super::View;
use crate::{
    args::{Connections, OnConnection},
    config::Config,
    exit::{Done, Exit},
    keys::Need,
    output::{self, Style},
    session::{Session, account},
};

pub(crate) async fn run(config: &Config, args: &Connections, view: View) -> Done {
    let (named, need) = match &args.what {
        None => return list(config, view).await,
        Some(OnConnection::History { connection, limit }) => return history(config, connection, *limit, view).await,
        Some(OnConnection::Why { connection } | OnConnection::Enable { connection } | OnConnection::Disable { connection }) => {
            (connection, Need::None)
        }
        Some(
            OnConnection::Restore { connection, .. }
            | OnConnection::Test { connection }
            | OnConnection::Renew { connection }
            | OnConnection::Disconnect { connection },
        ) => (connection, Need::Open),
    };
    let session = Session::open(config, need).await?;
    let connection = session.connection(named).await?;
    let done = match &args.what {
        Some(OnConnection::Test { .. }) => {
            let whose = connection.validate_credentials().await?;
            let name = whose.name.as_deref().unwrap_or(&whose.id);
            Some(format!("the service takes the credentials of {}", output::plain(name)))
        }
        Some(OnConnection::Renew { .. }) => {
            connection.refresh_oauth_token().await?;
            Some("the token was renewed".to_owned())
        }
        Some(OnConnection::Restore { version, .. }) => {
            connection.restore_config(*version).await?;
            Some(format!("version {version} is in force again"))
        }
        Some(OnConnection::Enable { .. }) => {
            connection.enable().await?;
            Some("switched on".to_owned())
        }
        Some(OnConnection::Disable { .. }) => {
            connection.disable().await?;
            Some("switched off".to_owned())
        }
        Some(OnConnection::Disconnect { .. }) => Some(match connection.disconnect().await? {
            true => "its tokens were revoked at the service and deleted here".to_owned(),
            false => "its tokens were deleted here; the service was not told, so take the access back there too".to_owned(),
        }),
        Some(OnConnection::Why { .. } | OnConnection::History { .. }) | None => None,
    };
    tell(&connection, done, view).await
}

async fn list(config: &Config, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let mut all = Vec::new();
    for row in session.workspace.connections().await? {
        let why = session.workspace.connection(row.id.clone()).await?.why().await?;
        all.push((row, why));
    }
    if view.json {
        let all: Vec<_> = all.iter().map(|(row, why)| json!({ "connection": row, "why": why })).collect();
        output::json(&json!({ "workspace": session.workspace.id(), "connections": all }));
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        output::line(format!("workspace {:?} has no connections; connect one: syncline connect --help", session.workspace.id().as_str()));
    }
    let style = Style::stdout();
    for (row, why) in &all {
        output::line(format!("{}  {}  {}", style.bold(&row.provider), output::plain(account(row)), style.faint(&row.id)));
        output::line(format!("  {}", sentence(why, style)));
    }
    Ok(Exit::Done)
}

async fn history(config: &Config, named: &str, limit: u32, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let connection = session.connection(named).await?;
    let versions = connection.config_versions(limit).await?;
    if view.json {
        output::json(&json!({ "connection": connection.id(), "versions": versions }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    for (at, version) in versions.iter().enumerate() {
        let when = version.changed_at.format("%F %T UTC");
        let who = format!("{} by {}, {when}", version.action.as_str(), output::plain(&version.changed_by));
        output::line(format!("{}  {who}", style.bold(format!("version {}", version.version))));
        for line in differences(version, versions.get(at + 1)) {
            output::line(format!("  {line}"));
        }
    }
    if versions.is_empty() {
        output::line("no versions yet: they are kept from the first change on");
    }
    Ok(Exit::Done)
}

/// What a version changed of the one before it; of the first one all that it says.
fn differences(version: &ConfigVersion, before: Option<&ConfigVersion>) -> Vec<String> {
    let Some(fields) = version.body.as_ref().and_then(Value::as_object) else { return vec!["deleted".into()] };
    let old = |field: &str| before.and_then(|before| before.body.as_ref()?.get(field));
    let changed = fields.iter().filter(|(field, value)| old(field) != Some(*value) && (before.is_some() || !value.is_null()));
    changed
        .map(|(field, value)| match old(field) {
            Some(old) => format!("{field}: {} → {}", output::cell(old), output::cell(value)),
            None => format!("{field}: {}", output::cell(value)),
        })
        .collect()
}

async fn tell(connection: &Connection, done: Option<String>, view: View) -> Done {
    let (row, why) = (connection.load_config().await?, connection.why().await?);
    if view.json {
        output::json(&json!({ "connection": row, "why": why, "done": done }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    output::line(format!("{}  {}  {}", style.bold(&row.provider), output::plain(account(&row)), style.faint(&row.id)));
    if let Some(done) = done {
        output::line(format!("  {} {done}", style.good("✓")));
    }
    output::line(format!("  {}", sentence(&why, style)));
    Ok(Exit::Done)
}

fn sentence(why: &Diagnosis, style: Style) -> String {
    let text = output::plain(&why.text);
    match why.actor {
        Actor::Nobody => style.good(text),
        Actor::Service => format!("{} {}", style.warn(text), style.faint("(up to the service)")),
        Actor::User => format!("{} {}", style.bad(text), style.faint("(up to whoever may sign in to the account)")),
        _ => format!("{} {}", style.bad(text), style.faint("(up to you)")),
    }
}

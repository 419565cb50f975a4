//! `connections`: how they stand, in a sentence each, and what can be done with one.

use serde_json::json;
use syncline::{Actor, Connection, Diagnosis};

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
        Some(OnConnection::Why { connection } | OnConnection::Enable { connection } | OnConnection::Disable { connection }) => {
            (connection, Need::None)
        }
        Some(OnConnection::Test { connection } | OnConnection::Renew { connection } | OnConnection::Disconnect { connection }) => {
            (connection, Need::Open)
        }
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
        Some(OnConnection::Why { .. }) | None => None,
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

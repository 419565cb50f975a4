//! `status`: how the connections are, in sentences.

use serde_json::json;
use syncline::{Clock as _, ConnectionStatus, SystemClock, core::store};

use super::View;
use crate::{
    config::Config,
    exit::{Done, Exit},
    keys::Need,
    output::{self, Style, plural},
    session::{Session, account},
};

pub(crate) async fn run(config: &Config, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    let rows = session.workspace.connections().await?;
    if view.json {
        output::json(&json!({ "workspace": session.workspace.id(), "connections": rows }));
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        output::line(format!("workspace {:?} has no connections; connect one: syncline connect --help", session.workspace.id().as_str()));
    }
    let style = Style::stdout();
    for row in &rows {
        let id = style.faint(&row.id);
        output::line(format!("{}  {}  {id}", style.bold(&row.provider), output::plain(account(row))));
        output::line(format!("  {} {}", state(row, style), last_sync(row)));
        if let Some(message) = &row.error_message {
            output::line(format!("  {} {}", style.bad("last failure:"), output::plain(message)));
        }
    }
    Ok(Exit::Done)
}

fn state(row: &store::Connection, style: Style) -> String {
    let failed = plural(row.error_count.into(), "run has failed", "runs in a row have failed");
    match row.status {
        ConnectionStatus::Active if row.error_count == 0 => style.good("In use."),
        ConnectionStatus::Active => style.warn(format!("In use, but {failed}.")),
        ConnectionStatus::Paused => style.warn("Switched off: no run starts."),
        ConnectionStatus::Error if row.error_count == 0 => style.bad("In error: connect it again (syncline connect … --replace)."),
        ConnectionStatus::Error => style.bad(format!("In error: {failed}. A pull that succeeds, or connecting again, clears it.")),
        ConnectionStatus::Disconnected => style.faint("Disconnected; its rows and history stay."),
    }
}

fn last_sync(row: &store::Connection) -> String {
    match row.last_sync_at {
        None => "Never pulled.".into(),
        Some(at) => {
            let span = (SystemClock.now() - at).to_std().unwrap_or_default();
            format!("Last pulled {} ({}).", output::ago(span), at.format("%F %T UTC"))
        }
    }
}

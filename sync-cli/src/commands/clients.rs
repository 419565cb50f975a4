//! `clients`: the clients of a workspace, and which accounts are theirs.

use serde_json::json;
use syncline::{Client, ClientAccount, ClientFacts};

use super::View;
use crate::{
    args::{AddClient, Clients, LinkClient, OnClients, UnlinkClient},
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Clients, view: View) -> Done {
    let session = Session::open(config, Need::None).await?;
    match &args.what {
        None | Some(OnClients::List) => list(&session, view).await,
        Some(OnClients::Add(args)) => add(&session, args, view).await,
        Some(OnClients::Link(args)) => link(&session, args, view).await,
        Some(OnClients::Unlink(args)) => unlink(&session, args, view).await,
        Some(OnClients::Remove { client }) => remove(&session, client, view).await,
    }
}

async fn list(session: &Session, view: View) -> Done {
    let clients = session.workspace.clients().await?;
    if view.json {
        output::json(&json!({ "workspace": session.workspace.id(), "clients": clients }));
        return Ok(Exit::Done);
    }
    if clients.is_empty() {
        output::line(format!("workspace {:?} has no clients; add one: syncline clients add --help", session.workspace.id().as_str()));
    }
    for client in &clients {
        show(client, None);
    }
    Ok(Exit::Done)
}

async fn add(session: &Session, args: &AddClient, view: View) -> Done {
    let given = |value: &Option<String>| value.as_deref().map(Box::<str>::from);
    let facts = ClientFacts {
        name: given(&args.name),
        industry: given(&args.industry),
        status: given(&args.status),
        website: given(&args.website),
    };
    let (client, made) = session.workspace.describe_client(&args.client, facts).await?;
    tell(&client, if made { "added" } else { "changed" }, view)
}

async fn link(session: &Session, args: &LinkClient, view: View) -> Done {
    let name = args.name.as_deref().map(Box::from);
    let account = ClientAccount { provider: (*args.provider).into(), account_id: (*args.account).into(), name };
    tell(&session.workspace.link_account(&args.client, account).await?, "linked", view)
}

async fn unlink(session: &Session, args: &UnlinkClient, view: View) -> Done {
    tell(&session.workspace.unlink_account(&args.client, &args.provider, &args.account).await?, "unlinked", view)
}

async fn remove(session: &Session, client: &str, view: View) -> Done {
    if !session.workspace.remove_client(client).await? {
        let text = format!("there is no client {client:?} in this workspace");
        return Err(Failure::usage(text, "clients", "list them: syncline clients"));
    }
    if view.json {
        output::json(&json!({ "removed": client }));
    } else {
        output::line(format!("client {} was removed; connections of its accounts keep it as their subject", output::plain(client)));
    }
    Ok(Exit::Done)
}

fn tell(client: &Client, done: &str, view: View) -> Done {
    if view.json {
        output::json(&json!({ "client": client, "done": done }));
    } else {
        show(client, Some(done));
    }
    Ok(Exit::Done)
}

fn show(client: &Client, done: Option<&str>) {
    let style = Style::stdout();
    output::line(format!("{}  {}", style.bold(output::plain(&client.name)), style.faint(output::plain(&client.id))));
    if let Some(done) = done {
        output::line(format!("  {} {done}", style.good("✓")));
    }
    let told = [("industry", &client.industry), ("status", &client.status), ("website", &client.website)];
    for (what, value) in told.into_iter().filter_map(|(what, value)| Some((what, value.as_deref()?))) {
        output::line(format!("  {what}: {}", output::plain(value)));
    }
    for account in &client.accounts {
        let name = account.name.as_deref().map(|name| format!("  {}", output::plain(name))).unwrap_or_default();
        output::line(format!("  {} {}{name}", output::plain(&account.provider), output::plain(&account.account_id)));
    }
}

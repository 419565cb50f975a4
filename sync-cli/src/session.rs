//! One command's engine, and how connections are named on the command line.

use syncline::{
    Builder, Connection, OAuthClient, Sheets, Slack, Syncline, Workspace,
    core::{IntegrationSync, store},
};

use crate::{
    config::Config,
    exit::{Done, Failure},
    keys::{self, Need},
    storage::{self, Missing},
};

/// Letters of an id that are enough to mean it.
const MARKED: usize = 4;

/// An engine on the configured database.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Syncline,
    pub(crate) workspace: Workspace,
}

impl Session {
    /// Opens the database. Only [`Need::Seal`] makes one that is not there.
    pub(crate) async fn open(config: &Config, need: Need) -> Done<Self> {
        let storage = storage::open(config, if need == Need::Seal { Missing::Make } else { Missing::Refuse }).await?;
        let builder = providers(clients(Syncline::builder(), config), config)?;
        let engine = builder.shared_storage(storage).keyring(keys::load(config, need)?).build().await?;
        let workspace = engine.workspace(&*config.workspace);
        let workspace = config.acting.as_ref().map_or_else(|| workspace.clone(), |user| workspace.acting(user));
        Ok(Self { engine, workspace })
    }

    /// The connection a person means: its id, the beginning of one, the account's name, or a provider that has only one.
    pub(crate) async fn connection(&self, named: &str) -> Done<Connection> {
        let all = self.workspace.connections().await?;
        let id = choose(&all, named, self.workspace.id().as_str())?.id.clone();
        Ok(self.workspace.connection(id).await?)
    }
}

/// Where a browser comes back to when the configuration says nothing else.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:4011/callback";

/// The OAuth clients of the configuration, by the authority each is registered with.
fn clients(mut builder: Builder, config: &Config) -> Builder {
    for (authority, provider) in [("google", "sheets"), ("slack", "slack")] {
        let Some((service, id)) = config.service(provider).and_then(|service| Some((service, service.client_id.as_deref()?))) else {
            continue;
        };
        let client = OAuthClient::new(id, service.redirect_uri.as_deref().unwrap_or(REDIRECT_URI));
        let secret = std::env::var(secret_variable(provider)).ok().filter(|secret| !secret.trim().is_empty());
        builder = builder.oauth_client(
            authority,
            match secret {
                Some(secret) => client.with_secret(secret.trim().to_owned()),
                None => client,
            },
        );
    }
    builder
}

/// The variable that holds the secret of a service's OAuth client.
pub(crate) fn secret_variable(provider: &str) -> String {
    format!("SYNCLINE_{}_CLIENT_SECRET", provider.to_uppercase())
}

/// The services this command knows.
fn providers(builder: Builder, config: &Config) -> Done<Builder> {
    Ok(builder.provider(sheets(config)?).provider(slack(config)?))
}

/// One of them by its name.
pub(crate) fn provider(config: &Config, name: &str) -> Done<Option<Box<dyn IntegrationSync>>> {
    Ok(match name {
        "sheets" => Some(Box::new(sheets(config)?)),
        "slack" => Some(Box::new(slack(config)?)),
        _ => None,
    })
}

fn sheets(config: &Config) -> Done<Sheets> {
    let builder = config.sheets.base_url.iter().fold(Sheets::builder(), |builder, url| builder.base_url(url));
    let builder = config.sheets.oauth_url.iter().fold(builder, |builder, url| builder.oauth_url(url));
    Ok(builder.build()?)
}

fn slack(config: &Config) -> Done<Slack> {
    let builder = config.slack.base_url.iter().fold(Slack::builder(), |builder, url| builder.base_url(url));
    Ok(builder.build()?)
}

fn choose<'c>(all: &'c [store::Connection], named: &str, workspace: &str) -> Done<&'c store::Connection> {
    let short = |row: &store::Connection| named.len() >= MARKED && row.id.as_str().starts_with(named);
    let ways: [&dyn Fn(&store::Connection) -> bool; 3] =
        [&|row| row.id.as_str() == named, &|row| &*row.provider == named, &|row| short(row) || row.account_name.as_deref() == Some(named)];
    let meant = ways.map(|way| all.iter().filter(|row| way(row)).collect::<Vec<_>>()).into_iter().find(|rows| !rows.is_empty());
    match meant.as_deref() {
        Some([row]) => Ok(row),
        Some(several) => Err(Failure::usage(
            format!("{named:?} may mean {}", listed(several.iter().copied())),
            "connection",
            "name one of them by its id",
        )),
        None if all.is_empty() => Err(Failure::usage(
            format!("there is no connection {named:?}; workspace {workspace:?} has none"),
            "connection",
            "connect an account first: `syncline connect --help`",
        )),
        None => Err(Failure::usage(
            format!("there is no connection {named:?}; there are: {}", listed(all.iter())),
            "connection",
            "name one of them by its id, the beginning of its id, or its provider",
        )),
    }
}

fn listed<'c>(rows: impl Iterator<Item = &'c store::Connection>) -> String {
    let words = rows.map(|row| format!("{} ({}, {})", row.id, row.provider, account(row)));
    words.collect::<Vec<_>>().join("; ")
}

/// An account as people know it.
pub(crate) fn account(row: &store::Connection) -> &str {
    row.account_name.as_deref().unwrap_or(&row.account_id)
}

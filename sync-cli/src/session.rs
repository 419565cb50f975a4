//! One command's engine, and how connections are named on the command line.

use std::path::Path;

use syncline::{
    Builder, Connection, Sheets, Slack, SqliteStorage, Syncline, Workspace,
    core::{IntegrationSync, store},
};

use crate::{
    config::Config,
    exit::{Done, Failure},
    keys::{self, Need},
};

/// An engine on the configured database.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Syncline,
    pub(crate) workspace: Workspace,
}

impl Session {
    /// Opens the database. Only [`Need::Seal`] makes one that is not there.
    pub(crate) async fn open(config: &Config, need: Need) -> Done<Self> {
        if need != Need::Seal && !config.database.exists() {
            return Err(Failure::usage(
                format!("there is no database {}", config.database.display()),
                "database",
                "connect an account first (`syncline connect --help`), or name another file with --database",
            ));
        }
        let storage = open_storage(&config.database).await?;
        let engine = providers(Syncline::builder(), config)?.storage(storage).keyring(keys::load(config, need)?).build().await?;
        let workspace = engine.workspace(&*config.workspace);
        Ok(Self { engine, workspace })
    }

    /// The connection a person means: its id, the beginning of one, the account's name, or a provider that has only one.
    pub(crate) async fn connection(&self, named: &str) -> Done<Connection> {
        let all = self.workspace.connections().await?;
        let id = choose(&all, named, self.workspace.id().as_str())?.id.clone();
        Ok(self.workspace.connection(id).await?)
    }
}

/// The SQLite file.
pub(crate) async fn open_storage(database: &Path) -> Done<SqliteStorage> {
    SqliteStorage::open(database).await.map_err(|e| e.at("database", database.display().to_string()).into())
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
    Ok(builder.build()?)
}

fn slack(config: &Config) -> Done<Slack> {
    let builder = config.slack.base_url.iter().fold(Slack::builder(), |builder, url| builder.base_url(url));
    Ok(builder.build()?)
}

fn choose<'c>(all: &'c [store::Connection], named: &str, workspace: &str) -> Done<&'c store::Connection> {
    let exact = all.iter().find(|row| row.id.as_str() == named);
    let by_provider: Vec<_> = all.iter().filter(|row| &*row.provider == named).collect();
    let by_rest: Vec<_> = all
        .iter()
        .filter(|row| named.len() >= 4 && row.id.as_str().starts_with(named) || row.account_name.as_deref() == Some(named))
        .collect();
    match (exact, by_provider.as_slice(), by_rest.as_slice()) {
        (Some(row), ..) | (None, [row], _) | (None, [], [row]) => Ok(row),
        (None, [], []) if all.is_empty() => Err(Failure::usage(
            format!("there is no connection {named:?}; workspace {workspace:?} has none"),
            "connection",
            "connect an account first: `syncline connect --help`",
        )),
        (None, [], []) => Err(Failure::usage(
            format!("there is no connection {named:?}; there are: {}", listed(all.iter())),
            "connection",
            "name one of them by its id, the first letters of its id, or its provider",
        )),
        (None, several, rest) => Err(Failure::usage(
            format!("{named:?} may mean {}", listed(several.iter().chain(rest).copied())),
            "connection",
            "name one of them by its id",
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

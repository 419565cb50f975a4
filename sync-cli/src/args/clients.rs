//! `clients`.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline clients add initech --name Initech --website https://initech.example
  syncline clients link initech slack T024BE7LD
  syncline clients unlink initech slack T024BE7LD
  syncline clients")]
pub(crate) struct Clients {
    #[command(subcommand)]
    pub(crate) what: Option<OnClients>,
}

/// What is done with clients.
#[derive(Debug, Subcommand)]
pub(crate) enum OnClients {
    /// List them with their accounts.
    List,
    /// Add one, or change what is known of one; what is not given stays.
    Add(AddClient),
    /// Say that an account at a service is a client's. Its connection, made already or later on, belongs to that client.
    Link(LinkClient),
    /// Say that an account is a client's no more. Its connection keeps the client as its subject.
    Unlink(UnlinkClient),
    /// Remove one with its links. Connections and rows stay.
    Remove {
        /// Its id.
        client: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AddClient {
    /// Its id, of your choice.
    pub(crate) client: String,
    /// As people know it; the id by default.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// What it does.
    #[arg(long, value_name = "TEXT")]
    pub(crate) industry: Option<String>,
    /// Where it stands with you: active, lead; any text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) status: Option<String>,
    /// Its web site.
    #[arg(long, value_name = "URL")]
    pub(crate) website: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct LinkClient {
    /// The client's id.
    pub(crate) client: String,
    /// The service: sheets or slack.
    pub(crate) provider: String,
    /// The service's id of the account.
    pub(crate) account: String,
    /// As people know the account.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct UnlinkClient {
    /// The client's id.
    pub(crate) client: String,
    /// The service: sheets or slack.
    pub(crate) provider: String,
    /// The service's id of the account.
    pub(crate) account: String,
}

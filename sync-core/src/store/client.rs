//! The clients of a workspace, as an agency has them, and which accounts are theirs.

use std::{collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// A client of the workspace. A host that keeps clients of its own needs none of these: what a connection belongs to
/// ([`subject_id`](super::Connection::subject_id)) is any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id, unique in the workspace; the host's choice.
    pub id: Box<str>,
    /// As people know it.
    pub name: Box<str>,
    /// What it does.
    pub industry: Option<Box<str>>,
    /// Where it stands with the host: `active`, `lead`; any text.
    pub status: Option<Box<str>>,
    /// Its web site.
    pub website: Option<Box<str>>,
    /// The accounts at services that are its own, connected or not.
    pub accounts: Vec<ClientAccount>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When any of this last changed.
    pub updated_at: DateTime<Utc>,
}

/// An account at a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAccount {
    /// The provider's name.
    pub provider: Box<str>,
    /// The service's id of the account.
    pub account_id: Box<str>,
    /// As people know the account.
    pub name: Option<Box<str>>,
}

/// What is to be known of a client; `None` leaves what is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// As people know it.
    pub name: Option<Box<str>>,
    /// What it does.
    pub industry: Option<Box<str>>,
    /// Where it stands with the host.
    pub status: Option<Box<str>>,
    /// Its web site.
    pub website: Option<Box<str>>,
}

impl ClientFacts {
    /// Writes them down in a client, as of `at`.
    pub fn apply(self, client: &mut Client, at: DateTime<Utc>) {
        client.name = self.name.unwrap_or_else(|| std::mem::take(&mut client.name));
        client.industry = self.industry.or_else(|| client.industry.take());
        client.status = self.status.or_else(|| client.status.take());
        client.website = self.website.or_else(|| client.website.take());
        client.updated_at = at;
    }
}

impl Client {
    /// A client without any account, as of `at`.
    pub fn new(id: impl Into<Box<str>>, name: impl Into<Box<str>>, at: DateTime<Utc>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            industry: None,
            status: None,
            website: None,
            accounts: Vec::new(),
            created_at: at,
            updated_at: at,
        }
    }

    /// What every storage refuses: an empty id or name, an account without provider or id, and one that is listed twice.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) that says which.
    pub fn check(&self) -> Result<()> {
        let refused = |text: String| Err(Error::config("put_client", text));
        if self.id.is_empty() || self.name.is_empty() {
            return refused("a client has an id and a name".into());
        }
        let mut seen = BTreeSet::new();
        for account in &self.accounts {
            account.check(&self.id)?;
            if !seen.insert((&account.provider, &account.account_id)) {
                return refused(format!("account {:?} of {} is listed twice", account.account_id, account.provider));
            }
        }
        Ok(())
    }
}

/// The error of a client that is not there.
#[must_use]
pub fn unknown_client(operation: &'static str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("there is no client {id:?} in this workspace"))
}

impl ClientAccount {
    /// What every storage refuses: an account without provider or id.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config).
    pub fn check(&self, client: &str) -> Result<()> {
        if self.provider.is_empty() || self.account_id.is_empty() {
            return Err(Error::config("put_client", format!("an account of client {client:?} lacks its provider or its id")));
        }
        Ok(())
    }

    /// The error of an account that belongs to another client already.
    #[must_use]
    pub fn taken(&self, by: &str) -> Error {
        let text = format!(
            "account {:?} of {} is linked to client {by:?}; take it away there first. Nothing was written",
            self.account_id, self.provider
        );
        Error::new(ErrorKind::Conflict, "put_client", text).at("client", by)
    }
}

/// Keeps clients. An account is linked to at most one client of a workspace, and
/// [`connect`](super::ConnectionStore::connect) gives a connection that has no subject, and is given none, the client of its account.
#[async_trait]
pub trait ClientStore: Debug + Send + Sync {
    /// Makes a client, or puts this one whole in the place of the one with its id, which keeps the time it was made at. Connections of its
    /// accounts that have no subject get it, which `by` changes of them. Nobody's subject is taken away. All of it is durable, or nothing is. Answers what is stored.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) for an account that is linked to another client: it names that one.
    /// [`Config`](ErrorKind::Config) as of [`Client::check`].
    async fn put_client(&self, client: Client, by: Option<&str>) -> Result<Client> {
        let _ = (client, by);
        Err(Error::unsupported("put_client"))
    }

    /// Says that an account is a client's, whatever else is changed of the client at the same moment. An account that is its own already
    /// gets the name, if there is one. The connection of the account gets the client as [`put_client`](Self::put_client) has it. Durable;
    /// answers the client.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Conflict`](ErrorKind::Conflict) for an account that is linked to another client: it names
    /// that one. [`Config`](ErrorKind::Config) for an account without provider or id.
    async fn link_account(&self, client: &str, account: ClientAccount, by: Option<&str>, at: DateTime<Utc>) -> Result<Client> {
        let _ = (client, account, by, at);
        Err(Error::unsupported("link_account"))
    }

    /// Says that an account is a client's no more, durably; answers the client. One that is not linked to it changes nothing. Connections
    /// keep their subject.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    async fn unlink_account(&self, client: &str, provider: &str, account_id: &str, at: DateTime<Utc>) -> Result<Client> {
        let _ = (client, provider, account_id, at);
        Err(Error::unsupported("unlink_account"))
    }

    /// Changes what is known of a client and leaves its accounts alone; one that is not there is made, called by its id unless it is given
    /// a name. Durable; answers the client, and whether it was made.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) as of [`Client::check`].
    async fn describe_client(&self, id: &str, facts: ClientFacts, at: DateTime<Utc>) -> Result<(Client, bool)> {
        let _ = (id, facts, at);
        Err(Error::unsupported("describe_client"))
    }

    /// One client; `None` for unknown ids and those of other workspaces alike.
    async fn client(&self, id: &str) -> Result<Option<Client>> {
        let _ = id;
        Err(Error::unsupported("client"))
    }

    /// All clients, by name, then by id.
    async fn clients(&self) -> Result<Vec<Client>> {
        Err(Error::unsupported("clients"))
    }

    /// The client that an account is linked to.
    async fn client_of(&self, provider: &str, account_id: &str) -> Result<Option<Client>> {
        let _ = (provider, account_id);
        Err(Error::unsupported("client_of"))
    }

    /// Removes a client with its links; answers whether there was one. Connections keep their subject.
    async fn remove_client(&self, id: &str) -> Result<bool> {
        let _ = id;
        Err(Error::unsupported("remove_client"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_an_id_a_name_and_each_account_once() {
        let account = |provider: &str, id: &str| ClientAccount { provider: provider.into(), account_id: id.into(), name: None };
        let client = |id: &str, name: &str, accounts: &[ClientAccount]| Client {
            accounts: accounts.to_vec(),
            ..Client::new(id, name, DateTime::UNIX_EPOCH)
        };
        for (client, taken) in [
            (client("a", "A", &[]), true),
            (client("a", "A", &[account("slack", "1"), account("sheets", "1"), account("slack", "2")]), true),
            (client("", "A", &[]), false),
            (client("a", "", &[]), false),
            (client("a", "A", &[account("", "1")]), false),
            (client("a", "A", &[account("slack", "")]), false),
            (client("a", "A", &[account("slack", "1"), account("sheets", "1"), account("slack", "1")]), false),
        ] {
            assert_eq!(client.check().is_ok(), taken, "{client:?}");
        }
    }

    #[test]
    fn the_error_of_a_taken_account_names_the_client_that_has_it() {
        let error = ClientAccount { provider: "slack".into(), account_id: "T1".into(), name: None }.taken("initech");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("\"initech\""), "{error}");
    }
}

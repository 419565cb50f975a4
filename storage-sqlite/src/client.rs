//! Clients and the accounts that are theirs.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Row, Transaction};
use sync_core::{
    Result, WorkspaceId,
    store::{Client, ClientAccount, ClientFacts, ClientStore, ConnectionPatch, unknown_client},
};

use crate::{
    connection,
    error::{Db, internal},
    storage::{Durability, Scoped},
    time,
};

fn from_row(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        id: row.get(0)?,
        name: row.get(1)?,
        industry: row.get(2)?,
        status: row.get(3)?,
        website: row.get(4)?,
        accounts: Vec::new(),
        created_at: time::column(row, 5)?,
        updated_at: time::column(row, 6)?,
    })
}

const COLUMNS: &str = "id, name, industry, status, website, created_at, updated_at";

fn accounts(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &str) -> Db<Vec<ClientAccount>> {
    let mut found = tx.prepare_cached(
        "SELECT provider, account_id, name FROM syncline_client_accounts WHERE workspace_id = ?1 AND client_id = ?2 ORDER BY position",
    )?;
    let rows = found.query_map((workspace.as_str(), id), |row| {
        Ok(ClientAccount { provider: row.get(0)?, account_id: row.get(1)?, name: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &str) -> Db<Option<Client>> {
    let sql = format!("SELECT {COLUMNS} FROM syncline_clients WHERE workspace_id = ?1 AND id = ?2");
    let Some(mut client) = tx.prepare_cached(&sql)?.query_row((workspace.as_str(), id), from_row).optional()? else { return Ok(None) };
    client.accounts = accounts(tx, workspace, id)?;
    Ok(Some(client))
}

/// The client that an account is linked to.
pub(crate) fn of_account(tx: &Transaction<'_>, workspace: &WorkspaceId, provider: &str, account: &str) -> Db<Option<Box<str>>> {
    let sql = "SELECT client_id FROM syncline_client_accounts WHERE workspace_id = ?1 AND provider = ?2 AND account_id = ?3";
    Ok(tx.prepare_cached(sql)?.query_row((workspace.as_str(), provider, account), |row| row.get(0)).optional()?)
}

/// A connection of the account that has no subject gets the client.
fn name_subject(tx: &Transaction<'_>, workspace: &WorkspaceId, client: &Client, account: &ClientAccount, by: Option<&str>) -> Db<()> {
    let Some(id) = connection::id_of(tx, workspace, &account.provider, &account.account_id)? else { return Ok(()) };
    let Some(before) = connection::find(tx, workspace, &id)?.filter(|before| before.subject_id.is_none()) else { return Ok(()) };
    let patch = ConnectionPatch { subject_id: Some(client.id.clone()), changed_by: by.map(Box::from), ..ConnectionPatch::default() };
    connection::update(tx, workspace, &before.id, &patch, client.updated_at)?;
    Ok(())
}

/// Writes down what is known of a client, without its accounts.
fn write(tx: &Transaction<'_>, workspace: &WorkspaceId, client: &Client) -> Db<()> {
    tx.prepare_cached(
        "INSERT INTO syncline_clients (workspace_id, id, name, industry, status, website, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name, \
         industry = excluded.industry, status = excluded.status, website = excluded.website, updated_at = excluded.updated_at",
    )?
    .execute((
        workspace.as_str(),
        &*client.id,
        &*client.name,
        client.industry.as_deref(),
        client.status.as_deref(),
        client.website.as_deref(),
        time::text(client.created_at),
        time::text(client.updated_at),
    ))?;
    Ok(())
}

/// Links one account; its connection gets the client.
fn write_link(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    client: &Client,
    (position, account): (usize, &ClientAccount),
    by: Option<&str>,
) -> Db<()> {
    if let Some(other) = of_account(tx, workspace, &account.provider, &account.account_id)? {
        return Err(account.taken(&other).into());
    }
    tx.prepare_cached(
        "INSERT INTO syncline_client_accounts (workspace_id, provider, account_id, client_id, position, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        workspace.as_str(),
        &*account.provider,
        &*account.account_id,
        &*client.id,
        position as i64,
        account.name.as_deref(),
    ))?;
    name_subject(tx, workspace, client, account, by)
}

fn stored(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &str) -> Db<Client> {
    find(tx, workspace, id)?.ok_or_else(|| internal("put_client", "a client that was just stored is not there"))
}

fn put(tx: &Transaction<'_>, workspace: &WorkspaceId, client: &Client, by: Option<&str>) -> Db<Client> {
    client.check()?;
    write(tx, workspace, client)?;
    tx.prepare_cached("DELETE FROM syncline_client_accounts WHERE workspace_id = ?1 AND client_id = ?2")?
        .execute((workspace.as_str(), &*client.id))?;
    for linked in client.accounts.iter().enumerate() {
        write_link(tx, workspace, client, linked, by)?;
    }
    stored(tx, workspace, &client.id)
}

fn link(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    id: &str,
    account: &ClientAccount,
    by: Option<&str>,
    at: DateTime<Utc>,
) -> Db<Client> {
    account.check(id)?;
    let mut client = find(tx, workspace, id)?.ok_or_else(|| unknown_client("link_account", id))?;
    client.updated_at = at;
    if client.accounts.iter().any(|linked| (&linked.provider, &linked.account_id) == (&account.provider, &account.account_id)) {
        let named =
            "UPDATE syncline_client_accounts SET name = coalesce(?4, name) WHERE workspace_id = ?1 AND provider = ?2 AND account_id = ?3";
        tx.prepare_cached(named)?.execute((workspace.as_str(), &*account.provider, &*account.account_id, account.name.as_deref()))?;
    } else {
        let next = "SELECT coalesce(max(position), -1) + 1 FROM syncline_client_accounts WHERE workspace_id = ?1 AND client_id = ?2";
        let position: u32 = tx.prepare_cached(next)?.query_row((workspace.as_str(), id), |row| row.get(0))?;
        write_link(tx, workspace, &client, (position as usize, account), by)?;
    }
    write(tx, workspace, &client)?;
    stored(tx, workspace, id)
}

fn unlink(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &str, (provider, account): (&str, &str), at: DateTime<Utc>) -> Db<Client> {
    let mut client = find(tx, workspace, id)?.ok_or_else(|| unknown_client("unlink_account", id))?;
    let gone = "DELETE FROM syncline_client_accounts WHERE workspace_id = ?1 AND client_id = ?2 AND provider = ?3 AND account_id = ?4";
    if tx.prepare_cached(gone)?.execute((workspace.as_str(), id, provider, account))? == 1 {
        client.updated_at = at;
        write(tx, workspace, &client)?;
    }
    stored(tx, workspace, id)
}

fn describe(tx: &Transaction<'_>, workspace: &WorkspaceId, id: &str, facts: ClientFacts, at: DateTime<Utc>) -> Db<(Client, bool)> {
    let known = find(tx, workspace, id)?;
    let made = known.is_none();
    let mut client = known.unwrap_or_else(|| Client::new(id, id, at));
    facts.apply(&mut client, at);
    client.check()?;
    write(tx, workspace, &client)?;
    Ok((stored(tx, workspace, id)?, made))
}

#[async_trait]
impl ClientStore for Scoped {
    async fn put_client(&self, client: Client, by: Option<&str>) -> Result<Client> {
        self.workspace.check("put_client")?;
        let (workspace, by) = (self.workspace.clone(), by.map(Box::<str>::from));
        let job = move |tx: &Transaction<'_>| put(tx, &workspace, &client, by.as_deref());
        self.inner.write("put_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn link_account(&self, client: &str, account: ClientAccount, by: Option<&str>, at: DateTime<Utc>) -> Result<Client> {
        self.workspace.check("link_account")?;
        let (workspace, id, by) = (self.workspace.clone(), Box::<str>::from(client), by.map(Box::<str>::from));
        let job = move |tx: &Transaction<'_>| link(tx, &workspace, &id, &account, by.as_deref(), at);
        self.inner.write("link_account", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn unlink_account(&self, client: &str, provider: &str, account_id: &str, at: DateTime<Utc>) -> Result<Client> {
        let (workspace, id) = (self.workspace.clone(), Box::<str>::from(client));
        let (provider, account) = (Box::<str>::from(provider), Box::<str>::from(account_id));
        let job = move |tx: &Transaction<'_>| unlink(tx, &workspace, &id, (&provider, &account), at);
        self.inner.write("unlink_account", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn describe_client(&self, id: &str, facts: ClientFacts, at: DateTime<Utc>) -> Result<(Client, bool)> {
        self.workspace.check("describe_client")?;
        let (workspace, id) = (self.workspace.clone(), Box::<str>::from(id));
        let job = move |tx: &Transaction<'_>| describe(tx, &workspace, &id, facts, at);
        self.inner.write("describe_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn client(&self, id: &str) -> Result<Option<Client>> {
        let (workspace, id) = (self.workspace.clone(), Box::<str>::from(id));
        self.inner.read("client", move |tx| find(tx, &workspace, &id)).await
    }

    async fn clients(&self) -> Result<Vec<Client>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("clients", move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM syncline_clients WHERE workspace_id = ?1 ORDER BY name, id");
            let mut found = tx.prepare_cached(&sql)?;
            let mut clients = found.query_map([workspace.as_str()], from_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
            for client in &mut clients {
                client.accounts = accounts(tx, &workspace, &client.id)?;
            }
            Ok(clients)
        });
        found.await
    }

    async fn client_of(&self, provider: &str, account_id: &str) -> Result<Option<Client>> {
        let (workspace, provider, account) = (self.workspace.clone(), Box::<str>::from(provider), Box::<str>::from(account_id));
        let found = self.inner.read("client_of", move |tx| {
            let id = of_account(tx, &workspace, &provider, &account)?;
            id.map_or(Ok(None), |id| find(tx, &workspace, &id))
        });
        found.await
    }

    async fn remove_client(&self, id: &str) -> Result<bool> {
        let (workspace, id) = (self.workspace.clone(), Box::<str>::from(id));
        let job = move |tx: &Transaction<'_>| {
            // Its links go with it.
            let mut removed = tx.prepare_cached("DELETE FROM syncline_clients WHERE workspace_id = ?1 AND id = ?2")?;
            Ok(removed.execute((workspace.as_str(), &*id))? == 1)
        };
        self.inner.write("remove_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

//! Clients and the accounts that are theirs.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, Transaction};
use sync_core::{
    Result, WorkspaceId,
    store::{Client, ClientAccount, ClientStore, ConnectionPatch},
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

fn put(tx: &Transaction<'_>, workspace: &WorkspaceId, client: &Client, by: Option<&str>) -> Db<Client> {
    client.check()?;
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
    tx.prepare_cached("DELETE FROM syncline_client_accounts WHERE workspace_id = ?1 AND client_id = ?2")?
        .execute((workspace.as_str(), &*client.id))?;
    for (position, account) in client.accounts.iter().enumerate() {
        let whose = (workspace.as_str(), &*account.provider, &*account.account_id);
        if let Some(other) = of_account(tx, workspace, &account.provider, &account.account_id)? {
            return Err(account.taken(&other).into());
        }
        tx.prepare_cached(
            "INSERT INTO syncline_client_accounts (workspace_id, provider, account_id, client_id, position, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((whose.0, whose.1, whose.2, &*client.id, position as i64, account.name.as_deref()))?;
        name_subject(tx, workspace, client, account, by)?;
    }
    find(tx, workspace, &client.id)?.ok_or_else(|| internal("put_client", "a client that was just stored is not there"))
}

#[async_trait]
impl ClientStore for Scoped {
    async fn put_client(&self, client: Client, by: Option<&str>) -> Result<Client> {
        self.workspace.check("put_client")?;
        let (workspace, by) = (self.workspace.clone(), by.map(Box::<str>::from));
        let job = move |tx: &Transaction<'_>| put(tx, &workspace, &client, by.as_deref());
        self.inner.write("put_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
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

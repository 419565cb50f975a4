//! Clients and the accounts that are theirs.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Result, WorkspaceId,
    store::{Client, ClientAccount, ClientFacts, ClientStore, ConnectionPatch, unknown_client},
};

use crate::{
    connection,
    error::{Db, internal},
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

/// Lets whoever links accounts and whoever connects them take turns: each has to see what the other did.
pub(crate) async fn turn_of_account(tx: &mut Tx, workspace: &WorkspaceId, provider: &str, account: &str) -> Db<()> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended(jsonb_build_array('syncline account', current_schema(), $1::text, $2::text, \
         $3::text)::text, 0))",
    )
    .bind(workspace.as_str())
    .bind(provider)
    .bind(account)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn from_row(row: &PgRow) -> Db<Client> {
    let text = |at: usize| Ok::<_, sqlx::Error>(Box::<str>::from(row.try_get::<String, _>(at)?));
    let optional = |at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(at)?.map(Box::<str>::from));
    let (providers, ids, names) =
        (row.try_get::<Vec<String>, _>(7)?, row.try_get::<Vec<String>, _>(8)?, row.try_get::<Vec<Option<String>>, _>(9)?);
    let accounts = providers.into_iter().zip(ids).zip(names).map(|((provider, account_id), name)| ClientAccount {
        provider: provider.into(),
        account_id: account_id.into(),
        name: name.map(Into::into),
    });
    Ok(Client {
        id: text(0)?,
        name: text(1)?,
        industry: optional(2)?,
        status: optional(3)?,
        website: optional(4)?,
        accounts: accounts.collect(),
        created_at: row.try_get(5)?,
        updated_at: row.try_get(6)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.name, c.industry, c.status, c.website, c.created_at, c.updated_at, coalesce(a.providers, '{}'), \
             coalesce(a.ids, '{}'), coalesce(a.names, '{}') FROM clients c CROSS JOIN LATERAL (SELECT \
             array_agg(l.provider ORDER BY l.position) AS providers, array_agg(l.account_id ORDER BY l.position) AS ids, \
             array_agg(l.name ORDER BY l.position) AS names FROM client_accounts l \
             WHERE l.workspace_id = c.workspace_id AND l.client_id = c.id) a WHERE c.workspace_id = $1 ",
            $rest
        )
    };
}

async fn find(tx: &mut Tx, workspace: &WorkspaceId, id: &str) -> Db<Option<Client>> {
    let found = sqlx::query(select!("AND c.id = $2")).bind(workspace.as_str()).bind(id).fetch_optional(&mut **tx).await?;
    found.as_ref().map(from_row).transpose()
}

/// The client that an account is linked to.
pub(crate) async fn of_account(tx: &mut Tx, workspace: &WorkspaceId, provider: &str, account: &str) -> Db<Option<String>> {
    let sql = "SELECT client_id FROM client_accounts WHERE workspace_id = $1 AND provider = $2 AND account_id = $3";
    Ok(sqlx::query_scalar(sql).bind(workspace.as_str()).bind(provider).bind(account).fetch_optional(&mut **tx).await?)
}

async fn put(tx: &mut Tx, workspace: &WorkspaceId, client: &Client, by: Option<&str>) -> Db<Client> {
    client.check()?;
    // In one order, so that nobody waits for somebody who waits for them.
    let mut turns: Vec<_> = client.accounts.iter().collect();
    turns.sort_unstable_by_key(|account| (&account.provider, &account.account_id));
    for account in turns {
        turn_of_account(tx, workspace, &account.provider, &account.account_id).await?;
    }
    sqlx::query(
        "INSERT INTO clients (workspace_id, id, name, industry, status, website, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace_id, id) DO UPDATE SET name = excluded.name, \
         industry = excluded.industry, status = excluded.status, website = excluded.website, updated_at = excluded.updated_at",
    )
    .bind(workspace.as_str())
    .bind(&*client.id)
    .bind(&*client.name)
    .bind(client.industry.as_deref())
    .bind(client.status.as_deref())
    .bind(client.website.as_deref())
    .bind(client.created_at)
    .bind(client.updated_at)
    .execute(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM client_accounts WHERE workspace_id = $1 AND client_id = $2")
        .bind(workspace.as_str())
        .bind(&*client.id)
        .execute(&mut **tx)
        .await?;
    for (position, account) in client.accounts.iter().enumerate() {
        link(tx, workspace, client, (position, account), by).await?;
    }
    find(tx, workspace, &client.id).await?.ok_or_else(|| internal("put_client", "a client that was just stored is not there"))
}

/// Holds the client's row until the end of the transaction.
async fn hold(tx: &mut Tx, workspace: &WorkspaceId, id: &str, operation: &'static str) -> Db<Client> {
    let held = sqlx::query("SELECT FROM clients WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
    held.bind(workspace.as_str()).bind(id).execute(&mut **tx).await?;
    find(tx, workspace, id).await?.ok_or_else(|| unknown_client(operation, id).into())
}

async fn touch(tx: &mut Tx, workspace: &WorkspaceId, id: &str, at: DateTime<Utc>) -> Db<Client> {
    let touched = sqlx::query("UPDATE clients SET updated_at = $3 WHERE workspace_id = $1 AND id = $2");
    touched.bind(workspace.as_str()).bind(id).bind(at).execute(&mut **tx).await?;
    find(tx, workspace, id).await?.ok_or_else(|| internal("clients", "a client that was just changed is not there"))
}

async fn link_one(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    id: &str,
    account: &ClientAccount,
    by: Option<&str>,
    at: DateTime<Utc>,
) -> Db<Client> {
    account.check(id)?;
    // The account first and the client then, as everybody does who links.
    turn_of_account(tx, workspace, &account.provider, &account.account_id).await?;
    let mut client = hold(tx, workspace, id, "link_account").await?;
    client.updated_at = at;
    if client.accounts.iter().any(|linked| (&linked.provider, &linked.account_id) == (&account.provider, &account.account_id)) {
        let named = "UPDATE client_accounts SET name = coalesce($4, name) WHERE workspace_id = $1 AND provider = $2 AND account_id = $3";
        let named = sqlx::query(named).bind(workspace.as_str()).bind(&*account.provider).bind(&*account.account_id);
        named.bind(account.name.as_deref()).execute(&mut **tx).await?;
    } else {
        let last = "SELECT coalesce(max(position), -1) + 1 FROM client_accounts WHERE workspace_id = $1 AND client_id = $2";
        let position: i32 = sqlx::query_scalar(last).bind(workspace.as_str()).bind(id).fetch_one(&mut **tx).await?;
        link(tx, workspace, &client, (usize::try_from(position).unwrap_or_default(), account), by).await?;
    }
    touch(tx, workspace, id, at).await
}

async fn unlink(tx: &mut Tx, workspace: &WorkspaceId, id: &str, (provider, account): (&str, &str), at: DateTime<Utc>) -> Db<Client> {
    turn_of_account(tx, workspace, provider, account).await?;
    let client = hold(tx, workspace, id, "unlink_account").await?;
    let gone = sqlx::query("DELETE FROM client_accounts WHERE workspace_id = $1 AND client_id = $2 AND provider = $3 AND account_id = $4");
    let gone = gone.bind(workspace.as_str()).bind(id).bind(provider).bind(account).execute(&mut **tx).await?;
    if gone.rows_affected() == 0 {
        return Ok(client);
    }
    touch(tx, workspace, id, at).await
}

async fn describe(tx: &mut Tx, workspace: &WorkspaceId, id: &str, facts: &ClientFacts, at: DateTime<Utc>) -> Db<(Client, bool)> {
    let mut new = Client::new(id, id, at);
    facts.clone().apply(&mut new, at);
    new.check()?;
    // `xmax` is 0 in a row that this statement made.
    let made: bool = sqlx::query_scalar(
        "INSERT INTO clients AS c (workspace_id, id, name, industry, status, website, created_at, updated_at) \
         VALUES ($1, $2, coalesce($3, $2), $4, $5, $6, $7, $7) ON CONFLICT (workspace_id, id) DO UPDATE SET name = coalesce($3, c.name), \
         industry = coalesce($4, c.industry), status = coalesce($5, c.status), website = coalesce($6, c.website), updated_at = $7 \
         RETURNING xmax = 0",
    )
    .bind(workspace.as_str())
    .bind(id)
    .bind(facts.name.as_deref())
    .bind(facts.industry.as_deref())
    .bind(facts.status.as_deref())
    .bind(facts.website.as_deref())
    .bind(at)
    .fetch_one(&mut **tx)
    .await?;
    let client = find(tx, workspace, id).await?;
    Ok((client.ok_or_else(|| internal("describe_client", "a client that was just stored is not there"))?, made))
}

async fn link(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    client: &Client,
    (position, account): (usize, &ClientAccount),
    by: Option<&str>,
) -> Db<()> {
    let linked = sqlx::query(
        "INSERT INTO client_accounts (workspace_id, provider, account_id, client_id, position, name) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (workspace_id, provider, account_id) DO NOTHING",
    )
    .bind(workspace.as_str())
    .bind(&*account.provider)
    .bind(&*account.account_id)
    .bind(&*client.id)
    .bind(i32::try_from(position).unwrap_or(i32::MAX))
    .bind(account.name.as_deref())
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if linked == 0 {
        let other = of_account(tx, workspace, &account.provider, &account.account_id).await?;
        return Err(account.taken(other.as_deref().unwrap_or_default()).into());
    }
    let connected = connection::of_account(tx, workspace, &account.provider, &account.account_id).await?;
    let Some(before) = connected.filter(|connected| connected.subject_id.is_none()) else { return Ok(()) };
    let patch = ConnectionPatch { subject_id: Some(client.id.clone()), changed_by: by.map(Box::from), ..ConnectionPatch::default() };
    connection::update(tx, workspace, before.id.as_str(), &patch, client.updated_at).await?;
    Ok(())
}

#[async_trait]
impl ClientStore for Scoped {
    async fn put_client(&self, client: Client, by: Option<&str>) -> Result<Client> {
        let (workspace, client, by) = (self.workspace.clone(), Arc::new(client), by.map(Arc::<str>::from));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("put_client", door, Repeat::Always, move |tx| {
            let (workspace, client, by) = (workspace.clone(), Arc::clone(&client), by.clone());
            async move { put(tx, &workspace, &client, by.as_deref()).await }.boxed()
        });
        done.await
    }

    async fn link_account(&self, client: &str, account: ClientAccount, by: Option<&str>, at: DateTime<Utc>) -> Result<Client> {
        let (workspace, id, account) = (self.workspace.clone(), Arc::<str>::from(client), Arc::new(account));
        let (door, by) = (Door::Workspace(self.workspace.clone()), by.map(Arc::<str>::from));
        let done = self.inner.run("link_account", door, Repeat::Always, move |tx| {
            let (workspace, id, account, by) = (workspace.clone(), Arc::clone(&id), Arc::clone(&account), by.clone());
            async move { link_one(tx, &workspace, &id, &account, by.as_deref(), at).await }.boxed()
        });
        done.await
    }

    async fn unlink_account(&self, client: &str, provider: &str, account_id: &str, at: DateTime<Utc>) -> Result<Client> {
        let (workspace, id) = (self.workspace.clone(), Arc::<str>::from(client));
        let (provider, account) = (Arc::<str>::from(provider), Arc::<str>::from(account_id));
        let done = self.inner.run("unlink_account", Door::Workspace(self.workspace.clone()), Repeat::Always, move |tx| {
            let (workspace, id, provider, account) = (workspace.clone(), Arc::clone(&id), Arc::clone(&provider), Arc::clone(&account));
            async move { unlink(tx, &workspace, &id, (&provider, &account), at).await }.boxed()
        });
        done.await
    }

    async fn describe_client(&self, id: &str, facts: ClientFacts, at: DateTime<Utc>) -> Result<(Client, bool)> {
        let (workspace, id, facts) = (self.workspace.clone(), Arc::<str>::from(id), Arc::new(facts));
        // Begun anew after a commit whose answer was lost it says that the client was there, which it was by then.
        let done = self.inner.run("describe_client", Door::Workspace(self.workspace.clone()), Repeat::Always, move |tx| {
            let (workspace, id, facts) = (workspace.clone(), Arc::clone(&id), Arc::clone(&facts));
            async move { describe(tx, &workspace, &id, &facts, at).await }.boxed()
        });
        done.await
    }

    async fn client(&self, id: &str) -> Result<Option<Client>> {
        let (workspace, id) = (self.workspace.clone(), Arc::<str>::from(id));
        let found = self.inner.read("client", &self.workspace, move |tx| {
            let (workspace, id) = (workspace.clone(), Arc::clone(&id));
            async move { find(tx, &workspace, &id).await }.boxed()
        });
        found.await
    }

    async fn clients(&self) -> Result<Vec<Client>> {
        let workspace = self.workspace.clone();
        let found = self.inner.read("clients", &self.workspace, move |tx| {
            let workspace = workspace.clone();
            async move {
                let rows = sqlx::query(select!("ORDER BY c.name, c.id")).bind(workspace.as_str()).fetch_all(&mut **tx).await?;
                rows.iter().map(from_row).collect()
            }
            .boxed()
        });
        found.await
    }

    async fn client_of(&self, provider: &str, account_id: &str) -> Result<Option<Client>> {
        let (workspace, provider, account) = (self.workspace.clone(), Arc::<str>::from(provider), Arc::<str>::from(account_id));
        let found = self.inner.read("client_of", &self.workspace, move |tx| {
            let (workspace, provider, account) = (workspace.clone(), Arc::clone(&provider), Arc::clone(&account));
            async move {
                let Some(id) = of_account(tx, &workspace, &provider, &account).await? else { return Ok(None) };
                find(tx, &workspace, &id).await
            }
            .boxed()
        });
        found.await
    }

    async fn remove_client(&self, id: &str) -> Result<bool> {
        let (workspace, id) = (self.workspace.clone(), Arc::<str>::from(id));
        let door = Door::Workspace(self.workspace.clone());
        // Begun anew after a commit whose answer was lost it would say that there was none.
        let done = self.inner.run("remove_client", door, Repeat::UnlessCommitted, move |tx| {
            let (workspace, id) = (workspace.clone(), Arc::clone(&id));
            async move {
                // Its links go with it.
                let removed = sqlx::query("DELETE FROM clients WHERE workspace_id = $1 AND id = $2");
                Ok(removed.bind(workspace.as_str()).bind(&*id).execute(&mut **tx).await?.rows_affected() == 1)
            }
            .boxed()
        });
        done.await
    }
}

//! Authorizations under way, and the clients of workspaces.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Error, ErrorKind, Result, WorkspaceId,
    store::{AuthorizationStore, PendingAuthorization, StoredClient},
};

use crate::{
    error::{Db, damaged},
    sealed::refuse_retired,
    storage::Scoped,
    tx::{Ask, Door, Repeat, Tx},
};

async fn keep(tx: &mut Tx, workspace: &WorkspaceId, pending: &PendingAuthorization) -> Db<()> {
    refuse_retired(tx, "keep_authorization", &[Some(&pending.verifier)]).await?;
    let kept = sqlx::query(
        "INSERT INTO oauth_states (workspace_id, nonce, provider, browser_hash, verifier_encrypted, redirect_uri, request, begun_at, \
         expires_at, client_id) VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10) ON CONFLICT (workspace_id, nonce) DO NOTHING",
    )
    .bind(workspace.as_str())
    .bind(&*pending.nonce)
    .bind(&*pending.provider)
    .bind(&*pending.browser)
    .bind(&pending.verifier)
    .bind(&*pending.redirect_uri)
    .bind(pending.request.to_string())
    .bind(pending.begun_at)
    .bind(pending.expires_at)
    .bind(&pending.client_id)
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if kept == 0 {
        let text = "an authorization with this nonce is under way; make a new one";
        return Err(Error::new(ErrorKind::Conflict, "keep_authorization", text).into());
    }
    // Rows that somebody else forgets or takes just now are left to them: two that wait for each other's would be a deadlock.
    sqlx::query(
        "DELETE FROM oauth_states WHERE workspace_id = $1 AND nonce IN (SELECT nonce FROM oauth_states \
         WHERE workspace_id = $1 AND expires_at < $2 - interval '24 hours' FOR UPDATE SKIP LOCKED)",
    )
    .bind(workspace.as_str())
    .bind(pending.begun_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether this authorization, and not another one of its nonce, is kept.
async fn is_kept(tx: &mut Tx, workspace: &WorkspaceId, pending: &PendingAuthorization) -> Db<bool> {
    let kept = "SELECT EXISTS (SELECT FROM oauth_states WHERE workspace_id = $1 AND nonce = $2 AND verifier_encrypted = $3)";
    let kept = sqlx::query_scalar(kept).bind(workspace.as_str()).bind(&*pending.nonce).bind(&pending.verifier);
    Ok(kept.fetch_one(&mut **tx).await?)
}

fn from_row(row: &PgRow) -> Db<PendingAuthorization> {
    let text = |at: usize| Ok::<_, sqlx::Error>(Box::<str>::from(row.try_get::<String, _>(at)?));
    Ok(PendingAuthorization {
        nonce: text(0)?,
        provider: text(1)?,
        browser: row.try_get::<Vec<u8>, _>(2)?.into(),
        verifier: row.try_get(3)?,
        redirect_uri: text(4)?,
        request: serde_json::from_str(&text(5)?).map_err(|_| damaged("take_authorization", "request of an authorization"))?,
        begun_at: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        client_id: row.try_get::<Option<String>, _>(8)?.map(Box::from),
    })
}

async fn take(tx: &mut Tx, workspace: &WorkspaceId, nonce: &str) -> Db<Option<PendingAuthorization>> {
    let taken = sqlx::query(
        "DELETE FROM oauth_states WHERE workspace_id = $1 AND nonce = $2 \
         RETURNING nonce, provider, browser_hash, verifier_encrypted, redirect_uri, request::text, begun_at, expires_at, client_id",
    );
    let taken = taken.bind(workspace.as_str()).bind(nonce).fetch_optional(&mut **tx).await?;
    taken.as_ref().map(from_row).transpose()
}

async fn client(tx: &mut Tx, workspace: &WorkspaceId, authority: &str) -> Db<Option<StoredClient>> {
    let found = sqlx::query(
        "SELECT authority, client_id, secret_encrypted, redirect_uri, updated_at FROM oauth_clients \
         WHERE workspace_id = $1 AND authority = $2",
    );
    let Some(row) = found.bind(workspace.as_str()).bind(authority).fetch_optional(&mut **tx).await? else { return Ok(None) };
    let text = |at: usize| Ok::<_, sqlx::Error>(Box::<str>::from(row.try_get::<String, _>(at)?));
    Ok(Some(StoredClient {
        authority: text(0)?,
        client_id: text(1)?,
        secret: row.try_get(2)?,
        redirect_uri: text(3)?,
        updated_at: row.try_get(4)?,
    }))
}

async fn set_client(tx: &mut Tx, workspace: &WorkspaceId, client: &StoredClient) -> Db<()> {
    refuse_retired(tx, "set_oauth_client", &[client.secret.as_deref()]).await?;
    sqlx::query(
        "INSERT INTO oauth_clients (workspace_id, authority, client_id, secret_encrypted, redirect_uri, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, authority) DO UPDATE SET client_id = excluded.client_id, \
         secret_encrypted = excluded.secret_encrypted, redirect_uri = excluded.redirect_uri, updated_at = excluded.updated_at",
    )
    .bind(workspace.as_str())
    .bind(&*client.authority)
    .bind(&*client.client_id)
    .bind(&client.secret)
    .bind(&*client.redirect_uri)
    .bind(client.updated_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[async_trait]
impl AuthorizationStore for Scoped {
    async fn keep_authorization(&self, pending: PendingAuthorization) -> Result<()> {
        let (workspace, pending) = (self.workspace.clone(), Arc::new(pending));
        let door = Door::Workspace(self.workspace.clone());
        // Begun anew after a commit whose answer was lost it would find its own nonce taken.
        let (whose, asked) = (self.workspace.clone(), Arc::clone(&pending));
        let ask: Ask<()> = Arc::new(move |tx, _| {
            let (whose, asked) = (whose.clone(), Arc::clone(&asked));
            async move { is_kept(tx, &whose, &asked).await }.boxed()
        });
        let done = self.inner.run("keep_authorization", door.clone(), Repeat::Ask(door, ask), move |tx| {
            let (workspace, pending) = (workspace.clone(), Arc::clone(&pending));
            async move { keep(tx, &workspace, &pending).await }.boxed()
        });
        done.await
    }

    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        let (workspace, nonce) = (self.workspace.clone(), Arc::<str>::from(nonce));
        let door = Door::Workspace(self.workspace.clone());
        // After a commit whose answer was lost nobody knows who took it, so nobody is handed it: the caller is told, and the flow has to
        // begin again.
        let done = self.inner.run("take_authorization", door, Repeat::UnlessCommitted, move |tx| {
            let (workspace, nonce) = (workspace.clone(), Arc::clone(&nonce));
            async move { take(tx, &workspace, &nonce).await }.boxed()
        });
        done.await
    }

    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        let (workspace, authority) = (self.workspace.clone(), Arc::<str>::from(authority));
        let found = self.inner.read("oauth_client", &self.workspace, move |tx| {
            let (workspace, authority) = (workspace.clone(), Arc::clone(&authority));
            async move { client(tx, &workspace, &authority).await }.boxed()
        });
        found.await
    }

    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        let (workspace, client) = (self.workspace.clone(), Arc::new(client));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("set_oauth_client", door, Repeat::Always, move |tx| {
            let (workspace, client) = (workspace.clone(), Arc::clone(&client));
            async move { set_client(tx, &workspace, &client).await }.boxed()
        });
        done.await
    }

    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        let (workspace, authority) = (self.workspace.clone(), Arc::<str>::from(authority));
        let door = Door::Workspace(self.workspace.clone());
        // Begun anew after a commit whose answer was lost it would say that there was none.
        let done = self.inner.run("remove_oauth_client", door, Repeat::UnlessCommitted, move |tx| {
            let (workspace, authority) = (workspace.clone(), Arc::clone(&authority));
            async move {
                let removed = sqlx::query("DELETE FROM oauth_clients WHERE workspace_id = $1 AND authority = $2");
                let removed = removed.bind(workspace.as_str()).bind(&*authority).execute(&mut **tx).await?;
                Ok(removed.rows_affected() == 1)
            }
            .boxed()
        });
        done.await
    }
}

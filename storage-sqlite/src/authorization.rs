//! Authorizations under way, and the clients of workspaces.

use async_trait::async_trait;
use chrono::TimeDelta;
use rusqlite::{OptionalExtension as _, Transaction};
use sync_core::{
    Error, ErrorKind, Result, WorkspaceId,
    store::{AuthorizationStore, PendingAuthorization, StoredClient},
};

use crate::{
    error::Db,
    sealed::refuse_retired,
    storage::{Durability, Scoped},
    time,
};

fn keep(tx: &Transaction<'_>, workspace: &WorkspaceId, pending: &PendingAuthorization) -> Db<()> {
    refuse_retired(tx, "keep_authorization", &[Some(&pending.verifier)])?;
    let mut known = tx.prepare_cached("SELECT 1 FROM syncline_oauth_states WHERE workspace_id = ?1 AND nonce = ?2")?;
    if known.exists((workspace.as_str(), &*pending.nonce))? {
        let text = "an authorization with this nonce is under way; make a new one";
        return Err(Error::new(ErrorKind::Conflict, "keep_authorization", text).into());
    }
    let forgotten = pending.begun_at - TimeDelta::days(1);
    tx.prepare_cached("DELETE FROM syncline_oauth_states WHERE workspace_id = ?1 AND expires_at < ?2")?
        .execute((workspace.as_str(), time::text(forgotten)))?;
    tx.prepare_cached(
        "INSERT INTO syncline_oauth_states (workspace_id, nonce, provider, browser_hash, verifier_encrypted, redirect_uri, request, \
         begun_at, expires_at, client_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        workspace.as_str(),
        &*pending.nonce,
        &*pending.provider,
        &*pending.browser,
        &pending.verifier,
        &*pending.redirect_uri,
        pending.request.to_string(),
        time::text(pending.begun_at),
        time::text(pending.expires_at),
        pending.client_id.as_deref(),
    ))?;
    Ok(())
}

fn take(tx: &Transaction<'_>, workspace: &WorkspaceId, nonce: &str) -> Db<Option<PendingAuthorization>> {
    let mut taken = tx.prepare_cached(
        "DELETE FROM syncline_oauth_states WHERE workspace_id = ?1 AND nonce = ?2 \
         RETURNING nonce, provider, browser_hash, verifier_encrypted, redirect_uri, request, begun_at, expires_at, client_id",
    )?;
    let taken = taken.query_row((workspace.as_str(), nonce), |row| {
        Ok(PendingAuthorization {
            nonce: row.get(0)?,
            provider: row.get(1)?,
            browser: row.get::<_, Vec<u8>>(2)?.into(),
            verifier: row.get(3)?,
            redirect_uri: row.get(4)?,
            request: sync_core::json_value(row.get_ref(5)?.as_str()?),
            begun_at: time::column(row, 6)?,
            expires_at: time::column(row, 7)?,
            client_id: row.get(8)?,
        })
    });
    Ok(taken.optional()?)
}

fn client(tx: &Transaction<'_>, workspace: &WorkspaceId, authority: &str) -> Db<Option<StoredClient>> {
    let mut found = tx.prepare_cached(
        "SELECT authority, client_id, secret_encrypted, redirect_uri, updated_at FROM syncline_oauth_clients \
         WHERE workspace_id = ?1 AND authority = ?2",
    )?;
    let found = found.query_row((workspace.as_str(), authority), |row| {
        Ok(StoredClient {
            authority: row.get(0)?,
            client_id: row.get(1)?,
            secret: row.get(2)?,
            redirect_uri: row.get(3)?,
            updated_at: time::column(row, 4)?,
        })
    });
    Ok(found.optional()?)
}

fn set_client(tx: &Transaction<'_>, workspace: &WorkspaceId, client: &StoredClient) -> Db<()> {
    refuse_retired(tx, "set_oauth_client", &[client.secret.as_deref()])?;
    tx.prepare_cached(
        "INSERT INTO syncline_oauth_clients (workspace_id, authority, client_id, secret_encrypted, redirect_uri, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (workspace_id, authority) DO UPDATE SET client_id = excluded.client_id, \
         secret_encrypted = excluded.secret_encrypted, redirect_uri = excluded.redirect_uri, updated_at = excluded.updated_at",
    )?
    .execute((
        workspace.as_str(),
        &*client.authority,
        &*client.client_id,
        &client.secret,
        &*client.redirect_uri,
        time::text(client.updated_at),
    ))?;
    Ok(())
}

#[async_trait]
impl AuthorizationStore for Scoped {
    async fn keep_authorization(&self, pending: PendingAuthorization) -> Result<()> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| keep(tx, &workspace, &pending);
        self.inner.write("keep_authorization", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        let (workspace, nonce) = (self.workspace.clone(), Box::<str>::from(nonce));
        let job = move |tx: &Transaction<'_>| take(tx, &workspace, &nonce);
        // On the disk before the answer: after a power cut it must not be there again.
        self.inner.write("take_authorization", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        let (workspace, authority) = (self.workspace.clone(), Box::<str>::from(authority));
        self.inner.read("oauth_client", move |tx| client(tx, &workspace, &authority)).await
    }

    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| set_client(tx, &workspace, &client);
        self.inner.write("set_oauth_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        let (workspace, authority) = (self.workspace.clone(), Box::<str>::from(authority));
        let job = move |tx: &Transaction<'_>| {
            let mut removed = tx.prepare_cached("DELETE FROM syncline_oauth_clients WHERE workspace_id = ?1 AND authority = ?2")?;
            Ok(removed.execute((workspace.as_str(), &*authority))? == 1)
        };
        self.inner.write("remove_oauth_client", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

//! Authorizations, clients and leases.

use std::time::{Duration, Instant};

use syncline::core::{
    Error, ErrorKind, Result, async_trait,
    store::{AuthorizationStore, LeaseStore, PendingAuthorization, StoredClient},
};

use super::Scoped;

#[async_trait]
impl AuthorizationStore for Scoped {
    async fn keep_authorization(&self, pending: PendingAuthorization) -> Result<()> {
        self.handle.write(|world| {
            world.refuse_retired("keep_authorization", &[Some(&pending.verifier)])?;
            let key = (self.workspace.clone(), pending.nonce.clone());
            if world.authorizations.contains_key(&key) {
                return Err(Error::new(ErrorKind::Conflict, "keep_authorization", "this nonce is known; make a new one"));
            }
            let past = pending.begun_at - chrono::Duration::days(1);
            world.authorizations.retain(|(workspace, _), kept| *workspace != self.workspace || kept.expires_at >= past);
            world.authorizations.insert(key, pending);
            Ok(())
        })
    }

    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        self.handle.write(|world| Ok(world.authorizations.remove(&(self.workspace.clone(), nonce.into()))))
    }

    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        Ok(self.handle.read(|world| world.clients.get(&(self.workspace.clone(), authority.into())).cloned()))
    }

    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        self.handle.write(|world| {
            world.refuse_retired("set_oauth_client", &[client.secret.as_deref()])?;
            world.clients.insert((self.workspace.clone(), client.authority.clone()), client);
            Ok(())
        })
    }

    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        self.handle.write(|world| Ok(world.clients.remove(&(self.workspace.clone(), authority.into())).is_some()))
    }
}

#[async_trait]
impl LeaseStore for Scoped {
    async fn lease(&self, name: &str, holder: &str, life: Duration) -> Result<bool> {
        self.handle.write(|world| {
            let (key, now) = ((self.workspace.clone(), name.into()), Instant::now());
            if world.leases.get(&key).is_some_and(|(held_by, until)| **held_by != *holder && *until > now) {
                return Ok(false);
            }
            world.leases.insert(key, (holder.into(), now + life));
            Ok(true)
        })
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        self.handle.write(|world| {
            world.leases.retain(|(workspace, kept), (held_by, _)| *workspace != self.workspace || **kept != *name || **held_by != *holder);
            Ok(())
        })
    }
}

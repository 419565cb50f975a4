//! Authorizations, clients and leases.

use std::time::Duration;

use syncline::core::{Result, async_trait, store::*};

use super::{Store, note};
use crate::harm::Harm;

#[async_trait]
impl AuthorizationStore for Store {
    async fn keep_authorization(&self, mut pending: PendingAuthorization) -> Result<()> {
        harm!(self, Authorization, &mut pending);
        if let Harm::OverwritesNonces = self.harm {
            self.own.take_authorization(&pending.nonce).await?;
        }
        self.to("keep_authorization").keep_authorization(pending.clone()).await?;
        note(&self.notes).kept.insert((self.workspace.clone(), pending.nonce.clone()), pending);
        Ok(())
    }

    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        let taken = self.to("take_authorization").take_authorization(nonce).await?;
        let key = (self.workspace.clone(), nonce.into());
        Ok(match (taken, self.harm) {
            (None, Harm::HandsOutAgain) => note(&self.notes).handed_out.get(&key).cloned(),
            (None, Harm::ForgetsNoAuthorization) => note(&self.notes).kept.remove(&key),
            (taken, _) => {
                let mut notes = note(&self.notes);
                notes.kept.remove(&key);
                notes.handed_out.extend(taken.clone().map(|taken| (key, taken)));
                taken
            }
        })
    }

    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        let mut found = self.to("oauth_client").oauth_client(authority).await?;
        if let Some(found) = &mut found {
            harm!(self, Client, found);
        }
        Ok(found)
    }

    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        if let (Harm::KeepsFirstClient, Some(_)) = (self.harm, self.own.oauth_client(&client.authority).await?) {
            return Ok(());
        }
        self.to("set_oauth_client").set_oauth_client(client).await
    }

    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        self.to("remove_oauth_client").remove_oauth_client(authority).await
    }
}

#[async_trait]
impl LeaseStore for Store {
    async fn lease(&self, name: &str, holder: &str, mut life: Duration) -> Result<bool> {
        let key = (self.workspace.clone(), name.into());
        let holds = note(&self.notes).holders.get(&key).is_some_and(|held_by| **held_by == *holder);
        match self.harm {
            Harm::LeasesForEver => life *= 10_000,
            Harm::ProlongsNothing if holds => return Ok(true),
            _ => {}
        }
        let given = self.to("lease").lease(name, holder, life).await?;
        if given {
            note(&self.notes).holders.insert(key, holder.into());
        }
        Ok(given || matches!(self.harm, Harm::LeasesToAnybody))
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        let held_by = note(&self.notes).holders.get(&(self.workspace.clone(), name.into())).cloned();
        let holder = match (&held_by, self.harm) {
            (_, Harm::ReleasesNothing) => return Ok(()),
            (Some(held_by), Harm::ReleasesForAnybody) => held_by,
            _ => holder,
        };
        self.to("release").release(name, holder).await
    }
}

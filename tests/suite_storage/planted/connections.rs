//! Connections and their credentials.

use syncline::core::{ConnectionId, Result, async_trait, store::*};

use super::Store;
use crate::harm::Harm;

type Time = chrono::DateTime<chrono::Utc>;

/// A line of the activity log that holds what it must not.
fn telling(new: &NewConnection, sealed: &SealedCredentials) -> NewActivity {
    NewActivity {
        integration: new.provider.clone(),
        connection: Some(new.id.clone()),
        action: "connected".into(),
        success: true,
        records_affected: 0,
        error: None,
        metadata: serde_json::json!({"token": String::from_utf8_lossy(&sealed.access)}),
        at: new.at,
    }
}

#[async_trait]
impl ConnectionStore for Store {
    async fn connect(&self, mut new: NewConnection) -> Result<Connection> {
        harm!(self, Connect, &mut new);
        if let (Harm::KeepsScopes, Some(sealed), Some(before)) =
            (self.harm, &mut new.credentials, self.own.account(&new.provider, &new.account_id).await?)
        {
            sealed.scopes = sealed.scopes.take().or(before.scopes);
        }
        let before = self.own.account(&new.provider, &new.account_id).await?;
        match (&before, self.harm) {
            (Some(known), Harm::TakesForeignSeals) => new.id = known.id.clone(),
            (Some(known), Harm::HealsWhatItRefuses) if known.id != new.id => {
                self.own.connect(NewConnection { credentials: None, ..new.clone() }).await?;
            }
            (Some(known), Harm::HealsAnew) => drop(self.own.disconnect(&known.id, new.at).await?),
            (Some(known), Harm::DropsCredentials) if new.credentials.is_none() => {
                self.own.disconnect(&known.id, new.at).await?;
            }
            _ => {}
        }
        if let (Harm::LogsSecrets, Some(sealed)) = (self.harm, &new.credentials) {
            self.own.log_activity(telling(&new, sealed)).await?;
        }
        let mut made = self.error(self.to("connect").connect(new).await)?;
        harm!(self, Connection, &mut made);
        if before.as_ref().is_some_and(|before| before.status == ConnectionStatus::Paused) && matches!(self.harm, Harm::ResumesPaused) {
            made.status = ConnectionStatus::Active;
        }
        if before.is_some_and(|before| before.status == ConnectionStatus::Disconnected) && matches!(self.harm, Harm::StaysDisconnected) {
            made.status = ConnectionStatus::Disconnected;
        }
        Ok(made)
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        let mut found = self.to("connection").connection(id).await?;
        if let Some(found) = &mut found {
            harm!(self, Connection, found);
        }
        Ok(found)
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let mut found = self.to("connections").connections().await?;
        harm!(self, Connections, &mut found);
        Ok(found)
    }

    async fn account(&self, provider: &str, account_id: &str) -> Result<Option<Connection>> {
        if let Harm::AccountsOfAnyProvider = self.harm {
            let all = self.own.connections().await?;
            return Ok(all.into_iter().find(|connection| *connection.account_id == *account_id));
        }
        let mut found = self.to("account").account(provider, account_id).await?;
        if let Some(found) = &mut found {
            harm!(self, Connection, found);
        }
        Ok(found)
    }

    async fn update_connection(&self, id: &ConnectionId, mut patch: ConnectionPatch, at: Time) -> Result<Connection> {
        harm!(self, Patch, &mut patch);
        let made = self.error(self.to("update_connection").update_connection(id, patch.clone(), at).await);
        let mut made = match (made, self.harm, self.own.connection(id).await?) {
            (Err(_), Harm::LeavesDisconnected, Some(kept)) => Connection { status: patch.status.unwrap_or(kept.status), ..kept },
            (made, ..) => made?,
        };
        harm!(self, Connection, &mut made);
        Ok(made)
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        self.to("credentials").credentials(id).await
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, mut sealed: SealedCredentials, at: Time) -> Result<bool> {
        harm!(self, Sealing, &mut sealed);
        let (version, before) = (sealed.version, self.own.connection(id).await?);
        let status = before.as_ref().map(|before| before.status);
        let stored = self.own.credentials(id).await?.map_or(0, |stored| stored.version);
        if let (Harm::KeepsScopes, Some(before)) = (self.harm, &before) {
            sealed.scopes = sealed.scopes.take().or_else(|| before.scopes.clone());
        }
        if matches!(self.harm, Harm::RefusesRepeats) && before.as_ref().is_some_and(|before| before.token_version != expected) {
            return Ok(false);
        }
        let expected = if let Harm::SwapsBlindly = self.harm { stored } else { expected };
        let replaced = self.to("replace_credentials").replace_credentials(id, expected, sealed, at).await?;
        if let (Harm::KeepsRenewals, Some(before), true) = (self.harm, before, replaced) {
            self.own.note_renewal(id, version, before.renewal, None, at).await?;
        }
        let status = match (self.harm, status) {
            (Harm::KeepsErrors, Some(ConnectionStatus::Error)) if replaced => ConnectionStatus::Error,
            (Harm::HealsAnything, Some(_)) if replaced => ConnectionStatus::Active,
            _ => return Ok(replaced),
        };
        self.own.update_connection(id, ConnectionPatch { status: Some(status), ..ConnectionPatch::default() }, at).await?;
        Ok(replaced)
    }

    async fn note_renewal(&self, id: &ConnectionId, expected: u64, mut renewal: Renewal, gone: Option<&str>, at: Time) -> Result<bool> {
        harm!(self, Noting, &mut renewal);
        let gone = gone.filter(|_| !matches!(self.harm, Harm::TellsNobodyItIsGone));
        let stored = self.own.connection(id).await?.map_or(0, |stored| stored.token_version);
        let expected = if let Harm::NotesBlindly = self.harm { stored } else { expected };
        let noted = self.to("note_renewal").note_renewal(id, expected, renewal, gone, at).await?;
        if let (Harm::TellsWhateverTheStatus, true, true) | (Harm::TellsWhateverTheVersion, true, false) =
            (self.harm, gone.is_some(), noted)
        {
            let patch = ConnectionPatch { status: Some(ConnectionStatus::Error), ..ConnectionPatch::default() };
            self.own.update_connection(id, patch, at).await?;
        }
        Ok(noted)
    }

    async fn disconnect(&self, id: &ConnectionId, at: Time) -> Result<Connection> {
        self.disconnect_by(id, None, at).await
    }

    async fn disconnect_by(&self, id: &ConnectionId, by: Option<&str>, at: Time) -> Result<Connection> {
        let by = by.filter(|_| !matches!(self.harm, Harm::SaysNobody));
        let mut gone = if let Harm::DisconnectsSoftly = self.harm {
            let patch = ConnectionPatch { status: Some(ConnectionStatus::Disconnected), ..ConnectionPatch::default() };
            self.own.update_connection(id, patch, at).await?
        } else {
            self.to("disconnect").disconnect_by(id, by, at).await?
        };
        harm!(self, Connection, &mut gone);
        Ok(gone)
    }
}

//! Connections and their credentials.

use syncline::core::{
    ConnectionId, Error, ErrorKind, Result, WorkspaceId, async_trait,
    store::{Connection, ConnectionPatch, ConnectionStatus, ConnectionStore, DueRenewal, NewConnection, Renewal, SealedCredentials},
};

use super::{Scoped, World};

type Kept = (Connection, Option<SealedCredentials>);

impl World {
    pub(super) fn connection(&self, workspace: &WorkspaceId, id: &ConnectionId) -> Option<&Kept> {
        self.connections.iter().find(|(kept, _)| kept.workspace_id == *workspace && kept.id == *id)
    }

    pub(super) fn connection_mut(&mut self, workspace: &WorkspaceId, id: &ConnectionId) -> Option<&mut Kept> {
        self.connections.iter_mut().find(|(kept, _)| kept.workspace_id == *workspace && kept.id == *id)
    }

    pub(super) fn due_renewals(&self, now: Time, before: Time, after: Option<&DueRenewal>, limit: usize) -> Vec<DueRenewal> {
        let renewable = |kept: &&Connection| {
            let waits = kept.renewal.not_before.is_some_and(|end| end > now);
            kept.status == ConnectionStatus::Active && kept.grant.is_some() && kept.renewal.refused_at.is_none() && !waits
        };
        let due = self.connections.iter().map(|(kept, _)| kept).filter(renewable).filter_map(|kept| {
            Some(DueRenewal {
                ends: kept.expires_at?,
                workspace: kept.workspace_id.clone(),
                connection: kept.id.clone(),
                provider: kept.provider.clone(),
                version: kept.token_version,
            })
        });
        let mut due: Vec<_> = due.filter(|due| due.ends < before && after.is_none_or(|after| due > after)).collect();
        due.sort();
        due.truncate(limit);
        due
    }

    fn connect(&mut self, workspace: &WorkspaceId, new: NewConnection) -> Result<Connection> {
        let same =
            |kept: &Connection| kept.workspace_id == *workspace && kept.provider == new.provider && kept.account_id == new.account_id;
        if let Some(sealed) = &new.credentials {
            self.refuse_retired("connect", &[Some(&sealed.access), sealed.refresh.as_deref()])?;
        }
        let version = self.connections.iter().find(|(kept, _)| same(kept)).map_or(0, |(kept, _)| kept.token_version);
        if new.over.is_some_and(|over| over != version) {
            return Err(Error::new(ErrorKind::Conflict, "connect", "the credentials were changed since these were made of them"));
        }
        if let Some((kept, stored)) = self.connections.iter_mut().find(|(kept, _)| same(kept)) {
            if new.credentials.is_some() && kept.id != new.id {
                return Err(Error::new(ErrorKind::Conflict, "connect", "the account is connected under another id"));
            }
            kept.subject_id = new.subject_id.or(kept.subject_id.take());
            kept.account_name = new.account_name.or(kept.account_name.take());
            kept.connected_by = new.connected_by.or(kept.connected_by.take());
            kept.oauth_provider = new.oauth_provider.or(kept.oauth_provider.take().filter(|_| new.credentials.is_none()));
            (kept.settings, kept.sync_frequency_minutes) = (new.settings, new.sync_frequency_minutes);
            if kept.status != ConnectionStatus::Paused {
                kept.status = ConnectionStatus::Active;
            }
            (kept.error_count, kept.error_message, kept.error_kind) = (0, None, None);
            kept.updated_at = new.at;
            if let Some(sealed) = new.credentials {
                let version = kept.token_version + 1;
                store(kept, stored, SealedCredentials { version, ..sealed });
            }
            return Ok(kept.clone());
        }
        if self.connections.iter().any(|(kept, _)| kept.id == new.id) {
            return Err(Error::new(ErrorKind::Conflict, "connect", "this connection id is in use; make a new one"));
        }
        let mut made = Connection {
            workspace_id: workspace.clone(),
            id: new.id,
            provider: new.provider,
            subject_id: new.subject_id,
            account_id: new.account_id,
            account_name: new.account_name,
            connected_by: new.connected_by,
            oauth_provider: new.oauth_provider,
            settings: new.settings,
            status: ConnectionStatus::Active,
            sync_enabled: true,
            sync_frequency_minutes: new.sync_frequency_minutes,
            last_sync_at: None,
            sync_status: None,
            error_message: None,
            error_kind: None,
            error_count: 0,
            expires_at: None,
            token_version: 0,
            grant: None,
            scopes: None,
            renewal: Renewal::default(),
            created_at: new.at,
            updated_at: new.at,
        };
        let mut stored = None;
        if let Some(sealed) = new.credentials {
            store(&mut made, &mut stored, SealedCredentials { version: 1, ..sealed });
        }
        self.connections.push((made.clone(), stored));
        Ok(made)
    }
}

/// Stores credentials and lets the connection tell of them.
fn store(kept: &mut Connection, stored: &mut Option<SealedCredentials>, mut sealed: SealedCredentials) {
    let same_grant = sealed.grant.is_some() && sealed.grant == kept.grant;
    sealed.scopes = sealed.scopes.or(kept.scopes.take().filter(|_| same_grant));
    (kept.token_version, kept.expires_at, kept.grant) = (sealed.version, sealed.expires_at, sealed.grant);
    (kept.scopes, kept.renewal) = (sealed.scopes.clone(), Renewal::default());
    *stored = Some(sealed);
}

fn unknown(operation: &'static str, id: &ConnectionId) -> Error {
    Error::new(ErrorKind::NotFound, operation, format!("there is no connection {id} in this workspace"))
}

type Time = chrono::DateTime<chrono::Utc>;

#[async_trait]
impl ConnectionStore for Scoped {
    async fn connect(&self, new: NewConnection) -> Result<Connection> {
        self.handle.write(|world| world.connect(&self.workspace, new))
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        Ok(self.handle.read(|world| world.connection(&self.workspace, id).map(|(kept, _)| kept.clone())))
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let of = |world: &World| {
            let own = world.connections.iter().filter(|(kept, _)| kept.workspace_id == self.workspace);
            own.map(|(kept, _)| kept.clone()).collect()
        };
        Ok(self.handle.read(of))
    }

    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: Time) -> Result<Connection> {
        self.handle.write(|world| {
            let (kept, _) = world.connection_mut(&self.workspace, id).ok_or_else(|| unknown("update_connection", id))?;
            let mut wanted = kept.clone();
            patch.apply(&mut wanted, at)?;
            *kept = wanted;
            Ok(kept.clone())
        })
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        Ok(self.handle.read(|world| world.connection(&self.workspace, id).and_then(|(_, sealed)| sealed.clone())))
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: Time) -> Result<bool> {
        self.handle.write(|world| {
            world.refuse_retired("replace_credentials", &[Some(&sealed.access), sealed.refresh.as_deref()])?;
            let (kept, stored) = world.connection_mut(&self.workspace, id).ok_or_else(|| unknown("replace_credentials", id))?;
            if kept.token_version != expected || kept.status == ConnectionStatus::Disconnected {
                return Ok(stored.as_ref().is_some_and(|stored| {
                    (&stored.access, &stored.refresh, stored.version) == (&sealed.access, &sealed.refresh, sealed.version)
                }));
            }
            let refused = matches!(kept.error_kind, Some(ErrorKind::Auth | ErrorKind::AuthRevoked));
            let renewal = kept.renewal.refused_at.or(kept.renewal.failing_since);
            if kept.status == ConnectionStatus::Error && (refused || renewal.is_some()) {
                (kept.status, kept.error_count) = (ConnectionStatus::Active, 0);
                (kept.error_message, kept.error_kind) = (None, None);
            }
            store(kept, stored, sealed);
            kept.updated_at = at;
            Ok(true)
        })
    }

    async fn note_renewal(&self, id: &ConnectionId, expected: u64, renewal: Renewal, gone: Option<&str>, at: Time) -> Result<bool> {
        self.handle.write(|world| {
            let (kept, _) = world.connection_mut(&self.workspace, id).ok_or_else(|| unknown("note_renewal", id))?;
            if kept.token_version != expected {
                return Ok(false);
            }
            (kept.renewal, kept.updated_at) = (renewal, at);
            if let Some(gone) = gone {
                (kept.error_message, kept.error_kind) = (Some(gone.into()), Some(ErrorKind::AuthRevoked));
                if kept.status == ConnectionStatus::Active {
                    kept.status = ConnectionStatus::Error;
                }
            }
            Ok(true)
        })
    }

    async fn disconnect(&self, id: &ConnectionId, at: Time) -> Result<Connection> {
        self.handle.write(|world| {
            let (kept, stored) = world.connection_mut(&self.workspace, id).ok_or_else(|| unknown("disconnect", id))?;
            *stored = None;
            (kept.status, kept.token_version, kept.updated_at) = (ConnectionStatus::Disconnected, kept.token_version + 1, at);
            (kept.expires_at, kept.grant, kept.scopes, kept.renewal) = (None, None, None, Renewal::default());
            Ok(kept.clone())
        })
    }
}

//! What people configure of a connection: changing it, its versions, and the way back.

use serde_json::Value;
use sync_core::{
    Error, ErrorKind, Result, Services as _,
    store::{self, CONNECTION_CONFIG, ConfigVersion, ConnectionConfig, ConnectionPatch, ConnectionStatus, config_activity},
};

use super::Connection;

impl Connection {
    /// Changes settings, schedule, subject or name. New settings are accepted by the provider in one cheap call first. What differs is a
    /// new [version](Self::config_versions), and a row `config_changed` of the activity log names the fields and who changed them.
    ///
    /// # Errors
    /// What the provider says of the settings; [`Conflict`](ErrorKind::Conflict) when they lead to another account, which needs a connection
    /// of its own, and when a status leads out of disconnected: only connecting does.
    pub async fn save_config(&self, patch: ConnectionPatch) -> Result<store::Connection> {
        if let Some(settings) = patch.settings.as_ref().or(patch.config.as_ref().map(|config| &config.settings)) {
            let (row, account) = (self.load_config().await?, self.provider.validate_credentials(&self.context_with(settings)?).await?);
            if account.id != row.account_id {
                let text =
                    format!("these settings lead to the account {:?}; connect it by itself, this one is {:?}", account.id, row.account_id);
                return Err(Error::new(ErrorKind::Conflict, "settings", text).at("connection", self.id.as_str()));
            }
        }
        Ok(self.change(patch).await?.0)
    }

    /// Replaces the provider's settings, as [`save_config`](Self::save_config) does.
    pub async fn save_settings(&self, settings: Value) -> Result<store::Connection> {
        self.save_config(ConnectionPatch { settings: Some(settings), ..ConnectionPatch::default() }).await
    }

    /// Switches it on; clears errors, so that renewing a token that was given up is tried again. A grant that the service refused stays
    /// refused until it is connected again or [renewed](Self::refresh_oauth_token).
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when it was disconnected: connect it again.
    pub async fn enable(&self) -> Result<()> {
        let patch = ConnectionPatch {
            status: Some(ConnectionStatus::Active),
            sync_enabled: Some(true),
            clear_errors: true,
            ..ConnectionPatch::default()
        };
        self.switch(patch, "enabled").await
    }

    /// Switches it off: no run starts until [`enable`](Self::enable).
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when it was disconnected.
    pub async fn disable(&self) -> Result<()> {
        let patch = ConnectionPatch { status: Some(ConnectionStatus::Paused), sync_enabled: Some(false), ..ConnectionPatch::default() };
        self.switch(patch, "disabled").await
    }

    async fn switch(&self, patch: ConnectionPatch, action: &str) -> Result<()> {
        // A switch that changes a configuration is told as that; one that only clears errors has a row of its own.
        match self.change(patch).await? {
            (_, true) => Ok(()),
            (row, false) => self.log(&row, action, true, None).await,
        }
    }

    /// Changes the connection; answers whether what people configure differs. Who does it is whoever the patch says, else whoever the
    /// workspace acts for.
    async fn change(&self, patch: ConnectionPatch) -> Result<(store::Connection, bool)> {
        let patch = ConnectionPatch { changed_by: patch.changed_by.clone().or_else(|| self.workspace.actor()), ..patch };
        let (store, now) = (&self.workspace.store, self.services.now());
        let before = ConnectionConfig::of(&self.load_config().await?);
        let row = store.update_connection(&self.id, patch.clone(), now).await?;
        let fields = ConnectionConfig::of(&row).changed(&before);
        if !store.keeps_config() && !fields.is_empty() {
            // Where storages keep versions they write this row themselves, in the transaction of the change.
            self.log_activity(config_activity(&row, &fields, patch.cause(now))).await?;
        }
        Ok((row, !fields.is_empty()))
    }

    /// The versions of what people configure of it, the newest first: who changed it, when, and how. There is nothing secret in them.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) from storages that keep none.
    pub async fn config_versions(&self, limit: u32) -> Result<Vec<ConfigVersion>> {
        self.workspace.store.config_versions(CONNECTION_CONFIG, self.id.as_str(), limit).await
    }

    /// Puts an earlier version in force again, as [`save_config`](Self::save_config) does: the provider accepts its settings first. It is a
    /// new version by itself, unless nothing differs.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for a version there is not; [`Config`](ErrorKind::Config) when the connection is disconnected, or
    /// was in that version; what the provider says of the settings.
    pub async fn restore_config(&self, version: u64) -> Result<store::Connection> {
        let found = self.workspace.store.config_version(CONNECTION_CONFIG, self.id.as_str(), version).await?;
        let body = found.and_then(|found| found.body).ok_or_else(|| {
            let text = format!("there is no version {version} of this connection's configuration");
            Error::new(ErrorKind::NotFound, "restore_config", text).at("connection", self.id.as_str())
        })?;
        let config = ConnectionConfig::from_body(&body)?;
        let refused = |text: &'static str| Err(Error::config("restore_config", text).at("connection", self.id.as_str()));
        if config.status == ConnectionStatus::Disconnected {
            return refused("in that version the account was disconnected; to take it away again, disconnect it");
        }
        if self.load_config().await?.status == ConnectionStatus::Disconnected {
            return refused("the account was disconnected; connect it again first");
        }
        self.save_config(ConnectionPatch { config: Some(config), restores: Some(version), ..ConnectionPatch::default() }).await
    }
}

//! One authorised account.

mod config;
mod connect;
mod diagnosis;
mod push;
mod tokens;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use serde_json::{Value, value::RawValue};
use sync_core::{
    Account, ConnectionId, Direction, Error, IntegrationSync, Result, RunId, Services, Stream, SyncContext, SyncResult,
    store::{self, ConnectionStatus, NewActivity, Plan},
};

pub(crate) use self::connect::Making;
pub use self::{
    connect::Connect,
    diagnosis::{Actor, Diagnosis},
};
use crate::{Apply, Pull, Push, Workspace, services::ConnectionServices, workspace::unknown};

/// How long one page, or one call outside of a run, may take with all its attempts and waits.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(300);

/// The handle of one connection. A cheap clone that holds no credential.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) workspace: Workspace,
    pub(crate) id: ConnectionId,
    pub(crate) provider: Arc<dyn IntegrationSync>,
    pub(crate) services: Arc<ConnectionServices>,
}

impl Connection {
    pub(crate) fn new(workspace: Workspace, row: &store::Connection) -> Result<Self> {
        let provider = workspace.engine.registry.provider(&row.provider)?;
        let services = Arc::new(ConnectionServices::new(
            Arc::clone(&workspace.engine.shared),
            (&workspace.store).into(),
            workspace.id.clone(),
            Arc::clone(&provider),
        ));
        Ok(Self { workspace, id: row.id.clone(), provider, services })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// The provider's name.
    #[must_use]
    pub fn integration_name(&self) -> &'static str {
        self.provider.descriptor().name
    }

    /// The connection as it is stored: settings, status, error count, last sync.
    ///
    /// # Errors
    /// [`NotFound`](sync_core::ErrorKind::NotFound) when it is gone.
    pub async fn load_config(&self) -> Result<store::Connection> {
        self.workspace.store.connection(&self.id).await?.ok_or_else(|| unknown(&self.id))
    }

    /// Checks that everything a run needs is in place: the stored row, the provider, a credential that opens.
    pub async fn initialize(&self) -> Result<()> {
        self.usable().await?;
        self.services.token(&self.id, None).await?;
        Ok(())
    }

    /// One cheap call that proves the stored credentials and says whose they are.
    pub async fn validate_credentials(&self) -> Result<Account> {
        let cx = self.context().await?;
        self.provider.validate_credentials(&cx).await
    }

    /// Whether [`validate_credentials`](Self::validate_credentials) succeeds; never an error, nor a panic of the provider's.
    pub async fn is_valid(&self) -> bool {
        AssertUnwindSafe(self.validate_credentials()).catch_unwind().await.is_ok_and(|account| account.is_ok())
    }

    /// The streams this account offers.
    pub async fn streams(&self) -> Result<Vec<Stream>> {
        let cx = self.context().await?;
        self.provider.streams(&cx).await
    }

    /// Where the connection stands.
    pub async fn status(&self) -> Result<ConnectionStatus> {
        Ok(self.load_config().await?.status)
    }

    /// Whether it is active and schedules may run it.
    pub async fn is_enabled(&self) -> Result<bool> {
        let row = self.load_config().await?;
        Ok(row.sync_enabled && row.status == ConnectionStatus::Active)
    }

    /// The end of the last run that succeeded.
    pub async fn last_sync_at(&self) -> Result<Option<DateTime<Utc>>> {
        Ok(self.load_config().await?.last_sync_at)
    }

    /// Reads a stream into its table: what changed since the last time, or everything.
    ///
    /// A run that began always answers a [`SyncResult`]; one that stopped has `success() == false`, its rows up to the last commit
    /// stay, and the next pull goes on from there.
    ///
    /// # Errors
    /// When no run could begin: the connection is switched off ([`Config`](sync_core::ErrorKind::Config)), another run of the same
    /// stream is under way ([`Conflict`](sync_core::ErrorKind::Conflict)), the database refuses.
    ///
    /// # Cancellation
    /// Dropping the future ends the run as `cancelled`; a commit that has begun ends by itself.
    pub async fn sync_from_external(&self, pull: Pull) -> Result<SyncResult> {
        let started = self.services.now();
        if !self.provider.descriptor().capabilities.pull {
            let error = Error::unsupported("pull").at("provider", self.integration_name());
            return Ok(SyncResult::failed(Direction::FromExternal, &error, started, started));
        }
        crate::pull::pull(self, pull).await
    }

    /// Stops a pull before it writes: reads what it would read, and stores what it would change, row by row and field by field, with the rule
    /// that decided each. No table but those of plans and runs is written, and no position is moved.
    ///
    /// What was read is held in memory until it was compared, 512 MiB at most.
    ///
    /// # Errors
    /// As of [`sync_from_external`](Self::sync_from_external), and what stopped the run.
    pub async fn plan(&self, pull: Pull) -> Result<Plan> {
        if !self.provider.descriptor().capabilities.pull {
            return Err(Error::unsupported("plan").at("provider", self.integration_name()));
        }
        crate::plan::plan(self, pull).await
    }

    /// Stops a push before it sends: decides about every row as the push would, and stores what it would write, record by record, with the
    /// rule that decided each. Nothing is written to the service, and no table but those of plans and runs. The service is read where the
    /// push has to know what is there: a mirror reads the whole stream, records that are told apart by key columns are looked for.
    /// [`Push::look`] reads the stream for the values that would be replaced.
    ///
    /// Writes of earlier pushes that are not settled stay so, and their rows are left out.
    ///
    /// # Errors
    /// As of [`sync_to_external`](Self::sync_to_external), and what stopped the run: a mass deletion that is not confirmed too.
    pub async fn plan_push(&self, push: Push) -> Result<Plan> {
        if !self.provider.descriptor().capabilities.push {
            return Err(Error::unsupported("plan").at("provider", self.integration_name()));
        }
        crate::push::plan(self, push).await
    }

    /// Writes what a stored plan says, in whole or in part: exactly these changes and no others. A row that is no longer as the plan had
    /// found it is left as it is, with a warning that names it. Positions of pulls stay where they are, so that the next pull finds again
    /// what was not applied.
    ///
    /// The plan of a push is applied by a push of what it names: each write is journaled before it leaves, as always. What failed, or is
    /// not settled at the end, stays open in the plan, and applying it again goes on with it.
    ///
    /// # Errors
    /// [`NotFound`](sync_core::ErrorKind::NotFound) when there is no such plan; [`Conflict`](sync_core::ErrorKind::Conflict) when it was applied or discarded,
    /// belongs to another connection, or, of a push, when account, settings or fields of the stream are no longer those it was made for;
    /// as of [`sync_from_external`](Self::sync_from_external) and [`sync_to_external`](Self::sync_to_external).
    pub async fn apply(&self, apply: Apply) -> Result<SyncResult> {
        crate::plan::apply(self, apply).await
    }

    /// Plans what would take back what a pull, or the applying of a plan, has changed: rows it made go, values it replaced and rows it deleted
    /// come back. What others changed since stays, and is listed in the plan's warnings.
    ///
    /// The plan is applied as others are. A row that comes back belongs to no record; where a complete read of a stream's own table does not
    /// show it, it goes again.
    ///
    /// # Errors
    /// [`NotFound`](sync_core::ErrorKind::NotFound) for an unknown run; [`Conflict`](sync_core::ErrorKind::Conflict) for one of another connection, one that is
    /// under way, one that wrote to the service, and one whose lineage is not kept.
    pub async fn plan_undo(&self, run: RunId, by: &str) -> Result<Plan> {
        crate::plan::plan_undo(self, run, by).await
    }

    /// [`plan_undo`](Self::plan_undo), applied at once.
    ///
    /// # Errors
    /// As of [`plan_undo`](Self::plan_undo) and [`apply`](Self::apply).
    pub async fn undo(&self, run: RunId, by: &str) -> Result<SyncResult> {
        crate::plan::undo(self, run, by).await
    }

    /// Adds the result of a sync the host made by itself to the activity log.
    pub async fn log_sync_activity(&self, result: &SyncResult) -> Result<()> {
        let error = result.errors.first().map(|error| error.message.clone());
        let metadata = serde_json::json!({ "direction": result.direction, "run": result.run, "counts": result.counts });
        self.log_activity(NewActivity {
            integration: self.integration_name().into(),
            connection: Some(self.id.clone()),
            action: if result.success() { "sync_completed" } else { "sync_failed" }.into(),
            success: result.success(),
            records_affected: result.counts.synced() + result.counts.deleted + result.counts.swept,
            error,
            metadata,
            at: result.completed_at,
        })
        .await
    }

    /// Adds a row to the activity log.
    pub async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        self.workspace.store.log_activity(activity).await
    }

    pub(crate) async fn log(&self, row: &store::Connection, action: &str, success: bool, error: Option<Box<str>>) -> Result<()> {
        self.log_activity(NewActivity {
            integration: row.provider.clone(),
            connection: Some(self.id.clone()),
            action: action.into(),
            success,
            records_affected: 0,
            error,
            metadata: serde_json::json!({ "status": row.status, "account": row.account_name, "by": self.workspace.user }),
            at: row.updated_at,
        })
        .await
    }

    /// The stored row, if runs may start.
    pub(crate) async fn usable(&self) -> Result<store::Connection> {
        let row = self.load_config().await?;
        match row.status {
            ConnectionStatus::Active | ConnectionStatus::Error => Ok(row),
            ConnectionStatus::Paused => {
                Err(Error::config("pull", "the connection is switched off; enable it first").at("connection", self.id.as_str()))
            }
            ConnectionStatus::Disconnected => {
                Err(Error::config("pull", "the account was disconnected; connect it again").at("connection", self.id.as_str()))
            }
        }
    }

    pub(crate) async fn context(&self) -> Result<SyncContext> {
        let row = self.load_config().await?;
        self.context_with(&row.settings)
    }

    pub(crate) fn context_with(&self, settings: &Value) -> Result<SyncContext> {
        let services: Arc<dyn Services> = Arc::clone(&self.services) as _;
        Ok(SyncContext {
            workspace: self.workspace.id.clone(),
            connection: self.id.clone(),
            settings: raw(settings)?,
            deadline: services.now() + CALL_DEADLINE,
            services,
        })
    }
}

/// Settings as providers read them.
pub(crate) fn raw(settings: &Value) -> Result<Arc<RawValue>> {
    if !settings.is_object() {
        return Err(Error::config("settings", "the settings of a connection are a JSON object"));
    }
    let raw = serde_json::value::to_raw_value(settings).map_err(|e| Error::config("settings", "the settings are not JSON").because(e))?;
    Ok(raw.into())
}

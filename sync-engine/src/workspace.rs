//! One tenant.

use std::sync::Arc;

use serde_json::Value;
use sync_core::{
    ConnectionId, EntityType, Error, ErrorKind, HostTable, RecordFailure, Result, RunId, WorkspaceId, json_value,
    store::{
        self, Activity, Client, ClientAccount, ClientFacts, Entity, EntityQuery, ErasedEntity, Event, LineageEntry, Onboarding, Plan,
        PlanItem, PlanState, Run, RunFilter, Settle, StoredClient, WorkspaceStore,
    },
};

use crate::{BeginAuthorization, Connect, Connection, Credentials, OAuthClient, syncline::Engine};

/// The handle of one tenant: its connections, runs, rows and history. A cheap clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: WorkspaceId,
    pub(crate) store: Arc<dyn WorkspaceStore>,
    /// Who its calls are made for, for the record.
    pub(crate) user: Option<Arc<str>>,
}

impl Workspace {
    pub(crate) fn new(engine: Arc<Engine>, id: WorkspaceId) -> Self {
        let store = engine.storage.workspace(&id);
        Self { engine, id, store, user: None }
    }

    /// The same workspace for a user of the host's: what is changed through it, and through connections got from it, is written down as
    /// changed by them. Without it that is said to be by `app`.
    #[must_use]
    pub fn acting(&self, user: &str) -> Self {
        Self { user: Some(user.into()), ..self.clone() }
    }

    /// Who a run is in the name of.
    pub(crate) fn asked_by(&self, said: Option<&str>) -> Box<str> {
        said.map(Box::from).or_else(|| self.actor()).unwrap_or_else(|| "manual".into())
    }

    /// Who its calls are made for.
    pub(crate) fn actor(&self) -> Option<Box<str>> {
        self.user.as_deref().map(Box::from)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &WorkspaceId {
        &self.id
    }

    /// Connects an account: proves the credentials with one cheap call, then stores them sealed. An account that is connected
    /// already is healed: it keeps its id and history. Await the answer, or set more first.
    pub fn connect(&self, provider: &str, credentials: Credentials) -> Connect {
        Connect::new(self.clone(), provider, credentials)
    }

    /// Begins to connect an account in a browser: await the answer, or set more first. What comes back goes to
    /// [`finish_authorization`](crate::Syncline::finish_authorization).
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when the provider is not authorised in a browser, or there is no OAuth client for it.
    pub fn begin_authorization(&self, provider: &str) -> BeginAuthorization {
        BeginAuthorization::new(self.clone(), provider)
    }

    /// Stores an OAuth client of the workspace's own, its secret sealed; it goes before the host's.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) when its redirect URI is none that a service would take.
    pub async fn set_oauth_client(&self, authority: &str, client: OAuthClient) -> Result<()> {
        client.check(authority)?;
        let shared = &self.engine.shared;
        let secret = client.seal(shared, &self.id, authority).await?;
        let (client_id, redirect_uri) = (client.id, client.redirect_uri);
        let stored = StoredClient { authority: authority.into(), client_id, secret, redirect_uri, updated_at: shared.clock.now() };
        self.store.set_oauth_client(stored).await
    }

    /// Forgets the workspace's own OAuth client; answers whether there was one.
    pub async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        self.store.remove_oauth_client(authority).await
    }

    /// A connection by its id.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), for the ids of other workspaces too;
    /// [`Config`](ErrorKind::Config) when its provider is not registered.
    pub async fn connection(&self, id: impl Into<ConnectionId>) -> Result<Connection> {
        let id = id.into();
        let row = self.store.connection(&id).await?.ok_or_else(|| unknown(&id))?;
        Connection::new(self.clone(), &row)
    }

    /// Deletes everything there is of this workspace: connections and their credentials, rows of managed tables, runs, lineage, logs. Tables
    /// of the host stay as they are. Answers how many rows went; may be repeated.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) while a run is under way; [`Config`](ErrorKind::Config) when `confirmed` is not this workspace's id.
    pub async fn erase(&self, confirmed: &str) -> Result<u64> {
        if confirmed != self.id.as_str() {
            return Err(Error::config("erase", "to erase a workspace, confirm with its id; nothing was deleted"));
        }
        let erased = self.engine.storage.fleet().erase(&self.id).await?;
        tracing::warn!(workspace = %self.id, rows = erased, "erased a workspace");
        Ok(erased)
    }

    /// Deletes everything there is of one entity, for the person behind it: the row of a managed table, its lineage, items of plans,
    /// conflicts and reference values, what pushes know of it and have not settled, and failures, errors, events and entries of the
    /// activity log that quote it. A row of a table of the host's own is the host's to delete: delete it first, then what is known of it at
    /// the service goes too. May be repeated; counts of runs stay.
    ///
    /// What the service shows still comes again with the next pull: delete it there first. Nothing is kept here that would know it by.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) while a run of the entity type is under way; [`NotFound`](ErrorKind::NotFound) for a type that
    /// nobody knows here.
    pub async fn erase_entity(&self, entity: impl Into<EntityType>, key: &str) -> Result<ErasedEntity> {
        let entity = entity.into();
        let erased = self.store.erase_entity(&entity, key).await?;
        // Whose it was is told nowhere.
        tracing::warn!(workspace = %self.id, %entity, all = erased.total(), "erased an entity");
        Ok(erased)
    }

    /// What the history of a sensitive field shows where it had this value: its hash. So it can be told whether a value was ever there, by
    /// who knows it already.
    pub async fn hidden(&self, value: &Value) -> Result<Value> {
        let hidden = self.store.hidden(vec![value.to_string().into()]).await?;
        Ok(hidden.first().map_or(Value::Null, |hidden| json_value(hidden)))
    }

    /// The connections, the oldest first.
    pub async fn connections(&self) -> Result<Vec<store::Connection>> {
        self.store.connections().await
    }

    /// Makes a client, or puts this one whole in the place of the one with its id; its times are set here. An account of it that is
    /// connected, now or later, belongs to it unless the connection was given another subject. A host that keeps clients of its own
    /// hands their ids to [`Connect::subject`] instead.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) for an account that is linked to another client: it names that one.
    /// [`Config`](ErrorKind::Config) for an empty id or name, and an account that is listed twice.
    pub async fn put_client(&self, client: Client) -> Result<Client> {
        let now = self.engine.shared.clock.now();
        self.store.put_client(Client { created_at: now, updated_at: now, ..client }, self.user.as_deref()).await
    }

    /// Says that an account is a client's, whatever others change of the client at the same moment; answers it. What
    /// [`put_client`](Self::put_client) says of accounts holds for this one.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`Conflict`](ErrorKind::Conflict) for an account that is linked to another client.
    pub async fn link_account(&self, client: &str, account: ClientAccount) -> Result<Client> {
        self.store.link_account(client, account, self.user.as_deref(), self.engine.shared.clock.now()).await
    }

    /// Says that an account is a client's no more; answers the client. Connections keep their subject.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn unlink_account(&self, client: &str, provider: &str, account_id: &str) -> Result<Client> {
        self.store.unlink_account(client, provider, account_id, self.engine.shared.clock.now()).await
    }

    /// Changes what is known of a client and leaves its accounts alone, or makes it; answers it, and whether it was made.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for an empty id or name.
    pub async fn describe_client(&self, id: &str, facts: ClientFacts) -> Result<(Client, bool)> {
        self.store.describe_client(id, facts, self.engine.shared.clock.now()).await
    }

    /// One client.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), for the ids of other workspaces too.
    pub async fn client(&self, id: &str) -> Result<Client> {
        let client = self.store.client(id).await?;
        client.ok_or_else(|| Error::new(ErrorKind::NotFound, "client", format!("there is no client {id:?} in this workspace")))
    }

    /// The clients, by name.
    pub async fn clients(&self) -> Result<Vec<Client>> {
        self.store.clients().await
    }

    /// Removes a client with its links to accounts; answers whether there was one. Connections keep their subject.
    pub async fn remove_client(&self, id: &str) -> Result<bool> {
        self.store.remove_client(id).await
    }

    /// How far a user has come, from the first page to the first sync; `user` is what the host hands to
    /// [`connected_by`](Connect::connected_by). Of somebody unknown it is the beginning, and nothing is written.
    pub async fn onboarding(&self, user: &str) -> Result<Onboarding> {
        Ok(self.store.onboarding(user).await?.unwrap_or_else(|| Onboarding::welcome(user)))
    }

    /// A user has seen the first page. Whoever is further stays there.
    pub async fn begin_onboarding(&self, user: &str) -> Result<Onboarding> {
        let (onboarding, advanced) = self.store.begin_onboarding(user, self.engine.shared.clock.now()).await?;
        self.engine.advanced(&self.id, advanced.then(|| onboarding.clone()));
        Ok(onboarding)
    }

    /// The newest runs first.
    pub async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        self.store.runs(filter).await
    }

    /// One run.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn run(&self, id: RunId) -> Result<Run> {
        let run = self.store.run(id).await?;
        run.ok_or_else(|| Error::new(ErrorKind::NotFound, "run", format!("there is no run {id} in this workspace")))
    }

    /// Record failures and warnings of a run, at most `limit`.
    pub async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        self.store.failures(run, limit).await
    }

    /// The plan that a run made.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn plan(&self, run: RunId) -> Result<Plan> {
        let plan = self.store.plan(run).await?;
        plan.ok_or_else(|| Error::new(ErrorKind::NotFound, "plan", format!("there is no plan {run} in this workspace")))
    }

    /// The newest plans first, older than `before`.
    pub async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        self.store.plans(before, limit).await
    }

    /// What a plan would do, row by row: items after the item of this number, at most `limit`.
    pub async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        self.store.plan_items(run, after, limit).await
    }

    /// Says that a plan may be applied.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when it was applied or discarded.
    pub async fn approve_plan(&self, run: RunId, by: &str) -> Result<Plan> {
        self.settle_plan(run, PlanState::Approved, by).await
    }

    /// Says that a plan shall never be applied.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when it was applied.
    pub async fn discard_plan(&self, run: RunId, by: &str) -> Result<Plan> {
        self.settle_plan(run, PlanState::Discarded, by).await
    }

    async fn settle_plan(&self, run: RunId, state: PlanState, by: &str) -> Result<Plan> {
        let plan = self.plan(run).await?;
        let over = matches!(plan.state, PlanState::Applied | PlanState::Discarded);
        let at = self.engine.shared.clock.now();
        let settle = Settle { state, run: None, items: Vec::new(), by: by.into(), at };
        if over || !self.store.settle_plan(run, plan.state, settle).await? {
            let text = format!("plan {run} is {}; nothing was changed", self.plan(run).await?.state.as_str());
            return Err(Error::new(ErrorKind::Conflict, "plan", text));
        }
        self.plan(run).await
    }

    /// Stored events after `seq`, for readers that come back.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<Event>> {
        self.store.events(seq, limit).await
    }

    /// The activity log, the newest first.
    pub async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        self.store.activities(limit).await
    }

    /// The entity types this workspace has rows of.
    pub async fn entity_types(&self) -> Result<Vec<EntityType>> {
        self.store.entity_types().await
    }

    /// How many rows of an entity type it has.
    pub async fn count(&self, entity: impl Into<EntityType>) -> Result<u64> {
        self.store.count_entities(&entity.into()).await
    }

    /// Rows of an entity type, in key order.
    pub async fn entities(&self, entity: impl Into<EntityType>, query: EntityQuery) -> Result<Vec<Entity>> {
        self.store.entities(&entity.into(), query).await
    }

    /// What changed a row, or one of its fields, the oldest first: from what to what, by which run, out of which place.
    pub async fn lineage(&self, entity: impl Into<EntityType>, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        self.store.lineage(&entity.into(), key, field).await
    }

    /// Checks that a table of the host has these columns and lets mappings write into it.
    pub async fn register_table(&self, table: HostTable, fields: &[Box<str>]) -> Result<()> {
        self.store.register_table(Arc::new(table), fields).await
    }
}

pub(crate) fn unknown(id: &ConnectionId) -> Error {
    Error::new(ErrorKind::NotFound, "connection", format!("there is no connection {id} in this workspace"))
}

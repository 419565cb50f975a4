//! A storage that counts the calls to it, fails one, loses a record on the way, or takes several commits at once and answers them when
//! the test says.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use syncline::core::{
    ConnectionId, EntityType, Error, ErrorKind, HostTable, Place, RecordFailure, RecordId, Result, RunId, WorkspaceId, async_trait,
    mapping::FieldOwner,
    store::{
        Activity, ActivityStore, AuthorizationStore, Begin, ChangedQuery, ChangedRows, ClientStore, CommitReport, ConfigStore,
        ConfigVersion, Conflict, ConflictFilter, ConflictStore, Connection, ConnectionPatch, ConnectionStore, Entity, EntityQuery,
        EntityStore, Event, Feed, Fence, FleetStore, Intent, IntentFilter, LeaseStore, LineageEntry, LineageStore, Look, NewActivity,
        NewConfig, NewConnection, NewPlan, NewRun, OnboardingStore, PageCommit, PartitionState, PendingAuthorization, Plan, PlanItem,
        PlanState, PlanStore, Preview, PushCommit, PushLink, PushMemory, PushStore, RecordChanges, ReferenceValue, Renewal, RowHistory,
        Run, RunEnd, RunFilter, RunRows, RunRules, RunStore, SealedCredentials, Settle, SettleConflicts, Storage, StoredClient, Sweep,
        SweepReport, Trial, WorkspaceStore,
    },
};
use syncline::testkit::VirtualClock;
use tokio::sync::Semaphore;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The n-th call, counted from 0, is refused.
    Refuse(usize),
    /// A record is left out of each commit with two or more.
    LoseRecord,
    /// The counts of each commit say one record less was created.
    Miscount,
    /// The counts of each commit do not add up.
    Unbalanced,
}

/// How several commits at once are taken.
#[derive(Clone)]
pub(crate) struct Pace {
    pub(crate) at_once: usize,
    /// The clock that answers are waited for by.
    pub(crate) clock: VirtualClock,
    /// How long the n-th commit, counted from 0, waits with its answer.
    pub(crate) answers_after: Arc<dyn Fn(usize) -> Duration + Send + Sync>,
    /// This commit is refused, and all after it.
    pub(crate) refuses_from: usize,
}

/// What happened to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begun(usize),
    Answered(usize),
}

/// A storage with something wrong. Clones are the same storage.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: Arc<dyn Storage>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    harm: Option<Harm>,
    pace: Option<Pace>,
    steps: Vec<Step>,
    calls: Vec<&'static str>,
    /// Answers of the journal wait for a permit of this.
    hold: Option<Arc<Semaphore>>,
    held: usize,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    pub(crate) fn new(inner: impl Storage) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default() }
    }

    /// From now on this goes wrong, or nothing; calls are counted anew.
    pub(crate) fn harm(&self, harm: Option<Harm>) {
        *self.state() = State { harm, ..State::default() };
    }

    /// What is journaled is written, but its answer waits for a permit of what is answered.
    pub(crate) fn hold_journal(&self) -> Arc<Semaphore> {
        let hold = Arc::new(Semaphore::new(0));
        self.state().hold = Some(Arc::clone(&hold));
        hold
    }

    /// How many answers of the journal came to waiting.
    pub(crate) fn held(&self) -> usize {
        self.state().held
    }

    /// From now on commits are taken like this.
    pub(crate) fn pace(&self, pace: Pace) {
        self.state().pace = Some(pace);
    }

    /// What happened to paced commits so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// The calls so far, in their order.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, name: &'static str) -> Result<Option<Harm>> {
        let mut state = self.state();
        state.calls.push(name);
        match state.harm {
            Some(Harm::Refuse(n)) if n + 1 == state.calls.len() => {
                Err(Error::new(ErrorKind::Storage, name, "the disk is full (so the test says)"))
            }
            harm => Ok(harm),
        }
    }
}

impl Storage for Faulty {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        Arc::new(Scope { inner: self.inner.workspace(workspace), faulty: self.clone() })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        self.inner.fleet()
    }
}

#[derive(Debug)]
struct Scope {
    inner: Arc<dyn WorkspaceStore>,
    faulty: Faulty,
}

#[async_trait]
impl ConnectionStore for Scope {
    async fn connect(&self, new: NewConnection) -> Result<Connection> {
        self.faulty.call("connect")?;
        self.inner.connect(new).await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>> {
        self.faulty.call("connection")?;
        self.inner.connection(id).await
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        self.faulty.call("connections")?;
        self.inner.connections().await
    }

    async fn update_connection(&self, id: &ConnectionId, patch: ConnectionPatch, at: DateTime<Utc>) -> Result<Connection> {
        self.faulty.call("update_connection")?;
        self.inner.update_connection(id, patch, at).await
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        self.faulty.call("credentials")?;
        self.inner.credentials(id).await
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: DateTime<Utc>) -> Result<bool> {
        self.faulty.call("replace_credentials")?;
        self.inner.replace_credentials(id, expected, sealed, at).await
    }

    async fn account(&self, provider: &str, account_id: &str) -> Result<Option<Connection>> {
        self.faulty.call("account")?;
        self.inner.account(provider, account_id).await
    }

    async fn note_renewal(
        &self,
        id: &ConnectionId,
        expected: u64,
        renewal: Renewal,
        gone: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        self.faulty.call("note_renewal")?;
        self.inner.note_renewal(id, expected, renewal, gone, at).await
    }

    async fn disconnect(&self, id: &ConnectionId, at: DateTime<Utc>) -> Result<Connection> {
        self.faulty.call("disconnect")?;
        self.inner.disconnect(id, at).await
    }
}

#[async_trait]
impl AuthorizationStore for Scope {
    async fn keep_authorization(&self, pending: PendingAuthorization) -> Result<()> {
        self.faulty.call("keep_authorization")?;
        self.inner.keep_authorization(pending).await
    }

    async fn take_authorization(&self, nonce: &str) -> Result<Option<PendingAuthorization>> {
        self.faulty.call("take_authorization")?;
        self.inner.take_authorization(nonce).await
    }

    async fn oauth_client(&self, authority: &str) -> Result<Option<StoredClient>> {
        self.faulty.call("oauth_client")?;
        self.inner.oauth_client(authority).await
    }

    async fn set_oauth_client(&self, client: StoredClient) -> Result<()> {
        self.faulty.call("set_oauth_client")?;
        self.inner.set_oauth_client(client).await
    }

    async fn remove_oauth_client(&self, authority: &str) -> Result<bool> {
        self.faulty.call("remove_oauth_client")?;
        self.inner.remove_oauth_client(authority).await
    }
}

impl ClientStore for Scope {}

impl OnboardingStore for Scope {}

/// Not counted: what is kept of a configuration is written by the other calls.
#[async_trait]
impl ConfigStore for Scope {
    fn keeps_config(&self) -> bool {
        self.inner.keeps_config()
    }

    async fn config_versions(&self, kind: &str, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        self.inner.config_versions(kind, id, limit).await
    }

    async fn config_version(&self, kind: &str, id: &str, version: u64) -> Result<Option<ConfigVersion>> {
        self.inner.config_version(kind, id, version).await
    }

    async fn configs(&self, kind: &str) -> Result<Vec<ConfigVersion>> {
        self.inner.configs(kind).await
    }

    async fn put_config(&self, new: NewConfig) -> Result<ConfigVersion> {
        self.inner.put_config(new).await
    }
}

#[async_trait]
impl LeaseStore for Scope {
    async fn lease(&self, name: &str, holder: &str, life: Duration) -> Result<bool> {
        self.faulty.call("lease")?;
        self.inner.lease(name, holder, life).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        self.faulty.call("release")?;
        self.inner.release(name, holder).await
    }
}

#[async_trait]
impl RunStore for Scope {
    async fn begin_run(&self, new: NewRun) -> Result<Begin> {
        self.faulty.call("begin_run")?;
        self.inner.begin_run(new).await
    }

    async fn end_run(&self, fence: Fence, end: RunEnd) -> Result<Run> {
        self.faulty.call("end_run")?;
        self.inner.end_run(fence, end).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        self.inner.run(id).await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        self.inner.runs(filter).await
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        self.faulty.call("failures")?;
        self.inner.failures(run, limit).await
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        self.faulty.call("partition_states")?;
        self.inner.partition_states(feed).await
    }

    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>> {
        self.faulty.call("last_look")?;
        self.inner.last_look(feed).await
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        self.inner.reset_cursors(feed).await
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        self.inner.events(after, limit).await
    }
}

#[async_trait]
impl EntityStore for Scope {
    async fn commit(&self, mut commit: PageCommit) -> Result<CommitReport> {
        let pace = self.faulty.state().pace.clone();
        if let Some(pace) = pace {
            return self.paced(&pace, commit).await;
        }
        let harm = self.faulty.call("commit")?;
        if harm == Some(Harm::LoseRecord) {
            for part in &mut commit.batches {
                part.batch = without_one(&part.batch);
            }
        }
        let mut report = self.inner.commit(commit).await?;
        match harm {
            Some(Harm::Miscount) => {
                report.counts.read -= 1;
                report.counts.created -= 1;
            }
            Some(Harm::Unbalanced) => report.counts.created -= 1,
            _ => {}
        }
        Ok(report)
    }

    fn commits_at_once(&self) -> usize {
        self.faulty.state().pace.as_ref().map_or(1, |pace| pace.at_once)
    }

    async fn preview(&self, trial: Trial) -> Result<Preview> {
        self.inner.preview(trial).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<SweepReport> {
        self.faulty.call("sweep")?;
        self.inner.sweep(sweep).await
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        self.faulty.call("register_table")?;
        self.inner.register_table(table, fields).await
    }

    async fn place(&self, entity: &EntityType) -> Result<Option<Place>> {
        self.inner.place(entity).await
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        self.inner.entity_types().await
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        self.inner.count_entities(entity).await
    }

    async fn entities(&self, entity: &EntityType, query: EntityQuery) -> Result<Vec<Entity>> {
        self.inner.entities(entity, query).await
    }
}

#[async_trait]
impl LineageStore for Scope {
    async fn record_changes(&self, record: RecordChanges) -> Result<()> {
        self.faulty.call("record_changes")?;
        self.inner.record_changes(record).await
    }

    async fn run_rows(&self, run: RunId, limit: u32) -> Result<Option<RunRows>> {
        self.inner.run_rows(run, limit).await
    }

    async fn row_histories(&self, run: RunId, keys: &[Box<str>]) -> Result<Vec<RowHistory>> {
        self.inner.row_histories(run, keys).await
    }

    async fn run_rules(&self, run: RunId) -> Result<Option<RunRules>> {
        self.inner.run_rules(run).await
    }

    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        self.inner.lineage(entity, key, field).await
    }
}

#[async_trait]
impl PlanStore for Scope {
    async fn put_plan(&self, plan: NewPlan, items: Vec<PlanItem>) -> Result<Plan> {
        self.faulty.call("put_plan")?;
        self.inner.put_plan(plan, items).await
    }

    async fn plan(&self, run: RunId) -> Result<Option<Plan>> {
        self.inner.plan(run).await
    }

    async fn plans(&self, before: Option<RunId>, limit: u32) -> Result<Vec<Plan>> {
        self.inner.plans(before, limit).await
    }

    async fn plan_items(&self, run: RunId, after: u32, limit: u32) -> Result<Vec<PlanItem>> {
        self.inner.plan_items(run, after, limit).await
    }

    async fn settle_plan(&self, run: RunId, expected: PlanState, settle: Settle) -> Result<bool> {
        self.faulty.call("settle_plan")?;
        self.inner.settle_plan(run, expected, settle).await
    }
}

#[async_trait]
impl ConflictStore for Scope {
    async fn reference_values(&self, entity: &EntityType, key: &str) -> Result<Vec<ReferenceValue>> {
        self.inner.reference_values(entity, key).await
    }

    async fn field_owners(&self, entity: &EntityType, key: &str) -> Result<Vec<(Box<str>, FieldOwner)>> {
        self.inner.field_owners(entity, key).await
    }

    async fn conflicts(&self, filter: ConflictFilter) -> Result<Vec<Conflict>> {
        self.inner.conflicts(filter).await
    }

    async fn settle_conflicts(&self, settle: SettleConflicts) -> Result<u64> {
        self.faulty.call("settle_conflicts")?;
        self.inner.settle_conflicts(settle).await
    }
}

#[async_trait]
impl PushStore for Scope {
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows> {
        self.faulty.call("changed_rows")?;
        self.inner.changed_rows(query).await
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        self.faulty.call("push_links")?;
        self.inner.push_links(feed, keys).await
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        self.faulty.call("linked_keys")?;
        self.inner.linked_keys(feed, ids).await
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        self.faulty.call("push_memory")?;
        self.inner.push_memory(feed).await
    }

    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        self.faulty.call("intents")?;
        self.inner.intents(filter).await
    }

    async fn journal(&self, commit: PushCommit) -> Result<()> {
        self.faulty.call("journal")?;
        self.inner.journal(commit).await?;
        let hold = self.faulty.state().hold.clone();
        if let Some(hold) = hold {
            self.faulty.state().held += 1;
            hold.acquire().await.expect("never closed").forget();
        }
        Ok(())
    }
}

#[async_trait]
impl ActivityStore for Scope {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        self.faulty.call("log_activity")?;
        self.inner.log_activity(activity).await
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        self.inner.activities(limit).await
    }
}

impl Scope {
    async fn paced(&self, pace: &Pace, commit: PageCommit) -> Result<CommitReport> {
        let n = {
            let mut state = self.faulty.state();
            let n = state.steps.iter().filter(|step| matches!(step, Step::Begun(_))).count();
            state.steps.push(Step::Begun(n));
            n
        };
        let answer = match n < pace.refuses_from {
            true => self.inner.commit(commit).await,
            false => Err(Error::new(ErrorKind::Storage, "commit", format!("commit {n} is refused (so the test says)"))),
        };
        pace.clock.sleep((pace.answers_after)(n)).await;
        self.faulty.state().steps.push(Step::Answered(n));
        answer
    }
}

fn without_one(batch: &syncline::core::RecordBatch) -> syncline::core::RecordBatch {
    let mut less = syncline::core::RecordBatch::default();
    let keep = batch.len().saturating_sub(usize::from(batch.len() > 1));
    for record in &batch.records()[..keep] {
        let cells: Vec<(usize, String)> =
            batch.cells(record).map(|(name, json)| (less.name(&batch.names()[name]), json.to_owned())).collect();
        let mut draft = less.record();
        for (name, json) in cells {
            draft.made(name, &json);
        }
        draft.finish(record.id.clone(), record.operation, record.position);
    }
    less
}

//! A storage around another one, which does one thing wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sync_testkit::suite::storage::{Capability, Database, StorageFixture};
use syncline::core::{
    ConnectionId, EntityType, Error, ErrorKind, HostTable, Place, RecordFailure, RecordId, Result, RunId, WorkspaceId, async_trait,
    store::*,
};

use crate::harm::{self, Harm};

type Time = chrono::DateTime<chrono::Utc>;

/// A fixture whose storages do this wrong.
pub(crate) struct Planted {
    pub(crate) inner: Arc<dyn StorageFixture>,
    pub(crate) harm: Harm,
}

#[async_trait]
impl StorageFixture for Planted {
    fn name(&self) -> &str {
        "planted"
    }

    fn offers(&self) -> &[Capability] {
        self.inner.offers()
    }

    async fn fresh(&self) -> Result<Box<dyn Database>> {
        let inner = self.inner.fresh().await?;
        let (fixture, notes) = (Arc::clone(&self.inner), Arc::default());
        Ok(Box::new(PlantedDatabase { fixture, inner, harm: self.harm, notes }))
    }
}

struct PlantedDatabase {
    fixture: Arc<dyn StorageFixture>,
    inner: Box<dyn Database>,
    harm: Harm,
    notes: Arc<Mutex<Notes>>,
}

/// What has to be known to do some things wrong.
#[derive(Debug, Default)]
struct Notes {
    latest: Option<Fence>,
    fences: BTreeMap<RunId, Fence>,
    swept: BTreeSet<(String, u64)>,
    /// Handles that stay open.
    open: Vec<Arc<dyn Storage>>,
    /// Databases of their own.
    apart: Vec<Apart>,
}

struct Apart(#[expect(dead_code, reason = "it is kept so that its storage lives")] Box<dyn Database>);

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Apart")
    }
}

fn note(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Database for PlantedDatabase {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        let inner = if let Harm::HandlesShareNothing = self.harm {
            let own = self.fixture.fresh().await?;
            let opened = own.open().await?;
            note(&self.notes).apart.push(Apart(own));
            opened
        } else {
            self.inner.open().await?
        };
        if let Harm::OwnersNeverEnd = self.harm {
            note(&self.notes).open.push(Arc::clone(&inner));
        }
        Ok(Arc::new(PlantedStorage { inner, harm: self.harm, notes: Arc::clone(&self.notes) }))
    }

    async fn make_host_table(&self) -> Result<()> {
        self.inner.make_host_table().await
    }

    async fn write_host_row(&self, row: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
        self.inner.write_host_row(row).await
    }

    async fn host_rows(&self) -> Result<Vec<serde_json::Map<String, serde_json::Value>>> {
        self.inner.host_rows().await
    }
}

#[derive(Debug)]
struct PlantedStorage {
    inner: Arc<dyn Storage>,
    harm: Harm,
    notes: Arc<Mutex<Notes>>,
}

impl Storage for PlantedStorage {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        let (own, acme) = (self.inner.workspace(workspace), self.inner.workspace(&"acme".into()));
        Arc::new(Store { own, acme, harm: self.harm, notes: Arc::clone(&self.notes), _open: Arc::clone(&self.inner) })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        Arc::new(PlantedFleet { inner: self.inner.fleet(), harm: self.harm })
    }
}

#[derive(Debug)]
struct PlantedFleet {
    inner: Arc<dyn FleetStore>,
    harm: Harm,
}

#[async_trait]
impl FleetStore for PlantedFleet {
    async fn reap(&self) -> Result<u64> {
        if let Harm::NeverReaps = self.harm { Ok(0) } else { self.inner.reap().await }
    }
}

#[derive(Debug)]
struct Store {
    own: Arc<dyn WorkspaceStore>,
    acme: Arc<dyn WorkspaceStore>,
    harm: Harm,
    notes: Arc<Mutex<Notes>>,
    _open: Arc<dyn Storage>,
}

/// Harms a value, if this is the harm that does.
macro_rules! harm {
    ($self:ident, $kind:ident, $value:expr) => {
        if let Harm::$kind(harm) = $self.harm {
            harm($value);
        }
    };
}

impl Store {
    /// The store a method goes to: its own, or that of another workspace.
    fn to(&self, method: &'static str) -> &dyn WorkspaceStore {
        match self.harm {
            Harm::Leaks(leak) if leak == method => &*self.acme,
            _ => &*self.own,
        }
    }

    fn error<T>(&self, answer: Result<T>) -> Result<T> {
        match self.harm {
            Harm::Refusal(harm) => answer.map_err(harm),
            _ => answer,
        }
    }

    /// The fence a method checks.
    fn fence(&self, method: &'static str, fence: Fence) -> Fence {
        let notes = note(&self.notes);
        match self.harm {
            Harm::IgnoresFence(ignores) if ignores == method && notes.fences.get(&fence.run) != Some(&fence) => {
                notes.latest.unwrap_or(fence)
            }
            Harm::OneToken if fence.token == 7 => notes.fences.get(&fence.run).copied().unwrap_or(fence),
            _ => fence,
        }
    }

    /// What a commit is turned into before it is written.
    async fn page(&self, mut page: PageCommit) -> Result<PageCommit> {
        harm!(self, Commit, &mut page);
        page.fence = self.fence("commit", page.fence);
        match self.harm {
            Harm::ScansEndWithRuns => page.scan = page.scan.map(|scan| scan * 1000 + page.fence.run.0.cast_unsigned()),
            Harm::ForgetsConfirmations if page.target.rules.values().any(|rule| rule.priority > 0) => {
                let shown = self.own.preview(page.clone()).await?.report.counts;
                if shown.unchanged == shown.read {
                    page.batches.clear();
                    page.before = shown;
                }
            }
            Harm::ReplacesRows if !matches!(page.target.place, Place::Host(_)) => {
                let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
                let known = self.own.entities(&page.target.entity, query).await.unwrap_or_default();
                let fields: BTreeSet<String> = known.into_iter().flat_map(|row| row.fields.into_iter().map(|(field, _)| field)).collect();
                harm::rebuild(&mut page, |_, cells| {
                    for field in &fields {
                        if !cells.iter().any(|(name, _)| name == field) {
                            cells.push((field.clone(), "null".into()));
                        }
                    }
                    true
                });
            }
            _ => {}
        }
        Ok(page)
    }
}

#[async_trait]
impl ConnectionStore for Store {
    async fn connect(&self, mut new: NewConnection) -> Result<Connection> {
        harm!(self, Connect, &mut new);
        let mut made = self.error(self.to("connect").connect(new).await)?;
        harm!(self, Connection, &mut made);
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

    async fn update_connection(&self, id: &ConnectionId, mut patch: ConnectionPatch, at: Time) -> Result<Connection> {
        harm!(self, Patch, &mut patch);
        let mut made = self.error(self.to("update_connection").update_connection(id, patch, at).await)?;
        harm!(self, Connection, &mut made);
        Ok(made)
    }

    async fn credentials(&self, id: &ConnectionId) -> Result<Option<SealedCredentials>> {
        self.to("credentials").credentials(id).await
    }

    async fn replace_credentials(&self, id: &ConnectionId, expected: u64, sealed: SealedCredentials, at: Time) -> Result<bool> {
        let stored = self.own.credentials(id).await?.map_or(0, |stored| stored.version);
        let expected = if let Harm::SwapsBlindly = self.harm { stored } else { expected };
        self.to("replace_credentials").replace_credentials(id, expected, sealed, at).await
    }
}

#[async_trait]
impl RunStore for Store {
    async fn begin_run(&self, mut new: NewRun) -> Result<Begin> {
        harm!(self, Begin, &mut new);
        let begun = self.to("begin_run").begin_run(new).await?;
        Ok(match (begun, self.harm) {
            (Begin::Busy(busy), Harm::NeverBusy) => Begin::Started(Fence { run: busy.id, token: 1 }),
            (Begin::Busy(mut busy), Harm::Run(harm)) => {
                harm(&mut busy);
                Begin::Busy(busy)
            }
            (Begin::Started(fence), harm) => {
                let mut notes = note(&self.notes);
                notes.latest = Some(fence);
                notes.fences.insert(fence.run, fence);
                Begin::Started(if let Harm::OneToken = harm { Fence { token: 7, ..fence } } else { fence })
            }
            (busy, _) => busy,
        })
    }

    async fn end_run(&self, fence: Fence, mut end: RunEnd) -> Result<Run> {
        harm!(self, RunEnd, &mut end);
        let fence = self.fence("end_run", fence);
        let known = note(&self.notes).fences.get(&fence.run) == Some(&fence);
        let mut ended = match (self.to("end_run").end_run(fence, end).await, self.harm) {
            (Err(_), Harm::EndsTwice) if known => match self.own.run(fence.run).await? {
                Some(run) => run,
                None => return Err(Error::new(ErrorKind::LeaseLost, "end_run", "unknown")),
            },
            (ended, _) => ended?,
        };
        harm!(self, Run, &mut ended);
        Ok(ended)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        let mut found = self.to("run").run(id).await?;
        if let Some(found) = &mut found {
            harm!(self, Run, found);
        }
        Ok(found)
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let mut found = self.to("runs").runs(filter).await?;
        harm!(self, Runs, &mut found);
        Ok(found)
    }

    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>> {
        let mut found = self.to("failures").failures(run, limit).await?;
        harm!(self, Failures, &mut found);
        Ok(found)
    }

    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>> {
        let mut found = self.to("partition_states").partition_states(feed).await?;
        harm!(self, States, &mut found);
        Ok(found)
    }

    async fn reset_cursors(&self, feed: &Feed) -> Result<()> {
        if let Harm::ResetsNothing = self.harm { Ok(()) } else { self.to("reset_cursors").reset_cursors(feed).await }
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>> {
        let mut found = self.to("events").events(after, limit).await?;
        harm!(self, Events, &mut found);
        Ok(found)
    }
}

#[async_trait]
impl EntityStore for Store {
    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        let page = self.page(commit).await?;
        let bare = PageCommit { batches: Vec::new(), failures: Vec::new(), before: Default::default(), ..page.clone() };
        let nothing = page.batches.iter().all(|part| part.batch.is_empty() && part.present.is_empty())
            && (page.cursors.len(), page.events.len(), page.failures.len(), page.scan) == (0, 0, 0, None);
        if nothing && matches!(self.harm, Harm::RefusesNothing) {
            return Err(Error::new(ErrorKind::Invalid, "commit", "there is nothing to commit"));
        }
        let pushes = (page.feed.clone(), Arc::clone(&page.target), page.fence, page.at);
        let done = self.to("commit").commit(page).await;
        let mut done = match (self.harm, done) {
            (Harm::CursorsWithoutRows, Err(error)) => {
                let fence = note(&self.notes).latest.unwrap_or(bare.fence);
                self.own.commit(PageCommit { fence, ..bare }).await?;
                return Err(error);
            }
            (Harm::MixesKeys, Err(error)) if error.kind() == ErrorKind::Config => CommitReport::default(),
            (_, done) => done?,
        };
        if let (Harm::AlwaysAgrees, (feed, target, fence, at)) = (self.harm, pushes)
            && !target.pushes.is_empty()
        {
            let query = ChangedQuery { feed: feed.clone(), target, keys: None, above: None, all: true, after: None, limit: 1000 };
            let rows = self.own.changed_rows(query).await?;
            let links = rows.batch.records().iter().zip(rows.links).zip(rows.hashes);
            let accepted = links.filter_map(|((record, link), hash)| {
                let link = PushLink { hash: Some(hash), ..link? };
                Some(Settled::Accepted { key: record.id.as_str().into(), link })
            });
            self.own.journal(PushCommit { settled: accepted.collect(), ..harm::no_steps(fence, feed, at) }).await?;
        }
        harm!(self, Report, &mut done);
        Ok(done)
    }

    async fn preview(&self, commit: PageCommit) -> Result<Preview> {
        let mut shown = self.to("preview").preview(commit.clone()).await?;
        if let Harm::PreviewsCommit = self.harm {
            self.own.commit(commit).await?;
        }
        harm!(self, Preview, &mut shown);
        Ok(shown)
    }

    async fn sweep(&self, mut sweep: Sweep) -> Result<SweepReport> {
        harm!(self, Sweep, &mut sweep);
        sweep.fence = self.fence("sweep", sweep.fence);
        let scans = sweep.scans.clone();
        let name = |partition: &str, feed: &Feed| format!("{partition} of {feed:?}");
        for (partition, scan) in &mut sweep.scans {
            match self.harm {
                Harm::ScansEndWithRuns => *scan = *scan * 1000 + sweep.fence.run.0.cast_unsigned(),
                Harm::SweepsAgain if note(&self.notes).swept.contains(&(name(partition.as_str(), &sweep.feed), *scan)) => *scan += 1,
                _ => {}
            }
        }
        if let Harm::NeverSweeps = self.harm {
            sweep.max_share = -1.0;
            sweep.confirmed = false;
        }
        let feed = sweep.feed.clone();
        let done = self.to("sweep").sweep(sweep).await?;
        if !done.needs_confirmation() {
            note(&self.notes).swept.extend(scans.into_iter().map(|(partition, scan)| (name(partition.as_str(), &feed), scan)));
        }
        Ok(done)
    }

    async fn register_table(&self, table: Arc<HostTable>, fields: &[Box<str>]) -> Result<()> {
        if let Harm::RegistersBlindly = self.harm {
            let _ = self.own.register_table(table, fields).await;
            return Ok(());
        }
        self.to("register_table").register_table(table, fields).await
    }

    async fn entity_types(&self) -> Result<Vec<EntityType>> {
        let mut found = self.to("entity_types").entity_types().await?;
        harm!(self, Types, &mut found);
        Ok(found)
    }

    async fn count_entities(&self, entity: &EntityType) -> Result<u64> {
        self.to("count_entities").count_entities(entity).await
    }

    async fn entities(&self, entity: &EntityType, mut query: EntityQuery) -> Result<Vec<Entity>> {
        harm!(self, Query, &mut query);
        let mut found = self.error(self.to("entities").entities(entity, query).await)?;
        harm!(self, Entities, &mut found);
        Ok(found)
    }
}

#[async_trait]
impl LineageStore for Store {
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let field = if let Harm::LineageOfWholeRows = self.harm { None } else { field };
        let mut found = self.to("lineage").lineage(entity, key, field).await?;
        harm!(self, Lineage, &mut found);
        Ok(found)
    }
}

#[async_trait]
impl PushStore for Store {
    async fn changed_rows(&self, mut query: ChangedQuery) -> Result<ChangedRows> {
        harm!(self, ChangedQuery, &mut query);
        if let Harm::PushesMore = self.harm {
            let mut target = (*query.target).clone();
            target.pushes = target.pushes.iter().cloned().chain(["note".into()]).collect();
            let more = ChangedQuery { target: Arc::new(target), ..query.clone() };
            if let Ok(found) = self.own.changed_rows(more).await {
                return Ok(found);
            }
        }
        let mut found = self.error(self.to("changed_rows").changed_rows(query).await)?;
        harm!(self, Changed, &mut found);
        Ok(found)
    }

    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>> {
        let mut found = self.to("push_links").push_links(feed, keys).await?;
        if let Harm::LinksOfAnyFeed = self.harm {
            let other = Feed { connection: "c1".into(), stream: "s".into(), mapping: "m".into() };
            let others = self.own.push_links(&other, keys).await?;
            found = found.into_iter().zip(others).map(|(own, other)| own.or(other)).collect();
        }
        harm!(self, Links, &mut found);
        Ok(found)
    }

    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>> {
        let mut found = self.to("linked_keys").linked_keys(feed, ids).await?;
        harm!(self, Keys, &mut found);
        Ok(found)
    }

    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory> {
        let mut found = self.to("push_memory").push_memory(feed).await?;
        harm!(self, Memory, &mut found);
        Ok(found)
    }

    async fn intents(&self, mut filter: IntentFilter) -> Result<Vec<(Feed, Intent)>> {
        harm!(self, IntentFilter, &mut filter);
        self.to("intents").intents(filter).await
    }

    async fn journal(&self, mut commit: PushCommit) -> Result<()> {
        harm!(self, Journal, &mut commit);
        commit.fence = self.fence("journal", commit.fence);
        if let Harm::KeepsFirstIntents = self.harm {
            let known = self.own.intents(IntentFilter { feed: Some(commit.feed.clone()), ..IntentFilter::default() }).await?;
            commit.begun.retain(|intent| known.iter().all(|(_, known)| known.key != intent.key));
        }
        if let Harm::HalfJournals = self.harm {
            let halves = PushCommit { begun: Vec::new(), settled: Vec::new(), ..commit.clone() };
            let fence = note(&self.notes).latest.unwrap_or(commit.fence);
            let _ = self.own.journal(PushCommit { fence, ..halves }).await;
            commit = PushCommit { counts: Default::default(), failures: Vec::new(), events: Vec::new(), memory: None, ..commit };
        }
        self.to("journal").journal(commit).await
    }
}

#[async_trait]
impl ActivityStore for Store {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        self.to("log_activity").log_activity(activity).await
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let mut found = self.to("activities").activities(limit).await?;
        harm!(self, Activities, &mut found);
        Ok(found)
    }
}

//! A storage around another one, which does one thing wrong.

/// Harms a value, if this is the harm that does.
macro_rules! harm {
    ($self:ident, $kind:ident, $value:expr) => {
        if let Harm::$kind(harm) = $self.harm {
            harm($value);
        }
    };
}

mod clients;
mod configs;
mod conflicts;
mod connections;
mod oauth;
mod onboarding;
mod plans;
mod push;
mod rows;
mod runs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sync_testkit::suite::storage::{Capability, Database, StorageFixture};
use syncline::core::{Place, Result, RunId, WorkspaceId, async_trait, store::*};

use crate::harm::{self, Harm};

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
    feeds: Vec<Feed>,
    references: BTreeMap<Named, Vec<ReferenceValue>>,
    links: BTreeMap<String, PushLink>,
    kept: BTreeMap<Named, PendingAuthorization>,
    handed_out: BTreeMap<Named, PendingAuthorization>,
    /// Who was given a lease last.
    holders: BTreeMap<Named, Box<str>>,
    /// Handles that stay open.
    open: Vec<Arc<dyn Storage>>,
    /// Databases of their own.
    apart: Vec<Apart>,
}

/// A nonce or a name, in its workspace.
type Named = (WorkspaceId, Box<str>);

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

    async fn search(&self, bytes: &[u8]) -> Result<Vec<String>> {
        self.inner.search(bytes).await
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
        Arc::new(Store {
            workspace: workspace.clone(),
            own,
            acme,
            harm: self.harm,
            notes: Arc::clone(&self.notes),
            _open: Arc::clone(&self.inner),
        })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        Arc::new(PlantedFleet {
            inner: self.inner.fleet(),
            acme: self.inner.workspace(&"acme".into()),
            harm: self.harm,
            notes: Arc::clone(&self.notes),
        })
    }
}

type Time = chrono::DateTime<chrono::Utc>;

#[derive(Debug)]
struct PlantedFleet {
    inner: Arc<dyn FleetStore>,
    acme: Arc<dyn WorkspaceStore>,
    harm: Harm,
    notes: Arc<Mutex<Notes>>,
}

#[async_trait]
impl FleetStore for PlantedFleet {
    async fn reap(&self) -> Result<u64> {
        if let Harm::NeverReaps = self.harm { Ok(0) } else { self.inner.reap().await }
    }

    async fn prune(&self, mut log: Log, mut before: chrono::DateTime<chrono::Utc>, mut limit: u32) -> Result<u64> {
        if let Harm::Prune(harm) = self.harm {
            harm(&mut log, &mut before, &mut limit);
        }
        if let Harm::PrunesPositions = self.harm {
            let feeds = note(&self.notes).feeds.clone();
            for feed in feeds {
                self.acme.reset_cursors(&feed).await?;
            }
        }
        self.inner.prune(log, before, limit).await
    }

    async fn erase(&self, workspace: &WorkspaceId) -> Result<u64> {
        self.inner.erase(workspace).await
    }

    async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
        self.inner.know_key(id, check).await
    }

    async fn sealed(&self, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Result<Vec<SealedValue>> {
        self.inner.sealed(header, after, limit).await
    }

    async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
        self.inner.count_sealed(header).await
    }

    async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
        self.inner.reseal(old, envelope).await
    }

    async fn retire_key(&self, id: &str, header: &[u8], at: Time) -> Result<bool> {
        if let Harm::RetiresInWords = self.harm {
            return Ok(self.inner.count_sealed(header).await? == 0);
        }
        self.inner.retire_key(id, header, at).await
    }

    async fn use_key(&self, id: &str, uses: u64) -> Result<u64> {
        let counted = self.inner.use_key(id, uses).await?;
        Ok(if let Harm::ForgetsUses = self.harm { uses } else { counted })
    }

    async fn due_renewals(&self, mut now: Time, mut before: Time, after: Option<&DueRenewal>, limit: u32) -> Result<Vec<DueRenewal>> {
        if let Harm::DueTimes(harm) = self.harm {
            harm(&mut now, &mut before);
        }
        let after = after.filter(|_| !matches!(self.harm, Harm::PagesFromTheBeginning));
        let mut due = self.inner.due_renewals(now, before, after, limit).await?;
        harm!(self, Due, &mut due);
        if let Harm::RenewsPausedOnes = self.harm {
            let all = self.acme.connections().await?.into_iter().filter(|kept| kept.status == ConnectionStatus::Paused);
            due.extend(all.filter_map(|kept| {
                let (ends, version) = (kept.expires_at?, kept.token_version);
                Some(DueRenewal { ends, workspace: kept.workspace_id, connection: kept.id, provider: kept.provider, version })
            }));
            due.sort();
        }
        Ok(due)
    }
}

#[derive(Debug)]
struct Store {
    workspace: WorkspaceId,
    own: Arc<dyn WorkspaceStore>,
    acme: Arc<dyn WorkspaceStore>,
    harm: Harm,
    notes: Arc<Mutex<Notes>>,
    _open: Arc<dyn Storage>,
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
        note(&self.notes).feeds.push(page.feed.clone());
        page.fence = self.fence("commit", page.fence);
        match self.harm {
            Harm::ScansEndWithRuns => page.scan = page.scan.map(|scan| scan * 1000 + page.fence.run.0.cast_unsigned()),
            Harm::ForgetsConfirmations if page.target.rules.values().any(|rule| rule.priority > 0) => {
                let shown = self.own.preview(page.clone().into()).await?.report.counts;
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

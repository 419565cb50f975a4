//! The storage: opening it, and the doors to its stores.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use sync_core::{
    Error, ErrorKind, Result, WorkspaceId,
    store::{DueRenewal, FleetStore, KnownKey, Log, SealedPlace, SealedValue, Storage, WorkspaceStore},
};
use tokio::sync::oneshot;

use crate::{
    commit::Sources,
    credentials,
    error::{Db, Fault, explain, file_name},
    hook::{Committed, HookResult, Hooks},
    owner::Owner,
    schema, sealed,
    seen::Seen,
    table::Tables,
    worker::Workers,
};

type CrashPoint = Box<dyn Fn(&'static str) + Send + Sync>;

/// What threads and handles share.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    pub(crate) hooks: Mutex<Hooks>,
    crash_point: Mutex<Option<CrashPoint>>,
    /// Microseconds that the clock of leases is ahead, for tests, which cannot wait.
    ahead: AtomicU64,
}

impl Shared {
    /// The clock of leases.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + Duration::from_micros(self.ahead.load(Ordering::Relaxed))
    }

    /// A named place where tests may stop the process.
    pub(crate) fn crash_point(&self, name: &'static str) {
        // A test's hook may panic while it is held here; that must not break the next commit.
        if let Some(at) = &*self.crash_point.lock().unwrap_or_else(PoisonError::into_inner) {
            at(name);
        }
    }

    pub(crate) fn explain(&self, operation: &'static str, fault: Fault) -> Error {
        explain(operation, &self.path, fault)
    }
}

/// What the writer keeps of the database in memory, as its own transactions left it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) tables: Tables,
    pub(crate) seen: Seen,
    pub(crate) sources: Sources,
}

impl Cache {
    pub(crate) fn clear(&mut self) {
        self.tables.clear();
        self.seen.clear();
        self.sources.clear();
    }
}

/// How a transaction is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// On the disk before the answer: credentials, the beginnings and ends of runs, steps of pushes.
    Full,
    /// Bulk commits: after a power cut the last ones may be gone, rows and cursors together.
    Normal,
}

/// The one connection that writes.
pub(crate) struct Writer {
    conn: Connection,
    cache: Cache,
    pub(crate) shared: Arc<Shared>,
    durability: Durability,
    data_version: i64,
}

impl Writer {
    /// Runs `work` in a transaction of its own; an error of it writes nothing.
    pub(crate) fn write<T>(&mut self, durability: Durability, work: impl FnOnce(&Transaction<'_>, &mut Cache, &Shared) -> Db<T>) -> Db<T> {
        self.transaction(durability, |tx, cache, shared| {
            let done = work(&tx, cache, shared)?;
            tx.commit()?;
            Ok(done)
        })
    }

    /// Runs `work`, which deletes what nobody is to find again, in a transaction of its own, and empties the log of what it held into the
    /// file. The log stays longer where others read it still: it is emptied with a later one.
    pub(crate) fn write_over<T>(&mut self, work: impl FnOnce(&Transaction<'_>, &Shared) -> Db<T>) -> Db<T> {
        let done = self.write(Durability::Full, |tx, _, shared| work(tx, shared))?;
        // It is deleted by now, whatever becomes of the log.
        let emptied = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0));
        if !emptied.unwrap_or_default() {
            tracing::warn!("what was deleted stands in the log of the database until nobody reads it any more");
        }
        Ok(done)
    }

    /// Runs `work` in a transaction and takes back what it wrote.
    pub(crate) fn try_out<T>(&mut self, work: impl FnOnce(&Transaction<'_>, &mut Cache, &Shared) -> Db<T>) -> Db<T> {
        let done = self.transaction(Durability::Normal, |tx, cache, shared| work(&tx, cache, shared));
        self.cache.clear();
        done
    }

    fn transaction<T>(&mut self, durability: Durability, work: impl FnOnce(Transaction<'_>, &mut Cache, &Shared) -> Db<T>) -> Db<T> {
        if self.durability != durability {
            self.conn.pragma_update(None, "synchronous", if durability == Durability::Full { "FULL" } else { "NORMAL" })?;
            self.durability = durability;
        }
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another connection wrote since: what we remember may no longer be so.
        let data_version = tx.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version != data_version {
            self.cache.clear();
            self.data_version = data_version;
        }
        let done = work(tx, &mut self.cache, &self.shared);
        if done.is_err() {
            self.cache.clear();
        }
        done
    }

    fn heal(&mut self) {
        self.cache.clear();
    }
}

pub(crate) struct Inner {
    // Dropped before the writer: SQLite empties its log with the last connection, and of two that are closed at once neither is.
    readers: Workers<Connection>,
    writer: Workers<Writer>,
    // After the threads, so that nothing is written once the lock is free.
    shared: Arc<Shared>,
}

/// One SQLite file as Syncline's storage. Cheap to clone; the file is closed with the last clone and the last store made from it.
///
/// Every write goes through one thread, reads through others, so no call blocks the executor it is made on. Another process may use the
/// same file: its own Syncline, or `sqlite3`.
///
/// ```
/// # async fn example() -> sync_core::Result<()> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let path = folder.path().join("app.db");
/// use sync_core::store::{ConnectionStore as _, Storage as _};
///
/// let storage = storage_sqlite::SqliteStorage::open(&path).await?;
/// let acme = storage.workspace(&"acme".into());
/// assert!(acme.connections().await?.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(example()).expect("works");
/// ```
#[derive(Clone)]
pub struct SqliteStorage(pub(crate) Arc<Inner>);

impl fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStorage").field("path", &self.0.shared.path).finish_non_exhaustive()
    }
}

/// Settings of a [`SqliteStorage`].
#[derive(Debug)]
pub struct SqliteBuilder {
    path: PathBuf,
    busy_timeout: Duration,
    readers: usize,
    hooks: Hooks,
}

impl SqliteBuilder {
    /// How long to wait for another process's transaction before giving up as locked. Default 5 s.
    #[must_use]
    pub fn busy_timeout(mut self, wait: Duration) -> Self {
        self.busy_timeout = wait;
        self
    }

    /// Connections that only read, each on a thread of its own. Default 2, at least 1.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Adds a hook, as [`SqliteStorage::on_commit`] does.
    #[must_use]
    pub fn on_commit(mut self, hook: impl Fn(&Transaction<'_>, &Committed<'_>) -> HookResult + Send + 'static) -> Self {
        self.hooks.0.push(Box::new(hook));
        self
    }

    /// Opens the file, making it if there is none, and brings our tables in it up to date. Tables of others are left alone.
    ///
    /// # Errors
    /// [`Storage`](ErrorKind::Storage) when the file cannot be opened, written or read as a database, or is locked;
    /// [`Config`](ErrorKind::Config) for a database that a newer version migrated, or one in memory.
    pub async fn open(self) -> Result<SqliteStorage> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Error::new(ErrorKind::Internal, "open", "the storage's thread stopped while opening the file");
        std::thread::Builder::new()
            .name("syncline-open".into())
            .spawn(move || {
                let path = self.path.clone();
                let _ = answer.send(self.open_now().map_err(|fault| explain("open", &path, fault)));
            })
            .map_err(|e| stopped().because(e))?;
        answered.await.map_err(|_| stopped())?
    }

    fn open_now(self) -> Db<SqliteStorage> {
        if self.path.as_os_str().is_empty() || self.path.as_os_str() == ":memory:" {
            let text = "a database in memory cannot be shared between writer and readers; name a file, a temporary one for tests";
            return Err(Error::config("open", text).into());
        }
        let mut conn = schema::connect(&self.path, self.busy_timeout, true)?;
        schema::migrate(&mut conn, &self.path)?;
        let path = self.path.canonicalize().map_err(|e| {
            Error::new(ErrorKind::Storage, "open", "the file's folder cannot be read").at("database", file_name(&self.path)).because(e)
        })?;
        let owner = Owner::new(&path)?;
        let readers = (0..self.readers).map(|_| schema::connect(&path, self.busy_timeout, false)).collect::<Db<Vec<_>>>()?;
        let shared =
            Arc::new(Shared { path, owner, hooks: Mutex::new(self.hooks), crash_point: Mutex::default(), ahead: AtomicU64::new(0) });
        let writer =
            Writer { conn, cache: Cache::default(), shared: Arc::clone(&shared), durability: Durability::Normal, data_version: -1 };
        let thread = |e: std::io::Error| Fault::Ours(Error::new(ErrorKind::Storage, "open", "no thread can be started").because(e));
        Ok(SqliteStorage(Arc::new(Inner {
            writer: Workers::start("syncline-writer", vec![writer], Writer::heal).map_err(thread)?,
            readers: Workers::start("syncline-reader", readers, |_| {}).map_err(thread)?,
            shared,
        })))
    }
}

impl SqliteStorage {
    /// Opens the file at `path` with the default settings; see [`SqliteBuilder::open`].
    ///
    /// # Errors
    /// Those of [`SqliteBuilder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open().await
    }

    /// Settings for the file at `path`.
    pub fn builder(path: impl AsRef<Path>) -> SqliteBuilder {
        SqliteBuilder { path: path.as_ref().to_owned(), busy_timeout: Duration::from_secs(5), readers: 2, hooks: Hooks::default() }
    }

    /// Adds a hook that runs on the writer's thread inside each transaction that writes rows, just before it is committed: what it
    /// writes is committed with them or not at all, and an error of it rolls everything back. It must not wait for this storage.
    pub fn on_commit(&self, hook: impl Fn(&Transaction<'_>, &Committed<'_>) -> HookResult + Send + 'static) {
        self.0.shared.hooks.lock().unwrap_or_else(PoisonError::into_inner).0.push(Box::new(hook));
    }

    /// Sets what happens at named places, so that tests can stop the process there.
    #[doc(hidden)]
    pub fn on_crash_point(&self, at: impl Fn(&'static str) + Send + Sync + 'static) {
        *self.0.shared.crash_point.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(at));
    }

    /// Sets how far the clock of this handle's leases is ahead of the machine's, so that tests need not wait.
    #[doc(hidden)]
    pub fn set_clock_ahead(&self, by: Duration) {
        self.0.shared.ahead.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Inner {
    /// Runs a job on the writer's thread.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Writer) -> Db<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(operation, job).await?.map_err(|fault| self.shared.explain(operation, fault))
    }

    /// Runs a job on a reader's thread, over one state of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&Transaction<'_>) -> Db<T> + Send + 'static,
    ) -> Result<T> {
        let done = self.readers.run(operation, |conn| {
            let tx = conn.transaction()?;
            job(&tx)
        });
        done.await?.map_err(|fault| self.shared.explain(operation, fault))
    }
}

/// The stores of one workspace.
#[derive(Clone)]
pub(crate) struct Scoped {
    pub(crate) inner: Arc<Inner>,
    pub(crate) workspace: WorkspaceId,
}

impl fmt::Debug for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("workspace", &self.workspace).field("path", &self.inner.shared.path).finish()
    }
}

/// The store over all workspaces.
struct Fleet(Arc<Inner>);

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("path", &self.0.shared.path).finish()
    }
}

#[async_trait]
impl FleetStore for Fleet {
    async fn reap(&self) -> Result<u64> {
        self.0.write("reap", |writer| writer.write(Durability::Full, |tx, _, shared| crate::run::reap(tx, shared))).await
    }

    async fn prune(&self, log: Log, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        // After a power cut the last ones may be there again, and go the next time.
        let job = move |tx: &Transaction<'_>| crate::retention::prune(tx, log, before, limit);
        self.0.write("prune", move |writer| writer.write(Durability::Normal, |tx, _, _| job(tx))).await
    }

    async fn sealed(&self, header: &[u8], after: Option<&SealedPlace>, limit: u32) -> Result<Vec<SealedValue>> {
        let (header, after) = (header.to_vec(), after.cloned());
        self.0.read("sealed", move |tx| sealed::list(tx, &header, after.as_ref(), limit)).await
    }

    async fn count_sealed(&self, header: &[u8]) -> Result<u64> {
        let header = header.to_vec();
        self.0.read("count_sealed", move |tx| sealed::count(tx, &header)).await
    }

    async fn reseal(&self, old: &SealedValue, envelope: Vec<u8>) -> Result<bool> {
        let old = old.clone();
        // After a power cut the old envelope may be there again, under a key that is kept until none is.
        let job = move |tx: &Transaction<'_>| sealed::replace(tx, &old, &envelope);
        self.0.write("reseal", move |writer| writer.write(Durability::Normal, |tx, _, _| job(tx))).await
    }

    async fn know_key(&self, id: &str, check: &[u8]) -> Result<KnownKey> {
        let name = Box::<str>::from(id);
        if let Some(known) = self.0.read("know_key", move |tx| sealed::known(tx, &name)).await? {
            return Ok(known);
        }
        let (name, check) = (Box::<str>::from(id), check.to_vec());
        let job = move |tx: &Transaction<'_>| {
            sealed::know(tx, &name, &check)?;
            Ok(sealed::known(tx, &name)?.unwrap_or(KnownKey { id: name, check, retired_at: None }))
        };
        self.0.write("know_key", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn retire_key(&self, id: &str, header: &[u8], at: DateTime<Utc>) -> Result<bool> {
        let (id, header) = (Box::<str>::from(id), header.to_vec());
        // Full: everything sealed anew before it is on the disk with it.
        let job = move |tx: &Transaction<'_>| sealed::retire(tx, &id, &header, at);
        self.0.write("retire_key", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn use_key(&self, id: &str, uses: u64) -> Result<u64> {
        let id = Box::<str>::from(id);
        let job = move |tx: &Transaction<'_>| sealed::count_uses(tx, &id, uses);
        self.0.write("use_key", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn due_renewals(
        &self,
        now: DateTime<Utc>,
        before: DateTime<Utc>,
        after: Option<&DueRenewal>,
        limit: u32,
    ) -> Result<Vec<DueRenewal>> {
        let after = after.cloned();
        self.0.read("due_renewals", move |tx| credentials::due(tx, (now, before), after.as_ref(), limit)).await
    }

    async fn erase(&self, workspace: &WorkspaceId) -> Result<u64> {
        let workspace = workspace.clone();
        let job = move |tx: &Transaction<'_>, shared: &Shared| crate::erase::erase(tx, &workspace, shared);
        self.0.write("erase", move |writer| writer.write_over(|tx, shared| job(tx, shared))).await
    }
}

impl Storage for SqliteStorage {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        Arc::new(Scoped { inner: Arc::clone(&self.0), workspace: workspace.clone() })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        Arc::new(Fleet(Arc::clone(&self.0)))
    }
}

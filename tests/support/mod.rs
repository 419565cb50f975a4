//! What the tests of this folder share: an engine on a fresh SQLite file, or a database of PostgreSQL, with a clock that no test waits for.
#![expect(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod cluster;
pub(crate) mod dump;
pub(crate) mod faulty;
pub(crate) mod library;
pub(crate) mod mixed;
pub(crate) mod place;
pub(crate) mod pushable;
pub(crate) mod scripted;
pub(crate) mod services;
pub(crate) mod stage;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, TimeZone as _, Utc};
use storage_postgres::PostgresStorage;
use syncline::{
    Builder, Clock, Keyring, SqliteStorage, SyncResult, Syncline,
    core::{Error, ErrorKind, IntegrationSync, store::Storage},
    testkit::{VirtualClock, postgres::TestDatabase},
};
use tempfile::TempDir;

use self::place::Place;

/// Every world begins here.
pub(crate) fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).single().expect("a time")
}

/// The testkit's clock as the engine's.
#[derive(Clone, Debug)]
pub(crate) struct TestClock(pub(crate) VirtualClock);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn sleep(&self, wait: Duration) -> futures_util::future::BoxFuture<'static, ()> {
        self.0.sleep(wait)
    }
}

/// One database, a clock and a key. Engines are opened on it, one after the other as processes would be.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) clock: VirtualClock,
    pub(crate) keys: String,
    server: Option<TestDatabase>,
}

/// Which storage a world is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl World {
    pub(crate) fn new() -> Self {
        let keys = Keyring::generate("k1").to_string();
        Self { folder: tempfile::tempdir().expect("a temporary folder"), clock: VirtualClock::new(start()), keys, server: None }
    }

    pub(crate) async fn on(storage: On) -> Self {
        let server = match storage {
            On::Sqlite => None,
            On::Postgres => Some(migrated().await),
        };
        Self { server, ..Self::new() }
    }

    /// A copy of its database, which no process has open, in a world of its own.
    pub(crate) async fn copy(&self) -> Self {
        let copy = Self { keys: self.keys.clone(), ..Self::new() };
        match &self.server {
            Some(server) => Self { server: Some(server.copy().await), ..copy },
            None => {
                self.closed();
                std::fs::copy(self.path(), copy.path()).expect("copied");
                copy
            }
        }
    }

    /// Waits until the file is closed: tasks of a run that was given up hold a handle until they notice it, and the last one empties the log.
    fn closed(&self) {
        let log = self.folder.path().join("app.db-wal");
        let begun = std::time::Instant::now();
        while std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            assert!(begun.elapsed() < Duration::from_secs(60), "somebody has the database open for a minute already");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where its database is.
    pub(crate) fn place(&self) -> Place {
        self.server.as_ref().map_or_else(|| Place::File(self.path()), |server| Place::Server(server.url()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::parse(&self.keys).expect("a generated key")
    }

    pub(crate) async fn storage(&self) -> SqliteStorage {
        SqliteStorage::open(self.path()).await.expect("the database opens")
    }

    /// An engine with this clock and key; the rest is the test's.
    pub(crate) fn builder(&self) -> Builder {
        Syncline::builder().keyring(self.keyring()).clock(TestClock(self.clock.clone()))
    }

    /// An engine on this world's database with one provider.
    pub(crate) async fn open(&self, provider: impl IntegrationSync) -> Syncline {
        self.open_on(self.storage().await, provider).await
    }

    /// An engine with one provider on a storage of the test's own making.
    pub(crate) async fn open_on(&self, storage: impl Storage, provider: impl IntegrationSync) -> Syncline {
        self.builder().storage(storage).provider(provider).build().await.expect("an engine")
    }

    /// What the database says, without what differs from run to run.
    pub(crate) fn dump(&self) -> dump::Dump {
        self.place().dump()
    }

    pub(crate) fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).expect("the database opens")
    }

    /// The first column of the first row of a query, as text.
    /// The name of a table of rows, in queries.
    pub(crate) fn table(&self, name: &str) -> String {
        if self.server.is_some() { format!("syncline_{name}") } else { name.to_owned() }
    }

    /// One value as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.place().ask(sql)
    }

    /// The first column as text, a row each.
    pub(crate) fn ask_all(&self, sql: &str) -> Vec<String> {
        self.place().ask_all(sql)
    }
}

/// A database with our tables, which are made once for all tests.
async fn migrated() -> TestDatabase {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hash = DefaultHasher::new();
    PostgresStorage::builder("postgres://localhost").migration_script().hash(&mut hash);
    let name = format!("engine_{:016x}", hash.finish());
    TestDatabase::prepared(&name, async |database| drop(PostgresStorage::connect(database.url()).await.expect("our tables are made"))).await
}

/// A result that went through in every part.
#[track_caller]
pub(crate) fn clean(result: &SyncResult) {
    assert_eq!(result.outcome, syncline::Outcome::Ok, "{:?} {:?}", result.errors, result.failures);
    assert!(result.counts.balanced(), "{:?}", result.counts);
}

/// The messages of what stopped a run, or parts of it.
pub(crate) fn messages(result: &SyncResult) -> String {
    result.errors.iter().map(|error| &*error.message).collect::<Vec<_>>().join("\n")
}

/// Begins a run, again and again for a while where the stream is still busy: the server may just be rolling back what a process that died
/// had begun.
pub(crate) async fn begun<F>(begin: impl Fn() -> F) -> Result<SyncResult, Error>
where
    F: Future<Output = Result<SyncResult, Error>>,
{
    for _ in 0..100 {
        match begin().await {
            Err(error) if error.kind() == ErrorKind::Conflict => tokio::time::sleep(Duration::from_millis(20)).await,
            ended => return ended,
        }
    }
    begin().await
}

/// Looks at a future once.
pub(crate) async fn look<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

/// Numbers that replay from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            list.swap(n, self.below(n + 1));
        }
    }
}

/// A place where a run dies: at the n-th time it comes by one of the named points, and at every point after that, as a process that
/// is gone passes none.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<FuseState>);

#[derive(Debug)]
struct FuseState {
    point: &'static str,
    left: std::sync::atomic::AtomicI64,
}

/// What a blown fuse panics with.
#[derive(Debug)]
pub(crate) struct Died;

impl Fuse {
    pub(crate) fn new(point: &'static str, hits: usize) -> Self {
        Self(Arc::new(FuseState { point, left: std::sync::atomic::AtomicI64::new(hits as i64) }))
    }

    pub(crate) fn blown(&self) -> bool {
        self.0.left.load(std::sync::atomic::Ordering::SeqCst) <= 0
    }

    pub(crate) fn at(&self, point: &'static str) {
        use std::sync::atomic::Ordering::SeqCst;
        if self.blown() || (point == self.0.point && self.0.left.fetch_sub(1, SeqCst) == 1) {
            std::panic::panic_any(Died);
        }
    }
}

/// Keeps the deaths of [`Fuse`]s out of the tests' output.
pub(crate) fn quiet_deaths() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<Died>() {
                usual(panic);
            }
        }));
    });
}

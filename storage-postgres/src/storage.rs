//! The storage: opening it, and the doors to its stores.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use sync_core::{
    Result, WorkspaceId,
    store::{FleetStore, Storage, WorkspaceStore},
};

use crate::{
    builder::{From, PostgresBuilder},
    error::explain,
    hook::{Committed, Hook, HookResult, Hooks},
    table::Tables,
    turn::Turns,
};

type CrashPoint = Box<dyn Fn(&'static str) + Send + Sync>;

/// How tenants are kept apart in the database itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowSecurity {
    /// Every transaction runs in one of two roles that own nothing and cannot get past the policies: `app` sees one workspace, `fleet`
    /// all of them, in the tables it needs. Migrations make the roles; the user that connects has to be a member of both.
    Roles {
        /// The role of workspaces.
        app: String,
        /// The role of the fleet.
        fleet: String,
    },
    /// No roles and no policies, for servers where roles cannot be made: that no workspace sees another's rows then rests on this
    /// library's statements alone.
    Off,
}

/// Settings of a [`PostgresStorage`] that its code asks for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) schema: String,
    pub(crate) row_security: RowSecurity,
    pub(crate) deadline: Duration,
    pub(crate) lease: Duration,
    /// The wait before a transaction is begun anew for the first time.
    pub(crate) pause: Duration,
    /// How long a server that cannot be reached is waited for.
    pub(crate) patience: Duration,
    /// Whether connections are lent by a transaction pooler, so that nothing of a session lasts longer than a transaction.
    pub(crate) pooler: bool,
}

impl Settings {
    pub(crate) fn app_role(&self) -> Option<&str> {
        match &self.row_security {
            RowSecurity::Roles { app, .. } => Some(app),
            RowSecurity::Off => None,
        }
    }

    pub(crate) fn fleet_role(&self) -> Option<&str> {
        match &self.row_security {
            RowSecurity::Roles { fleet, .. } => Some(fleet),
            RowSecurity::Off => None,
        }
    }
}

/// What handles share.
pub(crate) struct Inner {
    pub(crate) pool: PgPool,
    /// Whether the pool is the host's, who may leave anything in its connections.
    pub(crate) foreign: bool,
    pub(crate) settings: Settings,
    /// The role that owns the schema, when the user that connects may act as it.
    pub(crate) owner_role: Option<String>,
    /// The host's own role, as `SET ROLE` takes it: the one it was in when it handed over its first connection.
    pub(crate) host_role: String,
    /// The host's own search path.
    pub(crate) search_path: String,
    /// Host and database, for texts.
    pub(crate) place: String,
    /// Tells our runs from those of others.
    pub(crate) owner: String,
    pub(crate) tables: Tables,
    pub(crate) turns: Turns,
    pub(crate) hooks: RwLock<Hooks>,
    pub(crate) crash_point: Mutex<Option<CrashPoint>>,
}

impl Inner {
    /// A named place where tests may stop the process.
    pub(crate) fn crash_point(&self, name: &'static str) {
        // A test's hook may panic while it is held here; that must not break the next commit.
        if let Some(at) = &*self.crash_point.lock().unwrap_or_else(PoisonError::into_inner) {
            at(name);
        }
    }

    /// The host's hooks as they are now.
    pub(crate) fn hooks(&self) -> Hooks {
        self.hooks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add_hook(&self, hook: Hook) {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner).0.push(hook);
    }
}

/// What a storage and its stores hold on to. With the last of them the leases of its runs are given back.
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    pub(crate) renewal: tokio::task::AbortHandle,
}

impl Deref for Handle {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.renewal.abort();
        // Without a runtime there is nobody to do it; the leases run out by themselves.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            crate::lease::give_back(&runtime, Arc::clone(&self.inner));
        }
    }
}

/// A PostgreSQL database (15 or newer) as Syncline's storage, for any number of processes at once. Cheap to clone.
///
/// Our tables are in a schema of their own; see the crate's page for the roles.
#[derive(Clone)]
pub struct PostgresStorage(pub(crate) Arc<Handle>);

impl fmt::Debug for PostgresStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStorage").field("place", &self.0.place).field("schema", &self.0.settings.schema).finish_non_exhaustive()
    }
}

impl PostgresStorage {
    /// Connects to the database at `url` (`postgres://user:password@host:port/database`) with the default settings; see
    /// [`PostgresBuilder::open`].
    ///
    /// # Errors
    /// Those of [`PostgresBuilder::open`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).open().await
    }

    /// Settings for the database at `url`. TLS is set in the URL: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.
    pub fn builder(url: impl Into<String>) -> PostgresBuilder {
        PostgresBuilder::new(From::Url(url.into()))
    }

    /// Settings for a storage on the host's own pool.
    pub fn from_pool(pool: PgPool) -> PostgresBuilder {
        PostgresBuilder::new(From::Pool(pool))
    }

    /// Adds a hook that runs inside each transaction that writes rows, just before it is committed: what it writes is committed with them
    /// or not at all, and an error of it rolls everything back. It runs in the host's own role and search path, and may run again when
    /// the transaction has to be begun anew.
    pub fn on_commit<F>(&self, hook: F)
    where
        F: for<'a> Fn(&'a mut PgConnection, &'a Committed<'a>) -> BoxFuture<'a, HookResult> + Send + Sync + 'static,
    {
        self.0.add_hook(Arc::new(hook));
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// [`Storage`](sync_core::ErrorKind::Storage) when it is not.
    pub async fn ping(&self) -> Result<()> {
        self.0.ping().await.map_err(|fault| explain("ping", &self.0.place, fault))
    }

    /// Sets what happens at named places, so that tests can stop the process there.
    #[doc(hidden)]
    pub fn on_crash_point(&self, at: impl Fn(&'static str) + Send + Sync + 'static) {
        *self.0.crash_point.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(at));
    }
}

/// The stores of one workspace.
#[derive(Clone)]
pub(crate) struct Scoped {
    pub(crate) inner: Arc<Handle>,
    pub(crate) workspace: WorkspaceId,
}

impl fmt::Debug for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("workspace", &self.workspace).field("place", &self.inner.place).finish()
    }
}

/// The store over all workspaces.
pub(crate) struct Fleet(pub(crate) Arc<Handle>);

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("place", &self.0.place).finish()
    }
}

impl Storage for PostgresStorage {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        Arc::new(Scoped { inner: Arc::clone(&self.0), workspace: workspace.clone() })
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        Arc::new(Fleet(Arc::clone(&self.0)))
    }
}

//! The storage: opening it, and the doors to its stores.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Connection as _, Error as Sql, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use sync_core::{
    Error, ErrorKind, Result, WorkspaceId,
    store::{FleetStore, Storage, WorkspaceStore},
};

use crate::{
    error::{Db, Fault, explain},
    hook::{Committed, Hook, HookResult, Hooks},
    schema,
    security::may_act_as,
    source::{Source, parse},
    table::Tables,
    turn::Turns,
    tx::{raw, stalled},
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
    hooks: RwLock<Hooks>,
    crash_point: Mutex<Option<CrashPoint>>,
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
    inner: Arc<Inner>,
    renewal: tokio::task::AbortHandle,
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

/// Where connections come from.
pub(crate) enum From {
    Url(String),
    Pool(PgPool),
}

/// Settings of a [`PostgresStorage`].
pub struct PostgresBuilder {
    pub(crate) from: From,
    pub(crate) settings: Settings,
    migrate: bool,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    hooks: Hooks,
}

impl fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        f.debug_struct("PostgresBuilder").field("settings", &self.settings).field("migrate", &self.migrate).finish_non_exhaustive()
    }
}

impl PostgresBuilder {
    fn new(from: From) -> Self {
        Self {
            from,
            settings: Settings {
                schema: "syncline".into(),
                row_security: RowSecurity::Roles { app: "syncline_app".into(), fleet: "syncline_fleet".into() },
                deadline: Duration::from_secs(120),
                lease: Duration::from_secs(60),
                pause: Duration::from_millis(20),
                patience: Duration::from_secs(30),
                pooler: false,
            },
            migrate: true,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(30),
            hooks: Hooks::default(),
        }
    }

    /// The schema our tables are in. Default `syncline`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.settings.schema = schema.into();
        self
    }

    /// How tenants are kept apart. Default: by the roles `syncline_app` and `syncline_fleet`.
    #[must_use]
    pub fn row_security(mut self, security: RowSecurity) -> Self {
        self.settings.row_security = security;
        self
    }

    /// The longest a statement may take, and a transaction may wait for a peer that stalls; opening and migrating take at most three times
    /// as long. Default 120 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// How long a run stays its owner's without a sign of life (one is given four times as often). Default 60 s; a stream whose process
    /// was killed is free again after it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How long a server that cannot be reached, as while it starts anew, is waited for before a call fails. Default 30 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// For connections that a transaction pooler (PgBouncer in transaction mode) lends: no named statements, no tables that last longer
    /// than a transaction. Costs a few per cent.
    #[must_use]
    pub fn behind_transaction_pooler(mut self) -> Self {
        self.settings.pooler = true;
        self
    }

    /// Whether [`open`](Self::open) brings our tables up to date. Default yes; with no, a schema that is not up to date is refused.
    #[must_use]
    pub fn migrate_on_open(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// The most connections at once. Default 10. Of a pool of the host its own setting counts.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long to wait for a free connection. Default 30 s. Of a pool of the host its own setting counts.
    #[must_use]
    pub fn acquire_timeout(mut self, wait: Duration) -> Self {
        self.acquire_timeout = wait;
        self
    }

    /// Adds a hook, as [`PostgresStorage::on_commit`] does.
    #[must_use]
    pub fn on_commit<F>(mut self, hook: F) -> Self
    where
        F: for<'a> Fn(&'a mut PgConnection, &'a Committed<'a>) -> BoxFuture<'a, HookResult> + Send + Sync + 'static,
    {
        self.hooks.0.push(Arc::new(hook));
        self
    }

    /// All SQL that [`open`](Self::open) runs to bring an empty database up to date, for those who want to read it, or to have it run by
    /// somebody with more rights.
    #[must_use]
    pub fn migration_script(&self) -> String {
        schema::script(&self.settings, 0)
    }

    /// Connects, and brings our tables up to date.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) for a URL, user, password, database, server version, role or schema that does not do;
    /// [`Storage`](ErrorKind::Storage) when the server cannot be reached, or can only be read.
    pub async fn open(self) -> Result<PostgresStorage> {
        let (pool, foreign) = match &self.from {
            From::Pool(pool) => (pool.clone(), true),
            From::Url(url) => {
                let options = parse(url).map_err(|error| explain("open", "PostgreSQL", Fault::Sql(error)))?;
                let capacity = if self.settings.pooler { 0 } else { 256 };
                let options = options.statement_cache_capacity(capacity).disable_statement_logging();
                let options = if url.contains("application_name") { options } else { options.application_name("syncline") };
                let pool = PgPoolOptions::new()
                    .max_connections(self.max_connections.max(2))
                    .acquire_timeout(self.acquire_timeout)
                    .test_before_acquire(false)
                    .connect_lazy_with(options);
                (pool, false)
            }
        };
        let place = place(&pool.connect_options());
        let Self { settings, migrate, hooks, .. } = self;
        let opened = open(&pool, &settings, migrate).await.map_err(|fault| explain("open", &place, fault))?;
        let owner = uuid::Uuid::now_v7().to_string();
        let inner = Arc::new(Inner {
            pool,
            foreign,
            settings,
            owner_role: opened.owner_role,
            host_role: opened.host_role,
            search_path: opened.search_path,
            place,
            owner,
            tables: Tables::default(),
            turns: Turns::default(),
            hooks: RwLock::new(hooks),
            crash_point: Mutex::default(),
        });
        let renewal = crate::lease::keep_alive(&inner);
        Ok(PostgresStorage(Arc::new(Handle { inner, renewal })))
    }

    /// Connects and says what [`migrate`](Self::migrate) would do; changes nothing.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), but for a schema that is missing or not up to date.
    pub async fn pending(&self) -> Result<schema::Pending> {
        let source = Source::of(&self.from, "syncline migrate").map_err(|fault| explain("open", "PostgreSQL", fault))?;
        let place = place(&source.options());
        let looked = async {
            let mut connection = source.open(self.acquire_timeout).await?;
            let present = within(&self.settings, async {
                schema::begin(&mut connection, &self.settings).await?;
                schema::check_server(&mut connection).await?;
                let present = schema::version(&mut connection, &self.settings).await?;
                raw(&mut connection, "COMMIT").await?;
                Ok(present)
            });
            match present.await {
                Ok(present) => Ok(schema::Pending::from(present, &self.settings)),
                Err(fault) => {
                    connection.leave();
                    Err(fault)
                }
            }
        };
        looked.await.map_err(|fault: Fault| explain("open", &place, fault))
    }

    /// Connects and only brings our tables up to date; answers the version they had and the one they have.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn migrate(self) -> Result<(i64, i64)> {
        let (pool, settings) = match self.from {
            From::Pool(pool) => (pool, self.settings),
            From::Url(url) => {
                let options = parse(&url).map_err(|error| explain("migrate", "PostgreSQL", Fault::Sql(error)))?;
                let options = options.application_name("syncline migrate").disable_statement_logging();
                (PgPoolOptions::new().max_connections(1).acquire_timeout(self.acquire_timeout).connect_lazy_with(options), self.settings)
            }
        };
        let place = place(&pool.connect_options());
        let migrated = async {
            let mut connection = alone(&pool).await?;
            let done = within(&settings, async {
                schema::begin(&mut connection, &settings).await?;
                schema::check_server(&mut connection).await?;
                let before = schema::version(&mut connection, &settings).await?;
                raw(&mut connection, "COMMIT").await?;
                Ok((before, schema::migrate(&mut connection, &settings).await?))
            });
            let done = done.await?;
            let _ = connection.close().await;
            Ok(done)
        };
        migrated.await.map_err(|fault| explain("migrate", &place, fault))
    }
}

/// Host and database, for texts; never the password.
pub(crate) fn place(options: &PgConnectOptions) -> String {
    format!("{}/{}", options.get_host(), options.get_database().unwrap_or_else(|| options.get_username()))
}

struct Opened {
    host_role: String,
    owner_role: Option<String>,
    search_path: String,
}

/// A connection that the pool is not given back, so that nobody is handed one that was dropped in the middle of a transaction.
async fn alone(pool: &PgPool) -> Db<PgConnection> {
    match pool.acquire().await {
        // Of its own attempts to connect the pool tells only that they took too long.
        Err(Sql::PoolTimedOut) if pool.size() == 0 => Err(Sql::Io(std::io::ErrorKind::ConnectionRefused.into()).into()),
        acquired => Ok(acquired?.detach()),
    }
}

/// Behind a pooler every transaction may be in another session, and a statement by itself in two of them: so all are in one.
async fn open(pool: &PgPool, settings: &Settings, migrate: bool) -> Db<Opened> {
    let mut connection = alone(pool).await?;
    let opened = within(settings, async {
        schema::begin(&mut connection, settings).await?;
        schema::check_server(&mut connection).await?;
        if migrate {
            raw(&mut connection, "COMMIT").await?;
            schema::migrate(&mut connection, settings).await?;
            schema::begin(&mut connection, settings).await?;
        }
        let present = schema::version(&mut connection, settings).await?;
        schema::check_version(present, settings)?;
        check_roles(&mut connection, settings).await?;
        let opened = look(&mut connection, settings).await?;
        raw(&mut connection, "COMMIT").await?;
        Ok(opened)
    });
    let opened = opened.await?;
    let _ = connection.close().await;
    Ok(opened)
}

/// Whose the schema is, and as whom and with which search path the host connects.
async fn look(connection: &mut PgConnection, settings: &Settings) -> Db<Opened> {
    let row = sqlx::query(concat!(
        "SELECT r.rolname::text, r.rolname = current_user, ",
        may_act_as!("r.oid"),
        ", current_setting('search_path'), CASE WHEN current_user = session_user THEN 'none' ELSE current_user::text END \
         FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = $1"
    ))
    .bind(&settings.schema)
    .persistent(false)
    .fetch_one(connection)
    .await?;
    let (owner, is_us, may_act): (String, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let host_role: String = row.try_get(4)?;
    let owner_role = if is_us { Some(host_role.clone()) } else { may_act.then_some(owner) };
    Ok(Opened { host_role, owner_role, search_path: row.try_get(3)? })
}

/// Opening and migrating take a few statements, each of which the server stops at the deadline; a server that stalls is left.
async fn within<T>(settings: &Settings, work: impl Future<Output = Db<T>>) -> Db<T> {
    tokio::time::timeout(settings.deadline * 3, work).await.unwrap_or_else(|_| Err(stalled().into()))
}

/// Checks that the roles are there and ours to take, and that they cannot get past the policies.
async fn check_roles(connection: &mut PgConnection, settings: &Settings) -> Db<()> {
    let refuse = |text: String| Err(Fault::Ours(Error::config("open", text)));
    let RowSecurity::Roles { app, fleet } = &settings.row_security else {
        let on: bool = sqlx::query_scalar(
            "SELECT coalesce(bool_or(c.relrowsecurity), false) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = 'sync_runs'",
        )
        .bind(&settings.schema)
        .persistent(false)
        .fetch_one(connection)
        .await?;
        if on {
            return refuse(format!(
                "schema {:?} was made with row security, and cannot be used with it switched off; open it with its roles",
                settings.schema
            ));
        }
        return Ok(());
    };
    for role in [app, fleet] {
        let found = sqlx::query(concat!(
            "SELECT rolsuper OR rolbypassrls, ",
            may_act_as!("oid"),
            ", oid = (SELECT nspowner FROM pg_namespace WHERE nspname = $2), session_user::text FROM pg_roles WHERE rolname = $1"
        ))
        .bind(role)
        .bind(&settings.schema)
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(found) = found else {
            return refuse(format!(
                "there is no role {role:?}; run the migrations as a user that may make roles, or name the roles you have"
            ));
        };
        let (unbound, may_act, owns, us): (bool, bool, bool, String) =
            (found.try_get(0)?, found.try_get(1)?, found.try_get(2)?, found.try_get(3)?);
        if unbound || owns {
            return refuse(format!(
                "role {role:?} gets past row security (superuser, BYPASSRLS or owner of the schema); take one that does not"
            ));
        }
        if !may_act {
            return refuse(format!("user {us:?} may not act as role {role:?}; run: GRANT {role:?} TO {us:?}"));
        }
    }
    Ok(())
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
    /// [`Storage`](ErrorKind::Storage) when it is not.
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

const _: ErrorKind = ErrorKind::Config;

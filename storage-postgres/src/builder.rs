//! How a storage is set up, and opening it.

use std::{
    fmt,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use sync_core::Result;

use crate::{
    error::{Fault, explain},
    hook::{Committed, HookResult, Hooks},
    open::{alone, open, place, within},
    schema,
    source::{Source, parse},
    storage::{Handle, Inner, PostgresStorage, RowSecurity, Settings},
    table::Tables,
    turn::Turns,
    tx::raw,
};

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
    pub(crate) fn new(from: From) -> Self {
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
    /// [`Config`](sync_core::ErrorKind::Config) for a URL, user, password, database, server version, role or schema that does not do;
    /// [`Storage`](sync_core::ErrorKind::Storage) when the server cannot be reached, or can only be read.
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

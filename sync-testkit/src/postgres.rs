//! Databases for tests on PostgreSQL: one for each test, on a server that the environment names.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A database of one test's own; it goes away with it.
#[derive(Debug)]
pub struct TestDatabase {
    server: PgConnectOptions,
    name: String,
}

impl TestDatabase {
    /// Makes an empty database.
    ///
    /// # Panics
    /// When there is no server, saying what to do.
    pub async fn create() -> Self {
        let url = env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL server whose user may make databases and roles");
        let server: PgConnectOptions = url.parse().expect("DATABASE_URL is a PostgreSQL URL");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let name = format!("syncline_test_{}_{}_{}", std::process::id(), since % 1_000_000_000, NEXT.fetch_add(1, Ordering::Relaxed));
        let this = Self { server, name };
        this.on_server(&format!("CREATE DATABASE {}", this.name)).await;
        this
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// A connection to it, as the server's own user.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect_with(&self.server.clone().database(&self.name)).await.expect("the test's database takes connections")
    }

    async fn on_server(&self, sql: &str) {
        let mut connection = PgConnection::connect_with(&self.server).await.expect("the server of DATABASE_URL takes connections");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the server makes and drops databases");
        let _ = connection.close().await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own: the test's may be gone, or the one that is blocked here.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let this = std::mem::ManuallyDrop::new(Self { server, name });
            runtime.block_on(this.on_server(&sql));
        })
        .join();
    }
}

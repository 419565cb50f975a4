//! Databases for tests on PostgreSQL: one for each test, on the server `DATABASE_URL` names, or on a private one.

mod server;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Error, PgConnection, postgres::PgConnectOptions};

pub use self::server::programs;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// How names of our databases begin; the number of the process that made them follows.
const PREFIX: &str = "syncline_test_";

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
        Self::made("template0").await
    }

    /// Makes a database as `prepare` leaves one, which it is asked to do once for each `name`: later ones are copies. The name has to
    /// change with what is prepared.
    ///
    /// # Panics
    /// When there is no server, or `prepare` does.
    pub async fn prepared(name: &str, prepare: impl AsyncFnOnce(&Self)) -> Self {
        let template = format!("syncline_template_{name}");
        let server = server();
        if !exists(&server, &template).await {
            let made = Self::create().await;
            prepare(&made).await;
            // Of several that prepare at once one keeps its name; what the others made is dropped.
            let rename = format!("ALTER DATABASE {} RENAME TO {template}", made.name);
            let _ = run(&server, &disconnect(&made.name)).await;
            if run(&server, &rename).await.is_ok() {
                std::mem::forget(made);
            }
        }
        Self::made(&template).await
    }

    /// A copy of this database as it is now. Whoever is connected to it is sent away.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn copy(&self) -> Self {
        let _ = run(&self.server, &disconnect(&self.name)).await;
        Self::made(&self.name).await
    }

    async fn made(template: &str) -> Self {
        let server = server();
        server::in_use();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{process}_{}_{number}", since % 1_000_000_000);
        let this = Self { server, name };
        let sql = format!("CREATE DATABASE {} TEMPLATE {template} STRATEGY file_copy", this.name);
        for attempt in 0.. {
            match run(&this.server, &sql).await {
                Ok(()) => break,
                // Somebody is just looking into the template.
                Err(Error::Database(error)) if error.code().as_deref() == Some("55006") && attempt < 200 => {
                    let _ = run(&this.server, &disconnect(template)).await;
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(error) => panic!("the server of the tests makes databases: {error}"),
            }
        }
        this
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it, as the server's own user.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect_with(&self.server.clone().database(&self.name)).await.expect("the test's database takes connections")
    }
}

fn server() -> PgConnectOptions {
    match server::server() {
        Ok(server) => server.disable_statement_logging(),
        Err(missing) => panic!("{missing}"),
    }
}

fn disconnect(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()")
}

async fn run(server: &PgConnectOptions, sql: &str) -> Result<(), Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.map(drop);
    let _ = connection.close().await;
    done
}

async fn exists(server: &PgConnectOptions, database: &str) -> bool {
    let mut connection = PgConnection::connect_with(server).await.expect("the server of the tests takes connections");
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(database).fetch_one(&mut connection);
    let found = found.await.expect("the server lists its databases");
    let _ = connection.close().await;
    found
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // A runtime of its own: the test's may be gone, or the one that is blocked here.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let _ = runtime.block_on(run(&server, &sql));
        })
        .join();
    }
}

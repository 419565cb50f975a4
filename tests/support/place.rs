//! Where a database is, so that the same test can be made of one file and of a database on a server.

use std::{future::Future, path::PathBuf, sync::Arc};

use rusqlite::Connection as File;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use storage_postgres::PostgresStorage;
use syncline::{
    SqliteStorage,
    core::{
        WorkspaceId,
        store::{FleetStore, Storage, WorkspaceStore},
    },
};

use super::dump::{Dump, show};

/// A database. Its tables are named as in the file: `syncline_sync_runs` is `syncline.sync_runs` on a server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Place {
    File(PathBuf),
    /// The URL, of a superuser.
    Server(String),
}

/// A storage on it.
#[derive(Clone, Debug)]
pub(crate) enum AnyStorage {
    Sqlite(SqliteStorage),
    Postgres(PostgresStorage),
}

impl Storage for AnyStorage {
    fn workspace(&self, workspace: &WorkspaceId) -> Arc<dyn WorkspaceStore> {
        match self {
            Self::Sqlite(storage) => storage.workspace(workspace),
            Self::Postgres(storage) => storage.workspace(workspace),
        }
    }

    fn fleet(&self) -> Arc<dyn FleetStore> {
        match self {
            Self::Sqlite(storage) => storage.fleet(),
            Self::Postgres(storage) => storage.fleet(),
        }
    }
}

impl AnyStorage {
    pub(crate) fn on_crash_point(&self, at: impl Fn(&'static str) + Send + Sync + 'static) {
        match self {
            Self::Sqlite(storage) => storage.on_crash_point(at),
            Self::Postgres(storage) => storage.on_crash_point(at),
        }
    }
}

impl Place {
    pub(crate) async fn open(&self) -> AnyStorage {
        match self {
            Self::File(path) => AnyStorage::Sqlite(SqliteStorage::open(path).await.expect("the database opens")),
            Self::Server(url) => AnyStorage::Postgres(PostgresStorage::connect(url).await.expect("the database opens")),
        }
    }

    pub(crate) fn dump(&self) -> Dump {
        match self {
            Self::File(path) => Dump::of(path),
            Self::Server(_) => Dump::of_server(self),
        }
    }

    /// What a process that died holds is free: on a server its lease runs out, since the database's clock has moved on for those who
    /// connect from now on. The owner of a file is known to be gone at once.
    pub(crate) fn outlive(&self) {
        let Self::Server(_) = self else { return };
        let name = self.ask("SELECT current_database()::text");
        let shift = self.ask("SELECT coalesce(current_setting('syncline.clock_shift', true), '')");
        let hours: u32 = shift.trim_end_matches(" hours").parse().unwrap_or_default();
        self.change(&format!("ALTER DATABASE {name} SET syncline.clock_shift = '{} hours'", hours + 1));
    }

    /// One value as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.ask_all(sql).into_iter().next().unwrap_or_default()
    }

    /// The first column as text, a row each.
    pub(crate) fn ask_all(&self, sql: &str) -> Vec<String> {
        match self {
            Self::File(path) => {
                let conn = File::open(path).expect("the database opens");
                let mut query = conn.prepare(sql).expect("the query fits");
                let rows = query.query_map([], |row| row.get_ref(0).map(show)).expect("it runs");
                rows.collect::<Result<_, _>>().expect("rows")
            }
            Self::Server(_) => {
                let sql = format!("SELECT (to_jsonb(q)->>(SELECT min(k) FROM jsonb_object_keys(to_jsonb(q)) k)) FROM ({sql}) q");
                self.query(&sql).into_iter().map(|text| text.unwrap_or_else(|| "NULL".to_owned())).collect()
            }
        }
    }

    /// Rows as JSON objects; on a server only.
    pub(crate) fn objects(&self, sql: &str) -> Vec<serde_json::Map<String, Value>> {
        let rows = self.query(&format!("SELECT to_jsonb(q)::text FROM ({sql}) q"));
        rows.into_iter().map(|row| serde_json::from_str(&row.expect("an object")).expect("JSON")).collect()
    }

    /// Runs statements of the host's.
    pub(crate) fn change(&self, sql: &str) {
        if let Self::File(path) = self {
            return File::open(path).expect("the database opens").execute_batch(sql).expect("it runs");
        }
        let (url, sql) = (self.url(), sql.to_owned());
        aside(async move {
            let mut connection = PgConnection::connect(&url).await.expect("the server takes connections");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it runs");
            let _ = connection.close().await;
        });
    }

    fn query(&self, sql: &str) -> Vec<Option<String>> {
        let (url, sql) = (self.url(), sql.replace("syncline_", "syncline.").replace("ifnull(", "coalesce("));
        aside(async move {
            let mut connection = PgConnection::connect(&url).await.expect("the server takes connections");
            let rows = sqlx::query_scalar(AssertSqlSafe(sql.clone())).persistent(false).fetch_all(&mut connection).await;
            let _ = connection.close().await;
            rows.unwrap_or_else(|error| panic!("{error}: {sql}"))
        })
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Server(url) => url.clone(),
            Self::File(path) => panic!("{} is a file", path.display()),
        }
    }
}

/// Waits for a future on a thread of its own, so that plain functions can ask a server.
fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work)
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

//! The conformance suite for storages, on PostgreSQL.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Row as _};
use storage_postgres::PostgresStorage;
use sync_core::{Error, ErrorKind, Result, async_trait, store::Storage};
use sync_testkit::{
    postgres::TestDatabase,
    suite::storage::{self, Capability, Check, Database, HOST_TABLE, StorageFixture},
};

/// Makes databases.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// Whether connections are taken through a pooler, at this address, with `{}` for the database.
    pub(crate) pooler: Option<String>,
}

#[async_trait]
impl StorageFixture for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn offers(&self) -> &[Capability] {
        &[
            Capability::HostTables,
            Capability::Owners,
            Capability::Reopen,
            Capability::Retention,
            Capability::OAuth,
            Capability::Conflicts,
            Capability::Search,
            Capability::Clients,
            Capability::Onboarding,
            Capability::Config,
            Capability::Plans,
            Capability::Privacy,
            Capability::Edits,
        ]
    }

    async fn fresh(&self) -> Result<Box<dyn Database>> {
        Ok(Box::new(Fresh { database: crate::support::migrated().await, pooler: self.pooler.clone(), opened: Mutex::default() }))
    }
}

/// One database, and the storages opened on it, which are told apart by the name their connections bear.
struct Fresh {
    database: TestDatabase,
    pooler: Option<String>,
    opened: Mutex<Vec<Weak<PostgresStorage>>>,
}

impl Fresh {
    async fn host(&self, sql: String, values: Vec<Option<String>>) -> Result<Vec<sqlx::postgres::PgRow>> {
        let mut connection = self.database.connection().await;
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = query.bind(value);
        }
        let done = query.fetch_all(&mut connection).await;
        done.map_err(|e| Error::new(ErrorKind::Storage, "host", "the host's own statement failed").because(e))
    }
}

#[async_trait]
impl Database for Fresh {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        let number = self.opened.lock().unwrap_or_else(PoisonError::into_inner).len();
        let url = match &self.pooler {
            Some(pooler) => pooler.replace("{}", self.database.name()),
            None => self.database.url(),
        };
        let url = format!("{url}{}application_name=suite%20{number}", if url.contains('?') { '&' } else { '?' });
        let settings = PostgresStorage::builder(url).max_connections(4);
        let settings = if self.pooler.is_some() { settings.behind_transaction_pooler() } else { settings };
        let storage = Arc::new(settings.open().await?);
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&storage));
        Ok(storage)
    }

    /// Storages that were dropped give their leases back in the background, and close their connections after that.
    async fn settle(&self) -> Result<()> {
        let gone: Vec<usize> = {
            let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.iter().enumerate().filter(|(_, weak)| weak.strong_count() == 0).map(|(at, _)| at).collect()
        };
        for at in gone {
            let sql = format!("SELECT 1 FROM pg_stat_activity WHERE application_name = 'suite {at}' AND datname = current_database()");
            for _ in 0..400 {
                if self.host(sql.clone(), Vec::new()).await?.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    async fn make_host_table(&self) -> Result<()> {
        let sql = format!(
            "CREATE TABLE {HOST_TABLE} (tenant text NOT NULL, email text NOT NULL, name text, age bigint CHECK (age >= 0), \
             changed bigint, PRIMARY KEY (tenant, email))"
        );
        self.host(sql, Vec::new()).await.map(drop)
    }

    async fn write_host_row(&self, row: &Map<String, Value>) -> Result<()> {
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        let cast = |column: &str| if matches!(column, "age" | "changed") { "bigint" } else { "text" };
        let marks: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("${}::{}", at + 1, cast(column))).collect();
        let updates: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let sql = format!(
            "INSERT INTO {HOST_TABLE} ({}) VALUES ({}) ON CONFLICT (tenant, email) DO UPDATE SET {}",
            columns.join(", "),
            marks.join(", "),
            updates.join(", ")
        );
        let values = row.values().map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        self.host(sql.replace("::bigint", "::text::bigint"), values.collect()).await.map(drop)
    }

    async fn host_rows(&self) -> Result<Vec<Map<String, Value>>> {
        let sql =
            format!("SELECT json_strip_nulls(row_to_json(p))::text FROM {HOST_TABLE} p ORDER BY tenant COLLATE \"C\", email COLLATE \"C\"");
        let rows = self.host(sql, Vec::new()).await?;
        Ok(rows.iter().map(|row| serde_json::from_str(row.get(0)).expect("a row as JSON")).collect())
    }

    async fn search(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'syncline'::regnamespace AND relkind = 'r' ORDER BY 1";
        // Bytes are told in hexadecimal.
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut found = Vec::new();
        for table in self.host(tables.to_owned(), Vec::new()).await? {
            let table: String = table.get(0);
            let sql = format!(
                "SELECT 1 FROM syncline.{table:?} t WHERE strpos(row_to_json(t)::text, $1) > 0 OR strpos(row_to_json(t)::text, $2) > 0 LIMIT 1"
            );
            if !self.host(sql, vec![Some(hex.clone()), Some(text.clone())]).await?.is_empty() {
                found.push(table);
            }
        }
        Ok(found)
    }
}

async fn group(wanted: impl Fn(&Check) -> bool) {
    let report = storage::run_where(&Postgres { pooler: None }, wanted).await;
    report.assert_passed();
    assert!(report.skipped().is_empty(), "{report}");
}

/// The suite in so many parts, which run side by side.
const PARTS: usize = 6;

async fn part(part: usize) {
    let names: Vec<&str> = storage::checks().map(|check| check.name).collect();
    group(|check| names.iter().position(|name| *name == check.name).is_some_and(|at| at % PARTS == part)).await;
}

macro_rules! parts {
    ($($name:ident = $part:literal),+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                part($part).await;
            }
        )+
    };
}

parts!(suite_part_1 = 0, suite_part_2 = 1, suite_part_3 = 2, suite_part_4 = 3, suite_part_5 = 4, suite_part_6 = 5);

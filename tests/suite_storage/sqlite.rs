//! SQLite as the conformance suite sees it: a file in a folder of its own, and the host's table beside ours.

use std::sync::Arc;

use rusqlite::{
    Connection,
    types::{Value as Sql, ValueRef},
};
use serde_json::{Map, Value};
use sync_testkit::suite::storage::{Capability, Database, HOST_TABLE, StorageFixture};
use syncline::{
    SqliteStorage,
    core::{Error, ErrorKind, Result, async_trait, store::Storage},
};

/// Makes files.
#[derive(Debug)]
pub(crate) struct Sqlite;

#[async_trait]
impl StorageFixture for Sqlite {
    fn name(&self) -> &str {
        "sqlite"
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
            Capability::Edits,
            Capability::Privacy,
        ]
    }

    async fn fresh(&self) -> Result<Box<dyn Database>> {
        let folder = tempfile::tempdir().map_err(|e| Error::new(ErrorKind::Storage, "fresh", "no temporary folder").because(e))?;
        Ok(Box::new(File(folder)))
    }
}

/// One file; it goes away with the folder.
struct File(tempfile::TempDir);

impl File {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("app.db")
    }

    /// Works on the file as the host does.
    fn host<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let done = Connection::open(self.path()).and_then(|conn| {
            conn.busy_timeout(std::time::Duration::from_secs(5))?;
            work(&conn)
        });
        done.map_err(|e| Error::new(ErrorKind::Storage, "host", "the host's own statement failed").because(e))
    }
}

#[async_trait]
impl Database for File {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(SqliteStorage::open(self.path()).await?))
    }

    async fn make_host_table(&self) -> Result<()> {
        let sql = format!(
            "CREATE TABLE {HOST_TABLE} (tenant TEXT NOT NULL, email TEXT NOT NULL, name TEXT, age INTEGER CHECK (age >= 0), \
             changed INTEGER, PRIMARY KEY (tenant, email))"
        );
        self.host(|conn| conn.execute_batch(&sql))
    }

    async fn write_host_row(&self, row: &Map<String, Value>) -> Result<()> {
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        let marks: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
        let updates: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let sql = format!(
            "INSERT INTO {HOST_TABLE} ({}) VALUES ({}) ON CONFLICT DO UPDATE SET {}",
            columns.join(", "),
            marks.join(", "),
            updates.join(", ")
        );
        let values = row.values().map(|value| match value {
            Value::String(text) => Sql::Text(text.clone()),
            Value::Number(number) => number.as_i64().map_or(Sql::Null, Sql::Integer),
            _ => Sql::Null,
        });
        self.host(|conn| conn.execute(&sql, rusqlite::params_from_iter(values)).map(drop))
    }

    async fn host_rows(&self) -> Result<Vec<Map<String, Value>>> {
        self.host(|conn| {
            let mut found = conn.prepare(&format!("SELECT tenant, email, name, age, changed FROM {HOST_TABLE} ORDER BY tenant, email"))?;
            let columns: Vec<String> = found.column_names().into_iter().map(str::to_owned).collect();
            let rows = found.query_map([], |row| {
                let mut fields = Map::new();
                for (at, column) in columns.iter().enumerate() {
                    match row.get(at)? {
                        Sql::Text(text) => fields.insert(column.clone(), text.into()),
                        Sql::Integer(number) => fields.insert(column.clone(), number.into()),
                        _ => None,
                    };
                }
                Ok(fields)
            })?;
            rows.collect()
        })
    }

    async fn search(&self, bytes: &[u8]) -> Result<Vec<String>> {
        self.host(|conn| {
            let mut tables = conn.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")?;
            let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut found = Vec::new();
            for table in tables {
                let mut rows = conn.prepare(&format!("SELECT * FROM \"{table}\""))?;
                let columns: Vec<String> = rows.column_names().into_iter().map(str::to_owned).collect();
                let mut rows = rows.query([])?;
                while let Some(row) = rows.next()? {
                    for (at, column) in columns.iter().enumerate() {
                        let value = match row.get_ref(at)? {
                            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
                            _ => continue,
                        };
                        if value.windows(bytes.len()).any(|part| part == bytes) {
                            found.push(format!("{table}.{column}"));
                        }
                    }
                }
            }
            Ok(found)
        })
    }
}

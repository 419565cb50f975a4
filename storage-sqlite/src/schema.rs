//! Opening the file, and bringing our tables up to date.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};
use sync_core::{Error, ErrorKind};

use crate::error::{Db, file_name};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "tables", include_str!("../migrations/0001_tables.sql")),
    (2, "push", include_str!("../migrations/0002_push.sql")),
    (3, "push_mode", include_str!("../migrations/0003_push_mode.sql")),
    (4, "retention", include_str!("../migrations/0004_retention.sql")),
    (5, "oauth", include_str!("../migrations/0005_oauth.sql")),
    (6, "keys", include_str!("../migrations/0006_keys.sql")),
    (7, "clients", include_str!("../migrations/0007_clients.sql")),
    (8, "onboarding", include_str!("../migrations/0008_onboarding.sql")),
    (9, "key_use", include_str!("../migrations/0009_key_use.sql")),
    (10, "plans", include_str!("../migrations/0010_plans.sql")),
    (11, "config", include_str!("../migrations/0011_config.sql")),
    (12, "conflicts", include_str!("../migrations/0012_conflicts.sql")),
    (13, "failures", include_str!("../migrations/0013_failures.sql")),
    (14, "clients_of_grants", include_str!("../migrations/0014_clients_of_grants.sql")),
    (15, "sources", include_str!("../migrations/0015_sources.sql")),
    (16, "rules", include_str!("../migrations/0016_rules.sql")),
    (17, "looks", include_str!("../migrations/0017_looks.sql")),
    (18, "sensitive", include_str!("../migrations/0018_sensitive.sql")),
];

/// The migrations as SQL, each with its number and name, for hosts that want to read them first. They touch nothing whose name
/// does not begin with `syncline_`; [`open`](crate::SqliteStorage::open) runs those that are missing.
#[must_use]
pub fn migrations() -> &'static [(i64, &'static str, &'static str)] {
    MIGRATIONS
}

/// Opens a connection. `writes` tells the writer from the readers.
pub(crate) fn connect(path: &Path, busy_timeout: Duration, writes: bool) -> Db<Connection> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.pragma_update(None, "foreign_keys", true)?;
    if writes {
        log_ahead(&conn, busy_timeout)?;
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.pragma_update(None, "cache_size", -8192)?;
        // What is deleted or replaced is zeroed in the file, so that what was erased is not found there.
        conn.pragma_update(None, "secure_delete", true)?;
    } else {
        conn.pragma_update(None, "query_only", true)?;
    }
    Ok(conn)
}

/// Switches to the write-ahead log. Of several that open a new file at once SQLite turns some away without waiting, so the wait is ours.
fn log_ahead(conn: &Connection, busy_timeout: Duration) -> Db<()> {
    let begun = Instant::now();
    loop {
        // The answer is the mode that is in force: a file that may not be written stays in the one it is in.
        match conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(_) => return Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < busy_timeout => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn version(conn: &Connection) -> Db<i64> {
    let there =
        conn.query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'syncline_migrations'", [], |_| Ok(())).optional()?;
    if there.is_none() {
        return Ok(0);
    }
    Ok(conn.query_row("SELECT coalesce(max(version), 0) FROM syncline_migrations", [], |row| row.get(0))?)
}

/// Runs the migrations that are missing, all or none.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Db<()> {
    let newest = MIGRATIONS.last().map_or(0, |(number, ..)| *number);
    if version(conn)? == newest {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let present = version(&tx)?;
    if present > newest {
        let text = format!(
            "{} was last migrated by a newer version of Syncline (to {present}; this one knows {newest}); use that version",
            file_name(path)
        );
        return Err(Error::new(ErrorKind::Config, "open", text).into());
    }
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS syncline_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
    )?;
    for (number, name, sql) in MIGRATIONS.iter().filter(|(number, ..)| *number > present) {
        tx.execute_batch(sql)?;
        tx.execute(
            "INSERT INTO syncline_migrations (version, name, applied_at) VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
            (number, name),
        )?;
    }
    crate::view::rebuild(&tx)?;
    tx.commit()?;
    Ok(())
}

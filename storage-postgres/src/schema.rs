//! Bringing our tables up to date.

use std::fmt::Write as _;

use sqlx::{PgConnection, Row as _};
use sync_core::{Error, ErrorKind, Retry};

use crate::{
    error::{Db, code},
    name::{literal, quoted},
    security,
    storage::Settings,
    tx::raw,
    view,
};

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

/// The oldest server we work with, as `server_version_num`.
pub(crate) const OLDEST_SERVER: i32 = 150_000;

/// The migrations as SQL, each with its number and name; they run with the search path on our schema alone.
#[must_use]
pub fn migrations() -> &'static [(i64, &'static str, &'static str)] {
    MIGRATIONS
}

/// What stands between a schema and the newest version of our tables.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The version the schema is at; 0 when there is none.
    pub present: i64,
    /// The version this library needs.
    pub newest: i64,
    /// The names of the migrations that are missing, in their order.
    pub missing: Vec<&'static str>,
    /// The SQL that brings the schema up to date; empty when it is.
    pub script: String,
}

impl Pending {
    pub(crate) fn from(present: i64, settings: &Settings) -> Self {
        let missing: Vec<_> = MIGRATIONS.iter().filter(|(number, ..)| *number > present).map(|(_, name, _)| *name).collect();
        let script = if missing.is_empty() { String::new() } else { script(settings, present) };
        Self { present, newest: newest(), missing, script }
    }
}

pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

/// Tables and views that the migrations make.
fn made(kind: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("CREATE {kind} ");
    let names = MIGRATIONS.iter().flat_map(|(.., sql)| sql.lines());
    names.filter_map(move |line| line.strip_prefix(&begin)).filter_map(|rest| rest.split([' ', '(']).next())
}

/// The roles' part of a script; before anything else. A schema that is there is not made: only making one takes a right on the database.
fn prologue(settings: &Settings) -> String {
    let schema = quoted(&settings.schema);
    format!(
        "{}DO $syncline$ BEGIN\n    IF pg_catalog.to_regnamespace('{name}') IS NULL THEN CREATE SCHEMA IF NOT EXISTS {schema}; END IF;\n\
         END $syncline$;\nSET LOCAL search_path TO {schema}, pg_temp;\n\
         CREATE TABLE IF NOT EXISTS migrations (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT pg_catalog.now());\n",
        security::roles(&settings.row_security),
        name = schema.replace('\'', "''"),
    )
}

/// Policies and grants; after everything else. May be repeated.
fn epilogue(settings: &Settings) -> String {
    let mut sql = security::doors(&settings.schema, &settings.row_security);
    for table in made("TABLE").filter(|table| !security::SHARED.contains(table)) {
        sql.push_str(&security::wall(&settings.schema, table, &settings.row_security));
    }
    for view in made("VIEW") {
        sql.push_str(&security::view(&settings.schema, view, &settings.row_security));
    }
    sql
}

fn step(number: i64, name: &str, sql: &str) -> String {
    format!("{sql}\nINSERT INTO migrations (version, name) VALUES ({number}, '{name}');\n")
}

/// Everything a migration to the newest version runs, from an empty database or from `present`.
pub(crate) fn script(settings: &Settings, present: i64) -> String {
    let mut sql = String::from("BEGIN;\n");
    sql.push_str(&prologue(settings));
    for (number, name, step_sql) in MIGRATIONS.iter().filter(|(number, ..)| *number > present) {
        let _ = write!(sql, "\n-- {number}: {name}\n{}", step(*number, name, step_sql));
    }
    sql.push_str("\n-- roles and row security\n");
    sql.push_str(&epilogue(settings));
    if present == 0 {
        sql.push_str("\n-- the history of values, made anew with every table\n");
        sql.push_str(&view::empty(settings));
    }
    sql.push_str("COMMIT;\n");
    sql
}

/// The version of the schema: 0 when there is none.
pub(crate) async fn version(connection: &mut PgConnection, settings: &Settings) -> Db<i64> {
    let table = format!("{}.migrations", quoted(&settings.schema));
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&table).persistent(false).fetch_one(&mut *connection).await?;
    if !there {
        return Ok(0);
    }
    let sql = format!("SELECT coalesce(max(version), 0) FROM {table}");
    Ok(sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?.try_get(0)?)
}

/// Refuses servers we do not work with.
pub(crate) async fn check_server(connection: &mut PgConnection) -> Db<()> {
    let version: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").persistent(false).fetch_one(connection).await?;
    if version < OLDEST_SERVER {
        let text = format!("this server is PostgreSQL {}; version 15 or newer is needed", version / 10_000);
        return Err(Error::config("open", text).into());
    }
    Ok(())
}

/// Refuses a schema that is not at the version this code was written for.
pub(crate) fn check_version(present: i64, settings: &Settings) -> Db<()> {
    let newest = newest();
    if present > newest {
        let text = format!(
            "schema {:?} was last migrated by a newer version of Syncline (to {present}; this one knows {newest}); use that version",
            settings.schema
        );
        return Err(Error::config("open", text).into());
    }
    if present < newest {
        let text = format!(
            "schema {:?} is at version {present} of its migrations and {newest} is needed; run `syncline migrate`, or open it with \
             migrations switched on",
            settings.schema
        );
        return Err(Error::config("open", text).into());
    }
    Ok(())
}

/// Begins a transaction in which nothing waits for ever. A lock is given up before the statement that waits for it is stopped, so that the
/// two are told apart.
pub(crate) async fn begin(connection: &mut PgConnection, settings: &Settings) -> Db<()> {
    let (locks, statements) = (settings.deadline, settings.deadline + settings.deadline / 4);
    let (locks, statements) = (locks.as_millis().max(1), statements.as_millis().max(2));
    Ok(raw(connection, format!("BEGIN; SET LOCAL lock_timeout = {locks}; SET LOCAL statement_timeout = {statements}")).await?)
}

/// Runs the migrations that are missing, all or none. Several processes may try at once: one does, the others wait.
pub(crate) async fn migrate(connection: &mut PgConnection, settings: &Settings) -> Db<i64> {
    begin(connection, settings).await?;
    let done = locked(connection, settings).await;
    raw(connection, if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    done
}

/// Somebody else has been migrating for longer than we wait: says who.
async fn held(connection: &mut PgConnection, settings: &Settings, key: &str) -> Db<Error> {
    let sql = format!(
        "SELECT string_agg(l.pid::text, ', ') FROM pg_locks l, (SELECT {key} AS key) k WHERE l.locktype = 'advisory' AND l.granted \
         AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295"
    );
    let holder: Option<String> = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?.try_get(0)?;
    let who = holder.map_or_else(String::new, |pid| format!(" (server process {pid}; see pg_stat_activity)"));
    let text = format!(
        "somebody else has been migrating schema {:?} for longer than the deadline{who}; wait for that to end, or end it with \
         pg_terminate_backend",
        settings.schema
    );
    Ok(Error::new(ErrorKind::Storage, "migrate", text).with_retry(Retry::After(None)))
}

async fn locked(connection: &mut PgConnection, settings: &Settings) -> Db<i64> {
    if version(connection, settings).await? == newest() {
        return Ok(newest());
    }
    let key = format!("hashtextextended({}, 0)", literal(&format!("syncline migrations of {}", settings.schema))?);
    match raw(connection, format!("SELECT pg_advisory_xact_lock({key})")).await {
        Err(error) if code(&error) == Some("55P03") => {
            raw(connection, "ROLLBACK").await?;
            begin(connection, settings).await?;
            return Err(held(connection, settings, &key).await?.into());
        }
        turn => turn?,
    }
    let present = version(connection, settings).await?;
    if present >= newest() {
        check_version(present, settings)?;
        return Ok(present);
    }
    raw(connection, prologue(settings)).await?;
    for (number, name, sql) in MIGRATIONS.iter().filter(|(number, ..)| *number > present) {
        raw(connection, step(*number, name, sql)).await?;
    }
    raw(connection, epilogue(settings)).await?;
    view::make(connection, settings).await?;
    Ok(newest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_count_up_and_their_tables_are_known() {
        assert!(MIGRATIONS.is_sorted_by(|(one, ..), (next, ..)| one < next), "each number once, and in their order");
        let tables: Vec<_> = made("TABLE").collect();
        assert!(tables.contains(&"sync_runs") && tables.contains(&"push_memory") && tables.contains(&"retention_marks"), "{tables:?}");
        for of_oauth in ["oauth_states", "oauth_clients", "leases"] {
            assert!(tables.contains(&of_oauth) && !security::SHARED.contains(&of_oauth), "{of_oauth} is walled off: {tables:?}");
        }
        let views = ["integration_sync_logs", "config_latest", "data_sources", "tab_mappings", "column_mappings", "computed_fields"];
        assert_eq!(made("VIEW").collect::<Vec<_>>(), views);
    }
}

//! `migrate`: brings the database's tables up to date, or prints the SQL that would.

use std::path::Path;

use serde_json::json;
use syncline::storage::sqlite::{
    migrations,
    rusqlite::{Connection, OpenFlags},
};

use super::View;
use crate::{
    args::Migrate,
    config::Config,
    database::Database,
    exit::{Done, Exit, Failure},
    output::{self, Style, plural},
    storage::{self, Missing},
};

pub(crate) async fn run(config: &Config, args: &Migrate, view: View) -> Done {
    match &config.database {
        Database::Sqlite(file) => sqlite(file, args, view).await,
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => postgres(config, url, args, view).await,
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => unreachable!("no URL is read without the feature"),
    }
}

async fn sqlite(file: &Path, args: &Migrate, view: View) -> Done {
    let newest = migrations().last().map_or(0, |(number, ..)| *number);
    if args.print {
        let present = if args.pending && file.exists() { version(file)? } else { 0 };
        let missing: Vec<_> = migrations().iter().filter(|(number, ..)| *number > present).collect();
        let texts = missing.iter().map(|(number, name, sql)| format!("-- {number}: {name}\n{}\n", sql.trim_end()));
        return Ok(print(&texts.collect::<Vec<_>>().join("\n"), present, newest, view));
    }
    let before = if file.exists() { version(file)? } else { 0 };
    storage::sqlite(file, Missing::Make).await?;
    let ran = migrations().iter().filter(|(number, ..)| *number > before).map(|(_, name, _)| *name).collect();
    Ok(tell(&file.display().to_string(), before, newest, ran, view))
}

/// The migration a file is at.
pub(crate) fn version(file: &Path) -> Done<i64> {
    let failed = |problem| {
        let text = format!("{} cannot be read as a database: {problem}", file.display());
        Failure::failed(text, "migrate", "name another file with --database, or put a good copy in its place")
    };
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'syncline_migrations'";
    if connection.query_row(there, [], |row| row.get::<_, i64>(0)).map_err(failed)? == 0 {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(version), 0) FROM syncline_migrations", [], |row| row.get(0)).map_err(failed)
}

#[cfg(feature = "postgres")]
async fn postgres(config: &Config, url: &crate::database::ServerUrl, args: &Migrate, view: View) -> Done {
    use storage::postgres::{advised, builder};

    if args.print && !args.pending {
        let newest = syncline::storage::postgres::migrations().last().map_or(0, |(number, ..)| *number);
        return Ok(print(&builder(config, url).migration_script(), 0, newest, view));
    }
    let pending = builder(config, url).pending().await.map_err(|error| advised(&error))?;
    if args.print {
        return Ok(print(&pending.script, pending.present, pending.newest, view));
    }
    if !config.postgres.migrate {
        return Err(Failure::usage("migrations are switched off", "migrate", "leave --no-migrate and [postgres] migrate = false out"));
    }
    let (before, now) = builder(config, url).migrate().await.map_err(|error| advised(&error))?;
    let place = format!("schema {:?} of {}", config.postgres.schema, config.database);
    Ok(tell(&place, before, now, if before < now { pending.missing } else { Vec::new() }, view))
}

fn print(sql: &str, present: i64, newest: i64, view: View) -> Exit {
    if view.json {
        output::json(&json!({ "present": present, "newest": newest, "sql": sql }));
    } else if sql.is_empty() {
        eprintln!("nothing is missing: the database is at migration {present}, the newest");
    } else {
        output::verbatim(sql.trim_end());
    }
    Exit::Done
}

fn tell(place: &str, before: i64, now: i64, ran: Vec<&str>, view: View) -> Exit {
    if view.json {
        output::json(&json!({ "database": place, "before": before, "now": now, "ran": ran }));
        return Exit::Done;
    }
    let style = Style::stdout();
    if ran.is_empty() {
        output::line(format!("{place} is at migration {now}, the newest; nothing was done"));
    } else {
        let many = plural(ran.len() as u64, "migration", "migrations");
        output::line(format!("{} {place}: {many}, from {before} to {now} ({})", style.good("migrated"), ran.join(", ")));
    }
    Exit::Done
}

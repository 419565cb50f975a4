//! A file: whether it is whole, up to date, and not held back.

use std::{fs, path::Path};

use serde_json::json;
use syncline::storage::sqlite::{
    migrations,
    rusqlite::{self, Connection, OpenFlags},
};

use super::{Finding, Level, Told, bytes};
use crate::{commands::migrate::version, config::beside, exit::Done, storage::must_be_there};

/// A log that checkpoints should have emptied long ago, in bytes.
const LONG_LOG: u64 = 256 * 1000 * 1000;

pub(super) fn look(file: &Path) -> Done<Told> {
    must_be_there(file)?;
    let present = version(file)?;
    let size = |path: &Path| fs::metadata(path).map_or(0, |known| known.len());
    let (whole, log) = (size(file), size(&beside(file, "-wal")));
    let newest = migrations().last().map_or(0, |(number, ..)| *number);
    let mut findings = vec![Finding::ok("file", format!("{} and {} of log", bytes(whole), bytes(log)))];
    findings.push(match present {
        0 => Finding::bad(
            "migrations",
            Level::Error,
            "there are no tables of Syncline in this file",
            "run `syncline migrate`, or name another file",
        ),
        _ if present < newest => Finding::bad(
            "migrations",
            Level::Warning,
            format!("at migration {present}, and {newest} is the newest"),
            "run `syncline migrate`; any command that opens the file does it too",
        ),
        _ if present > newest => Finding::bad(
            "migrations",
            Level::Error,
            format!("at migration {present}, made by a newer version; this one knows {newest}"),
            "use the newer version here too",
        ),
        _ => Finding::ok("migrations", format!("at migration {present}, the newest")),
    });
    if log > LONG_LOG {
        let to_do = "end the program that reads without end; the next commit then folds the log into the file";
        findings.push(Finding::bad("log", Level::Warning, format!("the log has grown to {}: a reader holds it back", bytes(log)), to_do));
    }
    if fs::metadata(file).is_ok_and(|known| known.permissions().readonly()) {
        findings.push(Finding::bad(
            "file",
            Level::Error,
            "the file may not be written",
            "give the user that runs Syncline write permission",
        ));
    }
    let problem = |problem: rusqlite::Error| {
        let to_do = "copy the file away, and put a good copy in its place; sqlite3's .recover saves what can be read";
        Finding::bad("integrity", Level::Error, format!("the file could not be checked: {problem}"), to_do)
    };
    findings.push(check(file).unwrap_or_else(problem));
    let facts = json!({ "storage": "sqlite", "version": present, "newest": newest, "bytes": whole, "log_bytes": log });
    Ok(Told { findings, tables: Vec::new(), facts })
}

/// SQLite's own check of pages and indexes.
fn check(file: &Path) -> rusqlite::Result<Finding> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" {
        return Ok(Finding::ok("integrity", "every page can be read (quick_check)"));
    }
    let to_do = "copy the file away, and put a good copy in its place; sqlite3's .recover saves what can be read";
    Ok(Finding::bad("integrity", Level::Error, "the file is damaged (quick_check)", to_do))
}

//! What the doctor found.

use serde::Serialize;

use crate::storage::{RowSecurity, Settings};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// In order.
    Ok,
    /// Could not be looked at with the rights of this login.
    Unseen,
    /// Works, and may bite later.
    Warning,
    /// Does not work, or is not safe.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `server`, `connection`, `tls`, `login`, `roles`, `owner`, `row_security`, `clock`, `migrations`, `settings`,
    /// `connections`, `vacuum`, `pooler`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, as a sentence.
    pub found: String,
    /// What to do about it; absent when there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
}

/// A table of our schema. What cannot be seen is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// Its name, without the schema.
    pub table: String,
    /// Rows by the planner's last estimate; absent for a table that was never analysed.
    pub rows: Option<u64>,
    /// Bytes on disk, indexes and large values included.
    pub bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// Whether its rows belong to tenants.
    pub of_tenants: bool,
    /// Whether row security is switched on.
    pub row_security: bool,
    /// Whether it holds for the table's owner too.
    pub forced: bool,
    /// The policies on it.
    pub policies: Vec<String>,
}

/// What the doctor found. Holds no credential and no value of any row.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Host and database.
    pub database: String,
    /// The schema that was looked at.
    pub schema: String,
    /// Whether tenants are kept apart by roles and policies, as the builder was told.
    pub row_security: bool,
    /// The server's version, as it says it.
    pub server: Option<String>,
    /// The migration the schema is at; 0 when there is none, absent when it could not be seen.
    pub version: Option<i64>,
    /// The migration this library needs.
    pub newest: i64,
    /// Seconds the server's clock is ahead of ours; below zero when it is behind.
    pub clock_ahead: Option<f64>,
    /// What was looked at, in that order.
    pub findings: Vec<Finding>,
    /// The tables of the schema, the biggest first.
    pub tables: Vec<TableFacts>,
}

impl Report {
    pub(super) fn new(database: &str, settings: &Settings) -> Self {
        Self {
            database: database.into(),
            schema: settings.schema.clone(),
            row_security: settings.row_security != RowSecurity::Off,
            server: None,
            version: None,
            newest: crate::schema::newest(),
            clock_ahead: None,
            findings: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// The worst level of all findings.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    pub(super) fn ok(&mut self, check: &'static str, found: impl Into<String>) {
        self.findings.push(Finding { check, level: Level::Ok, found: found.into(), to_do: None });
    }

    pub(super) fn unseen(&mut self, check: &'static str, found: impl Into<String>) {
        self.findings.push(Finding { check, level: Level::Unseen, found: found.into(), to_do: None });
    }

    pub(super) fn warn(&mut self, check: &'static str, found: impl Into<String>, to_do: impl Into<String>) {
        self.findings.push(Finding { check, level: Level::Warning, found: found.into(), to_do: Some(to_do.into()) });
    }

    pub(super) fn error(&mut self, check: &'static str, found: impl Into<String>, to_do: impl Into<String>) {
        self.findings.push(Finding { check, level: Level::Error, found: found.into(), to_do: Some(to_do.into()) });
    }
}

//! Asking the server one question after the other; one that may not be asked stops no other.

use std::time::Duration;

use sqlx::{
    Error as Sql, PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::Report;
use crate::{error::code, source::Opened, storage::Settings};

/// The longest a question may take.
const LIMIT: Duration = Duration::from_secs(15);

/// A connection, what it is held against, and what was found so far.
pub(super) struct Probe<'a> {
    connection: &'a mut Opened,
    pub(super) settings: &'a Settings,
    pub(super) report: Report,
}

impl<'a> Probe<'a> {
    pub(super) fn new(connection: &'a mut Opened, settings: &'a Settings, report: Report) -> Self {
        Self { connection, settings, report }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }

    /// The rows a question answers. One that fails becomes a finding of `check` that says `what` could not be seen.
    pub(super) async fn rows(&mut self, check: &'static str, what: &str, query: Query<'_, Postgres, PgArguments>) -> Option<Vec<PgRow>> {
        let asked = tokio::time::timeout(LIMIT, query.persistent(false).fetch_all(&mut **self.connection));
        match asked.await.unwrap_or_else(|_| Err(Sql::Io(std::io::ErrorKind::TimedOut.into()))) {
            Ok(rows) => Some(rows),
            Err(error) => {
                let why = match code(&error) {
                    Some("42501") => "this login may not read it".to_owned(),
                    Some(code) => format!("the server refused (SQLSTATE {code})"),
                    None => "the server did not answer".to_owned(),
                };
                self.report.unseen(check, format!("{what} could not be looked at: {why}"));
                None
            }
        }
    }

    /// The only row of a question, see [`rows`](Self::rows).
    pub(super) async fn row(&mut self, check: &'static str, what: &str, query: Query<'_, Postgres, PgArguments>) -> Option<PgRow> {
        self.rows(check, what, query).await?.into_iter().next()
    }
}

//! From what PostgreSQL says to what an operator can act on.

use std::borrow::Cow;

use sqlx::{
    Error as Sql,
    postgres::{PgDatabaseError, PgSeverity},
};
use sync_core::{Error, ErrorKind, Retry};

/// What stops a piece of work on the database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database refused, or could not be reached; nothing of the transaction was written.
    Sql(Sql),
    /// The connection was lost while the transaction was being committed: it was, or it was not.
    Unknown(Sql),
    /// We refused.
    Ours(Error),
    /// The changes of these entities are not those a commit expects.
    Moved(Vec<Box<str>>),
    /// It was in the way of the commit before it, and is to be begun anew.
    Again,
}

pub(crate) type Db<T> = Result<T, Fault>;

impl From<Sql> for Fault {
    fn from(error: Sql) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

/// A broken promise of this crate.
pub(crate) fn internal(operation: &'static str, text: impl Into<String>) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Internal, operation, text.into()))
}

/// An answer from stored JSON or names that nobody but us writes, and that cannot be read.
pub(crate) fn damaged(operation: &'static str, what: &str) -> Fault {
    Fault::Ours(Error::new(ErrorKind::Storage, operation, format!("the stored {what} cannot be read; the database was changed by hand")))
}

/// What the database itself said, if it was the one that spoke.
pub(crate) fn said(error: &Sql) -> Option<&PgDatabaseError> {
    match error {
        Sql::Database(error) => error.try_downcast_ref(),
        _ => None,
    }
}

/// The SQLSTATE of what the database said.
pub(crate) fn code(error: &Sql) -> Option<&str> {
    said(error).map(PgDatabaseError::code)
}

/// Whether whoever speaks for the server ended the connection with this, or never heard of it: the server itself, or a pooler that lost the
/// session of the server. What became of a COMMIT that was answered so, nobody has said.
pub(crate) fn ends_the_connection(error: &Sql) -> bool {
    said(error).is_none_or(|said| {
        let code = said.code();
        matches!(said.severity(), PgSeverity::Fatal | PgSeverity::Panic) || code.starts_with("08") || code.starts_with("57P0")
    })
}

impl Fault {
    /// Whether the same transaction may go through when it is begun anew: it was rolled back, and nothing in it was at fault.
    pub(crate) fn is_passing(&self) -> bool {
        let error = match self {
            Self::Sql(error) => error,
            Self::Again | Self::Unknown(_) | Self::Ours(_) | Self::Moved(_) => return false,
        };
        match code(error) {
            // Serialization failure, deadlock, lock timeout; the transaction was idle for too long; the server is going down, starting, or
            // was told to end this session.
            Some(code) => {
                matches!(code, "25P03" | "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "53300") || code.starts_with("08")
            }
            None => matches!(error, Sql::Io(_) | Sql::PoolTimedOut | Sql::Protocol(_)),
        }
    }

    /// Whether the server cannot be reached now, as while it starts anew.
    pub(crate) fn is_absence(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        match code(error) {
            Some(code) => matches!(code, "57P01" | "57P02" | "57P03") || code.starts_with("08"),
            None => matches!(error, Sql::Io(_) | Sql::PoolTimedOut | Sql::Protocol(_)),
        }
    }
}

/// The public form of a fault. No text of it holds SQL or a value of a row.
pub(crate) fn explain(operation: &'static str, place: &str, fault: Fault) -> Error {
    let (sql, unknown) = match fault {
        Fault::Ours(error) => return error,
        Fault::Moved(moved) => {
            let text = format!("{} rows are no longer as they were expected; nothing was written", moved.len());
            return Error::new(ErrorKind::Conflict, operation, text);
        }
        Fault::Sql(sql) => (sql, false),
        Fault::Unknown(sql) => (sql, true),
        Fault::Again => {
            let text = "the commit was in the way of the one before it again and again";
            return Error::new(ErrorKind::Storage, operation, text).with_retry(Retry::After(None)).at("database", place);
        }
    };
    let (kind, retry, text) = describe(&sql);
    let (retry, text) = if unknown {
        let text = "the connection was lost while the transaction was being committed; look whether it was before doing it again";
        (Retry::Never, Cow::Borrowed(text))
    } else {
        (retry, text)
    };
    Error::new(kind, operation, text).with_retry(retry).at("database", place)
}

fn describe(sql: &Sql) -> (ErrorKind, Retry, Cow<'static, str>) {
    let never = |kind, text: &'static str| (kind, Retry::Never, Cow::Borrowed(text));
    let later = |text: &'static str| (ErrorKind::Storage, Retry::After(None), Cow::Borrowed(text));
    let Some(said) = said(sql) else {
        return match sql {
            Sql::Io(_) => later(
                "the server cannot be reached, did not answer before the deadline, or the connection to it was lost; see that it runs, what \
                     it is busy with (pg_stat_activity), and that host and port are right",
            ),
            Sql::Tls(_) => never(ErrorKind::Config, "no encrypted connection could be made; see to sslmode and the server's certificate"),
            Sql::PoolTimedOut => later("no connection to the database became free in time; raise max_connections, or see what holds them"),
            Sql::PoolClosed => never(ErrorKind::Storage, "the connection pool was closed"),
            Sql::Configuration(_) => {
                never(ErrorKind::Config, "the database URL cannot be understood; it reads postgres://user:password@host:port/database")
            }
            Sql::Protocol(_) => later("the server answered something unexpected, or the connection broke"),
            _ => (ErrorKind::Internal, Retry::Never, Cow::Borrowed("the database answered something unexpected")),
        };
    };
    let named = |kind, retry, text: &str| {
        // PostgreSQL's own words; of those that quote values only the object's name is taken.
        let mut text = text.to_owned();
        if let Some(table) = said.table() {
            text.push_str(&format!(" (table {table:?}"));
            if let Some(column) = said.column() {
                text.push_str(&format!(", column {column:?}"));
            }
            if let Some(constraint) = said.constraint() {
                text.push_str(&format!(", constraint {constraint:?}"));
            }
            text.push(')');
        }
        (kind, retry, Cow::Owned(text))
    };
    match said.code() {
        "28P01" | "28000" => never(ErrorKind::Config, "the server refuses this user or password; see to the database URL and pg_hba.conf"),
        "3D000" => never(ErrorKind::Config, "there is no database of this name; make it with CREATE DATABASE, or correct the URL"),
        "42501" => {
            let text = format!("the database role lacks a privilege: {}", said.message());
            (ErrorKind::Config, Retry::Never, text.into())
        }
        "25006" => never(
            ErrorKind::Storage,
            "the server is read-only (a replica, or in recovery); connect to the primary, by naming its host in the URL",
        ),
        "53100" => never(ErrorKind::Storage, "the server's disk is full; nothing of this transaction was written"),
        "53200" => later("the server is out of memory"),
        "53300" => later("the server has no connections left; lower max_connections here or raise them there"),
        "25P03" => later("the transaction waited for longer than the deadline between two statements, and the server ended it"),
        "40001" | "40P01" => later("the transaction was in another one's way and was rolled back (serialization failure or deadlock)"),
        "55P03" => later("a row or table is locked by somebody else and did not become free in time"),
        "57014" => later("the statement took longer than the deadline and was stopped"),
        "57P01" | "57P02" | "57P03" => later("the server is shutting down or starting"),
        "42P01" | "3F000" => {
            let text = format!("a table or schema of ours is missing ({}); run the migrations", said.message());
            (ErrorKind::Config, Retry::Never, text.into())
        }
        code if code.starts_with("08") => later("the connection to the server was lost"),
        "22021" | "22P05" => never(
            ErrorKind::Invalid,
            "a text that was handed over holds a NUL character (\\u0000), which PostgreSQL cannot hold; nothing was written",
        ),
        code if code.starts_with("23") => named(ErrorKind::Invalid, Retry::Never, "a constraint of the database was violated"),
        code if code.starts_with("22") => named(ErrorKind::Invalid, Retry::Never, "a value is not one the column can hold"),
        code => named(ErrorKind::Storage, Retry::Never, &format!("the database refused (SQLSTATE {code})")),
    }
}

/// Whether only this row is at fault, so that the run may go on without it; with the reason and, where PostgreSQL tells, the column.
///
/// Constraints (class 23), values that cannot be converted or are out of range (22), rows that are too big (54000), exceptions raised by
/// triggers of the host (P0001), and invalid text representations belong to the row. The reason never quotes more of a value than
/// PostgreSQL's primary message does; its DETAIL, which holds whole rows, is left out.
pub(crate) fn row_fault(error: &Sql) -> Option<(String, Option<String>)> {
    let said = said(error)?;
    let code = said.code();
    if !(code.starts_with("22") || code.starts_with("23") || matches!(code, "54000" | "P0001" | "42804" | "44000")) {
        return None;
    }
    Some((said.message().to_owned(), said.column().map(str::to_owned)))
}

/// A refusal without the value that PostgreSQL quotes where it is a value that is refused (22…), for tables with values that are nobody's
/// business.
pub(crate) fn discreet(reason: String, error: &Sql) -> String {
    match code(error) {
        Some(code) if code.starts_with("22") => format!("the value is none that its column takes (SQLSTATE {code})"),
        _ => reason,
    }
}

//! From what SQLite says to what an operator can act on.

use std::path::Path;

use rusqlite::{Error as Sql, ErrorCode};
use sync_core::{Error, ErrorKind, Retry};

/// What stops a piece of work on the database.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite refused.
    Sql(Sql),
    /// We did.
    Ours(Error),
    /// The changes of these entities are not those a commit expects.
    Moved(Vec<Box<str>>),
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

impl From<rusqlite::types::FromSqlError> for Fault {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(error.into())
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

/// The name of the file, for texts: people know which folder it is in, and logs need not tell.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The public form of a fault. No text of it holds SQL or a value.
pub(crate) fn explain(operation: &'static str, path: &Path, fault: Fault) -> Error {
    let file = file_name(path);
    let sql = match fault {
        Fault::Ours(error) => return error,
        Fault::Moved(moved) => {
            let text = format!("{} rows are no longer as they were expected; nothing was written", moved.len());
            return Error::new(ErrorKind::Conflict, operation, text);
        }
        Fault::Sql(Sql::FromSqlConversionFailure(column, ..)) => {
            let text = format!("what is stored in column {column} of the answer cannot be read; the database was changed by hand");
            return Error::new(ErrorKind::Storage, operation, text).at("database", file);
        }
        Fault::Sql(sql) => sql,
    };
    let (kind, retry, text) = match sql.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Storage, Retry::After(None), "the database is locked by another writer")
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::Storage, Retry::Never, "the disk, or the size the database may have, is full"),
        Some(ErrorCode::ReadOnly) => (ErrorKind::Storage, Retry::Never, "the database can only be read"),
        Some(ErrorCode::CannotOpen) => {
            (ErrorKind::Storage, Retry::Never, "the file cannot be opened or made; see to its folder and permissions")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            (ErrorKind::Storage, Retry::Never, "access to the file is denied")
        }
        Some(ErrorCode::NotADatabase) => (ErrorKind::Storage, Retry::Never, "the file is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => {
            (ErrorKind::Storage, Retry::Never, "the database is damaged; restore it, or recover it with sqlite3's .recover")
        }
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Storage, Retry::After(None), "reading or writing the file failed"),
        Some(ErrorCode::OutOfMemory) => (ErrorKind::Storage, Retry::After(None), "there is not enough memory"),
        Some(ErrorCode::ConstraintViolation) => (ErrorKind::Invalid, Retry::Never, "a constraint of the database was violated"),
        Some(ErrorCode::OperationInterrupted) => (ErrorKind::Storage, Retry::After(None), "the work was interrupted"),
        Some(_) => (ErrorKind::Storage, Retry::Never, "the database refused"),
        None => (ErrorKind::Internal, Retry::Never, "the database answered something unexpected"),
    };
    let text = match &sql {
        // SQLite's own words name tables and columns, never values.
        Sql::SqliteFailure(_, Some(detail)) => format!("{text}: {detail}"),
        Sql::SqlInputError { msg, .. } => format!("{text}: {msg}"),
        Sql::InvalidColumnType(_, column, kind) => format!("{text}: column {column} holds {kind}"),
        _ => text.to_owned(),
    };
    let error = Error::new(kind, operation, text).with_retry(retry).at("database", file);
    match sql {
        Sql::SqliteFailure(..) => error.because(sql),
        _ => error,
    }
}

/// Whether only this row is at fault, so that the run may go on without it; with the reason and, where SQLite tells, the column.
pub(crate) fn row_fault(error: &Sql) -> Option<(String, Option<String>)> {
    let Sql::SqliteFailure(failure, detail) = error else { return None };
    if !matches!(failure.code, ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch) {
        return None;
    }
    let detail = detail.as_deref().unwrap_or("the value is refused");
    // `NOT NULL constraint failed: partners.name`, `UNIQUE constraint failed: a.b, a.c`
    let column = (!detail.starts_with("CHECK"))
        .then(|| detail.split_once(": ").and_then(|(_, names)| names.split(", ").next()).and_then(|name| name.rsplit_once('.')))
        .flatten()
        .map(|(_, column)| column.to_owned());
    Some((detail.to_owned(), column))
}

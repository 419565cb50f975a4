//! Reading: what is asked for, and what a page answers.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Field, PageToken, Partition, RecordBatch, StreamName};

/// A durable position of a partition: a version and the provider's own text, exact to the last digit.
/// A provider that meets a version it does not know answers [`CursorExpired`](crate::ErrorKind::CursorExpired).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which form `state` has.
    pub version: u16,
    /// The provider's own text.
    pub state: Box<str>,
}

impl Cursor {
    /// A cursor of a provider's form `version`.
    pub fn new(version: u16, state: impl Into<Box<str>>) -> Self {
        Self { version, state: state.into() }
    }
}

/// One page, please.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PullRequest {
    /// Of this stream.
    pub stream: StreamName,
    /// Of this part of it.
    pub partition: Partition,
    /// From here on; `None` reads everything.
    pub cursor: Option<Cursor>,
    /// Up to here, fixed when the run began (less a safety lag).
    pub until: DateTime<Utc>,
    /// How far before the cursor to read again.
    pub look_back: Duration,
    /// The key columns, where the source has none of its own (sheets).
    pub key: Arc<[Box<str>]>,
    /// At most so many records in this page, when fewer are wanted.
    pub limit: Option<u64>,
    /// After this page. A provider whose tokens are durable and whose pages carry cursors before the end of a scan has to put into
    /// the token whatever the scan began with: a run that goes on with a stored token brings the stored `cursor`, which has moved
    /// since then.
    pub after: Option<PageToken>,
}

impl PullRequest {
    /// The first page of everything in `partition`.
    pub fn new(stream: impl Into<StreamName>, partition: Partition, until: DateTime<Utc>) -> Self {
        Self {
            stream: stream.into(),
            partition,
            cursor: None,
            until,
            look_back: Duration::ZERO,
            key: Arc::from([]),
            limit: None,
            after: None,
        }
    }
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another page.
    Page(PageToken),
    /// The service is still preparing it; ask again with `token` after `after`.
    NotReady {
        /// How long to wait.
        after: Duration,
        /// What to ask with.
        token: PageToken,
    },
    /// Nothing.
    End {
        /// Whether this scan showed every record there is, so that what it did not show is gone.
        complete: bool,
    },
}

/// How bad a row's problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The row was taken, or left out on purpose (duplicate, no key).
    Warning,
    /// The row could not be taken.
    Error,
}

/// A row that could not be taken, or a warning about one; the run goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordFailure {
    /// The source's row number, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The record's key, where it was readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<str>>,
    /// The column as a person finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<Box<str>>,
    /// What is wrong with it.
    pub error: Box<str>,
    /// How bad it is.
    pub severity: Severity,
}

impl RecordFailure {
    /// An error about a record.
    pub fn error(error: impl Into<Box<str>>) -> Self {
        Self { row: None, record: None, column: None, error: error.into(), severity: Severity::Error }
    }

    /// A warning about a record.
    pub fn warning(error: impl Into<Box<str>>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(error) }
    }

    /// Sets the row.
    #[must_use]
    pub fn at_row(mut self, row: Option<u64>) -> Self {
        self.row = row;
        self
    }

    /// Sets the record's key.
    #[must_use]
    pub fn of_record(mut self, record: impl Into<Box<str>>) -> Self {
        self.record = Some(record.into());
        self
    }

    /// Sets the column.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<Box<str>>) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl fmt::Display for RecordFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "Row {row}")?;
        } else if let Some(record) = &self.record {
            write!(f, "Record {record}")?;
        } else if self.severity == Severity::Warning {
            // Said of the stream, or of a column of it.
            return match &self.column {
                Some(column) => write!(f, "{column}: {}", self.error),
                None => f.write_str(&self.error),
            };
        } else {
            f.write_str("A record")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", {column}")?;
        }
        write!(f, ": {}", self.error)
    }
}

/// One page's answer. Every record the page held is counted once: in `batch`, in `failures` (severity error) or in `skipped`.
#[derive(Clone, Debug)]
pub struct PullPage {
    /// The records that were readable.
    pub batch: RecordBatch,
    /// Records that were not ([`Severity::Error`], counted as failed), and warnings about others (not counted).
    pub failures: Vec<RecordFailure>,
    /// Records left out on purpose, each with a warning in `failures`: a row without a key.
    pub skipped: u64,
    /// Whether records may be missing that are there, so that absence proves nothing. A failure without a record's key says so too.
    pub unseen: bool,
    /// The fields, when they are known better than at discovery.
    pub fields: Option<Arc<[Field]>>,
    /// The position this page reaches, only where it may be stored: with newest-first listings on the last page alone.
    pub cursor: Option<Cursor>,
    /// What follows.
    pub next: Next,
}

impl PullPage {
    /// A page of these records, the last of an incomplete scan until told otherwise.
    #[must_use]
    pub fn new(batch: RecordBatch) -> Self {
        Self { batch, failures: Vec::new(), skipped: 0, unseen: false, fields: None, cursor: None, next: Next::End { complete: false } }
    }

    /// How many records the page held, readable or not.
    #[must_use]
    pub fn read(&self) -> u64 {
        let failed = self.failures.iter().filter(|failure| failure.severity == Severity::Error).count();
        self.batch.len() as u64 + failed as u64 + self.skipped
    }
}

impl From<Error> for RecordFailure {
    fn from(error: Error) -> Self {
        Self::error(error.text())
    }
}

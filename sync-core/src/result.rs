//! What a run reports.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, RecordFailure, RunId};

/// Which way the data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the service.
    ToExternal,
    /// From the service.
    FromExternal,
    /// Both.
    Bidirectional,
}

impl Direction {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToExternal => "to_external",
            Self::FromExternal => "from_external",
            Self::Bidirectional => "bidirectional",
        }
    }
}

/// How a finished run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was taken.
    Ok,
    /// It went through, but some records, or some partitions, or the deletes did not.
    Partial,
    /// It stopped.
    Failed,
}

impl Outcome {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// What became of the records a run read, or of the items it was to push. Always
/// `read = created + updated + unchanged + skipped + failed + deleted + unsettled`; what a sweep deleted after a complete scan was not
/// read and counts apart, in `swept`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records the service handed over; in a push items that were looked at.
    pub read: u64,
    /// New rows; in a push new records at the service.
    pub created: u64,
    /// Rows with at least one changed field.
    pub updated: u64,
    /// Rows that were already so; nothing was written.
    pub unchanged: u64,
    /// Left out on purpose: duplicates, rows without a key.
    pub skipped: u64,
    /// Could not be taken; each has a failure with its reason.
    pub failed: u64,
    /// The service said they are gone.
    pub deleted: u64,
    /// Gone by the proof of a complete scan.
    pub swept: u64,
    /// Pushed, but whether the service took them is not known yet: pending there, or unknown after a lost answer. Each is listed.
    pub unsettled: u64,
}

impl Counts {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.deleted += other.deleted;
        self.swept += other.swept;
        self.unsettled += other.unsettled;
    }

    /// Whether every record read is accounted for.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.read == self.created + self.updated + self.unchanged + self.skipped + self.failed + self.deleted + self.unsettled
    }

    /// Records that changed a row: created and updated.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.created + self.updated
    }
}

/// An error as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// What happened.
    pub kind: ErrorKind,
    /// One line.
    pub message: Box<str>,
    /// What to do.
    pub hint: Box<str>,
    /// The partition it happened in, when the rest went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Box<str>>,
}

impl RunError {
    /// The stored form of an error; the partition comes from its context.
    #[must_use]
    pub fn new(error: &Error) -> Self {
        let partition = error.context().iter().find(|(what, _)| *what == "partition").map(|(_, which)| which.as_str().into());
        Self { kind: error.kind(), message: error.to_string().into(), hint: error.hint().into(), partition }
    }
}

/// The report of one run, in both directions.
///
/// A run whose records failed one by one is a success with outcome `partial`; `success` is false only when it stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SyncResult {
    /// Its number; `None` when it was refused before it began.
    pub run: Option<RunId>,
    /// Which way.
    pub direction: Direction,
    /// How it went.
    pub outcome: Outcome,
    /// What became of the records.
    #[serde(flatten)]
    pub counts: Counts,
    /// What stopped it, or stopped partitions of it.
    pub errors: Vec<RunError>,
    /// The first record failures and warnings, row by row; all of them are in the store.
    pub failures: Vec<RecordFailure>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its result was durable.
    pub completed_at: DateTime<Utc>,
    /// Whatever else is worth knowing, by name.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl SyncResult {
    /// A result of a run that went through; the outcome follows from counts and errors.
    #[must_use]
    pub fn completed(direction: Direction, run: RunId, counts: Counts, started_at: DateTime<Utc>, completed_at: DateTime<Utc>) -> Self {
        Self {
            run: Some(run),
            direction,
            outcome: if counts.failed + counts.unsettled == 0 { Outcome::Ok } else { Outcome::Partial },
            counts,
            errors: Vec::new(),
            failures: Vec::new(),
            started_at,
            completed_at,
            metadata: serde_json::Map::new(),
        }
    }

    /// The result of a run that stopped at `error`.
    #[must_use]
    pub fn failed(direction: Direction, error: &Error, started_at: DateTime<Utc>, completed_at: DateTime<Utc>) -> Self {
        Self {
            run: None,
            direction,
            outcome: Outcome::Failed,
            counts: Counts::default(),
            errors: vec![RunError::new(error)],
            failures: Vec::new(),
            started_at,
            completed_at,
            metadata: serde_json::Map::new(),
        }
    }

    /// Whether it went through.
    #[must_use]
    pub fn success(&self) -> bool {
        self.outcome != Outcome::Failed
    }

    /// How long it took, as wall-clock time.
    #[must_use]
    pub fn duration(&self) -> std::time::Duration {
        (self.completed_at - self.started_at).to_std().unwrap_or_default()
    }

    /// The documented `Sync result` body: `success, direction, records_synced, …` and `sync_run_id, stats, changes`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let errors: Vec<String> =
            self.errors.iter().map(|error| error.message.to_string()).chain(self.failures.iter().map(ToString::to_string)).collect();
        serde_json::json!({
            "success": self.success(),
            "outcome": self.outcome,
            "direction": self.direction,
            "records_synced": self.counts.synced(),
            "records_created": self.counts.created,
            "records_updated": self.counts.updated,
            "records_unchanged": self.counts.unchanged,
            "records_skipped": self.counts.skipped,
            "records_unsettled": self.counts.unsettled,
            "records_failed": self.counts.failed,
            "records_deleted": self.counts.deleted + self.counts.swept,
            "errors": errors,
            "duration_ms": self.duration().as_millis() as u64,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "metadata": self.metadata,
            "sync_run_id": self.run,
            "stats": {
                "rows_processed": self.counts.read,
                "rows_created": self.counts.created,
                "rows_updated": self.counts.updated,
                "rows_skipped": self.counts.skipped,
                "errors": self.failures,
            },
            "changes": [],
        })
    }
}

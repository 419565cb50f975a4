//! One transaction: rows, lineage, cursors, counts, failures, events, under the run's fence.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Feed;
use crate::{Counts, Cursor, PageToken, PartitionId, RecordBatch, RecordFailure, RecordId, RunId, Target};

/// Proof that a run is still its owner's; checked inside every transaction it writes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The run.
    pub run: RunId,
    /// Fresh with each claim.
    pub token: i64,
}

/// The records of one page, and the partition they belong to.
#[derive(Clone, Debug)]
pub struct PartitionBatch {
    /// The partition.
    pub partition: PartitionId,
    /// The records; names are fields of the target.
    pub batch: RecordBatch,
    /// Records that are there but could not be taken; a scan counts them as seen, so that a bad row never deletes a good one.
    pub present: Vec<RecordId>,
}

/// A partition's position as it shall be after the commit.
#[derive(Clone, Debug)]
pub struct CursorMove {
    /// Which.
    pub partition: PartitionId,
    /// The new cursor; `None` keeps the stored one.
    pub cursor: Option<Cursor>,
    /// The page token to go on mid-way with, and when it ends; `None` clears it.
    pub page: Option<(PageToken, DateTime<Utc>)>,
    /// The scan's number.
    pub scan: u64,
}

/// Many pages and partitions, written at once or not at all.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// The run's.
    pub fence: Fence,
    /// The feed's.
    pub feed: Feed,
    /// Where rows go and by which rules.
    pub target: Arc<Target>,
    /// The rows, in order of arrival.
    pub batches: Vec<PartitionBatch>,
    /// What could not be read or mapped, and warnings.
    pub failures: Vec<RecordFailure>,
    /// Counts of what never reached a batch: read, skipped and failed.
    pub before: Counts,
    /// Scans that may end in a proof of deletes remember what they saw: the scan's number, or `None` for incremental reads.
    pub scan: Option<u64>,
    /// Positions.
    pub cursors: Vec<CursorMove>,
    /// Events to store, JSON objects.
    pub events: Vec<Box<str>>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a commit did.
#[derive(Clone, Debug, Default)]
pub struct CommitReport {
    /// Counts of this commit, balanced, [`PageCommit::before`] included.
    pub counts: Counts,
    /// Failures and warnings found while writing.
    pub failures: Vec<RecordFailure>,
}

/// One field that a commit would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entity's key.
    pub entity: Box<str>,
    /// The field.
    pub field: Box<str>,
    /// JSON text; `None` when the row or the field was not there.
    pub old: Option<Box<str>>,
    /// JSON text; `None` when the row goes.
    pub new: Option<Box<str>>,
    /// The rule that decided.
    pub rule: Box<str>,
}

/// What a commit would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Counts and failures.
    pub report: CommitReport,
    /// Field by field.
    pub changes: Vec<Change>,
}

/// Deletes what a complete scan did not show.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The run's.
    pub fence: Fence,
    /// The feed's.
    pub feed: Feed,
    /// Where rows go.
    pub target: Arc<Target>,
    /// The partitions whose scans were complete, each with its scan's number.
    pub scans: Vec<(PartitionId, u64)>,
    /// The greatest share of the known rows that may go without being confirmed.
    pub max_share: f64,
    /// Whether the host confirmed a larger one.
    pub confirmed: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Rows known before.
    pub known: u64,
    /// Rows the scans did not show.
    pub missing: u64,
    /// Rows deleted: `missing`, or 0 when the share was too large and not confirmed.
    pub deleted: u64,
}

impl SweepReport {
    /// Whether the share was too large and somebody has to confirm it.
    #[must_use]
    pub fn needs_confirmation(&self) -> bool {
        self.deleted < self.missing
    }
}

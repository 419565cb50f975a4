//! One transaction: rows, lineage, cursors, counts, failures, events, under the run's fence.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Expected, Feed};
use crate::{Counts, Cursor, PageToken, PartitionId, RecordBatch, RecordFailure, RecordId, RunId, Target, mapping::Rule};

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
    /// Of an approved plan: exactly these changes and no others, in whatever order. Otherwise nothing is written, and
    /// [`CommitReport::moved`] names the entities in question.
    pub expects: Option<Arc<Expected>>,
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
    /// Entities whose changes are not those the commit [expects](PageCommit::expects). With any, nothing was written.
    pub moved: Vec<Box<str>>,
}

/// One field that a commit would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The entity's key.
    pub entity: Box<str>,
    /// The field.
    pub field: Box<str>,
    /// JSON text; `None` when the row was not there.
    pub old: Option<Box<str>>,
    /// JSON text; `None` when the row goes.
    pub new: Option<Box<str>>,
    /// The rule that decided.
    pub rule: Rule,
}

/// Commits to try out one after the other, and what their scans would sweep then.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// In their order.
    pub commits: Vec<PageCommit>,
    /// Only a share of the known rows that need not be confirmed is tried.
    pub sweep: Option<Sweep>,
}

impl From<PageCommit> for Trial {
    fn from(commit: PageCommit) -> Self {
        Self { commits: vec![commit], sweep: None }
    }
}

/// What commits would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Counts and failures of all of them.
    pub report: CommitReport,
    /// Field by field, in the order they would be made.
    pub changes: Vec<Change>,
    /// Records of mappings that would no longer stand behind their entities.
    pub gone: Vec<Gone>,
    /// What the sweep would do.
    pub swept: Option<SweepReport>,
    /// Fields of the entity type that are marked as sensitive by now, whoever marked them, in small letters.
    pub sensitive: BTreeSet<Box<str>>,
}

impl Preview {
    /// Adds what a later commit of the same trial would do.
    pub fn add(&mut self, later: Self) {
        self.report.counts.add(&later.report.counts);
        self.report.failures.extend(later.report.failures);
        self.changes.extend(later.changes);
        self.gone.extend(later.gone);
        self.swept = later.swept.or(self.swept);
        self.sensitive.extend(later.sensitive);
    }
}

/// A record that would no longer stand behind an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The entity's key.
    pub entity: Box<str>,
    /// The record.
    pub record: RecordId,
    /// The partition it was in.
    pub partition: PartitionId,
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
    /// Whether the sweep may delete what was found missing: not too large a share of what is known, or confirmed.
    #[must_use]
    pub fn may_delete(&self, sweep: &Sweep) -> bool {
        sweep.confirmed || self.missing as f64 <= sweep.max_share * self.known as f64
    }

    /// Whether the share was too large and somebody has to confirm it.
    #[must_use]
    pub fn needs_confirmation(&self) -> bool {
        self.deleted < self.missing
    }
}

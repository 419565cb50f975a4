//! Runs, their leases, cursors and events.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Fence;
use crate::{
    ConnectionId, Counts, Cursor, Direction, EntityType, Outcome, PageToken, PartitionId, RecordFailure, Result, RunError, RunId,
    StreamName, mapping::HeaderFingerprint,
};

/// What is read into what: cursors belong to a feed, so that one stream can feed two tables, each from its own position.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Feed {
    /// The account.
    pub connection: ConnectionId,
    /// The stream.
    pub stream: StreamName,
    /// The mapping's name; empty for the stream's own managed table.
    pub mapping: Box<str>,
}

/// Where a run stands. The terminal ones are absorbing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Under way.
    Running,
    /// Went through.
    Completed,
    /// Stopped by an error, or its owner is gone.
    Failed,
    /// Stopped by the caller.
    Cancelled,
}

impl RunStatus {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Completed, Self::Failed, Self::Cancelled].into_iter().find(|status| status.as_str() == text)
    }
}

/// The job type of runs that only look, and count nothing.
pub const PLAN: &str = "plan";
/// The job type of runs that apply a plan.
pub const APPLY: &str = "apply";
/// The job type of runs that stand for somebody's edit.
pub const EDIT: &str = "edit";
/// The job type of runs that write a value that had lost.
pub const TAKE: &str = "take";

/// The job types that speak with no service: how their runs go says nothing about the connection, whose row stays as it is.
pub const LOCAL: &[&str] = &[PLAN, APPLY, EDIT, TAKE];

/// A run to be started.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// What it reads into what.
    pub feed: Feed,
    /// Which way.
    pub direction: Direction,
    /// Where its rows go.
    pub entity: EntityType,
    /// `full`, `incremental`, one of the [`LOCAL`] ones; of a push its mode.
    pub job_type: &'static str,
    /// Whether it may not run beside another exclusive run of the connection, whatever their streams.
    pub exclusive: bool,
    /// `manual`, `schedule`, a user's name.
    pub triggered_by: Box<str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Whether a run may start.
#[derive(Clone, Debug)]
pub enum Begin {
    /// It started; its writes carry this fence.
    Started(Fence),
    /// Another run of the same connection and stream is under way, in this process or another.
    Busy(Box<Run>),
}

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What it reads into what.
    #[serde(flatten)]
    pub feed: Feed,
    /// Which way.
    pub direction: Direction,
    /// Where its rows go.
    pub entity: EntityType,
    /// `full` or `incremental`.
    pub job_type: Box<str>,
    /// Where it stands.
    pub status: RunStatus,
    /// How it went, once it ended.
    pub outcome: Option<Outcome>,
    /// What became of the records so far: kept up to date by every commit.
    pub counts: Counts,
    /// What stopped it, or parts of it.
    pub errors: Vec<RunError>,
    /// Who asked for it.
    pub triggered_by: Box<str>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// How a run ends. The connection's row changes in the same transaction: success sets `last_sync_at` and clears the errors; a
/// failure sets message and kind by its first error; one that counts raises `error_count`, and at three, or for a revoked grant, sets status `error`.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Completed, failed or cancelled.
    pub status: RunStatus,
    /// How it went.
    pub outcome: Outcome,
    /// What stopped it, or parts of it.
    pub errors: Vec<RunError>,
    /// Failures that belong to no commit.
    pub failures: Vec<RecordFailure>,
    /// Whether this failure counts towards the three.
    pub counts_against_connection: bool,
    /// Whether the grant is gone: the connection needs connecting again at once.
    pub revoked: bool,
    /// Partitions that a complete list no longer has: their cursors are kept and marked.
    pub gone: Vec<PartitionId>,
    /// What it saw of its stream, for the feed's next run; `None` keeps what is stored.
    pub look: Option<Look>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a feed's last run saw of its stream, so that the next one notices what has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The columns.
    pub header: HeaderFingerprint,
    /// How many records the last read of everything brought; `None` when everything was never read in one run.
    pub records: Option<u64>,
}

/// What is known of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// Which.
    pub partition: PartitionId,
    /// Its durable position.
    pub cursor: Option<Cursor>,
    /// A durable page token to go on mid-way with, and when it ends.
    pub page: Option<(PageToken, DateTime<Utc>)>,
    /// The number of the scan the token belongs to; a scan that goes on keeps it, a new one gets the next.
    pub scan: u64,
    /// Whether the last complete list of partitions lacked it.
    pub gone: bool,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this connection only.
    pub connection: Option<ConnectionId>,
    /// Whose rows are of this entity type only.
    pub entity: Option<EntityType>,
    /// At most so many; 0 is 50.
    pub limit: u32,
    /// Older than this run.
    pub before: Option<RunId>,
}

/// Something that happened, kept with a sequence for replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows over the whole storage.
    pub seq: i64,
    /// The run it happened in; `None` when in none.
    pub run: Option<RunId>,
    /// A JSON object with a `type`.
    pub body: Box<str>,
}

/// Keeps runs.
#[async_trait]
pub trait RunStore: Debug + Send + Sync {
    /// Starts a run unless one of the same connection and stream is under way whose owner is alive, or both it and another run of the
    /// connection are exclusive; one whose owner is gone is ended as failed and replaced at once.
    async fn begin_run(&self, new: NewRun) -> Result<Begin>;

    /// Ends a run and changes its connection, in one durable transaction. Answers the run as it is stored.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when it is no longer this owner's.
    async fn end_run(&self, fence: Fence, end: RunEnd) -> Result<Run>;

    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<Run>>;

    /// The newest runs first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>>;

    /// Record failures and warnings of a run, in order, at most `limit`.
    async fn failures(&self, run: RunId, limit: u32) -> Result<Vec<RecordFailure>>;

    /// What is known of a feed's partitions.
    async fn partition_states(&self, feed: &Feed) -> Result<Vec<PartitionState>>;

    /// What the last run of a feed saw that had something to say of it: as it stood in [`RunEnd::look`], stored in one transaction with
    /// that end.
    async fn last_look(&self, feed: &Feed) -> Result<Option<Look>>;

    /// Forgets a feed's cursors and page tokens, so that the next pull reads everything. Rows stay, and so does the last look.
    async fn reset_cursors(&self, feed: &Feed) -> Result<()>;

    /// Events after `seq`, the oldest first, at most `limit`.
    async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>>;
}

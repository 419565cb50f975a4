//! What was pushed, what is under way, and what was refused.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Feed, Fence};
use crate::{ConnectionId, Counts, Marker, Operation, PushMode, RecordBatch, RecordFailure, RecordId, Result, RunError, RunId, Target};

/// What is known of one of our rows at the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushLink {
    /// The service's key of its record.
    pub id: Option<RecordId>,
    /// The hash of the content both sides agreed on last: what a push had accepted, or a pull wrote. `None` when they differ and a
    /// push has something to send.
    pub hash: Option<u64>,
    /// The version the service gave it.
    pub version: Option<Box<str>>,
}

/// Which rows of a table to look at for a push.
#[derive(Clone, Debug)]
pub struct ChangedQuery {
    /// The feed that pushes.
    pub feed: Feed,
    /// The table, and in [`Target::pushes`] the fields whose content counts.
    pub target: Arc<Target>,
    /// These keys alone.
    pub keys: Option<Vec<Box<str>>>,
    /// Rows whose version column is at or above this JSON value, or null, alone; at, since a row may be changed in the very moment another
    /// was. For host tables that have one.
    pub since: Option<Box<str>>,
    /// Hand over unchanged rows too.
    pub all: bool,
    /// Rows after this key.
    pub after: Option<Box<str>>,
    /// Look at so many rows at most.
    pub limit: u32,
    /// Leave no trace: a table of the host that nobody registered yet is read if it may be registered, and is not.
    pub trial: bool,
}

/// Rows that may have to be pushed.
#[derive(Clone, Debug, Default)]
pub struct ChangedRows {
    /// The rows, in key order: ids are the keys of the entities, cells the fields of [`Target::pushes`] by their JSON text.
    pub batch: RecordBatch,
    /// Per row what is known of it at the service.
    pub links: Vec<Option<PushLink>>,
    /// Per row the hash of its content, as links keep it.
    pub hashes: Vec<u64>,
    /// Rows that are as they were accepted and therefore not handed over.
    pub unchanged: u64,
    /// Keys that were asked for and have no row.
    pub missing: Vec<Box<str>>,
    /// With the first page: the highest value of the version column in the table, as JSON text.
    pub version: Option<Box<str>>,
    /// Where to go on; `None` at the end.
    pub after: Option<Box<str>>,
}

/// Where a write stands that was not confirmed (reliability: WP2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// Committed, and about to leave or on its way. One that is found so after a crash counts as unknown.
    Sending,
    /// It may or may not have arrived.
    Unknown,
    /// The service has it and is working on it.
    Pending,
    /// It was refused, or did not get through; see its error and when it is tried again.
    Failed,
    /// More than one record at the service looks like it, or it was written elsewhere than it should be; somebody has to decide.
    Conflict,
}

impl IntentState {
    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Conflict => "conflict",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sending, Self::Unknown, Self::Pending, Self::Failed, Self::Conflict].into_iter().find(|state| state.as_str() == text)
    }
}

/// Before the service's own id of a record that is nobody's of ours: with it, the key such a record goes by in plans and intents of pushes. No
/// row has such a key. It is for us alone: see [`without_stranger`].
pub const STRANGER: char = '\u{1}';

/// A key as people see it: of a [stranger](STRANGER) the service's own id.
#[must_use]
pub fn without_stranger(key: &str) -> &str {
    key.strip_prefix(STRANGER).unwrap_or(key)
}

/// One write on its way: from before it leaves until the service has confirmed it. Unique by feed and key.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// Our key of the row.
    pub key: Box<str>,
    /// Stable over all attempts of this write.
    pub marker: Marker,
    /// Write or remove.
    pub operation: Operation,
    /// The mode it was begun in. Every attempt is made in this one, whatever mode the run has that makes it.
    pub mode: PushMode,
    /// The fields as they are sent, a JSON object; kept so that it can be sent again.
    pub fields: Box<str>,
    /// The hash of the row's content, as links keep it.
    pub hash: u64,
    /// The service's key, when it is known.
    pub id: Option<RecordId>,
    /// The version last seen there.
    pub version: Option<Box<str>>,
    /// Where it stands.
    pub state: IntentState,
    /// How often it was sent.
    pub attempts: u32,
    /// When it was sent last.
    pub sent_at: DateTime<Utc>,
    /// Looks that found nothing since it was sent.
    pub looks: u32,
    /// When the last of them was.
    pub looked_at: Option<DateTime<Utc>>,
    /// When it is due: to be tried, asked for or looked for again. `None` waits for a change of the row, or for somebody.
    pub next_at: Option<DateTime<Utc>>,
    /// What to ask the service with, while it is pending.
    pub handle: Option<Box<str>>,
    /// Why it is not confirmed.
    pub error: Option<RunError>,
    /// The run that sent it last.
    pub run: RunId,
}

/// What became of a row's write; stored with the counts it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The service has the row as the link says; the intent is over.
    Accepted {
        /// Our key of the row.
        key: Box<str>,
        /// What is known of it from now on.
        link: PushLink,
    },
    /// The record is gone at the service; intent and link are over.
    Deleted {
        /// Our key of the row.
        key: Box<str>,
    },
    /// It was left out; the intent is over, the link stays.
    Dropped {
        /// Our key of the row.
        key: Box<str>,
    },
    /// It is not confirmed; the intent is kept as it is now.
    Open(Box<Intent>),
}

impl Settled {
    /// Our key of the row.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Accepted { key, .. } | Self::Deleted { key } | Self::Dropped { key } => key,
            Self::Open(intent) => &intent.key,
        }
    }
}

/// The shape of a stream when it was last pushed to, so that a change of it is noticed before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The stream's fingerprint.
    pub fingerprint: Box<str>,
    /// Its fields, in their order.
    pub fields: Vec<Box<str>>,
    /// The columns its records were told apart by, where they have no key of their own.
    #[serde(default)]
    pub key: Vec<Box<str>>,
}

/// What a feed's pushes remember from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushMemory {
    /// The stream as it was.
    pub shape: Option<Shape>,
    /// Up to where the version column was pushed, in the engine's own text. A commit that leaves one of the feed's rows with something to
    /// send (a link without a hash) forgets it.
    pub version: Option<Box<str>>,
}

/// Steps of a push, written at once, durably, or not at all.
#[derive(Clone, Debug)]
pub struct PushCommit {
    /// The run's.
    pub fence: Fence,
    /// The feed's.
    pub feed: Feed,
    /// Writes that are about to leave; committed before they do (WP1). One with the same key is replaced.
    pub begun: Vec<Intent>,
    /// What became of earlier ones.
    pub settled: Vec<Settled>,
    /// What the run's counts grow by.
    pub counts: Counts,
    /// Failures and warnings.
    pub failures: Vec<RecordFailure>,
    /// Events to store, JSON objects.
    pub events: Vec<Box<str>>,
    /// What is remembered from now on; `None` leaves it.
    pub memory: Option<PushMemory>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which unconfirmed writes to list.
#[derive(Clone, Debug, Default)]
pub struct IntentFilter {
    /// Of this feed only.
    pub feed: Option<Feed>,
    /// Of this connection only.
    pub connection: Option<ConnectionId>,
    /// In these states only; empty is all.
    pub states: Vec<IntentState>,
    /// Of these keys only; empty is all.
    pub keys: Vec<Box<str>>,
    /// After this feed and key, in their order.
    pub after: Option<(Feed, Box<str>)>,
    /// At most so many; 0 is 100.
    pub limit: u32,
}

/// Keeps what was pushed.
#[async_trait]
pub trait PushStore: Debug + Send + Sync {
    /// Rows of a table that differ from what was last accepted, in key order.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming table and column when one of them is not there.
    async fn changed_rows(&self, query: ChangedQuery) -> Result<ChangedRows>;

    /// What is known of rows at the service, in the order of `keys`.
    async fn push_links(&self, feed: &Feed, keys: &[Box<str>]) -> Result<Vec<Option<PushLink>>>;

    /// The keys of rows that are linked to one of these records of the service, in the order of `ids`.
    async fn linked_keys(&self, feed: &Feed, ids: &[RecordId]) -> Result<Vec<Option<Box<str>>>>;

    /// What a feed's pushes remember.
    async fn push_memory(&self, feed: &Feed) -> Result<PushMemory>;

    /// Writes that are not confirmed, by feed and key.
    async fn intents(&self, filter: IntentFilter) -> Result<Vec<(Feed, Intent)>>;

    /// Writes steps of a push in one durable transaction, after checking the fence inside it. Doing it again changes nothing but the
    /// counts.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) when the fence no longer holds, [`Storage`](crate::ErrorKind::Storage) when the
    /// database refuses; nothing was written then.
    ///
    /// # Cancellation
    /// Once it has begun it ends by itself, whether anybody waits for it or not.
    async fn journal(&self, commit: PushCommit) -> Result<()>;
}

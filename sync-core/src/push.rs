//! Writing: batches out, one outcome per item back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{Error, Marker, Operation, RecordId, StreamName};

/// What a provider's pushes are like: data, the same every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushLimits {
    /// Items in one batch at most. A service that takes one record per call says 1, so that each outcome is stored before the next
    /// call leaves.
    pub items: usize,
    /// Bytes of fields in one batch at most; a single item may be larger and is then the provider's to refuse.
    pub bytes: usize,
    /// Batches under way side by side; one where there is one writer.
    pub lanes: usize,
    /// Whether pushes of one connection must come one after the other, whatever stream they are for: two writers of one spreadsheet
    /// move each other's rows.
    pub one_writer: bool,
    /// Whether writing an item a second time cannot double it. Otherwise an item whose answer was lost is looked for
    /// ([`find`](crate::IntegrationSync::find)) and never sent again blindly.
    pub repeatable: bool,
    /// How long after it was sent a request may still take effect at the service: its longest time-out.
    pub in_flight: Duration,
    /// The modes it offers.
    pub modes: &'static [PushMode],
}

impl Default for PushLimits {
    /// One item per call, one call at a time, not repeatable, 30 s in flight, insert and update alone.
    fn default() -> Self {
        Self {
            items: 1,
            bytes: 1 << 20,
            lanes: 1,
            one_writer: false,
            repeatable: false,
            in_flight: Duration::from_secs(30),
            modes: &[PushMode::Upsert, PushMode::Insert, PushMode::Update],
        }
    }
}

/// Which fields of a stream a push may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// The stream can only be read.
    #[default]
    Nothing,
    /// Any field; the provider says which it refuses.
    Anything,
    /// These. A record with another one fails, with the fields there are.
    Fields(Arc<[Box<str>]>),
}

/// Whether an item may already have been written by an attempt whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// No attempt left before.
    Never,
    /// One left and its answer was lost. It was looked for as the rules of reliability ask (WP3) and was not there, or writing
    /// it again is harmless. Services that know the marker as an idempotency key send the same one.
    Unknown {
        /// No attempt that may have arrived left before this moment, by our clock: a look need not go further back, but for what the
        /// service's clock may be off.
        since: DateTime<Utc>,
    },
}

/// How a push treats rows the service knows or does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PushMode {
    /// Write both.
    #[default]
    Upsert,
    /// Write only new ones; one that is there is [`Skipped`](PushOutcome::Skipped).
    Insert,
    /// Write only known ones; one that is not there is [`Skipped`](PushOutcome::Skipped).
    Update,
    /// Make the service's rows equal to ours, deletes included. Providers get the writes as upserts and the rest as deletes.
    Mirror,
}

impl PushMode {
    /// As it stands in tables and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Mirror => "mirror",
        }
    }

    /// Reads [`as_str`](Self::as_str) back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Upsert, Self::Insert, Self::Update, Self::Mirror].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// One record to write.
#[derive(Clone, Debug)]
pub struct PushItem {
    /// The same over all attempts; committed before a write leaves that cannot be repeated.
    pub marker: Marker,
    /// The service's key, when it is known: given by the service earlier, or made of the key columns.
    pub id: Option<RecordId>,
    /// Write or remove.
    pub operation: Operation,
    /// The fields, a JSON object. Empty for a delete.
    pub fields: Bytes,
    /// The version last seen there, for services that can compare.
    pub version: Option<Box<str>>,
    /// Whether an earlier attempt may have arrived.
    pub earlier: Earlier,
}

/// Records to write together.
#[derive(Clone, Debug)]
pub struct PushBatch {
    /// Into this stream.
    pub stream: StreamName,
    /// The key columns, where the target has none of its own.
    pub key: Arc<[Box<str>]>,
    /// How known and new ones are treated; never [`Mirror`](PushMode::Mirror), which reaches providers as upserts and deletes.
    pub mode: PushMode,
    /// The records, no two with the same key.
    pub items: Arc<[PushItem]>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The record is new.
    Created,
    /// The record was there and is now as asked for.
    Updated,
    /// The record is gone.
    Deleted,
}

/// What became of one item.
#[derive(Debug)]
pub enum PushOutcome {
    /// It is as asked for.
    Accepted {
        /// Under this key.
        id: RecordId,
        /// In this version, where the service has versions.
        version: Option<Box<str>>,
        /// What the write did.
        effect: Effect,
    },
    /// It was so already.
    Unchanged,
    /// It was left out, and why.
    Skipped(&'static str),
    /// It was refused, or not sent. An error that is [`temporary`](crate::Retry::After) is tried again later; any other one waits for a
    /// change of the record. Nothing was written, or the error's [`delivery`](crate::Error::delivery) says so.
    Failed(Error),
    /// It is being worked on; ask with `handle` after `after` ([`outcomes`](crate::IntegrationSync::outcomes)).
    Pending {
        /// What to ask with.
        handle: Box<str>,
        /// How long to wait.
        after: Duration,
    },
    /// It may or may not be there.
    Unknown,
}

impl PushOutcome {
    /// The record was made under this key.
    #[must_use]
    pub fn created(id: impl Into<RecordId>) -> Self {
        Self::Accepted { id: id.into(), version: None, effect: Effect::Created }
    }

    /// The record under this key was changed.
    #[must_use]
    pub fn updated(id: impl Into<RecordId>) -> Self {
        Self::Accepted { id: id.into(), version: None, effect: Effect::Updated }
    }

    /// The record under this key is gone.
    #[must_use]
    pub fn deleted(id: impl Into<RecordId>) -> Self {
        Self::Accepted { id: id.into(), version: None, effect: Effect::Deleted }
    }

    /// The outcome of a single item whose call failed: unknown when it may have arrived, refused otherwise.
    #[must_use]
    pub fn of(error: Error) -> Self {
        if error.delivery() == crate::Delivery::Unknown { Self::Unknown } else { Self::Failed(error) }
    }
}

/// What a look for an item found whose answer was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, so far: a request that is still on its way may arrive yet.
    Nothing,
    /// What was sent, and it alone: by its marker, or by its key and all its fields. For a delete: it is still there.
    Sent {
        /// Under this key.
        id: RecordId,
        /// In this version, where the service has versions.
        version: Option<Box<str>>,
    },
    /// A record with its key but not, or not surely, with its fields.
    Other {
        /// Under this key.
        id: RecordId,
        /// In this version, where the service has versions.
        version: Option<Box<str>>,
    },
    /// So many that look like it; somebody has to decide.
    Several(u32),
    /// The service offers no way to tell.
    CannotTell,
}

//! Writing: batches out, one outcome per item back.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{Error, Marker, Operation, RecordId, StreamName};

/// Whether an item may already have been written by an attempt whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// No attempt left before.
    Never,
    /// One may have arrived: look for the marker or key first, write only when it is not there.
    Unknown,
}

/// How a push treats rows the service knows or does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode {
    /// Write both.
    Upsert,
    /// Write only new ones.
    Insert,
    /// Write only known ones.
    Update,
    /// Make the service's rows equal to ours, deletes included.
    Mirror,
}

/// One record to write.
#[derive(Clone, Debug)]
pub struct PushItem {
    /// The same over all attempts; committed before a write leaves that cannot be repeated.
    pub marker: Marker,
    /// The service's key, when it is known.
    pub id: Option<RecordId>,
    /// Write or remove.
    pub operation: Operation,
    /// The fields, a JSON object.
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
    /// How known and new ones are treated.
    pub mode: PushMode,
    /// The records.
    pub items: Arc<[PushItem]>,
}

/// What became of one item.
#[derive(Debug)]
pub enum PushOutcome {
    /// It is there.
    Accepted {
        /// Under this key.
        id: RecordId,
        /// In this version, where the service has versions.
        version: Option<Box<str>>,
    },
    /// It was there already.
    Unchanged,
    /// It was left out, and why.
    Skipped(&'static str),
    /// It was refused.
    Failed(Error),
    /// It is being worked on; ask with `handle` after `after`.
    Pending {
        /// What to ask with.
        handle: Box<str>,
        /// How long to wait.
        after: Duration,
    },
    /// It may or may not be there.
    Unknown,
}

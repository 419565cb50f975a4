//! The pull: lanes fetch ahead, a committer groups what they bring and commits it with its cursors, a sweep deletes what a complete
//! scan proved gone.

mod columns;
mod committer;
mod course;
mod lane;
mod run;
mod underway;

use std::{sync::Arc, time::Duration};

use sync_core::{PartitionId, StreamName, mapping::Mapping};

pub(crate) use self::{
    course::{entity_of, find_stream},
    run::{Job, Looked, pull, too_many},
};

/// What to read, and how.
///
/// ```
/// # use sync_engine::Pull;
/// let movies = Pull::stream("Movies").key(["Title"]).full();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Pull {
    pub(crate) stream: StreamName,
    pub(crate) mapping: Option<Arc<Mapping>>,
    pub(crate) key: Vec<Box<str>>,
    pub(crate) partitions: Option<Vec<PartitionId>>,
    pub(crate) full: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) lineage: bool,
    pub(crate) confirm_deletes: bool,
    pub(crate) look_back: Option<Duration>,
    pub(crate) safety_lag: Duration,
    pub(crate) lanes: Option<usize>,
    pub(crate) group: Group,
    pub(crate) triggered_by: Option<Box<str>>,
    pub(crate) forced: bool,
}

/// Lets one overwrite fields that are not a source's to write. It is minted by [`Syncline::force_overwrite`](crate::Syncline::force_overwrite)
/// alone: no request, file or setting can be read as one.
#[derive(Clone, Debug)]
pub struct ForceOverwrite(pub(crate) Box<str>);

/// When a group of pages is committed: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

impl Pull {
    /// Reads a stream into the managed table `<provider>_<stream>`.
    pub fn stream(stream: impl Into<StreamName>) -> Self {
        Self {
            stream: stream.into(),
            mapping: None,
            key: Vec::new(),
            partitions: None,
            full: false,
            limit: None,
            lineage: true,
            confirm_deletes: false,
            look_back: None,
            safety_lag: Duration::from_secs(120),
            lanes: None,
            group: Group { rows: 2_000, bytes: 4 << 20, age: Duration::from_secs(1) },
            triggered_by: None,
            forced: false,
        }
    }

    /// Reads the mapping's stream into the mapping's table.
    pub fn mapped(mapping: impl Into<Arc<Mapping>>) -> Self {
        let mapping = mapping.into();
        Self { mapping: Some(Arc::clone(&mapping)), ..Self::stream(mapping.stream.clone()) }
    }

    /// The key columns, for streams without keys of their own (sheets).
    pub fn key<C: Into<Box<str>>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Only these partitions.
    pub fn partitions<P: Into<PartitionId>>(mut self, partitions: impl IntoIterator<Item = P>) -> Self {
        self.partitions = Some(partitions.into_iter().map(Into::into).collect());
        self
    }

    /// Reads everything, whatever was read before; rows a complete scan does not show are deleted.
    pub fn full(mut self) -> Self {
        self.full = true;
        self
    }

    /// Reads at most so many records of each partition. Such a run moves no cursor and deletes nothing.
    pub fn limit(mut self, records: u64) -> Self {
        self.limit = Some(records);
        self
    }

    /// Keeps no lineage for this run's changes.
    pub fn without_lineage(mut self) -> Self {
        self.lineage = false;
        self
    }

    /// Lets a complete scan delete more than a fifth of the known rows.
    pub fn confirm_deletes(mut self) -> Self {
        self.confirm_deletes = true;
        self
    }

    /// How far before the cursor to read again; the provider's own choice by default.
    pub fn look_back(mut self, span: Duration) -> Self {
        self.look_back = Some(span);
        self
    }

    /// How far before now an incremental read ends, so that records whose writing takes a while are not passed over; two minutes by
    /// default.
    pub fn safety_lag(mut self, span: Duration) -> Self {
        self.safety_lag = span;
        self
    }

    /// How many partitions are fetched side by side; the provider's own choice by default.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = Some(lanes.max(1));
        self
    }

    /// Commits after so many rows, unless 4 MiB or a second come first; 2,000 by default.
    pub fn commit_rows(mut self, rows: usize) -> Self {
        self.group.rows = rows.max(1);
        self
    }

    /// Writes what the source says whatever it is for a field and whoever set it; derived fields stay as they are. Only a capability that the
    /// host has minted lets it, and the run is in the name of whom it was minted for.
    pub fn force_overwrite(mut self, capability: &ForceOverwrite) -> Self {
        self.forced = true;
        self.triggered_by = Some(capability.0.clone());
        self
    }

    /// Who asked for it, for the record; by default who the workspace [acts](crate::Workspace::acting) for, or `manual`.
    pub fn triggered_by(mut self, who: impl Into<Box<str>>) -> Self {
        self.triggered_by = Some(who.into());
        self
    }
}

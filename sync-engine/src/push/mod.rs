//! The push: rows are compared with what the service has accepted, and what differs is written down as an intent before it leaves.
//! Lanes send batches and store each outcome at once; what was not confirmed is looked for and never sent again blindly.

mod batch;
mod calm;
mod courier;
mod feeder;
mod found;
mod item;
mod journal;
mod leftover;
mod mirror;
#[cfg(test)]
mod model;
mod next;
mod pages;
mod plan;
mod planned;
mod prepare;
mod record;
mod rows;
mod run;
mod select;
mod settle;
mod source;
mod survey;
mod there;
mod unconfirmed;

use std::{sync::Arc, time::Duration};

use sync_core::{PushMode, StreamName, mapping::Mapping};

pub(crate) use self::{
    planned::{apply, plan},
    run::push,
    source::all_pages,
    unconfirmed::resolve,
};
pub use self::{
    record::PushRecord,
    source::{RecordSource, SourcePage},
    unconfirmed::{Resolution, Unconfirmed},
};

/// What to write to a service, and how.
///
/// ```
/// # use serde_json::json;
/// # use sync_core::PushMode;
/// # use sync_engine::{Push, PushRecord};
/// let films = Push::records("Movies", [json!({ "Title": "Alien", "Year": 1979 })]).key(["Title"]);
/// let gone = Push::records("contacts", [PushRecord::delete("c-17")]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Push {
    pub(crate) stream: StreamName,
    pub(crate) what: What,
    pub(crate) keys: Option<Vec<Box<str>>>,
    pub(crate) key: Vec<Box<str>>,
    pub(crate) mode: PushMode,
    pub(crate) confirm_deletes: bool,
    pub(crate) accept_shape: bool,
    pub(crate) all: bool,
    pub(crate) look: bool,
    pub(crate) patience: Duration,
    pub(crate) lanes: Option<usize>,
    pub(crate) triggered_by: Option<Box<str>>,
}

/// Where the rows of a push come from.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// They were handed over.
    Records(Arc<[PushRecord]>),
    /// A table, through a mapping backwards.
    Mapped(Arc<Mapping>),
    /// The host's own source, by the name of a table.
    Source(Box<str>),
    /// Writes that failed, as they were sent; of a mapping's feed, or of the stream's own.
    Failed(Option<Arc<Mapping>>),
}

impl Push {
    fn new(stream: StreamName, what: What) -> Self {
        Self {
            stream,
            what,
            keys: None,
            key: Vec::new(),
            mode: PushMode::Upsert,
            confirm_deletes: false,
            accept_shape: false,
            all: false,
            look: false,
            patience: Duration::from_secs(240),
            lanes: None,
            triggered_by: None,
        }
    }

    /// Writes these records to a stream; fields are the stream's own. Of two records with one key the last one counts.
    pub fn records<R: Into<PushRecord>>(stream: impl Into<StreamName>, records: impl IntoIterator<Item = R>) -> Self {
        Self::new(stream.into(), What::Records(records.into_iter().map(Into::into).collect()))
    }

    /// Writes the rows of the mapping's table that changed since the service accepted them, through the mapping backwards.
    pub fn mapped(mapping: impl Into<Arc<Mapping>>) -> Self {
        let mapping = mapping.into();
        Self::new(mapping.stream.clone(), What::Mapped(mapping))
    }

    /// Writes the rows the host's [`RecordSource`] answers for a table.
    pub fn source(stream: impl Into<StreamName>, table: impl Into<Box<str>>) -> Self {
        Self::new(stream.into(), What::Source(table.into()))
    }

    /// Sends writes to a stream that failed once more, the refused ones too, as they were sent.
    pub fn failed(stream: impl Into<StreamName>) -> Self {
        Self::new(stream.into(), What::Failed(None))
    }

    /// Sends writes through a mapping that failed once more, the refused ones too, as they were sent.
    pub fn failed_of(mapping: impl Into<Arc<Mapping>>) -> Self {
        let mapping = mapping.into();
        Self::new(mapping.stream.clone(), What::Failed(Some(mapping)))
    }

    /// Only the rows with these keys.
    pub fn keys<K: Into<Box<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// The key columns, for streams without keys of their own (sheets), and for records that come without one.
    pub fn key<C: Into<Box<str>>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// How known and new records are treated; both are written by default.
    ///
    /// [`Mirror`](PushMode::Mirror) deletes at the service what is not among the rows: it reads the whole stream first, and refuses
    /// to begin when that read is not complete or more than a fifth of the records there would go.
    pub fn mode(mut self, mode: PushMode) -> Self {
        self.mode = mode;
        self
    }

    /// Lets a mirror delete more than a fifth of the records there.
    pub fn confirm_deletes(mut self) -> Self {
        self.confirm_deletes = true;
        self
    }

    /// Goes on although the fields of the stream are no longer those of the last push, and remembers the new ones.
    pub fn accept_shape(mut self) -> Self {
        self.accept_shape = true;
        self
    }

    /// Sends unchanged rows too.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// When it is planned: reads the stream too, so that the plan tells what each write replaces, and applying refuses what has changed
    /// at the service since. Mirrors always do.
    pub fn look(mut self) -> Self {
        self.look = true;
        self
    }

    /// How long the run waits for writes whose answer was lost, or that the service is working on: at its end, and where nothing else may
    /// be sent as long as a lost one may still arrive; four minutes by default. What is not settled by then is counted as unsettled, and the next push goes on with it.
    pub fn patience(mut self, span: Duration) -> Self {
        self.patience = span;
        self
    }

    /// How many batches are under way side by side; the provider's own choice by default, and never more.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = Some(lanes.max(1));
        self
    }

    /// Who asked for it, for the record; by default who the workspace [acts](crate::Workspace::acting) for, or `manual`.
    pub fn triggered_by(mut self, who: impl Into<Box<str>>) -> Self {
        self.triggered_by = Some(who.into());
        self
    }
}

//! The rows of a push, page by page, wherever they come from.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use sync_core::{
    Error, RecordFailure, Result, Target, WorkspaceId,
    mapping::CompiledMapping,
    store::{ChangedQuery, Feed, WorkspaceStore},
};

use super::{
    PushRecord, RecordSource,
    rows::{Form, Page, object},
    source::circle,
};

/// Rows looked at together.
pub(crate) const PAGE: usize = 1_000;

/// Where rows come from.
#[derive(Debug)]
pub(crate) enum Pages {
    /// The host's records, the last of each key.
    Records {
        records: Arc<[PushRecord]>,
        keys: Vec<Option<Box<str>>>,
        last: HashMap<Box<str>, usize>,
        only: Option<HashSet<Box<str>>>,
        at: usize,
    },
    /// A table, through a mapping backwards.
    Mapped(Box<Rows>),
    /// The host's source.
    Source {
        source: Arc<dyn RecordSource>,
        workspace: WorkspaceId,
        table: Box<str>,
        only: Option<HashSet<Box<str>>>,
        seen: Seen,
        after: Option<Box<str>>,
        ended: bool,
    },
}

/// The rows of a table.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) store: Arc<dyn WorkspaceStore>,
    pub(crate) feed: Feed,
    pub(crate) mapping: Arc<CompiledMapping>,
    pub(crate) target: Arc<Target>,
    /// These alone, in pieces; of the piece under way nothing was read yet when `after` is `None`.
    pub(crate) keys: Option<Vec<Vec<Box<str>>>>,
    /// Unchanged ones too.
    pub(crate) all: bool,
    /// From this version on.
    pub(crate) since: Option<Box<str>>,
    pub(crate) after: Option<Box<str>>,
    pub(crate) ended: bool,
    /// Leave no trace.
    pub(crate) trial: bool,
}

/// Keys that came, as hashes.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u64>, RandomState);

impl Pages {
    /// The records that were handed over.
    pub(crate) fn records(records: Arc<[PushRecord]>, form: &Form, only: Option<&[Box<str>]>) -> Self {
        let keys: Vec<Option<Box<str>>> = records.iter().map(|record| form.key_of(record)).collect();
        let last = keys.iter().enumerate().filter_map(|(at, key)| Some((key.clone()?, at))).collect();
        Self::Records { records, keys, last, only: only.map(|keys| keys.iter().cloned().collect()), at: 0 }
    }

    /// The next page; `None` at the end.
    pub(crate) async fn next(&mut self, form: &Form) -> Result<Option<Page>> {
        match self {
            Self::Records { records, keys, last, only, at } => {
                let end = (*at + PAGE).min(records.len());
                if *at == end {
                    return Ok(None);
                }
                let mut twice = Vec::new();
                let mut chosen = Vec::new();
                for n in *at..end {
                    match &keys[n] {
                        Some(key) if only.as_ref().is_some_and(|only| !only.contains(key)) => {}
                        Some(key) if last.get(key).is_some_and(|last| *last != n) => twice.push(key.clone()),
                        key => chosen.push((&records[n], key.clone(), Some(n as u64 + 1))),
                    }
                }
                *at = end;
                let mut page = form.records(chosen.into_iter())?;
                twice.iter().for_each(|key| page.aside.skip(key, "another record with this key comes later and counts"));
                Ok(Some(page))
            }
            Self::Mapped(rows) => rows.next(form).await,
            Self::Source { ended: true, .. } => Ok(None),
            Self::Source { source, workspace, table, only, seen, after, ended } => {
                let answer = source.app_contacts(workspace, table, after.as_deref()).await?;
                if answer.after.is_some() && answer.after == *after {
                    return Err(circle());
                }
                *ended = answer.after.is_none();
                *after = answer.after;
                let keys: Vec<Option<Box<str>>> = answer.records.iter().map(|record| form.key_of(record)).collect();
                let last: HashMap<&str, usize> = keys.iter().enumerate().filter_map(|(at, key)| Some((key.as_deref()?, at))).collect();
                let (mut twice, mut chosen) = (Vec::new(), Vec::new());
                for (n, record) in answer.records.iter().enumerate() {
                    match keys[n].as_deref() {
                        Some(key) if only.as_ref().is_some_and(|only| !only.contains(key)) => {}
                        Some(key) if last[key] != n => twice.push((key, "another record with this key comes later and counts")),
                        Some(key) if !seen.first(key) => twice.push((key, "a record with this key came in an earlier page and counts")),
                        key => chosen.push((record, key.map(Into::into), None)),
                    }
                }
                let mut page = form.records(chosen.into_iter())?;
                twice.into_iter().for_each(|(key, reason)| page.aside.skip(key, reason));
                Ok(Some(page))
            }
        }
    }
}

impl Seen {
    /// Whether a key comes for the first time.
    pub(crate) fn first(&mut self, key: &str) -> bool {
        self.0.insert(self.1.hash_one(key))
    }
}

impl Rows {
    async fn next(&mut self, form: &Form) -> Result<Option<Page>> {
        if self.ended {
            return Ok(None);
        }
        let keys = match &self.keys {
            Some(pieces) => match pieces.last() {
                Some(piece) => Some(piece.clone()),
                None => return Ok(None),
            },
            None => None,
        };
        let first = self.after.is_none();
        let query = ChangedQuery {
            feed: self.feed.clone(),
            target: Arc::clone(&self.target),
            keys,
            since: self.since.clone(),
            all: self.all,
            after: self.after.take(),
            limit: PAGE as u32,
            trial: self.trial,
        };
        let found = self.store.changed_rows(query).await?;
        self.after = found.after;
        if self.after.is_none() {
            match &mut self.keys {
                Some(pieces) => _ = pieces.pop(),
                None => self.ended = true,
            }
        }
        let rows = found.batch.records();
        if rows.len() != found.links.len() || rows.len() != found.hashes.len() {
            let text = format!("{} rows came with {} links and {} hashes", rows.len(), found.links.len(), found.hashes.len());
            return Err(Error::new(sync_core::ErrorKind::Internal, "changed_rows", text));
        }
        let mapped = self.mapping.back(&found.batch);
        let mut page = Page::default();
        page.aside.unchanged(found.unchanged);
        if first {
            found
                .missing
                .iter()
                .for_each(|key| page.aside.fail(RecordFailure::error("there is no row with this key").of_record(key.clone())));
        }
        page.aside.counts.read += mapped.failed + mapped.skipped;
        page.aside.counts.failed += mapped.failed;
        page.aside.counts.skipped += mapped.skipped;
        page.aside.failures.extend(mapped.failures);
        let mut made = mapped.batch.records().iter().peekable();
        let mut links = Vec::with_capacity(rows.len());
        for (n, row) in rows.iter().enumerate() {
            let link = &found.links[n];
            let id = || link.as_ref().and_then(|link| link.id.clone());
            let Some(record) = made.next_if(|record| record.id == row.id) else {
                page.unreadable.push(id());
                continue;
            };
            match form.row(&mapped.batch, record, row.id.as_str(), object(&mapped.batch, record), found.hashes[n]) {
                Ok(row) => {
                    page.rows.push(row);
                    links.push(link.clone());
                }
                Err(failure) => {
                    page.unreadable.push(id());
                    page.aside.fail(failure);
                }
            }
        }
        page.links = Some(links);
        Ok(Some(page))
    }
}

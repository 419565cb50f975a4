//! Groups what the lanes bring, over pages and partitions, and commits it with its cursors.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sync_core::{
    Counts, Error, ErrorKind, PartitionId, RecordFailure, RecordId, Result, Target,
    store::{CommitReport, CursorMove, Feed, Fence, PageCommit, PartitionBatch, WorkspaceStore},
};
use tokio::sync::mpsc;

use super::{
    Group,
    lane::{Arrival, Fetched},
    underway::Underway,
};
use crate::{SyncEvent, syncline::Engine};

/// Writes one run's pages.
#[derive(Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) sink: Sink<'a>,
    pub(crate) engine: &'a Engine,
    pub(crate) fence: Fence,
    pub(crate) feed: Feed,
    pub(crate) target: Arc<Target>,
    /// The lanes' partitions, in their order.
    pub(crate) partitions: Vec<PartitionId>,
    /// The scans the lanes begin with, in the same order.
    pub(crate) scans: Vec<Option<u64>>,
    pub(crate) group: Group,
}

/// Where groups of pages go.
#[derive(Debug)]
pub(crate) enum Sink<'a> {
    /// Into the store.
    Store(&'a dyn WorkspaceStore),
    /// Into memory, for a plan.
    Keep(&'a Kept),
}

impl Sink<'_> {
    fn commits_at_once(&self) -> usize {
        match self {
            Self::Store(store) => store.commits_at_once(),
            Self::Keep(_) => 1,
        }
    }

    async fn commit(&self, commit: PageCommit) -> Result<CommitReport> {
        match self {
            Self::Store(store) => store.commit(commit).await,
            Self::Keep(kept) => kept.keep(commit),
        }
    }
}

/// The most that a plan holds in memory, in bytes.
const KEPT_AT_MOST: usize = 512 << 20;

/// Commits that are kept, to be tried out together.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<(usize, Vec<PageCommit>)>);

impl Kept {
    fn keep(&self, commit: PageCommit) -> Result<CommitReport> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += commit.batches.iter().map(|part| part.batch.weight()).sum::<usize>();
        if kept.0 > KEPT_AT_MOST {
            let text = format!(
                "this plan would hold more than {} MiB of records; plan a part of them, with a limit or by partitions",
                KEPT_AT_MOST >> 20
            );
            return Err(Error::config("plan", text));
        }
        // Nothing is written, so nothing changes.
        let rows = commit.batches.iter().map(|part| part.batch.len() as u64).sum();
        let mut counts = Counts { read: rows, unchanged: rows, ..Counts::default() };
        counts.add(&commit.before);
        kept.1.push(commit);
        Ok(CommitReport { counts, ..CommitReport::default() })
    }

    pub(crate) fn into_commits(self) -> Vec<PageCommit> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// How the lanes ended.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) counts: Counts,
    /// Lanes whose scan showed everything there is, with its number.
    pub(crate) complete: Vec<(PartitionId, u64)>,
    /// Lanes that could not be read to their end.
    pub(crate) failed: Vec<Error>,
    pub(crate) done: u64,
}

/// Pages that are committed together. Incremental pages and those of one scan are never mixed: a commit belongs to one scan at most.
#[derive(Debug, Default)]
struct Pending {
    batches: Vec<PartitionBatch>,
    failures: Vec<RecordFailure>,
    before: Counts,
    cursors: Vec<CursorMove>,
    rows: usize,
    bytes: usize,
    since: Option<DateTime<Utc>>,
}

/// What a commit did, and how long it took.
#[derive(Debug)]
struct Written {
    counts: Counts,
    rows: u64,
    took: Duration,
}

impl Committer<'_> {
    /// Commits until all lanes are closed, or one of them fails in a way that stops the run. What arrived before is committed even then.
    /// While commits are under way the next group is gathered, up to its size. After a commit that failed no other is begun, and those
    /// that had begun are waited for.
    pub(crate) async fn run(&self, mut arrivals: mpsc::Receiver<Arrival>) -> Result<Lanes> {
        let mut lanes = Lanes::default();
        let mut underway = Underway::new(self.sink.commits_at_once());
        let ended = self.take(&mut arrivals, &mut lanes, &mut underway).await;
        drop(arrivals);
        if ended.is_err() {
            underway.end().await;
        }
        ended.map(|()| lanes)
    }

    async fn take<'a>(
        &'a self,
        arrivals: &mut mpsc::Receiver<Arrival>,
        lanes: &mut Lanes,
        underway: &mut Underway<'a, Written>,
    ) -> Result<()> {
        let mut pending: BTreeMap<Option<u64>, Pending> = BTreeMap::new();
        let mut scans = self.scans.clone();
        let mut fatal = None;
        loop {
            let oldest = pending.values().filter_map(|group| group.since).min();
            let arrival = tokio::select! {
                biased;
                Some(written) = underway.next() => {
                    self.written(written?, lanes);
                    continue;
                }
                arrival = arrivals.recv() => arrival,
                () = self.due(oldest), if oldest.is_some() && !underway.full() => {
                    self.hand_over_all(&mut pending, lanes, underway).await?;
                    continue;
                }
            };
            match arrival {
                None => break,
                Some(Arrival::Page(page)) => {
                    let scan = page.scan;
                    if std::mem::replace(&mut scans[page.lane], scan) != scan {
                        // The lane began anew: what it brought before is written before.
                        self.hand_over_all(&mut pending, lanes, underway).await?;
                    }
                    let group = pending.entry(scan).or_default();
                    self.add(group, *page);
                    if group.rows >= self.group.rows || group.bytes >= self.group.bytes {
                        let group = std::mem::take(group);
                        self.hand_over(scan, group, lanes, underway).await?;
                    }
                }
                Some(Arrival::Done { lane, complete }) => {
                    lanes.done += 1;
                    if let (true, Some(scan)) = (complete, scans[lane]) {
                        lanes.complete.push((self.partitions[lane].clone(), scan));
                    }
                }
                Some(Arrival::Failed { lane, error }) => {
                    let event = SyncEvent::PartitionFailed {
                        run: self.fence.run,
                        partition: self.partitions[lane].clone(),
                        error: error.to_string().into(),
                    };
                    self.engine.emit(event);
                    if stops_run(error.kind()) {
                        fatal = Some(error);
                        break;
                    }
                    tracing::warn!(partition = %self.partitions[lane], %error, "a partition could not be read; the others go on");
                    lanes.failed.push(error);
                }
            }
        }
        // Nobody is to fetch what nobody will take.
        arrivals.close();
        self.hand_over_all(&mut pending, lanes, underway).await?;
        while let Some(written) = underway.next().await {
            self.written(written?, lanes);
        }
        fatal.map_or(Ok(()), Err)
    }

    /// Waits until a group that was begun at `since` is old enough.
    async fn due(&self, since: Option<DateTime<Utc>>) {
        let clock = &self.engine.shared.clock;
        let age = since.and_then(|since| (clock.now() - since).to_std().ok()).unwrap_or_default();
        clock.sleep(self.group.age.saturating_sub(age)).await;
    }

    fn add(&self, group: &mut Pending, page: Fetched) {
        group.since.get_or_insert_with(|| self.engine.shared.clock.now());
        group.rows += page.batch.len();
        group.bytes += page.batch.weight();
        group.before.add(&page.before);
        // What was refused or dropped is there all the same, and no scan may take it for gone.
        let present: Vec<RecordId> = page.failures.iter().filter_map(|failure| failure.record.as_deref().map(RecordId::from)).collect();
        group.failures.extend(page.failures);
        let partition = &self.partitions[page.lane];
        if page.moves {
            let position = CursorMove { partition: partition.clone(), cursor: page.cursor, page: page.page, scan: page.scan.unwrap_or(0) };
            match group.cursors.iter_mut().find(|known| known.partition == *partition) {
                Some(known) => *known = CursorMove { cursor: position.cursor.clone().or(known.cursor.take()), ..position },
                None => group.cursors.push(position),
            }
        }
        if !page.batch.is_empty() || !present.is_empty() {
            group.batches.push(PartitionBatch { partition: partition.clone(), batch: page.batch, present });
        }
    }

    async fn hand_over_all<'a>(
        &'a self,
        pending: &mut BTreeMap<Option<u64>, Pending>,
        lanes: &mut Lanes,
        underway: &mut Underway<'a, Written>,
    ) -> Result<()> {
        for (scan, group) in std::mem::take(pending) {
            self.hand_over(scan, group, lanes, underway).await?;
        }
        Ok(())
    }

    /// Waits until the storage takes another commit, and gives it this one.
    async fn hand_over<'a>(
        &'a self,
        scan: Option<u64>,
        group: Pending,
        lanes: &mut Lanes,
        underway: &mut Underway<'a, Written>,
    ) -> Result<()> {
        if group.since.is_none() {
            return Ok(());
        }
        while underway.full()
            && let Some(written) = underway.next().await
        {
            self.written(written?, lanes);
        }
        underway.push(self.commit(scan, group, lanes.done).boxed());
        Ok(())
    }

    async fn commit(&self, scan: Option<u64>, group: Pending, done: u64) -> Result<Written> {
        let handed: u64 = group.rows as u64 + group.before.read;
        let event = serde_json::json!({
            "type": "sync-progress", "run": self.fence.run, "records": handed, "partitions_done": done, "partitions": self.partitions.len(),
        });
        let clock = &self.engine.shared.clock;
        let started = clock.now();
        let report = self
            .sink
            .commit(PageCommit {
                expects: None,
                fence: self.fence,
                feed: self.feed.clone(),
                target: Arc::clone(&self.target),
                batches: group.batches,
                failures: group.failures,
                before: group.before,
                scan,
                cursors: group.cursors,
                events: vec![event.to_string().into()],
                at: started,
            })
            .await?;
        if report.counts.read != handed || !report.counts.balanced() {
            let text = format!("the storage was handed {handed} records and accounts for {:?}", report.counts);
            return Err(Error::new(ErrorKind::Internal, "commit", text));
        }
        Ok(Written { counts: report.counts, rows: handed, took: (clock.now() - started).to_std().unwrap_or_default() })
    }

    /// Takes the answer of the oldest commit.
    fn written(&self, written: Written, lanes: &mut Lanes) {
        lanes.counts.add(&written.counts);
        metrics::histogram!("syncline_commit_seconds").record(written.took.as_secs_f64());
        tracing::debug!(run = %self.fence.run, rows = written.rows, took_ms = written.took.as_millis() as u64, "committed");
        self.engine.emit(SyncEvent::SyncProgress {
            run: self.fence.run,
            counts: lanes.counts,
            partitions_done: lanes.done,
            partitions: self.partitions.len() as u64,
        });
        self.engine.crash_points.at("p12");
    }
}

/// Whether an error of one partition would meet all others too.
fn stops_run(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Invalid
            | ErrorKind::Decode
            | ErrorKind::Transport
            | ErrorKind::Unsupported
            | ErrorKind::CursorExpired
    )
}

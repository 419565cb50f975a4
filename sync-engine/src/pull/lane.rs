//! One partition, page by page.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sync_core::{
    Counts, Cursor, Error, ErrorKind, Field, IntegrationSync, Next, PageToken, PullPage, PullRequest, RecordBatch, RecordFailure, Result,
    Severity, StreamName, SyncContext, TokenLife,
    mapping::{CompiledMapping, HeaderFingerprint},
    policy::LoopGuard,
};
use tokio::sync::mpsc;

use super::{columns::Columns, course::LaneCourse};
use crate::{connection::CALL_DEADLINE, crash::CrashPoints};

/// What lanes need to know, the same for all.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) provider: Arc<dyn IntegrationSync>,
    pub(crate) cx: SyncContext,
    pub(crate) stream: StreamName,
    pub(crate) key: Arc<[Box<str>]>,
    /// Until when increments are read; a read of everything ends now, so that it misses nothing that is known.
    pub(crate) until: DateTime<Utc>,
    pub(crate) look_back: Duration,
    pub(crate) limit: Option<u64>,
    pub(crate) mapping: Option<Arc<CompiledMapping>>,
    pub(crate) fields: Arc<[Field]>,
    /// Whether the stream told its fields before reading; otherwise the first page has to show those the mapping needs.
    pub(crate) fields_declared: bool,
    /// The header at the last look.
    pub(crate) last: Option<HeaderFingerprint>,
    /// Where lanes take down what they see.
    pub(crate) columns: Arc<Columns>,
    /// The number of a scan that begins anew.
    pub(crate) anew: u64,
    pub(crate) crash_points: CrashPoints,
}

/// What a lane tells the committer.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A page, ready to be written.
    Page(Box<Fetched>),
    /// The partition is read to its end.
    Done { lane: usize, complete: bool },
    /// The partition cannot be read.
    Failed { lane: usize, error: Error },
}

/// A page on its way to the committer.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) lane: usize,
    pub(crate) scan: Option<u64>,
    pub(crate) batch: RecordBatch,
    pub(crate) failures: Vec<RecordFailure>,
    /// What never reached the batch.
    pub(crate) before: Counts,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) page: Option<(PageToken, DateTime<Utc>)>,
    /// Whether positions may be stored.
    pub(crate) moves: bool,
}

impl Fetch {
    /// Reads one partition to its end. Errors travel as arrivals; the lane ends when nobody listens.
    pub(crate) async fn run(&self, lane: usize, course: LaneCourse, out: &mpsc::Sender<Arrival>) {
        let mut course = course;
        let mut restarted = false;
        loop {
            match self.scan(lane, &course, out).await {
                Ok(Some(complete)) => {
                    let _ = out.send(Arrival::Done { lane, complete }).await;
                    return;
                }
                Ok(None) => return,
                // The stored position is no longer accepted: everything is read once more, under a new scan.
                Err(error) if error.kind() == ErrorKind::CursorExpired && !restarted && self.limit.is_none() => {
                    tracing::warn!(partition = %course.partition.id, "the stored position has expired; reading everything again");
                    restarted = true;
                    course = LaneCourse { cursor: None, after: None, scan: Some(self.anew), ..course };
                }
                Err(error) => {
                    // The one partition of a stream without parts has no name to show.
                    let named = !course.partition.id.as_str().is_empty();
                    let error = if named { error.at("partition", course.partition.id.as_str()) } else { error };
                    let _ = out.send(Arrival::Failed { lane, error }).await;
                    return;
                }
            }
        }
    }

    /// One scan; answers whether it was complete, or `None` when nobody listens any more.
    async fn scan(&self, lane: usize, course: &LaneCourse, out: &mpsc::Sender<Arrival>) -> Result<Option<bool>> {
        let until = if course.cursor.is_none() { self.cx.services.now() } else { self.until };
        let mut request = PullRequest::new(self.stream.clone(), course.partition.clone(), until);
        request.cursor = course.cursor.clone();
        request.after = course.after.clone();
        request.key = Arc::clone(&self.key);
        request.look_back = self.look_back;
        let mut guard = LoopGuard::default();
        let mut left = self.limit;
        let mut sure = true;
        let mut checked = self.fields_declared;
        loop {
            request.limit = left;
            self.crash_points.at("p6");
            let cx = SyncContext { deadline: self.cx.services.now() + CALL_DEADLINE, ..self.cx.clone() };
            let page = self.provider.pull(&cx, &request).await?;
            self.crash_points.at("p7");
            guard.check(&page.next, usize::try_from(page.read()).unwrap_or(usize::MAX))?;
            sure &= !page.unseen;
            self.columns.page(&page);
            if let Some(mapping) = &self.mapping {
                checked |= self.check(mapping, &page, checked)?;
            }
            let next = page.next.clone();
            let read = page.read();
            let mut fetched = self.prepare(lane, course, page)?;
            // A record that failed without a key may be one we know: its absence from the batch proves nothing.
            let nameless = |failure: &RecordFailure| failure.severity == Severity::Error && failure.record.is_none();
            sure &= !fetched.failures.iter().any(nameless);
            if !sure {
                // A scan that goes on mid-way takes the pages before for shown: this one begins anew instead.
                fetched.page = None;
            }
            if out.send(Arrival::Page(Box::new(fetched))).await.is_err() {
                return Ok(None);
            }
            left = left.map(|left| left.saturating_sub(read));
            if left == Some(0) {
                return Ok(Some(false));
            }
            match next {
                Next::End { complete } => return Ok(Some(complete && sure)),
                Next::Page(token) => request.after = Some(token),
                Next::NotReady { after, token } => {
                    request.after = Some(token);
                    self.cx.services.sleep(after).await;
                }
            }
        }
    }

    /// Checks that a page has the columns the mapping needs, and none that it forbids; answers whether it showed them.
    fn check(&self, mapping: &CompiledMapping, page: &PullPage, checked: bool) -> Result<bool> {
        match &page.fields {
            // Somebody may have changed them since the stream was discovered.
            Some(fields) if *fields == self.fields && self.fields_declared => Ok(true),
            Some(fields) => mapping.check_since(self.last.as_ref(), fields).map(|()| true),
            None if self.fields_declared || page.batch.is_empty() => Ok(false),
            None if checked => mapping.check_further(&page.batch).map(|()| true),
            None => mapping.check_batch(&page.batch).map(|()| true),
        }
    }

    /// Maps a page and works out which position it reaches.
    fn prepare(&self, lane: usize, course: &LaneCourse, page: PullPage) -> Result<Fetched> {
        let failed = page.failures.iter().filter(|failure| failure.severity == Severity::Error).count() as u64;
        let mut before = Counts { read: failed + page.skipped, failed, skipped: page.skipped, ..Counts::default() };
        let mut failures = page.failures;
        let batch = match &self.mapping {
            None => page.batch,
            Some(mapping) => {
                let read = page.batch.len() as u64;
                let mapped = mapping.apply(&page.batch, page.fields.as_deref().unwrap_or(&self.fields));
                let lost = mapped.skipped + mapped.failed;
                if mapped.batch.len() as u64 + lost != read {
                    return Err(Error::new(ErrorKind::Internal, "map", "the mapping lost records"));
                }
                before.add(&Counts { read: lost, skipped: mapped.skipped, failed: mapped.failed, ..Counts::default() });
                failures.extend(mapped.failures);
                mapped.batch
            }
        };
        let token = match (&page.next, self.provider.descriptor().page_tokens) {
            (Next::Page(token) | Next::NotReady { token, .. }, TokenLife::Durable(life)) => {
                Some((token.clone(), self.cx.services.now() + life))
            }
            _ => None,
        };
        Ok(Fetched { lane, scan: course.scan, batch, failures, before, cursor: page.cursor, page: token, moves: self.limit.is_none() })
    }
}

//! Commits of one run, two at a time: their rows are written side by side, but they take effect in the order they were handed over, each
//! only if the one before it did. So a cursor never overtakes the rows it covers.
//!
//! A later commit holds locks of the database while it waits for the one before. What the one before may need of them is kept apart: it
//! has passed the making of tables and columns before the later one begins, and their rows have no key in common.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use sync_core::{
    Duplicates, Error, ErrorKind, Place, WorkspaceId,
    store::{Fence, PageCommit},
};
use tokio::sync::watch;
use twox_hash::XxHash3_64;

use crate::error::{Db, Fault};

/// How far a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It may still make tables and columns.
    Begun,
    /// It writes rows.
    Opened,
    /// It stands.
    Done,
    /// It does not, and never will.
    Failed,
}

/// The last commit of a run that was handed over.
#[derive(Debug)]
struct Last {
    step: watch::Receiver<Step>,
    keys: Arc<HashSet<u64>>,
    alone: bool,
    stored: Arc<Stored>,
    answer: Answer,
}

/// Whether the caller of a commit has its answer. Of one that failed the caller may not know yet, and hand over the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer(Arc<AtomicBool>);

impl Answer {
    /// Tells that the caller has it: whatever it hands over now it does in this knowledge.
    pub(crate) fn told(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Last {
    /// Whether a commit that comes after it has to know of it.
    fn matters(&self) -> bool {
        match *self.step.borrow() {
            Step::Begun | Step::Opened => true,
            Step::Done => false,
            Step::Failed => !self.answer.is_told(),
        }
    }
}

/// The runs whose commits are under way.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<(WorkspaceId, i64, i64), Last>>);

/// One commit's place among those of its run. Dropped before it is [`done`](Self::done), it has failed.
#[derive(Debug)]
pub(crate) struct Turn {
    before: Option<watch::Receiver<Step>>,
    /// Whether it may not write rows beside the one before.
    alone: bool,
    step: watch::Sender<Step>,
    gave_way: AtomicBool,
    stored: Arc<Stored>,
    answer: Answer,
}

/// Whether the records of a run are likely to be stored already: a first pull need not ask for each page what it knows of it. A wrong
/// guess is noticed by the write itself, and the page is asked for then.
#[derive(Debug, Default)]
pub(crate) struct Stored(AtomicU8);

impl Stored {
    const NONE: u8 = 1;
    const SOME: u8 = 2;

    /// Whether the last page that was asked for held nothing that is stored, and nothing has spoken against it in this run.
    pub(crate) fn unlikely(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::NONE
    }

    /// Tells whether anything of a page is stored. That something was, is never forgotten.
    pub(crate) fn found(&self, any: bool) {
        self.0.fetch_max(if any { Self::SOME } else { Self::NONE }, Ordering::Relaxed);
    }
}

impl Turns {
    /// Takes the next place. The order of these calls is the order of the commits.
    pub(crate) fn take(&self, workspace: &WorkspaceId, fence: Fence, commit: &PageCommit) -> Turn {
        let ids = commit.batches.iter().flat_map(|part| part.batch.records().iter().map(|record| &record.id).chain(&part.present));
        let keys: Arc<HashSet<u64>> = Arc::new(ids.map(|id| XxHash3_64::oneshot(id.as_str().as_bytes())).collect());
        // What a scan has shown before is not told until it is committed, and mapped rows may meet in one entity.
        let single = commit.target.place != Place::Stream || commit.target.duplicates == Duplicates::FirstWins;
        let (step, steps) = watch::channel(Step::Begun);
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let run = (workspace.clone(), fence.run.0, fence.token);
        let stored = runs.get(&run).map(|last| Arc::clone(&last.stored)).unwrap_or_default();
        runs.retain(|_, last| last.matters());
        let answer = Answer::default();
        let last = Last { step: steps, keys: Arc::clone(&keys), alone: single, stored: Arc::clone(&stored), answer: answer.clone() };
        let before = runs.insert(run, last);
        let alone = single || before.as_ref().is_some_and(|before| before.alone || !before.keys.is_disjoint(&keys));
        Turn { before: before.map(|before| before.step), alone, step, gave_way: AtomicBool::new(false), stored, answer }
    }
}

impl Turn {
    /// Whether the caller has the answer.
    pub(crate) fn answer(&self) -> Answer {
        self.answer.clone()
    }

    /// What the run's commits found stored so far.
    pub(crate) fn stored(&self) -> &Arc<Stored> {
        &self.stored
    }

    /// Waits until this commit may begin. To be called again when it [gave way](Self::gave_way).
    pub(crate) async fn begin(&self) -> Db<()> {
        self.gave_way.store(false, Ordering::Relaxed);
        let far_enough = |step: Step| if self.alone { step == Step::Done } else { step != Step::Begun };
        self.wait(|step| far_enough(step) || step == Step::Failed).await?;
        Ok(())
    }

    /// Whether it may begin still: the one before may have been begun anew since.
    pub(crate) fn check(&self) -> Db<()> {
        match &self.before {
            Some(before) => self.judge(*before.borrow()),
            None => Ok(()),
        }
    }

    /// Tells that the transaction was rolled back, before it is begun anew: whoever is beside it gives way.
    pub(crate) fn again(&self) {
        self.step.send_replace(Step::Begun);
    }

    /// Whether it was rolled back for the one before, to be begun after it.
    pub(crate) fn gave_way(&self) -> bool {
        self.gave_way.load(Ordering::Relaxed)
    }

    /// Tells that no table or column is going to be made any more.
    pub(crate) fn opened(&self) {
        self.step.send_replace(Step::Opened);
    }

    /// Waits until everything before stands.
    pub(crate) async fn last(&self) -> Db<()> {
        self.wait(|step| step != Step::Opened).await
    }

    /// Tells that it stands.
    pub(crate) fn done(&self) {
        self.step.send_replace(Step::Done);
    }

    async fn wait(&self, until: impl Fn(Step) -> bool) -> Db<()> {
        let Some(before) = &self.before else { return Ok(()) };
        // Its end is told even when it is dropped.
        let step = before.clone().wait_for(|step| until(*step)).await.map_or(Step::Failed, |step| *step);
        self.judge(step)
    }

    fn judge(&self, before: Step) -> Db<()> {
        match before {
            Step::Failed => {
                let text = "the commit before it failed, and this one would have covered what that one did not write";
                Err(Error::new(ErrorKind::Storage, "commit", text).into())
            }
            // The one before was begun anew while this one held locks that it may need: this one gives them back and begins anew too.
            Step::Begun => {
                self.gave_way.store(true, Ordering::Relaxed);
                Err(Fault::Again)
            }
            Step::Opened | Step::Done => Ok(()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.step.send_if_modified(|step| {
            let failed = *step != Step::Done;
            if failed {
                *step = Step::Failed;
            }
            failed
        });
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sync_core::{Counts, RunId, Source, Target, store::Feed};

    use super::*;

    fn target() -> Target {
        Target {
            mode: Default::default(),
            entity: "x_s".into(),
            place: Place::Stream,
            fields: Arc::from([]),
            rules: Arc::default(),
            duplicates: Duplicates::LastWins,
            lineage: true,
            source: Arc::new(Source { kind: "api".into(), id: "acc/stream".into(), ..Source::default() }),
            pushes: Arc::default(),
        }
    }

    fn page(fence: Fence) -> PageCommit {
        PageCommit {
            expects: None,
            fence,
            feed: Feed { connection: "c1".into(), stream: "s".into(), mapping: "".into() },
            target: Arc::new(target()),
            batches: Vec::new(),
            failures: Vec::new(),
            before: Counts::default(),
            scan: None,
            cursors: Vec::new(),
            events: Vec::new(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn nothing_of_a_run_goes_on_until_the_caller_knows_of_a_failure() {
        let (turns, workspace, fence) = (Turns::default(), WorkspaceId::from("acme"), Fence { run: RunId(1), token: 7 });
        let take = |fence| turns.take(&workspace, fence, &page(fence));
        let first = take(fence);
        let answer = first.answer();
        drop(first);
        let second = take(fence);
        assert!(second.begin().await.is_err(), "its cursor would cover what the first one did not write");
        answer.told();
        let untold = second.answer();
        drop(second);
        let third = take(fence);
        assert!(third.begin().await.is_err(), "nor may one behind the second");
        let others = take(Fence { token: 8, ..fence });
        assert!(others.begin().await.is_ok(), "another claim of the run is not touched");
        let answers = [untold, third.answer()];
        drop((third, others));
        answers.iter().for_each(Answer::told);
        assert!(take(fence).begin().await.is_ok(), "who hands over another one, knowing, may");
    }

    #[tokio::test]
    async fn what_stands_is_not_remembered() {
        let (turns, workspace, fence) = (Turns::default(), WorkspaceId::from("acme"), Fence { run: RunId(1), token: 7 });
        let first = turns.take(&workspace, fence, &page(fence));
        first.done();
        drop(first);
        assert!(turns.take(&workspace, fence, &page(fence)).before.is_none());
    }
}

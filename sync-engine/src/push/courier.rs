//! Sends batches: an intent is durable before its write leaves, and its outcome as soon as it is known.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sync_core::{
    Counts, Delivery, Error, ErrorKind, IntegrationSync, PushBatch, PushItem, PushLimits, PushMode, PushOutcome, Result, StreamName,
    SyncContext,
    store::{Feed, Fence, Intent, IntentState, PushCommit, PushMemory, Settled, WorkspaceStore},
};
use tokio::sync::{
    Mutex as AsyncMutex, Notify,
    mpsc::{self, error::TryRecvError},
};

use super::{
    batch::halves,
    item::Item,
    journal::{Verdict, answered, held_up, stops_run, unknown},
    next::Terms,
    planned::Screen,
    rows::{Aside, named},
};
use crate::{SyncEvent, connection::CALL_DEADLINE, run::Shield, syncline::Engine};

/// What goes with one call: its items, all begun in one mode, and what is written down of rows beside them.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) items: Vec<Item>,
    pub(crate) aside: Aside,
}

/// What all lanes of a run share.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) store: Arc<dyn WorkspaceStore>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) provider: Arc<dyn IntegrationSync>,
    pub(crate) cx: SyncContext,
    pub(crate) fence: Fence,
    pub(crate) feed: Feed,
    pub(crate) stream: StreamName,
    pub(crate) key: Arc<[Box<str>]>,
    /// The run's own; writes that were begun earlier keep theirs.
    pub(crate) mode: PushMode,
    pub(crate) limits: PushLimits,
    pub(crate) lanes: usize,
    pub(crate) terms: Terms,
    /// How long to wait for lost answers.
    pub(crate) patience: Duration,
    pub(crate) shield: Shield,
    /// When a plan is applied: nothing else is sent.
    pub(crate) screen: Option<Arc<Screen>>,
    pub(crate) halted: AtomicBool,
    /// Wakes who waits when the run is stopped.
    pub(crate) alarm: Notify,
    pub(crate) state: Mutex<State>,
}

/// What changes while a run goes on.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) counts: Counts,
    /// What would meet every other item too.
    fatal: Option<Error>,
    /// When progress was stored last.
    told: Option<DateTime<Utc>>,
}

/// Stops the lanes when the run stops: a call under way goes on to its end, nothing more is sent.
#[derive(Debug)]
pub(crate) struct Halt(pub(crate) Arc<Courier>);

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.halt();
    }
}

/// What is not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Done {
    aside: Aside,
    /// By the keys of the rows.
    outcomes: Vec<(Box<str>, &'static str)>,
}

impl Done {
    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.aside.counts.add(&verdict.counts);
        self.aside.failures.extend(verdict.failure);
        self.outcomes.push((verdict.settled.key().into(), verdict.outcome));
        self.aside.settled.push(verdict.settled);
    }

    /// This is written down beside the items.
    pub(crate) fn beside(aside: Aside) -> Self {
        Self { aside, ..Self::default() }
    }

    /// So many writes stay open.
    pub(crate) fn unsettled(many: u64) -> Self {
        let counts = Counts { read: many, unsettled: many, ..Counts::default() };
        Self { aside: Aside { counts, ..Aside::default() }, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.aside.is_empty()
    }

    /// Puts back what was written down of items that never left.
    fn release(&mut self, items: Vec<Item>) {
        self.aside.settled.extend(items.into_iter().map(|item| match item.before {
            Some(before) => Settled::Open(Box::new(before)),
            None => Settled::Dropped { key: item.intent.key },
        }));
    }
}

impl Courier {
    /// Sends what `feed` hands over, in lanes that go on when the run is stopped until what they have sent is written down.
    pub(crate) async fn send<F>(self: &Arc<Self>, feed: impl FnOnce(mpsc::Sender<Parcel>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        let (out, inbox) = mpsc::channel(self.lanes);
        let inbox = Arc::new(AsyncMutex::new(inbox));
        let lane = |_| {
            let (courier, inbox) = (Arc::clone(self), Arc::clone(&inbox));
            self.shield.spawn(async move { courier.lane(&inbox).await })
        };
        let lanes: Vec<_> = (0..self.lanes).map(lane).collect();
        drop(inbox);
        let fed = feed(out).await;
        let mut ended = Ok(());
        for lane in lanes {
            let lane = lane.await.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, "push", "a lane ended early").because(e)));
            ended = ended.and(lane);
        }
        ended.and(fed).and_then(|()| self.fatal().map_or(Ok(()), Err))
    }

    /// Sends one batch after the other. The intents of the next one are written down together with the outcomes of the last.
    async fn lane(self: &Arc<Self>, inbox: &AsyncMutex<mpsc::Receiver<Parcel>>) -> Result<()> {
        let mut done = Done::default();
        let mut split: Vec<Vec<Item>> = Vec::new();
        loop {
            let next = match split.pop() {
                None if self.halted() => None,
                None => self.next(inbox, &mut done).await?,
                half => half,
            };
            let Some(mut items) = next else { break };
            let calm = if self.halted() { Ok(false) } else { self.calm(&mut done).await };
            match calm {
                Ok(true) => {}
                Ok(false) => {
                    done.release(items);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.stop(error);
                    done.release(items);
                    continue;
                }
                Err(error) => {
                    self.halt();
                    return Err(error);
                }
            }
            let now = self.cx.services.now();
            for item in &mut items {
                item.intent = self.leaving(&item.intent, now);
            }
            let begun = items.iter().map(|item| item.intent.clone()).collect();
            if let Err(error) = self.commit(begun, &mut done, None).await {
                self.halt();
                return Err(error);
            }
            self.engine.crash_points.at("w1");
            if self.halted() {
                done.release(items);
                continue;
            }
            let answer = self.call(&items).await;
            self.engine.crash_points.at("w4");
            if items.iter().any(Item::known) {
                self.engine.crash_points.at("w9");
            }
            self.judge(items, answer, &mut done, &mut split);
        }
        if done.is_empty() {
            return Ok(());
        }
        self.commit(Vec::new(), &mut done, None).await
    }

    /// The next items to send. What is done is written down first, unless they are at hand.
    async fn next(&self, inbox: &AsyncMutex<mpsc::Receiver<Parcel>>, done: &mut Done) -> Result<Option<Vec<Item>>> {
        loop {
            let at_hand = match inbox.try_lock() {
                Ok(mut inbox) => inbox.try_recv(),
                Err(_) => Err(TryRecvError::Empty),
            };
            let parcel = match at_hand {
                Ok(parcel) => parcel,
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {
                    if !done.is_empty() {
                        self.commit(Vec::new(), done, None).await?;
                    }
                    let Some(parcel) = inbox.lock().await.recv().await else { return Ok(None) };
                    parcel
                }
            };
            done.aside.absorb(parcel.aside);
            if !parcel.items.is_empty() {
                return Ok(Some(parcel.items));
            }
        }
    }

    fn leaving(&self, intent: &Intent, now: DateTime<Utc>) -> Intent {
        Intent {
            state: IntentState::Sending,
            attempts: intent.attempts + 1,
            sent_at: now,
            looks: 0,
            looked_at: None,
            next_at: None,
            handle: None,
            run: self.fence.run,
            ..intent.clone()
        }
    }

    async fn call(&self, items: &[Item]) -> Result<Vec<PushOutcome>> {
        let mode = items.first().map_or(self.mode, |item| item.intent.mode);
        let batch = self.batch(mode, items.iter().map(Item::sent).collect());
        let started = self.cx.services.now();
        let cx = self.fresh();
        let answer = AssertUnwindSafe(self.provider.push(&cx, &batch)).catch_unwind().await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Internal, "push", "the provider panicked").with_delivery(Delivery::Unknown);
            Err(error.at("provider", self.provider.descriptor().name))
        });
        let took = (self.cx.services.now() - started).to_std().unwrap_or_default();
        metrics::histogram!("syncline_push_seconds", "provider" => self.provider.descriptor().name).record(took.as_secs_f64());
        answer
    }

    pub(crate) fn batch(&self, mode: PushMode, items: Arc<[PushItem]>) -> PushBatch {
        PushBatch { stream: self.stream.clone(), key: Arc::clone(&self.key), mode, items }
    }

    /// The run's context with the time one call may take.
    pub(crate) fn fresh(&self) -> SyncContext {
        SyncContext { deadline: self.cx.services.now() + CALL_DEADLINE, ..self.cx.clone() }
    }

    /// What becomes of the items of one call.
    fn judge(&self, mut items: Vec<Item>, answer: Result<Vec<PushOutcome>>, done: &mut Done, split: &mut Vec<Vec<Item>>) {
        let now = self.cx.services.now();
        match answer {
            Ok(outcomes) if outcomes.len() == items.len() => {
                for (item, outcome) in items.into_iter().zip(outcomes) {
                    if let PushOutcome::Failed(error) = &outcome
                        && stops_run(error.kind())
                    {
                        self.stop(again(error));
                    }
                    done.add(answered(item.intent, outcome, now));
                }
            }
            Ok(outcomes) => {
                let text = format!("the provider answered {} outcomes for {} items, so that none is known", outcomes.len(), items.len());
                let error = Error::new(ErrorKind::Decode, "push", text).with_delivery(Delivery::Unknown);
                tracing::error!(provider = self.provider.descriptor().name, %error, "its items count as unknown");
                items.into_iter().for_each(|item| done.add(unknown(item.intent, Some(sync_core::RunError::new(&error)), now)));
            }
            Err(error) if error.delivery() == Delivery::Unknown => {
                tracing::warn!(%error, items = items.len(), "an answer was lost; what was sent is looked for");
                items.into_iter().for_each(|item| done.add(unknown(item.intent, Some(sync_core::RunError::new(&error)), now)));
            }
            Err(error) if error.kind() == ErrorKind::Invalid && items.len() > 1 => {
                tracing::debug!(%error, items = items.len(), "the batch was refused as a whole; it is split");
                // Nothing was written: each half is its first attempt.
                items.iter_mut().for_each(|item| item.intent.attempts = item.intent.attempts.saturating_sub(1));
                let (first, second) = halves(items);
                split.extend([second, first]);
            }
            Err(error) if error.kind() == ErrorKind::Invalid => {
                let refused = |item: Item| answered(item.intent, PushOutcome::Failed(again(&error)), now);
                items.into_iter().map(refused).for_each(|verdict| done.add(verdict));
            }
            Err(error) => {
                items.into_iter().for_each(|item| done.add(held_up(item.intent, &error, now)));
                self.stop(error);
            }
        }
    }

    /// Writes down what is done and what is about to leave.
    pub(crate) async fn commit(&self, begun: Vec<Intent>, done: &mut Done, memory: Option<PushMemory>) -> Result<()> {
        let Done { aside, outcomes } = std::mem::take(done);
        let now = self.cx.services.now();
        let counts = aside.counts;
        debug_assert!(counts.balanced(), "{counts:?}");
        let events = {
            let mut state = self.state();
            let due = state.told.is_none_or(|told| (now - told).num_seconds() >= 1) && counts.read > 0;
            if due {
                state.told = Some(now);
            }
            let event =
                || serde_json::json!({ "type": "sync-progress", "run": self.fence.run, "records": state.counts.read + counts.read });
            due.then(|| event().to_string().into()).into_iter().collect()
        };
        let commit = PushCommit {
            fence: self.fence,
            feed: self.feed.clone(),
            begun,
            settled: aside.settled,
            counts,
            failures: named(aside.failures),
            events,
            memory,
            at: now,
        };
        self.store.journal(commit).await?;
        let counts = {
            let mut state = self.state();
            state.counts.add(&counts);
            state.counts
        };
        for (key, outcome) in outcomes {
            if let Some(screen) = &self.screen {
                screen.answered(&key, outcome);
            }
            metrics::counter!("syncline_push_items_total", "provider" => self.provider.descriptor().name, "outcome" => outcome)
                .increment(1);
        }
        self.engine.emit(SyncEvent::SyncProgress { run: self.fence.run, counts, partitions_done: 0, partitions: 1 });
        Ok(())
    }

    /// Counts what stays open once the work is done, however it ended.
    pub(crate) async fn counted<T>(&self, worked: Result<T>) -> Result<T> {
        let unsettled = self.unsettled().await;
        if let Ok(many) = unsettled
            && many > 0
        {
            let counted = self.commit(Vec::new(), &mut Done::unsettled(many), None).await;
            if worked.is_ok() {
                counted?;
            }
        }
        let worked = worked?;
        unsettled.map(|_| worked)
    }

    /// No more is sent, for this reason.
    fn stop(&self, error: Error) {
        self.halt();
        self.state().fatal.get_or_insert(error);
    }

    fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        self.alarm.notify_waiters();
    }

    /// Ends when the run is stopped.
    pub(crate) async fn stopped(&self) {
        loop {
            let alarm = self.alarm.notified();
            if self.halted() {
                return;
            }
            alarm.await;
        }
    }

    pub(crate) fn halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    fn fatal(&self) -> Option<Error> {
        self.state().fatal.take()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same error for another place; its cause stays with the first.
fn again(error: &Error) -> Error {
    let same = Error::new(error.kind(), error.operation(), error.text().to_owned());
    let same = same.with_retry(error.retry()).with_delivery(error.delivery());
    error.context().iter().fold(same, |same, (what, which)| same.at(what, which.clone()))
}

//! Settles writes that were not confirmed: asks for those the service works on, looks for those whose answer was lost.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sync_core::{
    Earlier, Error, ErrorKind, Result, RunError,
    store::{Feed, Intent, IntentFilter, IntentState, Settled},
};

use super::{
    batch::Batcher,
    courier::{Courier, Done, Parcel},
    found::{Looked, Standing, looked, not_now},
    item::{Item, item_of},
    journal::{answered, interrupted, later, open, stops_run},
    next::{Next, next, repeatable},
};
use crate::{SyncEvent, connection::CALL_DEADLINE};

/// Intents read together.
const PAGE: u32 = 200;

/// Where a feed's open writes stand after each was seen to once.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// When the first of them is due again.
    pub(crate) due: Option<DateTime<Utc>>,
    /// How many are due some time.
    pub(crate) waiting: u64,
    /// Why some could not be looked for.
    pub(crate) errors: Vec<RunError>,
}

impl Courier {
    /// Sees to every write that is open, once. `first` is the first time in this run; without `resend` what has to be sent again stays.
    pub(crate) async fn round(self: &Arc<Self>, first: bool, resend: bool) -> Result<Round> {
        let mut round = Round::default();
        let mut after: Option<(Feed, Box<str>)> = None;
        loop {
            let states = vec![IntentState::Sending, IntentState::Unknown, IntentState::Pending];
            let filter = IntentFilter { feed: Some(self.feed.clone()), states, after, limit: PAGE, ..IntentFilter::default() };
            let found = self.store.intents(filter).await?;
            after = found.last().map(|(feed, intent)| (feed.clone(), intent.key.clone()));
            let full = found.len() as u32 >= PAGE;
            self.see_to(found.into_iter().map(|(_, intent)| intent).collect(), first, resend, &mut round).await?;
            if !full || self.halted() {
                return Ok(round);
            }
        }
    }

    /// Waits for open writes and settles them, for at most `patience`.
    pub(crate) async fn settle(self: &Arc<Self>, patience: Duration) -> Result<Vec<RunError>> {
        let until = later(self.cx.services.now(), patience);
        loop {
            let round = self.round(false, true).await?;
            let now = self.cx.services.now();
            match round.due {
                Some(due) if due <= until && !round.errors.iter().any(|error| stops_run(error.kind)) => {
                    if due > now {
                        tracing::info!(run = %self.fence.run, items = round.waiting, until = %due, "waiting for lost answers");
                        self.engine.emit(SyncEvent::SyncWaiting { run: self.fence.run, items: round.waiting, until: due });
                        self.cx.services.sleep((due - now).to_std().unwrap_or_default()).await;
                    }
                }
                _ => return Ok(round.errors),
            }
        }
    }

    /// How many writes of the feed are open and not failed.
    pub(crate) async fn unsettled(&self) -> Result<u64> {
        let (mut many, mut after) = (0, None);
        loop {
            let states = vec![IntentState::Sending, IntentState::Unknown, IntentState::Pending, IntentState::Conflict];
            let filter = IntentFilter { feed: Some(self.feed.clone()), states, after, limit: PAGE, ..IntentFilter::default() };
            let found = self.store.intents(filter).await?;
            many += found.iter().filter(|(_, intent)| self.screen.as_ref().is_none_or(|screen| screen.lets(intent))).count() as u64;
            after = found.last().map(|(feed, intent)| (feed.clone(), intent.key.clone()));
            if (found.len() as u32) < PAGE {
                return Ok(many);
            }
        }
    }

    async fn see_to(self: &Arc<Self>, intents: Vec<Intent>, first: bool, resend: bool, round: &mut Round) -> Result<()> {
        if intents.is_empty() {
            return Ok(());
        }
        let now = self.cx.services.now();
        let mut done = Done::default();
        let mut open_ones = Vec::with_capacity(intents.len());
        for intent in intents {
            if intent.state == IntentState::Sending {
                // From when on it counts as lost is written down, so that waiting for it comes to an end.
                let lost = interrupted(intent, CALL_DEADLINE, now);
                done.add(open(lost.clone()));
                open_ones.push(lost);
            } else {
                open_ones.push(intent);
            }
        }
        let keys: Vec<Box<str>> = open_ones.iter().map(|intent| intent.key.clone()).collect();
        let links = self.store.push_links(&self.feed, &keys).await?;
        let (mut ask, mut look, mut send) = (Vec::new(), Vec::new(), Vec::new());
        for (intent, link) in open_ones.into_iter().zip(links) {
            match next(&intent, link.as_ref(), &self.terms, first, now) {
                Next::Ask => ask.push(intent),
                Next::Look => {
                    let linked = link.as_ref().is_some_and(|link| link.id.is_some());
                    look.push((Standing { repeatable: repeatable(&intent, link.as_ref(), &self.terms), linked }, intent));
                }
                Next::Send => send.push(intent),
                Next::Wait(due) => round.wait(due),
                Next::Rest => {}
            }
        }
        self.flush(&mut done).await?;
        self.ask(ask, &mut done, round).await;
        self.flush(&mut done).await?;
        self.look(look, &mut done, &mut send, round).await;
        self.flush(&mut done).await?;
        if let Some(screen) = &self.screen {
            send.retain(|intent| screen.lets(intent));
        }
        if send.is_empty() || !resend {
            return Ok(());
        }
        self.resend(send).await?;
        round.wait(self.cx.services.now());
        Ok(())
    }

    /// Sends writes again that surely did not arrive, or that cannot be doubled.
    async fn resend(self: &Arc<Self>, intents: Vec<Intent>) -> Result<()> {
        let mut batcher = Batcher::new(self.limits.items, self.limits.bytes);
        let mut batches: Vec<Vec<Item>> = Vec::new();
        for intent in intents {
            batches.extend(batcher.add(Item::again(intent.clone(), lost(&intent))));
        }
        batches.extend(batcher.rest());
        self.send(|out| async move {
            for items in batches {
                if out.send(Parcel { items, ..Parcel::default() }).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    async fn ask(&self, intents: Vec<Intent>, done: &mut Done, round: &mut Round) {
        let mut rest = intents.into_iter().peekable();
        while rest.peek().is_some() {
            let asked: Vec<Intent> = rest.by_ref().take(self.limits.items.max(1)).collect();
            let handles: Vec<Box<str>> = asked.iter().filter_map(|intent| intent.handle.clone()).collect();
            let answer = self.provider.outcomes(&self.fresh(), &self.stream, &handles).await;
            let now = self.cx.services.now();
            match same_length(answer, asked.len(), "outcomes") {
                Ok(outcomes) => {
                    for (intent, outcome) in asked.into_iter().zip(outcomes) {
                        let verdict = answered(intent, outcome, now);
                        round.seen(&verdict.settled);
                        done.add(verdict);
                    }
                }
                Err(error) => self.put_off(asked, &error, done, round),
            }
        }
    }

    async fn look(&self, mut intents: Vec<(Standing, Intent)>, done: &mut Done, send: &mut Vec<Intent>, round: &mut Round) {
        intents.sort_by_key(|(_, intent)| intent.mode.as_str());
        let mut rest = intents.into_iter().peekable();
        while let Some(mode) = rest.peek().map(|(_, intent)| intent.mode) {
            let most = self.limits.items.max(1);
            let next = || rest.next_if(|(_, intent)| intent.mode == mode);
            let sought: Vec<(Standing, Intent)> = std::iter::from_fn(next).take(most).collect();
            self.engine.crash_points.at("w7");
            let batch = self.batch(mode, sought.iter().map(|(_, intent)| item_of(intent, lost(intent))).collect());
            let answer = self.provider.find(&self.fresh(), &batch).await;
            self.engine.crash_points.at("w8");
            let now = self.cx.services.now();
            match same_length(answer, sought.len(), "find") {
                Ok(found) => {
                    for ((standing, intent), found) in sought.into_iter().zip(found) {
                        match looked(intent, found, standing, &self.terms.settle, now) {
                            Looked::Verdict(verdict) => {
                                round.seen(&verdict.settled);
                                done.add(*verdict);
                            }
                            Looked::Send(intent) => send.push(*intent),
                        }
                    }
                }
                Err(error) => self.put_off(sought.into_iter().map(|(_, intent)| intent).collect(), &error, done, round),
            }
        }
    }

    fn put_off(&self, intents: Vec<Intent>, error: &Error, done: &mut Done, round: &mut Round) {
        tracing::warn!(%error, items = intents.len(), "could not look for writes whose answer was lost");
        round.errors.push(RunError::new(error));
        let now = self.cx.services.now();
        for intent in intents {
            let verdict = not_now(intent, error, &self.terms.settle, now);
            round.seen(&verdict.settled);
            done.add(verdict);
        }
    }

    async fn flush(&self, done: &mut Done) -> Result<()> {
        if done.is_empty() { Ok(()) } else { self.commit(Vec::new(), done, None).await }
    }
}

impl Round {
    fn wait(&mut self, due: DateTime<Utc>) {
        self.waiting += 1;
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    fn seen(&mut self, settled: &Settled) {
        if let Settled::Open(intent) = settled
            && let Some(due) = intent.next_at.filter(|_| intent.state != IntentState::Failed)
        {
            self.wait(due);
        }
    }
}

/// An attempt whose answer was lost. What is stored is when it was lost, at most a call's time after it left.
fn lost(intent: &Intent) -> Earlier {
    let call = chrono::Duration::from_std(CALL_DEADLINE).unwrap_or_default();
    Earlier::Unknown { since: intent.sent_at - call }
}

fn same_length<T>(answer: Result<Vec<T>>, asked: usize, operation: &'static str) -> Result<Vec<T>> {
    let answer = answer?;
    if answer.len() == asked {
        return Ok(answer);
    }
    Err(Error::new(ErrorKind::Decode, operation, format!("the provider answered {} for {asked} items", answer.len())))
}

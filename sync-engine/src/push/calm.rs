//! Writes by position need quiet: where one writer moves what another was made for, a lost request is a second writer as long as it may
//! still arrive, and nothing else is sent until then.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sync_core::{
    Error, ErrorKind, Result, Retry,
    store::{IntentFilter, IntentState},
};

use super::{
    courier::{Courier, Done},
    journal::later,
    settle::Round,
};
use crate::{SyncEvent, connection::CALL_DEADLINE};

/// Intents read together.
const PAGE: u32 = 500;

impl Courier {
    /// Waits until no lost write of the connection may still arrive; those of this feed are looked for meanwhile. Answers whether anything
    /// may be sent.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the run's patience is over before.
    pub(crate) async fn calm(self: &Arc<Self>, done: &mut Done) -> Result<bool> {
        if !self.limits.one_writer {
            return Ok(true);
        }
        if !done.is_empty() {
            self.commit(Vec::new(), done, None).await?;
        }
        let patience = later(self.cx.services.now(), self.patience);
        loop {
            let now = self.cx.services.now();
            if self.in_doubt(now).await?.is_none() {
                return Ok(true);
            }
            let round = Arc::clone(self).look_round().await?;
            let Some((until, items)) = self.in_doubt(now).await? else { return Ok(true) };
            if until > patience {
                let clock = until.format("%T UTC");
                let text = format!(
                    "a write whose answer was lost may still arrive, until {clock}, where rows would have moved; nothing more is sent until then"
                );
                let wait = (until - now).to_std().ok();
                return Err(Error::new(ErrorKind::Conflict, "push", text).with_retry(Retry::After(wait)));
            }
            let wake = round.due.filter(|due| *due > now).map_or(until, |due| due.min(until));
            self.engine.emit(SyncEvent::SyncWaiting { run: self.fence.run, items, until: wake });
            let left = (wake - self.cx.services.now()).to_std().unwrap_or_default();
            tokio::select! {
                () = self.cx.services.sleep(left) => {}
                () = self.stopped() => return Ok(false),
            }
        }
    }

    /// Until when writes of the connection may still arrive whose answers were lost, and how many these are.
    async fn in_doubt(&self, now: DateTime<Utc>) -> Result<Option<(DateTime<Utc>, u64)>> {
        let (mut until, mut items, mut after) = (None, 0, None);
        loop {
            let filter = IntentFilter {
                connection: Some(self.feed.connection.clone()),
                states: vec![IntentState::Sending, IntentState::Unknown],
                after,
                limit: PAGE,
                ..IntentFilter::default()
            };
            let found = self.store.intents(filter).await?;
            let full = found.len() as u32 >= PAGE;
            after = found.last().map(|(feed, intent)| (feed.clone(), intent.key.clone()));
            for (_, intent) in found {
                // What a run that is gone was about to send may have left any time up to the end of its call.
                let sent =
                    if intent.state == IntentState::Sending { later(intent.sent_at, CALL_DEADLINE).min(now) } else { intent.sent_at };
                let settled = self.terms.settle.settled_at(sent);
                if settled > now {
                    items += 1;
                    until = until.max(Some(settled));
                }
            }
            if !full {
                return Ok(until.map(|until| (until, items)));
            }
        }
    }

    /// A round that looks and asks, and sends nothing.
    fn look_round(self: Arc<Self>) -> BoxFuture<'static, Result<Round>> {
        Box::pin(async move { self.round(false, false).await })
    }
}

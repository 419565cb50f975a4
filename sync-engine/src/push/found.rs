//! What becomes of an intent whose answer was lost when the service was looked at. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sync_core::{
    Effect, Error, ErrorKind, Found, Operation, PushMode, RunError,
    policy::{Settle, SettlePolicy},
    store::{Intent, IntentState},
};

use super::journal::{Verdict, accepted, later, open, skipped};

/// What a look led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Looked {
    /// This is written down.
    Verdict(Box<Verdict>),
    /// It may be sent again, as it is now.
    Send(Box<Intent>),
}

/// What a look for an item is judged by, beside its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// It is sent again once the first request can no longer arrive, whether it was found or not.
    pub(crate) repeatable: bool,
    /// The service confirmed the record before, so that what is found is a change of it.
    pub(crate) linked: bool,
}

/// The look for one item has an answer.
pub(crate) fn looked(intent: Intent, found: Found, standing: Standing, policy: &SettlePolicy, now: DateTime<Utc>) -> Looked {
    let delete = intent.operation == Operation::Delete;
    match found {
        // What a delete was for is reached, whoever did it.
        Found::Nothing if delete => verdict(accepted(intent, None, None, Effect::Deleted)),
        Found::Nothing => empty(intent, policy, now),
        Found::Sent { .. } | Found::Other { .. } if delete => empty(intent, policy, now),
        Found::Sent { id, version } => {
            let effect = if standing.linked { Effect::Updated } else { Effect::Created };
            verdict(accepted(intent, Some(id), version, effect))
        }
        // The first request may still arrive, and would stand beside the record or undo its update.
        Found::Other { .. } if now < policy.settled_at(intent.sent_at) => {
            let next_at = Some(policy.settled_at(intent.sent_at));
            verdict(open(Intent { looks: 0, looked_at: None, next_at, ..intent }))
        }
        Found::Other { .. } if intent.mode == PushMode::Insert => verdict(skipped(intent, "a record with this key is there already")),
        Found::Other { id, version } => Looked::Send(Box::new(Intent { id: Some(id), version, ..intent })),
        Found::Several(many) => {
            let text = format!("{many} records at the service look like it; say which one it is, or have it sent again");
            let error = RunError::new(&Error::new(ErrorKind::Conflict, "find", text));
            verdict(open(Intent { state: IntentState::Conflict, next_at: None, error: Some(error), ..intent }))
        }
        Found::CannotTell if standing.repeatable => {
            let next_at = Some(policy.settled_at(intent.sent_at));
            verdict(open(Intent { looks: intent.looks + 1, looked_at: Some(now), next_at, ..intent }))
        }
        Found::CannotTell => {
            let text = "the answer was lost, and the service offers no way to look whether the write arrived; say so yourself";
            let error = RunError::new(&Error::new(ErrorKind::Unsupported, "find", text));
            verdict(open(Intent { next_at: None, error: Some(error), ..intent }))
        }
    }
}

/// The look found nothing, or what a delete should have removed.
fn empty(intent: Intent, policy: &SettlePolicy, now: DateTime<Utc>) -> Looked {
    let intent = Intent { looks: intent.looks + 1, looked_at: Some(now), ..intent };
    match policy.next(intent.sent_at, Some((intent.looks, now)), now) {
        Settle::Write => Looked::Send(Box::new(intent)),
        Settle::Wait(due) => verdict(open(Intent { next_at: Some(due), ..intent })),
        Settle::Look => verdict(open(Intent { next_at: Some(now), ..intent })),
    }
}

/// Nobody could look, or ask: tried again after a while, or as long as the error asks.
pub(crate) fn not_now(intent: Intent, error: &Error, policy: &SettlePolicy, now: DateTime<Utc>) -> Verdict {
    let asked = match error.retry() {
        sync_core::Retry::After(asked) => asked.unwrap_or_default(),
        _ => Duration::ZERO,
    };
    open(Intent { next_at: Some(later(now, policy.between_looks.max(asked))), error: Some(RunError::new(error)), ..intent })
}

fn verdict(verdict: Verdict) -> Looked {
    Looked::Verdict(Box::new(verdict))
}

//! What becomes of an intent when the service has answered, or has not. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sync_core::{
    Counts, Delivery, Effect, Error, ErrorKind, Operation, PushOutcome, RecordFailure, RecordId, Retry, RunError,
    policy::RetryPolicy,
    store::{Intent, IntentState, PushLink, Settled},
};

/// What is written down of one item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) settled: Settled,
    /// What the run's counts grow by: nothing as long as the item is not settled.
    pub(crate) counts: Counts,
    pub(crate) failure: Option<RecordFailure>,
    /// For the metrics.
    pub(crate) outcome: &'static str,
}

/// Waits before a write that failed for a while is tried again by a later run.
const LATER: RetryPolicy = RetryPolicy {
    max_retries: u32::MAX,
    base_delay: Duration::from_secs(60),
    multiplier: 2.0,
    max_delay: Duration::from_secs(3600),
    deadline: Duration::MAX,
};

/// The shortest wait before the service is asked again for what it is working on.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The service has answered for one item.
pub(crate) fn answered(intent: Intent, outcome: PushOutcome, now: DateTime<Utc>) -> Verdict {
    match outcome {
        PushOutcome::Accepted { id, version, effect } => accepted(intent, Some(id), version, effect),
        PushOutcome::Unchanged => {
            let settled = match intent.operation {
                Operation::Upsert => accepted_as(&intent, intent.id.clone(), intent.version.clone()),
                Operation::Delete => Settled::Deleted { key: intent.key },
            };
            Verdict { settled, counts: Counts { read: 1, unchanged: 1, ..Counts::default() }, failure: None, outcome: "unchanged" }
        }
        PushOutcome::Skipped(reason) => skipped(intent, reason),
        // Something was written that no look by key or marker finds; a repeat would be a second one.
        PushOutcome::Failed(error) if error.delivery() == Delivery::Unknown && error.kind() == ErrorKind::Conflict => {
            open(Intent { state: IntentState::Conflict, next_at: None, handle: None, error: Some(RunError::new(&error)), ..intent })
        }
        PushOutcome::Failed(error) if error.delivery() == Delivery::Unknown => unknown(intent, Some(RunError::new(&error)), now),
        PushOutcome::Failed(error) => failed(intent, &error, now),
        PushOutcome::Pending { handle, after } => open(Intent {
            state: IntentState::Pending,
            handle: Some(handle),
            next_at: Some(later(now, after.max(ASK_AGAIN))),
            error: None,
            ..intent
        }),
        PushOutcome::Unknown => unknown(intent, None, now),
    }
}

/// It is at the service as asked for.
pub(crate) fn accepted(intent: Intent, id: Option<RecordId>, version: Option<Box<str>>, effect: Effect) -> Verdict {
    let one = |counts: Counts| Counts { read: 1, ..counts };
    let gone = intent.operation == Operation::Delete || effect == Effect::Deleted;
    let (counts, outcome) = match effect {
        _ if gone => (one(Counts { deleted: 1, ..Counts::default() }), "deleted"),
        Effect::Created => (one(Counts { created: 1, ..Counts::default() }), "created"),
        Effect::Updated | Effect::Deleted => (one(Counts { updated: 1, ..Counts::default() }), "updated"),
    };
    let settled = if gone { Settled::Deleted { key: intent.key } } else { accepted_as(&intent, id, version) };
    Verdict { settled, counts, failure: None, outcome }
}

fn accepted_as(intent: &Intent, id: Option<RecordId>, version: Option<Box<str>>) -> Settled {
    Settled::Accepted { key: intent.key.clone(), link: PushLink { id, hash: Some(intent.hash), version } }
}

/// It was left out, and why.
pub(crate) fn skipped(intent: Intent, reason: &str) -> Verdict {
    Verdict {
        counts: Counts { read: 1, skipped: 1, ..Counts::default() },
        failure: Some(RecordFailure::warning(reason).of_record(intent.key.clone())),
        settled: Settled::Dropped { key: intent.key },
        outcome: "skipped",
    }
}

/// It was refused, or did not get through: tried again later, or once it has changed.
pub(crate) fn failed(intent: Intent, error: &Error, now: DateTime<Utc>) -> Verdict {
    let asked = match error.retry() {
        Retry::After(asked) => asked,
        Retry::Never | Retry::GaveUp(_) => None,
    };
    let next_at = temporary(error).then(|| later(now, LATER.backoff(intent.attempts.saturating_sub(1)).max(asked.unwrap_or_default())));
    Verdict {
        counts: Counts { read: 1, failed: 1, ..Counts::default() },
        failure: Some(RecordFailure::error(error.text()).of_record(intent.key.clone())),
        settled: Settled::Open(Box::new(Intent {
            state: IntentState::Failed,
            next_at,
            handle: None,
            error: Some(RunError::new(error)),
            ..intent
        })),
        outcome: "failed",
    }
}

/// It never reached the service, since no call can at present.
pub(crate) fn held_up(intent: Intent, error: &Error, now: DateTime<Utc>) -> Verdict {
    let mut verdict = failed(intent, error, now);
    if let Settled::Open(intent) = &mut verdict.settled {
        intent.next_at.get_or_insert_with(|| later(now, LATER.backoff(intent.attempts.saturating_sub(1))));
    }
    verdict
}

/// It may or may not have arrived. It counts as sent just now: the call may have waited for its turn after the intent was written.
pub(crate) fn unknown(intent: Intent, error: Option<RunError>, now: DateTime<Utc>) -> Verdict {
    open(Intent {
        state: IntentState::Unknown,
        sent_at: now,
        looks: 0,
        looked_at: None,
        next_at: Some(now),
        handle: None,
        error: error.or_else(|| Some(RunError::new(&lost()))),
        ..intent
    })
}

fn lost() -> Error {
    Error::new(ErrorKind::Transport, "push", "the answer was lost; the write may have arrived").with_delivery(Delivery::Unknown)
}

/// An intent that was found as sent by a run that is gone. It may have left any time up to the end of its call.
pub(crate) fn interrupted(intent: Intent, call: Duration, now: DateTime<Utc>) -> Intent {
    let sent_at = later(intent.sent_at, call).min(now).max(intent.sent_at);
    let error = Error::new(ErrorKind::Transport, "push", "the run ended before the answer was written down; the write may have arrived");
    Intent {
        state: IntentState::Unknown,
        sent_at,
        looks: 0,
        looked_at: None,
        next_at: Some(now),
        handle: None,
        error: Some(RunError::new(&error)),
        ..intent
    }
}

/// It is kept as it is now, and not counted yet.
pub(crate) fn open(intent: Intent) -> Verdict {
    let outcome = intent.state.as_str();
    Verdict { settled: Settled::Open(Box::new(intent)), counts: Counts::default(), failure: None, outcome }
}

/// Whether a later attempt may go better although nothing has changed.
fn temporary(error: &Error) -> bool {
    let by_kind = matches!(
        error.kind(),
        ErrorKind::RateLimited | ErrorKind::CircuitOpen | ErrorKind::Transport | ErrorKind::Auth | ErrorKind::AuthRevoked
    );
    by_kind || !matches!(error.retry(), Retry::Never)
}

/// Whether an item's error would meet all others too.
pub(crate) fn stops_run(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Auth | ErrorKind::AuthRevoked | ErrorKind::RateLimited | ErrorKind::CircuitOpen)
}

/// `wait` after `now`, or the end of time.
pub(crate) fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    chrono::TimeDelta::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

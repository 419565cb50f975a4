//! What an intent that is not confirmed needs next. Pure.

use chrono::{DateTime, Utc};
use sync_core::{
    Operation,
    policy::{Settle, SettlePolicy},
    store::{Intent, IntentState, PushLink},
};

/// The rules of a feed's provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) settle: SettlePolicy,
    /// Whether writing an item a second time cannot double it.
    pub(crate) repeatable: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the service what became of it.
    Ask,
    /// Look for it.
    Look,
    /// Send it again.
    Send,
    /// Nothing before this moment.
    Wait(DateTime<Utc>),
    /// Nothing, unless somebody decides.
    Rest,
}

/// What an intent needs next. `first` is the first time a run sees it: then even those are looked for again that no look could tell of.
pub(crate) fn next(intent: &Intent, link: Option<&PushLink>, terms: &Terms, first: bool, now: DateTime<Utc>) -> Next {
    match intent.state {
        IntentState::Pending if intent.handle.is_some() => match intent.next_at {
            Some(due) if due > now => Next::Wait(due),
            _ => Next::Ask,
        },
        IntentState::Pending | IntentState::Unknown => {
            match intent.next_at {
                Some(due) if due > now => return Next::Wait(due),
                None if !first => return Next::Rest,
                _ => {}
            }
            if repeatable(intent, link, terms) {
                // Not before the first one can no longer arrive: it would undo what is written after it. Of a first attempt
                // a look may spare the wait; of later ones it may find what an earlier one wrote while the last is on its way.
                let settled = terms.settle.settled_at(intent.sent_at);
                return match intent.looked_at {
                    _ if now >= settled => Next::Send,
                    None if intent.attempts <= 1 => Next::Look,
                    _ => Next::Wait(settled),
                };
            }
            match terms.settle.next(intent.sent_at, intent.looked_at.map(|at| (intent.looks, at)), now) {
                Settle::Look => Next::Look,
                Settle::Wait(due) => Next::Wait(due),
                Settle::Write => Next::Send,
            }
        }
        IntentState::Sending | IntentState::Failed | IntentState::Conflict => Next::Rest,
    }
}

/// Whether a write may be sent again without having been looked for: nothing new can come of it.
pub(crate) fn repeatable(intent: &Intent, link: Option<&PushLink>, terms: &Terms) -> bool {
    let confirmed = link.and_then(|link| link.id.as_ref());
    terms.repeatable || (intent.operation == Operation::Upsert && confirmed.is_some() && confirmed == intent.id.as_ref())
}

//! Whether a row has to be sent. Pure.

use chrono::{DateTime, Utc};
use sync_core::{
    Operation, PushMode, RunId,
    store::{Intent, IntentState, PushLink},
};

use super::rows::Row;

/// What a run does with a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// It is as the service accepted it.
    Unchanged,
    /// It is as the service accepted it again; a write that failed in between is over.
    Reverted,
    /// An earlier write of it is not settled, and counted by itself.
    Held,
    /// The same, and the row is no longer as that write has it.
    Overtaken,
    /// This run has sent and counted it already.
    Counted,
    /// It was refused as it is, or is not due yet; for this reason.
    StillFailed(Box<str>),
    /// It is left out, and why.
    Skip(&'static str),
    /// It is sent as a write of its own.
    Send,
    /// The write that failed is sent once more.
    Retry,
}

/// What is the same for all rows of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) mode: PushMode,
    /// Whether unchanged rows are sent too.
    pub(crate) all: bool,
    pub(crate) run: RunId,
}

/// Decides about a row from what is known of it at the service and of its earlier write.
pub(crate) fn choose(row: &Row, link: Option<&PushLink>, intent: Option<&Intent>, rules: &Rules, now: DateTime<Utc>) -> Choice {
    if let Some(open) = intent.filter(|intent| intent.state != IntentState::Failed) {
        let same = open.operation == row.operation && open.hash == row.hash;
        return if same { Choice::Held } else { Choice::Overtaken };
    }
    let agreed = row.operation == Operation::Upsert && link.is_some_and(|link| link.hash == Some(row.hash));
    if agreed && !rules.all {
        return if intent.is_some() { Choice::Reverted } else { Choice::Unchanged };
    }
    if row.operation == Operation::Delete && row.id.is_none() {
        return Choice::Skip("no record of the service is known by this key, so that there is nothing to delete");
    }
    if row.operation == Operation::Upsert && rules.mode == PushMode::Insert && link.is_some_and(|link| link.id.is_some()) {
        return Choice::Skip("it is there already, and this push inserts alone");
    }
    match intent {
        Some(failed) if failed.operation == row.operation && failed.hash == row.hash && !rules.all => match failed.next_at {
            _ if failed.run == rules.run => Choice::Counted,
            Some(due) if due <= now => Choice::Retry,
            _ => Choice::StillFailed(failed.error.as_ref().map_or_else(|| "it was refused".into(), |error| error.message.clone())),
        },
        _ => Choice::Send,
    }
}

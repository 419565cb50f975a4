//! Whether a table has anything to push at all: answered by the database alone, so that a push of what did not change calls nobody.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    Counts, Place, PushMode, Result, Target,
    store::{ChangedQuery, Feed, Fence, IntentFilter, PushCommit, PushMemory},
};

use super::{Push, What, pages::PAGE};
use crate::Connection;

/// Up to where a table was pushed by its version column, and which fields that was said of.
#[derive(Debug, Deserialize, Serialize)]
struct Mark {
    fields: Vec<Box<str>>,
    since: Box<RawValue>,
}

/// What is known of a table before anybody is called.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Rows below this version were pushed as they are.
    pub(crate) since: Option<Box<str>>,
    /// What is remembered once everything from there on is accepted.
    pub(crate) reached: Option<Box<str>>,
    /// Rows that were looked at, when none of them has to be sent and no earlier write is open.
    idle: Option<u64>,
}

impl Survey {
    /// Looks at the rows of a mapped push; at all of them only if none has changed. A `trial` leaves no trace.
    pub(crate) async fn of(connection: &Connection, push: &Push, feed: &Feed, target: Option<&Arc<Target>>, trial: bool) -> Result<Self> {
        let whole = matches!(push.what, What::Mapped(_)) && push.keys.is_none() && push.mode != PushMode::Mirror && !push.all;
        let Some(target) = target.filter(|_| whole) else { return Ok(Self::default()) };
        let store = &connection.workspace.store;
        let versioned = matches!(&target.place, Place::Host(table) if table.version_column.is_some());
        let memory = if versioned { store.push_memory(feed).await? } else { PushMemory::default() };
        let mut survey = Self { since: memory.version.as_deref().and_then(|mark| since(mark, &target.pushes)), ..Self::default() };
        let open = IntentFilter { feed: Some(feed.clone()), limit: 1, ..IntentFilter::default() };
        let mut idle = store.intents(open).await?.is_empty();
        let (mut unchanged, mut after) = (0, None);
        loop {
            let found = store
                .changed_rows(ChangedQuery {
                    feed: feed.clone(),
                    target: Arc::clone(target),
                    keys: None,
                    since: survey.since.clone(),
                    all: false,
                    after,
                    limit: PAGE as u32,
                    trial,
                })
                .await?;
            survey.reached = survey.reached.or(found.version.and_then(|version| mark(&version, &target.pushes)));
            idle &= found.batch.is_empty();
            unchanged += found.unchanged;
            after = found.after;
            if !idle || after.is_none() {
                survey.idle = idle.then_some(unchanged);
                return Ok(survey);
            }
        }
    }

    /// Rows that were looked at, when nothing has to be sent.
    pub(crate) fn idle(&self) -> Option<u64> {
        self.idle
    }

    /// Writes down that nothing had to be sent; answers whether that is so.
    pub(crate) async fn end_if_idle(&self, connection: &Connection, feed: &Feed, fence: Fence) -> Result<bool> {
        let Some(rows) = self.idle else { return Ok(false) };
        let store = &connection.workspace.store;
        let memory = match &self.reached {
            Some(reached) => {
                let before = store.push_memory(feed).await?;
                (before.version.as_ref() != Some(reached)).then(|| PushMemory { version: Some(reached.clone()), ..before })
            }
            None => None,
        };
        let commit = PushCommit {
            fence,
            feed: feed.clone(),
            begun: Vec::new(),
            settled: Vec::new(),
            counts: Counts { read: rows, unchanged: rows, ..Counts::default() },
            failures: Vec::new(),
            events: Vec::new(),
            memory,
            at: connection.workspace.engine.shared.clock.now(),
        };
        store.journal(commit).await?;
        Ok(true)
    }
}

/// The version a mark says, if it was said of the same fields.
fn since(mark: &str, fields: &[Box<str>]) -> Option<Box<str>> {
    let mark: Mark = serde_json::from_str(mark).ok()?;
    (mark.fields == fields).then(|| mark.since.get().into())
}

fn mark(version: &str, fields: &[Box<str>]) -> Option<Box<str>> {
    let since = RawValue::from_string(version.to_owned()).ok()?;
    serde_json::to_string(&Mark { fields: fields.to_vec(), since }).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_the_fields_it_was_made_of_and_keeps_every_digit() {
        let fields: Vec<Box<str>> = vec!["name".into(), "email".into()];
        for version in ["9007199254740993", "\"2026-01-02 10:00\"", "0.30000000000000004"] {
            let mark = mark(version, &fields).expect("a mark");
            assert_eq!(since(&mark, &fields).as_deref(), Some(version));
            assert_eq!(since(&mark, &fields[..1]), None);
        }
        assert_eq!(since("5", &fields), None, "what nobody of ours wrote");
    }
}

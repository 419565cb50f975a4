//! What of a plan may be sent: each row is compared with what it was planned from, at the moment it is decided about.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sync_core::{
    Operation,
    store::{Intent, IntentState, ItemState, PlanItem, PlannedWrite, PushLink},
};

use crate::push::{rows::Row, select::Choice};

/// The items that are to be applied, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Screen {
    items: HashMap<Box<str>, Vec<Chosen>>,
    /// Numbers of items whose records at the service are no longer as they were seen.
    drifted: Mutex<HashSet<u32>>,
    fates: Mutex<HashMap<u32, Fate>>,
}

#[derive(Debug)]
struct Chosen {
    no: u32,
    operation: Operation,
    write: PlannedWrite,
}

/// What has become of an item so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was decided about, and is on its way, or an earlier write of just that is.
    Begun,
    /// The service has it.
    Done,
    /// It was left alone.
    Moved,
}

const ROW: &str = "its row is no longer as the plan had found it; it was left alone";
const LINK: &str = "what the service accepted of it is no longer what the plan was made from; it was left alone";
pub(super) const RECORD: &str = "its record at the service is no longer as the plan had found it; it was left alone";
const OPEN: &str = "another write of it was begun since the plan was made and is not settled; it was left alone";

impl Screen {
    /// Of these items.
    pub(super) fn new(items: &[PlanItem]) -> Self {
        let mut by_key: HashMap<Box<str>, Vec<Chosen>> = HashMap::new();
        for item in items {
            let Some(write) = item.write.as_deref() else { continue };
            let chosen = Chosen { no: item.no, operation: operation(item), write: write.clone() };
            by_key.entry(item.entity.clone()).or_default().push(chosen);
        }
        Self { items: by_key, drifted: Mutex::default(), fates: Mutex::default() }
    }

    /// Of these items the records at the service have moved.
    pub(super) fn drift(&self, drifted: HashSet<u32>) {
        *self.drifted.lock().unwrap_or_else(PoisonError::into_inner) = drifted;
    }

    pub(super) fn drifted(&self, no: u32) -> bool {
        self.drifted.lock().unwrap_or_else(PoisonError::into_inner).contains(&no)
    }

    /// Decides about a row; `None` when it is none of the plan's.
    pub(crate) fn choose(&self, row: &Row, link: Option<&PushLink>, intent: Option<&Intent>) -> Option<Choice> {
        let item = self.find(&row.key, row.operation).filter(|item| !item.write.left_over)?;
        let (fate, choice) = item.choose(row, link, intent, self.drifted(item.no));
        self.fates().insert(item.no, fate);
        Some(choice)
    }

    /// Whether an earlier write is just what the plan asks for.
    pub(crate) fn lets(&self, intent: &Intent) -> bool {
        self.find(&intent.key, intent.operation).is_some_and(|item| item.write.hash == intent.hash)
    }

    /// Whether a write that failed, and belongs to no row, is one that the plan sends again.
    pub(crate) fn left_over(&self, intent: &Intent) -> bool {
        let item = self.find(&intent.key, intent.operation);
        let same = |item: &&Chosen| item.write.left_over && item.write.hash == intent.hash && !self.drifted(item.no);
        let Some(item) = item.filter(same) else { return false };
        self.fates().insert(item.no, Fate::Begun);
        true
    }

    /// The outcome of a row's write is written down.
    pub(crate) fn answered(&self, key: &str, outcome: &str) {
        let fate = match outcome {
            "created" | "updated" | "deleted" | "unchanged" => Fate::Done,
            "skipped" => Fate::Moved,
            _ => return,
        };
        let gone = if outcome == "deleted" { Operation::Delete } else { Operation::Upsert };
        let item = self.find(key, gone).or_else(|| self.items.get(key).and_then(|items| items.first()));
        if let Some(item) = item {
            self.fates().insert(item.no, fate);
        }
    }

    /// What has become of an item; `None` when nothing came by that would be it.
    pub(super) fn fate(&self, no: u32) -> Option<Fate> {
        self.fates().get(&no).copied()
    }

    pub(super) fn set(&self, no: u32, fate: Fate) {
        self.fates().insert(no, fate);
    }

    fn find(&self, key: &str, operation: Operation) -> Option<&Chosen> {
        self.items.get(key)?.iter().find(|item| item.operation == operation)
    }

    fn fates(&self) -> MutexGuard<'_, HashMap<u32, Fate>> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chosen {
    fn choose(&self, row: &Row, link: Option<&PushLink>, intent: Option<&Intent>, drifted: bool) -> (Fate, Choice) {
        let moved = |why| (Fate::Moved, Choice::Skip(why));
        let same = |intent: &Intent| intent.operation == self.operation && intent.hash == self.write.hash;
        match intent {
            Some(open) if open.state != IntentState::Failed => return if same(open) { (Fate::Begun, Choice::Held) } else { moved(OPEN) },
            None if done(&self.write, self.operation, link) => return (Fate::Done, Choice::Unchanged),
            _ => {}
        }
        if drifted {
            return moved(RECORD);
        }
        if row.hash != self.write.hash {
            return moved(ROW);
        }
        if link != self.write.link.as_ref() {
            return moved(LINK);
        }
        (Fate::Begun, if intent.is_some_and(same) { Choice::Retry } else { Choice::Send })
    }
}

/// Whether the service has accepted, since the plan was made, just what it asks for: after a run that was killed, say.
pub(super) fn done(write: &PlannedWrite, operation: Operation, link: Option<&PushLink>) -> bool {
    let before = write.link.as_ref();
    match operation {
        Operation::Upsert => link.is_some_and(|link| link.hash == Some(write.hash)) && link != before,
        Operation::Delete => link.is_none() && before.is_some(),
    }
}

pub(super) fn operation(item: &PlanItem) -> Operation {
    if item.kind == sync_core::store::ItemKind::Delete { Operation::Delete } else { Operation::Upsert }
}

impl Fate {
    /// As the plan keeps it.
    pub(super) fn state(self) -> ItemState {
        match self {
            Self::Begun => ItemState::Open,
            Self::Done => ItemState::Applied,
            Self::Moved => ItemState::Moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::model::intent;

    fn link(hash: u64, version: &str) -> PushLink {
        PushLink { id: Some("r".into()), hash: Some(hash), version: Some(version.into()) }
    }

    #[test]
    fn a_row_is_sent_only_as_it_was_planned_from_and_once() {
        let (then, done, other) = (link(1, "a"), link(2, "b"), link(3, "b"));
        let open = |state, hash| {
            let mut open = intent("k");
            (open.state, open.hash) = (state, hash);
            Some(open)
        };
        use IntentState::{Conflict, Failed, Pending, Unknown};
        let cases = [
            // as it was
            (2, Some(&then), None, false, Fate::Begun, Choice::Send),
            // edited
            (9, Some(&then), None, false, Fate::Moved, Choice::Skip(ROW)),
            // pushed since: as planned, or otherwise
            (2, Some(&done), None, false, Fate::Done, Choice::Unchanged),
            (2, Some(&other), None, false, Fate::Moved, Choice::Skip(LINK)),
            (2, None, None, false, Fate::Moved, Choice::Skip(LINK)),
            // the record there has changed; by this very write it may have
            (2, Some(&then), None, true, Fate::Moved, Choice::Skip(RECORD)),
            (2, Some(&done), None, true, Fate::Done, Choice::Unchanged),
            // a write is open: this one, or another
            (2, Some(&then), open(Unknown, 2), false, Fate::Begun, Choice::Held),
            (2, Some(&then), open(Pending, 2), true, Fate::Begun, Choice::Held),
            (2, Some(&then), open(Unknown, 7), false, Fate::Moved, Choice::Skip(OPEN)),
            (2, Some(&then), open(Conflict, 7), false, Fate::Moved, Choice::Skip(OPEN)),
            // it failed before: just this, or an older one
            (2, Some(&then), open(Failed, 2), false, Fate::Begun, Choice::Retry),
            (2, Some(&then), open(Failed, 7), false, Fate::Begun, Choice::Send),
            (9, Some(&then), open(Failed, 2), false, Fate::Moved, Choice::Skip(ROW)),
            (2, Some(&then), open(Failed, 2), true, Fate::Moved, Choice::Skip(RECORD)),
        ];
        for (hash, now, intent, drifted, fate, choice) in cases {
            let write =
                PlannedWrite { rule: "changed".into(), hash: 2, link: Some(then.clone()), seen: None, fields: None, left_over: false };
            let item = Chosen { no: 1, operation: Operation::Upsert, write };
            let row = Row { key: "k".into(), id: Some("r".into()), operation: Operation::Upsert, fields: "{}".into(), hash };
            let decided = item.choose(&row, now, intent.as_ref(), drifted);
            assert_eq!(
                decided,
                (fate, choice),
                "row {hash}, link {now:?}, intent {:?}, drifted {drifted}",
                intent.map(|i| (i.state, i.hash))
            );
        }
    }

    #[test]
    fn what_is_sent_although_unchanged_is_not_taken_for_done() {
        let same = PlannedWrite { rule: "resent".into(), hash: 1, link: Some(link(1, "a")), seen: None, fields: None, left_over: false };
        assert!(!done(&same, Operation::Upsert, Some(&link(1, "a"))));
        assert!(done(&same, Operation::Upsert, Some(&link(1, "b"))));
        assert!(done(&same, Operation::Delete, None));
        let stranger = PlannedWrite { link: None, ..same };
        assert!(!done(&stranger, Operation::Delete, None), "nothing tells that it is gone");
    }
}

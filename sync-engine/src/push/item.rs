//! One write on its way through a run.

use bytes::Bytes;
use sync_core::{
    Earlier, Marker, Operation, PushItem, PushMode, Services,
    mapping::Rule,
    store::{Intent, IntentState, PushLink},
};

use super::rows::Row;

/// Why a row is sent that was not refused before; `surplus` is what a mirror does not know.
pub(crate) fn rule_of(row: &Row, link: Option<&PushLink>, surplus: bool) -> Rule {
    match (row.operation, link) {
        (Operation::Delete, _) if surplus => Rule::Mirrored,
        (Operation::Delete, _) => Rule::Deleted,
        (Operation::Upsert, Some(link)) if link.hash == Some(row.hash) => Rule::Resent,
        (Operation::Upsert, Some(link)) if link.id.is_some() => Rule::Changed,
        (Operation::Upsert, _) => Rule::New,
    }
}

/// What a row's write was decided from.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    pub(crate) rule: Rule,
    pub(crate) link: Option<PushLink>,
}

/// An intent that is about to leave, and what was stored of it before.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) intent: Intent,
    /// `None` for a write that failed before and that none of the rows came to.
    pub(crate) basis: Option<Basis>,
    /// What is put back when it never leaves.
    pub(crate) before: Option<Intent>,
    pub(crate) earlier: Earlier,
}

impl Item {
    /// A write of its own, with a marker no other has.
    pub(crate) fn new(row: Row, mode: PushMode, basis: Basis, before: Option<Intent>, services: &dyn Services) -> Self {
        let now = services.now();
        let intent = Intent {
            key: row.key,
            marker: Marker::from(format!("{:016x}{:016x}", services.random(), services.random())),
            operation: row.operation,
            mode,
            fields: row.fields,
            hash: row.hash,
            id: row.id,
            version: basis.link.as_ref().and_then(|link| link.version.clone()),
            state: IntentState::Sending,
            attempts: 0,
            sent_at: now,
            looks: 0,
            looked_at: None,
            next_at: None,
            handle: None,
            error: None,
            run: sync_core::RunId(0),
        };
        Self { intent, basis: Some(basis), before, earlier: Earlier::Never }
    }

    /// The same write once more, in the mode it was begun in.
    pub(crate) fn again(stored: Intent, earlier: Earlier) -> Self {
        Self { intent: stored.clone(), basis: None, before: Some(stored), earlier }
    }

    pub(crate) fn weight(&self) -> usize {
        self.intent.fields.len()
    }

    /// Whether it changes or removes a record whose key at the service is known.
    pub(crate) fn known(&self) -> bool {
        self.intent.id.is_some()
    }

    /// As the provider gets it.
    pub(crate) fn sent(&self) -> PushItem {
        item_of(&self.intent, self.earlier)
    }
}

/// An intent as providers get it.
pub(crate) fn item_of(intent: &Intent, earlier: Earlier) -> PushItem {
    let fields = match intent.operation {
        Operation::Upsert => Bytes::copy_from_slice(intent.fields.as_bytes()),
        Operation::Delete => Bytes::new(),
    };
    PushItem {
        marker: intent.marker.clone(),
        id: intent.id.clone(),
        operation: intent.operation,
        fields,
        version: intent.version.clone(),
        earlier,
    }
}

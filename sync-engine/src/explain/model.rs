//! What an explanation says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sync_core::{
    ConnectionId, EntityType, RunId,
    mapping::{Authority, ConflictState, Rule, Step},
    store::ConflictId,
};

use super::Absence;

/// Where one value came from, and why it is this one. Its `Display` is the same in sentences, for people who have never seen the project.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The entity type.
    pub entity: EntityType,
    /// The row's key.
    pub key: Box<str>,
    /// The connection the row belongs to, in a stream's own table.
    pub connection: Option<ConnectionId>,
    /// The field.
    pub field: Box<str>,
    /// Its value now; `None` where it has none.
    pub value: Option<Value>,
    /// What is known of how it came about.
    pub standing: Standing,
    /// The last change of it that was written down.
    pub set_by: Option<Change>,
    /// Who has the say about it, where priorities are kept.
    pub say: Option<Say>,
    /// What other sources of truth say of it, or said: those who lost, and those who agree.
    pub others: Vec<Other>,
    /// What sources say that are only a reference for it.
    pub beside: Vec<Beside>,
    /// Earlier changes by people, the newest first.
    pub by_people: Vec<Change>,
}

impl Explanation {
    /// The sources whose values lost.
    pub fn losers(&self) -> impl Iterator<Item = &Other> {
        self.others.iter().filter(|other| other.why != Why::Agrees)
    }
}

/// What is known of how a value came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// The value is what the last change made it.
    Told,
    /// The row has been changed since the last change that was written down: by the host itself, or by a run without lineage.
    ChangedSince,
    /// There is a value, and no change was written down: it came without lineage, or its lineage was pruned.
    Untold,
    /// There is a value in a table of the host's own, and no run is known to have had to do with it: most likely the host set it.
    OfHost,
    /// There is no value, and none was ever written down.
    Empty {
        /// Mappings that write the field, and have brought no value for this row.
        written_by: Vec<Box<str>>,
    },
    /// A mapping says that the host computes the field; no sync ever writes it.
    Derived {
        /// The mapping.
        mapping: Box<str>,
    },
    /// The row is not there.
    NoRow {
        /// Why.
        absence: Absence,
    },
}

/// One change of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Before; `None` when the row was new.
    pub previous: Option<Value>,
    /// After; `None` when the row went.
    pub value: Option<Value>,
    /// What decided; `None` of runs from before that was kept.
    pub rule: Option<Rule>,
    /// Where the value came from.
    pub origin: Origin,
    /// How the mapping made it, as the mapping was then.
    pub making: Option<Making>,
    /// The run.
    pub run: RunId,
    /// What kind of run: `full`, `incremental`, `apply`, `edit`, `take`.
    pub job: Option<Box<str>>,
    /// Who asked for it.
    pub by: Box<str>,
    /// When.
    pub at: DateTime<Utc>,
    /// The run it took back.
    pub undid: Option<RunId>,
    /// The change whose value came back with that.
    pub restores: Option<Box<Change>>,
}

/// A place values come from, in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Origin {
    /// `google_sheet`, `api` or `app`.
    pub kind: Box<str>,
    /// The source's own id.
    pub id: Box<str>,
    /// Where a person finds the value: `Movies → Column B`.
    pub place: Option<Box<str>>,
    /// The connection.
    pub connection: Option<ConnectionId>,
    /// Its provider.
    pub provider: Option<Box<str>>,
    /// What people call the account.
    pub account: Option<Box<str>>,
    /// The stream.
    pub stream: Option<Box<str>>,
    /// The mapping; `None` where values come as they are.
    pub mapping: Option<Box<str>>,
}

/// How a mapping makes a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Making {
    /// The version of the stored mapping, where it is stored.
    pub version: Option<MappingVersion>,
    /// From what.
    pub from: MadeFrom,
    /// What is done to the value, in this order.
    pub steps: Vec<Step>,
    /// What the source is for the field.
    pub authority: Authority,
    /// Its priority.
    pub priority: i32,
    /// What stood in the source; `None` where that was not kept because something was done to it.
    pub source_value: Option<Value>,
}

/// A version of a stored mapping.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MappingVersion {
    /// The tab mapping's id.
    pub tab: Box<str>,
    /// The version.
    pub version: u64,
    /// Who made it.
    pub changed_by: Box<str>,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// What a mapping makes a field from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MadeFrom {
    /// One field of the source, or the first of several that has a value.
    Columns(Vec<Box<str>>),
    /// The same value in every row.
    Constant(Value),
    /// Members by name, each from a field of the source.
    Object(BTreeMap<Box<str>, Box<str>>),
    /// An expression.
    Computed {
        /// As it is written.
        expression: Box<str>,
        /// What it reads.
        inputs: Vec<Input>,
    },
    /// Nothing: the host computes it.
    Nothing,
}

/// What an expression reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Input {
    /// The field's name.
    pub name: Box<str>,
    /// Whether it is a field of the source, whose values are not kept; otherwise it is one of the row.
    pub of_source: bool,
    /// Its value when the field was computed.
    pub value: Option<Value>,
    /// Where a person finds it.
    pub place: Option<Box<str>>,
}

/// Who has the say about a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Say {
    /// The source of truth of the highest priority that set or confirmed it.
    pub origin: Origin,
    /// Its priority then.
    pub priority: i32,
}

/// What another source of truth says, or said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Other {
    /// Who.
    pub origin: Origin,
    /// What.
    pub value: Value,
    /// Its priority, where it is known.
    pub priority: Option<i32>,
    /// Why its value is not the field's, if it is not.
    pub why: Why,
    /// The run that brought it; where that is not known, the run of another source that met it.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether the run is this source's.
    pub own_run: bool,
}

/// Why another source's value is not the field's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It says the same.
    Agrees,
    /// Its priority is lower.
    LowerPriority {
        /// The priority it lost to.
        winner_priority: i32,
        /// The conflict.
        conflict: Option<ConflictId>,
        /// Where the conflict stands.
        state: Option<ConflictState>,
        /// Who decided about it last.
        decided_by: Option<Box<str>>,
        /// When.
        decided_at: Option<DateTime<Utc>>,
    },
    /// Its priority is the same, and the other one spoke later.
    Earlier,
    /// Its priority is higher, but it says nothing any more, or spoke before the other one did under another mapping.
    Silent,
    /// Somebody let another source overwrite it.
    Forced,
    /// Somebody decided otherwise: by hand, by taking a run back, or by taking a value that had lost.
    Decided {
        /// How.
        rule: Rule,
        /// About which conflict.
        conflict: Option<ConflictId>,
    },
}

/// What a source says that is only a reference for the field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Beside {
    /// Who.
    pub origin: Origin,
    /// What.
    pub value: Value,
    /// The run that brought it.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
}

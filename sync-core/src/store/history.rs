//! The history of a row from what is stored of it: lines of changes, and the row as it is now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

/// One stored line: what one commit changed in one row.
#[derive(Clone, Debug)]
pub struct LineageLine {
    /// Its number.
    pub seq: i64,
    /// The run's.
    pub run: i64,
    /// What happened.
    pub op: LineageOp,
    /// Per field the value before and after, JSON text.
    pub changes: BTreeMap<String, (Box<RawValue>, Box<RawValue>)>,
    /// When.
    pub at: DateTime<Utc>,
    /// Of a deletion: the run that had made the row, and when.
    pub created: Option<(i64, DateTime<Utc>)>,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineageOp {
    /// The row was made; only rows of the host have such lines.
    Created,
    /// Some of its fields changed.
    Updated,
    /// It went.
    Deleted,
}

impl LineageOp {
    /// Reads the letter it is stored as: `c`, `u` or `d`.
    #[must_use]
    pub fn parse(letter: &str) -> Option<Self> {
        match letter {
            "c" => Some(Self::Created),
            "u" => Some(Self::Updated),
            "d" => Some(Self::Deleted),
            _ => None,
        }
    }
}

/// A change of one field, before its source is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageChange {
    /// The number of its line; of a creation that left none, that of the line before.
    pub seq: i64,
    /// The field.
    pub field: String,
    /// JSON text before; `None` when the row was new.
    pub old: Option<String>,
    /// JSON text after; `None` when the row went.
    pub new: Option<String>,
    /// The run that did it.
    pub run: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// A managed row that is there now.
#[derive(Clone, Debug)]
pub struct LiveRow {
    /// The run that made it.
    pub run: i64,
    /// When.
    pub made: DateTime<Utc>,
    /// Its fields that are not null, JSON text.
    pub fields: BTreeMap<String, String>,
}

/// The history of one row: each of its lives begins with the values it was made with. Creations of managed rows leave no line; what they
/// were made with is what the first later line found there, else what is there still.
pub fn history(lines: &[LineageLine], live: Option<LiveRow>, changes: &mut Vec<LineageChange>) {
    let mut since = 0;
    let mut from = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.op == LineageOp::Deleted {
            if let Some((run, made)) = line.created {
                born(since, LiveRow { run, made, fields: BTreeMap::new() }, &lines[from..=at], changes);
            }
            (since, from) = (line.seq, at + 1);
        }
    }
    if let Some(live) = live {
        born(since, live, &lines[from..], changes);
    }
    for line in lines {
        for (field, (old, new)) in &line.changes {
            changes.push(LineageChange {
                seq: line.seq,
                field: field.clone(),
                old: (line.op != LineageOp::Created).then(|| old.get().to_owned()),
                new: (line.op != LineageOp::Deleted).then(|| new.get().to_owned()),
                run: line.run,
                at: line.at,
            });
        }
    }
}

fn born(seq: i64, row: LiveRow, life: &[LineageLine], changes: &mut Vec<LineageChange>) {
    let LiveRow { run, made, fields: mut first } = row;
    for line in life.iter().rev() {
        for (field, (old, _)) in &line.changes {
            first.insert(field.clone(), old.get().to_owned());
        }
    }
    let values = first.into_iter().filter(|(_, value)| value != "null");
    changes.extend(values.map(|(field, value)| LineageChange { seq, field, old: None, new: Some(value), run, at: made }));
}

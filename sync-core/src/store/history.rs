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
/// were made with is what the first later line found there, else what is there still. Of a life that began before lines were
/// `pruned_before` that cannot be known any more, and nothing is said of how it began.
pub fn history(lines: &[LineageLine], live: Option<LiveRow>, pruned_before: Option<DateTime<Utc>>, changes: &mut Vec<LineageChange>) {
    let known = |made: DateTime<Utc>| pruned_before.is_none_or(|pruned| made >= pruned);
    let mut since = 0;
    let mut from = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.op == LineageOp::Deleted {
            if let Some((run, made)) = line.created.filter(|(_, made)| known(*made)) {
                born(since, LiveRow { run, made, fields: BTreeMap::new() }, &lines[from..=at], changes);
            }
            (since, from) = (line.seq, at + 1);
        }
    }
    if let Some(live) = live.filter(|live| known(live.made)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::minutes(minute)
    }

    fn line(seq: i64, op: LineageOp, changes: &[(&str, &str, &str)], created: Option<(i64, DateTime<Utc>)>) -> LineageLine {
        let json = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let changes = changes.iter().map(|(field, old, new)| ((*field).to_owned(), (json(old), json(new)))).collect();
        LineageLine { seq, run: seq, op, changes, at: minute(seq), created }
    }

    fn told(lines: &[LineageLine], live: Option<LiveRow>, pruned_before: Option<DateTime<Utc>>) -> Vec<String> {
        let mut changes = Vec::new();
        history(lines, live, pruned_before, &mut changes);
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        changes.iter().map(|change| format!("{} {} {}>{}", change.seq, change.field, text(&change.old), text(&change.new))).collect()
    }

    /// A row that lived from minute 1 to 3 and again from minute 4.
    fn two_lives() -> (Vec<LineageLine>, LiveRow) {
        let first = line(2, LineageOp::Updated, &[("a", "1", "2")], None);
        let end = line(3, LineageOp::Deleted, &[("a", "2", "null"), ("b", "7", "null")], Some((1, minute(1))));
        let again = line(5, LineageOp::Updated, &[("a", "3", "4"), ("c", "null", "9")], None);
        let fields = [("a", "4"), ("b", "8"), ("c", "9")].map(|(field, json)| (field.to_owned(), json.to_owned()));
        (vec![first, end, again], LiveRow { run: 4, made: minute(4), fields: fields.into() })
    }

    #[test]
    fn each_life_begins_with_what_its_first_line_found_else_with_what_is_there() {
        let (lines, live) = two_lives();
        let births = ["0 a ->1", "0 b ->7", "3 a ->3", "3 b ->8"];
        let changes = ["2 a 1>2", "3 a 2>-", "3 b 7>-", "5 a 3>4", "5 c null>9"];
        assert_eq!(told(&lines, Some(live), None), [&births[..], &changes[..]].concat());
    }

    #[test]
    fn how_a_life_began_before_lines_were_pruned_is_not_claimed() {
        let (lines, live) = two_lives();
        for (pruned, births) in [(1, 4), (2, 2), (4, 2), (5, 0)] {
            let told = told(&lines[1..], Some(live.clone()), Some(minute(pruned)));
            assert_eq!(told.iter().filter(|line| line.contains("->")).count(), births, "pruned before {pruned}: {told:?}");
            assert_eq!(told.len() - births, 4, "lines that are there are told: {told:?}");
        }
    }
}

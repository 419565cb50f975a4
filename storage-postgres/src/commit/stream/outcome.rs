//! What became of records, until it is certain.

use std::collections::HashMap;

use serde_json::value::RawValue;
use sync_core::{Counts, RecordBatch, RecordFailure, mapping::Rule, store::Change};

use super::{rounds::Entry, staging::Refused};
use crate::{
    commit::Work,
    error::{Db, internal},
    scans::Shown,
};

/// A record's place in the commit: its batch, and its number in it.
type Place = (usize, usize);

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    pub(super) shown: Shown,
    pub(super) written: Vec<Box<str>>,
    pub(super) deleted: Vec<Box<str>>,
    failures: Vec<(Place, RecordFailure)>,
    changes: Vec<(Place, Vec<Change>)>,
}

impl Outcome {
    /// A record that is left out on purpose, with the reason.
    pub(super) fn skipped(&mut self, at: Place, warning: Option<RecordFailure>) {
        self.counts.skipped += 1;
        self.failures.extend(warning.map(|warning| (at, warning)));
    }

    /// A record that cannot be taken.
    pub(super) fn refused(&mut self, entry: &Entry<'_>, refused: Refused) {
        self.counts.failed += 1;
        let failure = RecordFailure::error(refused.reason).at_row(entry.record.position).of_record(entry.key());
        let failure = match refused.column {
            Some(column) => failure.in_column(column),
            None => failure,
        };
        self.failures.push((entry.place(), failure));
    }

    /// The fields of a row that would be made.
    pub(super) fn creation(&mut self, entry: &Entry<'_>, batch: &RecordBatch) {
        let cells = batch.cells(entry.record);
        let changes = cells.map(|(name, json)| change(entry.key(), &batch.names()[name], None, Some(json))).collect();
        self.changes.push((entry.place(), changes));
    }

    /// The fields of a row that would change; `pairs` is a JSON object of old and new values.
    pub(super) fn update(&mut self, entry: &Entry<'_>, batch: &RecordBatch, pairs: &str) -> Db<()> {
        let pairs: HashMap<String, (&RawValue, &RawValue)> =
            serde_json::from_str(pairs).map_err(|_| internal("preview", "the changes of a row are not JSON"))?;
        let cells = batch.cells(entry.record).map(|(name, json)| (&*batch.names()[name], json));
        let changed =
            cells.filter_map(|(name, json)| pairs.get(name).map(|(old, _)| change(entry.key(), name, Some(old.get()), Some(json))));
        self.changes.push((entry.place(), changed.collect()));
        Ok(())
    }

    /// The fields of rows that would go.
    pub(super) fn deletions<'e>(&mut self, gone: impl Iterator<Item = &'e Entry<'e>>, changes: Vec<Change>) {
        let mut of: HashMap<Box<str>, Vec<Change>> = HashMap::new();
        changes.into_iter().for_each(|change| of.entry(change.entity.clone()).or_default().push(change));
        self.changes.extend(gone.filter_map(|entry| Some((entry.place(), of.remove(entry.key())?))));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.shown.merge(other.shown);
        self.written.extend(other.written);
        self.deleted.extend(other.deleted);
        self.failures.extend(other.failures);
        self.changes.extend(other.changes);
    }

    /// Hands everything over, in the order of the records.
    pub(super) fn tell(mut self, work: &mut Work<'_>) {
        self.failures.sort_by_key(|(at, _)| *at);
        self.changes.sort_by_key(|(at, _)| *at);
        work.tally.counts.add(&self.counts);
        work.tally.failures.extend(self.failures.into_iter().map(|(_, failure)| failure));
        work.changes.extend(self.changes.into_iter().flat_map(|(_, changes)| changes));
        self.written.iter().for_each(|key| work.tally.wrote(key));
        self.deleted.iter().for_each(|key| work.tally.deleted(key));
        work.shown.merge(self.shown);
    }
}

fn change(entity: &str, field: &str, old: Option<&str>, new: Option<&str>) -> Change {
    Change { entity: entity.into(), field: field.into(), old: old.map(Into::into), new: new.map(Into::into), rule: Rule::SourceOfTruth }
}

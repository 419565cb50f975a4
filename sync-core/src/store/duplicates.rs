//! Records of one commit that have one key.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::{Duplicates, Operation, Record, RecordBatch, RecordFailure};

/// Which records of the commit another one stands for.
#[derive(Debug, Default)]
pub struct Duplicated(HashSet<(usize, usize)>);

impl Duplicated {
    /// Finds them. `key` answers a record's key by batch and place, or `None` for one that has none.
    ///
    /// Of two records the later one counts, or the earlier one, as the rule says. Under "the later one" an earlier record whose fields the
    /// later does not all have is kept: leaving it out would lose what only it says.
    pub fn find<'a>(batches: &'a [&'a RecordBatch], rule: Duplicates, key: impl Fn(usize, usize, &'a Record) -> Option<&'a str>) -> Self {
        let total = batches.iter().map(|batch| batch.len()).sum();
        let mut first: HashMap<&str, (usize, usize)> = HashMap::with_capacity(total);
        let mut found = Self::default();
        for (b, batch) in batches.iter().enumerate() {
            for (n, record) in batch.records().iter().enumerate() {
                let Some(key) = key(b, n, record) else { continue };
                match first.entry(key) {
                    Entry::Vacant(free) => {
                        free.insert((b, n));
                    }
                    Entry::Occupied(mut known) => match rule {
                        Duplicates::FirstWins => {
                            found.0.insert((b, n));
                        }
                        Duplicates::LastWins => {
                            let (eb, en) = *known.get();
                            if covers(batch, record, batches[eb], &batches[eb].records()[en]) {
                                found.0.insert((eb, en));
                            }
                            known.insert((b, n));
                        }
                    },
                }
            }
        }
        found
    }

    /// Whether another record stands for this one.
    #[must_use]
    pub fn contains(&self, batch: usize, record: usize) -> bool {
        !self.0.is_empty() && self.0.contains(&(batch, record))
    }
}

/// The warning about a record whose key another one of the scan has.
#[must_use]
pub fn twice(record: &Record) -> RecordFailure {
    RecordFailure::warning("the key stands twice in this scan; the first record counts, this one was left out")
        .at_row(record.position)
        .of_record(record.id.as_str())
}

/// Whether the later record says everything anew that the earlier one said.
fn covers(later: &RecordBatch, record: &Record, earlier: &RecordBatch, old: &Record) -> bool {
    record.operation == Operation::Delete
        || (old.operation == Operation::Upsert
            && earlier.cells(old).all(|(name, _)| later.cells(record).any(|(other, _)| later.names()[other] == earlier.names()[name])))
}

//! Records of one commit that have one key.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use sync_core::{Duplicates, Operation, Record, RecordBatch};

/// Which records of the commit another one stands for.
#[derive(Debug, Default)]
pub(crate) struct Duplicated(HashSet<(usize, usize)>);

impl Duplicated {
    /// Finds them. `key` answers a record's key by batch and place, or `None` for one that has none.
    ///
    /// Of two records the later one counts, or the earlier one, as the rule says. Under "the later one" an earlier record whose fields the
    /// later does not all have is kept: leaving it out would lose what only it says.
    pub(crate) fn find<'a>(
        batches: &'a [&'a RecordBatch],
        rule: Duplicates,
        key: impl Fn(usize, usize, &'a Record) -> Option<&'a str>,
    ) -> Self {
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

    pub(crate) fn contains(&self, batch: usize, record: usize) -> bool {
        !self.0.is_empty() && self.0.contains(&(batch, record))
    }
}

/// Whether the later record says everything anew that the earlier one said.
fn covers(later: &RecordBatch, record: &Record, earlier: &RecordBatch, old: &Record) -> bool {
    record.operation == Operation::Delete
        || (old.operation == Operation::Upsert
            && earlier.cells(old).all(|(name, _)| later.cells(record).any(|(other, _)| later.names()[other] == earlier.names()[name])))
}

//! Records of one commit that have one key.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::{Duplicates, Operation, Record, RecordBatch, RecordFailure, Target};

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

/// The warning about a record that is left out because another one with its key counts; it names the place of the key's first column in the
/// source. Where the later record counts only those are worth one that a person can find: overlapping pages of a service bring the same
/// record again and again.
#[must_use]
pub fn twice(target: &Target, record: &Record) -> Option<RecordFailure> {
    let text = match target.duplicates {
        Duplicates::FirstWins => "the key stands twice in this scan; the first record counts, this one was left out",
        Duplicates::LastWins if record.position.is_none() => return None,
        Duplicates::LastWins => "the key stands twice in this scan; the last record counts, this one was left out",
    };
    let warning = RecordFailure::warning(text).at_row(record.position).of_record(record.id.as_str());
    Some(match target.place.key().first().and_then(|field| target.source.refs.get(field)) {
        Some(place) => warning.in_column(&**place),
        None => warning,
    })
}

/// Whether the later record says everything anew that the earlier one said.
fn covers(later: &RecordBatch, record: &Record, earlier: &RecordBatch, old: &Record) -> bool {
    record.operation == Operation::Delete
        || (old.operation == Operation::Upsert
            && earlier.cells(old).all(|(name, _)| later.cells(record).any(|(other, _)| later.names()[other] == earlier.names()[name])))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Place, Source};

    #[test]
    fn who_can_find_a_record_is_told_that_it_was_left_out_whichever_counts() {
        let mut batch = RecordBatch::default();
        batch.record().finish("r1", Operation::Upsert, Some(7));
        batch.record().finish("r2", Operation::Upsert, None);
        let target = |duplicates| Target {
            entity: "guests".into(),
            place: Place::Managed { key: Arc::from(["email".into()]) },
            fields: Arc::from([]),
            rules: Arc::default(),
            duplicates,
            lineage: true,
            source: Arc::new(Source { refs: [("email".into(), "Guests → Column A".into())].into(), ..Source::default() }),
            pushes: Arc::default(),
            mode: crate::WriteMode::ByAuthority,
        };
        let told = |target: &Target| batch.records().iter().map(|record| twice(target, record)).collect::<Vec<_>>();
        let first = told(&target(Duplicates::FirstWins));
        let last = told(&target(Duplicates::LastWins));
        for (warning, word) in
            [(&first[0], "the first record counts"), (&first[1], "the first record counts"), (&last[0], "the last record counts")]
        {
            let warning = warning.as_ref().expect("a warning");
            assert!(warning.error.contains(word) && warning.column.as_deref() == Some("Guests → Column A"), "{warning:?}");
        }
        assert_eq!(
            (first[0].as_ref().and_then(|warning| warning.row), last[0].as_ref().and_then(|warning| warning.row)),
            (Some(7), Some(7))
        );
        assert!(last[1].is_none(), "an overlapping page says nothing: {:?}", last[1]);
    }
}

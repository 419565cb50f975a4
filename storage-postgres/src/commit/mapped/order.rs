//! Which records of a commit may be written by the same statements: those that have nothing to do with each other.

use std::collections::HashMap;

/// What one record touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Touches<'a> {
    /// Keys of entities.
    pub(super) keys: Vec<&'a str>,
    /// Its own id, where that matters.
    pub(super) id: Option<&'a str>,
}

/// The round each record belongs to, so that of two that touch the same the one that came first is written first.
pub(super) fn rounds<'a>(records: impl Iterator<Item = Touches<'a>>) -> Vec<usize> {
    let (mut keys, mut ids): (HashMap<&str, usize>, HashMap<&str, usize>) = (HashMap::new(), HashMap::new());
    let mut rounds = Vec::new();
    for record in records {
        let before = record.keys.iter().filter_map(|key| keys.get(key)).chain(record.id.and_then(|id| ids.get(id)));
        let round = before.max().map_or(0, |last| last + 1);
        for key in record.keys {
            keys.insert(key, round);
        }
        if let Some(id) = record.id {
            ids.insert(id, round);
        }
        rounds.push(round);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn touches<'a>(keys: &[&'a str], id: Option<&'a str>) -> Touches<'a> {
        Touches { keys: keys.to_vec(), id }
    }

    #[test]
    fn records_that_share_nothing_are_written_at_once() {
        assert_eq!(rounds([touches(&["a"], None), touches(&["b"], None), touches(&[], None)].into_iter()), [0, 0, 0]);
        assert_eq!(rounds([touches(&["a"], None), touches(&["a"], None), touches(&["b"], None)].into_iter()), [0, 1, 0]);
        assert_eq!(rounds([touches(&["a"], Some("1")), touches(&["b"], Some("1"))].into_iter()), [0, 1]);
        assert_eq!(rounds([touches(&["a", "b"], None), touches(&["b"], None), touches(&["a"], None)].into_iter()), [0, 1, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn records_that_share_something_keep_their_order(
            records in prop::collection::vec((prop::collection::vec(0..5usize, 0..3), prop::option::of(0..4usize)), 0..30)
        ) {
            const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
            let touched: Vec<Touches<'_>> = records
                .iter()
                .map(|(keys, id)| Touches { keys: keys.iter().map(|key| NAMES[*key]).collect(), id: id.map(|id| NAMES[id]) })
                .collect();
            let rounds = rounds(touched.iter().cloned());
            for (at, one) in touched.iter().enumerate() {
                for (later, other) in touched.iter().enumerate().skip(at + 1) {
                    let shared = one.keys.iter().any(|key| other.keys.contains(key)) || (one.id.is_some() && one.id == other.id);
                    prop_assert!(!shared || rounds[at] < rounds[later], "{} and {}: {:?}", at, later, rounds);
                }
            }
        }
    }
}

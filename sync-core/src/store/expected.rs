//! What a commit shall change and no more, told briefly: comparing it costs a hash for each field and no copy of a value.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher as _, RandomState},
};

use super::Change;

/// The changes of each entity as one number: the sum, whatever their order, of the hashes of field, old and new value. The hashes are keyed
/// anew each time, so that no value can be made to look like another.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    keys: RandomState,
    sums: HashMap<Box<str>, u64>,
}

impl Expected {
    /// These changes.
    #[must_use]
    pub fn of<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Self {
        let mut expected = Self::default();
        expected.extend(changes);
        expected
    }

    /// None so far, to be compared with this.
    #[must_use]
    pub fn nothing_yet(&self) -> Self {
        Self { keys: self.keys.clone(), sums: HashMap::with_capacity(self.sums.len()) }
    }

    /// Adds a change of a field; values are JSON texts as in [`Change`]. That a field is null after a row was made is as good as its not being
    /// named.
    pub fn add(&mut self, entity: &str, field: &str, old: Option<&str>, new: Option<&str>) {
        if old.is_none() && new.is_none_or(|new| new == "null") {
            return;
        }
        let hash = self.keys.hash_one((field, old, new));
        match self.sums.get_mut(entity) {
            Some(sum) => *sum = sum.wrapping_add(hash),
            None => drop(self.sums.insert(entity.into(), hash)),
        }
    }

    /// Takes all changes of an entity out again.
    pub fn forget(&mut self, entity: &str) {
        self.sums.remove(entity);
    }

    /// The entities whose changes differ, in order.
    #[must_use]
    pub fn moved(&self, made: &Self) -> Vec<Box<str>> {
        let lacking = self.sums.iter().filter(|(entity, sum)| made.sums.get(*entity) != Some(*sum));
        let further = made.sums.keys().filter(|entity| !self.sums.contains_key(*entity));
        let entities: BTreeSet<&Box<str>> = lacking.map(|(entity, _)| entity).chain(further).collect();
        entities.into_iter().cloned().collect()
    }
}

impl<'c> Extend<&'c Change> for Expected {
    fn extend<T: IntoIterator<Item = &'c Change>>(&mut self, changes: T) {
        for change in changes {
            self.add(&change.entity, &change.field, change.old.as_deref(), change.new.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (&'static str, &'static str, Option<&'static str>, Option<&'static str>);
    /// What it is, what is expected, what is made, and who has moved.
    type Case<'a> = (&'a str, &'a [Told], &'a [Told], &'a [&'a str]);

    fn told(of: &mut Expected, changes: &[Told]) {
        for (entity, field, old, new) in changes {
            of.add(entity, field, *old, *new);
        }
    }

    #[test]
    fn entities_have_moved_whose_changes_are_others_than_expected() {
        let (one, two, null) = (Some("1"), Some("2"), Some("null"));
        let cases: [Case<'_>; 10] = [
            ("the same", &[("a", "x", one, two)], &[("a", "x", one, two)], &[]),
            (
                "in another order",
                &[("a", "x", one, two), ("b", "x", one, two), ("a", "y", one, two)],
                &[("a", "y", one, two), ("a", "x", one, two), ("b", "x", one, two)],
                &[],
            ),
            ("another value before", &[("a", "x", one, two)], &[("a", "x", two, two)], &["a"]),
            ("another value after", &[("a", "x", one, two)], &[("a", "x", one, one)], &["a"]),
            (
                "values of each other's fields",
                &[("a", "x", one, two), ("a", "y", two, one)],
                &[("a", "x", two, one), ("a", "y", one, two)],
                &["a"],
            ),
            ("a row that goes instead of a null", &[("a", "x", one, None)], &[("a", "x", one, null)], &["a"]),
            ("one that is not made", &[("b", "x", one, two), ("a", "x", one, two)], &[], &["a", "b"]),
            ("one that is not expected", &[], &[("a", "x", one, two)], &["a"]),
            ("a field more", &[("a", "x", one, two)], &[("a", "x", one, two), ("a", "y", one, two)], &["a"]),
            ("a null of a new row", &[("a", "x", None, one)], &[("a", "x", None, one), ("a", "y", None, null)], &[]),
        ];
        for (name, expects, makes, entities) in cases {
            let mut expected = Expected::default();
            told(&mut expected, expects);
            let mut made = expected.nothing_yet();
            told(&mut made, makes);
            let moved = expected.moved(&made);
            assert_eq!(moved.iter().map(|entity| &**entity).collect::<Vec<_>>(), entities, "{name}");
        }
    }

    #[test]
    fn what_is_taken_out_is_as_never_said() {
        let mut expected = Expected::default();
        told(&mut expected, &[("a", "x", Some("1"), Some("2"))]);
        let mut made = expected.clone();
        told(&mut made, &[("b", "x", Some("1"), Some("2"))]);
        made.forget("b");
        assert!(expected.moved(&made).is_empty());
    }
}

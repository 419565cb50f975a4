//! What changed in a source's header between two looks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{likely::likely_of, model::is_default};
use crate::{Field, FieldKind};

/// The most fields a fingerprint holds, and the most bytes of their names and labels: records may have names without end.
const FIELDS: usize = 2_000;
const BYTES: usize = 64 << 10;
/// Pairs of a field that is gone and one that came up to which they are held against each other. Beyond, it is another header.
const PAIRS: usize = 10_000;

/// A stream's fields as they once were: names in their order, types, and where people find them. Serialized, it is what is kept between
/// runs; two looks at the same header give equal fingerprints.
///
/// Of more than 2,000 fields, or 64 KiB of names, it holds the first. Then nobody can say of others whether they are new or gone, and
/// nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderFingerprint {
    fields: Vec<Print>,
    /// Whether there were more.
    #[serde(default, skip_serializing_if = "is_default")]
    cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    name: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<FieldKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Box<str>>,
}

/// One change of a header. Its `Display` is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "drift", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Drift {
    /// A field is gone, and one that was probably called so before is there.
    Renamed {
        /// What it was called.
        from: Box<str>,
        /// What it is probably called now.
        to: Box<str>,
    },
    /// A field is gone.
    Missing {
        /// Its name.
        name: Box<str>,
    },
    /// A name that stood there once now stands there several times.
    Duplicate {
        /// The name.
        name: Box<str>,
        /// How often it stands there.
        times: usize,
    },
    /// A field that was not there before.
    New {
        /// Its name.
        name: Box<str>,
    },
    /// Fields stand in another order. Records name their fields, so that nothing else changes.
    Reordered {
        /// Those that moved past the others.
        moved: Vec<Box<str>>,
    },
    /// A field has another type.
    KindChanged {
        /// Its name.
        name: Box<str>,
        /// Its type before.
        from: FieldKind,
        /// Its type now.
        to: FieldKind,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renamed { from, to } => write!(f, "the column {from:?} is gone and is probably called {to:?} now"),
            Self::Missing { name } => write!(f, "the column {name:?} is gone"),
            Self::Duplicate { name, times } => write!(f, "the column {name:?} stands there {times} times"),
            Self::New { name } => write!(f, "the column {name:?} is new"),
            Self::Reordered { moved } => {
                let moved = moved.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
                write!(f, "the columns stand in another order: {moved} moved")
            }
            Self::KindChanged { name, from, to } => {
                write!(f, "the column {name:?} was of type {} and is of type {} now", from.as_str(), to.as_str())
            }
        }
    }
}

impl HeaderFingerprint {
    /// The fingerprint of these fields. A field without a name is none.
    #[must_use]
    pub fn of(fields: &[Field]) -> Self {
        let named = fields.iter().filter(|field| !field.name.trim().is_empty());
        Self::bounded(named.map(|field| Print { name: field.name.clone(), kind: field.kind, label: field.label.clone() }))
    }

    fn bounded(prints: impl Iterator<Item = Print>) -> Self {
        let (mut this, mut bytes) = (Self::default(), 0);
        for print in prints {
            bytes += print.name.len() + print.label.as_ref().map_or(0, |label| label.len());
            if this.fields.len() == FIELDS || bytes > BYTES {
                this.cut = true;
                break;
            }
            this.fields.push(print);
        }
        this
    }

    /// These fields, and those of `more` that are not among them: what is known of records that do not all have the same fields, after
    /// some more of them were seen.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        let further = more.fields.iter().filter(|print| !self.has(&print.name));
        let both = Self::bounded(self.fields.iter().chain(further).cloned());
        Self { cut: both.cut || self.cut || more.cut, ..both }
    }

    /// Whether a field of this name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| *field.name == *name)
    }

    /// What changed from this look to `now`: renamed and missing fields in their old order, then doubled and new ones in their new one, then
    /// the order, then types. Empty when nothing did; a type that was or is unknown has not changed, nor has one whose label alone did.
    #[must_use]
    pub fn compare(&self, now: &Self) -> Vec<Drift> {
        self.changes(now, true)
    }

    /// The same for records that name their fields one by one: their order says nothing, neither of itself nor of what was renamed.
    #[must_use]
    pub fn compare_names(&self, now: &Self) -> Vec<Drift> {
        self.changes(now, false)
    }

    fn changes(&self, now: &Self, ordered: bool) -> Vec<Drift> {
        let (before, after) = (self.names(), now.names());
        let gone: Vec<&str> = before.iter().copied().filter(|name| !now.cut && !now.has(name)).collect();
        let mut new: Vec<&str> = after.iter().copied().filter(|name| !self.cut && !self.has(name)).collect();
        let mut drifts = Vec::new();
        let mut found: BTreeMap<&str, &str> = BTreeMap::new();
        // Names that are alike come first, so that a neighbour's guess cannot take them away.
        let alike = |name: &str, new: &[&str]| likely_of(name, new.iter().copied()).map(str::to_owned);
        let between = |name: &str, new: &[&str]| {
            let neighbours = neighbours(&before, name);
            let mut candidates = new.iter().filter(|_| ordered);
            candidates.find(|candidate| self::neighbours(&after, candidate) == neighbours).map(|name| (*name).to_owned())
        };
        let few = gone.len() * new.len() <= PAIRS;
        for guess in [&alike as &dyn Fn(&str, &[&str]) -> Option<String>, &between] {
            for name in gone.iter().filter(|_| few) {
                if found.contains_key(name) {
                    continue;
                }
                let at = guess(name, &new).and_then(|to| new.iter().position(|candidate| **candidate == *to));
                if let Some(at) = at.filter(|at| self.may_be(name, now, new[*at])) {
                    found.insert(name, new.remove(at));
                }
            }
        }
        drifts.extend(gone.iter().map(|name| match found.get(name) {
            Some(to) => Drift::Renamed { from: (*name).into(), to: (*to).into() },
            None => Drift::Missing { name: (*name).into() },
        }));
        for name in &after {
            let times = now.times(name);
            if times > 1 && self.times(name) <= 1 {
                drifts.push(Drift::Duplicate { name: (*name).into(), times });
            }
        }
        drifts.extend(new.iter().map(|name| Drift::New { name: (*name).into() }));
        let moved = if ordered { moved(&before, &after) } else { Vec::new() };
        if !moved.is_empty() {
            drifts.push(Drift::Reordered { moved });
        }
        for name in before.iter().filter(|name| now.has(name)) {
            if let (Some(from), Some(to)) = (self.kind(name), now.kind(name))
                && from != to
            {
                drifts.push(Drift::KindChanged { name: (*name).into(), from, to });
            }
        }
        drifts
    }

    /// Where a person finds a field, if that is known.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| *field.name == *name)?.label.as_deref()
    }

    /// The names, each where it stands first.
    fn names(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.fields.iter().map(|field| &*field.name).filter(|name| seen.insert(*name)).collect()
    }

    fn times(&self, name: &str) -> usize {
        self.fields.iter().filter(|field| *field.name == *name).count()
    }

    fn kind(&self, name: &str) -> Option<FieldKind> {
        self.fields.iter().find(|field| *field.name == *name)?.kind
    }

    /// Whether a field may be one of now, by their types.
    fn may_be(&self, name: &str, now: &Self, other: &str) -> bool {
        !matches!((self.kind(name), now.kind(other)), (Some(from), Some(to)) if from != to)
    }
}

/// The names before and behind a name; the edges are empty.
fn neighbours<'n>(names: &[&'n str], name: &str) -> (&'n str, &'n str) {
    let at = names.iter().position(|known| *known == name).unwrap_or_default();
    let before = at.checked_sub(1).and_then(|at| names.get(at)).copied().unwrap_or_default();
    (before, names.get(at + 1).copied().unwrap_or_default())
}

/// The names that both have and that left their order: those outside the longest run that kept it.
fn moved(before: &[&str], after: &[&str]) -> Vec<Box<str>> {
    let place: BTreeMap<&str, usize> = before.iter().copied().zip(0..).collect();
    let common: Vec<(usize, &str)> = after.iter().filter_map(|name| place.get(name).map(|at| (*at, *name))).collect();
    // Patience: per length of a rising run the place of its smallest last member, and before each member the one it follows.
    let mut ends: Vec<usize> = Vec::new();
    let mut follows: Vec<Option<usize>> = Vec::with_capacity(common.len());
    for (n, (at, _)) in common.iter().enumerate() {
        let length = ends.partition_point(|end| common[*end].0 < *at);
        follows.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() { ends.push(n) } else { ends[length] = n }
    }
    let mut kept = BTreeSet::new();
    let mut last = ends.last().copied();
    while let Some(n) = last {
        kept.insert(n);
        last = follows[n];
    }
    common.iter().enumerate().filter(|(n, _)| !kept.contains(n)).map(|(_, (_, name))| (*name).into()).collect()
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;

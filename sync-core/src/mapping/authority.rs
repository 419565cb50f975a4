//! Who may write a field.

use serde::{Deserialize, Serialize};

use super::Rule;
use crate::FieldRule;

/// What a source is for a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Its value is the field's.
    #[default]
    SourceOfTruth,
    /// Its value is kept beside the field and never overwrites it.
    Reference,
    /// The field is computed; no sync ever writes it.
    Derived,
}

/// A field as it is stored: its JSON text, and the priority of the source that set it (`None`: set by nobody we know).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// JSON text.
    pub value: &'a str,
    /// Of the source that set it.
    pub priority: Option<i32>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The new value is written.
    Write,
    /// It is already so. The source's priority counts from now on, if it is higher: see [`priority`](Self::priority).
    Unchanged,
    /// The stored value stays, for this reason.
    Keep(Rule),
}

impl Decision {
    /// The rule that decided, for lineage and plans.
    #[must_use]
    pub fn rule(self) -> Rule {
        match self {
            Self::Write => Rule::SourceOfTruth,
            Self::Unchanged => Rule::Unchanged,
            Self::Keep(rule) => rule,
        }
    }

    /// The priority that is stored with the field afterwards. A source that confirms a value defends it too: without that, a
    /// lower source could overwrite what a higher one said second, and the order of arrival would decide.
    #[must_use]
    pub fn priority(self, rule: FieldRule, stored: Option<Stored<'_>>) -> Option<i32> {
        let before = stored.and_then(|stored| stored.priority);
        match self {
            Self::Write => Some(rule.priority),
            Self::Unchanged => Some(before.map_or(rule.priority, |before| before.max(rule.priority))),
            Self::Keep(_) => before,
        }
    }
}

/// Decides one field: `stored` is `None` when the row is new or the field was never set; `theirs` is the source's JSON text, `None`
/// when the record does not have the field, which never changes anything. What is stored as priority afterwards says
/// [`Decision::priority`].
#[must_use]
pub fn decide(rule: FieldRule, stored: Option<Stored<'_>>, theirs: Option<&str>) -> Decision {
    let Some(theirs) = theirs else { return Decision::Keep(Rule::Absent) };
    match rule.authority {
        Authority::Derived => Decision::Keep(Rule::Derived),
        Authority::Reference => Decision::Keep(Rule::Reference),
        Authority::SourceOfTruth => match stored {
            Some(stored) if stored.value == theirs => Decision::Unchanged,
            Some(Stored { priority: Some(before), .. }) if before > rule.priority => Decision::Keep(Rule::LowerPriority),
            _ => Decision::Write,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AUTHORITIES: [Authority; 3] = [Authority::SourceOfTruth, Authority::Reference, Authority::Derived];

    #[test]
    fn every_state_is_decided_as_the_table_says() {
        let stored = |value, priority| Some(Stored { value, priority });
        for authority in AUTHORITIES {
            for before in
                [None, stored("1", None), stored("1", Some(4)), stored("1", Some(5)), stored("1", Some(6)), stored("null", Some(5))]
            {
                for theirs in [None, Some("null"), Some("\"\""), Some("1"), Some("2")] {
                    let rule = FieldRule { authority, priority: 5 };
                    let expected = match (authority, before, theirs) {
                        (_, _, None) => Decision::Keep(Rule::Absent),
                        (Authority::Derived, ..) => Decision::Keep(Rule::Derived),
                        (Authority::Reference, ..) => Decision::Keep(Rule::Reference),
                        (_, None, _) => Decision::Write,
                        (_, Some(before), Some(theirs)) if before.value == theirs => Decision::Unchanged,
                        (_, Some(Stored { priority: Some(6), .. }), _) => Decision::Keep(Rule::LowerPriority),
                        _ => Decision::Write,
                    };
                    let decision = decide(rule, before, theirs);
                    assert_eq!(decision, expected, "{authority:?} {before:?} {theirs:?}");
                    let after = decision.priority(rule, before);
                    match decision {
                        Decision::Keep(_) => assert_eq!(after, before.and_then(|before| before.priority)),
                        Decision::Write => assert_eq!(after, Some(5)),
                        Decision::Unchanged => assert!(after >= Some(5) && after >= before.and_then(|before| before.priority)),
                    }
                }
            }
        }
    }

    /// One field of one row, as a storage keeps it.
    #[derive(Default)]
    struct Row(Option<(String, Option<i32>)>);

    impl Row {
        fn arrive(&mut self, rule: FieldRule, theirs: Option<&str>) {
            let stored = self.0.as_ref().map(|(value, priority)| Stored { value, priority: *priority });
            let decision = decide(rule, stored, theirs);
            let priority = decision.priority(rule, stored);
            match (decision, theirs, &mut self.0) {
                (Decision::Write, Some(theirs), row) => *row = Some((theirs.into(), priority)),
                (_, _, Some(row)) => row.1 = priority,
                _ => {}
            }
        }
    }

    fn arrivals() -> impl Strategy<Value = Vec<(FieldRule, Option<&'static str>)>> {
        let theirs = prop::sample::select(vec![None, Some("null"), Some("\"\""), Some("1"), Some("2"), Some("3")]);
        let rule = (prop::sample::select(AUTHORITIES.to_vec()), 0..4).prop_map(|(authority, priority)| FieldRule { authority, priority });
        prop::collection::vec((rule, theirs), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn higher_priority_wins_whatever_the_order(arrivals in arrivals()) {
            let mut row = Row::default();
            for (rule, theirs) in &arrivals {
                row.arrive(*rule, *theirs);
            }
            let speaking = arrivals.iter().filter(|(rule, theirs)| rule.authority == Authority::SourceOfTruth && theirs.is_some());
            // Of equals, `max_by_key` answers the last: a source's own later value stands.
            let winner = speaking.max_by_key(|(rule, _)| rule.priority).and_then(|(_, theirs)| *theirs);
            prop_assert_eq!(row.0.as_ref().map(|(value, _)| value.as_str()), winner);
        }

        #[test]
        fn every_permutation_of_sources_ends_in_the_same_value(
            (sources, shuffled) in prop::collection::vec(prop::sample::select(vec!["1", "2", "3"]), 1..6)
                .prop_map(|values| values.into_iter().zip(0..).collect::<Vec<_>>())
                .prop_flat_map(|sources| (Just(sources.clone()), Just([sources.clone(), sources].concat()).prop_shuffle()))
        ) {
            let mut row = Row::default();
            for (value, priority) in shuffled {
                row.arrive(FieldRule { authority: Authority::SourceOfTruth, priority }, Some(value));
            }
            prop_assert_eq!(row.0.map(|(value, _)| value), sources.last().map(|(value, _)| (*value).to_owned()));
        }
    }
}

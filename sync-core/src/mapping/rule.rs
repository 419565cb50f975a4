//! The rules that decide what becomes of a field, or of a record at a service: one set of words for lineage, plans and conflicts.

use serde::{Deserialize, Serialize};

/// What decided about a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// A source of truth said so, and none of higher priority had.
    #[default]
    SourceOfTruth,
    /// A source said so, and somebody had allowed it to overwrite whatever is there.
    Forced,
    /// Somebody changed the row by hand.
    ByHand,
    /// The host changed the row, and had that written down.
    Recorded,
    /// Somebody took back what a run had done.
    Undo,
    /// Somebody decided that a value counts which had lost to a source of higher priority.
    Taken,
    /// The row went with the records that stood behind it; of a push: the host hands over that the record shall go.
    Deleted,
    /// It was so already.
    Unchanged,
    /// A source of higher priority had set the field.
    LowerPriority,
    /// The source is only a reference for the field.
    Reference,
    /// The field is computed by the host.
    Derived,
    /// The record does not have the field.
    Absent,
    /// Of a push: no record of the service is known for the row.
    New,
    /// Of a push: the row is no longer as the service accepted it.
    Changed,
    /// Of a push: it is as the service accepted it, and is sent all the same.
    Resent,
    /// Of a push: the record is not among the rows of a mirror.
    Mirrored,
    /// Of a push: it failed before.
    Retried,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl Rule {
    /// All that have a word of their own.
    const ALL: [Self; 17] = [
        Self::SourceOfTruth,
        Self::Forced,
        Self::ByHand,
        Self::Recorded,
        Self::Undo,
        Self::Taken,
        Self::Deleted,
        Self::Unchanged,
        Self::LowerPriority,
        Self::Reference,
        Self::Derived,
        Self::Absent,
        Self::New,
        Self::Changed,
        Self::Resent,
        Self::Mirrored,
        Self::Retried,
    ];

    /// As it stands in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceOfTruth => "source_of_truth",
            Self::Forced => "forced",
            Self::ByHand => "by_hand",
            Self::Recorded => "recorded",
            Self::Undo => "undo",
            Self::Taken => "taken",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
            Self::LowerPriority => "lower_priority",
            Self::Reference => "reference",
            Self::Derived => "derived",
            Self::Absent => "absent",
            Self::New => "new",
            Self::Changed => "changed",
            Self::Resent => "resent",
            Self::Mirrored => "mirrored",
            Self::Retried => "retried",
            Self::Other => "other",
        }
    }

    /// The rule of a change that a run made by this one: of a row that went with its records, that it went.
    #[must_use]
    pub fn of_change(self, row_went: bool) -> Self {
        match self {
            Self::SourceOfTruth | Self::Forced if row_went => Self::Deleted,
            rule => rule,
        }
    }

    /// Whether a person decided, and no source.
    #[must_use]
    pub fn by_people(self) -> bool {
        matches!(self, Self::ByHand | Self::Recorded | Self::Undo | Self::Taken)
    }
}

impl From<&str> for Rule {
    /// Reads [`as_str`](Self::as_str) back.
    fn from(text: &str) -> Self {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text).unwrap_or(Self::Other)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_word_in_tables_and_json_alike() {
        for rule in Rule::ALL {
            let json = serde_json::to_string(&rule).expect("JSON");
            assert_eq!(json, format!("\"{}\"", rule.as_str()));
            assert_eq!((Rule::from(rule.as_str()), serde_json::from_str::<Rule>(&json).expect("a rule")), (rule, rule));
        }
        assert_eq!(
            (Rule::from("of_tomorrow"), serde_json::from_str::<Rule>("\"of_tomorrow\"").expect("a rule")),
            (Rule::Other, Rule::Other)
        );
    }

    #[test]
    fn a_row_that_went_went_by_the_rule_of_those_who_decided_it() {
        for rule in Rule::ALL {
            let expected = if matches!(rule, Rule::SourceOfTruth | Rule::Forced) { Rule::Deleted } else { rule };
            assert_eq!((rule.of_change(true), rule.of_change(false)), (expected, rule), "{rule}");
        }
    }
}

//! Who may write a field.

use serde::{Deserialize, Serialize};

use crate::FieldRule;

/// What a source is for a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// It is already so.
    Unchanged,
    /// The stored value stays, for this reason.
    Keep(&'static str),
}

impl Decision {
    /// The rule that decided, for lineage and plans.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Write => "source_of_truth",
            Self::Unchanged => "unchanged",
            Self::Keep(rule) => rule,
        }
    }
}

/// Decides one field: `stored` is `None` when the row is new or the field was never set; `theirs` is the source's JSON text, `None`
/// when the record does not have the field, which never changes anything.
#[must_use]
pub fn decide(rule: FieldRule, stored: Option<Stored<'_>>, theirs: Option<&str>) -> Decision {
    let Some(theirs) = theirs else { return Decision::Keep("absent") };
    match rule.authority {
        Authority::Derived => Decision::Keep("derived"),
        Authority::Reference => Decision::Keep("reference"),
        Authority::SourceOfTruth => match stored {
            Some(stored) if stored.value == theirs => Decision::Unchanged,
            Some(Stored { priority: Some(theirs_is_lower), .. }) if theirs_is_lower > rule.priority => Decision::Keep("lower_priority"),
            _ => Decision::Write,
        },
    }
}

//! What a mapping does about nulls, about values it cannot read, and about columns nobody told it of.

use serde::{Deserialize, Serialize};

use super::{Cell, model::is_default};

/// What a null of the source does to a stored value. A field the record does not have never does anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NullPolicy {
    /// Null and the empty text are written like any other value.
    #[default]
    Write,
    /// Null and the empty text say nothing: the stored value stays.
    Keep,
    /// The empty text is null, which is written.
    ClearEmpty,
}

impl NullPolicy {
    /// The cell as it is written.
    #[inline]
    #[must_use]
    pub fn apply(self, cell: Cell<'_>) -> Cell<'_> {
        match self {
            Self::Keep if !cell.has_value() => Cell::Absent,
            Self::ClearEmpty if cell == Cell::Empty => Cell::Null,
            Self::Write | Self::Keep | Self::ClearEmpty => cell,
        }
    }
}

/// What becomes of a row with a value that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The row fails, with the reason.
    #[default]
    FailRow,
    /// The row is skipped, and a warning says why. What is stored of it stays.
    DropRow,
    /// The row is taken without the field, so that the stored value stays, and a warning says why.
    DropValue,
}

/// What is agreed about a source, and what happens when it does otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Contract {
    /// What new columns do. By default nobody asks: columns the mapping does not read are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<NewColumns>,
    /// Columns that are known and not read; they are never new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Box<str>>,
    /// What becomes of rows with values that cannot be read, for columns that do not say it themselves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub values: OnError,
}

impl Contract {
    /// Sets what new columns do.
    #[must_use]
    pub fn columns(mut self, columns: NewColumns) -> Self {
        self.columns = Some(columns);
        self
    }

    /// Adds a column that is known and not read.
    #[must_use]
    pub fn ignore(mut self, column: impl Into<Box<str>>) -> Self {
        self.ignore.push(column.into());
        self
    }

    /// Sets what becomes of rows with values that cannot be read.
    #[must_use]
    pub fn values(mut self, values: OnError) -> Self {
        self.values = values;
        self
    }
}

/// What a column does that the mapping neither reads nor ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NewColumns {
    /// It is named for a warning, once.
    Evolve,
    /// It stops the run before the first row.
    Freeze,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_say_what_null_and_empty_are() {
        use Cell::{Absent, Empty, Null, Value};
        for (policy, cells) in [
            (NullPolicy::Write, [Absent, Null, Empty, Value("0")]),
            (NullPolicy::Keep, [Absent, Absent, Absent, Value("0")]),
            (NullPolicy::ClearEmpty, [Absent, Null, Null, Value("0")]),
        ] {
            assert_eq!([Absent, Null, Empty, Value("0")].map(|cell| policy.apply(cell)), cells, "{policy:?}");
        }
    }
}

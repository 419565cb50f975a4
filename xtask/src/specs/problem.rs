//! What differs from a description, and the differences that are meant.

use std::{collections::BTreeMap, fmt};

/// Ways to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No operation of the service is called like this.
    Call,
    UnknownParameter,
    MissingParameter,
    /// A body where none belongs, none where one does, or one of another type.
    Body,
    UnknownField,
    MissingField,
    WrongType,
    /// Of the right type, but none of the values there are.
    WrongValue,
    ErrorCode,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "no such call",
            Self::UnknownParameter => "unknown parameter",
            Self::MissingParameter => "missing parameter",
            Self::Body => "wrong body",
            Self::UnknownField => "unknown field",
            Self::MissingField => "missing field",
            Self::WrongType => "wrong type",
            Self::WrongValue => "wrong value",
            Self::ErrorCode => "undocumented error",
        })
    }
}

/// One difference, by where it is in the exchange: `request.query.limit`, `response.body.messages[].ts`. Positions in lists are left
/// out, so that a thousand messages with one flaw are one problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) at: String,
    /// What was found and what was expected.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(kind: Kind, at: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, at: at.into(), text: text.into() }
    }
}

/// A difference that is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception {
    /// The folder of the description: `slack`.
    pub(crate) provider: &'static str,
    /// As the description names it, or `*`.
    pub(crate) operation: &'static str,
    pub(crate) kind: Kind,
    /// The place, or its beginning and `*`.
    pub(crate) at: &'static str,
    /// Why ours is right.
    pub(crate) reason: &'static str,
}

impl Exception {
    fn covers(&self, provider: &str, operation: &str, problem: &Problem) -> bool {
        let place = self.at.strip_suffix('*').map_or(problem.at == self.at, |beginning| problem.at.starts_with(beginning));
        self.provider == provider
            && matches!(self.operation, "*" | "") | (self.operation == operation)
            && self.kind == problem.kind
            && place
    }
}

/// The problems of one provider by operation, and how often each was seen.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) BTreeMap<(String, Problem), usize>);

impl Problems {
    pub(crate) fn add(&mut self, operation: &str, problem: Problem) {
        *self.0.entry((operation.to_owned(), problem)).or_default() += 1;
    }

    /// Takes out what is meant; marks in `used` the exceptions that covered something.
    pub(crate) fn excuse(&mut self, provider: &str, exceptions: &[Exception], used: &mut [bool]) {
        self.0.retain(|(operation, problem), _| {
            let mut excused = false;
            for (exception, used) in exceptions.iter().zip(&mut *used) {
                let covers = exception.covers(provider, operation, problem);
                *used |= covers;
                excused |= covers;
            }
            !excused
        });
    }
}

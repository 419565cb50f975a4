//! What is wrong with a mapping, and where.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Where in the mapping: `columns[3].transforms[1]`, counted from 0.
    pub place: Box<str>,
    /// What is wrong.
    pub problem: Box<str>,
    /// What to do about it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
}

impl Problem {
    pub(super) fn new(place: impl Into<Box<str>>, problem: impl Into<Box<str>>) -> Self {
        Self { place: place.into(), problem: problem.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<Box<str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Without its place, as part of one line.
    fn words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.problem),
            None => self.problem.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words())
    }
}

/// Problems in one line.
pub(super) fn line(problems: &[Problem]) -> String {
    problems.iter().map(Problem::words).collect::<Vec<_>>().join("; ")
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, place: impl Into<Box<str>>, problem: impl Into<Box<str>>) {
        self.0.push(Problem::new(place, problem));
    }

    pub(super) fn hinted(&mut self, place: impl Into<Box<str>>, problem: impl Into<Box<str>>, hint: impl Into<Box<str>>) {
        self.0.push(Problem::new(place, problem).hint(hint));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn line(&self) -> String {
        line(&self.0)
    }

    pub(super) fn list(self) -> Vec<Problem> {
        self.0
    }
}

//! What a check is, and how it says what it found.

use std::fmt;

use futures_util::future::BoxFuture;
use sync_core::{Error, ErrorKind};

use super::{Capability, scene::Scene};
use crate::suite::{Finding, differs};

/// Calls that a check needs have to work.
impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        differs("a call that goes through", format!("{error} [{}]", error.kind().as_str()))
    }
}

/// A rule is broken: what was seen that must not be.
pub(super) fn broken(seen: impl Into<String>) -> Finding {
    differs("otherwise", seen)
}

/// How a check ends.
pub(super) type Looked = Result<(), Finding>;

/// One rule, and the code that looks whether it is kept.
pub struct Check {
    /// Its name: what a report and a planted fault call it.
    pub name: &'static str,
    /// The rule, in one sentence.
    pub rule: &'static str,
    /// What the storage has to offer for it.
    pub needs: &'static [Capability],
    pub(super) run: fn(Scene) -> BoxFuture<'static, Looked>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("rule", &self.rule).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// A line of the catalogue: a function, its rule, and what it needs.
macro_rules! check {
    ($run:ident, $rule:literal $(, needs $($needed:ident),+)?) => {
        $crate::suite::storage::Check {
            name: stringify!($run),
            rule: $rule,
            needs: &[$($($crate::suite::storage::Capability::$needed),+)?],
            run: |scene| Box::pin($run(scene)),
        }
    };
}

/// Ends the check unless both are equal.
macro_rules! same {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return Err($crate::suite::differs(format!("{}: {expected:?}", format_args!($($what)+)), format!("{found:?}")));
                }
            }
        }
    };
}

/// Ends the check unless the condition holds.
macro_rules! holds {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::suite::storage::check::broken(format!($($what)+)));
        }
    };
}

/// The error of a call that has to be refused with this kind.
pub(super) fn refused<T>(answer: sync_core::Result<T>, kind: ErrorKind, what: &str) -> Result<Error, Finding> {
    let expected = || format!("{what}: refused as {}", kind.as_str());
    match answer {
        Ok(_) => Err(differs(expected(), "it went through")),
        Err(error) if error.kind() != kind => Err(differs(expected(), format!("{error} [{}]", error.kind().as_str()))),
        Err(error) => Ok(error),
    }
}

/// What has to be there.
pub(super) fn there<T>(found: Option<T>, what: &str) -> Result<T, Finding> {
    found.ok_or_else(|| differs(format!("{what} is there"), "it is not"))
}

//! What came of a suite.

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use sync_core::{Error, Result};

/// Real time after which a check counts as hung. Checks wait in virtual time alone, so that this is far beyond what they need.
const HUNG: Duration = Duration::from_secs(120);

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule holds.
    Passed,
    /// The rule was broken.
    Failed(Finding),
    /// It was not looked at, and why.
    Skipped(String),
}

/// What a check expected and what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What the rule asks for.
    pub expected: String,
    /// What came instead.
    pub seen: String,
}

/// One check of a suite and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The check's name.
    pub check: &'static str,
    /// The rule it proves.
    pub rule: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

/// Every check of a suite and how it ended. `Display` is a table for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    subject: String,
    entries: Vec<Entry>,
}

impl Report {
    pub(crate) fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), entries: Vec::new() }
    }

    pub(crate) fn add(&mut self, check: &'static str, rule: &'static str, verdict: Verdict) {
        self.entries.push(Entry { check, rule, verdict });
    }

    /// What was looked at.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Every check, in the suite's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The names of the checks that passed.
    #[must_use]
    pub fn passed(&self) -> Vec<&'static str> {
        self.named(|verdict| *verdict == Verdict::Passed)
    }

    /// The names of the checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The names of the checks that were not run; the table has the reasons.
    #[must_use]
    pub fn skipped(&self) -> Vec<&'static str> {
        self.named(|verdict| matches!(verdict, Verdict::Skipped(_)))
    }

    /// Takes note that all is well.
    ///
    /// # Panics
    /// With the whole table when a check failed.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.failed().is_empty(), "\n{self}");
    }

    fn named(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<&'static str> {
        self.entries.iter().filter(|entry| wanted(&entry.verdict)).map(|entry| entry.check).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed().len(), self.failed().len(), self.skipped().len());
        writeln!(f, "{}: {passed} passed, {failed} failed, {skipped} skipped", self.subject)?;
        let width = self.entries.iter().map(|entry| entry.check.len()).max().unwrap_or_default();
        for entry in &self.entries {
            match &entry.verdict {
                Verdict::Passed => writeln!(f, "  passed   {:width$}", entry.check)?,
                Verdict::Skipped(why) => writeln!(f, "  skipped  {:width$}  {why}", entry.check)?,
                Verdict::Failed(Finding { expected, seen }) => {
                    writeln!(f, "  FAILED   {:width$}  {}", entry.check, entry.rule)?;
                    writeln!(f, "           {:width$}  expected: {expected}", "")?;
                    writeln!(f, "           {:width$}  seen:     {seen}", "")?;
                }
            }
        }
        Ok(())
    }
}

/// Runs one check: a panic and a hang are failures of it, not of the suite.
pub(crate) async fn attempt(check: BoxFuture<'_, Result<(), Finding>>) -> Verdict {
    match tokio::time::timeout(HUNG, AssertUnwindSafe(check).catch_unwind()).await {
        Ok(Ok(Ok(()))) => Verdict::Passed,
        Ok(Ok(Err(finding))) => Verdict::Failed(finding),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Verdict::Failed(differs("no panic", text.unwrap_or("a panic without words")))
        }
        Err(_) => Verdict::Failed(differs("an end", format!("nothing in {} s of real time", HUNG.as_secs()))),
    }
}

pub(crate) fn differs(expected: impl Into<String>, seen: impl Into<String>) -> Finding {
    Finding { expected: expected.into(), seen: seen.into() }
}

pub(crate) fn ensure(holds: bool, expected: impl Into<String>, seen: impl FnOnce() -> String) -> Result<(), Finding> {
    if holds { Ok(()) } else { Err(differs(expected, seen())) }
}

/// Two things that have to be the same.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, expected: &T, seen: &T) -> Result<(), Finding> {
    ensure(expected == seen, format!("{what}: {expected:?}"), || format!("{seen:?}"))
}

/// The error of what had to be refused.
pub(crate) fn refused<T: fmt::Debug>(result: Result<T>, expected: &str) -> Result<Error, Finding> {
    match result {
        Ok(value) => Err(differs(expected, format!("{value:?}"))),
        Err(error) => Ok(error),
    }
}

pub(crate) trait Expect<T> {
    /// The value, or a finding that says what was expected.
    fn expected(self, what: &str) -> Result<T, Finding>;
}

impl<T> Expect<T> for Result<T> {
    fn expected(self, what: &str) -> Result<T, Finding> {
        self.map_err(|error| differs(what, format!("{error:?}")))
    }
}

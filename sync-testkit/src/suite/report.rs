//! What a suite found.

use std::fmt;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The rule is kept.
    Passed,
    /// It is not: what was expected and what was found.
    Failed(String),
    /// It was not looked at, for this reason.
    Skipped(String),
}

/// One check of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The check's name, as in the catalogue.
    pub name: &'static str,
    /// The rule it looks at, in one sentence.
    pub rule: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

/// What a suite found, check by check in the order of its catalogue. Shown as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Checked>,
}

impl Report {
    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| matches!(checked.verdict, Verdict::Failed(_)))
    }

    /// The checks that were not looked at.
    pub fn skipped(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| matches!(checked.verdict, Verdict::Skipped(_)))
    }

    /// Asserts that something was looked at and nothing failed.
    ///
    /// # Panics
    /// With the whole table when a check failed, or none passed.
    pub fn assert_passed(&self) {
        let passed = self.checks.iter().any(|checked| checked.verdict == Verdict::Passed);
        assert!(passed && self.failed().next().is_none(), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|checked| checked.name.len()).max().unwrap_or(0);
        for Checked { name, rule, verdict } in &self.checks {
            match verdict {
                Verdict::Passed => writeln!(f, "passed   {name:width$}  {rule}")?,
                Verdict::Skipped(reason) => writeln!(f, "skipped  {name:width$}  {rule} ({reason})")?,
                Verdict::Failed(found) => writeln!(f, "FAILED   {name:width$}  {rule}\n         {found}")?,
            }
        }
        let (failed, skipped) = (self.failed().count(), self.skipped().count());
        write!(f, "{} passed, {failed} failed, {skipped} skipped", self.checks.len() - failed - skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        Report { checks: verdicts.iter().map(|verdict| Checked { name: "check", rule: "rule", verdict: verdict.clone() }).collect() }
    }

    #[test]
    fn the_table_names_what_failed_and_what_was_left_out() {
        let report = report(&[Verdict::Passed, Verdict::Failed("1 instead of 2".into()), Verdict::Skipped("no host tables".into())]);
        let table = report.to_string();
        for part in ["passed   check", "FAILED   check", "1 instead of 2", "(no host tables)", "1 passed, 1 failed, 1 skipped"] {
            assert!(table.contains(part), "{part:?} in {table}");
        }
    }

    #[test]
    fn one_failure_or_nothing_looked_at_is_not_passed() {
        for verdicts in [vec![], vec![Verdict::Skipped("x".into())], vec![Verdict::Passed, Verdict::Failed("x".into())]] {
            let refused = std::panic::catch_unwind(|| report(&verdicts).assert_passed());
            assert!(refused.is_err(), "{verdicts:?}");
        }
        report(&[Verdict::Passed, Verdict::Skipped("x".into())]).assert_passed();
    }
}

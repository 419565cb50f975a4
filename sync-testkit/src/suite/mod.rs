//! Conformance suites: every rule an implementation has to keep, as a check that is known to fail when the rule is broken.

mod report;
pub mod storage;

pub use self::report::{Checked, Report, Verdict};

//! Conformance suites: what every storage has to do, as checks that an author runs over their own.
//!
//! A suite is given a fixture and answers a [`Report`]. Which checks run follows from what the fixture offers; those that do not are
//! listed with the reason, so that offering less hides nothing.

#[expect(dead_code, reason = "the suite for providers uses the rest of it")]
mod report;
pub mod storage;

pub use self::report::{Entry, Finding, Report, Verdict};
pub(crate) use self::report::{attempt, differs};

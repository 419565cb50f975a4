//! Conformance suites: what every provider, ad platform and storage has to do, as checks that an author runs over their own.
//!
//! A suite is given a fixture and answers a [`Report`]. Which checks run follows from what the fixture and the descriptor offer; those
//! that do not are listed with the reason, so that offering less hides nothing.

pub mod campaign;
pub mod faults;
pub mod provider;
mod report;
#[cfg(test)]
mod report_tests;
pub mod storage;

pub use self::report::{Entry, Finding, Report, Verdict};
pub(crate) use self::report::{Expect, attempt, differs, ensure, refused, same};

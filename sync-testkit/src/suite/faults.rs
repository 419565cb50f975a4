//! What can go wrong with one call, and what must come out of it.
//!
//! ```
//! use sync_testkit::suite::faults::{self, Write};
//!
//! let lost = faults::all().into_iter().find(|mishap| mishap.name == "a lost answer").expect("in the table");
//! assert!(lost.acts && lost.write == Some(Write::Unknown));
//! ```

use std::time::Duration;

use sync_core::ErrorKind;

use crate::Fault;

/// One thing that can go wrong with a call, and what must come out of a call that meets it each time it is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mishap {
    /// In words.
    pub name: &'static str,
    /// What a simulation is told.
    pub fault: Fault,
    /// Whether the service does what it was asked for all the same.
    pub acts: bool,
    /// What a read must answer: an error of one of these kinds.
    pub read: &'static [ErrorKind],
    /// How often a read is attempted at most.
    pub attempts: Attempts,
    /// What a write that cannot be repeated must answer; `None` where the answer may be a good one for a write.
    pub write: Option<Write>,
}

/// How often a read is attempted at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Once: asking again brings the same.
    Once,
    /// Once more.
    Twice,
    /// As often as the retry policy says.
    Policy,
}

/// What a write that cannot be repeated must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It may or may not be there.
    Unknown,
    /// It surely never left, and may be tried again.
    NotSent,
    /// The service refused it.
    Refused,
}

/// Answers that cannot be read as the service's: a read that meets one must fail, never look empty.
#[must_use]
pub fn unreadable() -> Vec<Mishap> {
    let body = |name, text: &str| Mishap { write: None, ..answer(name, Fault::Body(text.into())) };
    vec![
        answer("HTML", Fault::Html),
        answer("an empty body", Fault::Empty),
        body("an empty object", "{}"),
        body("ok and nothing else", r#"{"ok":true}"#),
        body("a list", "[]"),
        body("null", "null"),
        answer("half of a JSON text", Fault::Body(r#"{"ok":true,"id":"x","items":[{"id":"1"#.into())),
        Mishap { attempts: Attempts::Once, ..answer("100 MiB of JSON", Fault::Huge(100)) },
    ]
}

/// Failures that may be over when the call is made again.
#[must_use]
pub fn temporary() -> Vec<Mishap> {
    let lost = |name, fault, acts| Mishap {
        name,
        fault,
        acts,
        read: &[ErrorKind::Transport],
        attempts: Attempts::Policy,
        write: Some(Write::Unknown),
    };
    vec![
        lost("a cut body", Fault::Cut(20), true),
        lost("a lost answer", Fault::LostAnswer, true),
        lost("a lost request", Fault::LostRequest, false),
        lost("an answer that comes too late", Fault::Slow(Duration::from_secs(86_400)), true),
        lost("500", Fault::status(500, "{}"), false),
        lost("502", Fault::status(502, ""), false),
        lost("503", Fault::status(503, "<html>busy</html>"), false),
        lost("408", Fault::status(408, ""), false),
        Mishap { write: Some(Write::NotSent), ..lost("a refused connection", Fault::Refused, false) },
    ]
}

/// Refusals: asking again changes nothing.
#[must_use]
pub fn refusals() -> Vec<Mishap> {
    let refusal = |name, status, read| Mishap {
        name,
        fault: Fault::status(status, ""),
        acts: false,
        read,
        attempts: Attempts::Once,
        write: Some(Write::Refused),
    };
    vec![
        refusal("400", 400, &[ErrorKind::Invalid, ErrorKind::Config, ErrorKind::CursorExpired]),
        refusal("403", 403, &[ErrorKind::Forbidden]),
        refusal("404", 404, &[ErrorKind::NotFound, ErrorKind::CursorExpired, ErrorKind::Config]),
        refusal("410", 410, &[ErrorKind::NotFound, ErrorKind::CursorExpired, ErrorKind::Config]),
        refusal("422", 422, &[ErrorKind::Invalid, ErrorKind::Config, ErrorKind::CursorExpired]),
    ]
}

/// The whole table.
#[must_use]
pub fn all() -> Vec<Mishap> {
    [unreadable(), temporary(), refusals()].concat()
}

fn answer(name: &'static str, fault: Fault) -> Mishap {
    Mishap { name, fault, acts: false, read: &[ErrorKind::Decode], attempts: Attempts::Twice, write: Some(Write::Unknown) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_mishap_is_named_once() {
        let names: BTreeSet<_> = all().iter().map(|mishap| mishap.name).collect();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn a_write_that_was_acted_on_is_never_said_to_have_failed() {
        for mishap in all().into_iter().filter(|mishap| mishap.acts) {
            assert_eq!(mishap.write, Some(Write::Unknown), "{}", mishap.name);
        }
    }
}

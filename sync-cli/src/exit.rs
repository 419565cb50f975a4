//! What is told and answered when something did not go through.

use std::process::ExitCode;

use serde_json::json;
use syncline::{Error, ErrorKind, Outcome, core::RunError};

use crate::{
    flags,
    output::{self, Style},
};

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Partial = 3,
    Refused = 4,
    Busy = 5,
    Interrupted = 130,
}

impl Exit {
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Config | ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Key => Self::Usage,
            ErrorKind::Auth | ErrorKind::AuthRevoked => Self::Refused,
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Failed,
        }
    }

    /// The code of a run that ended, from its outcome and what stopped it.
    pub(crate) fn of_run(outcome: Outcome, errors: &[RunError]) -> Self {
        match outcome {
            Outcome::Ok => Self::Done,
            Outcome::Partial => Self::Partial,
            Outcome::Failed => errors.first().map_or(Self::Failed, |error| Self::of(error.kind)),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was asked: what happened, where, what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    kind: &'static str,
    what: String,
    place: String,
    hint: String,
}

/// The result of a command.
pub(crate) type Done<T = Exit> = Result<T, Failure>;

impl Failure {
    /// The command line, a file or the configuration is wrong.
    pub(crate) fn usage(what: impl Into<String>, place: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, kind: ErrorKind::Config.as_str(), what: what.into(), place: place.into(), hint: hint.into() }
    }

    /// Something of the machine failed: a file, a socket.
    pub(crate) fn failed(what: impl Into<String>, place: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, kind: "failed", ..Self::usage(what, place, hint) }
    }

    /// Ctrl-C, or SIGTERM.
    pub(crate) fn interrupted(what: impl Into<String>) -> Self {
        let kind = ErrorKind::Cancelled;
        Self { exit: Exit::Interrupted, kind: kind.as_str(), ..Self::usage(what, "Ctrl-C", kind.hint()) }
    }

    /// Another run is under way.
    pub(crate) fn busy(error: &Error) -> Self {
        let hint = "wait for it to end (`syncline runs`), then run this again";
        Self { exit: Exit::Busy, hint: hint.into(), ..Self::of(error) }
    }

    pub(crate) fn of(error: &Error) -> Self {
        let place = error.context().iter().fold(error.operation().to_owned(), |place, (what, which)| format!("{place}, {what} {which}"));
        Self {
            exit: Exit::of(error.kind()),
            kind: error.kind().as_str(),
            what: flags::spoken(error.text()),
            place,
            hint: flags::hint(error.text(), error.hint()).into(),
        }
    }

    /// Replaces what to do, where the command knows better than the library.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Says it on stderr; with `--json` also as the one document on stdout.
    pub(crate) fn report(&self, json: bool) {
        if json {
            output::json(&json!({
                "success": false,
                "error": { "kind": self.kind, "message": self.what, "where": self.place, "hint": self.hint },
            }));
        }
        print_error(&self.what, &self.place, &self.hint);
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

/// The three lines of an error, on stderr.
pub(crate) fn print_error(what: &str, place: &str, hint: &str) {
    let style = Style::stderr();
    let hint = flags::hint(what, hint);
    let lines = [
        format!("{} {}", style.bad("error:"), output::plain(&flags::spoken(what))),
        format!("  {} {}", style.faint("where:"), output::plain(place)),
        format!("  {} {}", style.faint("to do:"), output::plain(hint)),
    ];
    for line in lines {
        match console::Term::stderr().size_checked() {
            Some((_, columns)) => eprintln!("{}", output::wrap(&line, columns.into())),
            None => eprintln!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_from_what_stopped_the_run() {
        let stopped = |kind| RunError::new(&Error::new(kind, "pull", "text"));
        let cases = [
            (Outcome::Ok, None, 0),
            (Outcome::Partial, None, 3),
            (Outcome::Partial, Some(ErrorKind::Auth), 3),
            (Outcome::Failed, None, 1),
            (Outcome::Failed, Some(ErrorKind::Transport), 1),
            (Outcome::Failed, Some(ErrorKind::Storage), 1),
            (Outcome::Failed, Some(ErrorKind::Config), 2),
            (Outcome::Failed, Some(ErrorKind::Key), 2),
            (Outcome::Failed, Some(ErrorKind::Auth), 4),
            (Outcome::Failed, Some(ErrorKind::AuthRevoked), 4),
            (Outcome::Failed, Some(ErrorKind::Cancelled), 130),
        ];
        for (outcome, kind, code) in cases {
            let errors: Vec<RunError> = kind.map(stopped).into_iter().collect();
            assert_eq!(Exit::of_run(outcome, &errors) as u8, code, "{outcome:?} {kind:?}");
        }
    }
}

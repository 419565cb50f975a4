//! One module per command.

pub(crate) mod connect;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod pull;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod streams;

use syncline::{RecordFailure, Severity};

use crate::output::{self, Style};

/// How results are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// One JSON document on stdout.
    pub(crate) json: bool,
    /// No progress.
    pub(crate) quiet: bool,
}

/// A record failure as a line: errors red, warnings yellow, and what they are about.
pub(crate) fn failure(failure: &RecordFailure, style: Style) -> String {
    let text = output::plain(&failure.to_string());
    match failure.severity {
        Severity::Error => format!("{} {text}", style.bad("✗")),
        Severity::Warning => format!("{} {text}", style.warn("!")),
    }
}

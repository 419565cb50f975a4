//! One module per command.

pub(crate) mod authorize;
pub(crate) mod clients;
pub(crate) mod conflicts;
pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod ended;
pub(crate) mod erase;
pub(crate) mod explain;
pub(crate) mod failures;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod mapping;
pub(crate) mod migrate;
pub(crate) mod plans;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod records;
pub(crate) mod runs;
pub(crate) mod sandbox;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod streams;

use syncline::{RecordFailure, Severity};

use crate::{
    flags,
    output::{self, Style},
};

/// How results are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// One JSON document on stdout.
    pub(crate) json: bool,
    /// No progress.
    pub(crate) quiet: bool,
}

/// A record failure as a line: errors red, warnings yellow. The key is named where the text does not show it already.
pub(crate) fn failure(failure: &RecordFailure, style: Style) -> String {
    let text = flags::spoken(&failure.to_string());
    let key = failure.record.as_deref().filter(|record| !text.contains(*record) && !record.is_empty());
    let key = key.map(|key| style.faint(format!("  ({})", output::plain(key)))).unwrap_or_default();
    let text = output::plain(&text);
    match failure.severity {
        Severity::Error => format!("{} {text}{key}", style.bad("✗")),
        Severity::Warning => format!("{} {text}{key}", style.warn("!")),
    }
}

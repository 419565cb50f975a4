//! What became of the records of one commit.

use sync_core::{Counts, RecordFailure};

/// What became of the records so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<RecordFailure>,
    /// Keys for the host's hooks; `None` when there are none.
    pub(crate) keys: Option<Keys>,
}

#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) written: Vec<Box<str>>,
    pub(crate) deleted: Vec<Box<str>>,
}

impl Tally {
    pub(crate) fn wrote(&mut self, key: &str) {
        if let Some(keys) = &mut self.keys {
            keys.written.push(key.into());
        }
    }

    pub(crate) fn deleted(&mut self, key: &str) {
        if let Some(keys) = &mut self.keys {
            keys.deleted.push(key.into());
        }
    }
}

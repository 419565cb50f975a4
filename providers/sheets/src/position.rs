//! How far a scan has come, and what it holds on to from its first page.

use serde::{Deserialize, Serialize};
use sync_core::{Error, ErrorKind, PageToken, Result};

use crate::dates::DateKind;

/// A position inside one scan of a tab; as text it is the page token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The row to read next, counted from 1.
    pub(crate) next: u64,
    /// Rows the tab had when the scan began; those added since are for the next scan.
    pub(crate) rows: u64,
    /// Columns it had.
    pub(crate) columns: u64,
    /// The spreadsheet's time zone.
    pub(crate) zone: String,
    /// Columns that hold dates.
    pub(crate) dates: Vec<(usize, DateKind)>,
    /// Set from the second page on.
    pub(crate) seen: Option<Seen>,
    /// Rows were inserted, deleted or sorted meanwhile, so that some may not have been seen.
    pub(crate) moved: bool,
}

/// What the page before saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The header's fingerprint.
    pub(crate) header: String,
    /// A hash of the key in the row before `next`; it is read again to find out whether rows have moved.
    pub(crate) key: u64,
}

impl Position {
    /// Reads a page token.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when it is none of this provider's.
    pub(crate) fn of(token: &PageToken) -> Result<Self> {
        serde_json::from_str(token.as_str())
            .map_err(|problem| Error::new(ErrorKind::Invalid, "sheets.pull", "the page token is none of this provider's").because(problem))
    }

    /// The page token.
    pub(crate) fn token(&self) -> PageToken {
        PageToken::new(serde_json::to_string(self).expect("a position is JSON"))
    }

    /// Per column, whether it holds dates.
    pub(crate) fn date_kinds(&self) -> Vec<Option<DateKind>> {
        let mut kinds = vec![None; self.dates.last().map_or(0, |(column, _)| column + 1)];
        for (column, kind) in &self.dates {
            if let Some(slot) = kinds.get_mut(*column) {
                *slot = Some(*kind);
            }
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_whole_position_and_anything_else_is_refused() {
        let position = Position {
            next: 5_002,
            rows: 9_000,
            columns: 26,
            zone: "GMT-07:00".into(),
            dates: vec![(1, DateKind::Date), (3, DateKind::DateTime)],
            seen: Some(Seen { header: "5e3d".into(), key: u64::MAX }),
            moved: true,
        };
        assert_eq!(Position::of(&position.token()).expect("its own token"), position);
        assert_eq!(position.date_kinds(), [None, Some(DateKind::Date), None, Some(DateKind::DateTime)]);
        for text in ["", "5002", "{}", r#"{"next":-1}"#] {
            assert_eq!(Position::of(&PageToken::from(text)).expect_err(text).kind(), ErrorKind::Invalid);
        }
    }
}

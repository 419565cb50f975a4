//! Where a read of a channel stands: newest first through the history, and after each page of it through the threads it showed.

use serde::{Deserialize, Serialize};
use sync_core::{Cursor, Error, ErrorKind, PageToken, Result};

use crate::ts::Ts;

/// The form of our cursors: the text of the newest timestamp seen.
const VERSION: u16 = 1;

/// The bare text of a cursor: the newest message that was surely read.
pub(crate) fn newest(cursor: &Cursor) -> Result<Ts> {
    let known = (cursor.version == VERSION).then(|| Ts::parse(&cursor.state)).flatten();
    known.ok_or_else(|| Error::new(ErrorKind::CursorExpired, "slack.messages", "the stored position is of another form"))
}

pub(crate) fn cursor(newest: Ts) -> Cursor {
    Cursor::new(VERSION, newest.text())
}

/// What is left to read of a window, as a page token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Position {
    /// The window's ends, fixed by its first page: a scan that goes on mid-way keeps them.
    pub(crate) oldest: Option<String>,
    pub(crate) latest: String,
    /// The newest timestamp seen so far.
    pub(crate) newest: Option<String>,
    /// Threads of the last history page that are still to be read, the next one first.
    pub(crate) threads: Vec<String>,
    /// Where the next page of the first of them begins.
    pub(crate) thread_cursor: Option<String>,
    /// Where the next history page begins; `None` when the history was read to its end.
    pub(crate) history_cursor: Option<String>,
}

impl Position {
    pub(crate) fn of(token: &PageToken) -> Result<Self> {
        serde_json::from_str(token.as_str())
            .map_err(|e| Error::new(ErrorKind::CursorExpired, "slack.messages", "the stored page token is of another form").because(e))
    }

    pub(crate) fn token(&self) -> PageToken {
        PageToken::from(serde_json::to_string(self).expect("texts and lists of texts are JSON"))
    }

    /// Notes a timestamp that was seen.
    pub(crate) fn saw(&mut self, ts: Ts) {
        if self.newest().is_none_or(|newest| newest < ts) {
            self.newest = Some(ts.text());
        }
    }

    pub(crate) fn newest(&self) -> Option<Ts> {
        Ts::parse(self.newest.as_deref()?)
    }

    /// Whether nothing is left.
    pub(crate) fn is_end(&self) -> bool {
        self.threads.is_empty() && self.history_cursor.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_token() {
        let mut position = Position { latest: "9.000000".into(), threads: vec!["1.000001".into()], ..Position::default() };
        position.saw(Ts::parse("5.000000").expect("well formed"));
        position.saw(Ts::parse("4.000000").expect("well formed"));
        assert_eq!(position.newest.as_deref(), Some("5.000000"));
        assert_eq!(Position::of(&position.token()).expect("our own"), position);
    }

    #[test]
    fn positions_of_another_form_ask_for_a_full_read() {
        for token in ["", "{}}", r#"{"page":3}"#] {
            assert_eq!(Position::of(&token.into()).expect_err("foreign").kind(), ErrorKind::CursorExpired, "{token}");
        }
        for (version, state) in [(1, "yesterday"), (2, "5.000000")] {
            assert_eq!(newest(&Cursor::new(version, state)).expect_err("foreign").kind(), ErrorKind::CursorExpired);
        }
    }
}

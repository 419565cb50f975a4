//! Positions: the durable cursor of a channel, and the page tokens of a scan.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sync_core::{Cursor, Error, ErrorKind, PageToken, PullRequest, Result};

use crate::ts::Ts;

const OPERATION: &str = "slack.pull";

/// The form of cursors and page tokens; what has another one is read anew.
const VERSION: u16 = 1;

/// The cursor that says: everything up to this message was read.
pub(crate) fn cursor(ts: Ts) -> Cursor {
    Cursor::new(VERSION, ts.to_string())
}

fn position(cursor: &Cursor) -> Result<Ts> {
    Some(cursor).filter(|cursor| cursor.version == VERSION).and_then(|cursor| Ts::parse(&cursor.state)).ok_or_else(|| expired("cursor"))
}

fn expired(what: &str) -> Error {
    Error::new(ErrorKind::CursorExpired, OPERATION, format!("the stored {what} is none of this version's"))
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u16,
    #[serde(flatten)]
    at: T,
}

fn token<T: Serialize>(at: T) -> PageToken {
    PageToken::new(serde_json::to_string(&Versioned { v: VERSION, at }).expect("a position is JSON"))
}

fn of_token<T: DeserializeOwned>(token: &PageToken) -> Result<T> {
    let versioned: Versioned<T> = serde_json::from_str(token.as_str()).map_err(|problem| expired("page token").because(problem))?;
    if versioned.v == VERSION { Ok(versioned.at) } else { Err(expired("page token")) }
}

/// Where a listing of channels or users stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListScan {
    /// Slack's cursor of the page to read; `None` is the first.
    pub(crate) next: Option<String>,
    /// Whether rows could not be read, so that absence proves nothing.
    pub(crate) unseen: bool,
}

impl ListScan {
    /// Where to go on.
    ///
    /// # Errors
    /// [`CursorExpired`](ErrorKind::CursorExpired) when the token is of another version.
    pub(crate) fn of(request: &PullRequest) -> Result<Self> {
        request.after.as_ref().map_or_else(|| Ok(Self::default()), of_token)
    }

    /// The page token.
    pub(crate) fn token(&self) -> PageToken {
        token(self)
    }
}

/// Where the scan of a channel stands: its window, the page of the history to read next, and the threads that the last page of it
/// showed, which are read before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scan {
    /// The first moment of the window; `None` reads from the channel's beginning.
    pub(crate) oldest: Option<Ts>,
    /// The last moment of the window, the same for all pages and after a restart.
    pub(crate) latest: Ts,
    /// The highest timestamp known to be read once the scan ends.
    pub(crate) high: Option<Ts>,
    /// Whether messages may be there that the scan did not show.
    pub(crate) unseen: bool,
    /// Where the history goes on.
    pub(crate) history: History,
    /// Parents of threads still to be read.
    pub(crate) threads: VecDeque<Ts>,
    /// Slack's cursor inside the first of them.
    pub(crate) replies: Option<String>,
}

/// The part of a history still to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum History {
    /// All of it.
    Whole,
    /// From Slack's cursor on.
    From(String),
    /// Nothing.
    Read,
}

impl Scan {
    /// Where to go on: at the page token, else at the beginning of the window that the cursor and the span to read again describe.
    ///
    /// # Errors
    /// [`CursorExpired`](ErrorKind::CursorExpired) when cursor or token are of another version.
    pub(crate) fn of(request: &PullRequest) -> Result<Self> {
        if let Some(after) = &request.after {
            return of_token(after);
        }
        let high = request.cursor.as_ref().map(position).transpose()?;
        Ok(Self {
            oldest: high.map(|high| high.back(request.look_back)),
            latest: Ts::of(request.until),
            high,
            unseen: false,
            history: History::Whole,
            threads: VecDeque::new(),
            replies: None,
        })
    }

    /// The page token.
    pub(crate) fn token(&self) -> PageToken {
        token(self)
    }

    /// Slack's cursor of the page to read.
    pub(crate) fn page(&self) -> Option<&str> {
        match &self.history {
            _ if !self.threads.is_empty() => self.replies.as_deref(),
            History::From(cursor) => Some(cursor),
            History::Whole | History::Read => None,
        }
    }

    /// Takes in what a page showed; `next` is Slack's cursor of the page after it.
    pub(crate) fn advance(&mut self, next: Option<String>, threads: Vec<Ts>, highest: Option<Ts>, unseen: bool) {
        if self.threads.is_empty() {
            self.history = next.map_or(History::Read, History::From);
            self.threads = threads.into();
        } else {
            if next.is_none() {
                self.threads.pop_front();
            }
            self.replies = next;
        }
        // Nothing beyond the window is known to be complete, even if it was shown.
        self.high = self.high.max(highest.filter(|ts| *ts <= self.latest));
        self.unseen |= unseen;
    }

    /// Whether everything was read.
    pub(crate) fn is_done(&self) -> bool {
        self.history == History::Read && self.threads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use sync_core::Partition;

    use super::*;

    fn ts(text: &str) -> Ts {
        Ts::parse(text).expect("a timestamp")
    }

    fn request(cursor: Option<Cursor>, after: Option<PageToken>) -> PullRequest {
        let mut request = PullRequest::new("messages", Partition::new("C1"), DateTime::<Utc>::from_timestamp(2_000, 999).expect("a time"));
        request.cursor = cursor;
        request.after = after;
        request.look_back = Duration::from_secs(100);
        request
    }

    #[test]
    fn the_window_reaches_from_before_the_cursor_to_the_end_of_the_run() {
        let scan = Scan::of(&request(Some(Cursor::new(1, "1000.000001")), None)).expect("a cursor");
        assert_eq!((scan.oldest, scan.latest, scan.high), (Some(ts("900.000001")), ts("2000.000000"), Some(ts("1000.000001"))));
        assert_eq!(Scan::of(&request(None, None)).expect("no cursor").oldest, None);
    }

    #[test]
    fn what_another_version_stored_is_read_anew() {
        for cursor in [Cursor::new(2, "1000.000001"), Cursor::new(1, "1000"), Cursor::new(1, "")] {
            assert_eq!(Scan::of(&request(Some(cursor), None)).expect_err("unknown").kind(), ErrorKind::CursorExpired);
        }
        for token in ["", "{}", r#"{"v":2,"next":null,"unseen":false}"#, r#"{"v":1,"next":7,"unseen":false}"#] {
            assert_eq!(Scan::of(&request(None, Some(token.into()))).expect_err(token).kind(), ErrorKind::CursorExpired);
            assert_eq!(ListScan::of(&request(None, Some(token.into()))).expect_err(token).kind(), ErrorKind::CursorExpired);
        }
    }

    #[test]
    fn a_page_of_history_is_followed_by_its_threads() {
        let mut scan = Scan::of(&request(None, None)).expect("no cursor");
        scan.advance(Some("h2".into()), vec![ts("3.000000"), ts("1.000000")], Some(ts("4.000000")), false);
        assert_eq!((scan.page(), scan.threads.len()), (None, 2));
        scan.advance(Some("r2".into()), vec![], Some(ts("5.000000")), true);
        assert_eq!((scan.page(), scan.threads.len()), (Some("r2"), 2));
        scan.advance(None, vec![], None, false);
        assert_eq!((scan.page(), scan.threads.len()), (None, 1));
        scan.advance(None, vec![], Some(ts("2000.000001")), false);
        assert_eq!((scan.page(), scan.threads.len(), scan.is_done()), (Some("h2"), 0, false));
        scan.advance(None, vec![], None, false);
        assert!(scan.is_done() && scan.unseen);
        assert_eq!(scan.high, Some(ts("5.000000")), "what lies beyond the window does not count");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn positions_come_back_to_the_last_digit(high in "(0|[1-9][0-9]{0,11})\\.[0-9]{6}", page in ".{0,40}", unseen: bool, threads in 0usize..5) {
            let at = ts(&high);
            prop_assert_eq!(&*cursor(at).state, high.as_str());
            let scan = Scan {
                oldest: Some(at),
                latest: at,
                high: Some(at),
                unseen,
                history: History::From(page.clone()),
                threads: std::iter::repeat_n(at, threads).collect(),
                replies: Some(page.clone()),
            };
            prop_assert_eq!(Scan::of(&request(None, Some(scan.token()))).expect("its own token"), scan);
            let list = ListScan { next: Some(page), unseen };
            prop_assert_eq!(ListScan::of(&request(None, Some(list.token()))).expect("its own token"), list);
        }
    }
}

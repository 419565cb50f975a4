//! From status and headers to an error: the default table.

use http::StatusCode;
use sync_core::{Delivery, Error, ErrorKind, Result, Retry};

use crate::{Answer, hint::retry_after};

/// What an answer means: `Ok` to use it, `Err` with its kind, whether to try again, and whether it took effect.
///
/// The one place per provider where status, headers and body become an error. It sees 2xx too, for services that answer 200 with an
/// error inside. The body it sees holds no token, whatever the service repeated.
pub type Classifier = fn(operation: &'static str, answer: &Answer) -> Result<()>;

/// The service's own words are cut here.
const LONGEST_MESSAGE: usize = 2048;

/// The meaning of an answer by its status alone; a provider's classifier ends with it.
///
/// `message` is the service's own words, if the body had any; they are cut to 2 KiB and made one line.
///
/// | status | kind | again | took effect |
/// |---|---|---|---|
/// | 2xx, 304 | fine | | |
/// | 401 | `Auth` | after a refresh | no |
/// | 403 | `Forbidden` | no | no |
/// | 404, 410 | `NotFound` | no | no |
/// | 408, 5xx | `Transport` | yes | unknown |
/// | 409 | `Conflict` | no | no |
/// | 429 | `RateLimited` | yes, after `Retry-After` | no |
/// | other 4xx | `Invalid` | no | no |
/// | 1xx, other 3xx | `Transport` | no | no |
///
/// # Errors
/// As the table says.
pub fn classify_status(operation: &'static str, answer: &Answer, message: Option<&str>) -> Result<()> {
    let status = answer.status;
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    let wait = Retry::After(retry_after(&answer.headers));
    let (kind, retry, delivery) = match status.as_u16() {
        401 => (ErrorKind::Auth, Retry::Never, Delivery::Answered),
        403 => (ErrorKind::Forbidden, Retry::Never, Delivery::Answered),
        404 | 410 => (ErrorKind::NotFound, Retry::Never, Delivery::Answered),
        408 | 500..=599 => (ErrorKind::Transport, wait, Delivery::Unknown),
        409 => (ErrorKind::Conflict, Retry::Never, Delivery::Answered),
        429 => (ErrorKind::RateLimited, wait, Delivery::Answered),
        400..=499 => (ErrorKind::Invalid, Retry::Never, Delivery::Answered),
        _ => (ErrorKind::Transport, Retry::Never, Delivery::Answered),
    };
    let text = match message.map(one_line).filter(|words| !words.is_empty()) {
        Some(words) => format!("the service answered {status}: {words}"),
        None if status.is_redirection() => {
            format!("the service answered {status}; redirects are not followed, check the base URL and the network")
        }
        None => format!("the service answered {status}"),
    };
    Err(Error::new(kind, operation, text).with_retry(retry).with_delivery(delivery))
}

/// Somebody else's words as one line of at most 2 KiB.
pub(crate) fn one_line(words: &str) -> String {
    let mut line = String::new();
    for word in words.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty()) {
        let room = LONGEST_MESSAGE.saturating_sub(line.len() + 1);
        if word.len() > room {
            let end = word.floor_char_boundary(room.saturating_sub('…'.len_utf8()));
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(&word[..end]);
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};

    use super::*;

    fn answer(status: u16) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("9"))]);
        Answer { status, headers, body: Bytes::new() }
    }

    #[test]
    fn statuses_are_classified_by_the_table() {
        use Delivery::{Answered, Unknown};
        use ErrorKind::{Auth, Conflict, Forbidden, Invalid, NotFound, RateLimited, Transport};
        let after = Retry::After(Some(Duration::from_secs(9)));
        for (status, kind, retry, delivery) in [
            (301, Transport, Retry::Never, Answered),
            (307, Transport, Retry::Never, Answered),
            (400, Invalid, Retry::Never, Answered),
            (401, Auth, Retry::Never, Answered),
            (403, Forbidden, Retry::Never, Answered),
            (404, NotFound, Retry::Never, Answered),
            (408, Transport, after, Unknown),
            (409, Conflict, Retry::Never, Answered),
            (410, NotFound, Retry::Never, Answered),
            (422, Invalid, Retry::Never, Answered),
            (429, RateLimited, after, Answered),
            (500, Transport, after, Unknown),
            (502, Transport, after, Unknown),
            (503, Transport, after, Unknown),
            (599, Transport, after, Unknown),
            (700, Transport, Retry::Never, Answered),
        ] {
            let error = classify_status("x.y", &answer(status), None).expect_err("an error");
            assert_eq!((error.kind(), error.retry(), error.delivery()), (kind, retry, delivery), "{status}");
            assert!(error.text().contains(&status.to_string()), "{error}");
        }
        for status in [200, 201, 204, 206, 304] {
            classify_status("x.y", &answer(status), Some("fine")).expect("no error");
        }
    }

    #[test]
    fn the_services_words_come_as_one_short_line() {
        let error = classify_status("x.y", &answer(400), Some(" bad\r\n\tfield \u{1b}[31mred ")).expect_err("an error");
        assert_eq!(error.text(), "the service answered 400 Bad Request: bad field [31mred");
        for words in ["ä".repeat(5000), "word ".repeat(5000), format!("x {}", "y".repeat(5000))] {
            let line = one_line(&words);
            assert!(line.len() <= LONGEST_MESSAGE && line.len() > LONGEST_MESSAGE - 16 && line.ends_with('…'), "{}", line.len());
        }
        assert_eq!(one_line(" \n "), "");
    }
}

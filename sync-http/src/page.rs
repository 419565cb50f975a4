//! Paging: offsets, and links to the next page that stay where they belong.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sync_core::{Error, ErrorKind, PageToken, Result};
use url::Url;

const OPERATION: &str = "page";

/// What may stand in a path segment as it is (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one segment of a path, percent-encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A link of a service (to its next page, say) as a path with query below `base`, ready for [`Request::get`](crate::Request::get).
/// Relative links are taken relative to `base`.
///
/// # Errors
/// [`Decode`](ErrorKind::Decode) when it leads to another origin, from https to http, or out of the base path: no credential goes there.
pub fn same_origin_path(base: &Url, link: &str) -> Result<String> {
    let wrong = |what: &str| Error::new(ErrorKind::Decode, OPERATION, format!("the link to the next page {what}; it was not followed"));
    let url = base.join(link).map_err(|_| wrong("is no URL"))?;
    if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("leads to another origin"));
    }
    let below = base.path().trim_end_matches('/');
    let path = url.path().strip_prefix(below).filter(|rest| rest.starts_with('/')).ok_or_else(|| wrong("leads out of the API's path"))?;
    let path = path.trim_start_matches('/');
    Ok(url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}

/// The offset a page token stands for; no token is the beginning.
///
/// # Errors
/// [`Decode`](ErrorKind::Decode) when it is no number.
pub fn offset_after(token: Option<&PageToken>) -> Result<u64> {
    token.map_or(Ok(0), |token| {
        token.as_str().parse().map_err(|_| Error::new(ErrorKind::Decode, OPERATION, "the page token is no offset; start the scan anew"))
    })
}

/// The token of the page after one that began at `offset` and brought `got` of at most `page_size` records, or `None` after the last.
///
/// With a `total` the scan goes on until that many were seen, even past a short page; without one a short page is the last. An empty page
/// always is: going on would ask for it for ever.
#[must_use]
pub fn offset_next(offset: u64, got: u64, total: Option<u64>, page_size: u64) -> Option<PageToken> {
    let reached = offset.saturating_add(got);
    let more = got > 0 && total.map_or(got >= page_size, |total| reached < total);
    more.then(|| PageToken::from(reached.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_links_stay_at_the_origin_and_below_the_base() {
        let base = Url::parse("https://api.example.com/v3/").expect("a URL");
        for (link, expected) in [
            ("https://api.example.com/v3/lists?cursor=a%2Fb", Ok("lists?cursor=a%2Fb")),
            ("https://API.example.com:443/v3/lists", Ok("lists")),
            ("/v3/lists/1/members?offset=2", Ok("lists/1/members?offset=2")),
            ("lists?page=2#top", Ok("lists?page=2")),
            ("?page=2", Ok("?page=2")),
            ("http://api.example.com/v3/lists", Err("another origin")),
            ("https://api.example.com:8443/v3/lists", Err("another origin")),
            ("https://evil.example.com/v3/lists", Err("another origin")),
            ("//evil.example.com/v3/lists", Err("another origin")),
            ("https://api.example.com@evil.example.com/v3/lists", Err("another origin")),
            ("https://user:pass@api.example.com/v3/lists", Err("another origin")),
            ("https://api.example.com.evil.com/v3/", Err("another origin")),
            ("javascript:alert(1)", Err("another origin")),
            ("https://api.example.com/v3/../admin", Err("out of the API's path")),
            ("/v30/lists", Err("out of the API's path")),
            ("https://", Err("no URL")),
        ] {
            match (same_origin_path(&base, link), expected) {
                (Ok(path), Ok(expected)) => assert_eq!(path, expected, "{link}"),
                (Err(error), Err(expected)) => {
                    assert_eq!(error.kind(), ErrorKind::Decode);
                    assert!(error.text().contains(expected), "{link}: {error}");
                }
                (found, _) => panic!("{link}: {found:?}"),
            }
        }
    }

    #[test]
    fn offsets_go_on_until_everything_was_seen() {
        let token = |offset: u64| Some(PageToken::from(offset.to_string()));
        for (offset, got, total, page_size, expected) in [
            (0, 100, None, 100, token(100)),
            (100, 99, None, 100, None),
            (0, 0, None, 100, None),
            (0, 100, Some(250), 100, token(100)),
            (100, 50, Some(250), 100, token(150)),
            (200, 50, Some(250), 100, None),
            (200, 0, Some(250), 100, None),
            (0, 100, Some(100), 100, None),
        ] {
            assert_eq!(offset_next(offset, got, total, page_size), expected, "{offset} {got} {total:?}");
        }
        assert_eq!(offset_after(None).expect("the beginning"), 0);
        assert_eq!(offset_after(token(150).as_ref()).expect("an offset"), 150);
        assert_eq!(offset_after(Some(&"x".into())).expect_err("no offset").kind(), ErrorKind::Decode);
    }

    #[test]
    fn a_segment_holds_nothing_that_ends_it() {
        assert_eq!(segment("Plan 'Q1'/a?b#c%"), "Plan%20%27Q1%27%2Fa%3Fb%23c%25");
        assert_eq!(segment("1BxiMVs0XRA5-nFM_dKvB.d~"), "1BxiMVs0XRA5-nFM_dKvB.d~");
    }
}

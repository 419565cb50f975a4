//! What answer headers say about waiting: `Retry-After` and what is left of a quota.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

/// How long the service asks to wait, or `None` when it asks for nothing that can be understood.
///
/// Both forms of `Retry-After` (RFC 9110, section 10.2.3): whole seconds, or a date in any of its three forms, counted from the
/// answer's own `Date`, so that a wrong clock on either side does no harm. A date that has passed, a negative number and anything else
/// count as absent.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let until = httpdate::parse_http_date(value).ok()?;
    until.duration_since(answered(headers)).ok()
}

/// What is left of the quota and when it is full again, from `X-RateLimit-Remaining`/`-Reset` or the unprefixed names.
///
/// A reset that is a point in time (Unix seconds) is counted from the answer's own `Date`. Both are for the quota the service counts by,
/// so that a provider whose headers speak of another one should not rely on them.
#[must_use]
pub fn quota_left(headers: &HeaderMap) -> (Option<u32>, Option<Duration>) {
    /// A number of seconds this large is a date.
    const DATES_FROM: f64 = 1e9;
    let left = number(headers, ["x-ratelimit-remaining", "ratelimit-remaining"]);
    let resets_in = number(headers, ["x-ratelimit-reset", "ratelimit-reset"]).and_then(|reset| {
        if reset < DATES_FROM {
            return Duration::try_from_secs_f64(reset).ok();
        }
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(reset).ok()?)?;
        Some(at.duration_since(answered(headers)).unwrap_or_default())
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and a float cast saturates")]
    (left.map(|left| left as u32), resets_in)
}

/// When the answer was made, by the service's own clock where it tells.
fn answered(headers: &HeaderMap) -> SystemTime {
    text(headers, DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or_else(SystemTime::now)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The first of `names` that holds a number that is not negative; some services count in fractions.
fn number(headers: &HeaderMap, names: [&str; 2]) -> Option<f64> {
    names.iter().find_map(|name| text(headers, name)?.parse().ok()).filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a plain value"))).collect()
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_ignored_in_any_other() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:00 GMT";
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (value, expected) in [
            ("120", seconds(120)),
            ("0", seconds(0)),
            (" 7 ", seconds(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", seconds(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", seconds(37)),
            ("Sun Nov  6 08:49:37 1994", seconds(37)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", seconds(0)),
            ("Sun, 06 Nov 1994 08:48:59 GMT", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("99999999999999999999999", None),
            ("", None),
            ("soon", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(&headers(&[("retry-after", value), ("date", DATE)])), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn a_retry_date_without_a_date_header_is_counted_from_now() {
        let in_a_minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = retry_after(&headers(&[("retry-after", &in_a_minute)])).expect("a date to come");
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(retry_after(&headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")])), None);
    }

    #[test]
    fn quota_headers_are_read_as_seconds_or_as_a_date() {
        const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
        for (remaining, reset, expected) in [
            ("98", "30", (Some(98), Some(30))),
            ("98.0", "30", (Some(98), Some(30))),
            ("0", "1767225660", (Some(0), Some(60))),
            ("0", "1767225000", (Some(0), Some(0))),
            ("-3", "-1", (None, None)),
            ("many", "soon", (None, None)),
            ("1e300", "NaN", (Some(u32::MAX), None)),
        ] {
            for prefix in ["x-", ""] {
                let names = if prefix.is_empty() {
                    ["ratelimit-remaining", "ratelimit-reset"]
                } else {
                    ["x-ratelimit-remaining", "x-ratelimit-reset"]
                };
                let (left, resets_in) = quota_left(&headers(&[(names[0], remaining), (names[1], reset), ("date", DATE)]));
                assert_eq!((left, resets_in.map(|wait| wait.as_secs())), expected, "{prefix} {remaining} {reset}");
            }
        }
    }
}

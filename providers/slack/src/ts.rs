//! Slack's timestamps: `seconds.micros` with six decimals, the id of a message in its channel. Text in, text out; compared and
//! moved as whole microseconds, never as a float.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A timestamp in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ts(i64);

impl Ts {
    /// Reads `1712345678.123456`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seconds, micros) = text.split_once('.')?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if micros.len() != 6 || seconds.is_empty() || !digits(micros) || !digits(seconds) {
            return None;
        }
        let seconds: i64 = seconds.parse().ok()?;
        seconds.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?).map(Self)
    }

    /// The moment `at`, cut to microseconds.
    pub(crate) fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros().max(0))
    }

    /// `span` earlier, not before 1970.
    pub(crate) fn before(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span).max(0))
    }

    /// As Slack writes it.
    pub(crate) fn text(self) -> String {
        format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn anything_but_seconds_and_six_decimals_is_refused() {
        for text in ["", "1712345678", "1712345678.1", "1712345678.1234567", ".123456", "17x.123456", "-1.000000", "1.12345a", "1e9.000000"]
        {
            assert_eq!(Ts::parse(text), None, "{text:?}");
        }
        assert_eq!(Ts::parse("99999999999999999999.000000"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_timestamp_keeps_its_exact_text_and_order(a in 0i64..=9_999_999_999_999_999, b in 0i64..=9_999_999_999_999_999) {
            let text = |micros: i64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            let (one, two) = (Ts::parse(&text(a)).expect("well formed"), Ts::parse(&text(b)).expect("well formed"));
            prop_assert_eq!(one.text(), text(a));
            prop_assert_eq!(one < two, a < b);
        }
    }

    #[test]
    fn looking_back_never_leaves_the_calendar() {
        let ts = Ts::parse("10.000001").expect("well formed");
        assert_eq!(ts.before(Duration::from_secs(3)).text(), "7.000001");
        assert_eq!(ts.before(Duration::MAX).text(), "0.000000");
    }
}

//! Slack's timestamps: text to the outside, whole microseconds inside, never a float.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const MICROS: i64 = 1_000_000;

/// A message's `ts`: seconds since 1970, a point, six digits. Text and value stand for each other one to one, so that what is written
/// is what was read, to the last digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ts(i64);

impl Ts {
    /// Reads `1512085950.000216`; `None` for any other form of it, such as fewer digits or leading zeros.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seconds, micros) = text.split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if micros.len() != 6 || !digits(micros) || !digits(seconds) || (seconds.starts_with('0') && seconds != "0") {
            return None;
        }
        let seconds: i64 = seconds.parse().ok()?;
        let micros: i64 = micros.parse().ok()?;
        seconds.checked_mul(MICROS)?.checked_add(micros).map(Self)
    }

    /// A moment, cut to the microsecond: never later than it.
    pub(crate) fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros().max(0))
    }

    /// So much earlier, but not before 1970. What is finer than a microsecond makes it one microsecond more.
    pub(crate) fn back(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_nanos().div_ceil(1000)).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(0))
    }

    /// So many microseconds since 1970.
    #[cfg(feature = "simulator")]
    pub(crate) fn from_micros(micros: i64) -> Self {
        Self(micros.max(0))
    }

    /// Microseconds since 1970.
    #[cfg(feature = "simulator")]
    pub(crate) fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / MICROS, self.0 % MICROS)
    }
}

impl fmt::Debug for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a timestamp of Slack's"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_form_slack_writes_is_read() {
        for text in ["0.000000", "0.000001", "1512085950.000216", "1512085950.999999", "9223372036854.775807"] {
            assert_eq!(Ts::parse(text).expect(text).to_string(), text);
        }
        for text in [
            "",
            ".",
            "1512085950",
            "1512085950.",
            ".000216",
            "1512085950.216",
            "1512085950.0002160",
            "01512085950.000216",
            "00.000000",
            "-1.000000",
            "+1.000000",
            "1.5e9",
            "1512085950,000216",
            " 1512085950.000216",
            "1512085950.00021\u{665}",
            "9223372036854.775808",
            "99999999999999999999.000000",
        ] {
            assert_eq!(Ts::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn going_back_is_exact_and_stops_at_1970() {
        let ts = Ts::parse("1512085950.000216").expect("a timestamp");
        assert_eq!(ts.back(Duration::from_micros(217)).to_string(), "1512085949.999999");
        assert_eq!(ts.back(Duration::from_nanos(1)).to_string(), "1512085950.000215");
        assert_eq!(ts.back(Duration::ZERO), ts);
        assert_eq!(ts.back(Duration::MAX).to_string(), "0.000000");
    }

    #[test]
    fn a_moment_is_cut_and_never_rounded_up() {
        let at = DateTime::from_timestamp(1_512_085_950, 216_999).expect("a time");
        assert_eq!(Ts::of(at).to_string(), "1512085950.000216");
        assert_eq!(Ts::of(DateTime::<Utc>::MIN_UTC).to_string(), "0.000000");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn text_and_value_stand_for_each_other(seconds in 0i64..=9_223_372_036_853, micros in 0i64..1_000_000) {
            let text = format!("{seconds}.{micros:06}");
            let ts = Ts::parse(&text).expect("the form Slack writes");
            prop_assert_eq!(ts.to_string(), text.clone());
            prop_assert_eq!(serde_json::to_string(&ts).expect("JSON"), format!("{text:?}"));
            prop_assert_eq!(serde_json::from_str::<Ts>(&format!("{text:?}")).expect("its own text"), ts);
        }

        #[test]
        fn order_is_that_of_time(a in 0i64..=i64::MAX, b in 0i64..=i64::MAX) {
            let (x, y) = (Ts(a), Ts(b));
            let back = |ts: Ts| Ts::parse(&ts.to_string()).expect("its own text");
            prop_assert_eq!(back(x).cmp(&back(y)), a.cmp(&b));
        }
    }
}

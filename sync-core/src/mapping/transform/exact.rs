//! Decimal numbers by their digits: no binary fraction ever touches them.

use serde::Deserialize;

use super::Made;

/// Which character parts whole and fraction in a source's texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Point {
    /// `1,234.56`
    #[default]
    #[serde(rename = ".")]
    Dot,
    /// `1.234,56`
    #[serde(rename = ",")]
    Comma,
    /// Either, as each text shows: of two different signs the last one parts, one that stands there twice groups, and `1,234` alone, which
    /// could be both, is refused.
    #[serde(rename = "auto")]
    Auto,
}

impl Point {
    /// The sign in these digits; `None` when they could be read both ways.
    fn settled(self, digits: &str) -> Option<Self> {
        if self != Self::Auto {
            return Some(self);
        }
        let (dot, comma) = (digits.rfind('.'), digits.rfind(','));
        let alone = |at: usize, this: Self, other: Self| {
            let (before, after) = (&digits[..at], &digits[at + 1..]);
            let twice = before.contains(&digits[at..=at]);
            let grouping = after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0');
            if twice { Some(other) } else { (!grouping).then_some(this) }
        };
        match (dot, comma) {
            (None, None) => Some(Self::Dot),
            (Some(dot), Some(comma)) => Some(if dot > comma { Self::Dot } else { Self::Comma }),
            (Some(at), None) => alone(at, Self::Dot, Self::Comma),
            (None, Some(at)) => alone(at, Self::Comma, Self::Dot),
        }
    }
}

/// A decimal number: sign and digits, without leading zeros and without limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mapping) struct Exact {
    pub(super) negative: bool,
    /// At least one digit.
    pub(super) whole: String,
    /// As many digits as were written.
    pub(super) fraction: String,
}

/// Exponents beyond this are refused: no quantity needs them, and their digits would fill the memory.
const MAX_EXPONENT: u64 = 400;

impl Exact {
    fn new(negative: bool, whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0');
        Self { negative, whole: if whole.is_empty() { "0" } else { whole }.to_owned(), fraction: fraction.to_owned() }
    }

    /// Reads the syntax of JSON numbers, exponent included. Leading zeros and a leading `+` pass too.
    pub(in crate::mapping) fn plain(text: &str) -> Option<Self> {
        let (negative, rest) = sign(text);
        let (digits, exponent) = match rest.split_once(['e', 'E']) {
            None => (rest, 0),
            Some((digits, exponent)) => (digits, exponent.parse::<i64>().ok().filter(|e| e.unsigned_abs() <= MAX_EXPONENT)?),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || (digits.contains('.') && fraction.is_empty()) {
            return None;
        }
        if exponent == 0 {
            return Some(Self::new(negative, whole, fraction));
        }
        let all = format!("{whole}{fraction}");
        let point = whole.len() as i64 + exponent;
        let zeros = |n: i64| "0".repeat(n.unsigned_abs() as usize);
        Some(if point <= 0 {
            Self::new(negative, "0", &(zeros(point) + &all))
        } else if point >= all.len() as i64 {
            Self::new(negative, &(all.clone() + &zeros(point - all.len() as i64)), "")
        } else {
            Self::new(negative, &all[..point as usize], &all[point as usize..])
        })
    }

    /// Reads what people write: signs in front or behind, parentheses for negative numbers, thousands separators in their right
    /// places. `bare` takes away what else may stand around the digits.
    pub(super) fn written<'t>(text: &'t str, point: Point, bare: impl Fn(&'t str) -> &'t str) -> Option<Self> {
        let text = text.trim();
        let (bracketed, text) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            Some(inner) => (true, inner.trim()),
            None => (false, text),
        };
        // The sign stands outside or inside the symbol: -$5, $-5, 5-, 5 €-.
        let (mut signs, mut negative) = (usize::from(bracketed), bracketed);
        let mut rest = text;
        let mut stripped = false;
        loop {
            rest = rest.trim();
            if let Some(after) = rest.strip_prefix(['-', '\u{2212}', '+']).or_else(|| rest.strip_suffix(['-', '\u{2212}'])) {
                signs += 1;
                negative |= !rest.starts_with('+');
                rest = after;
            } else if !stripped {
                stripped = true;
                rest = bare(rest);
            } else {
                break;
            }
        }
        if signs > 1 {
            return None;
        }
        let (decimal, groups): (char, &[char]) = match point.settled(rest)? {
            Point::Dot | Point::Auto => ('.', &[',', '\'', '\u{2019}', ' ', '\u{a0}', '\u{202f}', '\u{2009}']),
            Point::Comma => (',', &['.', '\'', '\u{2019}', ' ', '\u{a0}', '\u{202f}', '\u{2009}']),
        };
        let (whole, fraction) = rest.split_once(decimal).unwrap_or((rest, ""));
        if !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        Some(Self::new(negative, &ungrouped(whole, groups)?, fraction))
    }

    /// As a JSON number, with the digits it was written with.
    pub(in crate::mapping) fn json(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{}", self.whole, self.fraction)
    }

    /// The same amount, whatever zeros it was written with.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let digits = |number: &Self| (number.whole.clone(), number.fraction.trim_end_matches('0').to_owned());
        let zero = self.whole == "0" && self.fraction.bytes().all(|digit| digit == b'0');
        digits(self) == digits(other) && (zero || self.negative == other.negative)
    }

    /// The number by 10^`places`; `None` unless it is whole.
    pub(super) fn unscaled(&self, places: usize) -> Option<Self> {
        let digits = format!("{:0>width$}", self.whole, width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let is_whole = self.fraction.bytes().all(|digit| digit == b'0');
        is_whole.then(|| Self::new(self.negative, whole, fraction.trim_end_matches('0')))
    }

    /// As a JSON number where texts of the source have a point, otherwise as a text with a comma.
    pub(super) fn sent(&self, point: Point) -> Made {
        match point {
            Point::Dot | Point::Auto => Made::Json(self.json()),
            Point::Comma => Made::text(&self.json().replace('.', ",")),
        }
    }

    /// The number times 10^`places`, when that is a whole number of 64 bits.
    pub(super) fn scaled(&self, places: usize) -> Result<i64, Unscaled> {
        let fraction = self.fraction.trim_end_matches('0');
        if fraction.len() > places {
            return Err(Unscaled::TooFine);
        }
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}{fraction:0<places$}", self.whole).parse().map_err(|_| Unscaled::TooLarge)
    }
}

/// Why a number has no scaled form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unscaled {
    /// Digits would be lost.
    TooFine,
    /// It does not fit into 64 bits.
    TooLarge,
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// The digits without separators; `None` unless these part thousands (or, as in India, hundreds above the thousands).
fn ungrouped(whole: &str, separators: &[char]) -> Option<String> {
    let Some(separator) = whole.chars().find(|c| !c.is_ascii_digit()) else { return Some(whole.to_owned()) };
    let groups: Vec<&str> = whole.split(separator).collect();
    let [first, middle @ .., last] = &groups[..] else { return None };
    let same = middle.iter().all(|group| group.len() == 3) || (middle.iter().all(|group| group.len() == 2) && first.len() <= 2);
    let fits = separators.contains(&separator)
        && groups.iter().all(|group| all_digits(group))
        && (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && last.len() == 3
        && same;
    fits.then(|| groups.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Option<String> {
        Exact::plain(text).map(|exact| exact.json())
    }

    #[test]
    fn exponents_move_the_point_and_lose_nothing() {
        for (text, json) in [
            ("0", Some("0")),
            ("-0.10", Some("-0.10")),
            ("1.25e3", Some("1250")),
            ("1.2345E2", Some("123.45")),
            ("12e-5", Some("0.00012")),
            ("9007199254740993", Some("9007199254740993")),
            ("1e401", None),
            ("1e99999999999999999999", None),
            ("1e-9223372036854775808", None),
            ("1e-401", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("1.2.3", None),
            ("0x10", None),
            ("NaN", None),
        ] {
            assert_eq!(plain(text).as_deref(), json, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_grouping_of_any_number_reads_as_its_digits(value in any::<i64>(), fraction in "[0-9]{0,12}", comma in any::<bool>()) {
            let digits = value.unsigned_abs().to_string();
            let (group, decimal, point) = if comma { ('.', ',', Point::Comma) } else { (',', '.', Point::Dot) };
            let mut grouped = String::new();
            for (n, digit) in digits.chars().enumerate() {
                if n > 0 && (digits.len() - n) % 3 == 0 {
                    grouped.push(group);
                }
                grouped.push(digit);
            }
            let sign = if value < 0 { "-" } else { "" };
            let tail = |point: char| if fraction.is_empty() { String::new() } else { format!("{point}{fraction}") };
            let read = Exact::written(&format!("{sign}{grouped}{}", tail(decimal)), point, |text| text).expect("well grouped");
            prop_assert_eq!(read.json(), format!("{sign}{digits}{}", tail('.')));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,24}") {
            let _ = (Exact::plain(&text), Exact::written(&text, Point::Comma, |text| text));
        }
    }
}

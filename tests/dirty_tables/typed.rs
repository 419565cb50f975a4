//! The ways people write the same thing, and what they write that nobody can read.

use syncline::providers::sheets::simulator::SimCell;

use crate::{oracle::day_parts, support::Random};

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Words,
    /// Text whose inner blanks count.
    Line,
    Code,
    Rating,
    /// Parts with a slash between them.
    Parts,
    Money,
    /// Money that some do not know.
    MoneyOrUnknown,
    Day,
    Number,
    Percent,
    /// Words that some do not know.
    WordsOrNa,
    CodeOrNa,
    /// Words of a closed list.
    Country,
}

impl Kind {
    /// The same thing as somebody else would write it.
    pub(crate) fn written(self, says: &str, random: &mut Random) -> SimCell {
        let missing = match self {
            Self::MoneyOrUnknown if says.is_empty() => &["", "N/A", "n/a ", "unknown"][..],
            Self::WordsOrNa | Self::CodeOrNa if says == "NA" => &["NA", " na", "Na "],
            Self::Rating if says == "Not Rated" => &["not rated", " NOT RATED"],
            _ => &[],
        };
        if !missing.is_empty() {
            return SimCell::from(missing[random.below(missing.len())]);
        }
        if says.is_empty() {
            return SimCell::Blank;
        }
        let ways: Vec<SimCell> = match self {
            Self::Words | Self::WordsOrNa => texts([format!(" {says}"), format!("{says}\t "), says.replace(' ', "  ")]),
            Self::Line | Self::Parts => texts([format!("{says} "), format!("  {says}")]),
            Self::Code | Self::CodeOrNa | Self::Rating => texts([says.to_lowercase(), format!(" {says} ")]),
            Self::Country => vec![SimCell::from(says)],
            Self::Money | Self::MoneyOrUnknown => money(says),
            Self::Day => days(says),
            Self::Number => numbers(says),
            Self::Percent => [vec![SimCell::imported(says)], texts([format!("{says}%"), format!(" {says} %")])].concat(),
        };
        ways[random.below(ways.len())].clone()
    }

    /// What cannot be read as such a thing: by itself, and by the plain code too.
    pub(crate) fn unreadable(self) -> &'static [&'static str] {
        match self {
            Self::Money | Self::MoneyOrUnknown => &["about $5", "5k", "1.234,56", "ask Bo"],
            Self::Day => &["Febtober 3 2006", "soon", "2006-13-40", "31.11.2006"],
            Self::Number => &["many", "7 or 8", "1.2.3"],
            Self::Percent => &["two thirds", "90-95"],
            Self::Rating => &["XXX", "12"],
            Self::Country => &["Atlantis", "usa"],
            Self::Words | Self::Line | Self::Code | Self::Parts | Self::WordsOrNa | Self::CodeOrNa => &[],
        }
    }

    /// Another thing of the kind.
    pub(crate) fn another(self, random: &mut Random) -> String {
        let n = random.below(900) + 100;
        match self {
            Self::Words | Self::Line | Self::WordsOrNa => format!("Somebody {n}"),
            Self::Code | Self::CodeOrNa => format!("X{n}"),
            Self::Rating => ["R", "PG-13", "G", "", "Open"][n % 5].to_owned(),
            Self::Parts => ["Drama", "Drama/War", "A/B/C", ""][n % 4].to_owned(),
            Self::Money | Self::MoneyOrUnknown => (n * 12_345).to_string(),
            Self::Day => format!("Mar {:02} {}", n % 28 + 1, 1900 + n % 120),
            Self::Number | Self::Percent => format!("{}.{}", n % 90 + 1, n % 9 + 1),
            Self::Country => "Palau".to_owned(),
        }
    }
}

fn texts<const N: usize>(ways: [String; N]) -> Vec<SimCell> {
    ways.into_iter().map(SimCell::Text).collect()
}

/// `1234567` with a sign between its thousands.
fn grouped(digits: &str, sign: &str) -> String {
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push_str(sign);
        }
        out.push(digit);
    }
    out
}

fn money(says: &str) -> Vec<SimCell> {
    let (comma, quote) = (grouped(says, ","), grouped(says, "'"));
    let mut ways = texts([format!("${comma}"), format!("USD {says}.00"), format!(" {comma} "), format!("US$ {comma}.00"), quote]);
    ways.push(SimCell::imported(says));
    ways
}

fn days(says: &str) -> Vec<SimCell> {
    let (year, month, day) = day_parts(says).expect("only days come here");
    let mut ways = texts([format!("{year:04}-{month:02}-{day:02}"), format!("{day:02}.{month:02}.{year:04}"), format!(" {says} ")]);
    // As a real date: Sheets counts days from the 30th of December 1899, and the column shows such numbers as dates.
    let date = chrono::NaiveDate::from_ymd_opt(year as i32, month, day).expect("a day of the calendar");
    let epoch = chrono::NaiveDate::from_ymd_opt(1899, 12, 30).expect("a day");
    ways.push(SimCell::Number((date - epoch).num_days() as f64));
    ways
}

fn numbers(says: &str) -> Vec<SimCell> {
    let (sign, digits) = says.strip_prefix('-').map_or(("", says), |digits| ("\u{2212}", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, String::new()), |(whole, fraction)| (whole, format!(".{fraction}")));
    let mut ways = texts([format!("{sign}{}{fraction}", grouped(whole, ",")), format!(" {says}")]);
    ways.push(SimCell::Number(says.parse().expect("only numbers come here")));
    ways
}

//! What a table says, read a second time by plain code that knows nothing of mappings and transforms.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sheet::{Cell, Sheet};

/// A text cannot be read as what it should be.
pub(crate) struct Unreadable;

pub(crate) type Read = fn(&str) -> Result<Value, Unreadable>;

/// What becomes of a row with a text that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    RowFails,
    ValueIsDropped,
}

/// A field of the table's rows.
pub(crate) struct Field {
    pub(crate) column: usize,
    pub(crate) name: &'static str,
    pub(crate) read: Read,
    pub(crate) then: Then,
}

/// What there is to know of a table. The first column is the key.
pub(crate) struct Rules {
    pub(crate) key: fn(&str) -> String,
    /// In the order of the mapping.
    pub(crate) fields: Vec<Field>,
    /// A column without which a row fails.
    pub(crate) required: Option<usize>,
    /// A column nobody wants.
    pub(crate) ignored: Vec<usize>,
}

pub(crate) type Fields = BTreeMap<&'static str, Value>;

/// What has to become of a row.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Nothing stands in it.
    Blank,
    NoKey,
    /// A row above has its key. What cannot be read in it, and does not fail it, is told all the same.
    Twice {
        dropped: Vec<usize>,
    },
    /// These columns cannot be read, or lack what is required.
    Fails(Vec<usize>),
    Taken {
        key: String,
        fields: Fields,
        dropped: Vec<usize>,
    },
}

impl Rules {
    /// Row by row.
    pub(crate) fn fates(&self, sheet: &Sheet) -> Vec<Fate> {
        let mut seen = BTreeSet::new();
        let rows = sheet.rows.iter();
        rows.map(|row| match self.fate(row) {
            Fate::Taken { key, dropped, .. } if seen.contains(&key) => Fate::Twice { dropped },
            fate => {
                if let Fate::Taken { key, .. } = &fate {
                    seen.insert(key.clone());
                }
                fate
            }
        })
        .collect()
    }

    fn fate(&self, row: &[Cell]) -> Fate {
        if row.iter().all(|cell| cell.written == syncline::providers::sheets::simulator::SimCell::Blank) {
            return Fate::Blank;
        }
        if row[0].says.trim().is_empty() {
            return Fate::NoKey;
        }
        let (mut fields, mut fails, mut dropped) = (Fields::new(), Vec::new(), Vec::new());
        for field in &self.fields {
            match ((field.read)(&row[field.column].says), field.then) {
                (Ok(Value::Null), _) if self.required == Some(field.column) => fails.push(field.column),
                (Ok(value), _) => drop(fields.insert(field.name, value)),
                (Err(Unreadable), Then::RowFails) => fails.push(field.column),
                (Err(Unreadable), Then::ValueIsDropped) => dropped.push(field.column),
            }
        }
        match fails.is_empty() {
            true => Fate::Taken { key: (self.key)(&row[0].says), fields, dropped },
            false => Fate::Fails(fails),
        }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Jun 12 1998`: year, month, day.
pub(crate) fn day_parts(text: &str) -> Option<(u32, u32, u32)> {
    let [month, day, year] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    let month = MONTHS.iter().position(|known| *known == month)? as u32 + 1;
    Some((year.parse().ok()?, month, day.parse().ok().filter(|day| (1..=31).contains(day))?))
}

fn unless_empty(text: &str, read: impl FnOnce(&str) -> Option<Value>) -> Result<Value, Unreadable> {
    if text.is_empty() { Ok(Value::Null) } else { read(text).ok_or(Unreadable) }
}

pub(crate) fn day(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| day_parts(text).map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}").into()))
}

/// Whole units of money.
pub(crate) fn micros(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| Some((text.parse::<u32>().ok().map(i64::from).or_else(|| text.parse().ok())? * 1_000_000).into()))
}

pub(crate) fn number(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| serde_json::from_str(text).ok().filter(Value::is_number))
}

pub(crate) fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A slash would part the fields of a key.
pub(crate) fn title_key(text: &str) -> String {
    single_spaced(text).replace('/', r"\/")
}

pub(crate) fn words(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| Some(single_spaced(text).into()))
}

/// `NA` is how the airports write nothing.
pub(crate) fn words_but_na(text: &str) -> Result<Value, Unreadable> {
    words(if text == "NA" { "" } else { text })
}

fn known_rating(text: &str) -> &str {
    if matches!(text, "Not Rated" | "Open") { "" } else { text }
}

pub(crate) fn rating(text: &str) -> Result<Value, Unreadable> {
    words(known_rating(text))
}

pub(crate) fn adults_only(text: &str) -> Result<Value, Unreadable> {
    unless_empty(known_rating(text), |text| match text {
        "R" | "NC-17" => Some(true.into()),
        "G" | "PG" | "PG-13" => Some(false.into()),
        _ => None,
    })
}

pub(crate) fn parts(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| Some(text.split('/').map(Value::from).collect()))
}

pub(crate) fn based_on(text: &str) -> Result<Value, Unreadable> {
    words(text.strip_prefix("Based on ").unwrap_or(text))
}

pub(crate) fn country(text: &str) -> Result<Value, Unreadable> {
    unless_empty(text, |text| {
        let code = match text {
            "USA" => "US",
            "Thailand" => "TH",
            "Palau" => "PW",
            "N Mariana Islands" => "MP",
            "Federated States of Micronesia" => "FM",
            _ => return None,
        };
        Some(code.into())
    })
}

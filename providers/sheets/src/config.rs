//! The settings of a connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use sync_core::{Error, Result, SyncContext};

/// The settings a connection to one spreadsheet takes.
///
/// ```
/// # use provider_sheets::Settings;
/// let settings: Settings = serde_json::from_str(r#"{"spreadsheet_id": "1AbC", "keys": {"Movies": ["Title"]}}"#)?;
/// assert_eq!(settings.header_row, 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The spreadsheet: its id, or its whole address as the browser shows it. Required.
    #[serde(deserialize_with = "spreadsheet_id")]
    pub spreadsheet_id: String,
    /// The row that holds the column names, counted from 1. Default 1; data begins in the row below.
    #[serde(default = "first_row", deserialize_with = "header_row")]
    pub header_row: u32,
    /// Per tab, the columns that make a row's key, for pulls and pushes that do not name them. Default none.
    #[serde(default, deserialize_with = "keys")]
    pub keys: BTreeMap<String, Vec<String>>,
    /// Rows asked for in one call, 1 to 100,000. Default 5,000: calls are counted per minute, rows are not.
    #[serde(default = "page", deserialize_with = "rows_per_page")]
    pub rows_per_page: u32,
    /// Whether numbers in columns formatted as dates or times are handed over as such. Default true; otherwise they stay
    /// serial numbers, in days since 1899-12-30.
    #[serde(default = "yes", deserialize_with = "typed_dates")]
    pub typed_dates: bool,
}

/// Names and meanings for [`Descriptor::settings`](sync_core::Descriptor).
pub(crate) const DESCRIBED: &[(&str, &str)] = &[
    ("spreadsheet_id", "the spreadsheet's id, or its address in the browser (required)"),
    ("header_row", "the row that holds the column names, counted from 1 (default 1)"),
    ("keys", "per tab, the columns that make a row's key, for pulls and pushes that do not name them"),
    ("rows_per_page", "rows asked for in one call, 1 to 100000 (default 5000)"),
    ("typed_dates", "whether numbers in date and time columns are handed over as dates and times (default true)"),
];

impl Settings {
    /// The settings of the connection a call is made for.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming the setting that is missing, unknown or wrong.
    pub(crate) fn of(cx: &SyncContext) -> Result<Self> {
        serde_json::from_str(cx.settings.get())
            .map_err(|problem| Error::config("sheets.settings", format!("the connection's settings do not fit: {problem}")))
    }
}

impl Settings {
    /// The key columns of a tab: those asked for, else those of the setting.
    pub(crate) fn key(&self, tab: &str, asked: &[Box<str>]) -> Vec<Box<str>> {
        match asked {
            [] => self.keys.get(tab).into_iter().flatten().map(|column| column.as_str().into()).collect(),
            asked => asked.to_vec(),
        }
    }
}

fn first_row() -> u32 {
    1
}

fn page() -> u32 {
    5_000
}

fn yes() -> bool {
    true
}

/// Reads a setting so that its error begins with its name; serde names only those that are missing or unknown.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(name: &str, from: D) -> Result<T, D::Error> {
    T::deserialize(from).map_err(|problem| D::Error::custom(format!("`{name}`: {problem}")))
}

fn spreadsheet_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text: String = named("spreadsheet_id", from)?;
    let id = match text.split_once("/d/") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None => text.trim(),
    };
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Err(D::Error::custom(
            "`spreadsheet_id` is neither an id nor an address of the form https://docs.google.com/spreadsheets/d/<id>/edit",
        ));
    }
    Ok(id.to_owned())
}

fn header_row<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match named("header_row", from)? {
        0 => Err(D::Error::custom("`header_row` counts from 1")),
        row => Ok(row),
    }
}

fn keys<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    named("keys", from)
}

fn rows_per_page<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match named("rows_per_page", from)? {
        rows @ 1..=100_000 => Ok(rows),
        rows => Err(D::Error::custom(format!("`rows_per_page` is 1 to 100000, not {rows}"))),
    }
}

fn typed_dates<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    named("typed_dates", from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_down_to_its_id() {
        for text in
            ["1AbC_d-9", " 1AbC_d-9 ", "https://docs.google.com/spreadsheets/d/1AbC_d-9/edit#gid=0", "https://x/d/1AbC_d-9?usp=sharing"]
        {
            let settings: Settings = serde_json::from_value(serde_json::json!({ "spreadsheet_id": text })).expect("an id or address");
            assert_eq!(settings.spreadsheet_id, "1AbC_d-9", "{text}");
            assert_eq!((settings.header_row, settings.rows_per_page, settings.typed_dates), (1, 5_000, true));
        }
    }

    #[test]
    fn every_problem_names_its_setting() {
        let cases = [
            (r#"{}"#, "spreadsheet_id"),
            (r#"{"spreadsheet_id": 7}"#, "spreadsheet_id"),
            (r#"{"spreadsheet_id": ""}"#, "spreadsheet_id"),
            (r#"{"spreadsheet_id": "../drive"}"#, "spreadsheet_id"),
            (r#"{"spreadsheet_id": "a", "header_row": 0}"#, "header_row"),
            (r#"{"spreadsheet_id": "a", "header_row": "two"}"#, "header_row"),
            (r#"{"spreadsheet_id": "a", "keys": ["id"]}"#, "keys"),
            (r#"{"spreadsheet_id": "a", "rows_per_page": 0}"#, "rows_per_page"),
            (r#"{"spreadsheet_id": "a", "rows_per_page": 100001}"#, "rows_per_page"),
            (r#"{"spreadsheet_id": "a", "typed_dates": "yes"}"#, "typed_dates"),
            (r#"{"spreadsheet_id": "a", "header": 2}"#, "header"),
        ];
        for (json, name) in cases {
            let problem = serde_json::from_str::<Settings>(json).expect_err(json).to_string();
            assert!(problem.contains(&format!("`{name}`")), "{json}: {problem}");
        }
    }

    #[test]
    fn each_setting_is_described() {
        for (name, _) in DESCRIBED.iter().filter(|(name, _)| *name != "spreadsheet_id") {
            let json = format!(r#"{{"spreadsheet_id": "a", "{name}": {{"never": 1}}}}"#);
            let problem = serde_json::from_str::<Settings>(&json).expect_err("of the wrong type").to_string();
            assert!(problem.contains(&format!("`{name}`:")), "{problem}");
        }
    }
}

//! The header row: one name per column, found again by position.

use std::collections::HashSet;

use serde_json::value::RawValue;
use sync_core::{Error, Field, RecordFailure, Result, key_text};
use twox_hash::XxHash3_64;

use crate::a1;

/// The names a tab's columns have.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// The header cells' texts, surplus white space removed; empty where there is none.
    texts: Vec<String>,
    /// One name per column, none twice.
    names: Vec<String>,
}

impl Header {
    /// Reads a header row. `None` when it holds no text at all.
    ///
    /// A column without text is named `Column C` after its place, a text that stands there already gets ` (2)`.
    pub(crate) fn read(cells: &[&RawValue]) -> Option<Self> {
        let mut texts: Vec<String> = cells.iter().map(|cell| key_text(cell.get()).map(|text| plain(&text)).unwrap_or_default()).collect();
        texts.truncate(texts.iter().rposition(|text| !text.is_empty())? + 1);

        // A generated name must not take one that another column has by its own text.
        let mut taken: HashSet<String> = texts.iter().cloned().collect();
        let mut seen = HashSet::new();
        let names = texts
            .iter()
            .enumerate()
            .map(|(column, text)| {
                if !text.is_empty() && seen.insert(text.as_str()) {
                    return text.clone();
                }
                let base = if text.is_empty() { a1::label(column) } else { text.clone() };
                let plain = text.is_empty().then(|| base.clone());
                let numbered = (2..).map(|n: u32| format!("{base} ({n})"));
                let name = plain.into_iter().chain(numbered).find(|name| !taken.contains(name)).expect("numbers do not end");
                taken.insert(name.clone());
                name
            })
            .collect();
        Some(Self { texts, names })
    }

    /// The names, one per column.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether the first column has a header of its own.
    pub(crate) fn begins_in_column_a(&self) -> bool {
        self.texts.first().is_some_and(|text| !text.is_empty())
    }

    /// Equal for equal texts in equal places, in every version of this crate.
    pub(crate) fn fingerprint(&self) -> String {
        let text = serde_json::to_string(&self.texts).expect("texts are JSON");
        format!("{:016x}", XxHash3_64::oneshot(text.as_bytes()))
    }

    /// The columns as fields.
    pub(crate) fn fields(&self) -> Vec<Field> {
        self.names.iter().enumerate().map(|(column, name)| Field::new(name.as_str()).labelled(a1::label(column))).collect()
    }

    /// One warning per text that stands in more than one column.
    pub(crate) fn warnings(&self, row: u64) -> Vec<RecordFailure> {
        let mut seen = HashSet::new();
        let doubles = self.texts.iter().enumerate().filter(|(_, text)| !text.is_empty() && !seen.insert(text.as_str()));
        doubles
            .map(|(column, text)| {
                RecordFailure::warning(format!("the header {text:?} stands there twice; this column is named {:?}", self.names[column]))
                    .at_row(Some(row))
                    .in_column(a1::label(column))
            })
            .collect()
    }

    /// The places of the key columns.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) when there are none, or one is missing or stands there twice; it lists the headers.
    pub(crate) fn key(&self, wanted: &[impl AsRef<str>]) -> Result<Vec<usize>> {
        let refuse = |text: String| Err(Error::config("sheets.key", text));
        if wanted.is_empty() {
            return refuse(format!("no key column is chosen; name one with the pull or in the setting `keys`. {}", self.seen()));
        }
        let mut key = Vec::with_capacity(wanted.len());
        for name in wanted {
            let name = plain(name.as_ref());
            if self.texts.iter().filter(|text| **text == name).count() > 1 && !name.is_empty() {
                return refuse(format!("the key column {name:?} stands there twice. {}", self.seen()));
            }
            match self.names.iter().position(|header| *header == name) {
                Some(column) => key.push(column),
                None => {
                    let meant = self.names.iter().find(|header| folded(header) == folded(&name));
                    let meant = meant.map_or_else(|| ".".to_owned(), |header| format!("; did you mean {header:?}?"));
                    return refuse(format!("there is no key column {name:?}{meant} {}", self.seen()));
                }
            }
        }
        Ok(key)
    }

    /// The names in words, for errors.
    pub(crate) fn seen(&self) -> String {
        const SHOWN: usize = 40;
        let names: Vec<String> = self.names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
        let more = if self.names.len() > SHOWN { format!(" and {} more", self.names.len() - SHOWN) } else { String::new() };
        format!("The headers are {}{more}", names.join(", "))
    }
}

/// A header as people read it: line breaks and runs of white space are one space.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str) -> Option<Header> {
        let cells: Vec<&RawValue> = serde_json::from_str(json).expect("a list");
        Header::read(&cells)
    }

    #[test]
    fn every_column_has_a_name_of_its_own() {
        let cases: [(&str, &[&str]); 8] = [
            (r#"["id","name"]"#, &["id", "name"]),
            (r#"["id","","name",""," "]"#, &["id", "Column B", "name"]),
            (r#"["id","id","id"]"#, &["id", "id (2)", "id (3)"]),
            (r#"["id","id","id (2)"]"#, &["id", "id (3)", "id (2)"]),
            (r#"["","Column A"]"#, &["Column A (2)", "Column A"]),
            (r#"["  First\nname ",2024,true,null,1.5]"#, &["First name", "2024", "true", "Column D", "1.5"]),
            (r#"["na\u00efve","\"q\""]"#, &["naïve", "\"q\""]),
            (r##"["#REF!"]"##, &["#REF!"]),
        ];
        for (json, expected) in cases {
            assert_eq!(header(json).expect("has text").names(), expected, "{json}");
        }
        for json in ["[]", r#"[""]"#, r#"[" ",null]"#] {
            assert!(header(json).is_none(), "{json} is no header");
        }
    }

    #[test]
    fn doubled_headers_are_warned_about_by_row_and_column() {
        let warnings = header(r#"["id","name","id",""]"#).expect("has text").warnings(3);
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [r#"Row 3, Column C: the header "id" stands there twice; this column is named "id (2)""#]);
    }

    #[test]
    fn key_columns_are_found_by_their_exact_header_or_refused() {
        let header = header(r#"["Id","name","","name","e-mail"]"#).expect("has text");
        assert_eq!(header.key(&["e-mail", "Id"]).expect("both are there"), [4, 0]);
        assert_eq!(header.key(&["Column C"]).expect("by its generated name"), [2]);
        let cases: [(&[&str], &[&str]); 4] = [
            (&[], &["no key column", "`keys`", r#""Id", "name", "Column C", "name (2)", "e-mail""#]),
            (&["id"], &[r#"no key column "id""#, r#"did you mean "Id"?"#]),
            (&["Email"], &[r#"did you mean "e-mail"?"#]),
            (&["Id", "name"], &[r#""name" stands there twice"#]),
        ];
        for (wanted, parts) in cases {
            let error = header.key(wanted).expect_err("refused");
            assert_eq!(error.kind(), sync_core::ErrorKind::Config);
            for part in parts {
                assert!(error.to_string().contains(part), "{error} lacks {part}");
            }
        }
    }

    #[test]
    fn fingerprints_tell_texts_and_places_apart() {
        let print = |json: &str| header(json).expect("has text").fingerprint();
        assert_eq!(print(r#"["a","b"]"#), print(r#"[" a","b",""]"#));
        assert_eq!(print(r#"["a","b"]"#), "7fbae1a42803cdc1", "stored fingerprints stay comparable");
        for other in [r#"["b","a"]"#, r#"["a","","b"]"#, r#"["ab"]"#, r#"["a","b","a"]"#] {
            assert_ne!(print(r#"["a","b"]"#), print(other), "{other}");
        }
    }
}

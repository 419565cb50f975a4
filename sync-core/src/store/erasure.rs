//! Erasing one entity: what went, and how texts that quote it are found.

use std::collections::BTreeSet;

use super::{STRANGER, without_stranger};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands in the place of a text that quoted something that was erased.
const ERASED: &str = "erased: it quoted an entity that was erased";

/// How much was erased of one entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedEntity {
    /// Rows of managed tables.
    pub rows: u64,
    /// Whether a row with this key is in the host's own table still. It is the host's to delete; as long as it is there, so is what is known
    /// of it at the service, so that no push makes it again.
    pub host_row: bool,
    /// Lines of lineage.
    pub lineage: u64,
    /// Items of plans, in whatever state.
    pub plan_items: u64,
    /// What sources said beside its fields: conflicts, reference values, and who set which field.
    pub beside: u64,
    /// Records that stood behind it, what was known of it at services, and writes that were not settled.
    pub links: u64,
    /// Failures, errors, events and entries of the activity log that quoted it. Runs keep their counts.
    pub texts: u64,
}

impl ErasedEntity {
    /// How much that is in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows + self.lineage + self.plan_items + self.beside + self.links + self.texts
    }
}

/// The names an entity goes by: its key, and the ids of the records behind it.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    names: BTreeSet<Box<str>>,
}

impl Traces {
    /// Of an entity with this key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { names: BTreeSet::from([key.into()]) }
    }

    /// Adds the id of a record.
    pub fn add(&mut self, record: &str) {
        self.names.insert(record.into());
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name).filter(|name| !name.is_empty())
    }

    /// The keys it goes by in plans and pushes: its own, and those of records that were [nobody's](STRANGER) and have one of the names.
    #[must_use]
    pub fn keys(&self, own: &str) -> Vec<String> {
        std::iter::once(own.to_owned()).chain(self.names().map(|name| format!("{STRANGER}{name}"))).collect()
    }

    /// Whether this is one of the names, or a [stranger's](STRANGER) with such a name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.names.contains(without_stranger(name))
    }

    /// Whether a text quotes one of the names: as a word of its own, plainly or as JSON escapes it. Rather one too many than one too few.
    #[must_use]
    pub fn quoted_in(&self, text: &str) -> bool {
        self.names().any(|name| {
            let escaped = Value::from(name).to_string();
            let debugged = format!("{name:?}");
            [name, &escaped[1..escaped.len() - 1], &debugged[1..debugged.len() - 1]].into_iter().any(|name| is_word(text, name))
        })
    }

    /// A list of run errors, JSON, without what quotes the entity; `None` when nothing does. How many there are and of which kind stays.
    #[must_use]
    pub fn cleared_errors(&self, json: &str) -> Option<String> {
        let mut errors: Vec<Value> = serde_json::from_str(json).ok()?;
        let mut cleared = false;
        for error in &mut errors {
            cleared |= self.clear(error);
        }
        cleared.then(|| Value::from(errors).to_string())
    }

    /// The body of a plan, JSON, without failures and errors that quote the entity; `None` when there are none.
    #[must_use]
    pub fn cleared_plan(&self, json: &str) -> Option<String> {
        let mut plan: Value = serde_json::from_str(json).ok()?;
        let mut cleared = false;
        if let Some(failures) = plan.get_mut("failures").and_then(Value::as_array_mut) {
            let before = failures.len();
            failures.retain(|failure| {
                let text = |name: &str| failure.get(name).and_then(Value::as_str).unwrap_or_default();
                !self.has(text("record")) && !self.quoted_in(text("error"))
            });
            cleared |= failures.len() < before;
        }
        for error in plan.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
            cleared |= self.clear(error);
        }
        cleared.then(|| plan.to_string())
    }

    fn clear(&self, error: &mut Value) -> bool {
        let quotes = ["message", "hint", "partition"]
            .iter()
            .any(|part| error.get(part).and_then(Value::as_str).is_some_and(|text| self.quoted_in(text)));
        if quotes && let Some(parts) = error.as_object_mut() {
            parts.insert("message".into(), ERASED.into());
            parts.insert("hint".into(), "".into());
            parts.remove("partition");
        }
        quotes
    }
}

/// Whether a name stands in a text with no letter or digit before or behind it.
fn is_word(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        // A stranger's key, as JSON escapes it.
        let before = text[..at].strip_suffix("\\u0001").unwrap_or(&text[..at]).chars().next_back();
        let behind = text[at + name.len()..].chars().next();
        ![before, behind].into_iter().flatten().any(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces() -> Traces {
        let mut traces = Traces::new("ada@x.org");
        traces.add("rec7");
        traces
    }

    #[test]
    fn a_text_quotes_a_name_where_it_is_a_word_of_its_own() {
        for (text, quotes) in [
            ("ada@x.org is no longer as the plan had found it", true),
            ("\"ada@x.org\" twice", true),
            ("mada@x.org", false),
            ("ada@x.organisation", false),
            ("record rec7 came twice", true),
            (r#"{"key":"\u0001rec7"}"#, true),
            ("{:?} of \u{1}rec7", true),
            ("rec77", false),
            ("", false),
        ] {
            assert_eq!(traces().quoted_in(text), quotes, "{text}");
        }
        let strange = Traces::new("a\"b\u{1}\u{e9}");
        for text in ["the key a\\\"b\\u0001\u{e9}", &format!("no row {:?}", "a\"b\u{1}\u{e9}"), "a\"b\u{1}\u{e9}"] {
            assert!(strange.quoted_in(text), "{text}");
        }
        assert!(!Traces::new("").quoted_in("any text"));
    }

    #[test]
    fn errors_that_quote_it_say_only_that_there_was_one() {
        let errors = r#"[{"kind":"invalid","message":"ada@x.org: refused","hint":"h","partition":"rec7"},{"kind":"storage","message":"full","hint":""}]"#;
        let cleared = traces().cleared_errors(errors).expect("one does");
        assert!(!cleared.contains("ada") && !cleared.contains("rec7") && cleared.contains("\"full\""), "{cleared}");
        assert_eq!(serde_json::from_str::<Vec<crate::RunError>>(&cleared).expect("errors still").len(), 2);
        assert_eq!(traces().cleared_errors(r#"[{"kind":"storage","message":"full","hint":""}]"#), None);
        assert_eq!(traces().cleared_errors("[]"), None);
    }

    #[test]
    fn a_plans_body_loses_the_failures_that_quote_it_and_keeps_its_counts() {
        let plan = r#"{"counts":{"failed":2},"failures":[{"record":"rec7","error":"e"},{"record":"r8","error":"as ada@x.org"},{"record":"r9","error":"other"}],"errors":[]}"#;
        let cleared: Value = serde_json::from_str(&traces().cleared_plan(plan).expect("some do")).expect("JSON");
        assert_eq!(cleared["failures"], serde_json::json!([{ "record": "r9", "error": "other" }]));
        assert_eq!(cleared["counts"]["failed"], 2);
        assert_eq!(traces().cleared_plan(r#"{"failures":[{"record":"r9","error":"other"}]}"#), None);
    }
}

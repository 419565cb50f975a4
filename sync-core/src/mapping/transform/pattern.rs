//! `regex`.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{Made, Transform, TransformError, Transforms, transform_options};
use crate::{Error, FieldKind, Result, mapping::Cell};

/// The longest pattern, in bytes.
const LONGEST: usize = 1000;

/// What a compiled pattern may take of memory, in bytes, and as much again for what matching remembers.
const LARGEST: usize = 1 << 20;

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("regex", |options| Ok(Arc::new(Extract::new(transform_options("regex", options)?)?)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExtractOptions {
    /// In the syntax of the crate `regex`: no look-around and no back-references, so that matching takes linear time.
    pattern: Box<str>,
    /// The group that is taken, by number or name; 0 is the whole match. Default: the first group, or the whole match without groups.
    group: Option<Group>,
    /// What a text is that does not match.
    no_match: NoMatch,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Group {
    Number(usize),
    Name(Box<str>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NoMatch {
    /// An error (default).
    #[default]
    Error,
    /// Null.
    Null,
    /// The text as it is.
    Keep,
}

/// A part of a text. Numbers and booleans are read by their digits and letters; empty texts pass.
#[derive(Debug)]
struct Extract {
    regex: Regex,
    group: usize,
    no_match: NoMatch,
}

impl Extract {
    fn new(options: ExtractOptions) -> Result<Self> {
        let problem = |text: String| Error::config("transform", format!("regex: {text}"));
        if options.pattern.is_empty() {
            return Err(problem("the option `pattern` is missing or empty".into()));
        }
        if options.pattern.len() > LONGEST {
            return Err(problem(format!("the pattern is longer than {LONGEST} bytes")));
        }
        let built = RegexBuilder::new(&options.pattern).size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(50).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => problem("the pattern is too large when compiled; repeat less in it".into()),
            // The last line says what is wrong; those before it draw the pattern.
            error => problem(format!("the pattern cannot be read: {}", error.to_string().lines().last().unwrap_or_default().trim())),
        })?;
        let group = match &options.group {
            None => usize::from(regex.captures_len() > 1),
            Some(Group::Number(number)) if *number < regex.captures_len() => *number,
            Some(Group::Number(number)) => {
                return Err(problem(format!("there is no group {number}; the last one is {}", regex.captures_len() - 1)));
            }
            Some(Group::Name(name)) => {
                let at = regex.capture_names().position(|known| known == Some(name));
                at.ok_or_else(|| problem(format!("no group is named {name:?}; one is named by (?<{name}>…)")))?
            }
        };
        Ok(Self { regex, group, no_match: options.no_match })
    }
}

impl Transform for Extract {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        if cell.is_nested() {
            return Err(TransformError::new("is an object or a list, not a text"));
        }
        let Some(text) = cell.text() else { return Ok(Made::Unchanged) };
        // Finding no groups is several times faster than finding them.
        let part = match self.group {
            0 => self.regex.find(&text),
            group => self.regex.captures(&text).and_then(|found| found.get(group)),
        };
        match (part, self.no_match) {
            (Some(part), _) if cell.is_text() && part.as_str() == text => Ok(Made::Unchanged),
            (Some(part), _) => Ok(Made::text(part.as_str())),
            (None, NoMatch::Error) => Err(TransformError::new(format!("does not match {}", self.regex.as_str()))),
            (None, NoMatch::Null) => Ok(Made::Null),
            (None, NoMatch::Keep) => Ok(Made::Unchanged),
        }
    }

    fn kind(&self, input: Option<FieldKind>) -> Option<FieldKind> {
        if self.no_match == NoMatch::Keep && input != Some(FieldKind::Text) { None } else { Some(FieldKind::Text) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, problem, refused};

    #[test]
    fn group_is_taken_by_number_or_name_and_without_groups_the_whole_match() {
        for (options, input, part) in [
            (json!({ "pattern": "[0-9]+" }), r#""order 17, 18""#, r#""17""#),
            (json!({ "pattern": "order ([0-9]+)" }), r#""order 17""#, r#""17""#),
            (json!({ "pattern": "(a)(b)", "group": 2 }), r#""ab""#, r#""b""#),
            (json!({ "pattern": "(a)(b)", "group": 0 }), r#""xabx""#, r#""ab""#),
            (json!({ "pattern": "(?<sku>[A-Z]{2})-", "group": "sku" }), r#""QX-1""#, r#""QX""#),
            (json!({ "pattern": "^(?i)straße$" }), r#""STRAßE""#, r#""STRAßE""#),
            (json!({ "pattern": r"^\w+" }), r#""Ünder way""#, r#""Ünder""#),
            (json!({ "pattern": "^[0-9]{2}" }), "1234", r#""12""#),
            (json!({ "pattern": "a" }), r#""""#, r#""""#),
        ] {
            case("regex", &options, Some(input), Some(part));
        }
        refused("regex", &json!({ "pattern": "a" }), "[\"a\"]");
    }

    #[test]
    fn text_that_does_not_match_is_an_error_null_or_itself() {
        refused("regex", &json!({ "pattern": "^[0-9]+$" }), r#""x""#);
        refused("regex", &json!({ "pattern": "^(a)?b$" }), r#""b""#);
        case("regex", &json!({ "pattern": "^[0-9]+$", "no_match": "null" }), Some(r#""x""#), Some("null"));
        case("regex", &json!({ "pattern": "^[0-9]+$", "no_match": "keep" }), Some(r#""x""#), Some(r#""x""#));
        case("regex", &json!({ "pattern": "x", "no_match": "keep" }), Some("17"), Some("17"));
    }

    #[test]
    fn patterns_are_read_when_the_mapping_is() {
        for (options, words) in [
            (json!(null), "`pattern` is missing"),
            (json!({ "pattern": "(" }), "cannot be read: error: unclosed group"),
            (json!({ "pattern": "(?=a)" }), "look-around"),
            (json!({ "pattern": "a", "group": 1 }), "there is no group 1; the last one is 0"),
            (json!({ "pattern": "(a)", "group": "sku" }), "no group is named \"sku\""),
            (json!({ "pattern": "a", "no_match": "drop" }), "drop"),
            (json!({ "pattern": "((a{100}){100}){8}" }), "too large when compiled"),
            (json!({ "pattern": "a".repeat(1001) }), "longer than 1000 bytes"),
            (json!({ "pattern": "(".repeat(60) + &")".repeat(60) }), "cannot be read"),
        ] {
            let text = problem("regex", &options);
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
    }

    #[test]
    fn value_goes_back_as_it_is_where_it_would_be_read_again() {
        back("regex", &json!({ "pattern": "^[A-Z]{2}" }), r#""QX""#, r#""QX""#);
    }
}

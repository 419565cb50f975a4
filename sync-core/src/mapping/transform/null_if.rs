//! `null_if`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Made, Transform, TransformError, Transforms, exact::Exact};
use crate::{Error, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("null_if", |options| Ok(Arc::new(NullIf::new(options)?)))
}

/// Null of what a source writes where it knows nothing: `{ null_if = ["N/A", "-"] }`. Every other value passes as it is.
#[derive(Debug)]
struct NullIf {
    /// Without blanks at their ends, in lower case.
    words: Vec<Box<str>>,
    /// Those of them that are numbers.
    numbers: Vec<Exact>,
}

impl NullIf {
    fn new(options: &Value) -> Result<Self> {
        let words = Vec::<Box<str>>::deserialize(options).unwrap_or_default();
        if words.is_empty() {
            return Err(Error::config("transform", "null_if: it needs a list of texts, as in { null_if = [\"N/A\", \"-\"] }"));
        }
        let words: Vec<Box<str>> = words.iter().map(|word| word.trim().to_lowercase().into()).collect();
        let numbers = words.iter().filter_map(|word| Exact::plain(word)).collect();
        Ok(Self { words, numbers })
    }

    /// Texts by their words, so that the code `0E0` is no zero; numbers by what they say, so that `0.0` is one.
    fn means_nothing(&self, cell: Cell<'_>) -> bool {
        if cell.is_nested() || matches!(cell, Cell::Absent | Cell::Null) {
            return false;
        }
        let text = cell.text().unwrap_or_default();
        if cell.is_text() {
            let word = text.trim().to_lowercase();
            return self.words.iter().any(|known| **known == *word);
        }
        match Exact::plain(&text) {
            Some(exact) => self.numbers.iter().any(|known| known.equals(&exact)),
            None => self.words.iter().any(|known| **known == *text),
        }
    }
}

impl Transform for NullIf {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        Ok(if self.means_nothing(cell) { Made::Null } else { Made::Unchanged })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::mapping::transform::tests::{back, built, case, problem};

    #[test]
    fn words_for_nothing_are_null_whatever_their_case_and_all_else_passes() {
        let words = json!([" N/A", "-", "Not rated", "-999", "false"]);
        for (input, made) in [
            (r#""N/A""#, "null"),
            (r#"" n/a\t""#, "null"),
            (r#""NOT RATED""#, "null"),
            (r#""-""#, "null"),
            (r#""–""#, r#""–""#),
            (r#""N/A yet""#, r#""N/A yet""#),
            (r#""""#, r#""""#),
            ("-999", "null"),
            ("-999.00", "null"),
            ("-9.99e2", "null"),
            (r#""-999""#, "null"),
            ("999", "999"),
            (r#""-999.00""#, r#""-999.00""#),
            ("false", "null"),
            ("true", "true"),
            ("0", "0"),
            (r#"["N/A"]"#, r#"["N/A"]"#),
            (r#"{"a":"-"}"#, r#"{"a":"-"}"#),
        ] {
            case("null_if", &words, Some(input), Some(made));
        }
        case("null_if", &json!(["0"]), Some(r#""0E0""#), Some(r#""0E0""#));
    }

    #[test]
    fn empty_and_blank_texts_are_null_where_the_list_has_the_empty_one() {
        for (input, made) in [(r#""""#, "null"), (r#""  ""#, "null"), (r#"" x""#, r#"" x""#)] {
            case("null_if", &json!([""]), Some(input), Some(made));
            case("null_if", &json!(["-"]), Some(input), Some(input));
        }
    }

    #[test]
    fn list_that_is_none_is_refused_with_an_example() {
        for options in [json!(null), json!([]), json!("N/A"), json!([7]), json!({ "words": ["N/A"] })] {
            assert!(problem("null_if", &options).contains(r#"{ null_if = ["N/A", "-"] }"#), "{options}");
        }
    }

    #[test]
    fn what_passed_goes_back_as_it_is_and_a_word_for_nothing_does_not_come_back() {
        back("null_if", &json!(["N/A"]), r#""R""#, r#""R""#);
        // A push proves what it sends by reading it again: a row with such a word itself fails.
        let again = built("null_if", &json!(["N/A"])).apply(crate::mapping::Cell::Value(r#""n/a""#)).expect("it is read");
        assert_eq!(again, super::Made::Null);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn text_is_null_exactly_when_the_list_has_it(words in prop::collection::vec("[a-cA-C -]{0,3}", 1..5), text in "[a-cA-C -]{0,3}") {
            let listed = words.iter().any(|word| word.trim().eq_ignore_ascii_case(text.trim()));
            let input = json!(text).to_string();
            case("null_if", &json!(words), Some(&input), Some(if listed { "null" } else { &input }));
        }
    }
}

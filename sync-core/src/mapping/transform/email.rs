//! `email`.

use std::sync::Arc;

use email_address::{EmailAddress, Options};
use serde::Deserialize;

use super::{Made, Transform, TransformError, Transforms, transform_options};
use crate::{FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("email", |options| Ok(Arc::new(transform_options::<Email>("email", options)?)))
}

/// An e-mail address without blanks at its ends, its domain in lower case. Empty texts become null. What an address is says RFC 5322 (with
/// the lengths of RFC 5321), by the crate `email_address`; a name beside it, a domain in brackets and one without a dot are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Email {
    /// Whether the part before the `@` keeps its case: only its own server knows whether that matters.
    local: Local,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Local {
    /// As it is written (default).
    #[default]
    Keep,
    /// In lower case, as nearly every server takes it.
    Lower,
}

impl Transform for Email {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Empty => return Ok(Made::Null),
            Cell::Value(_) => cell.text().unwrap_or_default(),
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Made::Null);
        }
        let wrong = || TransformError::new("is not an e-mail address");
        if !cell.is_text() {
            return Err(wrong());
        }
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let address = EmailAddress::parse_with_options(trimmed, options).map_err(|_| wrong())?;
        let local = match self.local {
            Local::Keep => address.local_part().to_owned(),
            Local::Lower => address.local_part().to_lowercase(),
        };
        let made = format!("{local}@{}", address.domain().to_lowercase());
        Ok(if made == *text { Made::Unchanged } else { Made::text(&made) })
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{back, case, problem, refused};

    #[test]
    fn addresses_are_tidied_and_their_local_part_is_left_alone() {
        for (options, input, address) in [
            (json!(null), r#"" Ada@Example.ORG ""#, r#""Ada@example.org""#),
            (json!({ "local": "lower" }), r#""Ada.Lovelace+News@Example.org""#, r#""ada.lovelace+news@example.org""#),
            (json!(null), r#""jörg@münchen.example""#, r#""jörg@münchen.example""#),
            (json!(null), r#""o'neill@mail.example.co.uk""#, r#""o'neill@mail.example.co.uk""#),
            (json!(null), r#""\"a b\"@example.org""#, r#""\"a b\"@example.org""#),
            (json!(null), r#""""#, "null"),
            (json!(null), r#""  ""#, "null"),
        ] {
            case("email", &options, Some(input), Some(address));
        }
        assert!(problem("email", &json!({ "local": "upper" })).contains("upper"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("\"{}@example.org\"", "a".repeat(65));
        for input in [
            r#""ada""#,
            r#""ada@""#,
            r#""@example.org""#,
            r#""ada@localhost""#,
            r#""ada@example..org""#,
            r#""ada@ example.org""#,
            r#""a@b@example.org""#,
            r#""Ada <ada@example.org>""#,
            r#""ada@[127.0.0.1]""#,
            r#""ada@example.org, bo@example.org""#,
            &long,
            "17",
            "true",
            "[]",
        ] {
            refused("email", &json!(null), input);
        }
    }

    #[test]
    fn address_goes_back_as_it_is() {
        back("email", &json!(null), r#""Ada@example.org""#, r#""Ada@example.org""#);
    }
}

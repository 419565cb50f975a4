//! `hash`.

use std::{fmt, sync::Arc};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Made, Transform, TransformError, Transforms, transform_options};
use crate::{Error, FieldKind, Result, mapping::Cell};

pub(super) fn register(transforms: &mut Transforms) -> Result<()> {
    transforms.register("hash", |options| {
        let hash: Hash = transform_options("hash", options)?;
        if hash.salt.is_empty() {
            let text = "hash: the option `salt` is missing or empty; without one, anybody could hash the values there are and compare";
            return Err(Error::config("transform", text));
        }
        Ok(Arc::new(hash))
    })
}

/// A pseudonym: SHA-256 over the salt and then the value's text, in hexadecimal digits. The same value has the same pseudonym wherever the
/// salt is the same. Null stays null, and the empty text is null, since nobody is behind it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Hash {
    /// Whoever knows it can try values out: keep the mapping as safe as it has to be.
    salt: Box<str>,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

impl Transform for Hash {
    fn apply(&self, cell: Cell<'_>) -> Result<Made, TransformError> {
        let text = match cell {
            Cell::Absent | Cell::Null => return Ok(Made::Unchanged),
            Cell::Empty => return Ok(Made::Null),
            Cell::Value(_) if cell.is_nested() => return Err(TransformError::new("is an object or a list, not one value")),
            Cell::Value(_) => cell.text().unwrap_or_default(),
        };
        let digest = Sha256::new_with_prefix(self.salt.as_bytes()).chain_update(text.as_bytes()).finalize();
        let mut json = String::with_capacity(66);
        json.push('"');
        for byte in digest {
            json.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            json.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        json.push('"');
        Ok(Made::Json(json))
    }

    fn sends(&self) -> bool {
        false
    }

    fn kind(&self, _: Option<FieldKind>) -> Option<FieldKind> {
        Some(FieldKind::Text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::mapping::transform::tests::{built, case, problem, refused};

    #[test]
    fn pseudonym_is_the_sha_256_of_salt_and_text() {
        let options = json!({ "salt": "pepper" });
        // printf %s pepperada@example.org | sha256sum
        let ada = r#""63be4e38c785f0f31f134e9c4de4a943dbb87a1bfb5f6f3ff60e8bc185813134""#;
        case("hash", &options, Some(r#""ada@example.org""#), Some(ada));
        // printf %s pepper17 | sha256sum: a number as its digits
        let seventeen = r#""0b4ddef080fcb061319256ad9d82e3a056888e1fe819dfd7b27b2153987f8087""#;
        case("hash", &options, Some("17"), Some(seventeen));
        case("hash", &options, Some(r#""17""#), Some(seventeen));
        case("hash", &options, Some(r#""""#), Some("null"));
        refused("hash", &options, "[1]");
    }

    #[test]
    fn salt_is_needed_and_shown_to_nobody() {
        assert!(problem("hash", &json!(null)).contains("`salt` is missing"));
        assert!(problem("hash", &json!({ "salt": "" })).contains("`salt` is missing"));
        assert!(!format!("{:?}", built("hash", &json!({ "salt": "pepper" }))).contains("pepper"));
    }

    #[test]
    fn pseudonym_is_sent_by_nobody() {
        assert!(!built("hash", &json!({ "salt": "pepper" })).sends());
    }
}

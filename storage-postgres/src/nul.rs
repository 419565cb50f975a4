//! Reports of what went wrong quote what a source or a service said, and that may hold a NUL, which PostgreSQL cannot. A report need not.

use std::borrow::Cow;

/// What stands for a NUL.
const INSTEAD: &str = "\u{fffd}";

/// A text of a report, as it can be stored.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', INSTEAD)) } else { Cow::Borrowed(text) }
}

/// JSON of a report, as `jsonb` can hold it. A NUL in JSON is always escaped; a backslash that is a character itself escapes nothing.
pub(crate) fn json(json: &str) -> Cow<'_, str> {
    const NUL: &str = "u0000";
    if !json.contains(NUL) {
        return Cow::Borrowed(json);
    }
    let (mut kept, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find('\\') {
        kept.push_str(&rest[..at]);
        let escaped = &rest[at + 1..];
        if let Some(after) = escaped.strip_prefix(NUL) {
            kept.push_str(INSTEAD);
            rest = after;
        } else {
            let width = escaped.chars().next().map_or(0, char::len_utf8);
            kept.push_str(&rest[at..=at + width]);
            rest = &escaped[width..];
        }
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn json_says_what_the_text_says(said in "[\\\\\"u0a\u{0}é🦀]{0,12}|([\\\\]{0,3}u0000){0,3}") {
            let stored = json(&serde_json::to_string(&said).expect("a text")).into_owned();
            let read: String = serde_json::from_str(&stored).expect("it is JSON still");
            prop_assert_eq!(&read, &*text(&said));
            prop_assert!(!read.contains('\0'));
        }
    }
}

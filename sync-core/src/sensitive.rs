//! What lineage keeps of values that are nobody's business: a keyed hash, which tells whether two values are the same and nothing else.

use std::{collections::BTreeMap, fmt};

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// The bytes of a block of SHA-256: what each pad of a key fills.
const BLOCK: usize = 64;
/// What a hidden value begins with.
const PREFIX: &str = r#"{"hidden":"#;

/// A hidden value of which not even a hash is known, as JSON text.
pub const HIDDEN: &str = r#"{"hidden":null}"#;

/// The key that the values of one workspace are hashed with, as the two pads of HMAC-SHA-256 (RFC 2104): with these a database that
/// knows SHA-256 alone can do the same. Whoever has it can try values out.
#[derive(Clone, PartialEq, Eq)]
pub struct HidingKey {
    inner: [u8; BLOCK],
    outer: [u8; BLOCK],
}

impl fmt::Debug for HidingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HidingKey")
    }
}

impl HidingKey {
    /// The key made of these random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        let (mut inner, mut outer) = ([0x36; BLOCK], [0x5c; BLOCK]);
        for (at, byte) in random.iter().enumerate() {
            inner[at] ^= byte;
            outer[at] ^= byte;
        }
        Self { inner, outer }
    }

    /// The key with these pads; `None` when they are not as long as pads are.
    #[must_use]
    pub fn of_pads(inner: &[u8], outer: &[u8]) -> Option<Self> {
        Some(Self { inner: inner.try_into().ok()?, outer: outer.try_into().ok()? })
    }

    /// The inner pad and the outer one.
    #[must_use]
    pub fn pads(&self) -> (&[u8], &[u8]) {
        (&self.inner, &self.outer)
    }

    /// What lineage keeps of a value of JSON text: `{"hidden":"hmac-sha256:…"}`. Null stays null, since there is nothing to hide, and what
    /// is hidden already stays as it is. The same value has the same hash however its JSON is written, but for the digits of numbers.
    #[must_use]
    pub fn hide(&self, json: &str) -> String {
        if json == "null" || is_hidden(json) {
            return json.to_owned();
        }
        let within = Sha256::new_with_prefix(self.inner).chain_update(canonical(json).as_bytes()).finalize();
        let hash = Sha256::new_with_prefix(self.outer).chain_update(within).finalize();
        let mut text = format!("{PREFIX}\"hmac-sha256:");
        for byte in hash {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        text.push_str("\"}");
        text
    }
}

/// Whether this JSON text stands for a value that is hidden.
#[must_use]
pub fn is_hidden(json: &str) -> bool {
    json.strip_prefix(PREFIX).is_some_and(|rest| {
        let hash = rest.strip_suffix('}').unwrap_or_default();
        hash == "null" || (hash.starts_with("\"hmac-sha256:") && hash.len() == 78 && hash.ends_with('"'))
    })
}

/// The value in one way of writing: texts with the fewest escapes, the members of objects in the order of their names, no blanks between.
/// Numbers keep their digits.
fn canonical(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    write(json.trim(), &mut text);
    text
}

fn write(json: &str, into: &mut String) {
    let read = match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(json).ok().map(|text| into.push_str(&serde_json::Value::from(text).to_string())),
        Some(b'{') => serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(json).ok().map(|members| {
            into.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                into.push_str(&serde_json::Value::from(name.as_str()).to_string());
                into.push(':');
                write(value.get(), into);
            }
            into.push('}');
        }),
        Some(b'[') => serde_json::from_str::<Vec<Box<RawValue>>>(json).ok().map(|values| {
            into.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                write(value.get(), into);
            }
            into.push(']');
        }),
        _ => None,
    };
    if read.is_none() {
        into.push_str(json);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_hmac_sha256_of_the_values_json() {
        // RFC 4231, test case 2 pads "Jefe" with zeros, as any key shorter than a block is.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let within = Sha256::new_with_prefix(HidingKey::new(&key).inner).chain_update(b"what do ya want for nothing?").finalize();
        let told: String = Sha256::new_with_prefix(HidingKey::new(&key).outer)
            .chain_update(within)
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(told, digest);
        let plain = HidingKey::new(&key).hide("7");
        let same = Sha256::new_with_prefix(HidingKey::new(&key).inner).chain_update(b"7").finalize();
        let same = Sha256::new_with_prefix(HidingKey::new(&key).outer).chain_update(same).finalize();
        let same: String = same.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(plain, format!(r#"{{"hidden":"hmac-sha256:{same}"}}"#));
    }

    #[test]
    fn null_and_what_is_hidden_stay_as_they_are() {
        let key = HidingKey::new(&[7; 32]);
        assert_eq!(key.hide("null"), "null");
        assert_eq!(key.hide(HIDDEN), HIDDEN);
        let once = key.hide(r#""a@x""#);
        assert!(is_hidden(&once) && is_hidden(HIDDEN));
        assert_eq!(key.hide(&once), once);
        for shown in ["null", r#""hidden""#, r#"{"hidden":"a@x"}"#, r#"{"hidden":7}"#, r#"{"hidden":null,"a":1}"#] {
            assert!(!is_hidden(shown), "{shown}");
        }
    }

    #[test]
    fn a_value_has_one_hash_however_its_json_is_written_and_each_workspace_another() {
        let key = HidingKey::new(&[7; 32]);
        for (one, other) in
            [(r#""caf\u00e9""#, "\"café\""), (r#""a\/b""#, r#""a/b""#), (r#"{"a": [1, "\u0041"], "b": {}}"#, r#"{"b":{},"a":[1,"A"]}"#)]
        {
            assert_eq!(key.hide(one), key.hide(other), "{one}");
        }
        for (one, other) in [("1", r#""1""#), ("1.50", "1.5"), (r#""a""#, r#""A""#), ("[1,2]", "[2,1]")] {
            assert_ne!(key.hide(one), key.hide(other), "{one}");
        }
        assert_ne!(HidingKey::new(&[8; 32]).hide("1"), key.hide("1"));
    }

    #[test]
    fn a_key_comes_back_from_its_pads_and_is_not_printed() {
        let key = HidingKey::new(&[9; 32]);
        let (inner, outer) = key.pads();
        assert_eq!(HidingKey::of_pads(inner, outer), Some(key.clone()));
        assert_eq!(HidingKey::of_pads(&inner[1..], outer), None);
        assert_eq!(format!("{key:?}"), "HidingKey");
    }

    proptest! {
        #[test]
        fn texts_are_told_apart_and_none_stands_in_its_hash(one in "[a-z@.]{8,20}", other in "[a-z@.]{8,20}", random in any::<[u8; 32]>()) {
            let key = HidingKey::new(&random);
            let quote = |text: &str| serde_json::Value::from(text).to_string();
            prop_assert_eq!(one == other, key.hide(&quote(&one)) == key.hide(&quote(&other)));
            prop_assert!(!key.hide(&quote(&one)).contains(&one));
        }
    }
}

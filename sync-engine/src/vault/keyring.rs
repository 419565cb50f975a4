//! The keys credentials are sealed with.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sync_core::{Error, Result};
use zeroize::{Zeroize, Zeroizing};

use super::uses::Uses;

/// Where keys come from, when they are neither in the environment nor in a file: a KMS that unwraps them, a vault that hands them out.
/// Asked once, when the engine is built.
#[async_trait]
pub trait KeySource: fmt::Debug + Send + Sync {
    /// The keys, the active one first.
    ///
    /// # Errors
    /// [`Key`](sync_core::ErrorKind::Key) when the source refuses, [`Transport`](sync_core::ErrorKind::Transport) when it cannot be
    /// reached; never with a key in the text.
    async fn keys(&self) -> Result<Keyring>;
}

/// AES-256 keys by id. New envelopes use the first one, old ones name theirs.
#[derive(Clone)]
pub struct Keyring(Arc<Vec<Key>>);

struct Key {
    id: Box<str>,
    bytes: Zeroizing<[u8; 32]>,
    uses: Mutex<Uses>,
}

impl Keyring {
    /// Reads keys from an environment variable, in the form of [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming the variable when it is missing or malformed.
    pub fn from_env(variable: &str) -> Result<Self> {
        let text = std::env::var(variable).map(Zeroizing::new).map_err(|_| {
            Error::config("keyring", format!("the environment variable {variable} is not set; it holds keys as id:base64 of 32 bytes"))
        })?;
        Self::parse(&text).map_err(|e| e.at("variable", variable))
    }

    /// Reads keys from a file, in the form of [`parse`](Self::parse), one in a line.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming the file when it cannot be read, and the entry that is malformed; never a key.
    pub fn from_file(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|e| {
            let text = "the file of keys cannot be read; it holds keys as id:base64 of 32 bytes, one in a line";
            Error::config("keyring", text).at("file", shown()).because(e)
        })?;
        Self::parse(&text).map_err(|e| e.at("file", shown()))
    }

    /// Reads keys as `id:base64`, separated by commas or line ends, the active one first.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) saying which entry is wrong and how; never a key.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys: Vec<Key> = Vec::new();
        for (n, entry) in text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let wrong = |what: &str| Error::config("keyring", format!("entry {} of the keyring {what}", n + 1));
            let (id, key) = entry.split_once(':').ok_or_else(|| wrong("is not of the form id:base64"))?;
            if id.is_empty() || id.len() > usize::from(u8::MAX) {
                return Err(wrong("has an id that is empty or longer than 255 bytes"));
            }
            if keys.iter().any(|known| &*known.id == id) {
                return Err(wrong("repeats an id"));
            }
            let decoded = Zeroizing::new(BASE64_STANDARD.decode(key.trim()).map_err(|_| wrong("is not base64"))?);
            let mut bytes: [u8; 32] =
                decoded.as_slice().try_into().map_err(|_| wrong(&format!("is {} bytes long, not 32", decoded.len())))?;
            keys.push(Key { id: id.into(), bytes: Zeroizing::new(bytes), uses: Mutex::default() });
            bytes.zeroize();
        }
        if keys.is_empty() {
            return Err(Error::config("keyring", "the keyring is empty; it needs at least one key as id:base64"));
        }
        Ok(Self(Arc::new(keys)))
    }

    /// A keyring for a process that needs no credentials: it seals nothing and opens nothing, and says so when it is asked to.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// A new random key under `id`, in the form of [`parse`](Self::parse): keep it where the host keeps its secrets.
    #[must_use]
    pub fn generate(id: &str) -> Zeroizing<String> {
        let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
        Zeroizing::new(format!("{id}:{}", BASE64_STANDARD.encode(*bytes)))
    }

    /// The key new envelopes are sealed with.
    pub(super) fn active(&self) -> Result<(&str, &[u8; 32])> {
        let key = self.first()?;
        Ok((&key.id, &key.bytes))
    }

    /// How far this process has used it.
    pub(super) fn uses(&self) -> Result<(&str, MutexGuard<'_, Uses>)> {
        let key = self.first()?;
        Ok((&key.id, key.uses.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn first(&self) -> Result<&Key> {
        let none = || Error::new(sync_core::ErrorKind::Key, "seal", "this process was given no keys, so it can seal nothing");
        self.0.first().ok_or_else(none)
    }

    /// The id of the key that new envelopes are sealed with.
    pub(crate) fn active_id(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// A key for another purpose than sealing, made of one of these (HMAC-SHA256 as a key derivation, RFC 5869).
    pub(crate) fn derived(&self, id: &str, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(self.key(id)?).ok()?;
        mac.update(b"syncline derived key 1\0");
        mac.update(purpose);
        Some(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    pub(super) fn key(&self, id: &str) -> Option<&[u8; 32]> {
        self.0.iter().find(|key| &*key.id == id).map(|key| &*key.bytes)
    }

    /// The ids, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| &*key.id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_keyrings_are_refused_without_showing_a_key() {
        let short = format!("k1:{}", BASE64_STANDARD.encode([7; 16]));
        for (text, says) in [
            ("", "empty"),
            ("no-colon", "form id:base64"),
            (":AAAA", "id that is empty"),
            ("k1:!!!", "not base64"),
            (short.as_str(), "16 bytes long, not 32"),
        ] {
            let error = Keyring::parse(text).expect_err("refused").to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("BwcH"), "{error}");
        }
        let twice = format!("{},{}", &*Keyring::generate("a"), &*Keyring::generate("a"));
        assert!(Keyring::parse(&twice).expect_err("refused").to_string().contains("repeats an id"));
    }

    #[test]
    fn a_generated_key_reads_back_and_debug_hides_it() {
        let text = Keyring::generate("2026-11");
        let ring = Keyring::parse(&text).expect("well formed");
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["2026-11"]);
        assert_eq!(format!("{ring:?}"), r#"["2026-11"]"#);
    }
}

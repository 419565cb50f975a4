//! What is sealed, over all tenants: the keyring's keys and the values under them.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, WorkspaceId};

/// Which secret a sealed value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealedField {
    /// A connection's access token or key.
    Access,
    /// What a connection's new tokens are got with.
    Refresh,
    /// The secret of a workspace's OAuth client; its owner is the authority.
    ClientSecret,
    /// The verifier of an authorization under way; its owner is the nonce.
    Verifier,
}

impl SealedField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Access, Self::Refresh, Self::ClientSecret, Self::Verifier];

    /// The column it is stored in. Part of what is authenticated with the value, so never renamed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "credentials_encrypted",
            Self::Refresh => "refresh_token_encrypted",
            Self::ClientSecret => "client_secret_encrypted",
            Self::Verifier => "verifier_encrypted",
        }
    }

    /// What its owner is called.
    #[must_use]
    pub fn owner(self) -> &'static str {
        match self {
            Self::Access | Self::Refresh => "connection",
            Self::ClientSecret => "authority",
            Self::Verifier => "nonce",
        }
    }
}

/// Where a sealed value stands. Ordered as [`FleetStore::sealed`](super::FleetStore::sealed) lists them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedPlace {
    /// Which secret.
    pub field: SealedField,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Whose secret it is inside the workspace: the id of a connection, or what [`SealedField`] says.
    pub owner: Box<str>,
}

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValue {
    /// Where.
    pub place: SealedPlace,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// A key of the keyring, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id.
    pub id: Box<str>,
    /// What tells another key under the same id apart; nothing can be opened with it.
    pub check: Vec<u8>,
    /// Since when it is not to be used any more.
    pub retired_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// The id of the key an envelope is sealed with, as its header says (`0x01 | length | id`); `None` for what is no envelope.
#[must_use]
pub fn key_of(envelope: &[u8]) -> Option<&str> {
    let [1, length, rest @ ..] = envelope else { return None };
    std::str::from_utf8(rest.get(..usize::from(*length))?).ok()
}

/// The error of a value that is sealed with a key that was retired: every storage refuses to store it, since soon nobody could open it.
#[must_use]
pub fn retired_key(operation: &'static str, id: &str) -> Error {
    let text = format!(
        "key {id:?} was retired while this process went on sealing with it; nothing was stored. Start the process with the newest key in front"
    );
    Error::new(ErrorKind::Key, operation, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_its_key_and_nothing_else_does() {
        for (envelope, id) in [
            (&b"\x01\x02k1rest"[..], Some("k1")),
            (b"\x01\x02k1", Some("k1")),
            (b"\x01\x03k1", None),
            (b"\x02\x02k1rest", None),
            (b"\x01\x02\xff\xfe", None),
            (b"\x01", None),
            (b"", None),
        ] {
            assert_eq!(key_of(envelope), id, "{envelope:?}");
        }
    }
}

//! What is sealed, over all tenants: the keyring's keys and the values under them.

use serde::{Deserialize, Serialize};

use crate::WorkspaceId;

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

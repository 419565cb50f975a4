//! Names and keys, one type each, so that a stream's name is never passed where a connection's id belongs.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes one from its text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    )*};
}

text_ids! {
    /// The tenant: opaque text chosen by the host. Every row, call and lock belongs to one.
    WorkspaceId,
    /// One authorised account at a provider, inside one workspace.
    ConnectionId,
    /// One kind of record a provider offers: `messages`, a sheet's tab, a base's table.
    StreamName,
    /// An independent part of a stream with a cursor of its own: a channel, a list, a day range.
    PartitionId,
    /// The provider's own key of a record inside its stream, as exact text.
    RecordId,
    /// A position inside one scan; volatile or durable as the provider declares ([`TokenLife`](crate::TokenLife)).
    PageToken,
    /// The id a platform gave to an object that was created there.
    PlatformId,
    /// Stable over all attempts of one write, so that a lost answer can be looked up.
    Marker,
    /// A kind of row the host cares about: a managed table, or a table of the host.
    EntityType,
}

impl WorkspaceId {
    /// Refuses the empty id, which names no tenant: a host that hands it over has forgotten whose the rows are.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid).
    pub fn check(&self, operation: &'static str) -> Result<()> {
        if self.0.is_empty() {
            let text = "the workspace id is empty; name the tenant whose rows are meant";
            return Err(Error::new(ErrorKind::Invalid, operation, text));
        }
        Ok(())
    }
}

/// A run's number, unique in its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! Where credentials are kept: sealed from the first day, opened only to be sent.

#[doc(hidden)]
pub mod bench;
mod credentials;
mod envelope;
mod keyring;
mod rotation;
mod uses;

pub use self::{
    credentials::Credentials,
    keyring::{KeySource, Keyring},
    rotation::{KeyUse, Rotated},
};
pub(crate) use self::{
    envelope::{Field, Place, header},
    rotation::{check, check_active},
    uses::Seals,
};

//! Where credentials are kept: sealed from the first day, opened only to be sent.

mod credentials;
mod envelope;
mod keyring;

pub(crate) use self::envelope::{Field, Place};
pub use self::{credentials::Credentials, keyring::Keyring};

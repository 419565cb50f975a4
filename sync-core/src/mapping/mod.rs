//! Mapping: which fields of a stream become which fields of an entity type, and who may write them.

mod authority;

pub use self::authority::{Authority, Decision, Stored, decide};

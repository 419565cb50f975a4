//! What the benches share: a service to read from, the bare limit to compare with, and how to measure.

pub(crate) mod limit;
pub(crate) mod measure;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod pipeline;

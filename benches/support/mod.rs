//! What the benches share: services to read from, the bare limits to compare with, the contests, and how to measure.

pub(crate) mod cluster;
pub(crate) mod explained;
pub(crate) mod limit;
pub(crate) mod limit_postgres;
pub(crate) mod mapped;
pub(crate) mod mapping_contest;
pub(crate) mod measure;
pub(crate) mod member;
pub(crate) mod members;
pub(crate) mod on_postgres;
pub(crate) mod on_sqlite;
pub(crate) mod pipeline;
pub(crate) mod server;

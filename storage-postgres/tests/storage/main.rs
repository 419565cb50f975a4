//! The storage on a real server.

mod cancel;
mod catalogue;
mod host;
mod host_types;
mod mapped;
mod opening;
mod owners;
mod pooler;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_lost;
mod push_support;
mod push_tenancy;
mod refused_rows;
mod suite;
mod support;
mod trouble;
mod wire;

//! The storage on a real server.

mod cancel;
mod catalogue;
mod connections;
mod host;
mod host_types;
mod leases;
mod lineage;
mod mapped;
mod opening;
mod owners;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_lost;
mod push_model;
mod push_plans;
mod push_support;
mod push_tenancy;
mod reads;
mod refused_rows;
mod retention;
mod runs;
mod suite;
mod support;
mod view;

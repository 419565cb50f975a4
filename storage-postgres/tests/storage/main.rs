//! The storage on a real server.

mod connections;
mod leases;
mod lineage;
mod opening;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_support;
mod push_tenancy;
mod reads;
mod retention;
mod runs;
mod suite;
mod support;
mod view;

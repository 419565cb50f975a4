//! The storage on a real server.

mod opening;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_support;
mod push_tenancy;
mod suite;
mod support;

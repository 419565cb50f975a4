//! The storage on a real server.

mod lost;
mod opening;
mod order;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_support;
mod push_tenancy;
mod streams;
mod suite;
mod support;

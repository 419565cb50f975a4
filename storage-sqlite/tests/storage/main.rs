//! The storage against real files.

mod commit;
mod lineage;
mod living;
mod mapped;
mod model;
mod oauth;
mod push_changed;
mod push_echo;
mod push_journal;
mod push_model;
mod push_support;
mod push_tenancy;
mod runs;
mod scan;
mod support;
mod tenancy;
mod trouble;

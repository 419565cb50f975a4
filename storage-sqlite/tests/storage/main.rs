//! The storage against real files.

mod commit;
mod lineage;
mod living;
mod mapped;
mod model;
mod push_changed;
mod push_support;
mod runs;
mod scan;
mod support;
mod tenancy;
mod trouble;

//! The storage against real files.

mod commit;
mod lineage;
mod living;
mod mapped;
mod model;
mod runs;
mod scan;
mod support;
mod tenancy;
mod trouble;

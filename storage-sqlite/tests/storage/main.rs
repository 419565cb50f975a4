//! The storage against real files.

mod commit;
mod support;

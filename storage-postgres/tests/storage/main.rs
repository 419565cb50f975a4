//! The storage on a real server.

mod opening;
mod suite;
mod support;

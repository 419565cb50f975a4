//! OAuth over the one retry, against a simulated authorization server.

mod assertion;
mod faults;
mod flow;
mod leaks;
#[path = "../common/log.rs"]
mod log;
mod setup;
mod wire;

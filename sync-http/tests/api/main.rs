//! Calls against a simulated service, from the outside.

mod leaks;
#[path = "../common/log.rs"]
mod log;
mod observe;
#[cfg(feature = "reqwest")]
mod passthrough;
mod send;
mod shop;
#[cfg(feature = "reqwest")]
mod socket;

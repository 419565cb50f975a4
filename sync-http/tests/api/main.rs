//! Calls against a simulated service, from the outside.

mod leaks;
mod observe;
mod send;
mod shop;
#[cfg(feature = "reqwest")]
mod socket;

//! OAuth over the one retry, against a simulated authorization server.

mod faults;
mod flow;
mod leaks;
mod setup;
mod wire;

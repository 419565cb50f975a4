//! OAuth over the one retry, against a simulated authorization server.

mod assertion;
mod faults;
mod flow;
mod leaks;
mod setup;
mod wire;

//! The provider against the simulated workspace.

mod faults;
mod loopback;
mod messages;
mod people;
mod simulator;
mod streams;
mod support;

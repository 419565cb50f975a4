//! Scaffold of a simulated service: messages, faults, call log, and two ways to reach it.

mod fault;
mod hold;
mod message;
#[cfg(feature = "simulator")]
mod sandbox;
#[cfg(feature = "simulator")]
mod serve;
mod simulation;
mod transport;

pub use self::{
    fault::{Fault, Faults},
    message::{SimAnswer, SimRequest},
    simulation::{Call, Controls, Simulated, Simulation, Simulator},
};
#[cfg(feature = "simulator")]
pub use self::{sandbox::Sandbox, serve::Served};

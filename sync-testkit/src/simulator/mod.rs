//! Scaffold of a simulated service: messages, faults, call log, and two ways to reach it.

mod fault;
mod message;
#[cfg(feature = "simulator")]
mod serve;
mod simulation;
mod transport;

#[cfg(feature = "simulator")]
pub use self::serve::Served;
pub use self::{
    fault::{Fault, Faults},
    message::{SimAnswer, SimRequest},
    simulation::{Call, Controls, Simulated, Simulation, Simulator},
};

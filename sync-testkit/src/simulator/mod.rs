//! Scaffold of a simulated service: messages, faults, call log, and two ways to reach it.

#[cfg(feature = "simulator")]
mod authorization;
mod fault;
mod hold;
mod message;
#[cfg(feature = "simulator")]
mod sandbox;
#[cfg(feature = "simulator")]
mod serve;
mod simulation;
mod transport;

#[cfg(feature = "simulator")]
pub use self::{
    authorization::{Access, AuthorizationRules, AuthorizationServer, Decision, Issued, Refusal},
    sandbox::Sandbox,
    serve::Served,
};
pub use self::{
    fault::{Fault, Faults},
    message::{SimAnswer, SimRequest},
    simulation::{Call, Controls, Simulated, Simulation, Simulator},
};

#![doc = include_str!("../README.md")]

mod canary;
mod clock;
#[cfg(feature = "postgres")]
pub mod postgres;
mod services;
mod simulator;
#[cfg(feature = "suite")]
pub mod suite;
mod window;

#[cfg(all(feature = "suite", unix))]
pub mod crash;
mod recorder;
#[cfg(feature = "suite")]
mod secrets;

#[cfg(feature = "suite")]
pub use self::secrets::{Leak, Log, Outputs};
#[cfg(feature = "simulator")]
pub use self::simulator::{Access, AuthorizationRules, AuthorizationServer, Decision, Issued, Refusal, Sandbox, Served};
pub use self::{
    canary::Canary,
    clock::VirtualClock,
    recorder::Recorder,
    services::{ServiceCalls, TestServices},
    simulator::{Call, Controls, Fault, Faults, SimAnswer, SimRequest, Simulated, Simulation, Simulator},
    window::Window,
};

#![doc = include_str!("../README.md")]

mod canary;
mod clock;
mod services;
mod simulator;
#[cfg(feature = "suite")]
pub mod suite;
mod window;

#[cfg(feature = "simulator")]
pub use self::simulator::Served;
pub use self::{
    canary::Canary,
    clock::VirtualClock,
    services::{ServiceCalls, TestServices},
    simulator::{Call, Fault, Faults, SimAnswer, SimRequest, Simulated, Simulation, Simulator},
    window::Window,
};

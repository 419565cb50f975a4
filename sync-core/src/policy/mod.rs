//! Policies as values and pure functions: time and randomness are handed in.

mod circuit;
mod retry;
mod scan;
mod settle;
mod window;

pub use self::{
    circuit::{Circuit, CircuitPermit, CircuitPolicy, CircuitState},
    retry::RetryPolicy,
    scan::LoopGuard,
    settle::{Settle, SettlePolicy},
};

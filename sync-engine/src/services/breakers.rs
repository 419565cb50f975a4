//! One circuit breaker per provider and host, shared by all connections of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sync_core::{
    CallOutcome, Delivery, Error, ErrorKind, Result, Retry,
    policy::{Circuit, CircuitPermit, CircuitPolicy},
};

use crate::Clock;

#[derive(Debug, Default)]
pub(crate) struct Breakers {
    policy: CircuitPolicy,
    circuits: Mutex<HashMap<(Box<str>, Box<str>), Arc<Breaker>>>,
}

impl Breakers {
    pub(crate) fn breaker(&self, provider: &str, host: &str) -> Arc<Breaker> {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = circuits
            .entry((provider.into(), host.into()))
            .or_insert_with(|| Arc::new(Breaker { host: host.into(), circuit: Mutex::new(Circuit::new(self.policy.clone())) }));
        Arc::clone(breaker)
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    host: Box<str>,
    circuit: Mutex<Circuit>,
}

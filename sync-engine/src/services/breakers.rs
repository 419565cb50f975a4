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

type ProviderHost = (Box<str>, Box<str>);

#[derive(Debug, Default)]
pub(crate) struct Breakers {
    policy: CircuitPolicy,
    circuits: Mutex<HashMap<ProviderHost, Arc<Breaker>>>,
}

impl Breakers {
    pub(crate) fn breaker(&self, provider: &str, host: &str) -> Arc<Breaker> {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = circuits
            .entry((provider.into(), host.into()))
            .or_insert_with(|| Arc::new(Breaker { host: host.into(), circuit: Mutex::new(Circuit::new(self.policy)) }));
        Arc::clone(breaker)
    }
}

#[derive(Debug)]
pub(crate) struct Breaker {
    host: Box<str>,
    circuit: Mutex<Circuit>,
}

/// Leave for one call. The engine's permit reports it in any case, with nothing when it is dropped.
#[derive(Debug)]
pub(crate) struct Probe {
    breaker: Arc<Breaker>,
    permit: CircuitPermit,
    connection: Box<str>,
    clock: Arc<dyn Clock>,
}

impl Breaker {
    pub(crate) fn permit(self: &Arc<Self>, clock: &Arc<dyn Clock>, connection: &str) -> Result<Probe> {
        let permit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner).permit(clock.now(), rand::random());
        match permit {
            Ok(permit) => Ok(Probe { breaker: Arc::clone(self), permit, connection: connection.into(), clock: Arc::clone(clock) }),
            Err(wait) => {
                let text = format!("calls to {} are suspended for {} s, since most of them failed", self.host, wait.as_secs().max(1));
                Err(Error::new(ErrorKind::CircuitOpen, "permit", text)
                    .with_retry(Retry::After(Some(wait)))
                    .with_delivery(Delivery::NotSent))
            }
        }
    }
}

impl Probe {
    /// Says how the call went; `None` when it was dropped.
    pub(crate) fn report(self, outcome: Option<CallOutcome>) {
        let took = outcome.map(|outcome| outcome.took).unwrap_or_default();
        let health = outcome.map(|outcome| outcome.health);
        let mut circuit = self.breaker.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        circuit.report(self.permit, health, took, &self.connection, self.clock.now(), rand::random());
    }
}

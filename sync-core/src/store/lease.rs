//! Leases by name: who may do what only one may do at a time, over all processes.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{Error, Result};

/// Rows with an end, never an open transaction: a holder that dies is waited for no longer than its lease.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync {
    /// Takes or prolongs a lease: from now on, by the storage's clock, for `life`. Answers `false` while somebody else holds it.
    async fn lease(&self, name: &str, holder: &str, life: Duration) -> Result<bool> {
        let _ = (name, holder, life);
        Err(Error::unsupported("lease"))
    }

    /// Gives a lease back; one that somebody else holds by now stays.
    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        let _ = (name, holder);
        Err(Error::unsupported("release"))
    }
}

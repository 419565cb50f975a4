//! Leases by name.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Transaction;
use sync_core::{Result, store::LeaseStore};

use crate::{
    storage::{Durability, Scoped, Shared},
    time,
};

/// The longest life of a lease: the year its end falls into has four digits, so that ends sort as text.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

#[async_trait]
impl LeaseStore for Scoped {
    async fn lease(&self, name: &str, holder: &str, life: Duration) -> Result<bool> {
        let workspace = self.workspace.clone();
        let (name, holder) = (Box::<str>::from(name), Box::<str>::from(holder));
        let job = move |tx: &Transaction<'_>, shared: &Shared| {
            let now = shared.now();
            let mut taken = tx.prepare_cached(
                "INSERT INTO syncline_leases (workspace_id, name, holder, until) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (workspace_id, name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
                 WHERE holder = excluded.holder OR until <= ?5",
            )?;
            let until = time::text(now + life.min(LONGEST));
            Ok(taken.execute((workspace.as_str(), &*name, &*holder, until, time::text(now)))? == 1)
        };
        // A power cut that takes a lease back ends its holder too: every process that uses the file runs on this machine.
        self.inner.write("lease", move |writer| writer.write(Durability::Normal, |tx, _, shared| job(tx, shared))).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<()> {
        let workspace = self.workspace.clone();
        let (name, holder) = (Box::<str>::from(name), Box::<str>::from(holder));
        let job = move |tx: &Transaction<'_>| {
            let mut released = tx.prepare_cached("DELETE FROM syncline_leases WHERE workspace_id = ?1 AND name = ?2 AND holder = ?3")?;
            released.execute((workspace.as_str(), &*name, &*holder))?;
            Ok(())
        };
        self.inner.write("release", move |writer| writer.write(Durability::Normal, |tx, _, _| job(tx))).await
    }
}

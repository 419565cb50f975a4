//! The conformance suite for storages.
//!
//! It knows a storage by its public traits alone. A [`StorageFixture`] gives every check a fresh, empty [`Database`]; what the storage
//! does not offer is listed as skipped, with the reason.
//!
//! ```
//! # use std::sync::Arc;
//! # use sync_core::{Result, async_trait, store::Storage};
//! use sync_testkit::suite::storage::{self, Capability, Database, StorageFixture};
//!
//! struct Mine;
//! struct MyDatabase;
//!
//! #[async_trait]
//! impl StorageFixture for Mine {
//!     fn name(&self) -> &str {
//!         "mine"
//!     }
//!
//!     fn offers(&self) -> &[Capability] {
//!         &[Capability::Reopen]
//!     }
//!
//!     async fn fresh(&self) -> Result<Box<dyn Database>> {
//!         Ok(Box::new(MyDatabase))
//!     }
//! }
//!
//! #[async_trait]
//! impl Database for MyDatabase {
//!     async fn open(&self) -> Result<Arc<dyn Storage>> {
//! #       stringify!(
//!         Ok(Arc::new(MyStorage::open("a fresh place").await?))
//! #       ); Err(sync_core::Error::unsupported("open"))
//!     }
//! }
//!
//! # let test = async {
//! storage::run(&Mine).await.assert_passed();
//! # };
//! ```

#[macro_use]
mod check;
mod activity;
mod authorizations;
mod changed;
mod clients;
mod commits;
mod configs;
mod conflicts;
mod connections;
mod edits;
mod entities;
mod fixture;
mod gone;
mod grants;
mod health;
mod host;
mod intents;
mod leases;
mod lineage;
mod load;
mod looks;
mod mapped;
mod onboarding;
mod owners;
mod plans;
mod positions;
mod preview;
mod privacy;
mod pushed;
mod retention;
mod runs;
mod scene;
mod sweeps;
mod tenancy;
mod values;

use self::scene::Scene;
pub use self::{
    check::Check,
    fixture::{Capability, Database, HOST_TABLE, StorageFixture},
};
use super::{Report, Verdict, attempt};

/// The catalogue: all checks there are, in the order in which [`run`] takes them.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let all: [&'static [Check]; 32] = [
        connections::CHECKS,
        runs::CHECKS,
        health::CHECKS,
        owners::CHECKS,
        commits::CHECKS,
        positions::CHECKS,
        looks::CHECKS,
        values::CHECKS,
        mapped::CHECKS,
        conflicts::CHECKS,
        host::CHECKS,
        preview::CHECKS,
        sweeps::CHECKS,
        lineage::CHECKS,
        entities::CHECKS,
        activity::CHECKS,
        tenancy::CHECKS,
        load::CHECKS,
        intents::CHECKS,
        pushed::CHECKS,
        changed::CHECKS,
        retention::CHECKS,
        grants::CHECKS,
        gone::CHECKS,
        authorizations::CHECKS,
        leases::CHECKS,
        clients::CHECKS,
        onboarding::CHECKS,
        configs::CHECKS,
        plans::CHECKS,
        edits::CHECKS,
        privacy::CHECKS,
    ];
    all.into_iter().flatten()
}

/// Runs every check of the catalogue.
pub async fn run(fixture: &dyn StorageFixture) -> Report {
    run_where(fixture, |_| true).await
}

/// Runs the checks that `wanted` picks; for going after one that fails.
pub async fn run_where(fixture: &dyn StorageFixture, wanted: impl Fn(&Check) -> bool) -> Report {
    let mut report = Report::new(fixture.name());
    for check in checks().filter(|check| wanted(check)) {
        let verdict = match check.needs.iter().find(|needed| !fixture.offers().contains(needed)) {
            Some(missing) => Verdict::Skipped(format!("the storage offers no {missing}")),
            None => attempt(Box::pin(async { (check.run)(Scene::open(fixture).await?).await })).await,
        };
        report.add(check.name, check.rule, verdict);
    }
    report
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn checks_have_names_of_their_own_and_say_their_rule() {
        let names: BTreeSet<_> = super::checks().map(|check| check.name).collect();
        assert_eq!(names.len(), super::checks().count());
        for check in super::checks() {
            assert!(check.rule.len() > 20 && !check.rule.ends_with('.'), "{}: {:?}", check.name, check.rule);
        }
    }
}

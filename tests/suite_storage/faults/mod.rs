//! Storages that do one thing wrong, and the checks each of them fails: no more and no less.

mod clients;
mod configs;
mod conflicts;
mod connections;
mod edits;
mod gone;
mod host;
mod mapped;
mod oauth;
mod onboarding;
mod plans;
mod privacy;
mod push;
mod retention;
mod rows;
mod tenancy;

use sync_testkit::suite::storage::Capability;

use crate::harm::Harm;

/// One thing that is done wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// In words.
    pub(crate) name: &'static str,
    /// In code.
    pub(crate) harm: Harm,
    /// The checks that see it.
    pub(crate) fails: &'static [&'static str],
}

/// Faults of any storage.
pub(crate) fn faults() -> impl Iterator<Item = &'static Fault> {
    [connections::FAULTS, rows::FAULTS, mapped::FAULTS, push::FAULTS, tenancy::FAULTS, oauth::FAULTS, gone::FAULTS].into_iter().flatten()
}

/// Faults of storages with tables of the host, seen by the checks that need those.
pub(crate) fn host_faults() -> impl Iterator<Item = &'static Fault> {
    host::FAULTS.iter()
}

/// Faults of what only some storages keep, each seen by the checks that need it.
pub(crate) const FURTHER: [(Capability, &[Fault]); 7] = [
    (Capability::Clients, clients::FAULTS),
    (Capability::Onboarding, onboarding::FAULTS),
    (Capability::Config, configs::FAULTS),
    (Capability::Plans, plans::FAULTS),
    (Capability::Edits, edits::FAULTS),
    (Capability::Conflicts, conflicts::FAULTS),
    (Capability::Privacy, privacy::FAULTS),
];

/// Faults of storages that prune, seen by the checks that need that.
pub(crate) fn retention_faults() -> impl Iterator<Item = &'static Fault> {
    retention::FAULTS.iter()
}

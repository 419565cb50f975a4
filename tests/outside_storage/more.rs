//! What this storage does not offer: the traits' own bodies say so.

use syncline::core::store::{ClientStore, ConfigStore, OnboardingStore};

use super::Scoped;

impl ClientStore for Scoped {}

impl OnboardingStore for Scoped {}

impl ConfigStore for Scoped {}

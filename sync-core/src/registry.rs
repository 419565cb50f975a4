//! The providers a host has registered.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Error, IntegrationSync, Result};

/// Providers by name. An open set: the library knows none of them.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn IntegrationSync>>);

impl Registry {
    /// Adds a provider under its descriptor's name.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when the name is taken.
    pub fn register(&mut self, provider: Arc<dyn IntegrationSync>) -> Result<()> {
        let name = provider.descriptor().name;
        match self.0.insert(name, provider) {
            None => Ok(()),
            Some(first) => {
                self.0.insert(name, first);
                Err(Error::config("register", format!("a provider named {name:?} is registered already")))
            }
        }
    }

    /// A provider by its name.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming those that are registered.
    pub fn provider(&self, name: &str) -> Result<Arc<dyn IntegrationSync>> {
        self.0.get(name).map(Arc::clone).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            Error::config("provider", format!("no provider is named {name:?}; registered are: {known}"))
        })
    }

    /// The registered names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}

//! The storage from outside as the conformance suite sees it: it has no tables of a host.

use std::sync::Arc;

use sync_testkit::suite::storage::{Capability, Database, StorageFixture};
use syncline::core::{Result, async_trait, store::Storage};

use crate::outside_storage::Memory;

#[async_trait]
impl Database for Memory {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(Memory::open(self)))
    }

    async fn search(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        let (numbers, text) = (numbers.join(", "), String::from_utf8_lossy(bytes));
        let world = format!("{self:?}");
        Ok(if world.contains(&numbers) || world.contains(&*text) { vec!["world".into()] } else { Vec::new() })
    }
}

/// Makes worlds for the conformance suite.
#[derive(Debug)]
pub(crate) struct Worlds;

#[async_trait]
impl StorageFixture for Worlds {
    fn name(&self) -> &str {
        "memory"
    }

    fn offers(&self) -> &[Capability] {
        &[Capability::Owners, Capability::Reopen, Capability::OAuth, Capability::Search]
    }

    async fn fresh(&self) -> Result<Box<dyn Database>> {
        Ok(Box::new(Memory::default()))
    }
}

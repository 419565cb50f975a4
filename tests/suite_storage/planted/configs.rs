//! Versions of what people configure.

use syncline::core::{Result, async_trait, store::*};

use super::Store;
use crate::harm::Harm;

#[async_trait]
impl ConfigStore for Store {
    fn keeps_config(&self) -> bool {
        self.own.keeps_config()
    }

    async fn config_versions(&self, kind: &str, id: &str, limit: u32) -> Result<Vec<ConfigVersion>> {
        let mut found = self.to("config_versions").config_versions(kind, id, limit).await?;
        harm!(self, Versions, &mut found);
        Ok(found)
    }

    async fn config_version(&self, kind: &str, id: &str, version: u64) -> Result<Option<ConfigVersion>> {
        if let Harm::FindsTheLatest = self.harm {
            return Ok(self.own.config_versions(kind, id, 1).await?.pop());
        }
        self.to("config_version").config_version(kind, id, version).await
    }

    async fn configs(&self, kind: &str) -> Result<Vec<ConfigVersion>> {
        self.to("configs").configs(kind).await
    }

    async fn put_config(&self, mut new: NewConfig) -> Result<ConfigVersion> {
        harm!(self, NewConfig, &mut new);
        if let Harm::PutsBlindly = self.harm {
            let latest = self.own.config_versions(&new.kind, &new.id, 1).await?;
            new.expected = latest.first().map_or(0, |latest| latest.version);
        }
        self.error(self.to("put_config").put_config(new).await)
    }
}

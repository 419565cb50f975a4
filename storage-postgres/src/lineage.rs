//! The history of an entity, in the same terms as the view `field_lineage`.

use async_trait::async_trait;
use sync_core::{
    EntityType, Result,
    store::{LineageEntry, LineageStore},
};

use crate::storage::Scoped;

#[async_trait]
impl LineageStore for Scoped {
    async fn lineage(&self, entity: &EntityType, key: &str, field: Option<&str>) -> Result<Vec<LineageEntry>> {
        let _ = (entity, key, field);
        Err(sync_core::Error::unsupported("not built"))
    }
}

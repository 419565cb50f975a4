//! The activity log.

use async_trait::async_trait;
use sync_core::{
    Result,
    store::{Activity, ActivityStore, NewActivity},
};

use crate::storage::Scoped;

#[async_trait]
impl ActivityStore for Scoped {
    async fn log_activity(&self, activity: NewActivity) -> Result<()> {
        let _ = (activity,);
        Err(sync_core::Error::unsupported("not built"))
    }

    async fn activities(&self, limit: u32) -> Result<Vec<Activity>> {
        let _ = (limit,);
        Err(sync_core::Error::unsupported("not built"))
    }
}

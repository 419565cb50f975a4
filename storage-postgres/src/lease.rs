//! Signs of life: what keeps runs their owner's.

use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use sync_core::Result;

use crate::{
    storage::Inner,
    tx::{Door, Repeat},
};

/// Renews the leases of this handle's runs for as long as the handle lives, and gives them back when it goes.
pub(crate) fn keep_alive(inner: &Arc<Inner>) -> tokio::task::JoinHandle<()> {
    let weak = Arc::downgrade(inner);
    let every = inner.settings.lease / 4;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let Some(inner) = Weak::upgrade(&weak) else { return };
            if let Err(error) = renew(&inner).await {
                tracing::warn!(%error, "the leases of runs could not be renewed; they are lost if this goes on");
            }
        }
    })
}

/// Gives the leases of a handle back, so that its streams are free at once. `inner` is what is left of it.
pub(crate) async fn give_back(inner: Arc<Inner>) {
    if let Err(error) = set(&inner, 0.0).await {
        tracing::debug!(%error, "the leases of runs could not be given back; they run out by themselves");
    }
}

async fn renew(inner: &Arc<Inner>) -> Result<()> {
    set(inner, inner.settings.lease.as_secs_f64()).await
}

/// Leases that ran out before are not renewed: somebody else may have been told that they are free.
async fn set(inner: &Arc<Inner>, seconds: f64) -> Result<()> {
    let owner = inner.owner.clone();
    let done = inner.run("renew", Door::Fleet, Repeat::Always, move |tx| {
        let owner = owner.clone();
        async move {
            sqlx::query(
                "UPDATE sync_runs SET lease_until = clock() + make_interval(secs => $2) \
                 WHERE owner = $1 AND status = 'running' AND lease_until > clock()",
            )
            .bind(owner)
            .bind(seconds)
            .execute(&mut **tx)
            .await?;
            Ok(())
        }
        .boxed()
    });
    done.await
}

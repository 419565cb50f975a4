//! Signs of life: what keeps runs their owner's.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use sync_core::Result;

use crate::{
    storage::Inner,
    tx::{Door, Repeat},
};

/// Handles of this process whose leases are being given back: whoever looks for free streams waits for them.
static GIVING_BACK: Mutex<Vec<(Whose, Shared<BoxFuture<'static, ()>>)>> = Mutex::new(Vec::new());

/// A schema of a database.
type Whose = (String, String);

fn whose(inner: &Inner) -> Whose {
    (inner.place.clone(), inner.settings.schema.clone())
}

/// Renews the leases of a handle's runs, four times as often as they run out, for as long as the handle lives.
pub(crate) fn keep_alive(inner: &Arc<Inner>) -> tokio::task::AbortHandle {
    let weak = Arc::downgrade(inner);
    let every = inner.settings.lease / 4;
    let task = tokio::spawn(async move {
        let mut wait = every;
        loop {
            tokio::time::sleep(wait).await;
            let Some(inner) = Weak::upgrade(&weak) else { return };
            wait = match set(&inner, inner.settings.lease.as_secs_f64()).await {
                Ok(()) => every,
                Err(error) => {
                    tracing::warn!(%error, "the leases of runs could not be renewed; their runs are lost unless that soon works again");
                    (every / 4).max(Duration::from_millis(10))
                }
            };
        }
    });
    task.abort_handle()
}

/// Gives the leases of a handle back, so that its streams are free at once. `inner` is what is left of it.
pub(crate) fn give_back(runtime: &tokio::runtime::Handle, inner: Arc<Inner>) {
    let whose = whose(&inner);
    let task = runtime.spawn(async move {
        if let Err(error) = set(&inner, 0.0).await {
            tracing::debug!(%error, "the leases of runs could not be given back; they run out by themselves");
        }
    });
    let mut giving_back = GIVING_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    giving_back.retain(|(_, task)| task.peek().is_none());
    giving_back.push((whose, task.map(drop).boxed().shared()));
}

/// Waits until handles of this process that were dropped before have given their leases back.
pub(crate) async fn given_back(inner: &Inner) {
    let own = whose(inner);
    let tasks: Vec<_> = {
        let mut giving_back = GIVING_BACK.lock().unwrap_or_else(PoisonError::into_inner);
        giving_back.retain(|(_, task)| task.peek().is_none());
        giving_back.iter().filter(|(whose, _)| *whose == own).map(|(_, task)| task.clone()).collect()
    };
    // After a lease's length they have run out by themselves.
    let _ = tokio::time::timeout(inner.settings.lease, futures_util::future::join_all(tasks)).await;
}

/// Leases that ran out before are not renewed: somebody else may have been told that they are free. Nor are those that were given back.
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

//! Renewing tokens ahead of their end, whether or not anybody uses them.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use sync_core::{Result, store::DueRenewal};

use crate::{
    Syncline,
    services::{Ahead, ConnectionServices},
};

/// How long before its end a token is to be renewed at the latest (TS4).
const BEFORE_END: TimeDelta = TimeDelta::minutes(5);
/// Tokens that are looked for in one go.
const AT_ONCE: u32 = 200;
/// Services that are asked at the same time.
const AT_A_TIME: usize = 8;

/// What became of the tokens that were near their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RenewedTokens {
    /// So many are newer now.
    pub renewed: u64,
    /// So many could not be renewed: their services said no, or nothing. Each stands in the activity log; most are tried again by the next
    /// call, and where the grant is gone the connection is in `error`.
    pub failed: u64,
    /// So many were left alone: another process had renewed or just tried them, or this one does not know their provider.
    pub left: u64,
}

impl Syncline {
    /// Renews every token that would end before the next call has had its turn: those that end within `tick` and five minutes more. Over
    /// all workspaces, for active connections; to be called by the host every `tick`, 15 minutes say, whatever else runs. Tokens that are
    /// used are renewed at their use in any case; this keeps the others from ending, and with them grants that services let lapse when
    /// they are not used.
    ///
    /// Several processes may call it at once: each token is renewed once. Connections that are switched off, in `error` or disconnected
    /// are left alone, as are grants that were refused and services that have just failed.
    ///
    /// # Errors
    /// What the database says when it is asked which tokens are near their end. That one of them cannot be renewed is no error.
    pub async fn renew_due(&self, tick: Duration) -> Result<RenewedTokens> {
        let fleet = self.0.storage.fleet();
        let tick = TimeDelta::from_std(tick).unwrap_or(TimeDelta::MAX);
        let least = tick.checked_add(&BEFORE_END).unwrap_or(tick);
        let (mut done, mut after) = (RenewedTokens::default(), None);
        loop {
            let now = self.0.shared.clock.now();
            let before = now.checked_add_signed(least).unwrap_or(now);
            let page = fleet.due_renewals(now, before, after.as_ref(), AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(done) };
            after = Some(last.clone());
            let renewing = page.into_iter().map(|due| {
                let engine = self.clone();
                async move { engine.renew_one(due, least).await }
            });
            let mut renewing = stream::iter(renewing).buffer_unordered(AT_A_TIME);
            while let Some(one) = renewing.next().await {
                match one {
                    Some(Ahead::Renewed) => done.renewed += 1,
                    Some(Ahead::Left) => done.left += 1,
                    None => done.failed += 1,
                }
            }
        }
    }

    /// `None` when it failed.
    async fn renew_one(&self, due: DueRenewal, least: TimeDelta) -> Option<Ahead> {
        let Ok(provider) = self.0.registry.provider(&due.provider) else { return Some(Ahead::Left) };
        let store = self.0.storage.workspace(&due.workspace);
        let services = ConnectionServices::new(Arc::clone(&self.0.shared), (&store).into(), due.workspace.clone(), provider);
        match services.renew_ahead(&due, least).await {
            Ok(ahead) => Some(ahead),
            // Taken away since it was found.
            Err(error) if error.kind() == sync_core::ErrorKind::NotFound => Some(Ahead::Left),
            Err(error) => {
                tracing::warn!(workspace = %due.workspace, connection = %due.connection, %error, "a token could not be renewed ahead of its end");
                None
            }
        }
    }
}

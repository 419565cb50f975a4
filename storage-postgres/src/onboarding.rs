//! How far users have come.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::{Row as _, postgres::PgRow};
use sync_core::{
    Result, WorkspaceId,
    store::{
        Connection, Fence, Moved, NewConnection, Onboarding, OnboardingMove, OnboardingStep, OnboardingStore, Run, RunEnd, onboarding_moves,
    },
};

use crate::{
    connection,
    error::{Db, damaged},
    run,
    storage::Scoped,
    tx::{Door, Repeat, Tx},
};

fn from_row(row: &PgRow, user: &str) -> Db<Onboarding> {
    Ok(Onboarding {
        user_id: user.into(),
        services_connected: u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX),
        current_step: OnboardingStep::parse(row.try_get(1)?).ok_or_else(|| damaged("onboarding", "step of an onboarding"))?,
        first_sync_completed: row.try_get(2)?,
        completed_at: row.try_get(3)?,
        updated_at: row.try_get(4)?,
    })
}

async fn find(tx: &mut Tx, workspace: &WorkspaceId, user: &str) -> Db<Option<Onboarding>> {
    let found = sqlx::query(
        "SELECT services_connected, current_step, first_sync_completed, completed_at, updated_at FROM onboarding_progress \
         WHERE workspace_id = $1 AND user_id = $2",
    );
    let found = found.bind(workspace.as_str()).bind(user).fetch_optional(&mut **tx).await?;
    found.map(|row| from_row(&row, user)).transpose()
}

/// Moves a user and stores what came of it; answers how far they are, and whether they advanced. What moves one user takes turns until
/// the transaction ends, also where there is no row yet.
async fn moves(tx: &mut Tx, workspace: &WorkspaceId, user: &str, by: OnboardingMove, at: DateTime<Utc>) -> Db<(Onboarding, bool)> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended(jsonb_build_array('syncline onboarding', current_schema(), $1::text, $2::text)::text, 0))",
    )
    .bind(workspace.as_str())
    .bind(user)
    .execute(&mut **tx)
    .await?;
    let mut onboarding = find(tx, workspace, user).await?.unwrap_or_else(|| Onboarding::welcome(user));
    let moved = onboarding.moves(by, at);
    if moved != Moved::Nothing {
        sqlx::query(
            "INSERT INTO onboarding_progress (workspace_id, user_id, services_connected, current_step, first_sync_completed, completed_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, user_id) DO UPDATE SET \
             services_connected = excluded.services_connected, current_step = excluded.current_step, \
             first_sync_completed = excluded.first_sync_completed, completed_at = excluded.completed_at, updated_at = excluded.updated_at",
        )
        .bind(workspace.as_str())
        .bind(user)
        .bind(i64::from(onboarding.services_connected))
        .bind(onboarding.current_step.as_str())
        .bind(onboarding.first_sync_completed)
        .bind(onboarding.completed_at)
        .bind(at)
        .execute(&mut **tx)
        .await?;
    }
    if moved == Moved::Advanced {
        run::add_events(tx, workspace, None, &[onboarding.event(workspace)], at).await?;
    }
    Ok((onboarding, moved == Moved::Advanced))
}

/// What a change of a connection means for those who connected it; answers who advanced.
pub(crate) async fn of_connection(
    tx: &mut Tx,
    workspace: &WorkspaceId,
    before: Option<&Connection>,
    after: &Connection,
    at: DateTime<Utc>,
) -> Db<Option<Onboarding>> {
    let mut advanced = None;
    for (user, by) in onboarding_moves(before, after) {
        let (onboarding, forward) = moves(tx, workspace, user, by, at).await?;
        advanced = advanced.or(forward.then_some(onboarding));
    }
    Ok(advanced)
}

/// What a run that completed means for whoever connected its connection.
pub(crate) async fn of_run(tx: &mut Tx, workspace: &WorkspaceId, user: Option<&str>, at: DateTime<Utc>) -> Db<Option<Onboarding>> {
    let Some(user) = user else { return Ok(None) };
    let (onboarding, forward) = moves(tx, workspace, user, OnboardingMove::Synced, at).await?;
    Ok(forward.then_some(onboarding))
}

#[async_trait]
impl OnboardingStore for Scoped {
    async fn onboarding(&self, user: &str) -> Result<Option<Onboarding>> {
        let (workspace, user) = (self.workspace.clone(), Arc::<str>::from(user));
        let found = self.inner.read("onboarding", &self.workspace, move |tx| {
            let (workspace, user) = (workspace.clone(), Arc::clone(&user));
            async move { find(tx, &workspace, &user).await }.boxed()
        });
        found.await
    }

    async fn begin_onboarding(&self, user: &str, at: DateTime<Utc>) -> Result<(Onboarding, bool)> {
        let (workspace, user) = (self.workspace.clone(), Arc::<str>::from(user));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("begin_onboarding", door, Repeat::Always, move |tx| {
            let (workspace, user) = (workspace.clone(), Arc::clone(&user));
            async move { moves(tx, &workspace, &user, OnboardingMove::Begun, at).await }.boxed()
        });
        done.await
    }

    async fn connect_onboarding(&self, new: NewConnection) -> Result<(Connection, Option<Onboarding>)> {
        let (workspace, new) = (self.workspace.clone(), Arc::new(new));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("connect", door, Repeat::Always, move |tx| {
            let (workspace, new) = (workspace.clone(), Arc::clone(&new));
            async move { connection::connect(tx, &workspace, &new).await }.boxed()
        });
        done.await
    }

    async fn end_run_onboarding(&self, fence: Fence, how: RunEnd) -> Result<(Run, Option<Onboarding>)> {
        let (workspace, how) = (self.workspace.clone(), Arc::new(how));
        let door = Door::Workspace(self.workspace.clone());
        let done = self.inner.run("end_run", door, Repeat::Always, move |tx| {
            let (workspace, how) = (workspace.clone(), Arc::clone(&how));
            async move { run::end(tx, &workspace, fence, &how).await }.boxed()
        });
        done.await
    }
}

//! How far users have come.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction};
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
    storage::{Durability, Scoped},
    time,
};

fn find(tx: &Transaction<'_>, workspace: &WorkspaceId, user: &str) -> Db<Option<Onboarding>> {
    let mut found = tx.prepare_cached(
        "SELECT services_connected, current_step, first_sync_completed, completed_at, updated_at FROM syncline_onboarding_progress \
         WHERE workspace_id = ?1 AND user_id = ?2",
    )?;
    let row = found.query_row((workspace.as_str(), user), |row| {
        Ok((row.get(0)?, OnboardingStep::parse(row.get_ref(1)?.as_str()?), row.get(2)?, time::optional(row, 3)?, time::optional(row, 4)?))
    });
    let Some((services_connected, step, first_sync_completed, completed_at, updated_at)) = row.optional()? else { return Ok(None) };
    let current_step = step.ok_or_else(|| damaged("onboarding", "step of an onboarding"))?;
    Ok(Some(Onboarding { user_id: user.into(), services_connected, current_step, first_sync_completed, completed_at, updated_at }))
}

/// Moves a user and stores what came of it; answers how far they are, and whether they advanced.
fn moves(tx: &Transaction<'_>, workspace: &WorkspaceId, user: &str, by: OnboardingMove, at: DateTime<Utc>) -> Db<(Onboarding, bool)> {
    let mut onboarding = find(tx, workspace, user)?.unwrap_or_else(|| Onboarding::welcome(user));
    let moved = onboarding.moves(by, at);
    if moved != Moved::Nothing {
        tx.prepare_cached(
            "INSERT INTO syncline_onboarding_progress (workspace_id, user_id, services_connected, current_step, first_sync_completed, \
             completed_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (workspace_id, user_id) DO UPDATE SET \
             services_connected = excluded.services_connected, current_step = excluded.current_step, \
             first_sync_completed = excluded.first_sync_completed, completed_at = excluded.completed_at, updated_at = excluded.updated_at",
        )?
        .execute((
            workspace.as_str(),
            user,
            onboarding.services_connected,
            onboarding.current_step.as_str(),
            onboarding.first_sync_completed,
            onboarding.completed_at.map(time::text),
            time::text(at),
        ))?;
    }
    if moved == Moved::Advanced {
        run::add_events(tx, workspace, None, &[onboarding.event(workspace)], at)?;
    }
    Ok((onboarding, moved == Moved::Advanced))
}

/// What a change of a connection means for those who connected it; answers who advanced.
pub(crate) fn of_connection(
    tx: &Transaction<'_>,
    workspace: &WorkspaceId,
    before: Option<&Connection>,
    after: &Connection,
    at: DateTime<Utc>,
) -> Db<Option<Onboarding>> {
    let mut advanced = None;
    for (user, by) in onboarding_moves(before, after) {
        let (onboarding, forward) = moves(tx, workspace, user, by, at)?;
        advanced = advanced.or(forward.then_some(onboarding));
    }
    Ok(advanced)
}

/// What a run that completed means for whoever connected its connection.
pub(crate) fn of_run(tx: &Transaction<'_>, workspace: &WorkspaceId, run: &Run, at: DateTime<Utc>) -> Db<Option<Onboarding>> {
    let sql = "SELECT connected_by FROM syncline_integration_connections WHERE workspace_id = ?1 AND id = ?2 AND connected_by IS NOT NULL";
    let whose = (workspace.as_str(), run.feed.connection.as_str());
    let user: Option<Box<str>> = tx.prepare_cached(sql)?.query_row(whose, |row| row.get(0)).optional()?;
    let Some(user) = user else { return Ok(None) };
    let (onboarding, forward) = moves(tx, workspace, &user, OnboardingMove::Synced, at)?;
    Ok(forward.then_some(onboarding))
}

#[async_trait]
impl OnboardingStore for Scoped {
    async fn onboarding(&self, user: &str) -> Result<Option<Onboarding>> {
        let (workspace, user) = (self.workspace.clone(), Box::<str>::from(user));
        self.inner.read("onboarding", move |tx| find(tx, &workspace, &user)).await
    }

    async fn begin_onboarding(&self, user: &str, at: DateTime<Utc>) -> Result<(Onboarding, bool)> {
        self.workspace.check("begin_onboarding")?;
        let (workspace, user) = (self.workspace.clone(), Box::<str>::from(user));
        let job = move |tx: &Transaction<'_>| moves(tx, &workspace, &user, OnboardingMove::Begun, at);
        self.inner.write("begin_onboarding", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn connect_onboarding(&self, new: NewConnection) -> Result<(Connection, Option<Onboarding>)> {
        self.workspace.check("connect")?;
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| connection::connect(tx, &workspace, &new);
        self.inner.write("connect", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }

    async fn end_run_onboarding(&self, fence: Fence, how: RunEnd) -> Result<(Run, Option<Onboarding>)> {
        let workspace = self.workspace.clone();
        let job = move |tx: &Transaction<'_>| run::end(tx, &workspace, fence, &how);
        self.inner.write("end_run", move |writer| writer.write(Durability::Full, |tx, _, _| job(tx))).await
    }
}

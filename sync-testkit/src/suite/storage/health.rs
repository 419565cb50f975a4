//! What the ends of runs mean for their connection.

use sync_core::{
    ErrorKind, RunError,
    store::{Connection, ConnectionPatch, ConnectionStatus, RunEnd, RunStatus},
};

use super::{
    Check,
    check::{Looked, there},
    scene::{Scene, at, connection, ending, feed, plain},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(success_clears_the_errors, "A run that completes sets the time of the last sync, clears the errors and ends the status error"),
    check!(
        three_counted_failures_are_an_error,
        "Three counted failures in a row put a connection into error; those that do not count do not"
    ),
    check!(a_revoked_grant_is_an_error_at_once, "A revoked grant puts a connection into error with the first failure"),
    check!(what_was_switched_off_stays_off, "No end of a run switches on a connection that the host paused or disconnected"),
    check!(a_connection_tells_of_its_run, "A connection tells whether its last run is under way, and how it ended"),
];

fn failed(counts: bool, revoked: bool) -> RunEnd {
    let kind = ErrorKind::Transport;
    let error = RunError { kind, message: "the service was down".into(), hint: kind.hint().into(), partition: None };
    RunEnd { errors: vec![error], counts_against_connection: counts, revoked, ..ending(RunStatus::Failed) }
}

/// Runs once with this end and answers the connection afterwards.
async fn after(scene: &Scene, end: RunEnd) -> Result<Connection, Finding> {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    run.store.end_run(run.fence, end).await?;
    there(run.store.connection(&"c1".into()).await?, "the connection")
}

async fn success_clears_the_errors(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    for _ in 0..3 {
        after(&scene, failed(true, false)).await?;
    }
    let healed = after(&scene, ending(RunStatus::Completed)).await?;
    same!((healed.status, healed.error_count, &healed.error_message), (ConnectionStatus::Active, 0, &None), "status and errors");
    same!((healed.error_kind, healed.last_sync_at), (None, Some(at(59))), "the kind of the error, and the last sync");
    Ok(())
}

async fn three_counted_failures_are_an_error(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    let state = |c: &Connection| (c.status, c.error_count);
    use ConnectionStatus::{Active, Error};
    let first = after(&scene, failed(true, false)).await?;
    same!(state(&first), (Active, 1), "after the first");
    let said = (first.error_message.as_deref(), first.error_kind);
    same!(said, (Some("the service was down"), Some(ErrorKind::Transport)), "what is said of the first");
    same!(first.last_sync_at, None, "the last sync that succeeded");
    same!(state(&after(&scene, failed(true, false)).await?), (Active, 2), "after the second");
    same!(state(&after(&scene, failed(false, false)).await?), (Active, 2), "after one that does not count");
    same!(state(&after(&scene, ending(RunStatus::Cancelled)).await?), (Active, 2), "after one that was cancelled");
    same!(state(&after(&scene, failed(true, false)).await?), (Error, 3), "after the third");
    Ok(())
}

async fn a_revoked_grant_is_an_error_at_once(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    same!(after(&scene, failed(true, true)).await?.status, ConnectionStatus::Error, "after the first failure");
    Ok(())
}

async fn what_was_switched_off_stays_off(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    for status in [ConnectionStatus::Paused, ConnectionStatus::Disconnected] {
        let patch = ConnectionPatch { status: Some(status), clear_errors: true, ..ConnectionPatch::default() };
        scene.acme().update_connection(&"c1".into(), patch, at(1)).await?;
        for end in [failed(true, true), failed(true, false), failed(true, false), ending(RunStatus::Completed)] {
            same!(after(&scene, end).await?.status, status, "after a run");
        }
    }
    Ok(())
}

async fn a_connection_tells_of_its_run(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    for (end, told) in
        [(ending(RunStatus::Completed), "completed"), (failed(true, false), "failed"), (ending(RunStatus::Cancelled), "cancelled")]
    {
        let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
        let running = there(run.store.connection(&"c1".into()).await?, "the connection")?;
        same!(running.sync_status.as_deref(), Some("running"), "while it runs");
        run.store.end_run(run.fence, end).await?;
        let ended = there(run.store.connection(&"c1".into()).await?, "the connection")?;
        same!(ended.sync_status.as_deref(), Some(told), "when it ended");
    }
    Ok(())
}

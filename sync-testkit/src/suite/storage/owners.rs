//! Several owners of one database, and one that comes back.

use serde_json::json;
use sync_core::{
    Outcome,
    store::{Begin, PageCommit, RunStatus},
};

use super::{
    Check,
    check::{Looked, broken, there},
    scene::{Scene, begin, connection, feed, moved, new_run, plain, up},
};

pub(super) const CHECKS: &[Check] = &[
    check!(owners_share_one_state, "What one owner writes all see, and a stream that one runs is busy for all", needs Owners),
    check!(a_run_without_owner_is_taken_over, "A run whose owner is gone is ended as failed by the next that begins", needs Owners),
    check!(the_reaper_ends_runs_without_owner_alone, "The reaper ends the runs of owners that are gone, and no others", needs Owners),
    check!(what_was_committed_outlives_its_owner, "What was committed is there after closing and opening again", needs Reopen),
];

async fn owners_share_one_state(scene: Scene) -> Looked {
    let second = scene.database.open().await?.workspace(&"acme".into());
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    match second.begin_run(new_run(&feed("c1", "s"), &plain("x_s"))).await? {
        Begin::Busy(busy) => same!(busy.id, run.fence.run, "the run that is under way"),
        Begin::Started(_) => return Err(broken("two owners run one stream")),
    }
    run.commit(&[up("a", json!({"v": 1}))]).await?;
    let other = begin(second, &feed("c2", "s"), &plain("x_s")).await?;
    same!(other.counts(&[up("b", json!({"w": 2}))]).await?, [1, 0, 0, 0, 0, 0], "a row of the other owner");
    same!(run.counts(&[up("a", json!({"v": 1, "w": 3}))]).await?, [0, 1, 0, 0, 0, 0], "a field both have by now");
    same!(run.table().await?, other.table().await?, "what the two see");
    same!(run.table().await?.len(), 2, "rows");
    Ok(())
}

async fn a_run_without_owner_is_taken_over(scene: Scene) -> Looked {
    scene.acme().connect(connection("c1", "acc")).await?;
    let lost = {
        let second = scene.database.open().await?;
        begin(second.workspace(&"acme".into()), &feed("c1", "s"), &plain("x_s")).await?.fence
    };
    scene.database.settle().await?;
    let next = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let ended = there(next.store.run(lost.run).await?, "the run that was lost")?;
    same!((ended.status, ended.outcome), (RunStatus::Failed, Some(Outcome::Failed)), "how it ended");
    holds!(!ended.errors.is_empty() && ended.completed_at.is_some(), "the run does not say why and when it ended: {ended:?}");
    let connection = there(next.store.connection(&"c1".into()).await?, "the connection")?;
    same!(connection.error_count, 0, "failures of the connection: an owner that is gone says nothing about the account");
    next.end().await?;
    Ok(())
}

async fn the_reaper_ends_runs_without_owner_alone(scene: Scene) -> Looked {
    let alive = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let second = scene.database.open().await?;
    let elsewhere = begin(second.workspace(&"acme".into()), &feed("c4", "s"), &plain("x_s")).await?;
    {
        let third = scene.database.open().await?;
        begin(third.workspace(&"acme".into()), &feed("c2", "s"), &plain("x_s")).await?;
        begin(third.workspace(&"globex".into()), &feed("c3", "s"), &plain("x_s")).await?;
    }
    scene.database.settle().await?;
    same!(scene.storage.fleet().reap().await?, 2, "runs the reaper ended");
    same!(scene.storage.fleet().reap().await?, 0, "runs it ended when it came again");
    same!(alive.end().await?.status, RunStatus::Completed, "a run of the owner that reaps");
    same!(elsewhere.end().await?.status, RunStatus::Completed, "a run of another owner");
    Ok(())
}

async fn what_was_committed_outlives_its_owner(scene: Scene) -> Looked {
    let Scene { database, storage } = scene;
    let (before, fence) = {
        let acme = storage.workspace(&"acme".into());
        acme.connect(connection("c1", "acc")).await?;
        let run = begin(acme, &feed("c1", "s"), &plain("x_s")).await?;
        let page = PageCommit { cursors: vec![moved("", "5", 3)], ..run.rows_page(&[up("a", json!({"v": 1}))]) };
        run.store.commit(page).await?;
        run.end().await?;
        (run.table().await?, run.fence)
    };
    drop(storage);
    database.settle().await?;
    let acme = database.open().await?.workspace(&"acme".into());
    same!(acme.connections().await?.len(), 1, "connections");
    let ended = there(acme.run(fence.run).await?, "the run")?;
    same!((ended.status, ended.counts.created), (RunStatus::Completed, 1), "the run");
    let states = acme.partition_states(&feed("c1", "s")).await?;
    same!(states.iter().map(|state| state.scan).collect::<Vec<_>>(), [3], "scans of the partitions");
    let next = begin(acme, &feed("c1", "s"), &plain("x_s")).await?;
    same!(next.table().await?, before, "the rows");
    holds!(next.fence.run > fence.run, "run {} follows {}", next.fence.run, fence.run);
    Ok(())
}

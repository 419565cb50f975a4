//! Runs: who may start, who may write, and what is kept of them.

use futures_util::future::join_all;
use serde_json::json;
use sync_core::{
    Counts, Direction, ErrorKind, Outcome, RecordFailure, RunError, RunId,
    store::{Begin, Fence, NewRun, PushCommit, RunEnd, RunFilter, RunStatus, Sweep},
};

use super::{
    Check,
    check::{Looked, broken, refused, there},
    scene::{Scene, at, begin, ending, feed, mapped, new_run, plain, rows, started, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(
        a_stream_has_one_run_at_a_time,
        "One run of a connection's stream at a time, whatever its mapping; the second is told of the first"
    ),
    check!(a_race_starts_one_run, "Of sixty-four that begin a run of one stream at once one does"),
    check!(exclusive_runs_exclude_each_other, "Two exclusive runs of one connection never run at once, whatever their streams"),
    check!(every_claim_has_a_fresh_token, "Every run has a number and a token of its own"),
    check!(a_stale_fence_commits_nothing, "A commit under a fence that does not hold is refused and writes nothing"),
    check!(a_stale_fence_sweeps_nothing, "A sweep under a fence that does not hold is refused and deletes nothing"),
    check!(a_stale_fence_ends_nothing, "Nobody ends a run with a fence that is not its own"),
    check!(a_stale_fence_journals_nothing, "Steps of a push under a fence that does not hold are refused and nothing of them is written"),
    check!(an_ended_run_stays_as_it_ended, "The ends of a run are final: a second end is refused and changes nothing"),
    check!(a_run_keeps_its_books, "A run is stored with everything it was begun and ended with, and the sum of its commits' counts"),
    check!(
        an_error_that_holds_a_nul_ends_its_run,
        "A run ends whatever its errors quote: a NUL in one is kept or replaced, and the rest of the text is there"
    ),
    check!(runs_are_listed_newest_first, "Runs are listed newest first, by connection, before a run, and never more than asked for"),
];

async fn a_stream_has_one_run_at_a_time(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    for second in [feed("c1", "s"), mapped("c1")] {
        match scene.acme().begin_run(new_run(&second, &plain("x_s"))).await? {
            Begin::Busy(busy) => same!((busy.id, busy.status), (run.fence.run, RunStatus::Running), "the run that is under way"),
            Begin::Started(_) => return Err(broken(format!("a second run of the stream started, with mapping {:?}", second.mapping))),
        }
    }
    let others = [scene.begin(&feed("c1", "t"), &plain("x_t")).await?, scene.begin(&feed("c2", "s"), &plain("x_s")).await?];
    begin(scene.globex(), &feed("c1", "s"), &plain("x_s")).await?;
    run.end().await?;
    scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    for other in others {
        other.end().await?;
    }
    Ok(())
}

async fn a_race_starts_one_run(scene: Scene) -> Looked {
    let acme = scene.acme();
    let begun = join_all((0..64).map(|_| acme.begin_run(new_run(&feed("c1", "s"), &plain("x_s"))))).await;
    let mut winners = 0;
    for one in begun {
        winners += u32::from(matches!(one?, Begin::Started(_)));
    }
    same!(winners, 1, "runs that started");
    Ok(())
}

async fn exclusive_runs_exclude_each_other(scene: Scene) -> Looked {
    let acme = scene.acme();
    let exclusive = |connection: &str, stream: &str| NewRun {
        exclusive: true,
        direction: Direction::ToExternal,
        ..new_run(&feed(connection, stream), &plain("x_s"))
    };
    let first = started(acme.begin_run(exclusive("c1", "s")).await?)?;
    match acme.begin_run(exclusive("c1", "t")).await? {
        Begin::Busy(busy) => same!(busy.id, first.run, "the exclusive run that is under way"),
        Begin::Started(_) => return Err(broken("two exclusive runs of one connection started")),
    }
    started(acme.begin_run(new_run(&feed("c1", "u"), &plain("x_u"))).await?)?;
    started(acme.begin_run(exclusive("c2", "s")).await?)?;
    started(scene.globex().begin_run(exclusive("c1", "s")).await?)?;
    acme.end_run(first, ending(RunStatus::Completed)).await?;
    started(acme.begin_run(exclusive("c1", "t")).await?)?;
    Ok(())
}

async fn every_claim_has_a_fresh_token(scene: Scene) -> Looked {
    let mut fences: Vec<Fence> = Vec::new();
    for _ in 0..4 {
        let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
        let known = fences.iter().any(|fence| fence.run == run.fence.run || fence.token == run.fence.token);
        holds!(!known, "{:?} repeats a number or token of {fences:?}", run.fence);
        fences.push(run.fence);
        run.end().await?;
    }
    Ok(())
}

/// Fences that do not hold while the run of `fence` does.
fn stale(fence: Fence) -> [Fence; 2] {
    [Fence { token: fence.token.wrapping_add(1), ..fence }, Fence { run: RunId(fence.run.0 + 1000), ..fence }]
}

async fn a_stale_fence_commits_nothing(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    for fence in stale(run.fence) {
        let page = sync_core::store::PageCommit { fence, ..run.rows_page(&[up("a", json!({"v": 1}))]) };
        refused(run.store.commit(page).await, ErrorKind::LeaseLost, "a commit with another fence")?;
    }
    run.end().await?;
    refused(run.store.commit(run.rows_page(&[up("a", json!({"v": 1}))])).await, ErrorKind::LeaseLost, "a commit of an ended run")?;
    same!(rows(&*run.store, "x_s").await?, [], "rows that were written all the same");
    Ok(())
}

async fn a_stale_fence_sweeps_nothing(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    run.scan("", 1, &[up("a", json!({"v": 1}))]).await?;
    for fence in stale(run.fence) {
        let sweep = Sweep { fence, confirmed: true, ..run.sweep_of(&[("", 2)]) };
        refused(run.store.sweep(sweep).await, ErrorKind::LeaseLost, "a sweep with another fence")?;
    }
    run.end().await?;
    let sweep = Sweep { confirmed: true, ..run.sweep_of(&[("", 2)]) };
    refused(run.store.sweep(sweep).await, ErrorKind::LeaseLost, "a sweep of an ended run")?;
    same!(run.table().await?.len(), 1, "rows that are left");
    Ok(())
}

async fn a_stale_fence_ends_nothing(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    for fence in stale(run.fence) {
        refused(run.store.end_run(fence, ending(RunStatus::Completed)).await, ErrorKind::LeaseLost, "an end with another fence")?;
    }
    let stored = there(run.store.run(run.fence.run).await?, "the run")?;
    same!(stored.status, RunStatus::Running, "where the run stands");
    Ok(())
}

async fn a_stale_fence_journals_nothing(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let steps = |fence| PushCommit { fence, ..super::intents::steps(&run) };
    for fence in stale(run.fence) {
        refused(run.store.journal(steps(fence)).await, ErrorKind::LeaseLost, "steps with another fence")?;
    }
    run.end().await?;
    refused(run.store.journal(steps(run.fence)).await, ErrorKind::LeaseLost, "steps of an ended run")?;
    super::intents::nothing_of_steps(&run).await
}

async fn an_ended_run_stays_as_it_ended(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.connect(super::scene::connection("c1", "acc")).await?;
    for status in [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled] {
        let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
        let ended = run.store.end_run(run.fence, ending(status)).await?;
        let connection = acme.connection(&"c1".into()).await?;
        for again in [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled] {
            let end = RunEnd { at: at(100), ..ending(again) };
            refused(run.store.end_run(run.fence, end).await, ErrorKind::LeaseLost, "a second end")?;
        }
        same!(run.store.run(run.fence.run).await?, Some(ended), "the run after a second end");
        same!(acme.connection(&"c1".into()).await?, connection, "the connection after a second end");
    }
    Ok(())
}

async fn a_run_keeps_its_books(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &super::scene::people()).await?;
    let begun = there(run.store.run(run.fence.run).await?, "the run")?;
    same!((&begun.feed, begun.status, begun.outcome), (&mapped("c1"), RunStatus::Running, None), "the run under way");
    run.commit(&[up("r1", json!({"email": "a@x"})), up("r2", json!({"email": "b@x"}))]).await?;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"})), up("r2", json!({"email": "b@x"}))]).await?;
    let kind = ErrorKind::Transport;
    let error = RunError { kind, message: "one partition failed".into(), hint: kind.hint().into(), partition: Some("p".into()) };
    let warning = RecordFailure::warning("odd").in_column("c");
    let end =
        RunEnd { outcome: Outcome::Partial, errors: vec![error.clone()], failures: vec![warning.clone()], ..ending(RunStatus::Completed) };
    let ended = run.store.end_run(run.fence, end).await?;
    let read = Counts { read: 4, created: 2, updated: 1, unchanged: 1, ..Counts::default() };
    same!(ended.counts, read, "the counts");
    same!((ended.status, ended.outcome, &ended.errors), (RunStatus::Completed, Some(Outcome::Partial), &vec![error]), "how it ended");
    same!((ended.started_at, ended.completed_at), (at(0), Some(at(59))), "when it began and ended");
    same!((&*ended.job_type, &*ended.triggered_by, ended.direction), ("full", "tester", Direction::FromExternal), "what was asked for");
    same!((&ended.feed, ended.entity.as_str()), (&mapped("c1"), "people"), "what it read into what");
    same!(run.store.failures(run.fence.run, 9).await?, [warning], "failures that came with the end");
    same!(run.store.run(run.fence.run).await?, Some(ended), "what is stored");
    same!(run.store.run(RunId(run.fence.run.0 + 1000)).await?, None, "an unknown run");
    Ok(())
}

async fn an_error_that_holds_a_nul_ends_its_run(scene: Scene) -> Looked {
    const SAID: &str = "the service said \0 and \\u0000, then \0.";
    let acme = scene.acme();
    acme.connect(super::scene::connection("c1", "acc")).await?;
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let kind = ErrorKind::Transport;
    let error = RunError { kind, message: SAID.into(), hint: kind.hint().into(), partition: Some("p\0".into()) };
    let end = RunEnd { errors: vec![error.clone()], failures: vec![RecordFailure::warning(SAID)], ..ending(RunStatus::Failed) };
    let ended = run.store.end_run(run.fence, end).await?;
    let replaced = |text: &str| text.replace('\0', "\u{fffd}");
    let stored = there(run.store.run(run.fence.run).await?, "the run")?;
    same!(&stored, &ended, "what is stored");
    same!(stored.status, RunStatus::Failed, "how it ended");
    let told: Vec<_> = stored.errors.iter().map(|error| (replaced(&error.message), error.partition.as_deref().map(replaced))).collect();
    same!(told, [(replaced(SAID), Some(replaced("p\0")))], "the error");
    let shown = there(acme.connection(&"c1".into()).await?, "the connection")?.error_message;
    same!(shown.as_deref().map(replaced), Some(replaced(SAID)), "what the connection shows");
    scene.begin(&feed("c1", "s"), &plain("x_s")).await?.end().await?;
    Ok(())
}

async fn runs_are_listed_newest_first(scene: Scene) -> Looked {
    let acme = scene.acme();
    let mut ids = Vec::new();
    for n in 0..6 {
        let run = scene.begin(&feed(["c1", "c2"][n % 2], "s"), &plain("x_s")).await?;
        ids.insert(0, run.fence.run);
        run.end().await?;
    }
    let list = async |filter| Ok::<_, Finding>(acme.runs(filter).await?.iter().map(|run| run.id).collect::<Vec<_>>());
    same!(list(RunFilter::default()).await?, ids, "all");
    same!(list(RunFilter { limit: 2, before: Some(ids[1]), ..RunFilter::default() }).await?, ids[2..4], "two before one");
    same!(list(RunFilter { connection: Some("c1".into()), ..RunFilter::default() }).await?, [ids[1], ids[3], ids[5]], "of one connection");
    let other = scene.begin(&feed("c1", "t"), &plain("x_t")).await?;
    let of_other = other.fence.run;
    other.end().await?;
    same!(list(RunFilter { entity: Some("x_t".into()), ..RunFilter::default() }).await?, [of_other], "of one entity type");
    same!(list(RunFilter { entity: Some("x_s".into()), limit: 1, ..RunFilter::default() }).await?, [ids[0]], "the newest of another");
    Ok(())
}

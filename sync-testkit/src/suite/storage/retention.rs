//! Deleting what is older than somebody wants to keep.

use std::sync::Arc;

use serde_json::{Value, json};
use sync_core::{
    RecordFailure, RunId,
    store::{Log, NewActivity, PageCommit, PlanState, RunEnd, RunStatus, Settle},
};

use super::{
    Check,
    check::{Looked, refused},
    plans::{item, plan},
    scene::{Pull, Scene, at, begin, ending, feed, gone, mapped, people, plain, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(old_activity_goes, "Pruning deletes the activity that is older than asked for, of all workspaces, and no other", needs Retention),
    check!(old_events_go, "Pruning deletes old events; runs that are under way keep theirs", needs Retention),
    check!(
        old_runs_go_with_their_failures,
        "Pruning deletes runs that ended long ago, with their failures; one that changed rows stays while lineage may name it",
        needs Retention
    ),
    check!(
        what_lineage_was_pruned_of_is_not_claimed,
        "Pruning deletes old lines; of rows from before nothing is said of how they came to be, later changes are told as ever",
        needs Retention
    ),
    check!(
        old_plans_go_with_their_items,
        "Pruning deletes plans that were made and last changed long ago, with their items, whatever became of them",
        needs Retention, Plans
    ),
    check!(pruning_goes_in_batches, "One call deletes at most as many entries as it is asked to, and says how many", needs Retention),
    check!(pruning_leaves_rows_alone, "Whatever is pruned, rows and positions stay, and the next pull goes on as if nothing had been", needs Retention),
];

fn activity(n: i64) -> NewActivity {
    NewActivity {
        integration: "slack".into(),
        connection: None,
        action: format!("action {n}").into(),
        success: true,
        records_affected: 0,
        error: None,
        metadata: json!({}),
        at: at(n),
    }
}

async fn old_activity_goes(scene: Scene) -> Looked {
    for store in [scene.acme(), scene.globex()] {
        for n in 0..4 {
            store.log_activity(activity(n)).await?;
        }
    }
    let fleet = scene.storage.fleet();
    same!(fleet.prune(Log::Activity, at(2), 100).await?, 4, "rows that went");
    same!(fleet.prune(Log::Activity, at(2), 100).await?, 0, "rows that went when it came again");
    for store in [scene.acme(), scene.globex()] {
        let left: Vec<_> = store.activities(10).await?.iter().map(|row| row.action.to_string()).collect();
        same!(left, ["action 3", "action 2"], "rows that are left");
    }
    Ok(())
}

/// Commits rows at a time, with an event that names it.
async fn commit(run: &Pull, minute: i64, fields: Value) -> Result<(), Finding> {
    let events = vec![format!(r#"{{"type":"at {minute}"}}"#).into()];
    run.store.commit(PageCommit { at: at(minute), events, ..run.rows_page(&[up("a", fields)]) }).await?;
    Ok(())
}

async fn old_events_go(scene: Scene) -> Looked {
    let ended = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let elsewhere = begin(scene.globex(), &feed("c1", "s"), &plain("x_s")).await?;
    let running = scene.begin(&feed("c2", "s"), &plain("x_s")).await?;
    for run in [&ended, &elsewhere, &running] {
        for minute in [1, 5] {
            commit(run, minute, json!({"email": "a", "n": minute})).await?;
        }
    }
    ended.end().await?;
    elsewhere.end().await?;
    let fleet = scene.storage.fleet();
    same!(fleet.prune(Log::Events, at(3), 100).await?, 2, "events that went");
    let left: Vec<_> = scene.acme().events(0, 100).await?.into_iter().map(|event| (event.run, event.body.to_string())).collect();
    let event = |run: &Pull, minute: i64| (Some(run.fence.run), format!(r#"{{"type":"at {minute}"}}"#));
    same!(left, [event(&ended, 5), event(&running, 1), event(&running, 5)], "events of the first workspace that are left");
    same!(scene.globex().events(0, 100).await?.len(), 1, "events of the other one");
    Ok(())
}

/// Ends a run with a failure of its own.
async fn end(run: &Pull, minute: i64) -> Looked {
    let failure = RecordFailure::error("it does not fit").of_record("r1");
    let end = RunEnd { failures: vec![failure], at: at(minute), ..ending(RunStatus::Completed) };
    run.store.end_run(run.fence, end).await?;
    Ok(())
}

async fn old_runs_go_with_their_failures(scene: Scene) -> Looked {
    let idle = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    let changing = scene.begin(&feed("c2", "s"), &plain("x_s")).await?;
    let running = scene.begin(&feed("c3", "s"), &plain("x_s")).await?;
    let late = scene.begin(&feed("c4", "s"), &plain("x_s")).await?;
    for n in [1, 2] {
        commit(&changing, n, json!({"email": "a", "n": n})).await?;
    }
    for (run, minute) in [(&idle, 10), (&changing, 10), (&late, 30)] {
        end(run, minute).await?;
    }
    let (acme, fleet) = (scene.acme(), scene.storage.fleet());
    same!(fleet.prune(Log::Runs, at(20), 100).await?, 1, "runs that went first");
    same!(acme.run(idle.fence.run).await?, None, "the run that changed nothing");
    same!(acme.failures(idle.fence.run, 10).await?, [], "its failures");
    for run in [&changing, &late] {
        same!(acme.failures(run.fence.run, 10).await?.len(), 1, "failures of a run that stays");
    }
    let origin = acme.lineage(&"x_s".into(), "a", Some("n")).await?;
    same!(origin.iter().map(|entry| &*entry.changed_by).collect::<Vec<_>>(), ["tester", "tester"], "who asked for the changes");
    same!(fleet.prune(Log::Lineage, at(20), 100).await?, 1, "lines that went");
    same!(fleet.prune(Log::Runs, at(20), 100).await?, 1, "runs that went once no line named them");
    same!(acme.run(changing.fence.run).await?, None, "the run that changed rows");
    let left: Vec<_> = acme.runs(Default::default()).await?.into_iter().map(|run| run.id).collect();
    same!(left, [late.fence.run, running.fence.run], "runs that are left");
    refused(acme.end_run(idle.fence, ending(RunStatus::Completed)).await, sync_core::ErrorKind::LeaseLost, "ending a run that went")?;
    Ok(())
}

async fn told(run: &Pull, key: &str) -> Result<Vec<(String, Option<Value>, Option<Value>)>, Finding> {
    let mut told = run.history(key).await?;
    told.sort_by_key(|(field, old, _)| (field.clone(), old.is_some()));
    Ok(told)
}

async fn what_lineage_was_pruned_of_is_not_claimed(scene: Scene) -> Looked {
    let runs = [(scene.begin(&feed("c1", "own"), &plain("x_own")).await?, "c2"), (scene.begin(&mapped("c1"), &people()).await?, "c3")];
    let page = |run: &Pull, minute: i64, key: &str, n: Option<i64>| {
        let row = if let Some(n) = n { up(key, json!({"email": key, "n": n})) } else { gone(key) };
        PageCommit { at: at(minute), ..run.rows_page(&[row]) }
    };
    for (run, other) in &runs {
        for (minute, key, n) in [(1, "old", Some(1)), (2, "old", Some(2)), (8, "old", Some(3)), (9, "new", Some(4)), (1, "again", Some(5))]
        {
            run.store.commit(page(run, minute, key, n)).await?;
        }
        run.store.commit(page(run, 3, "again", None)).await?;
        run.store.commit(page(run, 8, "again", Some(6))).await?;
        run.end().await?;
        let mut under_way = run.feed.clone();
        under_way.connection = (*other).into();
        let running = begin(scene.acme(), &under_way, &run.target).await?;
        for n in [7, 8] {
            running.store.commit(page(&running, 2, "under way", Some(n))).await?;
        }
    }
    let fleet = scene.storage.fleet();
    same!(fleet.prune(Log::Lineage, at(5), 100).await?, 4, "lines that went: an update and a deletion in each table");
    let born = |field: &str, value: Value| (field.to_owned(), None, Some(value));
    for (run, _) in &runs {
        let changed = |old: i64, new: i64| ("n".to_owned(), Some(json!(old)), Some(json!(new)));
        same!(told(run, "old").await?, [changed(2, 3)], "the history of a row from before");
        same!(told(run, "new").await?, [born("email", json!("new")), born("n", json!(4))], "the history of a row from after");
        same!(told(run, "again").await?, [born("email", json!("again")), born("n", json!(6))], "the history of a key that came again");
        same!(told(run, "under way").await?, [changed(7, 8)], "what a run that is under way has changed");
    }
    same!(fleet.prune(Log::Lineage, at(1), 100).await?, 0, "lines that went with an earlier time");
    same!(told(&runs[0].0, "old").await?.len(), 1, "what is known is not more after an earlier time");
    Ok(())
}

async fn old_plans_go_with_their_items(scene: Scene) -> Looked {
    let (acme, fleet) = (scene.acme(), scene.storage.fleet());
    for (run, state) in [(3, None), (4, Some(PlanState::Discarded)), (5, Some(PlanState::Approved)), (30, None)] {
        acme.put_plan(plan(run), vec![item(1), item(2)]).await?;
        if let Some(state) = state {
            let at = at(if state == PlanState::Approved { 30 } else { 6 });
            let settle = Settle { state, run: None, items: Vec::new(), by: "ada".into(), at };
            holds!(acme.settle_plan(RunId(run), PlanState::Open, settle).await?, "plan {run} was not settled");
        }
    }
    same!(fleet.prune(Log::Plans, at(20), 100).await?, 2, "plans that went");
    let left: Vec<_> = acme.plans(None, 9).await?.into_iter().map(|plan| plan.plan.run.0).collect();
    same!(left, [30, 5], "plans that are left");
    for (run, items) in [(3, 0), (4, 0), (5, 2), (30, 2)] {
        same!(acme.plan_items(RunId(run), 0, 9).await?.len(), items, "items of plan {run}");
    }
    same!(fleet.prune(Log::Plans, at(40), 1).await?, 1, "plans that went of the two that are left");
    same!(fleet.prune(Log::Plans, at(40), 100).await?, 1, "plans that went at last");
    Ok(())
}

async fn pruning_goes_in_batches(scene: Scene) -> Looked {
    for n in 0..5 {
        scene.acme().log_activity(activity(n)).await?;
        let run = scene.begin(&feed(&format!("c{n}"), "s"), &plain("x_s")).await?;
        for minute in [1, 2] {
            commit(&run, minute, json!({"email": "a", "n": minute})).await?;
        }
        run.end().await?;
    }
    let fleet = scene.storage.fleet();
    for (log, all) in [(Log::Lineage, 5), (Log::Runs, 5), (Log::Events, 10), (Log::Activity, 5)] {
        let mut left = all;
        while left > 0 {
            let batch = left.min(3);
            same!(fleet.prune(log, at(100), 3).await?, batch, "entries of {log:?} that went, of {left}");
            left -= batch;
        }
        same!(fleet.prune(log, at(100), 3).await?, 0, "entries of {log:?} that went at last");
    }
    Ok(())
}

async fn pruning_leaves_rows_alone(scene: Scene) -> Looked {
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let run = scene.begin(&feed, &target).await?;
        let page = run.rows_page(&[up("a", json!({"email": "a", "n": 1})), up("b", json!({"email": "b", "n": 1}))]);
        run.store.commit(PageCommit { scan: Some(1), cursors: vec![super::scene::moved("", "5", 1)], ..page }).await?;
        run.end().await?;
        let (rows, positions) = (run.table().await?, run.store.partition_states(&feed).await?);
        let fleet = scene.storage.fleet();
        for log in [Log::Lineage, Log::Plans, Log::Runs, Log::Events, Log::Activity] {
            while fleet.prune(log, at(100), 100).await? == 100 {}
        }
        same!(run.table().await?, rows, "the rows");
        same!(run.store.partition_states(&feed).await?, positions, "the positions");
        let next = begin(Arc::clone(&run.store), &feed, &target).await?;
        let (same, other) = (up("a", json!({"email": "a", "n": 1})), up("b", json!({"email": "b", "n": 2})));
        same!(next.counts(&[same, other]).await?, [0, 1, 1, 0, 0, 0], "what the next pull does");
        holds!(next.fence.run > run.fence.run, "numbers of runs begin anew: {} after {}", next.fence.run, run.fence.run);
        next.end().await?;
    }
    Ok(())
}

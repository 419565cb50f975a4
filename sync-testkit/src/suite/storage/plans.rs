//! Stored plans.

use serde_json::{json, value::RawValue};
use sync_core::{
    Counts, Direction, RecordFailure, RunId,
    mapping::Rule,
    store::{ItemKind, ItemState, NewPlan, PlanItem, PlanState, PlannedChange, PlannedWrite, PushLink, SeenRecord, Settle},
};

use super::{
    Check,
    check::{Looked, there},
    scene::{Scene, at, feed},
};

pub(super) const CHECKS: &[Check] = &[
    check!(a_plan_is_kept_as_it_was_made, "A stored plan and its items come back as they were handed over, numbers to the last digit", needs Plans),
    check!(items_come_in_order_and_in_pages, "Items come in the order of their numbers, behind the one asked for, at most so many", needs Plans),
    check!(plans_are_listed_newest_first, "Plans are listed newest first, older than the one asked for, at most so many", needs Plans),
    check!(a_plan_is_settled_from_where_it_stands, "A plan is settled only if it stands as expected; states of items, run and who said so are kept", needs Plans),
    check!(plans_are_of_one_workspace, "Another workspace sees no plan, no item, and settles none", needs Plans),
];

pub(super) fn plan(run: i64) -> NewPlan {
    NewPlan {
        run: RunId(run),
        feed: feed("c1", "s"),
        direction: Direction::FromExternal,
        entity: "people".into(),
        key: vec!["email".into()],
        request: json!({ "version": 1 }),
        counts: Counts { read: 7, created: 1, updated: 1, unchanged: 5, ..Counts::default() },
        failures: vec![RecordFailure::warning("stands twice").at_row(Some(4)).of_record("r4")],
        errors: Vec::new(),
        made_by: "ada".into(),
        made_at: at(run),
    }
}

pub(super) fn item(no: u32) -> PlanItem {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).ok();
    let change = |field: &str, old: Option<&str>, new: Option<&str>| PlannedChange {
        sensitive: false,
        field: field.into(),
        old: old.and_then(raw),
        new: new.and_then(raw),
        rule: Rule::SourceOfTruth,
    };
    PlanItem {
        no,
        entity: format!("e{no}").into(),
        kind: ItemKind::Update,
        records: vec![("p".into(), "r".into())],
        position: Some(u64::from(no) + 1),
        key: raw("\"e\"").into_iter().map(|json| ("email".into(), json)).collect(),
        changes: vec![change("n", Some("null"), Some("12345678901234567890.10")), change("t", Some("\"\\u0000\""), None)],
        write: Some(Box::new(PlannedWrite {
            rule: "changed".into(),
            hash: u64::MAX - 1,
            link: Some(PushLink { id: Some("r".into()), hash: Some(u64::MAX), version: Some("v".into()) }),
            seen: Some(SeenRecord::Read(u64::MAX - 2)),
            fields: raw("{\"b\":1.10, \"a\":\"\\u0000\"}"),
            left_over: true,
        })),
        state: ItemState::Open,
    }
}

/// As it is written down, which tells every digit.
fn told(items: &[PlanItem]) -> Vec<(String, ItemState)> {
    items.iter().map(|item| (serde_json::to_string(item).unwrap_or_default(), item.state)).collect()
}

async fn a_plan_is_kept_as_it_was_made(scene: Scene) -> Looked {
    let acme = scene.acme();
    let made = acme.put_plan(plan(7), vec![item(1), item(2)]).await?;
    same!((made.state, made.items, &made.plan), (PlanState::Open, 2, &plan(7)), "what was answered");
    let found = there(acme.plan(RunId(7)).await?, "the plan")?;
    same!(found, made, "the plan");
    same!(told(&acme.plan_items(RunId(7), 0, 9).await?), told(&[item(1), item(2)]), "its items");
    same!(acme.plan(RunId(8)).await?, None, "another run's");
    Ok(())
}

async fn items_come_in_order_and_in_pages(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_plan(plan(7), (1..=12).map(item).collect()).await?;
    acme.put_plan(plan(8), vec![item(1)]).await?;
    let mut found = Vec::new();
    loop {
        let after = found.last().copied().unwrap_or(0);
        let page = acme.plan_items(RunId(7), after, 5).await?;
        holds!(page.len() <= 5, "{} items, and at most 5 were asked for", page.len());
        if page.is_empty() || found.len() > 20 {
            break;
        }
        found.extend(page.iter().map(|item| item.no));
    }
    same!(found, (1..=12).collect::<Vec<u32>>(), "the numbers of all items");
    Ok(())
}

async fn plans_are_listed_newest_first(scene: Scene) -> Looked {
    let acme = scene.acme();
    for run in [3, 5, 4] {
        acme.put_plan(plan(run), Vec::new()).await?;
    }
    let runs = |plans: Vec<sync_core::store::Plan>| plans.into_iter().map(|plan| plan.plan.run.0).collect::<Vec<_>>();
    same!(runs(acme.plans(None, 9).await?), [5, 4, 3], "all of them");
    same!(runs(acme.plans(None, 2).await?), [5, 4], "the first two");
    same!(runs(acme.plans(Some(RunId(5)), 9).await?), [4, 3], "those before the newest");
    Ok(())
}

async fn a_plan_is_settled_from_where_it_stands(scene: Scene) -> Looked {
    let acme = scene.acme();
    acme.put_plan(plan(7), (1..=3).map(item).collect()).await?;
    let settle = |state: PlanState, run: Option<i64>, items: Vec<(u32, ItemState)>| Settle {
        state,
        run: run.map(RunId),
        items,
        by: "ben".into(),
        at: at(9),
    };
    let refused = settle(PlanState::Applied, Some(1), vec![(1, ItemState::Applied)]);
    holds!(!acme.settle_plan(RunId(7), PlanState::Approved, refused).await?, "a plan that stands otherwise was settled");
    same!(there(acme.plan(RunId(7)).await?, "the plan")?.state, PlanState::Open, "where it stands");
    let partial = settle(PlanState::Partial, Some(8), vec![(1, ItemState::Applied), (3, ItemState::Moved)]);
    holds!(acme.settle_plan(RunId(7), PlanState::Open, partial).await?, "the plan was not settled");
    let states: Vec<_> = acme.plan_items(RunId(7), 0, 9).await?.into_iter().map(|item| item.state).collect();
    same!(states, [ItemState::Applied, ItemState::Open, ItemState::Moved], "the states of its items");
    holds!(
        acme.settle_plan(RunId(7), PlanState::Partial, settle(PlanState::Discarded, None, Vec::new())).await?,
        "it was not settled again"
    );
    let found = there(acme.plan(RunId(7)).await?, "the plan")?;
    let told = (found.state, found.applied_run, found.changed_by.as_deref(), found.changed_at);
    same!(told, (PlanState::Discarded, Some(RunId(8)), Some("ben"), Some(at(9))), "what became of it");
    Ok(())
}

async fn plans_are_of_one_workspace(scene: Scene) -> Looked {
    let (acme, globex) = (scene.acme(), scene.globex());
    acme.put_plan(plan(7), vec![item(1)]).await?;
    same!(globex.plan(RunId(7)).await?, None, "another's plan");
    same!(globex.plans(None, 9).await?, [], "another's plans");
    same!(globex.plan_items(RunId(7), 0, 9).await?.len(), 0, "another's items");
    let settle = Settle { state: PlanState::Discarded, run: None, items: Vec::new(), by: "mallory".into(), at: at(9) };
    holds!(!globex.settle_plan(RunId(7), PlanState::Open, settle).await?, "another's plan was settled");
    same!(there(acme.plan(RunId(7)).await?, "the plan")?.state, PlanState::Open, "where it stands");
    Ok(())
}

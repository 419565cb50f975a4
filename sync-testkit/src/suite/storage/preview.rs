//! What a preview shows.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use sync_core::{
    Counts, RecordFailure,
    mapping::Rule,
    store::{Change, Expected, PageCommit, Sweep, Trial},
};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Row, Scene, feed, gone, mapped, moved, people, plain, rows, six, swept, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(a_preview_says_what_the_commit_does, "A preview has the counts and failures of the commit, and every field it changes"),
    check!(a_preview_names_old_and_new, "A preview names the value before and after, and the rule that decided"),
    check!(
        a_trial_goes_on_from_what_it_tried,
        "Of several commits each sees what the ones before would do, and the sweep what their scan showed"
    ),
    check!(
        an_expected_commit_is_whole_or_not_at_all,
        "A commit that expects changes makes exactly these, or none and names the rows in question"
    ),
    check!(a_preview_writes_nothing, "A preview leaves rows, lineage, positions, counts, failures and events as they are"),
];

async fn both(scene: &Scene) -> Result<[Pull; 2], Finding> {
    let runs = [scene.begin(&feed("c1", "own"), &plain("x_own")).await?, scene.begin(&mapped("c1"), &people()).await?];
    for run in &runs {
        run.commit(&[up("a", json!({"email": "a", "n": 1})), up("b", json!({"email": "b", "n": 1}))]).await?;
    }
    Ok(runs)
}

fn next() -> [Row<'static>; 4] {
    [up("a", json!({"email": "a", "n": 2, "new": true})), gone("b"), up("c", json!({"email": "c", "n": 3})), gone("never")]
}

/// What changes, by entity and field: the value before, as lineage tells it, and after.
fn told(changes: &[Change]) -> BTreeMap<(String, String), (Option<Value>, Option<Value>)> {
    let read = |json: &Option<Box<str>>| json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    changes.iter().map(|change| ((change.entity.to_string(), change.field.to_string()), (read(&change.old), read(&change.new)))).collect()
}

async fn a_preview_says_what_the_commit_does(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let preview = run.store.preview(run.rows_page(&next()).into()).await?;
        let done = run.commit(&next()).await?;
        same!(preview.report.counts, done.counts, "the counts");
        same!(six(&done.counts), [1, 1, 1, 0, 0, 1], "the counts of the commit");
        same!(preview.report.failures, done.failures, "the failures");
        let mut fields: Vec<_> = told(&preview.changes).into_keys().collect();
        fields.sort();
        let field = |entity: &str, name: &str| (entity.to_owned(), name.to_owned());
        let all = [field("a", "n"), field("a", "new"), field("b", "email"), field("b", "n"), field("c", "email"), field("c", "n")];
        same!(fields, all, "the fields that change");
    }
    Ok(())
}

async fn a_preview_names_old_and_new(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let preview = run.store.preview(run.rows_page(&next()).into()).await?;
        let told = told(&preview.changes);
        let change = |entity: &str, field: &str| told.get(&(entity.to_owned(), field.to_owned())).cloned();
        same!(change("a", "n"), Some((Some(json!(1)), Some(json!(2)))), "an update");
        same!(change("b", "n"), Some((Some(json!(1)), None)), "a deletion");
        same!(change("c", "n"), Some((None, Some(json!(3)))), "a creation");
        let expected = |change: &Change| if change.new.is_none() { Rule::Deleted } else { Rule::SourceOfTruth };
        holds!(preview.changes.iter().all(|change| change.rule == expected(change)), "a change without its rule: {:?}", preview.changes);
    }
    Ok(())
}

async fn a_preview_writes_nothing(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let entity = run.target.entity.as_str();
        let before = rows(&*run.store, entity).await?;
        let page = PageCommit {
            cursors: vec![moved("", "9", 1)],
            events: vec!["{}".into()],
            before: Counts { read: 1, failed: 1, ..Counts::default() },
            failures: vec![RecordFailure::error("bad")],
            scan: Some(1),
            ..run.rows_page(&next())
        };
        run.store.preview(page.into()).await?;
        same!(rows(&*run.store, entity).await?, before, "the rows");
        same!(run.history("a").await?.len(), 2, "entries of lineage");
        same!(run.store.partition_states(&run.feed).await?, [], "positions");
        same!(run.store.events(0, 9).await?, [], "events");
        same!(run.store.failures(run.fence.run, 9).await?, [], "failures");
        same!(run.counts(&[up("a", json!({"email": "a", "new": false}))]).await?, [0, 1, 0, 0, 0, 0], "a field a preview showed");
        let counts = run.end().await?.counts;
        same!(six(&counts), [2, 1, 0, 0, 0, 0], "counts of the run");
    }
    Ok(())
}

async fn a_trial_goes_on_from_what_it_tried(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let before = run.table().await?;
        let scanned = |rows: &[Row<'_>]| PageCommit { scan: Some(3), ..run.rows_page(rows) };
        let first = scanned(&[up("a", json!({"email": "a", "n": 5})), up("z", json!({"email": "z", "n": 1}))]);
        let second = scanned(&[up("y", json!({"email": "y", "n": 2}))]);
        let sweep = Sweep { confirmed: true, ..run.sweep_of(&[("", 3)]) };
        let preview = run.store.preview(Trial { commits: vec![first, second], sweep: Some(sweep.clone()) }).await?;
        same!(six(&preview.report.counts), [2, 1, 0, 0, 0, 0], "the counts of both commits");
        same!(preview.swept, Some(swept(4, 1, 1)), "the sweep");
        let told = told(&preview.changes);
        same!(told.get(&("b".to_owned(), "n".to_owned())), Some(&(Some(json!(1)), None)), "what the scan did not show");
        if !run.feed.mapping.is_empty() {
            same!(preview.gone.iter().map(|gone| gone.record.as_str()).collect::<Vec<_>>(), ["b"], "records that are gone");
        }
        let unsure = Sweep { confirmed: false, ..sweep };
        let trial = Trial { commits: vec![scanned(&[up("y", json!({"email": "y"}))])], sweep: Some(unsure) };
        same!(run.store.preview(trial).await?.swept, Some(swept(3, 2, 0)), "a sweep of too many, not confirmed");
        let twice =
            vec![run.rows_page(&[up("q", json!({"email": "q", "n": 1}))]), run.rows_page(&[up("q", json!({"email": "q", "n": 2}))])];
        let preview = run.store.preview(Trial { commits: twice, sweep: None }).await?;
        same!(six(&preview.report.counts), [1, 1, 0, 0, 0, 0], "a row that one commit makes and the next one changes");
        same!(run.table().await?, before, "the rows");
    }
    Ok(())
}

async fn an_expected_commit_is_whole_or_not_at_all(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        let preview = run.store.preview(run.rows_page(&next()).into()).await?;
        let before = run.table().await?;
        let fewer: Vec<Change> = preview.changes.iter().filter(|change| &*change.entity != "c").cloned().collect();
        let other = preview.changes.iter().cloned().map(|change| match &*change.entity {
            "a" if &*change.field == "n" => Change { old: Some("9".into()), ..change },
            _ => change,
        });
        for (expects, named) in [(fewer, "c"), (other.collect(), "a")] {
            let page = PageCommit {
                expects: Some(Arc::new(Expected::of(&expects))),
                cursors: vec![moved("", "9", 1)],
                events: vec!["{}".into()],
                ..run.rows_page(&next())
            };
            let done = run.store.commit(page).await?;
            same!(done.moved, vec![Box::<str>::from(named)], "the rows in question");
            same!(run.table().await?, before, "the rows");
            same!(run.store.partition_states(&run.feed).await?, [], "positions");
            same!(run.store.events(0, 9).await?, [], "events");
        }
        let page = PageCommit { expects: Some(Arc::new(Expected::of(&preview.changes))), ..run.rows_page(&next()) };
        let done = run.store.commit(page).await?;
        same!((done.moved.len(), six(&done.counts)), (0, [1, 1, 1, 0, 0, 1]), "as expected");
        same!(run.history("a").await?.len() > 2, true, "its lineage is written");
        same!(run.table().await?.len(), 2, "rows afterwards");
    }
    Ok(())
}

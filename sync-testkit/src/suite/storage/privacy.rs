//! Values that are nobody's business, and entities that nobody is to find again.

use std::sync::Arc;

use serde_json::{Value, json};
use sync_core::{
    Counts, Direction, ErrorKind, Field, RecordFailure, RunError, Target,
    sensitive::is_hidden,
    store::{Change, ItemKind, ItemState, NewPlan, PageCommit, PlanItem, RecordChanges, RunEnd, RunStatus},
};

use super::{
    Check,
    check::{Looked, refused},
    scene::{Pull, Scene, at, begin, ending, feed, gone, mapped, people, plain, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(
        sensitive_values_are_told_as_hashes,
        "Lineage tells values of a sensitive field as hashes that are equal where the values are, and null as null",
        needs Privacy
    ),
    check!(
        a_field_once_marked_stays_hidden,
        "A field that one target marked is hidden in what other targets, sweeps and records of others write of it, and by any spelling",
        needs Privacy, Edits
    ),
    check!(
        a_sensitive_value_stands_in_its_row_alone,
        "Once its row is gone, no table holds the value of a sensitive field",
        needs Privacy, Search
    ),
    check!(
        hashes_of_two_workspaces_have_nothing_in_common,
        "The same value has another hash in another workspace",
        needs Privacy
    ),
    check!(
        an_erased_entity_is_in_no_table,
        "Erasing an entity leaves neither its values nor its key in any table, and the others and the counts of runs as they were",
        needs Privacy, Search, Plans
    ),
    check!(
        an_entity_is_erased_between_runs,
        "An entity is not erased while a run of its type is under way; a type nobody knows is refused; a second time nothing is left to do",
        needs Privacy
    ),
    check!(
        an_entity_is_erased_of_one_workspace,
        "Erasing an entity leaves what has the same key in other workspaces and types as it is",
        needs Privacy
    ),
    check!(
        an_erased_entity_may_come_again,
        "A record whose entity was erased makes a new one when it comes again, with a history that begins there",
        needs Privacy
    ),
];

/// The two kinds of managed tables, with `mail` marked.
fn targets() -> [(sync_core::store::Feed, Target); 2] {
    let fields: Arc<[Field]> = Arc::from([Field::new("Mail").sensitive()]);
    [(feed("c1", "own"), Target { fields: Arc::clone(&fields), ..plain("x_own") }), (mapped("c1"), Target { fields, ..people() })]
}

async fn mails(run: &Pull, key: &str, field: &str) -> Result<Vec<(Option<String>, Option<String>)>, Finding> {
    let entries = run.store.lineage(&run.target.entity, key, Some(field)).await?;
    let text = |value: Option<Value>| value.map(|value| value.to_string());
    Ok(entries.into_iter().map(|entry| (text(entry.previous_value), text(entry.new_value))).collect())
}

async fn hash(run: &Pull, value: &str) -> Result<String, Finding> {
    let hidden = run.store.hidden(vec![json!(value).to_string().into()]).await?;
    Ok(hidden.first().map(|hidden| hidden.to_string()).unwrap_or_default())
}

async fn sensitive_values_are_told_as_hashes(scene: Scene) -> Looked {
    for (feed, target) in targets() {
        let run = scene.begin(&feed, &target).await?;
        let row = |mail: Value, n: i64| up("a", json!({"email": "a", "Mail": mail, "n": n}));
        for (n, mail) in [json!("ada@x"), json!("eve@x"), json!("ada@x"), json!("eve@x"), Value::Null].into_iter().enumerate() {
            run.commit(&[row(mail, n as i64)]).await?;
        }
        let (ada, eve) = (Some(hash(&run, "ada@x").await?), Some(hash(&run, "eve@x").await?));
        let null = Some("null".to_owned());
        let told =
            [(None, ada.clone()), (ada.clone(), eve.clone()), (eve.clone(), ada.clone()), (ada.clone(), eve.clone()), (eve.clone(), null)];
        same!(mails(&run, "a", "Mail").await?, told, "the history of the field");
        holds!(ada.as_deref().is_some_and(is_hidden), "{ada:?} is no hash of a value that is hidden");
        holds!(ada != eve, "two values have the same hash {ada:?}");
        same!(run.store.hidden(vec!["null".into()]).await?, ["null".into()], "what null is told as");
        let plainly = run.store.lineage(&target.entity, "a", Some("n")).await?;
        let plainly: Vec<_> = plainly.into_iter().filter_map(|entry| entry.new_value).collect();
        same!(plainly, [json!(0), json!(1), json!(2), json!(3), json!(4)], "the history of another field");
        same!(run.row("a").await?["n"], json!(4), "the row");
        run.commit(&[row(json!("ada@x"), 5), up("b", json!({"email": "b", "Mail": "ada@x"}))]).await?;
        same!(run.row("a").await?["Mail"], json!("ada@x"), "the value in the row");
        same!(mails(&run, "b", "Mail").await?, [(None, ada.clone())], "the same value of another row");
        run.commit(&[gone("b")]).await?;
        same!(mails(&run, "b", "Mail").await?, [(None, ada.clone()), (ada, None)], "the history of a row that is gone");
        run.end().await?;
    }
    Ok(())
}

async fn a_field_once_marked_stays_hidden(scene: Scene) -> Looked {
    for (feed, target) in targets() {
        let run = scene.begin(&feed, &target).await?;
        run.commit(&[up("a", json!({"email": "a", "Mail": "ada@x"}))]).await?;
        run.end().await?;
        let unmarked = Target { fields: Arc::from([]), ..target.clone() };
        let run = scene.begin(&feed, &unmarked).await?;
        run.commit(&[up("a", json!({"email": "a", "Mail": "eve@x"}))]).await?;
        let change = Change {
            entity: "a".into(),
            field: "mail".into(),
            old: Some("\"eve@x\"".into()),
            new: Some("\"zoe@x\"".into()),
            rule: "recorded".into(),
        };
        let source = Arc::clone(&target.source);
        let record = RecordChanges { fence: run.fence, entity: target.entity.clone(), source, changes: vec![change], at: at(2) };
        run.store.record_changes(record).await?;
        run.scan("", 1, &[]).await?;
        run.sweep(&[("", 1)]).await?;
        let told: Vec<_> = [mails(&run, "a", "Mail").await?, mails(&run, "a", "mail").await?].concat();
        let shown: Vec<_> = told.iter().flat_map(|(old, new)| [old, new]).flatten().filter(|value| !is_hidden(value)).collect();
        holds!(shown.is_empty() && told.len() >= 3, "values are shown: {shown:?} of {told:?}");
        run.end().await?;
    }
    Ok(())
}

async fn a_sensitive_value_stands_in_its_row_alone(scene: Scene) -> Looked {
    for (feed, target) in targets() {
        let run = scene.begin(&feed, &target).await?;
        for mail in ["ada@lovelace", "\u{e9}ve@lovelace", "zoe@lovelace"] {
            run.commit(&[up("a", json!({"email": "a", "Mail": mail})), up("b", json!({"email": "b", "Mail": mail}))]).await?;
        }
        holds!(!scene.database.search(b"zoe@lovelace").await?.is_empty(), "no table has the present value");
        run.commit(&[gone("a")]).await?;
        run.scan("", 1, &[]).await?;
        run.sweep(&[("", 1)]).await?;
        same!(run.table().await?.len(), 0, "rows that are left");
        holds!(run.history("a").await?.len() >= 4, "the history of the row is gone");
        same!(scene.database.search(b"@lovelace").await?, Vec::<String>::new(), "the tables with a value");
        run.end().await?;
    }
    Ok(())
}

async fn hashes_of_two_workspaces_have_nothing_in_common(scene: Scene) -> Looked {
    let mut hashes = Vec::new();
    for store in [scene.acme(), scene.globex()] {
        let (feed, target) = targets()[0].clone();
        let run = begin(store, &feed, &target).await?;
        run.commit(&[up("a", json!({"Mail": "ada@x"}))]).await?;
        hashes.push(mails(&run, "a", "Mail").await?);
    }
    holds!(hashes[0] != hashes[1] && hashes[0].len() == 1, "the hashes are {hashes:?}");
    Ok(())
}

/// A plan that would change two entities.
fn plan(run: &Pull, keys: [&str; 2]) -> (NewPlan, Vec<PlanItem>) {
    let items = keys.iter().enumerate().map(|(n, key)| PlanItem {
        no: n as u32 + 1,
        entity: (*key).into(),
        kind: ItemKind::Delete,
        records: vec![("".into(), (*key).into())],
        position: None,
        key: Default::default(),
        changes: Vec::new(),
        write: None,
        state: ItemState::Open,
    });
    let plan = NewPlan {
        run: run.fence.run,
        feed: run.feed.clone(),
        direction: Direction::FromExternal,
        entity: run.target.entity.clone(),
        key: Vec::new(),
        request: json!({}),
        counts: Counts { read: 2, failed: 2, ..Counts::default() },
        failures: keys.iter().map(|key| RecordFailure::error(format!("{key:?} does not fit"))).collect(),
        errors: Vec::new(),
        made_by: "tester".into(),
        made_at: at(1),
    };
    (plan, items.collect())
}

async fn an_erased_entity_is_in_no_table(scene: Scene) -> Looked {
    let (one, other) = ("ada-lovelace", "eve-harcourt");
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let run = scene.begin(&feed, &target).await?;
        let row = |key: &'static str, n: i64| up(key, json!({"email": key, "note": format!("of {key} {n}"), "n": n}));
        let failures =
            vec![RecordFailure::warning("it stands twice").of_record(one), RecordFailure::error(format!("{other} does not fit"))];
        let before = Counts { read: 2, skipped: 1, failed: 1, ..Counts::default() };
        let events = [one, other].map(|key| json!({"type": "seen", "key": key}).to_string().into()).to_vec();
        run.store.commit(PageCommit { failures, before, events, ..run.rows_page(&[row(one, 1), row(other, 1)]) }).await?;
        run.commit(&[row(one, 2), row(other, 2)]).await?;
        let (plan, items) = plan(&run, [one, other]);
        run.store.put_plan(plan, items).await?;
        let errors = [one, other].map(|key| RunError::new(&sync_core::Error::new(ErrorKind::Invalid, "pull", format!("{key} is strange"))));
        run.store.end_run(run.fence, RunEnd { errors: errors.to_vec(), ..ending(RunStatus::Completed) }).await?;
        let counts = run.store.run(run.fence.run).await?.map(|run| run.counts);
        let history = run.history(other).await?;

        let erased = run.store.erase_entity(&target.entity, one).await?;
        same!((erased.rows, erased.host_row, erased.lineage, erased.plan_items), (1, false, 1, 1), "rows, lines and items that went");
        holds!(erased.texts == 3 && erased.total() >= 6, "what went is {erased:?}");
        same!(scene.database.search(one.as_bytes()).await?, Vec::<String>::new(), "the tables with the entity");

        same!(run.table().await?.into_keys().collect::<Vec<_>>(), [other.to_owned()], "rows that are left");
        same!(run.history(other).await?, history, "the history of the other");
        same!(run.store.failures(run.fence.run, 9).await?.len(), 1, "failures that are left");
        let found = run.store.run(run.fence.run).await?;
        same!(found.as_ref().map(|run| run.counts), counts, "the run's counts");
        same!(found.map(|run| run.errors.len()), Some(2), "the run's errors, of which one says no more whom it was about");
        let plan = run.store.plan(run.fence.run).await?;
        same!(plan.as_ref().map(|plan| (plan.items, plan.plan.failures.len(), plan.plan.counts.failed)), Some((1, 1, 2)), "the plan");
        same!(run.store.plan_items(run.fence.run, 0, 9).await?.iter().map(|item| item.no).collect::<Vec<_>>(), [2], "its items");
        same!(run.store.erase_entity(&target.entity, other).await?.rows, 1, "rows that went with the other");
        same!(scene.database.search(other.as_bytes()).await?, Vec::<String>::new(), "the tables with the other");
    }
    Ok(())
}

async fn an_entity_is_erased_between_runs(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    run.commit(&[up("a", json!({"email": "a", "n": 1}))]).await?;
    let elsewhere = scene.begin(&feed("c2", "own"), &plain("x_own")).await?;
    let acme = scene.acme();
    refused(acme.erase_entity(&"people".into(), "a").await, ErrorKind::Conflict, "erasing while a run is under way")?;
    same!(run.row("a").await?["n"], json!(1), "the row");
    run.end().await?;
    same!(acme.erase_entity(&"people".into(), "a").await?.rows, 1, "rows that went beside a run of another type");
    same!(acme.erase_entity(&"people".into(), "a").await?.total(), 0, "what went when it was erased again");
    refused(acme.erase_entity(&"peeple".into(), "a").await, ErrorKind::NotFound, "erasing of a type that nobody knows")?;
    elsewhere.end().await?;
    Ok(())
}

async fn an_entity_is_erased_of_one_workspace(scene: Scene) -> Looked {
    let mut runs = Vec::new();
    for store in [scene.acme(), scene.globex()] {
        for target in [people(), Target { entity: "animals".into(), ..people() }] {
            let feed = sync_core::store::Feed { stream: target.entity.as_str().into(), ..mapped("c1") };
            let run = begin(Arc::clone(&store), &feed, &target).await?;
            for n in [1, 2] {
                run.commit(&[up("a", json!({"email": "a", "n": n}))]).await?;
            }
            run.end().await?;
            runs.push(run);
        }
    }
    let mut before = Vec::new();
    for run in &runs {
        before.push((run.table().await?, run.history("a").await?));
    }
    same!(scene.acme().erase_entity(&"people".into(), "a").await?.rows, 1, "rows that went");
    same!((runs[0].table().await?.len(), runs[0].history("a").await?.len()), (0, 0), "what is left of it");
    for (run, before) in runs.iter().zip(before).skip(1) {
        same!((run.table().await?, run.history("a").await?), before, "what others have of the key");
    }
    Ok(())
}

async fn an_erased_entity_may_come_again(scene: Scene) -> Looked {
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let run = scene.begin(&feed, &target).await?;
        for n in [1, 2] {
            run.commit(&[up("a", json!({"email": "a", "n": n}))]).await?;
        }
        run.end().await?;
        run.store.erase_entity(&target.entity, "a").await?;
        let run = scene.begin(&feed, &target).await?;
        same!(run.counts(&[up("a", json!({"email": "a", "n": 2}))]).await?, [1, 0, 0, 0, 0, 0], "what became of the record");
        let n = run.store.lineage(&target.entity, "a", Some("n")).await?;
        let n: Vec<_> = n.into_iter().map(|entry| (entry.previous_value, entry.new_value)).collect();
        same!(n, [(None, Some(json!(2)))], "the history of the new one");
        run.commit(&[gone("a")]).await?;
        same!(run.table().await?.len(), 0, "rows that are left when the record goes");
        run.end().await?;
    }
    Ok(())
}

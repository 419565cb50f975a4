//! Rows that are changed by hand, changes that are only written down, and the histories of whole runs.

use std::sync::Arc;

use serde_json::json;
use sync_core::{
    ErrorKind, FieldRule, Place, RunId, Source, Target, WriteMode,
    mapping::{Column, Mapping, Rule},
    store::{Change, Fence, LineageOp, RecordChanges, RowHistory, RunRows, RunRules, WorkspaceStore},
};

use super::{
    Check,
    check::{Looked, refused, there},
    scene::{Pull, Scene, feed, gone, mapped, people, plain, rules, six, swept, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(by_hand_a_row_is_known_by_its_key, "By hand a record's id is the key of its row, and no priority of a source keeps it from writing", needs Edits),
    check!(by_hand_no_priority_is_kept, "What was set by hand does not change whose word counts afterwards", needs Edits),
    check!(by_hand_nothing_is_linked, "A row made by hand belongs to no record: no scan deletes it, and a record may take it up", needs Edits),
    check!(by_hand_a_row_goes_whatever_stands_behind_it, "A delete by hand takes the row though records of two feeds stand behind it", needs Edits),
    check!(force_overwrites_but_keeps_priorities, "What is forced is written whatever the authority and priority, which count again afterwards", needs Edits),
    check!(places_are_told, "The kind of table an entity type has is told, and none for what the workspace does not know", needs Edits),
    check!(changes_are_written_down, "Changes that others made stand in the history with their source, under the run's fence", needs Edits),
    check!(lineage_names_the_rule, "An entry names what decided, and a run the mapping its values came through as it was then", needs Edits),
    check!(a_runs_rows_are_told_with_their_histories, "The rows a run made, changed and deleted come with all lines and the row there is", needs Edits),
    check!(what_a_run_made_is_told_after_it_is_gone, "A row that a run made and another deleted is told of that run too", needs Edits),
];

fn with(target: &Target, mode: WriteMode) -> Target {
    Target { mode, ..target.clone() }
}

fn ranked(priority: i32) -> FieldRule {
    FieldRule { priority, ..FieldRule::default() }
}

/// The table of people, whose name comes from a source of this priority.
fn named(priority: i32) -> Target {
    Target { rules: rules(&[("name", ranked(priority))]), ..people() }
}

async fn by_hand(scene: &Scene) -> Result<Pull, Finding> {
    scene.begin(&feed("", "people"), &with(&people(), WriteMode::ByHand)).await
}

async fn by_hand_a_row_is_known_by_its_key(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &named(9)).await?;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?;
    let hand = by_hand(&scene).await?;
    let counts = hand.counts(&[up("a@x", json!({"name": "Anna"})), up("a@x", json!({"name": "Anna"}))]).await?;
    same!(counts, [0, 1, 0, 1, 0, 0], "the counts");
    same!(run.row("a@x").await?, json!({"email": "a@x", "name": "Anna"}), "the row");
    same!(hand.counts(&[gone("b@x")]).await?, [0, 0, 1, 0, 0, 0], "a delete of what is not there");
    Ok(())
}

async fn by_hand_no_priority_is_kept(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &named(5)).await?;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?;
    by_hand(&scene).await?.commit(&[up("a@x", json!({"name": "Anna"}))]).await?;
    let lower = scene.begin(&mapped("c2"), &named(4)).await?;
    same!(lower.counts(&[up("q1", json!({"email": "a@x", "name": "Lower"}))]).await?, [0, 0, 1, 0, 0, 0], "a source of lower priority");
    same!(run.counts(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?, [0, 1, 0, 0, 0, 0], "the source that owns the field");
    Ok(())
}

async fn by_hand_nothing_is_linked(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    let hand = by_hand(&scene).await?;
    same!(hand.counts(&[up("a@x", json!({"email": "a@x", "name": "Ann"}))]).await?, [1, 0, 0, 0, 0, 0], "the counts");
    run.scan("", 1, &[up("r2", json!({"email": "b@x"}))]).await?;
    same!(run.sweep(&[("", 1)]).await?, swept(1, 0, 0), "a scan that shows nothing of it");
    same!(run.table().await?.len(), 2, "rows");
    same!(run.counts(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?, [0, 0, 1, 0, 0, 0], "a record that takes it up");
    same!(run.counts(&[gone("r1")]).await?, [0, 0, 0, 0, 0, 1], "and goes");
    same!(run.table().await?.len(), 1, "rows afterwards");
    Ok(())
}

async fn by_hand_a_row_goes_whatever_stands_behind_it(scene: Scene) -> Looked {
    let one = scene.begin(&mapped("c1"), &people()).await?;
    let two = scene.begin(&mapped("c2"), &people()).await?;
    for run in [&one, &two] {
        run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?;
    }
    same!(by_hand(&scene).await?.counts(&[gone("a@x")]).await?, [0, 0, 0, 0, 0, 1], "the counts");
    same!(one.table().await?.len(), 0, "rows");
    same!(two.counts(&[gone("r1")]).await?, [0, 0, 1, 0, 0, 0], "a record that stood behind it");
    Ok(())
}

async fn force_overwrites_but_keeps_priorities(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &named(5)).await?;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await?;
    let lower = named(1);
    let forced = scene.begin(&mapped("c2"), &with(&lower, WriteMode::Forced)).await?;
    same!(forced.counts(&[up("q1", json!({"email": "a@x", "name": "Forced"}))]).await?, [0, 1, 0, 0, 0, 0], "the counts");
    let middle = Target { rules: rules(&[("name", ranked(3))]), ..people() };
    let middle = scene.begin(&mapped("c3"), &middle).await?;
    same!(
        middle.counts(&[up("m1", json!({"email": "a@x", "name": "Middle"}))]).await?,
        [0, 1, 0, 0, 0, 0],
        "a source above the one that forced"
    );
    Ok(())
}

async fn places_are_told(scene: Scene) -> Looked {
    let acme = scene.acme();
    scene.begin(&feed("c1", "own"), &plain("x_s")).await?.commit(&[up("a", json!({"v": 1}))]).await?;
    scene.begin(&mapped("c1"), &people()).await?.commit(&[up("r1", json!({"email": "a@x"}))]).await?;
    same!(acme.place(&"x_s".into()).await?, Some(Place::Stream), "a stream's own table");
    holds!(matches!(acme.place(&"people".into()).await?, Some(Place::Managed { .. })), "a table that mappings feed is told as another");
    same!(acme.place(&"nothing".into()).await?, None, "an unknown one");
    Ok(())
}

fn recorded(fence: Fence, entity: &str) -> RecordChanges {
    let change = |field: &str, old: &str, new: &str| Change {
        entity: "a@x".into(),
        field: field.into(),
        old: Some(old.into()),
        new: Some(new.into()),
        rule: Rule::Recorded,
    };
    let source = Source { kind: "app".into(), id: "ben".into(), ..Source::default() };
    let changes = vec![change("name", "\"Ann\"", "\"Anna\""), change("n", "1", "2")];
    RecordChanges { fence, entity: entity.into(), source: Arc::new(source), changes, at: super::scene::at(7) }
}

async fn changes_are_written_down(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "n": 1}))]).await?;
    let hand = by_hand(&scene).await?;
    let stale = Fence { token: hand.fence.token + 1, ..hand.fence };
    refused(run.store.record_changes(recorded(stale, "people")).await, ErrorKind::LeaseLost, "under another fence")?;
    refused(run.store.record_changes(recorded(hand.fence, "nothing")).await, ErrorKind::NotFound, "of an unknown entity type")?;
    run.store.record_changes(recorded(hand.fence, "people")).await?;
    let history = run.store.lineage(&"people".into(), "a@x", Some("name")).await?;
    let last = there(history.last(), "the change")?;
    same!((&last.previous_value, &last.new_value), (&Some(json!("Ann")), &Some(json!("Anna"))), "the values");
    same!((&*last.source_type, &*last.source_id, last.sync_run_id), ("app", "ben", hand.fence.run), "where it comes from");
    same!(history.len(), 2, "lines about the field");
    same!(run.row("a@x").await?["name"], json!("Ann"), "the row, which is left alone");
    Ok(())
}

async fn lineage_names_the_rule(scene: Scene) -> Looked {
    let columns = Mapping::new("people", "s").entity("people").column(Column::new("mail").to("email").key());
    let by_mapping = Source { mapping: Some(Arc::new(columns.clone())), ..Source::default() };
    let run = scene.begin(&mapped("c1"), &Target { source: Arc::new(by_mapping), ..people() }).await?;
    same!(run.store.run_rules(run.fence.run).await?, None, "of a run that has written nothing");
    run.commit(&[up("r1", json!({"email": "a@x", "name": "One"}))]).await?;
    let forced = scene.begin(&mapped("c2"), &with(&people(), WriteMode::Forced)).await?;
    forced.commit(&[up("q1", json!({"email": "a@x", "name": "Two"}))]).await?;
    let hand = by_hand(&scene).await?;
    hand.commit(&[up("a@x", json!({"name": "Three"}))]).await?;
    let back = Source { rule: Rule::Undo, ..Source::default() };
    let back = scene.begin(&feed("", "back"), &Target { source: Arc::new(back), ..with(&people(), WriteMode::ByHand) }).await?;
    back.commit(&[up("a@x", json!({"name": "Two"}))]).await?;
    let record = scene.begin(&feed("", "record"), &with(&people(), WriteMode::ByHand)).await?;
    record.store.record_changes(recorded(record.fence, "people")).await?;
    run.commit(&[gone("r1")]).await?;
    forced.commit(&[gone("q1")]).await?;
    let told = run.store.lineage(&"people".into(), "a@x", Some("name")).await?;
    let rules: Vec<_> = told.iter().map(|entry| entry.rule).collect();
    let expected = [Rule::SourceOfTruth, Rule::Forced, Rule::ByHand, Rule::Undo, Rule::Recorded, Rule::Deleted];
    same!(rules, expected.map(Some), "the rules of a field's changes");
    let of = async |run: &Pull| run.store.run_rules(run.fence.run).await;
    same!(of(&run).await?, Some(RunRules { rule: Rule::SourceOfTruth, mapping: Some(columns) }), "of a run with a mapping");
    same!(of(&back).await?, Some(RunRules { rule: Rule::Undo, mapping: None }), "of one that takes back");
    same!(of(&record).await?, Some(RunRules { rule: Rule::Recorded, mapping: None }), "of one that writes down");
    same!(scene.globex().run_rules(run.fence.run).await?, None, "in another workspace");
    Ok(())
}

/// A row's lines, by run and kind.
type Lines = Vec<(i64, LineageOp)>;

/// What is told of each row: its lines, and whether it is there.
fn told(rows: &[RowHistory]) -> Vec<(String, Lines, bool)> {
    let lines = |row: &RowHistory| row.lines.iter().map(|line| (line.run, line.op)).collect();
    rows.iter().map(|row| (row.entity.to_string(), lines(row), row.live.is_some())).collect()
}

/// The rows a run changed, and their histories by key.
async fn history(store: &dyn WorkspaceStore, run: RunId) -> Result<(RunRows, Vec<RowHistory>), Finding> {
    let rows = there(store.run_rows(run, 10).await?, "the rows of the run")?;
    let mut histories = store.row_histories(run, &rows.keys).await?;
    let told: Vec<&str> = histories.iter().map(|history| &*history.entity).collect();
    same!(told, rows.keys.iter().map(|key| &**key).collect::<Vec<_>>(), "the keys of the histories, in their order");
    histories.sort_by(|one, other| one.entity.cmp(&other.entity));
    Ok((rows, histories))
}

async fn a_runs_rows_are_told_with_their_histories(scene: Scene) -> Looked {
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let first = scene.begin(&feed, &target).await?;
        let row = |key: &'static str, n: u64| up(key, json!({"email": key, "n": n}));
        first.commit(&[row("a", 1), row("b", 1), row("d", 1)]).await?;
        first.end().await?;
        let second = scene.begin(&feed, &target).await?;
        second.commit(&[row("a", 2), gone("b"), row("c", 1)]).await?;
        second.end().await?;
        let third = scene.begin(&feed, &target).await?;
        same!(six(&third.commit(&[row("a", 3)]).await?.counts), [0, 1, 0, 0, 0, 0], "a later run");
        let (rows, histories) = history(&*third.store, second.fence.run).await?;
        let (run, later) = (second.fence.run.0, third.fence.run.0);
        let expected = [
            ("a".to_owned(), vec![(run, LineageOp::Updated), (later, LineageOp::Updated)], true),
            ("b".to_owned(), vec![(run, LineageOp::Deleted)], false),
            ("c".to_owned(), Vec::new(), true),
        ];
        same!(told(&histories), expected, "the rows of the second run");
        let made = histories[2].live.as_ref().map(|live| (live.run, live.fields.get("n").map(String::as_str)));
        same!(made, Some((run, Some("1"))), "who made a row, and what it holds");
        holds!(!rows.pruned, "lines are said to be missing");
        refused(third.store.run_rows(second.fence.run, 2).await, ErrorKind::Config, "more rows than asked for")?;
        let unknown = third.store.run_rows(RunId(i64::MAX), 10).await?;
        holds!(unknown.is_none(), "an unknown run has a history");
        third.end().await?;
    }
    let first = scene.globex().run_rows(RunId(1), 10).await?;
    holds!(first.is_none(), "another workspace's run is told");
    Ok(())
}

async fn what_a_run_made_is_told_after_it_is_gone(scene: Scene) -> Looked {
    let first = scene.begin(&mapped("c1"), &people()).await?;
    first.commit(&[up("r1", json!({"email": "a@x"}))]).await?;
    first.end().await?;
    let second = scene.begin(&mapped("c1"), &people()).await?;
    second.commit(&[gone("r1")]).await?;
    let (_, histories) = history(&*second.store, first.fence.run).await?;
    same!(told(&histories), [("a@x".to_owned(), vec![(second.fence.run.0, LineageOp::Deleted)], false)], "its row");
    let maker = histories[0].lines[0].created.map(|(run, _)| run);
    same!(maker, Some(first.fence.run.0), "who had made it");
    Ok(())
}

//! Where values came from.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use sync_core::{
    Source, Target,
    store::{LineageEntry, PageCommit},
};

use super::{
    Check,
    check::Looked,
    scene::{Pull, Scene, at, feed, gone, mapped, people, plain, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(every_changed_field_has_one_entry, "Each field that changes has one entry, in order, with the value before and after"),
    check!(unchanged_fields_have_no_entry, "A field that stays has no entry, whatever else of its row changes"),
    check!(lineage_names_its_source, "An entry names source, place, run, who asked for it and when"),
    check!(
        a_deletion_ends_every_field,
        "The deletion of a row ends the history of each of its fields; a new row of the key begins another"
    ),
    check!(lineage_of_one_field, "The history of one field is that of the row without the others"),
    check!(lineage_can_be_switched_off, "A target without lineage leaves no entries"),
];

async fn both(scene: &Scene) -> Result<[Pull; 2], Finding> {
    Ok([scene.begin(&feed("c1", "own"), &plain("x_own")).await?, scene.begin(&mapped("c1"), &people()).await?])
}

async fn values(run: &Pull, field: &str) -> Result<Vec<(Option<Value>, Option<Value>)>, Finding> {
    let entries = run.store.lineage(&run.target.entity, "a", Some(field)).await?;
    Ok(entries.into_iter().map(|entry| (entry.previous_value, entry.new_value)).collect())
}

async fn every_changed_field_has_one_entry(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[up("a", json!({"email": "a", "name": "One", "n": 1}))]).await?;
        run.commit(&[up("a", json!({"email": "a", "name": "Two"}))]).await?;
        run.commit(&[up("a", json!({"email": "a", "name": "Three", "n": 2}))]).await?;
        let name = [(None, Some(json!("One"))), (Some(json!("One")), Some(json!("Two"))), (Some(json!("Two")), Some(json!("Three")))];
        same!(values(&run, "name").await?, name, "the name");
        same!(values(&run, "n").await?, [(None, Some(json!(1))), (Some(json!(1)), Some(json!(2)))], "the number");
        same!(values(&run, "email").await?, [(None, Some(json!("a")))], "the key");
        let all = run.store.lineage(&run.target.entity, "a", None).await?;
        same!(all.len(), 6, "entries of the row");
        holds!(all.is_sorted_by_key(|entry| entry.seq), "entries are not in order: {all:?}");
    }
    Ok(())
}

async fn unchanged_fields_have_no_entry(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[up("a", json!({"email": "a", "stays": 1, "n": 1}))]).await?;
        for n in 2..5 {
            run.commit(&[up("a", json!({"email": "a", "stays": 1, "n": n}))]).await?;
        }
        same!(values(&run, "stays").await?, [(None, Some(json!(1)))], "the field that stays");
        same!(values(&run, "never").await?, [], "a field nobody has");
    }
    Ok(())
}

async fn lineage_names_its_source(scene: Scene) -> Looked {
    let refs = BTreeMap::from([("name".into(), "Movies → Column B".into())]);
    let source = Arc::new(Source { kind: "google_sheet".into(), id: "sheet1/Movies".into(), refs, ..Source::default() });
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let run = scene.begin(&feed, &Target { source: Arc::clone(&source), ..target }).await?;
        run.commit(&[up("a", json!({"email": "a", "name": "One"}))]).await?;
        run.store.commit(PageCommit { at: at(7), ..run.rows_page(&[up("a", json!({"email": "a", "name": "Two"}))]) }).await?;
        let entries = run.store.lineage(&run.target.entity, "a", Some("name")).await?;
        let expected = |seq, when, before: Option<Value>, after: &str| LineageEntry {
            seq,
            entity_type: run.target.entity.clone(),
            entity_id: "a".into(),
            field_name: "name".into(),
            source_type: "google_sheet".into(),
            source_id: "sheet1/Movies".into(),
            source_ref: Some("Movies → Column B".into()),
            previous_value: before,
            new_value: Some(json!(after)),
            sync_run_id: run.fence.run,
            changed_by: "tester".into(),
            changed_at: at(when),
            rule: entries.first().and_then(|entry| entry.rule),
        };
        same!(entries.len(), 2, "entries");
        let all = [expected(entries[0].seq, 1, None, "One"), expected(entries[1].seq, 7, Some(json!("One")), "Two")];
        same!(entries, all, "the entries");
        let key = run.store.lineage(&run.target.entity, "a", Some("email")).await?;
        same!(key.iter().map(|entry| entry.source_ref.as_deref()).collect::<Vec<_>>(), [None], "the place of a field without one");
    }
    Ok(())
}

async fn a_deletion_ends_every_field(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[up("a", json!({"email": "a", "name": "One"}))]).await?;
        run.commit(&[gone("a")]).await?;
        run.commit(&[up("a", json!({"email": "a", "name": "New"}))]).await?;
        let name = [(None, Some(json!("One"))), (Some(json!("One")), None), (None, Some(json!("New")))];
        same!(values(&run, "name").await?, name, "the name");
        let email = [(None, Some(json!("a"))), (Some(json!("a")), None), (None, Some(json!("a")))];
        same!(values(&run, "email").await?, email, "the key");
    }
    Ok(())
}

async fn lineage_of_one_field(scene: Scene) -> Looked {
    for run in both(&scene).await? {
        run.commit(&[up("a", json!({"email": "a", "n": 1})), up("b", json!({"email": "b", "n": 1}))]).await?;
        run.commit(&[up("a", json!({"email": "a", "n": 2}))]).await?;
        let all = run.store.lineage(&run.target.entity, "a", None).await?;
        for field in ["email", "n"] {
            let own: Vec<_> = all.iter().filter(|entry| &*entry.field_name == field).cloned().collect();
            holds!(!own.is_empty(), "{field:?} has no history");
            same!(run.store.lineage(&run.target.entity, "a", Some(field)).await?, own, "the history of {field:?}");
        }
        same!(run.store.lineage(&run.target.entity, "nobody", None).await?, [], "the history of an unknown key");
        same!(run.store.lineage(&"nothing".into(), "a", None).await?, [], "the history of an unknown entity type");
    }
    Ok(())
}

async fn lineage_can_be_switched_off(scene: Scene) -> Looked {
    for (feed, target) in [(feed("c1", "own"), plain("x_own")), (mapped("c1"), people())] {
        let run = scene.begin(&feed, &Target { lineage: false, ..target }).await?;
        run.commit(&[up("a", json!({"email": "a", "n": 1}))]).await?;
        run.commit(&[up("a", json!({"email": "a", "n": 2}))]).await?;
        run.commit(&[gone("a")]).await?;
        same!(run.history("a").await?, [], "entries");
    }
    Ok(())
}

//! Tables that several sources feed through mappings.

use serde_json::{Value, json};
use sync_core::{ErrorKind, FieldRule, Severity, Target, mapping::Authority};

use super::{
    Check,
    check::{Looked, refused},
    scene::{Pull, Scene, feed, gone, mapped, people, plain, rules, six, texts, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(higher_priority_wins_in_any_order, "The source of higher priority wins, whatever the order of arrival"),
    check!(a_confirmed_value_is_defended, "A source of higher priority that says the same owns the field from then on"),
    check!(a_reference_never_writes, "A field a source is only a reference for is never written by it, and it makes no row"),
    check!(a_derived_field_is_never_written, "A field that is derived is written by no source"),
    check!(sources_fill_one_row, "Two sources fill one row, each its own fields"),
    check!(a_record_without_key_is_left_out, "A record without a value for a key field is skipped, with a warning that names the field"),
    check!(keys_of_many_fields_stay_apart, "Keys made of several fields never run into each other"),
    check!(an_entity_goes_with_its_last_record, "A row that records of two sources stand behind goes with the last of them"),
    check!(an_entity_type_keeps_its_keys, "A table whose rows are keyed by records cannot be fed by key fields, nor the other way round"),
];

async fn source(scene: &Scene, connection: &str, field: &str, rule: FieldRule) -> Result<Pull, Finding> {
    scene.begin(&mapped(connection), &Target { rules: rules(&[(field, rule)]), ..people() }).await
}

fn ranked(priority: i32) -> FieldRule {
    FieldRule { priority, ..FieldRule::default() }
}

fn only(authority: Authority) -> FieldRule {
    FieldRule { authority, priority: 0 }
}

async fn higher_priority_wins_in_any_order(scene: Scene) -> Looked {
    let sources = [(0, "low"), (5, "middle"), (9, "high")];
    for (n, order) in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].into_iter().enumerate() {
        let key = format!("{n}@x");
        for round in 0..2 {
            for at in order {
                let (priority, name) = sources[at];
                let run = source(&scene, name, "name", ranked(priority)).await?;
                run.commit(&[up(&key, json!({"email": key, "name": format!("{name} {round}")}))]).await?;
                run.end().await?;
            }
        }
        let run = source(&scene, "look", "name", ranked(0)).await?;
        same!(run.row(&key).await?["name"], json!("high 1"), "the name after arrivals in the order {order:?}");
        run.end().await?;
    }
    Ok(())
}

async fn a_confirmed_value_is_defended(scene: Scene) -> Looked {
    let (low, high) = (source(&scene, "low", "name", ranked(1)).await?, source(&scene, "high", "name", ranked(5)).await?);
    low.commit(&[up("r", json!({"email": "a", "name": "Ann"}))]).await?;
    same!(high.counts(&[up("r", json!({"email": "a", "name": "Ann"}))]).await?, [0, 0, 1, 0, 0, 0], "the higher source says the same");
    same!(low.counts(&[up("r", json!({"email": "a", "name": "Bea"}))]).await?, [0, 0, 1, 0, 0, 0], "the lower one says another thing");
    same!(low.row("a").await?["name"], json!("Ann"), "the value");
    Ok(())
}

async fn a_reference_never_writes(scene: Scene) -> Looked {
    let truth = source(&scene, "truth", "name", ranked(0)).await?;
    truth.commit(&[up("r", json!({"email": "a", "name": "Ann"}))]).await?;
    let beside = {
        let rules = rules(&[("email", only(Authority::Reference)), ("name", only(Authority::Reference))]);
        scene.begin(&mapped("beside"), &Target { rules, ..people() }).await?
    };
    let done = beside.commit(&[up("q1", json!({"email": "a", "name": "Other"})), up("q2", json!({"email": "new", "name": "New"}))]).await?;
    same!(six(&done.counts), [0, 0, 1, 1, 0, 0], "a row that is there and one that is not");
    same!(truth.table().await?.into_values().collect::<Vec<_>>(), [json!({"email": "a", "name": "Ann"})], "the rows");
    Ok(())
}

async fn a_derived_field_is_never_written(scene: Scene) -> Looked {
    let run = source(&scene, "c1", "score", only(Authority::Derived)).await?;
    same!(run.counts(&[up("r", json!({"email": "a", "name": "Ann", "score": 9}))]).await?, [1, 0, 0, 0, 0, 0], "a new row");
    same!(run.counts(&[up("r", json!({"email": "a", "name": "Ann", "score": 8}))]).await?, [0, 0, 1, 0, 0, 0], "another score");
    let row = run.row("a").await?;
    holds!(row.get("score").is_none_or(Value::is_null), "a derived field was written: {row}");
    Ok(())
}

async fn sources_fill_one_row(scene: Scene) -> Looked {
    let (one, two) = (scene.begin(&mapped("c1"), &people()).await?, scene.begin(&mapped("c2"), &people()).await?);
    same!(one.counts(&[up("r1", json!({"email": "a", "name": "Ann"}))]).await?, [1, 0, 0, 0, 0, 0], "the first source");
    same!(two.counts(&[up("q9", json!({"email": "a", "phone": "5"}))]).await?, [0, 1, 0, 0, 0, 0], "the second");
    same!(one.counts(&[up("r1", json!({"email": "a", "name": "Ann"}))]).await?, [0, 0, 1, 0, 0, 0], "the first again");
    same!(one.table().await?.into_values().collect::<Vec<_>>(), [json!({"email": "a", "name": "Ann", "phone": "5"})], "the rows");
    Ok(())
}

async fn a_record_without_key_is_left_out(scene: Scene) -> Looked {
    let run = scene.begin(&mapped("c1"), &people()).await?;
    let done = run.commit(&[up("r1", json!({"name": "Ann"})), up("r2", json!({"email": null})), up("r3", json!({"email": ""}))]).await?;
    same!(six(&done.counts), [0, 0, 0, 3, 0, 0], "the counts");
    let named: Vec<_> = done.failures.iter().map(|f| (f.severity, f.record.as_deref(), f.column.as_deref())).collect();
    let warning = |record| (Severity::Warning, Some(record), Some("email"));
    same!(named, [warning("r1"), warning("r2"), warning("r3")], "the warnings");
    same!(run.table().await?.len(), 0, "rows");
    Ok(())
}

async fn keys_of_many_fields_stay_apart(scene: Scene) -> Looked {
    let place = sync_core::Place::Managed { key: texts(&["list", "email"]) };
    let run = scene.begin(&mapped("c1"), &Target { place, ..plain("members") }).await?;
    let rows = [("a/b", "c"), ("a", "b/c"), ("a\\", "/b"), ("7", "c")];
    for (n, (list, email)) in rows.iter().enumerate() {
        let id = format!("r{n}");
        same!(run.counts(&[up(&id, json!({"list": list, "email": email}))]).await?, [1, 0, 0, 0, 0, 0], "{list:?} and {email:?}");
    }
    same!(run.counts(&[up("r9", json!({"list": 7, "email": "d"}))]).await?, [1, 0, 0, 0, 0, 0], "a number as part of a key");
    let keys: Vec<String> = run.table().await?.into_keys().collect();
    holds!(
        keys.contains(&sync_core::join_key(["a/b", "c"])) && keys.contains(&"7/d".to_owned()),
        "keys are not as join_key makes them: {keys:?}"
    );
    Ok(())
}

async fn an_entity_goes_with_its_last_record(scene: Scene) -> Looked {
    let (one, two) = (scene.begin(&mapped("c1"), &people()).await?, scene.begin(&mapped("c2"), &people()).await?);
    one.commit(&[up("r1", json!({"email": "a"}))]).await?;
    two.commit(&[up("q1", json!({"email": "a"}))]).await?;
    same!(one.counts(&[gone("r1")]).await?, [0, 0, 0, 0, 0, 1], "the first record goes");
    same!(one.table().await?.len(), 1, "rows while another record stands behind it");
    same!(two.counts(&[gone("q1")]).await?, [0, 0, 0, 0, 0, 1], "the last record goes");
    same!(one.table().await?.len(), 0, "rows when none does");
    Ok(())
}

async fn an_entity_type_keeps_its_keys(scene: Scene) -> Looked {
    let own = scene.begin(&feed("c1", "own"), &plain("people")).await?;
    own.commit(&[up("a", json!({"email": "a"}))]).await?;
    let through = scene.begin(&mapped("c1"), &people()).await?;
    let page = through.rows_page(&[up("a", json!({"email": "a"}))]);
    let error = refused(through.store.commit(page).await, ErrorKind::Config, "key fields for a stream's own table")?;
    holds!(error.to_string().contains("people"), "the refusal does not name the table: {error}");
    same!(own.table().await?.len(), 1, "rows");
    Ok(())
}

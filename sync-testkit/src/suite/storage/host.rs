//! Tables of the host.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sync_core::{EntityType, ErrorKind, HostTable, Place, Severity, Target, store::EntityQuery};

use super::{
    Check, HOST_TABLE,
    check::{Looked, refused},
    scene::{Pull, Scene, mapped, plain, six, swept, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(host_rows_are_written, "Rows land in the host's table under its workspace; what the host changed is put right, field by field", needs HostTables),
    check!(host_rows_of_others_are_left_alone, "Rows of another workspace in the host's table are neither seen nor touched", needs HostTables),
    check!(a_row_the_host_refuses_fails_alone, "A row that the host's table refuses fails alone and names itself", needs HostTables),
    check!(host_rows_stay_unless_let_go, "Rows of the host whose record is gone stay, unless the host lets them go", needs HostTables),
    check!(host_tables_are_checked, "A table or column that is not there is refused by its name before anything is written", needs HostTables),
];

pub(super) fn partners() -> HostTable {
    HostTable::new(HOST_TABLE).key("email").workspace_column("tenant").version_column("changed")
}

pub(super) fn into(table: HostTable) -> Target {
    Target { entity: table.entity_type(), place: Place::Host(Arc::new(table)), ..plain("") }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

async fn pull(scene: &Scene, table: HostTable) -> Result<Pull, Finding> {
    scene.begin(&mapped("c1"), &into(table)).await
}

async fn host_rows_are_written(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    scene.database.write_host_row(&object(json!({"tenant": "acme", "email": "host", "name": "Hosted", "age": 40}))).await?;
    let run = pull(&scene, partners()).await?;
    let rows = [up("r1", json!({"email": "a", "name": "Ann", "age": 41})), up("r2", json!({"email": "host", "name": "Hosted"}))];
    same!(run.counts(&rows).await?, [1, 0, 1, 0, 0, 0], "a new row and one the host has");
    scene.database.write_host_row(&object(json!({"tenant": "acme", "email": "a", "name": "Wrong", "age": 42}))).await?;
    same!(run.counts(&[up("r1", json!({"email": "a", "name": "Ann"}))]).await?, [0, 1, 0, 0, 0, 0], "what the host changed");
    let stored: Vec<_> =
        scene.database.host_rows().await?.into_iter().map(|row| (row["email"].clone(), row["name"].clone(), row["age"].clone())).collect();
    same!(stored, [(json!("a"), json!("Ann"), json!(42)), (json!("host"), json!("Hosted"), json!(40))], "the table");
    same!(run.row("a").await?["name"], json!("Ann"), "what the storage reads back");
    same!(run.history("a").await?.iter().filter(|(field, ..)| field == "name").count(), 2, "entries of lineage of the name");
    Ok(())
}

async fn host_rows_of_others_are_left_alone(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    let foreign = object(json!({"tenant": "globex", "email": "a", "name": "Foreign"}));
    scene.database.write_host_row(&foreign).await?;
    let run = pull(&scene, partners()).await?;
    same!(run.counts(&[up("r1", json!({"email": "a", "name": "Ann"}))]).await?, [1, 0, 0, 0, 0, 0], "an equal key");
    same!((run.table().await?.len(), run.store.count_entities(&run.target.entity).await?), (1, 1), "rows this workspace sees");
    holds!(run.row("a").await?.get("tenant").is_none(), "the workspace's column is shown as a field");
    let names: Vec<_> = scene.database.host_rows().await?.into_iter().map(|row| (row["tenant"].clone(), row["name"].clone())).collect();
    same!(names, [(json!("acme"), json!("Ann")), (json!("globex"), json!("Foreign"))], "the table");
    let solo = HostTable::new(HOST_TABLE).key("email");
    let other = scene.globex().register_table(Arc::new(solo), &[]).await;
    refused(other, ErrorKind::Config, "a table that another workspace uses, without a workspace column")?;
    Ok(())
}

async fn a_row_the_host_refuses_fails_alone(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    let run = pull(&scene, partners()).await?;
    let rows =
        [up("r1", json!({"email": "a", "age": 3})), up("r2", json!({"email": "b", "age": -3})), up("r3", json!({"email": "c", "age": 4}))];
    let done = run.commit(&rows).await?;
    same!(six(&done.counts), [2, 0, 0, 0, 1, 0], "the counts");
    let named: Vec<_> = done.failures.iter().map(|failure| (failure.severity, failure.row, failure.record.as_deref())).collect();
    same!(named, [(Severity::Error, Some(3), Some("r2"))], "the failure");
    same!(run.history("b").await?, [], "lineage of the row that is not there");
    same!(run.counts(&[up("r1", json!({"email": "a", "age": -1}))]).await?, [0, 0, 0, 0, 1, 0], "an update that is refused");
    same!(run.row("a").await?["age"], json!(3), "the value that stays");
    Ok(())
}

async fn host_rows_stay_unless_let_go(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    for (table, left) in [(partners(), 2), (partners().delete_rows(), 0)] {
        let run = pull(&scene, table).await?;
        run.scan("", 1, &[up("r1", json!({"email": "a"})), up("r2", json!({"email": "b"}))]).await?;
        run.scan("", 2, &[]).await?;
        same!(run.sweep(&[("", 2)]).await?, swept(2, 2, 2), "the sweep");
        same!(scene.database.host_rows().await?.len(), left, "rows that are left");
        run.store.reset_cursors(&run.feed).await?;
        run.end().await?;
    }
    Ok(())
}

async fn host_tables_are_checked(scene: Scene) -> Looked {
    scene.database.make_host_table().await?;
    let acme = scene.acme();
    acme.connect(super::scene::connection("c1", "acc")).await?;
    let refusals: [(HostTable, &[&str], &str); 4] = [
        (HostTable::new("nowhere").key("id"), &[], "nowhere"),
        (partners(), &["name", "emial"], "emial"),
        (HostTable::new(HOST_TABLE).key("nokey"), &[], "nokey"),
        (partners(), &["tenant"], "tenant"),
    ];
    for (table, fields, named) in refusals {
        let fields: Vec<Box<str>> = fields.iter().map(|field| Box::from(*field)).collect();
        let error = refused(acme.register_table(Arc::new(table), &fields).await, ErrorKind::Config, named)?;
        holds!(error.to_string().contains(named), "the refusal does not name {named:?}: {error}");
    }
    let unknown = acme.entities(&EntityType::from(HOST_TABLE), EntityQuery::default()).await;
    refused(unknown, ErrorKind::NotFound, "a table that nobody registered")?;
    acme.register_table(Arc::new(partners()), &["name".into(), "age".into()]).await?;
    same!(acme.entities(&HOST_TABLE.into(), EntityQuery::default()).await?, [], "rows of a table that is registered");
    Ok(())
}

//! Reading rows.

use serde_json::json;
use sync_core::{EntityType, ErrorKind, store::EntityQuery};

use super::{
    Check,
    check::{Looked, refused},
    scene::{Pull, Row, Scene, at, feed, gone, mapped, people, plain, up},
};
use crate::suite::Finding;

pub(super) const CHECKS: &[Check] = &[
    check!(pages_of_rows_lose_none, "Reading page by page answers every row once, in key order, whatever the size of a page"),
    check!(rows_are_found_by_key_and_connection, "Rows are found by their key, and by the connection they came from"),
    check!(rows_tell_where_they_are_from, "A row of a stream's own table names its connection, and every row the time it was written"),
    check!(entity_types_are_those_with_rows, "Entity types are listed while they have rows, and counted"),
    check!(an_unknown_entity_type_is_named, "An entity type without rows is unknown, and the refusal names those there are"),
];

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("k{n:03}")).collect()
}

fn people_of(keys: &[String]) -> Vec<Row<'_>> {
    keys.iter().map(|key| up(key, json!({"email": key}))).collect()
}

/// All keys, read in pages.
async fn paged(run: &Pull, limit: u32) -> Result<Vec<String>, Finding> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = EntityQuery { after: after.clone(), limit, ..EntityQuery::default() };
        let page = run.store.entities(&run.target.entity, query).await?;
        let Some(last) = page.last() else { return Ok(all) };
        holds!(after.as_ref() < Some(&last.key), "a page that does not go on after {after:?}");
        after = Some(last.key.clone());
        all.extend(page.into_iter().map(|row| row.key.into_string()));
    }
}

async fn pages_of_rows_lose_none(scene: Scene) -> Looked {
    let keys = keys(120);
    let through = scene.begin(&mapped("c1"), &people()).await?;
    through.commit(&people_of(&keys)).await?;
    let (one, two) = (scene.begin(&feed("c1", "own"), &plain("x_own")).await?, scene.begin(&feed("c2", "own"), &plain("x_own")).await?);
    one.commit(&people_of(&keys)).await?;
    two.commit(&people_of(&keys[..60])).await?;
    let mut twice: Vec<String> = keys.iter().chain(&keys[..60]).cloned().collect();
    twice.sort();
    for limit in [1, 2, 7, 120, 1000] {
        same!(paged(&through, limit).await?, keys, "rows in pages of {limit}");
        same!(paged(&one, limit).await?, twice, "rows of two connections in pages of {limit}");
    }
    let first = through.store.entities(&"people".into(), EntityQuery::default()).await?;
    same!(first.len(), 100, "rows of a page when no limit is named");
    Ok(())
}

async fn rows_are_found_by_key_and_connection(scene: Scene) -> Looked {
    for connection in ["c1", "c2"] {
        let run = scene.begin(&feed(connection, "s"), &plain("x_s")).await?;
        run.commit(&[up("a", json!({"of": connection})), up("b", json!({"of": connection}))]).await?;
    }
    let acme = scene.acme();
    let found = async |key: Option<&str>, connection: Option<&str>| {
        let query = EntityQuery { key: key.map(Into::into), connection: connection.map(Into::into), ..EntityQuery::default() };
        let rows = acme.entities(&"x_s".into(), query).await?;
        Ok::<_, Finding>(rows.into_iter().map(|row| format!("{} of {}", row.key, row.fields["of"])).collect::<Vec<_>>())
    };
    same!(found(Some("a"), None).await?, ["a of \"c1\"", "a of \"c2\""], "a key");
    same!(found(None, Some("c2")).await?, ["a of \"c2\"", "b of \"c2\""], "a connection");
    same!(found(Some("b"), Some("c1")).await?, ["b of \"c1\""], "both");
    same!(found(Some("nope"), None).await?, [""; 0], "an unknown key");
    same!(found(None, Some("c9")).await?, [""; 0], "an unknown connection");
    Ok(())
}

async fn rows_tell_where_they_are_from(scene: Scene) -> Looked {
    let own = scene.begin(&feed("c1", "own"), &plain("x_own")).await?;
    let through = scene.begin(&mapped("c1"), &people()).await?;
    for (run, connection) in [(own, Some("c1".into())), (through, None)] {
        run.commit(&[up("a", json!({"email": "a"}))]).await?;
        let rows = super::scene::rows(&*run.store, run.target.entity.as_str()).await?;
        let told: Vec<_> = rows.into_iter().map(|row| (row.connection, row.last_synced_at)).collect();
        same!(told, [(connection, Some(at(1)))], "connection and time of a row");
    }
    Ok(())
}

async fn entity_types_are_those_with_rows(scene: Scene) -> Looked {
    let acme = scene.acme();
    same!(acme.entity_types().await?, [], "types at the beginning");
    let own = scene.begin(&feed("c1", "own"), &plain("x_own")).await?;
    let through = scene.begin(&mapped("c1"), &people()).await?;
    own.commit(&people_of(&keys(3))).await?;
    through.commit(&people_of(&keys(2))).await?;
    let mut types = acme.entity_types().await?;
    types.sort();
    same!(types, [EntityType::from("people"), EntityType::from("x_own")], "types with rows");
    same!((acme.count_entities(&"x_own".into()).await?, acme.count_entities(&"people".into()).await?), (3, 2), "rows");
    same!(acme.count_entities(&"nothing".into()).await?, 0, "rows of an unknown type");
    through.commit(&[gone("k000"), gone("k001")]).await?;
    same!(acme.entity_types().await?, [EntityType::from("x_own")], "types when the rows of one are gone");
    Ok(())
}

async fn an_unknown_entity_type_is_named(scene: Scene) -> Looked {
    let run = scene.begin(&feed("c1", "s"), &plain("x_s")).await?;
    run.commit(&[up("a", json!({"v": 1}))]).await?;
    let unknown = run.store.entities(&"nothing".into(), EntityQuery::default()).await;
    let error = refused(unknown, ErrorKind::NotFound, "an unknown entity type")?.to_string();
    holds!(error.contains("nothing") && error.contains("x_s"), "the refusal does not name the type and those there are: {error}");
    Ok(())
}

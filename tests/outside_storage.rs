//! A storage written outside of this workspace, with the public interface alone, under an engine: what is pulled into it, and what it
//! tells, is what SQLite has and tells. That it keeps every rule of a storage is shown by the conformance suite.

#[path = "outside_storage/mod.rs"]
mod outside_storage;
mod support;

use outside_storage::Memory;
use support::{
    World, clean,
    services::{connect_sheets, movies, movies_pull, rewrite, sheets},
};
use syncline::{
    EntityQuery, Pull, RunFilter, SqliteStorage, SyncResult,
    core::store::Storage,
    mapping::{Column, Mapping},
};

fn films(rows: &[[&str; 3]]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect()
}

/// A sheet read by two engines, the second after the first is gone: as it is, again, changed, and through a mapping.
async fn story<S: Storage>(world: &World, open: impl AsyncFn() -> S) -> Vec<String> {
    let first =
        [["Title", "Year", "Note"], ["Alien", "1979", ""], ["Brazil", "1985", "twice seen"], ["Ikiru", "1952", "x"], ["Ran", "1985", "x"]];
    let simulation = movies(world, &first.map(|row| row.to_vec()));
    let mut told = Vec::new();
    let mut tell = |result: &SyncResult| {
        clean(result);
        told.push(format!("{:?} {:?} {:?}", result.outcome, result.counts, result.failures));
    };
    let syncline = world.open_on(open().await, sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    for _ in 0..2 {
        tell(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    }
    drop((connection, syncline));

    let second = [
        ["Title", "Year", "Note"],
        ["Alien", "1979", "new"],
        ["Brazil", "1985", "twice seen"],
        ["Ran", "1986", "x"],
        ["Stalker", "1979", ""],
    ];
    rewrite(simulation.sim(), "Movies", 5, &films(&second));
    let syncline = world.open_on(open().await, sheets(&simulation)).await;
    let acme = syncline.workspace("acme");
    let id = acme.connections().await.expect("a list")[0].id.clone();
    let connection = acme.connection(id).await.expect("the connection of the first engine");
    tell(&connection.sync_from_external(movies_pull().confirm_deletes()).await.expect("it runs"));
    let mapping = Mapping::new("films", "Movies")
        .entity("films")
        .column(Column::new("Title").to("title").key())
        .column(Column::new("Year").to("year"));
    tell(&connection.sync_from_external(Pull::mapped(mapping)).await.expect("it runs"));

    for entity in acme.entity_types().await.expect("types") {
        told.push(format!("{entity}: {} rows", acme.count(entity.clone()).await.expect("a count")));
        for row in acme.entities(entity.clone(), EntityQuery::default()).await.expect("rows") {
            told.push(format!("{} {:?}", row.key, row.fields));
            let lines = acme.lineage(entity.clone(), &row.key, None).await.expect("lineage");
            let mut lines: Vec<String> = lines
                .iter()
                .map(|line| format!("{} {:?} {:?} {:?}", line.field_name, line.source_ref, line.previous_value, line.new_value))
                .collect();
            lines.sort();
            told.extend(lines);
        }
    }
    let runs = acme.runs(RunFilter::default()).await.expect("runs");
    told.extend(runs.iter().map(|run| format!("{:?} {:?} {:?}", run.status, run.outcome, run.counts)));
    told
}

#[tokio::test]
async fn an_engine_on_a_storage_from_outside_tells_what_it_tells_on_sqlite() {
    let (world, memory) = (World::new(), Memory::default());
    let outside = story(&world, async || memory.open()).await;
    let world = World::new();
    let sqlite = story(&world, async || SqliteStorage::open(world.path()).await.expect("the database opens")).await;
    assert!(outside.len() > 30, "{outside:#?}");
    assert_eq!(outside, sqlite);
}

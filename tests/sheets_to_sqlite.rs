//! A Google sheet pulled into SQLite: what lands where, what a second pull writes, and where each value came from.

mod support;

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use support::{
    World, clean,
    services::{connect_sheets, movies, movies_pull, rewrite, sheets},
    start,
};
use syncline::{
    EntityQuery, Outcome, Pull, RunFilter, Severity, SyncResult, Workspace,
    core::Counts,
    mapping::{Column, Computed, Contract, Mapping, OnError},
};

const TABLE: &str = "sheets_movies";

fn films() -> Vec<Vec<&'static str>> {
    vec![
        vec!["Title", "Release Date", "US Gross", "Rating", "", "Note"],
        vec!["Brazil", "Dec 18 1985", "9929135", "7.9", "x"],
        vec!["Alien", "May 25 1979", "78944891", "8.5"],
        vec![],
        vec!["", "Jan 01 1999", "12"],
        vec!["007", "", "N/A", "0.10", "", "second title"],
        vec!["Alien", "Jul 18 1986", "85160248", "8.4"],
        vec!["Ikiru", "Oct 09 1952", "", ""],
    ]
}

/// Rows with `n` titles, each with two more columns.
fn many(n: usize) -> Vec<Vec<String>> {
    let row = |n: usize| vec![format!("Film {n:04}"), format!("{}", 1900 + n % 120), format!("director {n}")];
    let mut rows = vec![vec!["Title".to_owned(), "Year".to_owned(), "Director".to_owned()]];
    rows.extend((0..n).map(row));
    rows
}

fn borrowed(rows: &[Vec<String>]) -> Vec<Vec<&str>> {
    rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect()
}

async fn fields(workspace: &Workspace, entity: &str) -> BTreeMap<String, serde_json::Map<String, serde_json::Value>> {
    let query = EntityQuery { limit: 10_000, ..EntityQuery::default() };
    let rows = workspace.entities(entity, query).await.expect("rows");
    rows.into_iter().map(|row| (row.key.to_string(), row.fields)).collect()
}

fn told(result: &SyncResult, severity: Severity) -> Vec<String> {
    result.failures.iter().filter(|failure| failure.severity == severity).map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_readable_row_of_a_tab_lands_once_and_the_others_are_named() {
    let world = World::new();
    let simulation = movies(&world, &films());
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 6, created: 4, skipped: 2, ..Counts::default() }, "{:?}", result.failures);
    assert_eq!(result.outcome, Outcome::Ok, "left out on purpose is no failure");
    let warnings = told(&result, Severity::Warning);
    assert!(warnings.iter().any(|text| text.starts_with("Row 5, Column A (Title): ") && text.contains("key column")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.starts_with("Row 7") && text.contains("twice")), "{warnings:?}");

    let acme = syncline.workspace("acme");
    assert_eq!(acme.count(TABLE).await.expect("a count"), 4);
    let rows = fields(&acme, TABLE).await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["007", "Alien", "Brazil", "Ikiru"]);
    assert_eq!(rows["Alien"]["US Gross"], json!(78_944_891), "the first of two counts");
    assert_eq!(rows["007"]["Title"], json!("007"), "leading zeros are text");
    assert_eq!(rows["007"]["US Gross"], json!("N/A"), "a text among numbers stays what it is");
    assert_eq!(rows["Brazil"]["Column E"], json!("x"), "a column without a header is named by its place");
    assert_eq!(rows["007"]["Note"], json!("second title"));
    assert!(rows["Ikiru"].get("US Gross").is_none_or(serde_json::Value::is_null), "a blank cell is null");
    let columns = world.ask_all("SELECT name FROM pragma_table_info('sheets_movies')");
    for column in ["title", "release_date", "us_gross", "rating", "column_e", "note"] {
        assert!(columns.iter().any(|name| name == column), "{column} is a column: {columns:?}");
    }
    assert_eq!(world.ask("SELECT typeof(us_gross) FROM sheets_movies WHERE entity_id = 'Alien'"), "integer");
}

#[tokio::test]
async fn every_value_can_be_traced_to_its_column() {
    let world = World::new();
    let simulation = movies(&world, &films()[..3]);
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    let pull = movies_pull().triggered_by("ada");
    let result = connection.sync_from_external(pull.clone()).await.expect("it runs");
    let run = result.run.expect("a run");
    let acme = syncline.workspace("acme");
    let born = acme.lineage(TABLE, "Brazil", Some("Release Date")).await.expect("lineage");
    assert_eq!(born.len(), 1, "{born:?}");
    assert_eq!((born[0].source_ref.as_deref(), &*born[0].source_type), (Some("Movies → Column B"), "google_sheet"));
    assert_eq!((born[0].previous_value.clone(), born[0].new_value.clone()), (None, Some(json!("Dec 18 1985"))));
    assert_eq!((born[0].sync_run_id, &*born[0].changed_by), (run, "ada"));
    assert!(born[0].source_id.contains("1AbCdEfG"), "{}", born[0].source_id);

    simulation.sim().set_cell("Movies", 2, 2, "Feb 20 1985");
    world.clock.advance(Duration::from_secs(3600));
    let result = connection.sync_from_external(pull).await.expect("it runs");
    assert_eq!((result.counts.updated, result.counts.unchanged), (1, 1));
    let history = acme.lineage(TABLE, "Brazil", Some("Release Date")).await.expect("lineage");
    assert_eq!(history.len(), 2, "{history:?}");
    assert_eq!(
        (history[1].previous_value.clone(), history[1].new_value.clone(), history[1].source_ref.as_deref()),
        (Some(json!("Dec 18 1985")), Some(json!("Feb 20 1985")), Some("Movies → Column B"))
    );
    assert_eq!(Some(history[1].sync_run_id), result.run);
    assert_eq!(history[0].new_value, Some(json!("Dec 18 1985")), "the birth keeps its first value");
    let all = acme.lineage(TABLE, "Brazil", None).await.expect("lineage");
    assert_eq!(all.iter().filter(|line| Some(line.sync_run_id) == result.run).count(), 1, "only the field that changed");
    // The same through the view that people and their tools read.
    let view = "SELECT source_ref || '|' || previous_value || '|' || new_value FROM syncline_field_lineage \
                WHERE entity_type = 'sheets_movies' AND entity_id = 'Brazil' AND previous_value IS NOT NULL";
    assert_eq!(world.ask_all(view), [r#"Movies → Column B|"Dec 18 1985"|"Feb 20 1985""#]);
}

#[tokio::test]
async fn an_equal_sheet_read_again_writes_nothing() {
    let world = World::new();
    let simulation = movies(&world, &films()[..3]);
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    let (before, written) = (world.dump(), world.ask_all("SELECT last_synced_at FROM sheets_movies"));
    world.clock.advance(Duration::from_secs(3600));
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 2, unchanged: 2, ..Counts::default() });
    world.dump().assert_same(&before, "nothing changed");
    assert_eq!(world.ask_all("SELECT last_synced_at FROM sheets_movies"), written, "the time of the commit that last wrote the row");
    assert_eq!(connection.last_sync_at().await.expect("a time"), Some(result.completed_at));
    assert!(result.started_at >= start() + Duration::from_secs(3600));
}

#[tokio::test]
async fn rows_inserted_above_and_edits_below_are_found_by_their_content() {
    let world = World::new();
    let old = many(30);
    let simulation = movies(&world, &borrowed(&old));
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    let mut rows = old.clone();
    rows.insert(1, vec!["New one".into(), "2020".into(), "somebody".into()]);
    rows.insert(15, vec!["New two".into(), "2021".into(), "nobody".into()]);
    let last = rows.len() - 1;
    rows[last][2] = "another director".into();
    rows.swap(4, 9);
    rewrite(simulation.sim(), "Movies", old.len(), &rows);
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 32, created: 2, updated: 1, unchanged: 29, ..Counts::default() });
    // Fewer rows than before, and yet one of them new: a count of rows would have seen nothing.
    let mut rows: Vec<Vec<String>> = rows.into_iter().enumerate().filter(|(n, _)| ![5, 6, 7].contains(n)).map(|(_, row)| row).collect();
    rows.push(vec!["New three".into(), "2022".into(), "her".into()]);
    rewrite(simulation.sim(), "Movies", 33, &rows);
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 30, created: 1, unchanged: 29, swept: 3, ..Counts::default() });
    assert_eq!(syncline.workspace("acme").count(TABLE).await.expect("a count"), 30);
}

#[tokio::test]
async fn one_percent_changed_writes_exactly_those_rows() {
    let world = World::new();
    let rows = many(1_000);
    let simulation = movies(&world, &borrowed(&rows));
    let syncline = world.open(sheets(&simulation)).await;
    let settings = json!({ "spreadsheet_id": support::services::SPREADSHEET, "rows_per_page": 90 });
    let connection = connect_sheets(&syncline).await;
    connection.save_settings(settings).await.expect("taken");
    let first = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(first.counts, Counts { read: 1_000, created: 1_000, ..Counts::default() });
    for n in 0..10 {
        simulation.sim().set_cell("Movies", 2 + n * 97, 3, format!("new director {n}").as_str());
    }
    world.clock.advance(Duration::from_secs(3600));
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 1_000, updated: 10, unchanged: 990, ..Counts::default() });
    let written = format!("SELECT entity_id FROM sheets_movies WHERE last_synced_at >= '{}' ORDER BY 1", result.started_at.format("%FT%T"));
    let expected: Vec<String> = (0..10).map(|n| format!("Film {:04}", n * 97)).collect();
    assert_eq!(world.ask_all(&written), expected);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_lineage_entries"), "10");
    assert!(simulation.calls().iter().all(|call| call.status == Some(200)), "the service's quota was kept");
}

#[tokio::test]
async fn rows_that_go_from_the_sheet_go_from_the_table() {
    let world = World::new();
    let rows = many(20);
    let simulation = movies(&world, &borrowed(&rows));
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    clean(&connection.sync_from_external(movies_pull()).await.expect("it runs"));
    simulation.sim().delete_row("Movies", 4);
    simulation.sim().delete_row("Movies", 9);
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!(result.counts, Counts { read: 18, unchanged: 18, swept: 2, ..Counts::default() });
    let history = syncline.workspace("acme").lineage(TABLE, "Film 0002", Some("Director")).await.expect("lineage");
    let gone = history.last().expect("a line");
    assert_eq!((gone.previous_value.clone(), gone.new_value.clone()), (Some(json!("director 2")), None));
    // A tab blanked by accident stops before it deletes.
    rewrite(simulation.sim(), "Movies", 19, &rows[..2]);
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    assert_eq!((result.outcome, result.counts.swept), (Outcome::Partial, 0));
    assert_eq!(syncline.workspace("acme").count(TABLE).await.expect("a count"), 18);
}

#[tokio::test]
async fn a_tab_becomes_an_entity_type_by_a_small_mapping() {
    let world = World::new();
    let simulation = movies(&world, &films());
    simulation.sim().set_cell("Movies", 8, 2, "soon");
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    let mapping = Mapping::new("films", "Movies")
        .entity("film")
        .column(Column::new("Title").to("title").key().then("trim"))
        .column(Column::new("Release Date").to("released_on").then_with("date", json!({ "format": "%b %d %Y" })))
        .column(Column::new("US Gross").to("gross").then("number").on_error(OnError::DropValue));
    let result = connection.sync_from_external(Pull::mapped(mapping.clone())).await.expect("it runs");
    assert_eq!(result.outcome, Outcome::Partial);
    assert_eq!(result.counts, Counts { read: 6, created: 3, skipped: 2, failed: 1, ..Counts::default() }, "{:?}", result.failures);
    let errors = told(&result, Severity::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("Row 8, Column B (Release Date): ") && errors[0].contains("soon"), "{errors:?}");
    let warnings = told(&result, Severity::Warning);
    assert!(warnings.iter().any(|text| text.starts_with("Row 6, Column C (US Gross): ") && text.contains("N/A")), "{warnings:?}");
    let acme = syncline.workspace("acme");
    let rows = fields(&acme, "film").await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["007", "Alien", "Brazil"]);
    assert_eq!(rows["Brazil"]["released_on"], json!("1985-12-18"));
    assert_eq!(rows["Alien"]["gross"], json!(78_944_891));
    let origin = acme.lineage("film", "Brazil", Some("released_on")).await.expect("lineage");
    assert_eq!(origin[0].source_ref.as_deref(), Some("Movies → Column B"));
    // The bad row is repaired at its source, and nothing else is written.
    simulation.sim().set_cell("Movies", 8, 2, "Oct 09 1952");
    let result = connection.sync_from_external(Pull::mapped(mapping)).await.expect("it runs");
    assert_eq!((result.counts.created, result.counts.updated, result.counts.unchanged, result.outcome), (1, 0, 3, Outcome::Ok));
}

#[tokio::test]
async fn a_row_that_turns_bad_keeps_what_was_stored() {
    // So many that one row less is no mass deletion, which would be refused whatever the row is.
    let rows = many(20);
    for (values, failed, skipped) in [(OnError::FailRow, 1, 0), (OnError::DropRow, 0, 1)] {
        let world = World::new();
        let simulation = movies(&world, &borrowed(&rows));
        let syncline = world.open(sheets(&simulation)).await;
        let connection = connect_sheets(&syncline).await;
        let mapping = Mapping::new("films", "Movies")
            .entity("film")
            .contract(Contract::default().values(values))
            .column(Column::new("Title").to("title").key())
            .column(Column::new("Year").to("year").then("number"));
        clean(&connection.sync_from_external(Pull::mapped(mapping.clone())).await.expect("it runs"));
        simulation.sim().set_cell("Movies", 2, 2, "not a year");
        let counts = connection.sync_from_external(Pull::mapped(mapping)).await.expect("it runs").counts;
        assert_eq!((counts.failed, counts.skipped, counts.swept), (failed, skipped, 0), "a bad row never deletes a good one");
        let stored = fields(&syncline.workspace("acme"), "film").await;
        assert_eq!((stored.len(), &stored["Film 0000"]["year"]), (20, &json!(1900)));
    }
}

#[tokio::test]
async fn computed_fields_land_and_tell_the_mapping_they_came_from() {
    let world = World::new();
    let simulation = movies(&world, &films()[..3]);
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    let mapping = Mapping::new("films", "Movies")
        .entity("film")
        .column(Column::new("Title").to("title").key())
        .column(Column::new("US Gross").to("gross_micros").then("currency"))
        .computed(Computed::new("share_micros", "round(gross_micros * 0.15)"))
        .computed(Computed::new("hit", "gross_micros > micros(50000000)"));
    clean(&connection.sync_from_external(Pull::mapped(mapping.clone())).await.expect("it runs"));
    let acme = syncline.workspace("acme");
    let rows = fields(&acme, "film").await;
    assert_eq!((&rows["Brazil"]["share_micros"], &rows["Brazil"]["hit"]), (&json!(1_489_370_250_000_i64), &json!(false)));
    assert_eq!(rows["Alien"]["hit"], json!(true));
    simulation.sim().set_cell("Movies", 2, 3, "10000000");
    clean(&connection.sync_from_external(Pull::mapped(mapping)).await.expect("it runs"));
    let history = acme.lineage("film", "Brazil", Some("share_micros")).await.expect("lineage");
    let last = history.last().expect("a line");
    assert_eq!(
        (last.previous_value.clone(), last.new_value.clone()),
        (Some(json!(1_489_370_250_000_i64)), Some(json!(1_500_000_000_000_i64)))
    );
    assert_eq!(last.source_ref.as_deref(), Some("Movies → computed by mapping films"));
}

#[tokio::test]
async fn what_the_caller_gets_is_what_the_database_says() {
    let world = World::new();
    let simulation = movies(&world, &films());
    let syncline = world.open(sheets(&simulation)).await;
    let connection = connect_sheets(&syncline).await;
    let result = connection.sync_from_external(movies_pull()).await.expect("it runs");
    let acme = syncline.workspace("acme");
    let run = acme.run(result.run.expect("a run")).await.expect("the run");
    assert_eq!((run.counts, run.outcome), (result.counts, Some(result.outcome)));
    assert_eq!((run.started_at, run.completed_at), (result.started_at, Some(result.completed_at)));
    assert_eq!(acme.failures(run.id, 100).await.expect("failures"), result.failures);
    let body = result.to_json();
    assert_eq!(body["stats"]["rows_processed"], json!(6));
    assert_eq!((&body["records_created"], &body["records_synced"], &body["records_skipped"]), (&json!(4), &json!(4), &json!(2)));
    assert_eq!(body["sync_run_id"], json!(run.id.0));
    // The log of runs as a table, with the asked columns.
    let log = "SELECT direction || ' ' || records_created || ' ' || records_failed FROM syncline_integration_sync_logs";
    assert_eq!(world.ask_all(log), ["from_external 4 0"]);
    assert_eq!(acme.runs(RunFilter::default()).await.expect("runs").len(), 1);
}

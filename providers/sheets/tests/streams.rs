//! What a spreadsheet offers.

mod support;

use serde_json::json;
use support::Bench;
use sync_core::{Duplicates, IntegrationSync, Stream, StreamMode};

async fn streams(bench: &Bench, settings: serde_json::Value) -> Vec<Stream> {
    bench.sheets.streams(&bench.context(settings)).await.expect("readable")
}

#[tokio::test]
async fn every_tab_with_cells_is_a_stream_and_nothing_else() {
    let bench = Bench::with(&[&["id", "", "name"], &["a", "b", "c"]]);
    bench.sim().add_chart("Chart");
    bench.sim().add_data_source("Query");
    bench.sim().load::<[&str; 0], &str>("Empty", &[]);
    bench.sim().load("Jon's", &[["k"]]);
    let streams = streams(&bench, json!({"keys": {"Jon's": ["k"]}})).await;
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["T", "Empty", "Jon's"]);
    let fields: Vec<(&str, &str)> = streams[0]
        .fields
        .iter()
        .flat_map(|fields| fields.iter())
        .map(|field| (&*field.name, field.label.as_deref().expect("labelled")))
        .collect();
    assert_eq!(fields, [("id", "Column A"), ("Column B", "Column B"), ("name", "Column C")]);
    assert!(streams.iter().all(|stream| stream.mode == StreamMode::Full && stream.duplicates == Duplicates::FirstWins));
    assert_eq!(streams.iter().map(|stream| stream.needs_key).collect::<Vec<_>>(), [true, true, false]);
    assert!(streams[1].fields.is_none() && streams[1].fingerprint.is_none());
    assert_eq!(bench.simulation.calls().len(), 2, "the tabs, then all their headers at once");
}

#[tokio::test]
async fn a_fingerprint_changes_with_the_header_alone() {
    let bench = Bench::with(&[&["id", "n"], &["a", "1"]]);
    let print = async || streams(&bench, json!({})).await[0].fingerprint.clone().expect("has a header");
    let before = print().await;
    bench.sim().set_cell("T", 2, 2, 7.0);
    bench.sim().append_row("T", ["z".into()]);
    assert_eq!(print().await, before);
    bench.sim().rename_header("T", "n", "count");
    assert_ne!(print().await, before);
}

#[tokio::test]
async fn many_long_titles_are_asked_for_in_several_calls() {
    let bench = Bench::new();
    for n in 0..120 {
        bench.sim().load(&format!("Ein Blatt mit einem langen Namen, Nummer {n}"), &[[format!("column of {n}")]]);
    }
    let streams = streams(&bench, json!({})).await;
    assert_eq!(streams.len(), 120);
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(&*stream.fields.as_ref().expect("a header")[0].name, format!("column of {n}"), "each header at its own tab");
    }
    assert!(bench.simulation.count("sheets.values.batchGet") > 1);
    assert!(bench.simulation.calls().iter().all(|call| call.path_and_query.len() < 5_000));
}

#[tokio::test]
async fn tabs_that_end_above_the_header_row_have_no_fields() {
    let bench = Bench::with(&[&["title"], &["id"], &["a"]]);
    bench.sim().load("Short", &[["x"]]);
    bench.sim().resize("Short", 1, 1);
    bench.sim().load("Long", &[["title"], ["k"]]);
    let streams = streams(&bench, json!({"header_row": 2})).await;
    let first = |n: usize| streams[n].fields.as_ref().map(|fields| fields[0].name.to_string());
    assert_eq!((first(0), first(1), first(2)), (Some("id".into()), None, Some("k".into())));
}

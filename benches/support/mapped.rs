//! A mapping of twenty columns over the made-up members, most of them with transforms, and what it costs by itself.

use serde_json::json;
use syncline::{
    core::mapping::Transforms,
    mapping::{Column, Mapping},
};

use super::{
    limit,
    measure::{Sample, Stopwatch},
    pipeline,
};

/// The twenty columns.
pub(crate) fn mapping() -> Mapping {
    let columns = [
        Column::new("id").key().then("lower"),
        Column::new("email_address").to("email").then_with("email", json!({ "local": "lower" })),
        Column::new("full_name").to("name").then("collapse").then("trim"),
        Column::new("web_id").to("number").then("number"),
        Column::new("email_type").to("format").then_with("map", json!({ "table": { "html": "rich", "text": "plain" } })),
        Column::new("status").then_with("map", json!({ "table": { "subscribed": "in", "unsubscribed": "out" } })),
        Column::new("consents_to_one_to_one_messaging").to("consents").then("boolean"),
        Column::new("ip_signup").to("signed_up_from").then("trim"),
        Column::new("timestamp_signup").to("signed_up_at").then_with("date", json!({ "to": "timestamp" })),
        Column::new("ip_opt").to("confirmed_from").then("trim"),
        Column::new("timestamp_opt").to("confirmed_at").then_with("date", json!({ "to": "timestamp" })),
        Column::new("member_rating").to("rating").then("number"),
        Column::new("last_changed").to("changed_on").then_with("date", json!({ "to": "date" })),
        Column::new("language").then("upper"),
        Column::new("vip").then("boolean"),
        Column::new("email_client").to("client").then_with("default", json!("unknown")),
        Column::new("source").to("origin").then_with("regex", json!({ "pattern": "^(\\w+)" })),
        Column::new("tags_count").to("tags").then("number"),
        Column::new("unique_email_id").to("pseudonym").then_with("hash", json!({ "salt": "bench" })),
        Column::new("stats"),
    ];
    columns.into_iter().fold(Mapping::new("members", "members").entity("member"), Mapping::column)
}

/// The mode `apply`: reads all members from `api` into memory, then measures the mapping alone, page by page on one thread.
pub(crate) fn apply(api: &str) -> Sample {
    let compiled = mapping().compile(&Transforms::default()).expect("the mapping has no problem");
    let pages: Vec<_> = limit::fetch(api).map(|body| pipeline::records(&body)).collect();
    let watch = Stopwatch::start();
    let (mut read, mut made) = (0, 0);
    for page in &pages {
        let mapped = compiled.apply(page, &[]);
        read += page.len() as u64;
        made += mapped.batch.len() as u64;
        assert!(mapped.failures.is_empty(), "{:?}", mapped.failures[0]);
    }
    watch.stop(read, || made)
}

//! The view `field_lineage` says what the store says.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::Row as _;
use sync_core::{
    EntityType, HostTable, json_value,
    mapping::Rule,
    store::{LineageEntry, Log, PageCommit, Storage as _},
};

use crate::push_support::{Site, at, batch, begin, feed, gone, host, managed, mapped_feed, part, target, up};

/// The columns documented for the view.
const COLUMNS: &[&str] = &[
    "id",
    "entity_type",
    "entity_id",
    "field_name",
    "source_type",
    "source_id",
    "source_ref",
    "previous_value",
    "new_value",
    "sync_run_id",
    "changed_by",
    "changed_at",
    "workspace_id",
    "rule",
];

fn line(seq: i64, field: &str, source: (&str, &str, Option<&str>), values: (&Option<Value>, &Option<Value>), run: i64, by: &str) -> String {
    format!("{seq} {field} {source:?} {values:?} {run} {by}")
}

fn told(history: &[LineageEntry]) -> Vec<String> {
    let mut lines: Vec<String> = history
        .iter()
        .map(|e| {
            let source = (&*e.source_type, &*e.source_id, e.source_ref.as_deref());
            let line = line(e.seq, &e.field_name, source, (&e.previous_value, &e.new_value), e.sync_run_id.0, &e.changed_by);
            format!("{line} {} {:?}", e.changed_at, e.rule.map(Rule::as_str))
        })
        .collect();
    lines.sort();
    lines
}

/// What the view says about an entity to a session of the app role.
async fn shown(site: &Site, workspace: &str, entity: &EntityType, key: &str) -> Vec<String> {
    let mut reader = site.database.connection().await;
    sqlx::raw_sql("SET ROLE syncline_app; SET search_path = syncline").execute(&mut reader).await.expect("a reader's role");
    sqlx::query("SELECT set_config('app.workspace_id', $1, false)").bind(workspace).execute(&mut reader).await.expect("a workspace");
    let rows = sqlx::query(
        "SELECT id, field_name, source_type, source_id, source_ref, previous_value::text, new_value::text, sync_run_id, changed_by, changed_at, \
         workspace_id, rule FROM field_lineage WHERE entity_type = $1 AND entity_id = $2",
    )
    .bind(entity.as_str())
    .bind(key)
    .fetch_all(&mut reader)
    .await
    .expect("rows of the view");
    let json = |text: Option<String>| text.map(|text| json_value(&text));
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            assert_eq!(row.get::<&str, _>(10), workspace);
            let (old, new) = (json(row.get(5)), json(row.get(6)));
            let line = line(row.get(0), row.get(1), (row.get(2), row.get(3), row.get(4)), (&old, &new), row.get(7), row.get(8));
            format!("{line} {} {:?}", row.get::<chrono::DateTime<chrono::Utc>, _>(9), row.get::<Option<&str>, _>(11))
        })
        .collect();
    lines.sort();
    lines
}

async fn assert_equal(site: &Site, workspace: &str, entity: &EntityType, key: &str) -> usize {
    let history = site.storage.workspace(&workspace.into()).lineage(entity, key, None).await.expect("lineage");
    assert_eq!(shown(site, workspace, entity, key).await, told(&history), "{workspace} {entity} {key}");
    history.len()
}

#[tokio::test]
async fn the_view_is_there_before_the_first_table_and_has_its_columns() {
    let site = Site::new().await;
    let columns = site
        .column("SELECT attname::text FROM pg_attribute WHERE attrelid = 'syncline.field_lineage'::regclass AND attnum > 0 ORDER BY attnum")
        .await;
    assert_eq!(columns, COLUMNS);
    let options = site.column("SELECT array_to_string(reloptions, ',') FROM pg_class WHERE oid = 'syncline.field_lineage'::regclass").await;
    assert_eq!(options, ["security_invoker=true"]);
    assert!(site.column("SELECT id::text FROM syncline.field_lineage").await.is_empty());
}

#[tokio::test]
async fn the_view_shows_a_workspace_its_own_history_alone() {
    let site = Site::new().await;
    for (workspace, n) in [("acme", 1), ("globex", 2)] {
        let run = begin(&site.storage, workspace, &feed("c1", "s"), &target("x_s")).await;
        for n in [n, n + 10] {
            run.commit(&[up("a", json!({"n": n}))]).await;
        }
        assert_eq!(assert_equal(&site, workspace, &"x_s".into(), "a").await, 2);
    }
    assert!(shown(&site, "nobody", &"x_s".into(), "a").await.is_empty());
    assert!(shown(&site, "", &"x_s".into(), "a").await.is_empty());
}

#[tokio::test]
async fn the_view_tells_values_of_every_kind_as_the_store_does() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let odd = json!({
        "text": "quote \" back \\ line \n 名前 '", "int": -5, "float": 0.1, "third": 0.333_333_333_333_333_3, "flag": true,
        "list": [1, {"a": null}], "u64": u64::MAX, "date": "2026-01-01", "weird \" ' field": "x", "empty": "",
    });
    let other = json!({"text": 5, "int": "7", "float": "0.5", "flag": 1, "list": "text", "date": {"y": 2026}, "u64": true, "empty": [0]});
    run.commit(&[up("a", odd), up("b", other)]).await;
    run.commit(&[up("a", json!({"text": 1.5, "flag": "no", "int": [], "list": null}))]).await;
    run.commit(&[gone("b")]).await;
    for (key, entries) in [("a", 14), ("b", 16)] {
        assert_eq!(assert_equal(&site, "acme", &"x_s".into(), key).await, entries, "{key}");
    }
}

#[tokio::test]
async fn mapped_rows_and_rows_of_the_host_are_in_the_view_too() {
    let site = Site::new().await;
    site.execute("CREATE TABLE partners (email text PRIMARY KEY, name text, tenant text)").await;
    let table = HostTable::new("partners").key("email").workspace_column("tenant").delete_rows();
    for target in [managed("people", &["email"]), host(table)] {
        let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
        run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await;
        run.commit(&[up("r1", json!({"email": "a@x", "name": "Anna"}))]).await;
        run.commit(&[gone("r1")]).await;
        assert_eq!(assert_equal(&site, "acme", &target.entity, "a@x").await, 5);
        run.end().await;
    }
}

/// What one commit of a random world does.
#[derive(Clone, Debug)]
enum Step {
    /// A row of a connection (0 and 1: the stream's table; 2: one fed through a mapping) gets these fields.
    Write(usize, usize, Vec<(usize, Option<i64>)>),
    Delete(usize, usize),
    /// Lines from before this minute go.
    Prune(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let fields = proptest::collection::vec((0..4usize, proptest::option::weighted(0.8, 0..3i64)), 1..4);
    prop_oneof![
        8 => (0..3usize, 0..2usize, fields).prop_map(|(whose, key, fields)| Step::Write(whose, key, fields)),
        3 => (0..3usize, 0..2usize).prop_map(|(whose, key)| Step::Delete(whose, key)),
        1 => (0..30i64).prop_map(Step::Prune),
    ]
}

async fn play(steps: Vec<Step>) {
    let site = Site::new().await;
    let mut runs = Vec::new();
    for (feed, target) in
        [(feed("c1", "s"), target("x_s")), (feed("c2", "s"), target("x_s")), (mapped_feed("c1", "t", "m"), managed("people", &["email"]))]
    {
        runs.push(begin(&site.storage, "acme", &feed, &target).await);
    }
    let keys = ["one", "two"];
    for (minute, step) in steps.iter().enumerate() {
        let at = at(u32::try_from(minute).expect("few steps"));
        match step {
            Step::Write(whose, key, fields) => {
                let mut values = serde_json::Map::new();
                values.insert("email".into(), keys[*key].into());
                for (field, value) in fields {
                    // A field of numbers gets a text now and then, which is kept elsewhere.
                    let value = value.map(|value| if value == 2 && *field == 0 { json!("two") } else { json!(value) });
                    values.insert(format!("f{field}"), value.unwrap_or_default());
                }
                let run = &runs[*whose];
                let page = PageCommit { at, ..run.page(vec![part("", batch(&[up(keys[*key], Value::Object(values))]))]) };
                run.store.commit(page).await.expect("it commits");
            }
            Step::Delete(whose, key) => {
                let run = &runs[*whose];
                let page = PageCommit { at, ..run.page(vec![part("", batch(&[gone(keys[*key])]))]) };
                run.store.commit(page).await.expect("it commits");
            }
            Step::Prune(before) => {
                // Lines of runs that are under way stay.
                for run in &mut runs {
                    run.end().await;
                }
                let before = crate::push_support::at(u32::try_from(*before).expect("a minute"));
                site.storage.fleet().prune(Log::Lineage, before, 1000).await.expect("it prunes");
                for run in &mut runs {
                    *run = begin(&site.storage, "acme", &run.feed.clone(), &Arc::clone(&run.target)).await;
                }
            }
        }
    }
    for entity in ["x_s", "people"] {
        for key in keys {
            assert_equal(&site, "acme", &entity.into(), key).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 60, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn of_any_world_the_view_says_what_the_store_says(steps in proptest::collection::vec(step(), 1..24)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(play(steps));
    }
}

//! Tables fed through mappings: authority, priority, and tables of the host.

use serde_json::json;
use storage_sqlite::SqliteStorage;
use sync_core::{
    ErrorKind, FieldRule, HostTable, Target,
    mapping::Authority,
    store::{EntityQuery, Storage as _},
};

use crate::support::*;

fn ranked(priority: i32) -> FieldRule {
    FieldRule { priority, ..FieldRule::default() }
}

#[tokio::test]
async fn two_sources_fill_one_row_each_its_own_fields() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let people = managed("people", &["email"]);
    let one = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &people).await;
    let two = begin(&storage, "acme", &mapped_feed("c2", "s", "m"), &people).await;
    assert_eq!(counts(&one.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&two.commit(&[up("q9", json!({"email": "a@x", "phone": "5"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(counts(&two.commit(&[up("q9", json!({"email": "a@x", "phone": "5"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(one.table().await["a@x"], json!({"email": "a@x", "name": "Ann", "phone": "5"}));
    assert_eq!(one.rows().await[0].connection, None);
}

#[tokio::test]
async fn reference_and_derived_fields_are_never_written() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let people = managed("people", &["email"]);
    let truth = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &people).await;
    truth.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "score": 1}))]).await;
    let rule = |authority| FieldRule { authority, priority: 0 };
    let rules = rules(&[("email", rule(Authority::Reference)), ("name", rule(Authority::Reference)), ("score", rule(Authority::Derived))]);
    let beside = begin(&storage, "acme", &mapped_feed("c2", "s", "m"), &Target { rules, ..people }).await;
    let rows = [up("q1", json!({"email": "a@x", "name": "Other", "score": 9})), up("q2", json!({"email": "new@x", "name": "New"}))];
    let done = beside.commit(&rows).await;
    assert_eq!(counts(&done.counts), [0, 0, 1, 1, 0, 0]);
    assert_eq!(truth.table().await.len(), 1, "a source of references makes no rows");
    assert_eq!(truth.table().await["a@x"], json!({"email": "a@x", "name": "Ann", "score": 1}));
}

#[tokio::test]
async fn the_source_of_higher_priority_wins_in_whatever_order_they_arrive() {
    let sources = [(0, "low"), (5, "middle"), (9, "high")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let folder = Folder::new();
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        for round in 0..2 {
            for at in order {
                let (priority, name) = sources[at];
                let rules = rules(&[("name", ranked(priority))]);
                let feed = mapped_feed(name, "s", "m");
                let run = begin(&storage, "acme", &feed, &Target { rules, ..managed("people", &["email"]) }).await;
                run.commit(&[up("r", json!({"email": "a@x", "name": format!("{name} {round}")}))]).await;
                run.end().await;
            }
        }
        let run = begin(&storage, "acme", &mapped_feed("x", "s", "m"), &managed("people", &["email"])).await;
        assert_eq!(run.table().await["a@x"]["name"], json!("high 1"), "order {order:?}");
    }
}

#[tokio::test]
async fn a_record_without_its_key_is_left_out_with_the_reason() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &managed("people", &["email", "list"])).await;
    let rows = [
        up("r1", json!({"email": "a/b", "list": 7})),
        up("r2", json!({"email": "", "list": 7})),
        up("r3", json!({"email": "c", "list": null})),
        up("r4", json!({"list": 7})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 3, 0, 0]);
    let columns: Vec<_> = done.failures.iter().map(|f| f.column.as_deref().expect("a column")).collect();
    assert_eq!(columns, ["email", "list", "email"]);
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), [r"a\/b/7"]);
}

const PARTNERS: &str = "CREATE TABLE partners (
    tenant TEXT NOT NULL, email TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL DEFAULT 'unnamed', age INTEGER CHECK (age >= 0), phone TEXT,
    vip BOOLEAN, tags JSON, code TEXT UNIQUE, changed INTEGER DEFAULT 0, shout TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL,
    PRIMARY KEY (tenant, email))";

fn partners() -> HostTable {
    HostTable::new("partners").key("email").workspace_column("tenant").version_column("changed")
}

#[tokio::test]
async fn rows_of_the_host_are_written_in_its_own_types() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), PARTNERS);
    execute(
        &folder.db(),
        "INSERT INTO partners (tenant, email, name, age) VALUES ('acme', 'host@x', 'Hosted', 40), ('other', 'a@x', 'Foreign', 1)",
    );
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(partners())).await;
    let rows = [
        up("r1", json!({"email": "a@x", "name": "Ann", "age": "41", "phone": 555, "vip": true, "tags": ["x"]})),
        up("r2", json!({"email": "host@x", "name": "Hosted", "age": 40})),
        up("r3", json!({"email": "b@x"})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [2, 0, 1, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 0, 3, 0, 0, 0], "values in the table's types are not taken for other ones");
    let query = |sql: &str| self::sql::<String>(&folder.db(), sql);
    assert_eq!(
        query("SELECT typeof(age) || typeof(phone) || typeof(vip) || shout FROM partners WHERE tenant = 'acme' AND email = 'a@x'"),
        "integertextintegerANN"
    );
    assert_eq!(query("SELECT name FROM partners WHERE tenant = 'acme' AND email = 'b@x'"), "unnamed");
    assert_eq!(query("SELECT name FROM partners WHERE tenant = 'other'"), "Foreign");
    let row = &run.table().await["a@x"];
    assert_eq!((&row["vip"], &row["tags"], &row["age"], row.get("tenant")), (&json!(true), &json!(["x"]), &json!(41), None));
    // What the host changed is put right again, field by field.
    execute(&folder.db(), "UPDATE partners SET name = 'Wrong', code = 'kept' WHERE tenant = 'acme' AND email = 'a@x'");
    assert_eq!(counts(&run.commit(&rows).await.counts), [0, 1, 2, 0, 0, 0]);
    assert_eq!(query("SELECT name || code FROM partners WHERE tenant = 'acme' AND email = 'a@x'"), "Annkept");
    // Case alone is a change, though the column's own comparison does not see it.
    assert_eq!(counts(&run.commit(&[up("r1", json!({"email": "A@x", "name": "Ann"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_row_the_hosts_constraints_refuse_fails_alone() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), PARTNERS);
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(partners())).await;
    let rows = [
        up("r1", json!({"email": "a@x", "code": "1", "age": 3, "name": "A"})),
        up("r2", json!({"email": "b@x", "code": "1", "age": 3, "name": "B"})),
        up("r3", json!({"email": "c@x", "code": "3", "age": -3, "name": "C"})),
        up("r4", json!({"email": "d@x", "code": "4", "age": 3, "name": null})),
        up("r5", json!({"email": "e@x", "code": "5", "age": 3, "name": "E"})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [2, 0, 0, 0, 3, 0]);
    let failures: Vec<_> = done.failures.iter().map(|f| (f.record.as_deref().unwrap_or(""), f.column.as_deref())).collect();
    assert_eq!(failures, [("r2", Some("code")), ("r3", None), ("r4", Some("name"))]);
    assert!(run.store.lineage(&entity("partners"), "b@x", None).await.expect("lineage").is_empty());
    assert_eq!(counts(&run.commit(&[up("r1", json!({"email": "a@x", "age": -1}))]).await.counts), [0, 0, 0, 0, 1, 0]);
    assert_eq!(run.table().await["a@x"]["age"], json!(3));
}

#[tokio::test]
async fn a_table_is_checked_before_anything_is_read_into_it() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), PARTNERS);
    execute(&folder.db(), "CREATE TABLE solo (id PRIMARY KEY, v)");
    let acme = storage.workspace(&"acme".into());
    let refused = async |table: HostTable, fields: &[&str]| {
        let fields: Vec<Box<str>> = fields.iter().map(|name| Box::from(*name)).collect();
        let error = acme.register_table(table.into(), &fields).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    let text = refused(partners(), &["name", "emial"]).await;
    assert!(text.contains("partners") && text.contains("emial") && text.contains("phone"), "{text}");
    assert!(refused(HostTable::new("nowhere").key("id"), &[]).await.contains("nowhere"));
    assert!(refused(partners(), &["shout"]).await.contains("generated"));
    assert!(refused(partners(), &["TENANT"]).await.contains("workspace"));
    assert!(refused(HostTable::new("partners"), &[]).await.contains("key"));
    assert!(refused(HostTable::new("syncline_sync_runs").key("id"), &[]).await.contains("host"));
    acme.register_table(partners().into(), &["name".into()]).await.expect("fits");
    acme.register_table(HostTable::new("solo").key("id").into(), &["v".into()]).await.expect("fits");
    let other = storage.workspace(&"other".into());
    let error = other.register_table(HostTable::new("solo").key("id").into(), &[]).await.expect_err("belongs to one workspace");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(other.entities(&entity("solo"), EntityQuery::default()).await.is_err());
}

#[tokio::test]
async fn an_entity_type_keeps_its_way_of_being_keyed() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("people")).await;
    run.commit(&[up("a", json!({"email": "a"}))]).await;
    let other = begin(&storage, "acme", &mapped_feed("c1", "t", "m"), &managed("people", &["email"])).await;
    let error = other.try_commit(&[up("a", json!({"email": "a"}))]).await.expect_err("refused");
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("people"), "{error}");
}

#[tokio::test]
async fn a_preview_of_mapped_rows_names_the_rule_and_writes_nothing() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), PARTNERS);
    let run = begin(&storage, "acme", &mapped_feed("c1", "s", "m"), &host(partners())).await;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await;
    let before = dump(&folder.db());
    let preview = run.preview(&[up("r1", json!({"email": "a@x", "name": "Anna"})), up("r2", json!({"email": "b@x", "name": "B"}))]).await;
    assert_eq!(counts(&preview.report.counts), [1, 1, 0, 0, 0, 0]);
    let seen: Vec<_> =
        preview.changes.iter().map(|c| (&*c.entity, &*c.field, c.old.as_deref(), c.new.as_deref(), c.rule.as_str())).collect();
    let rule = "source_of_truth";
    assert_eq!(
        seen,
        [
            ("a@x", "name", Some(r#""Ann""#), Some(r#""Anna""#), rule),
            ("b@x", "email", None, Some(r#""b@x""#), rule),
            ("b@x", "name", None, Some(r#""B""#), rule)
        ]
    );
    assert_eq!(dump(&folder.db()), before);
}

#[tokio::test]
async fn a_mapping_that_was_turned_to_another_entity_type_begins_anew_there() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let feed = mapped_feed("c1", "s", "m");
    let run = begin(&storage, "acme", &feed, &managed("people", &["email"])).await;
    run.scan("", 1, &[up("r1", json!({"email": "a@x"}))]).await;
    run.end().await;
    let run = begin(&storage, "acme", &feed, &managed("contacts", &["email"])).await;
    assert_eq!(counts(&run.scan("", 2, &[up("r1", json!({"email": "a@x"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(run.sweep(&[("", 2)], true).await.missing, 0, "rows of the old type are none of this mapping's any more");
    assert_eq!(counts(&run.commit(&[gone("r1")]).await.counts), [0, 0, 0, 0, 0, 1]);
    assert!(run.table().await.is_empty());
    assert_eq!(run.store.count_entities(&entity("people")).await.expect("read"), 1);
}

#[tokio::test]
async fn a_source_of_higher_priority_that_says_the_same_owns_the_field_from_then_on() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let source = async |name: &str, priority| {
        let target = Target { rules: rules(&[("name", ranked(priority))]), ..managed("people", &["email"]) };
        begin(&storage, "acme", &mapped_feed(name, "s", "m"), &target).await
    };
    let (low, high) = (source("low", 1).await, source("high", 5).await);
    low.commit(&[up("r", json!({"email": "a@x", "name": "Ann"}))]).await;
    assert_eq!(counts(&high.commit(&[up("r", json!({"email": "a@x", "name": "Ann"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(counts(&low.commit(&[up("r", json!({"email": "a@x", "name": "Bea"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(low.table().await["a@x"]["name"], json!("Ann"));
}

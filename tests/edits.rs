//! Changes that people make to rows: written by hand or only written down, told in the history, and left alone by undoing.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    On, clean,
    stage::{Stage, WHOLE, object},
    start,
};
use syncline::{
    Edit, EditedField, ErrorKind, HostTable, Pull, SyncResult,
    mapping::{Column, Mapping},
};

impl Stage {
    async fn new(on: On) -> Self {
        Self::full(on, &["people"]).await
    }

    async fn pulled(&self, pull: Pull, name: &str) -> SyncResult {
        let records = [("a".to_owned(), object(json!({ "mail": "a@x", "name": name, "visits": 7 })))].into();
        let result = self.pull(pull, &records, WHOLE).await;
        clean(&result);
        result
    }

    async fn field(&self, entity: &str, key: &str, field: &str) -> Option<Value> {
        self.rows(entity).await[key].get(field).cloned()
    }

    async fn told(&self, entity: &str, key: &str, field: &str) -> Vec<(Option<Value>, String, String)> {
        let history = self.acme().lineage(entity, key, Some(field)).await.expect("lineage");
        history.into_iter().map(|entry| (entry.new_value, entry.source_type.into(), entry.changed_by.into())).collect()
    }
}

fn mapped() -> Pull {
    let mapping = Mapping::new("people", "people").entity("person");
    Pull::mapped(
        mapping.column(Column::new("mail").to("email").key()).column(Column::new("name").priority(5)).column(Column::new("visits")),
    )
}

fn entry(value: Value, kind: &str, by: &str) -> (Option<Value>, String, String) {
    (Some(value), kind.to_owned(), by.to_owned())
}

async fn an_edit_is_written_told_and_kept_by_undoing(on: On) {
    let stage = Stage::new(on).await;
    stage.pulled(mapped(), "Ann").await;
    let second = stage.pulled(mapped(), "Anna").await;
    let synced = stage.connection.load_config().await.expect("a row").last_sync_at;
    stage.world.clock.advance(Duration::from_secs(60));
    let edit = Edit::of("person", "a@x").set("name", "Annie").set("note", "met in May").by("ben");
    let run = stage.acme().edit(edit).await.expect("it is written");
    assert_eq!((&*run.job_type, &*run.triggered_by, run.counts.updated), ("edit", "ben", 1));
    assert_eq!(stage.field("person", "a@x", "name").await, Some(json!("Annie")), "whatever the priority of who set it");
    assert_eq!(stage.field("person", "a@x", "note").await, Some(json!("met in May")));
    assert_eq!(
        stage.told("person", "a@x", "name").await,
        [entry(json!("Ann"), "api", "manual"), entry(json!("Anna"), "api", "manual"), entry(json!("Annie"), "app", "ben")]
    );
    let before = stage.acme().entity_as_of("person", "a@x", start() + Duration::from_secs(30)).await.expect("it is told");
    assert_eq!(before.map(Value::from), Some(json!({ "email": "a@x", "name": "Anna", "visits": 7 })), "before the edit");
    let plan = stage.connection.plan_undo(second.run.expect("a run"), "cleo").await.expect("a plan");
    assert_eq!((plan.items, plan.plan.failures.len()), (0, 1), "the edit stays: {:?}", plan.plan.failures);
    // The connection was not synced by it.
    let row = stage.connection.load_config().await.expect("a row");
    assert_eq!((row.last_sync_at, row.sync_status.as_deref()), (synced, Some("completed")), "an edit is no sync");
}

async fn edits_that_cannot_be_made_say_why(on: On) {
    let stage = Stage::new(on).await;
    stage.pulled(mapped(), "Ann").await;
    stage.pulled(Pull::stream("people"), "Ann").await;
    let refused = async |edit: Edit| stage.acme().edit(edit).await.expect_err("it is refused");
    assert_eq!(refused(Edit::of("person", "nobody").set("name", "x")).await.kind(), ErrorKind::NotFound);
    assert_eq!(refused(Edit::of("nothing", "a").set("name", "x")).await.kind(), ErrorKind::NotFound);
    assert!(refused(Edit::of("crm_people", "a").set("name", "x")).await.to_string().contains("say from which"), "whose row");
    let edit = Edit::of("crm_people", "a").set("name", "Ada").from(stage.connection.id().clone());
    stage.acme().edit(edit).await.expect("it is written");
    assert_eq!(stage.field("crm_people", "a", "name").await, Some(json!("Ada")));
    let other = stage.syncline.workspace("other");
    assert_eq!(other.edit(Edit::of("person", "a@x").set("name", "x")).await.expect_err("another's").kind(), ErrorKind::NotFound);
    assert_eq!(stage.field("person", "a@x", "name").await, Some(json!("Ann")));
}

/// What the host did to its own table by its own means is only written down.
#[tokio::test]
async fn the_hosts_own_changes_are_written_down_with_who_made_them() {
    let stage = Stage::new(On::Sqlite).await;
    stage
        .world
        .sql()
        .execute_batch("CREATE TABLE contacts (email TEXT PRIMARY KEY, name TEXT, plan TEXT DEFAULT 'free')")
        .expect("a table");
    let table = HostTable::new("contacts").key("email");
    let pull = || {
        Pull::mapped(
            Mapping::new("m", "people").table(table.clone()).column(Column::new("mail").to("email").key()).column(Column::new("name")),
        )
    };
    let first = stage.pulled(pull(), "Ann").await;
    let second = stage.pulled(pull(), "Anna").await;
    stage.world.sql().execute_batch("UPDATE contacts SET name = 'Annie'").expect("the host's change");
    let edited = EditedField { key: "a@x".into(), field: "name".into(), old: json!("Anna"), new: json!("Annie") };
    let run = stage.acme().record_edits("contacts", "ben", vec![edited]).await.expect("it is written down");
    assert_eq!((&*run.job_type, run.counts.updated), ("edit", 1));
    assert_eq!(stage.told("contacts", "a@x", "name").await.last(), Some(&entry(json!("Annie"), "app", "ben")));
    // Undoing leaves it alone, as it does what the host changed without a word.
    let plan = stage.connection.plan_undo(second.run.expect("a run"), "cleo").await.expect("a plan");
    assert_eq!(plan.items, 0, "{:?}", plan.plan.failures);
    stage
        .world
        .sql()
        .execute_batch("UPDATE contacts SET name = 'Ann'; DELETE FROM syncline_lineage_entries WHERE run_id > 2")
        .expect("as before");
    stage.world.sql().execute_batch("UPDATE contacts SET name = 'Anna'").expect("as the second run had left it");
    clean(&stage.connection.undo(second.run.expect("a run"), "cleo").await.expect("it begins"));
    assert_eq!(stage.world.ask("SELECT name || plan FROM contacts"), "Annfree");
    clean(&stage.connection.undo(first.run.expect("a run"), "cleo").await.expect("it begins"));
    assert_eq!(stage.world.ask("SELECT count(*) FROM contacts"), "0", "what the first run had made");
    let unknown = stage.acme().record_edits("nothing", "ben", Vec::new()).await.expect_err("no such table");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test]
    async fn an_edit_is_written_told_and_kept_by_undoing() {
        super::an_edit_is_written_told_and_kept_by_undoing(Sqlite).await;
    }

    #[tokio::test]
    async fn edits_that_cannot_be_made_say_why() {
        super::edits_that_cannot_be_made_say_why(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test]
    async fn an_edit_is_written_told_and_kept_by_undoing() {
        super::an_edit_is_written_told_and_kept_by_undoing(Postgres).await;
    }

    #[tokio::test]
    async fn edits_that_cannot_be_made_say_why() {
        super::edits_that_cannot_be_made_say_why(Postgres).await;
    }
}

//! Overwriting what is not a source's to write: only with a capability, in somebody's name, and never a derived field.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    On, World, clean,
    scripted::{Scripted, last, page},
};
use syncline::{
    Connection, Credentials, EntityQuery, Pull, Syncline,
    core::Stream,
    mapping::{Authority, Column, Mapping},
};

struct Stage {
    provider: Scripted,
    syncline: Syncline,
    connection: Connection,
    _world: World,
}

impl Stage {
    async fn new(on: On) -> Self {
        let world = World::on(on).await;
        let provider = Scripted::new("crm").streams(vec![Stream::full("master"), Stream::full("guests")]);
        let syncline = world.builder().storage(world.place().open().await).provider(provider.clone()).build().await.expect("an engine");
        let connection = syncline.workspace("acme").connect("crm", Credentials::api_key("good")).await.expect("it connects");
        Self { provider, syncline, connection, _world: world }
    }

    fn says(&self, fields: Value) {
        self.provider.pages(vec![last(page([("r", fields)]))]);
    }

    async fn pull(&self, pull: Pull, fields: Value) {
        self.says(fields);
        clean(&self.connection.sync_from_external(pull.safety_lag(Duration::ZERO)).await.expect("it runs"));
    }

    async fn row(&self) -> Value {
        let query = EntityQuery { key: Some("a@x".into()), ..EntityQuery::default() };
        let rows = self.syncline.workspace("acme").entities("person", query).await.expect("rows");
        Value::Object(rows[0].fields.clone())
    }
}

/// The source that counts.
fn master() -> Pull {
    let mapping = Mapping::new("master", "master").entity("person").column(Column::new("mail").to("email").key());
    Pull::mapped(mapping.column(Column::new("name").priority(9)).column(Column::new("city")))
}

/// A source of lower priority, whose city is but a reference.
fn guests() -> Pull {
    let mapping = Mapping::new("guests", "guests").entity("person").column(Column::new("mail").to("email").key());
    let mapping = mapping.column(Column::new("name").priority(1)).column(Column::new("city").authority(Authority::Reference));
    Pull::mapped(mapping.column(Column::new("score").authority(Authority::Derived)))
}

async fn force_overwrites_whatever_the_authority_but_what_is_derived(on: On) {
    let stage = Stage::new(on).await;
    let theirs = json!({ "mail": "a@x", "name": "Guest", "city": "Bonn", "score": 7 });
    stage.pull(master(), json!({ "mail": "a@x", "name": "Ann", "city": "Ulm" })).await;
    stage.pull(guests(), theirs.clone()).await;
    let before = json!({ "email": "a@x", "name": "Ann", "city": "Ulm" });
    assert_eq!(stage.row().await, before, "without force nothing of it is written");

    let capability = stage.syncline.force_overwrite("anna");
    stage.says(theirs.clone());
    let plan = stage.connection.plan(guests().force_overwrite(&capability).safety_lag(Duration::ZERO)).await.expect("a plan");
    let items = stage.syncline.workspace("acme").plan_items(plan.plan.run, 0, 9).await.expect("items");
    let told: Vec<_> = items[0].changes.iter().map(|change| (&*change.field, change.rule.as_str())).collect();
    assert_eq!(told, [("name", "forced"), ("city", "forced")], "a plan says so");

    stage.pull(guests().force_overwrite(&capability), theirs).await;
    assert_eq!(stage.row().await, json!({ "email": "a@x", "name": "Guest", "city": "Bonn" }), "a derived field is never written");
    let history = stage.syncline.workspace("acme").lineage("person", "a@x", Some("name")).await.expect("lineage");
    assert_eq!(history.last().map(|entry| &*entry.changed_by), Some("anna"), "in whose name");

    // The force was for this once: the source that counts has its way with the next change.
    stage.pull(master(), json!({ "mail": "a@x", "name": "Anne", "city": "Ulm" })).await;
    assert_eq!(stage.row().await, json!({ "email": "a@x", "name": "Anne", "city": "Ulm" }));
    stage.pull(guests(), json!({ "mail": "a@x", "name": "Again", "city": "Rome", "score": 8 })).await;
    assert_eq!(stage.row().await["name"], "Anne");
}

mod on_sqlite {
    #[tokio::test]
    async fn force_overwrites_whatever_the_authority_but_what_is_derived() {
        super::force_overwrites_whatever_the_authority_but_what_is_derived(super::On::Sqlite).await;
    }
}

mod on_postgres {
    #[tokio::test]
    async fn force_overwrites_whatever_the_authority_but_what_is_derived() {
        super::force_overwrites_whatever_the_authority_but_what_is_derived(super::On::Postgres).await;
    }
}

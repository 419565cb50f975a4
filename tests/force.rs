//! Overwriting what is not a source's to write: only with a capability, in somebody's name, and never a derived field.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    On, clean,
    stage::{Rows, Stage, WHOLE, object},
};
use syncline::{
    Pull,
    mapping::{Authority, Column, Mapping},
};

impl Stage {
    async fn pulled(&self, pull: Pull, fields: Value) {
        clean(&self.pull(pull, &record(fields), WHOLE).await);
    }

    async fn row(&self) -> Value {
        self.rows("person").await.remove("a@x").map(Value::Object).expect("the row")
    }
}

/// The one record a stream has.
fn record(fields: Value) -> Rows {
    [("r".to_owned(), object(fields))].into()
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
    let stage = Stage::full(on, &["master", "guests"]).await;
    let theirs = json!({ "mail": "a@x", "name": "Guest", "city": "Bonn", "score": 7 });
    stage.pulled(master(), json!({ "mail": "a@x", "name": "Ann", "city": "Ulm" })).await;
    stage.pulled(guests(), theirs.clone()).await;
    let before = json!({ "email": "a@x", "name": "Ann", "city": "Ulm" });
    assert_eq!(stage.row().await, before, "without force nothing of it is written");

    let capability = stage.syncline.force_overwrite("anna");
    stage.shows(&record(theirs.clone()), 1);
    let plan = stage.connection.plan(guests().force_overwrite(&capability).safety_lag(Duration::ZERO)).await.expect("a plan");
    let items = stage.acme().plan_items(plan.plan.run, 0, 9).await.expect("items");
    let told: Vec<_> = items[0].changes.iter().map(|change| (&*change.field, change.rule.as_str())).collect();
    assert_eq!(told, [("name", "forced"), ("city", "forced")], "a plan says so");

    stage.pulled(guests().force_overwrite(&capability), theirs).await;
    assert_eq!(stage.row().await, json!({ "email": "a@x", "name": "Guest", "city": "Bonn" }), "a derived field is never written");
    let history = stage.acme().lineage("person", "a@x", Some("name")).await.expect("lineage");
    assert_eq!(history.last().map(|entry| &*entry.changed_by), Some("anna"), "in whose name");

    // The force was for this once: the source that counts has its way with the next change.
    stage.pulled(master(), json!({ "mail": "a@x", "name": "Anne", "city": "Ulm" })).await;
    assert_eq!(stage.row().await, json!({ "email": "a@x", "name": "Anne", "city": "Ulm" }));
    stage.pulled(guests(), json!({ "mail": "a@x", "name": "Again", "city": "Rome", "score": 8 })).await;
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

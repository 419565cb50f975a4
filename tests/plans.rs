//! Plans: what a pull would do, exactly; applied in whole or in part; refused row by row where something has moved.

mod support;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value, json};
use support::{
    On, Random, clean,
    dump::Dump,
    stage::{Rows, Stage, object},
};
use syncline::{
    Apply, Credentials, ErrorKind, ItemKind, ItemState, PlanItem, PlanState, Pull,
    mapping::{Column, Mapping},
};

/// Random worlds; a database on a server takes its time to be made.
fn seeds(on: On) -> u64 {
    match on {
        On::Sqlite => 12,
        On::Postgres => 4,
    }
}

impl Stage {
    async fn new(on: On) -> Self {
        Self::full(on, &["people", "guests"]).await
    }

    /// The service shows these records, cut into pages.
    fn shows_cut(&self, records: &Rows, random: &mut Random) {
        self.shows(records, 1 + random.below(4));
    }

    fn everything(&self) -> Dump {
        Dump::everything_but(&self.world.place(), &["syncline_sync_runs", "syncline_plans", "syncline_plan_items"])
    }
}

/// A plain pull, or one through a mapping that other sources feed too.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    Mapped,
}

fn mapping(name: &str, stream: &str) -> Mapping {
    Mapping::new(name, stream)
        .entity("person")
        .column(Column::new("mail").to("email").key().then("trim").then("lower"))
        .column(Column::new("name").to("name"))
        .column(Column::new("city").to("city").optional())
        .column(Column::new("visits").to("visits").optional())
}

impl Way {
    fn pull(self) -> Pull {
        let pull = match self {
            Self::Plain => Pull::stream("people"),
            Self::Mapped => Pull::mapped(mapping("people", "people")),
        };
        pull.safety_lag(Duration::ZERO).commit_rows(3).confirm_deletes()
    }

    fn entity(self) -> &'static str {
        match self {
            Self::Plain => "crm_people",
            Self::Mapped => "person",
        }
    }

    fn key(self, id: &str) -> String {
        match self {
            Self::Plain => id.to_owned(),
            Self::Mapped => mail(id),
        }
    }
}

fn mail(id: &str) -> String {
    format!("{id}@example.com")
}

fn fields(id: &str, random: &mut Random) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("mail".into(), mail(id).into());
    fields.insert("name".into(), format!("Name {}", random.below(3)).into());
    match random.below(4) {
        0 => {}
        1 => drop(fields.insert("city".into(), Value::Null)),
        _ => drop(fields.insert("city".into(), format!("City \"{}\"", random.below(3)).into())),
    }
    fields.insert("visits".into(), random.below(3).into());
    fields
}

fn first(random: &mut Random) -> Rows {
    (0..4 + random.below(8)).map(|n| format!("r{n}")).map(|id| (id.clone(), fields(&id, random))).collect()
}

/// What the service has later: some records changed, gone and new.
fn later(before: &Rows, random: &mut Random) -> Rows {
    let mut after = Rows::new();
    for (id, known) in before {
        match random.below(5) {
            0 => {}
            1 | 2 => drop(after.insert(id.clone(), fields(id, random))),
            _ => drop(after.insert(id.clone(), known.clone())),
        }
    }
    for n in 0..random.below(4) {
        let id = format!("n{n}");
        after.insert(id.clone(), fields(&id, random));
    }
    after
}

/// A row as a plan's changes make it.
fn changed(row: Option<&Map<String, Value>>, item: &PlanItem) -> Option<Map<String, Value>> {
    if item.kind == ItemKind::Delete {
        return None;
    }
    let mut row = row.cloned().unwrap_or_default();
    for change in &item.changes {
        let new: Value = serde_json::from_str(change.new.as_ref().expect("a value").get()).expect("JSON");
        if new.is_null() {
            row.remove(&*change.field)
        } else {
            row.insert(change.field.to_string(), new)
        };
    }
    Some(row)
}

/// A plan says exactly what the pull would do, writes nothing, and applied does it.
async fn a_plan_is_what_the_pull_would_do(on: On, way: Way) {
    for seed in 0..seeds(on) {
        let mut random = Random::new(seed);
        let (before, stage) = (first(&mut random), Stage::new(on).await);
        let after = later(&before, &mut random);
        if seed % 4 > 0 {
            stage.shows_cut(&before, &mut random);
            clean(&stage.connection.sync_from_external(way.pull()).await.expect("it runs"));
        }
        let (rows, dump) = (stage.rows(way.entity()).await, stage.everything());
        stage.shows_cut(&after, &mut random);
        let plan = stage.connection.plan(way.pull().triggered_by("anna")).await.expect("a plan");
        stage.everything().assert_same(&dump, &format!("seed {seed}: before and after a plan"));
        let items = stage.items(plan.plan.run).await;
        assert_eq!((plan.items, plan.state), (items.len() as u64, PlanState::Open), "seed {seed}");
        assert!(plan.plan.counts.balanced(), "seed {seed}: {:?}", plan.plan.counts);

        // The same pull in a world of its own.
        let mut expected = rows.clone();
        for item in &items {
            match changed(rows.get(&*item.entity), item) {
                Some(row) => drop(expected.insert(item.entity.to_string(), row)),
                None => drop(expected.remove(&*item.entity)),
            }
        }
        let truth: BTreeSet<String> = after.keys().map(|id| way.key(id)).collect();
        assert_eq!(expected.keys().cloned().collect::<BTreeSet<_>>(), truth, "seed {seed}: the rows that the plan leaves");

        let result = stage.connection.apply(Apply::plan(plan.plan.run).commit_rows(2).triggered_by("ben")).await.expect("it begins");
        clean(&result);
        assert_eq!(stage.rows(way.entity()).await, expected, "seed {seed}: the rows");
        let stored = stage.acme().plan(plan.plan.run).await.expect("the plan");
        assert_eq!((stored.state, stored.changed_by.as_deref()), (PlanState::Applied, Some("ben")), "seed {seed}");
        let states: Vec<_> = stage.items(plan.plan.run).await.iter().map(|item| item.state).collect();
        assert!(states.iter().all(|state| *state == ItemState::Applied), "seed {seed}: {states:?}");

        // The pull finds everything as it is.
        stage.shows_cut(&after, &mut random);
        let pulled = stage.connection.sync_from_external(way.pull()).await.expect("it runs");
        clean(&pulled);
        assert_eq!((pulled.counts.synced(), pulled.counts.swept), (0, 0), "seed {seed}: {:?}", pulled.counts);
        assert_eq!(stage.rows(way.entity()).await, expected, "seed {seed}: the rows after a pull");
        // And its rows go with their records, as those of a pull do.
        stage.shows_cut(&Rows::new(), &mut random);
        stage.connection.sync_from_external(way.pull()).await.expect("it runs");
        assert_eq!(stage.rows(way.entity()).await, Rows::new(), "seed {seed}: nothing stands behind the rows");
    }
}

/// Rows that have moved since are left as they are; the others are written as planned.
async fn what_has_moved_is_left_alone(on: On, way: Way) {
    for seed in 100..100 + seeds(on) {
        let mut random = Random::new(seed);
        let (before, stage) = (first(&mut random), Stage::new(on).await);
        let (after, moved) = (later(&before, &mut random), later(&before, &mut random));
        stage.shows_cut(&before, &mut random);
        clean(&stage.connection.sync_from_external(way.pull()).await.expect("it runs"));
        let planned_on = stage.rows(way.entity()).await;
        stage.shows_cut(&after, &mut random);
        let plan = stage.connection.plan(way.pull()).await.expect("a plan");
        // Somebody else pulls what the service has just then.
        stage.shows_cut(&moved, &mut random);
        stage.connection.sync_from_external(way.pull()).await.expect("it runs");
        let found = stage.rows(way.entity()).await;
        let items = stage.items(plan.plan.run).await;
        let result = stage.connection.apply(Apply::plan(plan.plan.run).commit_rows(4)).await.expect("it begins");
        assert!(result.success() && result.counts.balanced(), "seed {seed}: {:?}", result.errors);
        let (now, states) = (stage.rows(way.entity()).await, stage.items(plan.plan.run).await);
        let mut expected = found.clone();
        for (item, after) in items.iter().zip(states) {
            let (was, is) = (planned_on.get(&*item.entity), found.get(&*item.entity));
            let untouched = item.changes.iter().all(|change| {
                let value = |row: Option<&Map<String, Value>>| row.and_then(|row| row.get(&*change.field)).cloned();
                value(was) == value(is)
            }) && was.is_some() == is.is_some()
                && (item.kind != ItemKind::Delete || was == is);
            let state = if untouched { ItemState::Applied } else { ItemState::Moved };
            assert_eq!(after.state, state, "seed {seed}: {item:?}\nplanned on {was:?}\nfound {is:?}");
            if untouched {
                match changed(is, item) {
                    Some(row) => drop(expected.insert(item.entity.to_string(), row)),
                    None => drop(expected.remove(&*item.entity)),
                }
            } else {
                assert!(result.failures.iter().any(|failure| failure.error.contains(&*item.entity)), "seed {seed}: {:?}", result.failures);
            }
        }
        assert_eq!(now, expected, "seed {seed}: exactly what the plan says of rows that did not move");
    }
}

async fn a_plan_is_applied_in_parts_and_then_no_more(on: On) {
    let (stage, mut random) = (Stage::new(on).await, Random::new(7));
    let records: Rows = ["a", "b", "c"].into_iter().map(|id| (id.to_owned(), fields(id, &mut random))).collect();
    stage.shows_cut(&records, &mut random);
    let plan = stage.connection.plan(Way::Mapped.pull()).await.expect("a plan").plan.run;
    let acme = stage.acme();
    assert_eq!(acme.approve_plan(plan, "anna").await.expect("approved").state, PlanState::Approved);
    let result = stage.connection.apply(Apply::plan(plan).only([mail("b")])).await.expect("it begins");
    clean(&result);
    assert_eq!(stage.rows("person").await.into_keys().collect::<Vec<_>>(), [mail("b")]);
    assert_eq!(acme.plan(plan).await.expect("the plan").state, PlanState::Partial);
    let unknown = stage.connection.apply(Apply::plan(plan).only(["nobody"])).await.expect("it begins");
    assert!(!unknown.success() && unknown.errors[0].message.contains("\"nobody\""), "{:?}", unknown.errors);
    clean(&stage.connection.apply(Apply::plan(plan)).await.expect("it begins"));
    assert_eq!(stage.rows("person").await.len(), 3);
    let again = stage.connection.apply(Apply::plan(plan)).await.expect_err("it is done");
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert!(again.to_string().contains("applied already"), "{again}");
    let other = stage.syncline.workspace("other").connect("crm", Credentials::api_key("good")).await.expect("it connects");
    assert_eq!(other.apply(Apply::plan(plan)).await.expect_err("another's").kind(), ErrorKind::NotFound);
}

async fn a_discarded_plan_is_never_applied(on: On) {
    let (stage, mut random) = (Stage::new(on).await, Random::new(8));
    stage.shows_cut(&[("a".to_owned(), fields("a", &mut random))].into(), &mut random);
    let plan = stage.connection.plan(Way::Plain.pull()).await.expect("a plan").plan.run;
    stage.acme().discard_plan(plan, "anna").await.expect("discarded");
    let refused = stage.connection.apply(Apply::plan(plan)).await.expect_err("it was discarded");
    assert!(refused.to_string().contains("discarded by anna"), "{refused}");
    assert_eq!(stage.rows("crm_people").await.len(), 0);
}

/// Deletes beyond a fifth of the rows are told as such, and are no part of the plan.
async fn too_many_deletes_are_told_and_left_out(on: On) {
    let (stage, mut random) = (Stage::new(on).await, Random::new(9));
    let records: Rows = (0..10).map(|n| format!("r{n}")).map(|id| (id.clone(), fields(&id, &mut random))).collect();
    stage.shows_cut(&records, &mut random);
    clean(&stage.connection.sync_from_external(Way::Plain.pull()).await.expect("it runs"));
    let fewer: Rows = records.into_iter().take(6).collect();
    stage.shows_cut(&fewer, &mut random);
    let plan = stage.connection.plan(Pull::stream("people").safety_lag(Duration::ZERO)).await.expect("a plan");
    assert_eq!((plan.items, plan.plan.errors.len()), (0, 1));
    assert!(plan.plan.errors[0].message.contains("deleting the other 4"), "{:?}", plan.plan.errors);
    stage.shows_cut(&fewer, &mut random);
    assert_eq!(stage.connection.plan(Way::Plain.pull()).await.expect("a plan").items, 4);
}

/// Fields of one row that two sources feed: a plan names only its own, and the other's later change of another field is no drift.
async fn another_sources_change_of_another_field_is_no_drift(on: On) {
    let (stage, mut random) = (Stage::new(on).await, Random::new(10));
    let record = |name: &str| -> Rows { [("a".to_owned(), object(json!({ "mail": mail("a"), "name": name })))].into() };
    stage.shows_cut(&record("Ann"), &mut random);
    clean(&stage.connection.sync_from_external(Way::Mapped.pull()).await.expect("it runs"));
    stage.shows_cut(&record("Anna"), &mut random);
    let plan = stage.connection.plan(Way::Mapped.pull()).await.expect("a plan").plan.run;
    let guests: Rows = [("g".to_owned(), object(json!({ "mail": mail("a"), "city": "Ulm" })))].into();
    stage.shows_cut(&guests, &mut random);
    let cities =
        Mapping::new("guests", "guests").entity("person").column(Column::new("mail").to("email").key()).column(Column::new("city"));
    clean(&stage.connection.sync_from_external(Pull::mapped(cities).safety_lag(Duration::ZERO)).await.expect("it runs"));
    clean(&stage.connection.apply(Apply::plan(plan)).await.expect("it begins"));
    let row = &stage.rows("person").await[&mail("a")];
    assert_eq!((&row["name"], &row["city"]), (&json!("Anna"), &json!("Ulm")));
}

mod on_sqlite {
    use super::{On::Sqlite, Way::*};

    #[tokio::test]
    async fn a_plan_is_what_the_pull_would_do() {
        super::a_plan_is_what_the_pull_would_do(Sqlite, Plain).await;
        super::a_plan_is_what_the_pull_would_do(Sqlite, Mapped).await;
    }

    #[tokio::test]
    async fn what_has_moved_is_left_alone() {
        super::what_has_moved_is_left_alone(Sqlite, Plain).await;
        super::what_has_moved_is_left_alone(Sqlite, Mapped).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_in_parts_and_then_no_more() {
        super::a_plan_is_applied_in_parts_and_then_no_more(Sqlite).await;
    }

    #[tokio::test]
    async fn a_discarded_plan_is_never_applied() {
        super::a_discarded_plan_is_never_applied(Sqlite).await;
    }

    #[tokio::test]
    async fn too_many_deletes_are_told_and_left_out() {
        super::too_many_deletes_are_told_and_left_out(Sqlite).await;
    }

    #[tokio::test]
    async fn another_sources_change_of_another_field_is_no_drift() {
        super::another_sources_change_of_another_field_is_no_drift(Sqlite).await;
    }
}

mod on_postgres {
    use super::{On::Postgres, Way::*};

    #[tokio::test]
    async fn a_plan_is_what_the_pull_would_do() {
        super::a_plan_is_what_the_pull_would_do(Postgres, Plain).await;
        super::a_plan_is_what_the_pull_would_do(Postgres, Mapped).await;
    }

    #[tokio::test]
    async fn what_has_moved_is_left_alone() {
        super::what_has_moved_is_left_alone(Postgres, Plain).await;
        super::what_has_moved_is_left_alone(Postgres, Mapped).await;
    }

    #[tokio::test]
    async fn a_plan_is_applied_in_parts_and_then_no_more() {
        super::a_plan_is_applied_in_parts_and_then_no_more(Postgres).await;
    }

    #[tokio::test]
    async fn a_discarded_plan_is_never_applied() {
        super::a_discarded_plan_is_never_applied(Postgres).await;
    }

    #[tokio::test]
    async fn too_many_deletes_are_told_and_left_out() {
        super::too_many_deletes_are_told_and_left_out(Postgres).await;
    }

    #[tokio::test]
    async fn another_sources_change_of_another_field_is_no_drift() {
        super::another_sources_change_of_another_field_is_no_drift(Postgres).await;
    }
}

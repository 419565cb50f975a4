//! Undoing a run: its rows are as before it, but for what others changed since, which stays and is listed.

mod support;

use serde_json::{Map, Value, json};
use support::{
    On, Random, clean,
    stage::{Rows, Stage, WHOLE, object},
};
use syncline::{
    Apply, Credentials, ErrorKind, Pull, RunId, SyncResult,
    mapping::{Column, Mapping},
};

fn people() -> Pull {
    Pull::mapped(
        Mapping::new("people", "people")
            .entity("person")
            .column(Column::new("mail").to("email").key())
            .column(Column::new("name").optional())
            .column(Column::new("city").optional()),
    )
}

/// A source of one field of the same rows.
fn guests() -> Pull {
    Pull::mapped(
        Mapping::new("guests", "guests").entity("person").column(Column::new("mail").to("email").key()).column(Column::new("city")),
    )
}

fn fields(n: usize, random: &mut Random) -> Map<String, Value> {
    let city = match random.below(4) {
        0 => Value::Null,
        n => format!("City {n}").into(),
    };
    let all = json!({ "mail": format!("p{n}"), "name": format!("Name {}", random.below(3)), "city": city });
    object(all)
}

fn first(random: &mut Random) -> Rows {
    (0..4 + random.below(6)).map(|n| (format!("p{n}"), fields(n, random))).collect()
}

fn later(before: &Rows, random: &mut Random) -> Rows {
    let mut after = Rows::new();
    for (at, (id, known)) in before.iter().enumerate() {
        match random.below(4) {
            0 => {}
            1 | 2 => drop(after.insert(id.clone(), fields(at, random))),
            _ => drop(after.insert(id.clone(), known.clone())),
        }
    }
    for n in 20..20 + random.below(4) {
        after.insert(format!("p{n}"), fields(n, random));
    }
    after
}

fn run(result: &SyncResult) -> RunId {
    result.run.expect("a run")
}

async fn a_run_and_its_undoing_leave_the_rows_as_they_were(on: On, seeds: u64) {
    for (entity, pull) in [("crm_people", (|| Pull::stream("people")) as fn() -> Pull), ("person", people)] {
        for seed in 0..seeds {
            let mut random = Random::new(seed);
            let (stage, one) = (Stage::full(on, &["people", "guests"]).await, first(&mut random));
            let two = later(&one, &mut random);
            if seed > 0 {
                stage.pull(pull().confirm_deletes(), &one, WHOLE).await;
            }
            let before = stage.rows(entity).await;
            let undone = stage.pull(pull().confirm_deletes(), &two, WHOLE).await;
            let after = stage.rows(entity).await;
            let result = stage.connection.undo(run(&undone), "anna").await.expect("it begins");
            clean(&result);
            assert_eq!(stage.rows(entity).await, before, "{entity}, seed {seed}: the rows before the run, not {after:?}");
            // The undoing is a run as any other, and can be undone.
            clean(&stage.connection.undo(run(&result), "ben").await.expect("it begins"));
            assert_eq!(stage.rows(entity).await, after, "{entity}, seed {seed}: the undoing undone");
            let again = stage.connection.undo(run(&undone), "anna").await.expect("it begins");
            clean(&again);
            // What was changed and changed back is as the run had left it; rows that came back were made by somebody else.
            let remade = after.into_iter().filter(|(key, _)| !before.contains_key(key));
            let expected: Rows = before.clone().into_iter().chain(remade).collect();
            assert_eq!(stage.rows(entity).await, expected, "{entity}, seed {seed}: taken back once more");
        }
    }
}

async fn what_others_changed_since_stays_and_is_listed(on: On, seeds: u64) {
    for seed in 50..50 + seeds {
        let mut random = Random::new(seed);
        let (stage, one) = (Stage::full(on, &["people", "guests"]).await, first(&mut random));
        let two = later(&one, &mut random);
        stage.pull(people().confirm_deletes(), &one, WHOLE).await;
        let before = stage.rows("person").await;
        let undone = stage.pull(people().confirm_deletes(), &two, WHOLE).await;
        let left = stage.rows("person").await;
        // Another source sets the city of some of the rows that are there.
        let mut cities = Rows::new();
        for key in left.keys().filter(|_| random.below(2) == 0) {
            cities.insert(key.clone(), object(json!({ "mail": key, "city": "Elsewhere" })));
        }
        stage.pull(guests().confirm_deletes(), &cities, WHOLE).await;
        // Planned and looked at first, or at once: the same.
        let failures = if seed % 2 == 0 {
            let plan = stage.connection.plan_undo(run(&undone), "anna").await.expect("a plan");
            clean(&stage.connection.apply(Apply::plan(plan.plan.run)).await.expect("it begins"));
            plan.plan.failures
        } else {
            let result = stage.connection.undo(run(&undone), "anna").await.expect("it begins");
            clean(&result);
            result.failures
        };
        let told = |key: &str| failures.iter().filter(|failure| failure.record.as_deref() == Some(key)).count();
        let mut expected = Rows::new();
        for key in before.keys().chain(left.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (was, is, other) = (before.get(key), left.get(key), cities.contains_key(key));
            let elsewhere = |row: &Map<String, Value>| {
                let mut row = row.clone();
                row.insert("city".into(), "Elsewhere".into());
                row
            };
            let row = match (was, is) {
                // Made by the run, and changed since: it stays.
                (None, Some(is)) if other => Some(elsewhere(is)),
                (None, Some(_)) => None,
                (Some(was), Some(_)) if other => Some(elsewhere(was)),
                (Some(was), _) => Some(was.clone()),
                (None, None) => None,
            };
            if other && (was.is_none() || was.and_then(|row| row.get("city")) != is.and_then(|row| row.get("city"))) {
                assert_eq!(told(key), 1, "seed {seed}: {key} is listed: {failures:?}");
            }
            expected.extend(row.map(|row| (key.clone(), row)));
        }
        assert_eq!(stage.rows("person").await, expected, "seed {seed}: before {before:?}, left {left:?}");
    }
}

async fn runs_that_cannot_be_taken_back_say_why(on: On) {
    let stage = Stage::full(on, &["people", "guests"]).await;
    let unknown = stage.connection.undo(RunId(99), "anna").await.expect_err("no such run");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let rows = first(&mut Random::new(1));
    let bare = stage.pull(Pull::stream("people").without_lineage().confirm_deletes(), &rows, WHOLE).await;
    let refused = stage.connection.undo(run(&bare), "anna").await.expect_err("no lineage");
    assert!(refused.kind() == ErrorKind::Conflict && refused.to_string().contains("lineage was not kept"), "{refused}");
    let other = stage.syncline.workspace("acme").connect("crm", Credentials::api_key("good")).settings(json!({ "account": "second" }));
    let other = other.await.expect("it connects");
    let foreign = other.undo(run(&bare), "anna").await.expect_err("another connection's");
    assert!(foreign.to_string().contains("another connection"), "{foreign}");
}

async fn an_undone_value_says_so_in_its_history(on: On) {
    let stage = Stage::full(on, &["people", "guests"]).await;
    let record = |name: &str| -> Rows { [("a".to_owned(), object(json!({ "mail": "a", "name": name })))].into() };
    stage.pull(people(), &record("Ann"), WHOLE).await;
    let second = stage.pull(people(), &record("Bob"), WHOLE).await;
    stage.connection.undo(run(&second), "anna").await.expect("it begins");
    let history = stage.acme().lineage("person", "a", Some("name")).await.expect("lineage");
    let told: Vec<_> = history.iter().map(|entry| (entry.new_value.clone(), &*entry.changed_by, &*entry.source_type)).collect();
    assert_eq!(told, [(Some(json!("Ann")), "manual", "api"), (Some(json!("Bob")), "manual", "api"), (Some(json!("Ann")), "anna", "app")]);
}

mod on_sqlite {
    use super::On::Sqlite;

    #[tokio::test]
    async fn a_run_and_its_undoing_leave_the_rows_as_they_were() {
        super::a_run_and_its_undoing_leave_the_rows_as_they_were(Sqlite, 12).await;
    }

    #[tokio::test]
    async fn what_others_changed_since_stays_and_is_listed() {
        super::what_others_changed_since_stays_and_is_listed(Sqlite, 12).await;
    }

    #[tokio::test]
    async fn runs_that_cannot_be_taken_back_say_why() {
        super::runs_that_cannot_be_taken_back_say_why(Sqlite).await;
    }

    #[tokio::test]
    async fn an_undone_value_says_so_in_its_history() {
        super::an_undone_value_says_so_in_its_history(Sqlite).await;
    }
}

mod on_postgres {
    use super::On::Postgres;

    #[tokio::test]
    async fn a_run_and_its_undoing_leave_the_rows_as_they_were() {
        super::a_run_and_its_undoing_leave_the_rows_as_they_were(Postgres, 4).await;
    }

    #[tokio::test]
    async fn what_others_changed_since_stays_and_is_listed() {
        super::what_others_changed_since_stays_and_is_listed(Postgres, 4).await;
    }

    #[tokio::test]
    async fn runs_that_cannot_be_taken_back_say_why() {
        super::runs_that_cannot_be_taken_back_say_why(Postgres).await;
    }

    #[tokio::test]
    async fn an_undone_value_says_so_in_its_history() {
        super::an_undone_value_says_so_in_its_history(Postgres).await;
    }
}

//! Pushes in trouble: nothing is written twice, nothing is lost in silence, and moved rows are noticed.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Bench, record, removal, said};
use sync_core::{Delivery, ErrorKind, Found, PushMode, PushOutcome, Retry};
use sync_testkit::{Canary, Fault};

const UPDATE: &str = "sheets.values.batchUpdate";
const DELETE: &str = "sheets.spreadsheets.batchUpdate";
const APPEND: &str = "sheets.values.append";

fn pair() -> Bench {
    Bench::with(&[&["id", "n"], &["a", "1"], &["b", "2"]])
}

fn lost() -> [Fault; 4] {
    [Fault::LostAnswer, Fault::LostRequest, Fault::Cut(30), Fault::Html]
}

/// What every fault of [`lost`] is: whether the service acted.
fn acted(fault: &Fault) -> bool {
    matches!(fault, Fault::LostAnswer | Fault::Cut(_))
}

#[tokio::test]
async fn a_lost_append_is_unknown_found_by_its_key_and_not_repeated() {
    for fault in lost() {
        let bench = pair();
        bench.simulation.faults().push(APPEND, fault.clone());
        let items = || vec![record(&json!({"id": "a", "n": 9})), record(&json!({"id": "c", "n": 3}))];
        assert_eq!(bench.push(items()).await, ["updated a", "unknown"], "{fault:?}");
        assert_eq!(bench.simulation.count(APPEND), 1, "{fault:?}: never again by itself");
        let there = acted(&fault);
        let id = "c".into();
        let expected = if there { Found::Sent { id, version: None } } else { Found::Nothing };
        assert_eq!(bench.find(items()).await[1], expected, "{fault:?}");
        // Sent again by the engine, it is known by its key.
        let again = bench.push(items()).await;
        assert_eq!(again[1], if there { "updated c" } else { "created c" });
        assert_eq!(bench.rows(), ["id|n", "a|9", "b|2", "c|3"]);
    }
}

#[tokio::test]
async fn a_lost_delete_is_unknown_and_never_takes_a_second_row() {
    for fault in lost() {
        let bench = Bench::with(&[&["id", "n"], &["a", "1"], &["b", "2"], &["c", "3"]]);
        bench.simulation.faults().push(DELETE, fault.clone());
        assert_eq!(bench.push(vec![removal("a")]).await, ["unknown"], "{fault:?}");
        assert_eq!(bench.simulation.count(DELETE), 1);
        let there = Found::Sent { id: "a".into(), version: None };
        assert_eq!(bench.find(vec![removal("a")]).await, [if acted(&fault) { Found::Nothing } else { there }]);
        assert_eq!(bench.push(vec![removal("a")]).await, ["deleted a"]);
        assert_eq!(bench.rows(), ["id|n", "b|2", "c|3"]);
    }
}

#[tokio::test]
async fn a_lost_update_is_repeated_because_it_writes_the_same() {
    for fault in lost() {
        let bench = pair();
        bench.simulation.faults().push(UPDATE, fault.clone());
        assert_eq!(bench.push(vec![record(&json!({"id": "a", "n": 9}))]).await, ["updated a"], "{fault:?}");
        assert_eq!((bench.simulation.count(UPDATE), bench.rows()[1].as_str()), (2, "a|9"));
    }
}

#[tokio::test]
async fn after_an_update_that_stays_lost_nothing_more_is_sent() {
    let bench = pair();
    bench.simulation.faults().push_times(UPDATE, Fault::LostRequest, 9);
    let items = vec![record(&json!({"id": "a", "n": 9})), record(&json!({"id": "c"})), removal("b")];
    let outcomes = bench.try_push(json!({}), PushMode::Upsert, items).await.expect("per item");
    assert!(matches!(outcomes[0], PushOutcome::Unknown));
    for outcome in &outcomes[1..] {
        let PushOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.delivery(), error.retry()), (Delivery::NotSent, Retry::After(None)), "{error}");
    }
    assert_eq!((bench.simulation.count(DELETE), bench.simulation.count(APPEND)), (0, 0));
}

#[tokio::test]
async fn a_read_that_fails_leaves_every_item_unsent_and_none_unknown() {
    for fault in lost() {
        let bench = pair();
        bench.simulation.faults().push_times("sheets.values.batchGet", fault.clone(), 9);
        let error = bench.try_push(json!({}), PushMode::Upsert, vec![record(&json!({"id": "c"}))]).await.expect_err("cannot read");
        assert_eq!(error.delivery(), Delivery::NotSent, "{fault:?}: {error:?}");
        assert_eq!(bench.simulation.count(APPEND), 0);
    }
}

#[tokio::test]
async fn a_call_that_was_turned_away_is_the_batchs_error_until_something_is_written() {
    let refused = || Fault::status(400, r#"{"error":{"code":400,"message":"Invalid values","status":"INVALID_ARGUMENT"}}"#);
    let bench = pair();
    bench.simulation.faults().push(APPEND, refused());
    let new = || vec![record(&json!({"id": "c"})), record(&json!({"id": "d"}))];
    let error = bench.try_push(json!({}), PushMode::Upsert, new()).await.expect_err("the whole batch, to be split");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Invalid, Delivery::Answered));

    bench.simulation.faults().push(APPEND, refused());
    let mut mixed = new();
    mixed.push(record(&json!({"id": "a", "n": 7})));
    let outcomes = bench.try_push(json!({}), PushMode::Upsert, mixed).await.expect("per item");
    assert_eq!(said(&outcomes[2]), "updated a");
    for outcome in &outcomes[..2] {
        let PushOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, Retry::After(None)), "tried again without the others");
    }
}

#[tokio::test]
async fn a_spent_minute_of_writes_is_waited_for_and_nothing_is_written_twice() {
    let bench = pair();
    bench.sim().set_writes_per_minute(1);
    let items = vec![record(&json!({"id": "a", "n": 9})), record(&json!({"id": "c", "n": 3})), removal("b")];
    assert_eq!(bench.push(items).await, ["updated a", "created c", "deleted b"]);
    assert_eq!(bench.rows(), ["id|n", "a|9", "c|3"]);
    let slept = bench.services.clock().slept();
    assert!(slept.len() == 2 && slept.iter().all(|wait| *wait >= Duration::from_secs(60)), "{slept:?}");
    assert_eq!(bench.simulation.calls().iter().filter(|call| call.status == Some(429)).count(), 2);
}

#[tokio::test]
async fn a_write_may_take_three_minutes_and_is_unknown_after_that() {
    for (slow, outcome) in [(170, "created c"), (181, "unknown")] {
        let bench = pair();
        bench.simulation.faults().push(APPEND, Fault::Slow(Duration::from_secs(slow)));
        assert_eq!(bench.push(vec![record(&json!({"id": "c"}))]).await, [outcome], "{slow} s");
    }
}

#[tokio::test]
async fn rows_that_sheets_adds_beside_the_table_are_reported_with_their_place() {
    let bench = pair();
    let beside = r#"{"spreadsheetId":"s","tableRange":"T!B1:B2","updates":{"spreadsheetId":"s","updatedRange":"'T'!B4:C4"}}"#;
    bench.simulation.faults().push(APPEND, Fault::Body(beside.into()));
    let outcomes = bench.try_push(json!({}), PushMode::Upsert, vec![record(&json!({"id": "c"}))]).await.expect("per item");
    let PushOutcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(error.to_string().contains("added the rows at 'T'!B4:C4; move them below the table"), "{error}");
    // They are written: it waits for a person, and is neither looked for nor sent again.
    assert_eq!((error.kind(), error.delivery(), error.retry()), (ErrorKind::Conflict, Delivery::Unknown, Retry::Never));
}

#[tokio::test]
async fn an_answer_to_a_write_that_is_none_leaves_the_items_unknown_and_never_accepted() {
    let fine = r#"{"spreadsheetId":"s","responses":[{"updatedRange":"T!A2:B2","updatedRows":1}]}"#;
    for body in ["{}", "[]", r#"{"updates":{}}"#, r#"{"replies":[{}],"updatedSpreadsheet":{"sheets":[]}}"#, r#"{"responses":[]}"#, fine] {
        for (operation, item) in
            [(UPDATE, record(&json!({"id": "a", "n": 5}))), (APPEND, record(&json!({"id": "c"}))), (DELETE, removal("b"))]
        {
            let bench = pair();
            bench.simulation.faults().push_times(operation, Fault::Body(body.into()), 9);
            assert_eq!(bench.push(vec![item]).await, ["unknown"], "{operation} {body}");
        }
    }
}

/// A person sorts the sheet while the answer of this call, which is the `nth`, is on its way.
async fn sorted_while_it_waits(bench: &Bench, operation: &str, nth: usize) {
    while bench.simulation.count(operation) < nth {
        tokio::task::yield_now().await;
    }
    bench.sim().sort("T", 1, 1);
    bench.services.clock().hold(false);
    bench.services.clock().advance(Duration::from_secs(5));
}

#[tokio::test]
async fn rows_that_a_person_sorts_between_our_look_and_our_write_are_noticed_and_named() {
    let bench = Bench::with(&[&["id", "n"], &["b", "2"], &["a", "1"], &["c", "3"]]);
    bench.push(vec![record(&json!({"id": "c", "n": 3}))]).await;
    bench.simulation.faults().push("sheets.values.batchGet", Fault::Slow(Duration::from_secs(5)));
    bench.services.clock().hold(true);
    let items = vec![record(&json!({"id": "b", "n": 20})), removal("c"), record(&json!({"id": "d", "n": 4}))];
    let push = bench.try_push(json!({}), PushMode::Upsert, items);
    let sort = sorted_while_it_waits(&bench, "sheets.values.batchGet", 3);
    let (outcomes, ()) = tokio::join!(push, sort);
    let outcomes = outcomes.expect("per item");
    let PushOutcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::After(None)));
    assert!(error.to_string().contains(r#"row 2 held "b" and now holds "a", and its cells in column B were overwritten"#), "{error}");
    let PushOutcome::Failed(error) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert!(error.to_string().contains("nothing was deleted"), "{error}");
    assert_eq!(said(&outcomes[2]), "created d");
    assert_eq!(bench.rows(), ["id|n", "a|20", "b|2", "c|3", "d|4"]);
}

#[tokio::test]
async fn a_delete_that_took_another_row_says_so() {
    let bench = Bench::with(&[&["id", "n"], &["b", "2"], &["a", "1"]]);
    bench.simulation.faults().push("sheets.spreadsheets.get", Fault::Slow(Duration::from_secs(5)));
    bench.services.clock().hold(true);
    let push = bench.try_push(json!({}), PushMode::Mirror, vec![removal("b")]);
    let sort = sorted_while_it_waits(&bench, "sheets.spreadsheets.get", 1);
    let (outcomes, ()) = tokio::join!(push, sort);
    let outcomes = outcomes.expect("per item");
    let PushOutcome::Failed(error) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert!(error.to_string().contains("another row is gone in its place") && error.to_string().contains("version history"), "{error}");
    assert_eq!(bench.rows(), ["id|n", "b|2"]);
}

#[tokio::test]
async fn a_look_tells_sent_other_several_and_nothing_apart() {
    let bench = Bench::with(&[&["id", "n", "t"], &["a", "1", "x"], &["b", "2"], &["c", "3"], &["c", "3"]]);
    let id = |id: &str| id.into();
    let found = bench
        .find(vec![
            record(&json!({"id": "b", "n": 2.0, "t": null})),
            record(&json!({"id": "a", "n": 1, "t": "y"})),
            record(&json!({"id": "a", "t": "x"})),
            record(&json!({"id": "c", "n": 3})),
            record(&json!({"id": "d", "n": 3})),
            record(&json!({"id": "a", "n": []})),
            removal("a"),
            removal("c"),
            removal("d"),
        ])
        .await;
    let expected = [
        Found::Sent { id: id("b"), version: None },
        Found::Other { id: id("a"), version: None },
        Found::Sent { id: id("a"), version: None },
        Found::Several(2),
        Found::Nothing,
        Found::Nothing,
        Found::Sent { id: id("a"), version: None },
        Found::Several(2),
        Found::Nothing,
    ];
    assert_eq!(found, expected);
    assert_eq!(bench.counts()[1..], [0, 0, 0], "a look changes nothing");

    bench.sim().set_cell("T", 5, 1, provider_sheets::simulator::SimCell::Failed("#N/A"));
    assert_eq!(bench.find(vec![record(&json!({"id": "d"}))]).await, [Found::CannotTell]);
}

#[tokio::test]
async fn no_outcome_holds_the_token() {
    let canary = Canary::new(11);
    for status in [400, 401, 403, 404, 429, 500] {
        for operation in [UPDATE, APPEND, DELETE] {
            let mut bench = pair();
            bench.services = sync_testkit::TestServices::new(7).with_token(canary.secret());
            let body = json!({"error": {"code": status, "message": format!("bad {}", canary.secret()), "status": canary.secret()}});
            bench.simulation.faults().push_times(operation, Fault::status(status, body.to_string()), 9);
            let items = vec![record(&json!({"id": "a", "n": 5})), record(&json!({"id": "c"})), removal("b")];
            let outcomes = bench.try_push(json!({}), PushMode::Upsert, items).await;
            canary.assert_absent("outcomes", &format!("{outcomes:?}"));
        }
    }
}

//! Records from a file into the simulated sheet, and what became of each.

use syncline::{providers::sheets::simulator::SimCell, testkit::Fault};

use crate::house::{House, said};

const PEOPLE: &str = "id,name,hired\n1,Ada,1842-10-18\n4,\"Radia, =1+1\",1951-12-18\n";

/// The sheet as text, row by row.
fn sheet(house: &House) -> Vec<String> {
    let rows = house.google.sim().cells("Staff");
    let text = |cell: &SimCell| match cell {
        SimCell::Text(text) => text.clone(),
        SimCell::Number(number) => number.to_string(),
        SimCell::Blank => String::new(),
        other => format!("{other:?}"),
    };
    let texts = rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|"));
    texts.map(|row| row.trim_end_matches('|').to_owned()).filter(|row| !row.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_file_are_written_once_and_told_by_their_counts() {
    let house = House::new().await;
    house.connect();
    house.write("people.csv", PEOPLE);
    let push = ["push", "sheets", "Staff", "--records", "people.csv", "--key", "id"];
    let first = said(house.syncline(&push));
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.out.contains("created     1") && first.out.contains("updated     1"), "{}", first.out);
    let rows = ["id|name|hired", "1|Ada|1842-10-18", "2|Grace|1943-12-01", "3|Edsger|soon", "4|Radia, =1+1|1951-12-18"];
    assert_eq!(sheet(&house), rows);
    let again = said(house.syncline(&[&push[..], &["--json"]].concat())).json();
    assert_eq!((&again["records_unchanged"], &again["records_synced"]), (&2.into(), &0.into()), "{again}");
    let told = said(house.syncline(&push));
    assert!(told.code == 0 && told.out.contains("nothing to send") && !told.out.contains("done"), "{}{}", told.out, told.err);
    assert!(first.out.contains("done") && !first.out.contains("nothing to send"), "{}", first.out);
    let calls = house.google.calls().len();
    let runs = said(house.syncline(&["runs"]));
    assert!(runs.out.contains("Staff") && house.google.calls().len() == calls, "looking at runs calls nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_planned_shown_and_applied_but_for_what_has_changed_since() {
    let house = House::new().await;
    house.connect();
    house.write("people.csv", PEOPLE);
    let before = sheet(&house);
    let push = ["push", "sheets", "Staff", "--records", "people.csv", "--key", "id", "--plan"];
    let blind = said(house.syncline(&push));
    assert_eq!(blind.code, 0, "{}{}", blind.out, blind.err);
    assert!(blind.out.contains("name   unknown → \"Ada\""), "{}", blind.out);
    let plan = said(house.syncline(&[&push[..], &["--look"]].concat()));
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    for part in [
        "plan 2  sheets_staff → Staff  1 to make, 1 to change, 0 to delete",
        "~ 1  is there already and is not linked yet",
        "+ 4  is not known there",
        "name   \"Radia, =1+1\"",
        "nothing was written. To write it: syncline apply 2",
    ] {
        assert!(plan.out.contains(part), "{} lacks {part}", plan.out);
    }
    assert_eq!(sheet(&house), before, "a plan writes nothing");
    let listed = said(house.bare(&["plans"]));
    assert!(listed.out.contains("push") && listed.out.contains("open"), "{}", listed.out);
    let json = said(house.bare(&["plans", "2", "--json"])).json();
    let radia = &json["changes"][1];
    assert_eq!((&radia["keyValue"], &radia["type"], &radia["rule"]), (&"4".into(), &"create".into(), &"new".into()), "{json}");
    assert_eq!(radia["fields"]["name"], "Radia, =1+1");
    assert_eq!(json["plan"]["direction"], "to_external");
    // The record there moves on before the plan is applied.
    house.google.sim().set_cell("Staff", 2, 2, "Ada Lovelace");
    let applied = said(house.syncline(&["apply", "2"]));
    assert_eq!(applied.code, 3, "{}{}", applied.out, applied.err);
    assert!(applied.out.contains("its record at the service is no longer as the plan had found it"), "{}", applied.out);
    let after = sheet(&house);
    assert!(after.iter().any(|row| row.starts_with("1|Ada Lovelace")), "{after:?}");
    assert_eq!(after.last().map(String::as_str), Some("4|Radia, =1+1|1951-12-18"));
    let told = said(house.bare(&["plans", "2"]));
    assert!(told.out.contains("left alone: it has changed since") && told.out.contains("applied in part"), "{}", told.out);
    assert_eq!(said(house.bare(&["plans", "1", "--discard", "--json"])).json()["plan"]["state"], "discarded");
    let refused = said(house.syncline(&["apply", "1"]));
    assert!(refused.code != 0 && refused.err.contains("discarded"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_is_listed_with_its_reason_and_sent_again_on_demand() {
    let house = House::new().await;
    house.connect();
    house
        .write("people.jsonl", &format!("{{\"id\": \"7\", \"name\": \"{}\"}}\n{{\"id\": \"8\", \"name\": \"Ken\"}}\n", "x".repeat(50_001)));
    let pushed = said(house.syncline(&["push", "sheets", "Staff", "--records", "people.jsonl", "--key", "id"]));
    assert_eq!(pushed.code, 3, "{}{}", pushed.out, pushed.err);
    assert!(pushed.out.contains("50001") || pushed.out.contains("50,001"), "{}", pushed.out);
    assert_eq!(sheet(&house).last().map(String::as_str), Some("8|Ken"), "the other one got through");
    let listed = said(house.syncline(&["failures", "sheets"]));
    assert!(listed.out.contains("refused") && listed.out.contains(" 7 ") && listed.out.contains("to do:"), "{}", listed.out);
    let json = said(house.syncline(&["failures", "sheets", "Staff", "--json"])).json();
    assert_eq!((&json["unconfirmed"][0]["key"], &json["unconfirmed"][0]["state"]), (&"7".into(), &"failed".into()), "{json}");
    let retried = said(house.syncline(&["retry", "sheets", "Staff"]));
    assert_eq!(retried.code, 3, "it is refused again: {}{}", retried.out, retried.err);
    let given_up = said(house.syncline(&["failures", "sheets", "Staff", "--key", "7", "--forget"]));
    assert_eq!(given_up.code, 0, "{}{}", given_up.out, given_up.err);
    assert!(said(house.syncline(&["failures", "sheets"])).out.contains("every write"), "nothing is open");
    let gone = said(house.syncline(&["failures", "sheets", "Staff", "--key", "7", "--send-again"]));
    assert_eq!(gone.code, 2, "{}", gone.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_nobody_answered_stays_visible_until_somebody_decides() {
    let house = House::new().await;
    house.connect();
    house.write("people.csv", "id,name\n9,Barbara\n");
    // The request never arrives, and nobody waits to see whether it does.
    house.google.faults().push("sheets.values.append", Fault::LostRequest);
    let lost = said(house.syncline(&["push", "sheets", "Staff", "--records", "people.csv", "--key", "id", "--patience", "0"]));
    assert_eq!(lost.code, 3, "{}{}", lost.out, lost.err);
    assert!(lost.out.contains("unsettled     1"), "{}", lost.out);
    let listed = said(house.syncline(&["failures", "sheets"]));
    assert!(listed.out.contains("unknown") && listed.out.contains(" 9 "), "{}", listed.out);
    let decided = said(house.syncline(&["failures", "sheets", "--key", "9", "--send-again"]));
    assert!(decided.code == 0 || decided.code == 3, "{}{}", decided.out, decided.err);
    let sent = said(house.syncline(&["push", "sheets", "Staff", "--records", "people.csv", "--key", "id"]));
    assert_eq!(sent.code, 0, "{}{}", sent.out, sent.err);
    assert_eq!(sheet(&house).iter().filter(|row| row.contains("Barbara")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_pushed_is_refused_before_anything_is_sent() {
    let house = House::new().await;
    house.connect();
    house.write("people.csv", PEOPLE);
    house.write("one.csv", "id,name\n1,Ada\n");
    house.write("broken.jsonl", "{\"id\": 1}\n{\"id\":\n");
    house.write("list.json", "[1, 2]");
    let cases: [(&[&str], i32, &[&str]); 9] = [
        (&["push", "sheets", "Staff"], 2, &["--records"]),
        (&["push", "sheets", "Staff", "--records", "none.csv", "--key", "id"], 2, &["none.csv"]),
        (&["push", "sheets", "Staff", "--records", "broken.jsonl", "--key", "id"], 2, &["line 2"]),
        (&["push", "sheets", "Staff", "--records", "list.json", "--key", "id"], 2, &["record 1", "JSON object"]),
        (&["push", "sheets", "Stuff", "--records", "people.csv", "--key", "id"], 2, &["\"Stuff\"", "\"Staff\""]),
        (&["push", "sheets", "Staff", "--records", "people.csv"], 2, &["key columns"]),
        (&["push", "sheets", "Staff", "--records", "people.csv", "--key", "id", "--mode", "replace"], 2, &["replace", "mirror"]),
        (
            &["push", "sheets", "Staff", "--records", "one.csv", "--key", "id", "--mode", "mirror"],
            1,
            &["2 of the 3", "confirmed with --confirm-deletes", "run this again with --confirm-deletes"],
        ),
        (&["retry", "slack", "messages"], 2, &["\"slack\""]),
    ];
    let before = sheet(&house);
    for (args, code, parts) in cases {
        let answer = said(house.syncline(args));
        assert_eq!(answer.code, code, "{args:?}: {}{}", answer.out, answer.err);
        for part in parts {
            assert!(answer.err.contains(part), "{args:?}: {} lacks {part}", answer.err);
        }
        for call in ["confirm_deletes", "Push::", "PushRecord", "accept_shape"] {
            assert!(!answer.err.contains(call) && !answer.out.contains(call), "{args:?} names a call: {}{}", answer.out, answer.err);
        }
    }
    assert_eq!(sheet(&house), before);
    // A header that changed since the last push.
    assert_eq!(said(house.syncline(&["push", "sheets", "Staff", "--records", "people.csv", "--key", "id"])).code, 0);
    house.google.sim().rename_header("Staff", "hired", "since");
    house.write("new.csv", "id,name\n5,Alan\n");
    let refused = said(house.syncline(&["push", "sheets", "Staff", "--records", "new.csv", "--key", "id"]));
    assert!(refused.code == 2 && refused.err.contains("missing \"hired\"") && refused.err.contains("new \"since\""), "{}", refused.err);
    assert!(refused.err.contains("run this again with --accept-shape") && !refused.err.contains("accept_shape"), "{}", refused.err);
    let accepted = said(house.syncline(&["push", "sheets", "Staff", "--records", "new.csv", "--key", "id", "--accept-shape"]));
    assert_eq!(accepted.code, 0, "{}{}", accepted.out, accepted.err);
}

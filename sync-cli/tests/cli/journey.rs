//! From connecting to explaining, as a person goes.

use serde_json::json;

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_pulled_shown_and_explained() {
    let house = House::new().await;

    let connected = said(house.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC", "--subject", "client-7"]));
    assert_eq!(connected.code, 0, "{}", connected.err);
    for part in ["connected sheets to Staff list", "connection  ", "Staff", "next        syncline pull sheets \"Staff\" --key COLUMN"] {
        assert!(connected.out.contains(part), "{} lacks {part}", connected.out);
    }
    assert!(connected.err.contains("syncline.db.keys"), "a new keys file is announced: {}", connected.err);

    let streams = said(house.syncline(&["streams", "sheets"]));
    assert!(streams.out.contains("Staff") && streams.out.contains("id, name, hired") && streams.out.contains("--key"), "{}", streams.out);

    let pulled = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"]));
    assert_eq!(pulled.code, 0, "{}", pulled.err);
    assert!(pulled.out.contains("sheets/Staff → sheets_staff  done in") && pulled.out.contains("created     3"), "{}", pulled.out);

    house.google.sim().set_cell("Staff", 3, 2, "Grace Hopper");
    let again = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id", "--json"])).json();
    let figures = (&again["success"], &again["records_updated"], &again["records_unchanged"], &again["stats"]["rows_processed"]);
    assert_eq!(figures, (&json!(true), &json!(1), &json!(2), &json!(3)), "{again}");

    let shown = said(house.bare(&["show", "sheets_staff"]));
    assert!(shown.out.contains("Grace Hopper") && shown.out.contains("3 rows"), "{}", shown.out);
    let row = said(house.bare(&["show", "sheets_staff", "2"]));
    assert!(row.out.contains("hired") && row.out.contains("1943-12-01") && row.out.contains("last written"), "{}", row.out);

    let explained = said(house.bare(&["explain", "sheets_staff", "2", "name"]));
    let parts = [
        "name of sheets_staff 2 is \"Grace Hopper\"",
        "the Google sheet \"Staff list\" (Staff → Column B)",
        "before   \"Grace\"",
        "in run 2 (",
        "belongs to this stream alone",
    ];
    for part in parts {
        assert!(explained.out.contains(part), "{} lacks {part}", explained.out);
    }
    let story = said(house.bare(&["explain", "sheets_staff", "2", "name", "--json"])).json();
    let change = &story["fields"][0]["explanation"]["set_by"];
    assert_eq!(
        (&change["value"], &change["rule"], &change["run"]),
        (&json!("Grace Hopper"), &json!("source_of_truth"), &json!(2)),
        "{story}"
    );
    let all = said(house.bare(&["explain", "sheets_staff", "2"]));
    assert!(all.out.contains("hired is \"1943-12-01\"") && all.out.contains("(Staff → Column C)"), "{}", all.out);
    let history = said(house.bare(&["history", "sheets_staff", "2"]));
    let (new, old) = (history.out.find("\"Grace\" → \"Grace Hopper\""), history.out.find("\"Grace\"  (new row)"));
    assert!(new.is_some() && new < old, "the newest first: {}", history.out);
    let then = said(house.bare(&["history", "sheets_staff", "2", "--as-of", "2001-01-01"]));
    assert!(then.code == 0 && then.out.contains("sheets_staff 2 was not there at 2001-01-01"), "{}{}", then.out, then.err);
    let now = said(house.bare(&["history", "sheets_staff", "2", "name", "--as-of", "2199-01-01", "--json"])).json();
    assert_eq!((&now["row"], now["changes"].as_array().map(Vec::len)), (&json!({ "name": "Grace Hopper" }), Some(2)), "{now}");

    let status = said(house.bare(&["status"]));
    assert!(status.out.contains("Staff list") && status.out.contains("In use. Last pulled just now"), "{}", status.out);
    assert_eq!(said(house.bare(&["status", "--json"])).json()["connections"][0]["subject_id"], "client-7");

    let runs = said(house.bare(&["runs"]));
    assert!(runs.out.lines().count() == 3 && runs.out.contains("sheets_staff"), "{}", runs.out);
    assert_eq!(said(house.bare(&["runs", "1", "--json"])).json()["run"]["counts"]["created"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_fail_are_named_and_the_exit_code_says_so() {
    let house = House::new().await;
    house.connect();
    house.write(
        "staff.toml",
        r#"
            name = "staff"
            stream = "Staff"
            entity = "person"
            columns = [
                { source = "id", target = "id", key = true },
                { source = "hired", target = "hired_on", transforms = ["date"] },
            ]
        "#,
    );
    let pulled = said(house.syncline(&["pull", "sheets", "Staff", "--mapping", "staff.toml"]));
    assert_eq!(pulled.code, 3, "{}{}", pulled.out, pulled.err);
    assert!(pulled.out.contains("done in part"), "{}", pulled.out);
    assert!(pulled.out.contains("Row 4, Column C (hired): \"soon\" is not a date"), "{}", pulled.out);
    let absent = said(house.bare(&["explain", "person", "3"]));
    assert!(
        absent.code == 0 && absent.out.contains("could not be taken by run 1: Row 4, Column C (hired)"),
        "{}{}",
        absent.out,
        absent.err
    );
    let never = said(house.bare(&["explain", "person", "nobody"]));
    assert!(never.out.contains("the service has not shown it") && never.out.contains("read 3 records without it"), "{}", never.out);
    let run = said(house.bare(&["runs", "1"]));
    assert!(run.out.contains("Row 4, Column C (hired)") && run.out.contains("in part"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_replaced_only_on_request_and_keeps_its_id() {
    let house = House::new().await;
    house.connect();
    let id = said(house.bare(&["status", "--json"])).json()["connections"][0]["id"].clone();
    let again = said(house.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC"]));
    assert_eq!(again.code, 2);
    assert!(again.err.contains("Staff list is connected already") && again.err.contains("--replace"), "{}", again.err);
    house.google.sim().expect_token("ya29.another");
    let mut replace = house.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC", "--set", "header_row=1", "--replace"]);
    replace.env("SYNCLINE_TOKEN", "ya29.another");
    let replaced = said(replace);
    assert!(replaced.code == 0 && replaced.out.contains("connected again"), "{}{}", replaced.out, replaced.err);
    let status = said(house.bare(&["status", "--json"])).json();
    assert_eq!((&status["connections"][0]["id"], &status["connections"][0]["settings"]["header_row"]), (&id, &json!(1)));
    assert_eq!(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"])).code, 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_stops_the_run_and_the_next_one_goes_on() {
    use std::{process::Stdio, time::Duration};

    let house = House::new().await;
    house.connect();
    // Far longer than the test takes: the run can only end by being stopped.
    house.google.latency(Duration::from_secs(60));
    let before = house.google.count("sheets.spreadsheets.get");
    let command = house.syncline(&["pull", "sheets", "Staff", "--key", "id"]);
    let mut child = std::process::Command::new(command.get_program());
    child.args(command.get_args()).current_dir(house.path("")).stderr(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        child.env(name, value);
    }
    let child = child.spawn().expect("the command starts");
    let running = || house.google.count("sheets.spreadsheets.get") > before;
    while !running() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("run 1 was stopped") && err.contains("the next pull goes on from there"), "{err}");
    house.google.latency(Duration::ZERO);
    assert_eq!(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"])).code, 0);
    assert_eq!(said(house.bare(&["runs", "1", "--json"])).json()["run"]["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_shown_approved_and_applied_but_for_what_has_changed_since() {
    let house = House::new().await;
    house.connect();
    assert_eq!(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"])).code, 0);
    house.google.sim().set_cell("Staff", 2, 2, "Ada Lovelace");
    house.google.sim().set_cell("Staff", 3, 2, "Grace Hopper");
    let plan = said(house.syncline(&["plan", "sheets", "Staff", "--key", "id"]));
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    for part in [
        "plan 2  Staff → sheets_staff  0 to make, 2 to change, 0 to delete",
        "~ 2  row 3",
        "name  \"Grace\" → \"Grace Hopper\"",
        "nothing was written. To write it: syncline apply 2",
    ] {
        assert!(plan.out.contains(part), "{} lacks {part}", plan.out);
    }
    assert!(said(house.bare(&["show", "sheets_staff", "2"])).out.contains("Grace\n"), "a plan writes nothing");
    let listed = said(house.bare(&["plans"]));
    assert!(listed.out.contains("open") && listed.out.contains("sheets_staff"), "{}", listed.out);
    let json = said(house.bare(&["plans", "2", "--json"])).json();
    assert_eq!(
        json["changes"][1],
        json!({ "entity": "sheets_staff", "keyField": "id", "keyValue": "2", "type": "update", "fields": { "name": "Grace Hopper" }, "existing": { "name": "Grace" } })
    );
    assert_eq!(said(house.bare(&["plans", "2", "--approve", "--json"])).json()["plan"]["state"], "approved");
    // One of the rows moves on before the plan is applied.
    house.google.sim().set_cell("Staff", 2, 2, "Ada King");
    assert_eq!(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id", "--limit", "1"])).code, 0);
    let applied = said(house.bare(&["apply", "2"]));
    assert_eq!(applied.code, 3, "{}{}", applied.out, applied.err);
    assert!(applied.out.contains("\"1\" is no longer as the plan had found it"), "{}", applied.out);
    assert!(said(house.bare(&["show", "sheets_staff", "2"])).out.contains("Grace Hopper"));
    assert!(said(house.bare(&["show", "sheets_staff", "1"])).out.contains("Ada King"));
    let after = said(house.bare(&["plans", "2"]));
    assert!(after.out.contains("left alone: it has changed since") && after.out.contains("applied in part"), "{}", after.out);
    let story = said(house.bare(&["explain", "sheets_staff", "2", "name"]));
    let told = ["is \"Grace Hopper\"", "before   \"Grace\"", "in run 4 (applying a plan"];
    assert!(told.iter().all(|part| story.out.contains(part)), "{}", story.out);
    let undo = said(house.bare(&["undo", "4"]));
    assert!(undo.code == 0 && undo.out.contains("\"Grace Hopper\" → \"Grace\"  (undo)"), "{}{}", undo.out, undo.err);
    assert_eq!(said(house.bare(&["undo", "4", "--now"])).code, 0);
    assert!(said(house.bare(&["show", "sheets_staff", "2"])).out.contains("Grace\n"));
    let unknown = said(house.bare(&["apply", "77"]));
    assert!(unknown.code != 0 && unknown.err.contains("there is no plan 77"), "{}", unknown.err);
}

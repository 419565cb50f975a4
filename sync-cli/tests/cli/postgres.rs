//! The command on a PostgreSQL server: the same journey, its migrations, its doctor, and what wrong names get.

use serde_json::Value;
use sync_testkit::postgres::TestDatabase;

use crate::house::{House, Said, said};

/// A house with an empty database on the tests' server.
struct Server {
    house: House,
    database: TestDatabase,
}

impl Server {
    async fn new() -> Self {
        Self { house: House::new().await, database: TestDatabase::create().await }
    }

    /// The command with the database in its environment, where passwords belong.
    fn run(&self, args: &[&str]) -> Said {
        let mut command = self.house.syncline(args);
        command.env("SYNCLINE_DATABASE", self.database.url());
        said(command)
    }
}

fn findings<'d>(document: &'d Value, check: &str, level: &str) -> Vec<&'d str> {
    let all = document["findings"].as_array().expect("findings").iter();
    all.filter(|finding| finding["check"] == check && finding["level"] == level).filter_map(|finding| finding["found"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_is_pulled_into_a_server_and_looked_at_there() {
    let server = Server::new().await;
    let unmigrated = server.run(&["status"]);
    assert_eq!(unmigrated.code, 2, "{}{}", unmigrated.out, unmigrated.err);
    assert!(unmigrated.err.contains("no tables of Syncline") && unmigrated.err.contains("syncline migrate"), "{}", unmigrated.err);
    let connected = server.run(&["connect", "sheets", "--set", "spreadsheet_id=1AbC"]);
    assert_eq!(connected.code, 0, "{}{}", connected.out, connected.err);
    assert!(server.house.path("syncline.keys").exists(), "keys stand beside no file, so they are named after the schema");
    let pull = ["pull", "sheets", "Staff", "--key", "id"];
    let first = server.run(&pull);
    assert!(first.code == 0 && first.out.contains("created     3"), "{}{}", first.out, first.err);
    let again = server.run(&[&pull[..], &["--json"]].concat()).json();
    assert_eq!((&again["records_unchanged"], &again["records_created"]), (&3.into(), &0.into()), "{again}");
    let shown = server.run(&["show", "sheets_staff", "2", "--json"]).json();
    assert_eq!(shown["rows"][0]["fields"]["name"], "Grace", "{shown}");
    let explained = server.run(&["explain", "sheets_staff", "2", "name"]);
    assert!(explained.out.contains("Grace") && explained.out.contains("Staff → Column B"), "{}{}", explained.out, explained.err);
    let other = server.run(&["status", "--workspace", "another", "--json"]).json();
    assert_eq!(other["connections"], Value::from(Vec::<Value>::new()), "another tenant sees nothing");
    let status = server.run(&["status"]);
    assert!(status.out.contains("Staff list") && status.out.contains("In use."), "{}", status.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_printed_for_who_has_the_rights_and_run_once() {
    let server = Server::new().await;
    let script = server.run(&["migrate", "--print"]);
    assert!(script.code == 0 && script.out.starts_with("BEGIN;") && script.out.trim_end().ends_with("COMMIT;"), "{}", script.err);
    let early = server.run(&["migrate", "--print", "--pending"]);
    assert_eq!(early.out, script.out, "of an empty database everything is pending");
    // What is printed is what somebody else may run.
    use syncline::storage::postgres::sqlx::{AssertSqlSafe, raw_sql};
    let mut connection = server.database.connection().await;
    raw_sql(AssertSqlSafe(script.out.clone())).execute(&mut connection).await.expect("the script runs");
    let nothing = server.run(&["migrate", "--json"]).json();
    assert_eq!((&nothing["ran"], nothing["before"] == nothing["now"]), (&Value::from(Vec::<Value>::new()), true), "{nothing}");
    let pending = server.run(&["migrate", "--print", "--pending"]);
    assert!(pending.out.is_empty() && pending.err.contains("nothing is missing"), "{}{}", pending.out, pending.err);
    let elsewhere = server.run(&["migrate", "--schema", "other"]);
    assert!(elsewhere.code == 0 && elsewhere.out.contains("migrated") && elsewhere.out.contains("\"other\""), "{}", elsewhere.err);

    // Behind: the last step is taken back by hand, and only those who may migrate go on.
    raw_sql("UPDATE syncline.migrations SET version = version + 1000 WHERE version = 1").execute(&mut connection).await.expect("changed");
    let newer = server.run(&["status"]);
    assert!(newer.code == 2 && newer.err.contains("newer version"), "{}", newer.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_prints_and_runs_its_migrations_too() {
    let house = House::new().await;
    let script = said(house.bare(&["migrate", "--print"]));
    assert!(script.code == 0 && script.out.contains("CREATE TABLE syncline_sync_runs"), "{}", script.err);
    assert!(!house.path("syncline.db").exists(), "printing makes nothing");
    let migrated = said(house.bare(&["migrate", "--json"])).json();
    assert!(migrated["before"] == 0 && migrated["now"].as_i64().expect("a number") >= 2, "{migrated}");
    let again = said(house.bare(&["migrate"]));
    assert!(again.code == 0 && again.out.contains("nothing was done"), "{}", again.out);
    let doctor = said(house.bare(&["doctor", "--json", "--database", "sqlite:syncline.db"]));
    let document = doctor.json();
    assert_eq!((doctor.code, &document["worst"], &document["storage"]), (0, &"ok".into(), &"sqlite".into()), "{document}");
    house.write("torn.db", &"x".repeat(5000));
    let torn = said(house.bare(&["doctor", "--database", "torn.db"]));
    assert!(torn.code == 1 && torn.err.contains("torn.db"), "{}{}", torn.out, torn.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_tells_what_is_wrong_with_a_server_and_what_to_do() {
    let server = Server::new().await;
    let empty = server.run(&["doctor", "--json"]);
    let document = empty.json();
    assert_eq!((empty.code, &document["success"]), (1, &false.into()));
    assert_eq!(findings(&document, "migrations", "error").len(), 1, "{document}");
    assert_eq!(server.run(&["migrate"]).code, 0);
    let document = server.run(&["doctor", "--json"]).json();
    assert_eq!(findings(&document, "migrations", "ok").len(), 1, "{document}");
    assert_eq!(findings(&document, "row_security", "ok").len(), 1, "{document}");
    use syncline::storage::postgres::sqlx::raw_sql;
    let mut connection = server.database.connection().await;
    raw_sql("ALTER TABLE syncline.sync_runs NO FORCE ROW LEVEL SECURITY").execute(&mut connection).await.expect("changed");
    let told = server.run(&["doctor"]);
    assert_eq!(told.code, 1, "{}", told.out);
    let parts =
        ["row security does not hold for its owner", "ALTER TABLE \"syncline\".\"sync_runs\" FORCE ROW LEVEL SECURITY", "to do:", "error"];
    for part in parts {
        assert!(told.out.contains(part), "{part} is missing in {}", told.out);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_names_of_databases_say_what_to_do_and_never_a_password() {
    let server = Server::new().await;
    let url = server.database.url();
    let (user, rest) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).expect("a user");
    let user = user.split(':').next().unwrap_or(user);
    let stranger = format!("postgres://nobody_of_ours:hunter2@{rest}");
    let nowhere = format!("postgres://{user}:hunter2@{}", rest.replace("syncline_test_", "not_there_"));
    let cases: [(&str, i32, &[&str]); 8] = [
        ("mysql://ada:hunter2@db/app", 2, &["\"mysql://\"", "postgres://user@host/database"]),
        ("postgres://ada:hunter2@localhost", 2, &["names no database"]),
        ("postgres://ada:hunter2@localhost/app?sslmod=require", 2, &["\"sslmod\"", "sslmode"]),
        ("postgres://ada:hunter2@localhost/app?sslmode=yes", 2, &["\"yes\"", "verify-full"]),
        ("postgres://ada:hunter2@127.0.0.1:1/app", 1, &["cannot be reached", "start the server"]),
        (&stranger, 2, &["user"]),
        (&nowhere, 2, &["no database of this name", "CREATE DATABASE"]),
        ("postgres://ada:hunter2@[::1/app", 2, &["cannot be read"]),
    ];
    for (name, code, parts) in cases {
        for by_flag in [true, false] {
            for command in ["status", "doctor", "migrate"] {
                let answer = if by_flag {
                    said(server.house.bare(&["--database", name, command, "-vv"]))
                } else {
                    let mut bare = server.house.bare(&[command, "--json"]);
                    bare.env("SYNCLINE_DATABASE", name);
                    said(bare)
                };
                assert_eq!(answer.code, code, "{name} {command}: {}{}", answer.out, answer.err);
                for part in parts {
                    assert!(answer.err.contains(part), "{name} {command}: {} lacks {part}", answer.err);
                }
                assert!(answer.err.contains("to do:") && !answer.err.contains("panicked"), "{}", answer.err);
                assert!(!answer.err.contains("hunter2") && !answer.out.contains("hunter2"), "{}{}", answer.out, answer.err);
            }
        }
    }
    for args in [&["postgres://ada:hunter2@db/app", "status"][..], &["pull", "--databas", "postgres://ada:hunter2@db/app"]] {
        let answer = said(server.house.bare(args));
        assert!(answer.code == 2 && !answer.err.contains("hunter2"), "{}", answer.err);
    }
    let file = said(server.house.bare(&["status", "--pooler"]));
    assert!(file.code == 2 && file.err.contains("--pooler") && file.err.contains("syncline.db"), "{}", file.err);
    let untouched = server.run(&["connect", "sheets", "--set", "spreadsheet_id=1AbC", "--no-migrate"]);
    assert!(untouched.code == 2 && untouched.err.contains("syncline migrate"), "{}", untouched.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_on_a_server_in_a_schema_of_its_own() {
    let server = Server::new().await;
    let url = server.database.url();
    let demo = said(server.house.bare(&["demo", "--json", "--database", &url]));
    assert_eq!(demo.code, 0, "{}{}", demo.out, demo.err);
    assert_eq!(demo.json()["runs"].as_array().expect("runs").len(), 18);
    let twice = said(server.house.bare(&["demo", "--database", &url]));
    assert!(twice.code == 2 && twice.err.contains("--force") && twice.err.contains("syncline_demo"), "{}", twice.err);
    let rows = said(server.house.bare(&["--database", &url, "--schema", "syncline_demo", "show", "movie", "Following", "--json"])).json();
    assert_eq!(rows["rows"][0]["fields"]["budget_micros"], 6_000_000_000_u64, "{rows}");
    std::fs::remove_file(server.house.path("syncline_demo.keys")).expect("it was made");
    let precious = said(server.house.bare(&["demo", "--force", "--database", &url]));
    assert!(precious.code == 2 && precious.err.contains("was not made by a demo"), "{}", precious.err);
}

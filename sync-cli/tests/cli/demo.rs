//! The demo, line by line against its database.

use rusqlite::Connection;
use serde_json::Value;

use crate::house::{House, Said, said};

fn line<'s>(said: &'s Said, beginning: &str, nth: usize) -> &'s str {
    let mut lines = said.out.lines().map(str::trim).filter(|line| line.starts_with(beginning));
    lines.nth(nth).unwrap_or_else(|| panic!("no line {nth} begins with {beginning:?} in\n{}", said.out))
}

/// The figures of a line: read, created, updated, unchanged, skipped, failed, deleted, rows in the table.
fn figures(line: &str) -> Vec<u64> {
    let (_, rest) = line.split_once("→ ").or_else(|| line.split_once("← ")).expect("stream and table");
    rest.split_whitespace().skip(1).take(8).map_while(|word| word.replace(',', "").parse().ok()).collect()
}

fn count(db: &Connection, sql: &str) -> u64 {
    let rows = db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or_else(|problem| panic!("{problem} in {sql}"));
    rows.unsigned_abs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_does_the_main_job_and_tells_what_the_database_holds() {
    let house = House::new().await;
    let demo = said(house.bare(&["demo"]));
    assert_eq!(demo.code, 0, "{}\n{}", demo.out, demo.err);
    assert!(!demo.out.contains('\u{1b}') && !demo.err.contains('\u{1b}'), "no colours outside of a terminal");
    let db = Connection::open(house.path("demo.db")).expect("the file is left");

    // The first pull, and 1 % changed.
    let airports = figures(line(&demo, "Airports → sheets_airports", 0));
    assert_eq!(airports, [3376, 3376, 0, 0, 0, 0, 0, 3376]);
    assert_eq!(count(&db, "SELECT count(*) FROM sheets_airports"), 3376);
    let again = figures(line(&demo, "Airports → sheets_airports", 1));
    assert_eq!(again, [3376, 0, 34, 3342, 0, 0, 0, 3376]);
    let renamed = "SELECT count(*) FROM syncline_field_lineage WHERE entity_type = 'sheets_airports' AND previous_value IS NOT NULL";
    assert_eq!(count(&db, renamed), 34, "only the changed rows were written");

    // Films: every row is accounted for, the bad ones by row and column.
    let movies = figures(line(&demo, "Movies → movie", 0));
    let [read, created, 0, 0, skipped, failed, 0, rows] = movies[..] else { panic!("{movies:?}") };
    assert_eq!((read, created, rows), (3201, 3201 - skipped - failed, count(&db, "SELECT count(*) FROM movie")));
    let failures = |severity: &str| {
        let of = "run_id IN (SELECT id FROM syncline_sync_runs WHERE mapping = 'movies')";
        count(&db, &format!("SELECT count(*) FROM syncline_sync_failures WHERE severity = '{severity}' AND {of}"))
    };
    assert_eq!(failures("error"), failed);
    assert!(failed >= 8 && skipped >= 20, "{failed} failed, {skipped} skipped");
    assert!(demo.out.contains("Row 47, Column F (Release Date): \"Febtober 3 2006\" is not a date"), "{}", demo.out);
    let film = "SELECT budget_micros, us_gross_micros, rating FROM movie WHERE title = 'Following'";
    let film: (i64, i64, String) = db.query_row(film, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("a film");
    assert_eq!(film, (6_000_000_000, 44_705_000_000, "R".into()), "after what was applied to it was taken back");

    // The plan, what it did, and that it is undone.
    assert!(line(&demo, "plan ", 0).ends_with("1 to make, 2 to change, 1 to delete; 3,165 stay as they are"), "{}", demo.out);
    for part in
        ["+ April Fool's Day  row 47", "~ Following  row 8", "us_gross_micros         44705000000 → 48482000000", "- Annie Get Your Gun"]
    {
        assert!(demo.out.contains(part), "{part}: {}", demo.out);
    }
    let (applied, undone) = (figures(line(&demo, "Movies → movie", 1)), figures(line(&demo, "Movies → movie", 2)));
    assert_eq!((applied[1], applied[2], applied[6], applied[7]), (1, 2, 1, rows));
    assert_eq!((undone[1], undone[2], undone[6], undone[7]), (1, 2, 1, rows));
    assert!(demo.out.contains("rows, to the last field as before"), "{}", demo.out);
    assert_eq!(count(&db, "SELECT count(*) FROM movie WHERE title = 'Annie Get Your Gun'"), 1, "the row that was deleted is back");
    assert_eq!(count(&db, "SELECT count(*) FROM movie WHERE title = 'April Fool''s Day'"), 0, "the row that was made is gone");
    assert_eq!(count(&db, "SELECT count(*) FROM syncline_plans WHERE state = 'applied' AND changed_by = 'ben'"), 1);

    // The renamed key.
    let refused = figures(line(&demo, "Airports → sheets_airports", 2));
    assert_eq!(refused, [0, 0, 0, 0, 0, 0, 0, 3376]);
    assert_eq!(figures(line(&demo, "Airports → sheets_airports", 3)), [3376, 0, 0, 3376, 0, 0, 0, 3376]);
    assert!(demo.out.contains("\"IATA code\", \"name\", \"city\""), "the headers it saw: {}", demo.out);

    // The dropped run and the one that went on.
    let (dropped, resumed) = (figures(line(&demo, "messages → communication", 0)), figures(line(&demo, "messages → communication", 1)));
    assert!(line(&demo, "messages → communication", 0).ends_with("stopped"));
    let rows = count(&db, "SELECT count(*) FROM communication");
    assert_eq!(dropped[7], dropped[1], "what was read before the drop is committed");
    assert_eq!((dropped[1] + resumed[1], resumed[7]), (rows, rows), "nothing is lost or doubled");
    assert!(dropped[0] > 0 && resumed[0] < rows, "the second run does not begin anew: {dropped:?} {resumed:?}");
    let statuses = "SELECT group_concat(status, ' ') FROM (SELECT status FROM syncline_sync_runs WHERE mapping <> '' AND stream = 'messages' ORDER BY id)";
    assert_eq!(db.query_row(statuses, [], |row| row.get::<_, String>(0)).expect("two runs"), "cancelled completed");

    // The edit and the delete.
    let messages = figures(line(&demo, "messages → slack_messages", 0));
    let full = figures(line(&demo, "messages → slack_messages", 1));
    assert_eq!((full[2], full[6], full[7]), (1, 1, messages[7] - 1));
    assert_eq!(count(&db, "SELECT count(*) FROM slack_messages"), full[7] + 3, "and the three that were posted after it");

    // What was written, once each, although an answer of each service was lost.
    let (rows, posts) = (figures(line(&demo, "Partners ← records", 0)), figures(line(&demo, "messages ← records", 0)));
    assert_eq!((&rows[..6], &posts[..2]), (&[51, 50, 0, 0, 0, 1][..], &[3, 3][..]));
    assert_eq!(count(&db, "SELECT count(*) FROM sheets_partners"), 50);
    assert!(
        demo.out.contains("wordy@example.com") && demo.out.contains("a cell takes 50000"),
        "the refused one, with its reason: {}",
        demo.out
    );
    assert_eq!(figures(line(&demo, "Partners ← records", 1))[3], 50, "the same push again finds them unchanged");
    assert_eq!(count(&db, "SELECT count(*) FROM syncline_push_intents"), 1, "the refused one alone is kept");

    // Where a value came from, and no token anywhere.
    assert!(demo.out.contains("before   \"") && demo.out.contains("(Airports → Column B)"), "{}", demo.out);
    for secret in ["ya29.demo", "xoxb-demo"] {
        assert!(!demo.out.contains(secret) && !demo.err.contains(secret));
        let bytes = std::fs::read(house.path("demo.db")).expect("the file");
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a token is in the database");
    }
    drop(db);

    // What the demo tells its reader to try.
    let commands: Vec<&str> = demo.out.lines().filter_map(|line| Some(line.split_once("syncline --database ")?.1)).collect();
    assert_eq!(commands.len(), 2, "{}", demo.out);
    for command in commands {
        let words: Vec<&str> = std::iter::once("--database").chain(command.split(' ')).collect();
        let answer = said(house.bare(&words));
        assert!(answer.code == 0 && answer.out.lines().count() > 3, "{command}: {}{}", answer.out, answer.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_replaces_only_a_demos_database_and_answers_json() {
    let house = House::new().await;
    house.connect();
    let precious = said(house.bare(&["demo", "--database", "syncline.db", "--force"]));
    assert!(precious.code == 2 && precious.err.contains("was not made by a demo"), "{}", precious.err);
    let first = said(house.bare(&["demo", "--json", "--database", "my demo.db"]));
    let document = first.json();
    assert_eq!((first.code, &document["database"]), (0, &Value::from("my demo.db")));
    assert_eq!(document["runs"].as_array().expect("runs").len(), 18, "{document}");
    assert_eq!(said(house.bare(&["demo", "--database", "my demo.db"])).code, 2, "it exists");
    assert_eq!(said(house.bare(&["demo", "--json", "--database", "my demo.db", "--force"])).code, 0);
}

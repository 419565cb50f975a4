//! What wrong input gets: an exit code, and words that name it and what exists.

use crate::house::{House, said};

/// Every refusal is told in three lines.
fn three_lines(err: &str) -> bool {
    let lines: Vec<&str> = err.lines().collect();
    matches!(lines.as_slice(), [.., what, place, hint] if what.starts_with("error: ") && place.starts_with("  where: ") && hint.starts_with("  to do: "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_names_and_settings_are_named_with_what_exists() {
    let house = House::new().await;
    house.connect();
    house.write("broken.toml", "name = \"m\"\nstream = \"Staff\"\nentitty = \"x\"\n");
    house.write("other.toml", "name = \"m\"\nstream = \"Other\"\nentity = \"x\"\n");
    house.write("list.json", "[1]");
    let cases: [(&[&str], i32, &[&str]); 23] = [
        (&["connect", "gmail"], 2, &["gmail", "sheets", "slack"]),
        (&["connect", "sheets"], 2, &["spreadsheet_id"]),
        (&["connect", "sheets", "--set", "spreadsheet_id=1AbC", "--set", "sheet=1", "--replace"], 2, &["`sheet`", "header_row"]),
        (&["connect", "sheets", "--set", "spreadsheet_id"], 2, &["key=value"]),
        (&["connect", "sheets", "--set", "spreadsheet_id=1Unknown", "--replace"], 2, &["error:"]),
        (&["connect", "sheets", "--settings", "list.json"], 2, &["list.json", "JSON object"]),
        (&["connect", "sheets", "--settings", "none.json"], 2, &["none.json"]),
        (&["connect", "sheets", "--token-env", "NO_SUCH_VARIABLE"], 2, &["NO_SUCH_VARIABLE"]),
        (&["connect", "sheets", "--token-file", "none.txt"], 2, &["none.txt"]),
        (&["pull", "slack", "messages"], 2, &["\"slack\"", "sheets, Staff list"]),
        (&["pull", "sheets", "Stuff", "--key", "id"], 2, &["\"Stuff\"", "\"Staff\""]),
        (&["pull", "sheets", "Staff"], 2, &["key column", "\"id\", \"name\", \"hired\""]),
        (&["pull", "sheets", "Staff", "--key", "Id"], 2, &["\"Id\"", "did you mean \"id\"?"]),
        (&["pull", "sheets", "Staff", "--key", "id", "--partition", "x"], 2, &["partition x"]),
        (&["pull", "sheets", "Staff", "--mapping", "none.toml"], 2, &["none.toml"]),
        (&["pull", "sheets", "Staff", "--mapping", "broken.toml"], 2, &["entitty", "line 3"]),
        (&["pull", "sheets", "Staff", "--mapping", "other.toml"], 2, &["\"Other\"", "\"Staff\""]),
        (&["show", "nothing"], 2, &["nothing"]),
        (&["explain", "nothing", "1"], 2, &["nothing"]),
        (&["history", "nothing", "1"], 2, &["nothing"]),
        (&["runs", "99"], 2, &["run 99"]),
        (&["--database", "none.db", "status"], 2, &["none.db"]),
        (&["--config", "none.toml", "status"], 2, &["none.toml"]),
    ];
    for (args, code, parts) in cases {
        let answer = said(house.syncline(args));
        assert_eq!(answer.code, code, "{args:?}: {}{}", answer.out, answer.err);
        for part in parts {
            assert!(answer.err.contains(part), "{args:?}: {} lacks {part}", answer.err);
        }
        assert!(three_lines(&answer.err), "{args:?}: {}", answer.err);
        assert!(!answer.err.contains("panicked") && !answer.err.contains("stack backtrace"), "{}", answer.err);
    }
    let rows = said(house.bare(&["show", "sheets_staff"]));
    assert_eq!(rows.code, 2, "nothing was written: {}", rows.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_credentials_have_a_code_of_their_own() {
    let house = House::new().await;
    let mut connect = house.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC"]);
    connect.env("SYNCLINE_TOKEN", "wrong-token");
    let refused = said(connect);
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(three_lines(&refused.err) && !refused.err.contains("wrong-token"), "{}", refused.err);

    house.connect();
    house.google.sim().revoke_token();
    let pulled = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"]));
    assert_eq!(pulled.code, 4, "{}{}", pulled.out, pulled.err);
    assert!(pulled.err.contains("connect the account again"), "{}", pulled.err);
    let json = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id", "--json"]));
    assert_eq!((json.code, &json.json()["success"]), (4, &false.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_run_is_one_document_too() {
    let house = House::new().await;
    house.connect();
    let refused = said(house.syncline(&["pull", "slack", "messages", "--json"]));
    let document = refused.json();
    assert_eq!((refused.code, &document["success"], &document["error"]["kind"]), (2, &false.into(), &"config".into()), "{document}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_written_stops_the_run_in_plain_words() {
    use std::os::unix::fs::PermissionsExt as _;

    let house = House::new().await;
    house.connect();
    house.write("not-a-database.db", "this is no database, however one looks at it, and long enough to be read as one");
    let broken = said(house.syncline(&["--database", "not-a-database.db", "status"]));
    assert!(broken.code == 1 && broken.err.contains("not-a-database.db") && three_lines(&broken.err), "{} {}", broken.code, broken.err);

    let permissions = |mode| std::fs::Permissions::from_mode(mode);
    let folder = house.path("");
    std::fs::set_permissions(house.path("syncline.db"), permissions(0o444)).expect("set");
    std::fs::set_permissions(&folder, permissions(0o555)).expect("set");
    let writable = std::fs::write(house.path("probe"), "x").is_ok();
    let answer = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"]));
    std::fs::set_permissions(&folder, permissions(0o755)).expect("set");
    // Root writes whatever the permissions say; there is nothing to see then.
    if !writable {
        assert_eq!(answer.code, 1, "{}{}", answer.out, answer.err);
        assert!(three_lines(&answer.err), "{}", answer.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_keys_file_is_named_and_never_replaced_in_silence() {
    let house = House::new().await;
    house.connect();
    std::fs::remove_file(house.path("syncline.db.keys")).expect("it was there");
    let pulled = said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"]));
    assert!(pulled.code == 2 && pulled.err.contains("syncline.db.keys"), "{}", pulled.err);
    assert!(!house.path("syncline.db.keys").exists());
    assert_eq!(said(house.bare(&["status"])).code, 0, "what needs no key works");
}

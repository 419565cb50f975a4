//! File, environment, flags: later ones win, and what nobody knows is refused.

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_beat_the_environment_which_beats_the_file() {
    let house = House::new().await;
    house.write("syncline.toml", &format!("database = \"file.db\"\nworkspace = \"of-the-file\"\n[sheets]\nbase_url = {:?}\n", house.url()));
    let workspace = |said: crate::house::Said| said.json()["workspace"].clone();
    let connect: &[&str] = &["connect", "sheets", "--set", "spreadsheet_id=1AbC"];
    let mut command = house.bare(connect);
    command.env("SYNCLINE_TOKEN", crate::house::TOKEN);
    assert_eq!(said(command).code, 0, "the file's address is used");
    assert!(house.path("file.db").exists() && house.path("file.db.keys").exists());
    assert_eq!(workspace(said(house.bare(&["status", "--json"]))), "of-the-file");
    let mut with_env = house.bare(&["status", "--json"]);
    with_env.env("SYNCLINE_WORKSPACE", "of-the-environment");
    assert_eq!(workspace(said(with_env)), "of-the-environment");
    let mut with_both = house.bare(&["status", "--json", "--workspace", "of-the-flag"]);
    with_both.env("SYNCLINE_WORKSPACE", "of-the-environment");
    assert_eq!(workspace(said(with_both)), "of-the-flag");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_keys_and_variables_are_refused_by_name() {
    let house = House::new().await;
    house.write("syncline.toml", "databse = \"x.db\"\n");
    let file = said(house.bare(&["status"]));
    assert!(file.code == 2 && file.err.contains("\"databse\"") && file.err.contains("syncline.toml"), "{}", file.err);
    house.write("syncline.toml", "");
    let mut variable = house.bare(&["status"]);
    variable.env("SYNCLINE_DATABSE", "x.db");
    let variable = said(variable);
    assert!(variable.code == 2 && variable.err.contains("SYNCLINE_DATABSE"), "{}", variable.err);
    let mut log = house.bare(&["status"]);
    log.env("SYNCLINE_LOG", "a=b=c");
    let log = said(log);
    assert!(log.code == 2 && log.err.contains("a=b=c"), "{}", log.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_environment_beat_every_file() {
    let house = House::new().await;
    house.connect();
    let mut other = house.syncline(&["pull", "sheets", "Staff", "--key", "id"]);
    other.env("SYNCLINE_KEYS", "other:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let refused = said(other);
    assert!(refused.code == 2 && refused.err.contains("other"), "the key that is there is named: {}{}", refused.out, refused.err);
    let mut broken = house.syncline(&["status"]);
    broken.env("SYNCLINE_KEYS", "no colon");
    let broken = said(broken);
    assert!(broken.code == 2 && broken.err.contains("SYNCLINE_KEYS"), "{}", broken.err);
}

#[test]
fn help_documents_configuration_and_exit_codes() {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("syncline"));
    let output = command.arg("--help").output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for part in [
        "SYNCLINE_DATABASE",
        "syncline.toml",
        "Exit codes:",
        "5   busy",
        "130",
        "demo",
        "connect",
        "pull",
        "status",
        "runs",
        "show",
        "explain",
        "history",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

//! Tokens and keys appear nowhere: not on stdout, not on stderr, not in a file but sealed.

use crate::house::{House, Said, TOKEN, said};

fn clean(said: &Said, secrets: &[&str]) {
    for secret in secrets {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "a secret in {} / {}", said.out, said.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_in_no_output_and_no_file() {
    let house = House::new().await;
    let connect: &[&str] = &["connect", "sheets", "--set", "spreadsheet_id=1AbC", "-vv"];
    let mut outputs = vec![said(house.syncline(connect))];
    assert_eq!(outputs[0].code, 0, "{}", outputs[0].err);
    assert!(outputs[0].err.lines().count() > 1, "the log was on: {}", outputs[0].err);
    outputs.push(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id", "-vv"])));
    house.google.sim().revoke_token();
    outputs.push(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id", "-vv"])));
    outputs.push(said(house.syncline(&["connect", "sheets", "--set", "spreadsheet_id=1AbC", "--replace", "-vv", "--json"])));
    outputs.push(said(house.bare(&["status", "--json"])));
    outputs.push(said(house.bare(&["runs", "1", "--json"])));
    let key = std::fs::read_to_string(house.path("syncline.db.keys")).expect("the keys file");
    let key = key.trim().split_once(':').expect("id:key").1;
    for output in &outputs {
        clean(output, &[TOKEN, key]);
    }
    for entry in std::fs::read_dir(house.path("")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "the token is in {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_given_as_an_argument_is_refused_and_not_repeated() {
    let house = House::new().await;
    let flag = format!("--token={TOKEN}");
    let cases: [&[&str]; 5] = [
        &["connect", "sheets", "--token", TOKEN],
        &["connect", "sheets", &flag],
        &["connect", "sheets", TOKEN],
        &["connect", "sheets", "--token"],
        &["connect", "sheets", "--json", TOKEN, TOKEN],
    ];
    for args in cases {
        let refused = said(house.bare(args));
        assert_eq!(refused.code, 2, "{args:?}: {}", refused.err);
        assert!(refused.err.contains("--token-env") && refused.err.contains("--token-file"), "{args:?}: {}", refused.err);
        clean(&refused, &[TOKEN]);
    }
    assert!(!house.path("syncline.db").exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_come_from_files_and_named_variables() {
    let house = House::new().await;
    house.write("token.txt", &format!("{TOKEN}\n"));
    house.write("two.txt", "two words");
    let set = "spreadsheet_id=1AbC";
    let mut bare = house.bare(&["connect", "sheets", "--set", set, "--token-file", "two.txt"]);
    bare.env("SYNCLINE_SHEETS_BASE_URL", house.url());
    assert_eq!(said(bare).code, 2);
    let mut from_file = house.bare(&["connect", "sheets", "--set", set, "--token-file", "token.txt"]);
    from_file.env("SYNCLINE_SHEETS_BASE_URL", house.url());
    assert_eq!(said(from_file).code, 0);
    let mut named = house.bare(&["connect", "sheets", "--set", set, "--token-env", "GOOGLE", "--replace"]);
    named.env("SYNCLINE_SHEETS_BASE_URL", house.url()).env("GOOGLE", TOKEN);
    assert_eq!(said(named).code, 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_can_read_a_new_keys_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let house = House::new().await;
    house.connect();
    let mode = std::fs::metadata(house.path("syncline.db.keys")).expect("the keys file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

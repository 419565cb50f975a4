//! Accounts connected in a browser, which the test is: the sandbox's consent page, and the way back to this machine.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Stdio,
};

use crate::{
    house::{House, said},
    sandbox::start,
};

/// Sends a request of HTTP/1.1 and answers all that comes.
fn send(url: &str, method: &str, body: &str) -> String {
    let (address, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL of this machine");
    let mut socket = TcpStream::connect(address).expect("it listens");
    let form = "application/x-www-form-urlencoded";
    let length = body.len();
    write!(
        socket,
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {form}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answered");
    answer
}

/// Where an answer leads.
fn location(answer: &str) -> String {
    let found = answer.lines().find_map(|line| line.to_lowercase().starts_with("location: ").then(|| line[10..].trim().to_owned()));
    found.unwrap_or_else(|| panic!("no redirect: {answer}"))
}

/// A port nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Runs `connect --browser` and answers its consent page with this form; what it printed on both sides, and its exit code.
fn connect(house: &House, provider: &str, extra: &[&str], base_url: &str, form: &str) -> (i32, String, String) {
    let mut args = vec!["connect", provider, "--browser", "--no-open"];
    args.extend(extra);
    sign_in(house, provider, &args, base_url, form)
}

/// Runs a command that sends a browser out, is that browser, and looks for what nobody may read in all that came out.
fn sign_in(house: &House, provider: &str, args: &[&str], base_url: &str, form: &str) -> (i32, String, String) {
    let port = free_port();
    let pastes = args.contains(&"--paste");
    house.write(
        "syncline.toml",
        &format!(
            "[{provider}]\nbase_url = {base_url:?}\nclient_id = \"sandbox-client\"\nredirect_uri = \"http://127.0.0.1:{port}/callback\"\n{}",
            if provider == "sheets" { format!("oauth_url = {base_url:?}\n") } else { String::new() }
        ),
    );
    let mut child = house
        .plain(args)
        .env(format!("SYNCLINE_{}_CLIENT_SECRET", provider.to_uppercase()), "sandbox-client-secret")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut err = BufReader::new(child.stderr.take().expect("piped"));
    let (mut told, mut page) = (String::new(), None);
    while page.is_none() {
        let mut line = String::new();
        assert!(err.read_line(&mut line).expect("a line") > 0, "it ended: {told}");
        page = line.trim().starts_with("http").then(|| line.trim().to_owned());
        told.push_str(&line);
    }
    let page = page.expect("an address");
    assert!(send(&page, "GET", "").contains("<form"), "a consent page");
    let back = location(&send(&page, "POST", form));
    if pastes {
        TcpStream::connect(("127.0.0.1", port)).expect_err("nothing listens");
        let mut keyboard = child.stdin.take().expect("piped");
        let others = back.replace("state=", "state=x");
        // What is no answer, or another one's, is asked for again.
        write!(keyboard, "what?\n\n{others}\n{back}\n").expect("it reads");
    } else {
        for stray in ["favicon.ico", "callback", "callback?code=1", "callback?state=of-somebody-else&code=1", "other?state="] {
            let answer = send(&format!("http://127.0.0.1:{port}/{stray}"), "GET", "");
            assert!(answer.starts_with("HTTP/1.1 404"), "it waits for its answer alone: {stray}: {answer}");
        }
        let thanks = send(&back, "GET", "");
        assert!(thanks.starts_with("HTTP/1.1 200") && thanks.contains("no-store") && thanks.contains("no-referrer"), "{thanks}");
    }
    err.read_to_string(&mut told).expect("the rest");
    let ended = child.wait_with_output().expect("it ends");
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    see_no_secret(house, &back, &[&out, &told]);
    (ended.status.code().unwrap_or(-1), out, told)
}

/// Neither what was printed nor the files of the database hold the code, a token or the client's secret; the state stands in the address
/// alone that the browser is sent to (TS7).
fn see_no_secret(house: &House, back: &str, printed: &[&str]) {
    let query = back.split_once('?').expect("a query").1;
    let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let mut secrets = vec!["sandbox-client-secret", "xoxe.xoxb-", "xoxe-1-", "ya29."];
    secrets.extend(of("code"));
    let mut stored = Vec::new();
    for file in ["syncline.db", "syncline.db-wal"] {
        stored.extend(std::fs::read(house.path(file)).unwrap_or_default());
    }
    let stored = String::from_utf8_lossy(&stored);
    assert!(stored.contains("integration_connections"), "the database was looked at");
    for secret in secrets {
        assert!(printed.iter().all(|text| !text.contains(secret)), "it was printed: {printed:?}");
        assert!(!stored.contains(secret), "{secret:?} stands in the database");
    }
    let state = of("state").expect("a state");
    let shown: usize = printed.iter().map(|text| text.matches(state).count()).sum();
    assert!(shown == 1 && !stored.contains(state), "the state stands in the address alone: {printed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_connected_in_a_browser_and_tell_how_they_stand() {
    let (_sandbox, said_so) = start();
    let house = House::new().await;
    let of = |provider: &str| said_so["providers"][provider]["base_url"].as_str().expect("a URL").to_owned();
    let scopes = "scope=channels:read&scope=channels:history&scope=users:read";
    let (code, out, err) = connect(&house, "slack", &[], &of("slack"), &format!("decision=approve&{scopes}"));
    assert_eq!(code, 0, "{out}{err}");
    // Slack grants all that is asked for, or nothing.
    assert!(out.contains("connected slack to") && !err.contains("not granted"), "{out}{err}");
    let listed = said(house.bare(&["connections"]));
    assert!(listed.out.contains("was not synced yet"), "{}", listed.out);
    // Known by now: nothing is overwritten unless that is said, and signing in again keeps what was set.
    let (code, out, err) = connect(&house, "slack", &[], &of("slack"), &format!("decision=approve&{scopes}"));
    assert!(code != 0 && err.contains("connected already") && err.contains("--again") && err.contains("--replace"), "{code} {out}{err}");
    let set = ["--replace", "--set", "channels=[\"general\"]"];
    let (code, out, err) = connect(&house, "slack", &set, &of("slack"), &format!("decision=approve&{scopes}"));
    assert!(code == 0 && out.contains("connected again"), "{out}{err}");
    for way in [&["connect", "--again", "slack", "--no-open"][..], &["connect", "--again", "slack", "--no-open", "--paste"]] {
        let (code, out, err) = sign_in(&house, "slack", way, &of("slack"), &format!("decision=approve&{scopes}"));
        assert!(code == 0 && out.contains("connected again"), "{out}{err}");
        let row = said(house.bare(&["connections", "--json"])).json();
        assert_eq!(row["connections"][0]["connection"]["settings"]["channels"], serde_json::json!(["general"]), "{row}");
    }
    let mut pull = house.bare(&["pull", "slack", "channels"]);
    pull.env("SYNCLINE_SLACK_CLIENT_SECRET", "sandbox-client-secret");
    assert_eq!(said(pull).code, 0);
    for what in ["renew", "test", "disconnect"] {
        let mut command = house.bare(&["connections", what, "slack"]);
        command.env("SYNCLINE_SLACK_CLIENT_SECRET", "sandbox-client-secret");
        let done = said(command);
        assert_eq!(done.code, 0, "{what}: {}{}", done.out, done.err);
    }
    let why = said(house.bare(&["connections", "why", "slack"]));
    assert!(why.out.contains("was disconnected") && why.out.contains("up to whoever may sign in"), "{}", why.out);

    let sheet = said_so["providers"]["sheets"]["settings"]["spreadsheet_id"].as_str().expect("an id");
    let set = format!("spreadsheet_id={sheet}");
    let (code, out, err) = connect(&house, "sheets", &["--set", &set], &of("sheets"), "decision=deny");
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("the user declined") && err.contains("syncline connect --browser"), "{err}");
    let forms = "decision=approve&scope=https://www.googleapis.com/auth/spreadsheets&scope=https://www.googleapis.com/auth/drive.readonly\
                 &scope=https://www.googleapis.com/auth/drive.metadata.readonly";
    let (code, out, err) = connect(&house, "sheets", &["--set", &set], &of("sheets"), forms);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("connected sheets to"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_for_a_browser_is_told_before_anybody_is_sent_away() {
    let house = House::new().await;
    let none = said(house.bare(&["connect", "slack", "--browser"]));
    assert_eq!(none.code, 2);
    assert!(none.err.contains("there is no OAuth client for slack") && none.err.contains("SYNCLINE_SLACK_CLIENT_SECRET"), "{}", none.err);
    house.write("syncline.toml", "[slack]\nclient_id = \"1.2\"\nredirect_uri = \"https://app.example/callback\"\n");
    let away = said(house.bare(&["connect", "slack", "--browser"]));
    assert!(away.code == 2 && away.err.contains("does not lead to this machine") && away.err.contains("--paste"), "{}", away.err);
    let alone = said(house.bare(&["connect", "slack", "--paste"]));
    assert!(alone.code == 2 && alone.err.contains("--browser"), "{}", alone.err);
    let nobody = said(house.bare(&["connect"]));
    assert!(nobody.code == 2 && nobody.err.contains("PROVIDER"), "{}", nobody.err);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    house.write("syncline.toml", &format!("[slack]\nclient_id = \"1.2\"\nredirect_uri = \"http://127.0.0.1:{port}/callback\"\n"));
    let busy = said(house.bare(&["connect", "slack", "--browser"]));
    assert!(busy.code == 1 && busy.err.contains("cannot be opened"), "{}", busy.err);
    assert!(said(house.bare(&["connect", "gmail", "--browser"])).err.contains("there is no service \"gmail\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_added_rotated_and_retired_and_a_workspace_erased() {
    let house = House::new().await;
    house.connect();
    let keys = || said(house.bare(&["keys", "--json"])).json();
    let old = keys()["keys"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(keys()["keys"][0]["sealed"], 1);
    assert_eq!(said(house.bare(&["keys", "retire", &old])).code, 2, "it is the active one");
    assert_eq!(said(house.bare(&["keys", "add", "--id", "next"])).code, 0);
    assert_ne!(said(house.bare(&["keys", "retire", &old])).code, 0, "a value is under it");
    let rotated = said(house.bare(&["keys", "rotate"]));
    assert!(rotated.code == 0 && rotated.out.contains("1 value under the newest key"), "{}{}", rotated.out, rotated.err);
    assert_eq!(said(house.bare(&["keys", "retire", &old])).code, 0);
    let listed = keys();
    assert_eq!((&listed["keys"][0]["id"], &listed["keys"][0]["sealed"]), (&"next".into(), &1.into()));
    assert!(!listed["keys"][1]["retired_at"].is_null(), "{listed}");
    assert_eq!(said(house.syncline(&["pull", "sheets", "Staff", "--key", "id"])).code, 0, "it opens what was sealed anew");

    // A key that was taken out of the file is known to the database for ever: no new one gets its id, on the same day either.
    let file = std::fs::read_dir(house.path(".")).expect("a folder").map(|entry| entry.expect("a file").path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "keys")).expect("a keys file");
    let before = std::fs::read_to_string(&file).expect("keys");
    let added: Vec<String> = (0..3)
        .map(|_| {
            std::fs::write(&file, &before).expect("put back");
            assert_eq!(said(house.bare(&["keys", "add"])).code, 0);
            keys()["keys"][0]["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert!(added[0] != added[1] && added[1] != added[2], "{added:?}");
    std::fs::write(&file, &before).expect("put back");
    let mut left = file.clone().into_os_string();
    left.push(".new");
    std::fs::write(&left, "half").expect("left over");
    let blocked = said(house.bare(&["keys", "add"]));
    let name = std::path::Path::new(&left).file_name().expect("a name").to_string_lossy().into_owned();
    assert!(blocked.code == 2 && blocked.err.contains(&name) && blocked.err.contains("left over"), "{}", blocked.err);
    std::fs::remove_file(&left).expect("removed");
    assert_eq!(said(house.bare(&["keys", "add"])).code, 0);
    std::fs::write(&file, &before).expect("put back");

    let wrong = said(house.bare(&["erase", "--confirm", "other"]));
    assert!(wrong.code == 2 && wrong.err.contains("nothing was deleted"), "{}", wrong.err);
    assert_eq!(said(house.bare(&["erase", "--confirm", "default"])).code, 0);
    assert!(said(house.bare(&["connections"])).out.contains("has no connections"));
}

//! The sandbox as another program meets it: one line of JSON, then services behind one socket.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::house::{House, said};

/// A sandbox that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn start() -> (Running, Value) {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("syncline"))
        .args(["sandbox", "--port", "0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    (Running(child), serde_json::from_str(&line).expect("one JSON document"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_prints_one_line_and_serves_what_it_says() {
    let (_running, said_so) = start();
    let house = House::new().await;
    for (provider, variable, stream) in
        [("sheets", "SYNCLINE_SHEETS_BASE_URL", "Airports"), ("slack", "SYNCLINE_SLACK_BASE_URL", "channels")]
    {
        let of = &said_so["providers"][provider];
        let (url, token) = (of["base_url"].as_str().expect("a URL"), of["token"].as_str().expect("a token"));
        let mut args = vec!["connect".to_owned(), provider.to_owned()];
        for (name, value) in of["settings"].as_object().expect("settings") {
            args.extend(["--set".to_owned(), format!("{name}={}", value.as_str().expect("text"))]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut connect = house.bare(&args);
        connect.env(variable, url).env("SYNCLINE_TOKEN", token);
        let connected = said(connect);
        assert_eq!(connected.code, 0, "{}{}", connected.out, connected.err);
        let mut pull = house.bare(&["pull", provider, stream, "--key", "iata", "--json"]);
        pull.env(variable, url);
        let pulled = said(pull).json();
        assert!(pulled["records_created"].as_u64().expect("a count") >= 8, "{pulled}");
        let mut refused = house.bare(&args);
        refused.arg("--replace").env(variable, url).env("SYNCLINE_TOKEN", "another");
        assert_eq!(said(refused).code, 4, "another token opens nothing");
    }
}

#[test]
fn the_page_lists_what_is_simulated_and_unknown_paths_say_what_there_is() {
    let (_running, said_so) = start();
    let address = said_so["base_url"].as_str().expect("a URL").trim_start_matches("http://").to_owned();
    let get = |path: &str| {
        let mut socket = TcpStream::connect(&address).expect("it listens");
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("answered");
        answer
    };
    let page = get("/");
    for part in ["200 OK", "text/html", "Google Sheets", "Slack", "chat.postMessage", "values:batchUpdate", "Not simulated"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let nothing = get("/gmail/v1/users");
    assert!(nothing.contains("404") && nothing.contains("/sheets, /slack"), "{nothing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let answer = said(House::new().await.bare(&["sandbox", "--port", &port]));
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains(&port) && answer.err.contains("--port 0"), "{}", answer.err);
}

#[cfg(unix)]
#[test]
fn a_sandbox_that_is_asked_to_stop_ends_as_one_that_did_its_work() {
    for signal in ["-TERM", "-INT"] {
        let (mut running, _) = start();
        let sent = Command::new("kill").args([signal, &running.0.id().to_string()]).status().expect("kill starts");
        assert!(sent.success());
        let ended = running.0.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0), "{signal}: {ended}");
    }
}

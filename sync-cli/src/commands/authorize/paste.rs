//! The answer as an address that a person pastes.

use std::io::BufRead as _;

use tokio::sync::mpsc;
use url::Url;

use super::state_in;
use crate::exit::{Done, Failure};

/// Reads lines until one is the address this browser came back with; answers its query.
pub(super) async fn answer(redirect_uri: &str, state: &str) -> Done<String> {
    let (tell, mut told) = mpsc::channel::<String>(1);
    // A thread of its own: reading cannot be given up, and the process does not wait for it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = told.recv().await {
        match query_of(&line, redirect_uri, state) {
            Ok(query) => return Ok(query),
            Err("") => {}
            // What was pasted may hold a code, so it is not repeated.
            Err(why) => eprintln!("That is not the address: {why}. Paste the whole of it."),
        }
    }
    Err(Failure::usage("no address was pasted", "connect --paste", "run it again, and paste the address the browser ends at"))
}

/// The query of the address, if it is the answer; else why not, which is empty for an empty line.
fn query_of(line: &str, redirect_uri: &str, state: &str) -> Result<String, &'static str> {
    let line = line.trim().trim_matches(['"', '\'', '<', '>']);
    if line.is_empty() {
        return Err("");
    }
    let url = Url::parse(line).map_err(|_| "it cannot be read as one")?;
    let place =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default(), url.path().to_owned());
    if Url::parse(redirect_uri).is_ok_and(|registered| place(&registered) != place(&url)) {
        return Err("it does not begin with the redirect URI");
    }
    let query = url.query().unwrap_or_default();
    match state_in(query) {
        Some(theirs) if theirs == state => Ok(query.to_owned()),
        Some(_) => Err("it answers another attempt"),
        None => Err("it has no state"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_the_browser_ended_at_is_taken_and_no_other() {
        let taken = |line: &str, redirect: &str| query_of(line, redirect, "s.t").map_err(str::to_owned);
        for (line, redirect, answer) in [
            ("https://app.example/cb?code=1&state=s.t", "https://app.example/cb", Ok("code=1&state=s.t")),
            ("  <https://app.example/cb?code=1&state=s.t#x>\r", "https://app.example/cb", Ok("code=1&state=s.t")),
            (
                "https://app.example/cb?a=1&error=access_denied&state=s.t",
                "https://app.example/cb?a=1",
                Ok("a=1&error=access_denied&state=s.t"),
            ),
            ("https://localhost:4011/cb?code=1&state=s%2Et", "https://localhost:4011/cb", Ok("code=1&state=s%2Et")),
            ("com.example.app:/cb?code=1&state=s.t", "com.example.app:/cb", Ok("code=1&state=s.t")),
            ("", "https://app.example/cb", Err("")),
            ("4/0Ab", "https://app.example/cb", Err("it cannot be read as one")),
            ("https://app.example/other?code=1&state=s.t", "https://app.example/cb", Err("it does not begin with the redirect URI")),
            ("https://evil.example/cb?code=1&state=s.t", "https://app.example/cb", Err("it does not begin with the redirect URI")),
            ("https://app.example/cb?code=1&state=s.u", "https://app.example/cb", Err("it answers another attempt")),
            ("https://app.example/cb?code=1", "https://app.example/cb", Err("it has no state")),
        ] {
            assert_eq!(taken(line, redirect), answer.map(str::to_owned).map_err(str::to_owned), "{line}");
        }
    }
}

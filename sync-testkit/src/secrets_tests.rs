//! Leaks planted in each place and each form, and what is no leak.

use std::io::Write as _;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use sync_core::ErrorKind;

use super::*;

/// Percent-encoded as the `url` crate does it, so that the scanner is not judged by its own code.
fn in_url(secret: &str) -> [String; 3] {
    let mut url = url::Url::parse("https://x.example/").expect("a URL");
    url.path_segments_mut().expect("a base").push(secret);
    url.query_pairs_mut().append_pair("key", secret);
    url.set_fragment(Some("x"));
    let pair = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [url.path().to_owned(), url.query().expect("a query").to_owned(), pair]
}

fn percent(secret: &str, keep: &str, lower: bool) -> String {
    let encode = |byte: u8| {
        let kept = byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte);
        match (kept, lower) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02x}"),
            (false, false) => format!("%{byte:02X}"),
        }
    };
    secret.bytes().map(encode).collect()
}

/// A secret with everything in it that some encoding changes.
const AWKWARD: &str = "p/w+~q=\"x\\y'&z-1.2_3 \u{e9}?>\u{1}";

fn outputs(text: impl Into<String>) -> Outputs {
    let mut outputs = Outputs::default();
    outputs.text("here", text);
    outputs
}

#[test]
fn planted_secret_is_found_in_every_form() {
    for secret in [AWKWARD, Canary::new(3).secret()] {
        let mut planted = vec![
            ("plain", secret.to_owned()),
            ("percent-encoded", percent(secret, "", false)),
            ("percent-encoded", percent(secret, "", true)),
            ("percent-encoded", percent(secret, "-._~", false)),
            ("percent-encoded", percent(secret, "-._~", true)),
            ("percent-encoded", percent(secret, "-._* ", false).replace(' ', "+")),
            ("percent-encoded", secret.bytes().map(|byte| format!("%{byte:02x}")).collect()),
            ("escaped for JSON", serde_json::json!(secret).to_string()),
            ("escaped for JSON", serde_json::json!(secret).to_string().replace('/', "\\/")),
            ("escaped for JSON", secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect()),
            ("escaped for Debug", format!("{secret:?}")),
            ("in hex", secret.bytes().map(|byte| format!("{byte:02X}")).collect()),
            ("backwards", secret.chars().rev().collect()),
        ];
        planted.extend(in_url(secret).map(|text| ("percent-encoded", text)));
        for before in ["", "u", "us", "user:", "a longer name:"] {
            planted.push(("in base64", BASE64_STANDARD.encode(format!("{before}{secret}"))));
            planted.push(("in base64", format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{before}{secret}!")))));
            planted.push(("in base64 for URLs", BASE64_URL_SAFE.encode(format!("{before}{secret}"))));
        }
        for (form, text) in planted {
            let found = outputs(format!("so: <{text}> it was")).leaks_of(secret);
            assert_eq!(found.len(), 1, "{form} was not seen: {text}");
            assert!(found[0].excerpt.contains("so: <"), "{}", found[0]);
        }
    }
}

#[test]
fn form_is_named_and_the_place_is_shown() {
    let leak = outputs(format!("{}{}{}", "x".repeat(500), percent(AWKWARD, "", false), "y".repeat(500))).leaks_of(AWKWARD).remove(0);
    assert_eq!((leak.place.as_str(), leak.form), ("here", "percent-encoded"));
    assert!(leak.excerpt.len() < 300 && leak.excerpt.starts_with("xx") && leak.excerpt.ends_with("yy"), "{leak}");
    let canary = Canary::new(3);
    let piece = &canary.secret()[10..22];
    let leak = outputs(format!("one\ntwo {piece}\nthree")).leaks(&[&canary]).remove(0);
    assert_eq!((leak.form, leak.excerpt), ("a piece of it", format!("two {piece}")));
}

#[test]
fn other_texts_are_no_leaks() {
    let canary = Canary::new(3);
    let mut clean = outputs("");
    for text in ["canary-", &canary.secret()[10..21], Canary::new(4).secret(), &BASE64_STANDARD.encode(Canary::new(4).secret())] {
        clean.text("elsewhere", text);
    }
    clean.assert_without(&[&canary]);
    assert!(clean.leaks_of(AWKWARD).is_empty());
    assert_eq!(clean.pieces().len(), 5);
}

/// An error that keeps to itself in Debug what its line says.
#[derive(Clone)]
struct Shy(String);

impl Debug for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shy")
    }
}

impl fmt::Display for Shy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Shy {}

#[test]
fn every_place_is_searched() {
    let canary = Canary::new(5);
    let secret = canary.secret();
    let folder = std::env::temp_dir().join(format!("sync-testkit-secrets-{}", std::process::id()));
    let below = folder.join("below");
    std::fs::create_dir_all(&below).expect("a folder");
    std::fs::write(below.join("app.db"), [b"\xff\x00\xe2".as_slice(), secret.as_bytes(), b"\xfe"].concat()).expect("written");
    std::fs::write(folder.join(format!("{secret}.txt")), "nothing").expect("written");
    let log = Log::default();
    log.clone().write_all(format!("first\nsecond {secret}\n").as_bytes()).expect("taken");

    type Plant<'p> = (&'static str, &'p dyn Fn(&mut Outputs));
    let plant: [Plant<'_>; 6] = [
        ("a text", &|it| it.text("a text", secret)),
        ("a value", &|it| it.debug("a value", &Some(secret))),
        ("a cause", &|it| {
            let cause = std::io::Error::other(Error::new(ErrorKind::Transport, "x", "deep").because(Shy(secret.to_owned())));
            it.error("a cause", &Error::new(ErrorKind::Transport, "x", "high").because(cause));
        }),
        ("a context", &|it| it.error("a context", &Error::config("x", "high").at("token", secret))),
        ("the log", &|it| it.log(&log)),
        ("app.db", &|it| it.files(&folder)),
    ];
    for (place, plant) in plant {
        let mut seen = outputs("clean");
        plant(&mut seen);
        let leaks = seen.leaks(&[&canary]);
        assert!(leaks.iter().any(|leak| leak.place.ends_with(place)), "{place}: {leaks:?}");
    }
    let mut seen = Outputs::default();
    seen.files(&folder);
    assert!(seen.leaks(&[&canary]).iter().any(|leak| leak.place == "the name of a file"));
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
#[should_panic(expected = "turned up in\nan error (plain)")]
fn leak_fails_the_test_and_is_named() {
    let canary = Canary::new(6);
    let mut seen = outputs("clean");
    seen.text("an error", canary.secret());
    seen.assert_without(&[&canary]);
}

#[test]
#[should_panic(expected = "nothing was collected")]
fn search_of_nothing_proves_nothing() {
    Outputs::default().assert_without(&[&Canary::new(1)]);
}

#[test]
#[should_panic(expected = "at least 8 bytes")]
fn secret_that_chance_would_find_is_refused() {
    let _ = outputs("x").leaks_of("short");
}

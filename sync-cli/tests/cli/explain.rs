//! Who set a value and why, and what a row was: as printed.

use serde_json::json;

use crate::house::{House, Said, said};

fn mapping(name: &str, of_name: &str, rest: &str) -> String {
    format!(
        r#"
            name = "{name}"
            stream = "{name}"
            entity = "person"
            columns = [
                {{ source = "id", target = "id", key = true }},
                {{ source = "name", target = "name", {of_name} }},
                {rest}
            ]
        "#
    )
}

/// What was printed, with every time of day written as `TIME`.
fn timeless(said: &Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let mut out = String::new();
    let mut rest = said.out.as_str();
    while let Some(at) = rest.find(" UTC") {
        let from = at.saturating_sub("2026-03-02 12:00:00".len());
        out.push_str(&rest[..from]);
        out.push_str("TIME");
        rest = &rest[at + " UTC".len()..];
    }
    out + rest
}

/// A spreadsheet whose tabs Staff and Guests say different things about people, and Badges is a reference for names.
async fn told() -> House {
    let house = House::new().await;
    house.connect();
    house.google.sim().load("Guests", &[vec!["id", "name"], vec!["1", "Lady Lovelace"], vec!["2", "Grace"]]);
    house.google.sim().load("Badges", &[vec!["id", "name"], vec!["1", "A. Lovelace"]]);
    let computed = "{ source = \"hired\", target = \"hired_on\", transforms = [\"trim\", \"date\"], on_error = \"drop_value\" }";
    for (name, of_name, rest) in [
        ("Staff", "priority = 9, transforms = [\"trim\"]", computed),
        ("Guests", "priority = 1", ""),
        ("Badges", "authority = \"reference\"", ""),
    ] {
        house.write(&format!("{name}.toml"), &mapping(name, of_name, rest));
        let pulled = said(house.syncline(&["--as", "ada", "pull", "sheets", name, "--mapping", &format!("{name}.toml")]));
        assert!(pulled.code == 0 || pulled.code == 3, "{}{}", pulled.out, pulled.err);
    }
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_set_a_value_and_why_is_answered_in_sentences() {
    let house = told().await;
    let one = || timeless(&said(house.bare(&["explain", "person", "1", "name"])));
    let mut printed = vec![("explain", one()), ("explain_row", timeless(&said(house.bare(&["explain", "person", "1"]))))];
    let force = ["--as", "eve", "pull", "sheets", "Guests", "--mapping", "Guests.toml", "--full", "--force-overwrite"];
    assert_eq!(said(house.syncline(&force)).code, 0);
    printed.push(("explain_forced", one()));
    assert_eq!(said(house.bare(&["--as", "cleo", "undo", "4", "--now"])).code, 0);
    printed.push(("explain_undone", one()));
    printed.push(("history", timeless(&said(house.bare(&["history", "person", "1"])))));
    let wrong = |(name, text): &(&str, String)| {
        let file = format!("{}/tests/cli/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read_to_string(&file).expect("the golden file is there");
        (expected != *text).then(|| format!("{name}.txt is not what was printed:\n{text}"))
    };
    let wrong: Vec<String> = printed.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let json = said(house.bare(&["explain", "person", "1", "name", "--json"])).json();
    let one = &json["fields"][0];
    assert_eq!((&one["explanation"]["value"], &one["explanation"]["set_by"]["rule"]), (&json!("Ada"), &json!("undo")), "{json}");
    assert!(one["text"].as_str().is_some_and(|text| text.contains("cleo took back what run 4 had done")), "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_wrongly_is_answered_with_what_there_is() {
    let house = told().await;
    for (args, parts) in [
        (&["explain", "persons", "1", "name"][..], &["there is no table \"persons\"", "there are: person"][..]),
        (&["explain", "person", "1", "nmae"], &["no field \"nmae\"", "hired_on, id, name"]),
        (&["history", "persons", "1"], &["there is no table \"persons\"", "there are: person"]),
        (&["history", "person", "77"], &["no row with the key \"77\"", "syncline show person"]),
        (&["history", "person", "1", "nmae"], &["no field \"nmae\"", "hired_on, id, name"]),
        (&["history", "person", "1", "--as-of", "yesterday"], &["yesterday", "2026-03-02"]),
    ] {
        let answer = said(house.bare(args));
        assert_eq!(answer.code, 2, "{args:?}: {}{}", answer.out, answer.err);
        for part in parts {
            assert!(answer.err.contains(part), "{args:?}: {} lacks {part}", answer.err);
        }
    }
    let never = said(house.bare(&["explain", "person", "77", "name"]));
    assert!(never.code == 0 && never.out.contains("person has no row 77: the service has not shown it"), "{}{}", never.out, never.err);
}

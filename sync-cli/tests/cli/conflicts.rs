//! Two tabs that say different things about one person.

use serde_json::json;

use crate::house::{House, said};

fn mapping(name: &str, priority: i32) -> String {
    format!(
        r#"
            name = "{name}"
            stream = "{name}"
            entity = "person"
            columns = [
                {{ source = "id", target = "id", key = true }},
                {{ source = "name", target = "name", priority = {priority} }},
            ]
        "#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_loses_is_listed_and_decided_about() {
    let house = House::new().await;
    house.connect();
    house.google.sim().load("Guests", &[vec!["id", "name"], vec!["1", "Lady Lovelace"], vec!["2", "Amazing Grace"]]);
    for (name, priority) in [("Staff", 9), ("Guests", 1)] {
        house.write(&format!("{name}.toml"), &mapping(name, priority));
        let pulled = said(house.syncline(&["pull", "sheets", name, "--mapping", &format!("{name}.toml")]));
        assert_eq!(pulled.code, 0, "{}{}", pulled.out, pulled.err);
    }
    let listed = said(house.bare(&["conflicts", "person"]));
    let parts = [
        "open  person 1  name",
        "wins   \"Ada\"  sheets Staff list, mapping Staff, priority 9",
        "loses  \"Lady Lovelace\"  sheets Staff list, mapping Guests, priority 1",
        "since ",
        "to do: syncline resolve 1 accept|take",
    ];
    for part in parts {
        assert!(listed.out.contains(part), "{} lacks {part}", listed.out);
    }
    let all = said(house.bare(&["conflicts", "--json"])).json();
    assert_eq!(
        (&all["conflicts"][1]["value"], &all["conflicts"][1]["loser"]["mapping"]),
        (&json!("Amazing Grace"), &json!("Guests")),
        "{all}"
    );
    assert_eq!(said(house.bare(&["conflicts", "--limit", "1", "--json"])).json()["more"], true);

    let taken = said(house.syncline(&["--as", "eva", "resolve", "1", "take", "--json"]));
    assert_eq!((taken.code, &taken.json()["resolved"], &taken.json()["run"]["success"]), (0, &json!(1), &json!(true)), "{}", taken.err);
    assert!(said(house.bare(&["show", "person", "1"])).out.contains("Lady Lovelace"));
    let explained = said(house.bare(&["explain", "person", "1", "name"]));
    let parts = [
        "name of person 1 is \"Lady Lovelace\"",
        "eva decided that a value counts which had lost",
        "before   \"Ada\"",
        "Somebody decided against it (conflict 1)",
    ];
    for part in parts {
        assert!(explained.out.contains(part), "{} lacks {part}", explained.out);
    }
    let accepted = said(house.syncline(&["resolve", "2", "accept", "--all"]));
    assert!(accepted.code == 0 && accepted.out.contains("1 conflict accepted"), "{}{}", accepted.out, accepted.err);
    assert!(said(house.bare(&["conflicts"])).out.contains("no conflicts"));
    let states = said(house.bare(&["conflicts", "--state", "all", "--json"])).json();
    let states: Vec<_> = states["conflicts"].as_array().expect("a list").iter().map(|conflict| conflict["state"].clone()).collect();
    assert_eq!(states, ["taken", "accepted"]);
    let again = said(house.syncline(&["resolve", "1", "accept"]));
    assert!(again.code != 0 && again.err.contains("conflict 1 is taken"), "{}{}", again.out, again.err);
    assert_ne!(said(house.syncline(&["resolve", "99", "accept"])).code, 0);
}

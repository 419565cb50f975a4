//! Mapping files: what is wrong with them, against a live stream too, and their published schema.

use crate::house::{House, said};

const STAFF: &str = r#"
name = "staff"
stream = "Staff"
entity = "person"
columns = [{ source = "id", target = "id", key = true }, { source = "hired", target = "hired_on", transforms = ["date"] }]
"#;

const WRONG: &str = r#"
name = "staff"
stream = "Staff"
entity = "person"
columns = [{ source = "Identity", target = "id", key = true }, { source = "hierd", target = "hired_on", transforms = ["trim", "dat"] }]
[[computed]]
target = "year"
expression = "size(hired_un)"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_problem_of_a_mapping_is_listed_with_its_place_and_what_to_do() {
    let house = House::new().await;
    house.write("wrong.toml", WRONG);
    house.write("staff.toml", STAFF);
    let wrong = said(house.bare(&["mapping", "check", "wrong.toml"]));
    assert_eq!(wrong.code, 2, "{}{}", wrong.out, wrong.err);
    for part in [
        "columns[1].transforms[1]",
        "did you mean \"date\"?",
        "computed[0].expression",
        "did you mean \"hired_on\"?",
        "2 problems in wrong.toml",
    ] {
        assert!(wrong.out.contains(part), "{part:?} is not in: {}", wrong.out);
    }
    let json = said(house.bare(&["mapping", "check", "wrong.toml", "--json"]));
    let document = json.json();
    assert_eq!((json.code, &document["success"], &document["live"]), (2, &false.into(), &false.into()), "{document}");
    assert_eq!(document["problems"][0]["place"], "columns[1].transforms[1]", "{document}");
    let fine = said(house.bare(&["mapping", "check", "staff.toml"]));
    assert_eq!((fine.code, fine.out.trim()), (0, "✓ the mapping is in order"), "{}", fine.err);
    let unreadable = said(house.bare(&["mapping", "check", "none.toml"]));
    assert!(unreadable.code == 2 && unreadable.err.contains("none.toml"), "{}", unreadable.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_is_checked_against_the_headers_there_are() {
    let house = House::new().await;
    house.connect();
    house.write("wrong.toml", WRONG);
    house.write("staff.toml", STAFF);
    let fine = said(house.syncline(&["mapping", "check", "staff.toml", "--connection", "sheets"]));
    assert_eq!((fine.code, fine.out.trim()), (0, "✓ the mapping is in order and fits Staff as it is now"), "{}", fine.err);
    let wrong = said(house.syncline(&["mapping", "check", "wrong.toml", "--connection", "sheets", "--json"]));
    let document = wrong.json();
    assert_eq!((wrong.code, &document["live"]), (2, &true.into()), "{document}");
    let places: Vec<&str> = document["problems"].as_array().expect("a list").iter().filter_map(|p| p["place"].as_str()).collect();
    assert_eq!(places, ["columns[1].transforms[1]", "computed[0].expression", "columns[0].source", "columns[1].source"], "{document}");
    assert_eq!(document["problems"][3]["hint"], "did you mean \"hired\"?", "{document}");
    house.write("other.toml", &STAFF.replace("\"Staff\"", "\"Stuff\""));
    let other = said(house.syncline(&["mapping", "check", "other.toml", "--connection", "sheets"]));
    assert!(other.code == 2 && other.err.contains("there is no stream \"Stuff\"; there are: \"Staff\""), "{}", other.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_schema_is_the_one_the_command_prints() {
    let house = House::new().await;
    let printed = said(house.bare(&["mapping", "schema"]));
    assert_eq!(printed.code, 0, "{}", printed.err);
    let published = include_str!("../../../docs/mapping.schema.json");
    assert!(printed.out == published, "renew it: syncline mapping schema > docs/mapping.schema.json");
    let schema = printed.json();
    for field in ["name", "stream", "columns", "computed", "contract", "null_policy"] {
        assert!(schema["properties"][field].is_object(), "{field} is not described");
    }
    assert_eq!(schema["additionalProperties"], false, "misspelt settings are refused, and editors say so");
}

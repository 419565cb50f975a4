//! One person, whose name is nobody's business, and who is erased.

use crate::house::{House, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sensitive_value_is_told_by_its_hash_and_an_entity_erased_once_its_key_is_repeated() {
    let house = House::new().await;
    house.connect();
    let mapping = r#"
        name = "staff"
        stream = "Staff"
        entity = "person"
        columns = [
            { source = "id", target = "id", key = true },
            { source = "name", target = "name", sensitive = true },
        ]
    "#;
    house.write("staff.toml", mapping);
    let pulled = said(house.syncline(&["pull", "sheets", "Staff", "--mapping", "staff.toml"]));
    assert_eq!(pulled.code, 0, "{}{}", pulled.out, pulled.err);
    let explained = said(house.bare(&["explain", "person", "1", "name"]));
    assert!(explained.out.contains("is (hidden hmac-sha256:") && !explained.out.contains("Ada"), "{}", explained.out);

    let wrong = said(house.bare(&["erase", "entity", "person", "1", "--confirm", "2"]));
    assert!(wrong.code == 2 && wrong.err.contains("nothing was deleted"), "{}", wrong.err);
    assert_eq!(said(house.bare(&["show", "person", "1"])).code, 0, "it is there still");
    let erased = said(house.bare(&["erase", "entity", "person", "1", "--confirm", "1", "--json"]));
    assert_eq!((erased.code, &erased.json()["erased"]["rows"]), (0, &1.into()), "{}{}", erased.out, erased.err);
    assert_ne!(said(house.bare(&["show", "person", "1"])).code, 0, "it is gone");
    assert_eq!(said(house.bare(&["show", "person", "2"])).code, 0, "the other is there still");
    let again = said(house.bare(&["erase", "entity", "person", "1", "--confirm", "1"]));
    assert!(again.code == 0 && again.out.contains("comes again with the next pull"), "{}{}", again.out, again.err);
    assert_eq!(said(house.bare(&["erase"])).code, 2, "a workspace is not erased without its name");
}

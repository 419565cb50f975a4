//! Reading rows: page by page, in the order of their keys.

use serde_json::json;
use storage_postgres::PostgresStorage;
use sync_core::{
    ErrorKind, HostTable,
    store::{EntityQuery, Storage as _},
};

use crate::push_support::{Site, begin, feed, host, mapped_feed, target, up};

/// Reads page by page; answers keys and connections.
async fn pages(storage: &PostgresStorage, entity: &str, limit: u32) -> Vec<(String, String)> {
    let (store, mut after, mut found) = (storage.workspace(&"acme".into()), None, Vec::new());
    loop {
        let query = EntityQuery { after, limit, ..EntityQuery::default() };
        let page = store.entities(&entity.into(), query).await.expect("a page");
        let Some(last) = page.last() else { return found };
        after = Some(last.key.clone());
        found.extend(page.iter().map(|row| (row.key.to_string(), row.connection.as_ref().map(ToString::to_string).unwrap_or_default())));
        assert!(found.len() < 10_000, "the pages never end");
    }
}

#[tokio::test]
async fn a_page_is_never_cut_between_rows_of_one_key_from_several_connections() {
    let site = Site::new().await;
    let mut expected = Vec::new();
    for connection in ["c1", "c2", "c3"] {
        let run = begin(&site.storage, "acme", &feed(connection, "s"), &target("x_s")).await;
        let rows: Vec<String> = (0..9).map(|n| format!("k{n}")).filter(|key| connection != "c2" || key != "k4").collect();
        run.commit(&rows.iter().map(|key| up(key, json!({"n": 1}))).collect::<Vec<_>>()).await;
        expected.extend(rows.into_iter().map(|key| (key, connection.to_owned())));
    }
    expected.sort();
    for limit in [1, 2, 3, 4, 5, 100] {
        assert_eq!(pages(&site.storage, "x_s", limit).await, expected, "pages of {limit}");
    }
}

#[tokio::test]
async fn rows_of_the_host_are_paged_in_the_order_of_their_key_columns() {
    let site = Site::new().await;
    site.execute("CREATE TABLE seats (tenant text, hall integer, seat text COLLATE \"C\", taken boolean, PRIMARY KEY (hall, seat))").await;
    site.execute("INSERT INTO seats SELECT 'acme', h, s, false FROM generate_series(1, 11) h, unnest(ARRAY['a', 'B', 'c']) s").await;
    site.execute("INSERT INTO seats VALUES ('globex', 5, 'x', true)").await;
    let table = HostTable::new("seats").key("hall").key("seat").workspace_column("tenant");
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(table.clone())).await;
    run.commit(&[up("r", json!({"hall": 2, "seat": "a", "taken": true}))]).await;
    let order = site.column("SELECT hall || ' ' || seat FROM seats WHERE tenant = 'acme' ORDER BY hall, seat").await;
    assert_eq!(order.len(), 33);
    let entity = table.entity_type();
    for limit in [1, 4, 32, 33, 100] {
        let keys: Vec<String> =
            pages(&site.storage, entity.as_str(), limit).await.into_iter().map(|(key, _)| sync_core::split_key(&key).join(" ")).collect();
        assert_eq!(keys, order, "pages of {limit}");
    }
    let store = site.storage.workspace(&"acme".into());
    assert_eq!(store.count_entities(&entity).await.expect("a count"), 33);
    let own = EntityQuery { connection: Some("c1".into()), ..EntityQuery::default() };
    assert_eq!(store.entities(&entity, own).await.expect("rows").len(), 1, "one row has a record behind it");
}

#[tokio::test]
async fn an_entity_type_that_only_others_have_rows_of_is_unknown() {
    let site = Site::new().await;
    begin(&site.storage, "globex", &feed("c1", "s"), &target("x_theirs")).await.commit(&[up("a", json!({"n": 1}))]).await;
    begin(&site.storage, "acme", &feed("c1", "s"), &target("x_own")).await.commit(&[up("a", json!({"n": 1}))]).await;
    let acme = site.storage.workspace(&"acme".into());
    for unknown in ["x_theirs", "nothing"] {
        let refused = acme.entities(&unknown.into(), EntityQuery::default()).await.expect_err("unknown");
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert!(refused.to_string().contains("there are: x_own"), "{refused}");
        assert_eq!(acme.count_entities(&unknown.into()).await.expect("a count"), 0);
    }
    assert_eq!(acme.entity_types().await.expect("types"), ["x_own".into()]);
}

//! What pushes look up they find by an index, however much there is.

use std::time::Duration;

use storage_postgres::PostgresStorage;
use sync_core::{
    HostTable, RecordId,
    store::{ChangedQuery, Storage as _},
};

use crate::push_support::*;

const LINKS: usize = 1_000_000;
/// Looked for at once.
const ASKED: usize = 100;

/// Rows and entries of indexes that were read of these tables since the counters were cleared.
pub(crate) async fn read(site: &Site, tables: &str) -> u64 {
    let query = format!(
        "SELECT (sum(t.seq_tup_read) + sum(t.idx_tup_fetch) + sum((SELECT sum(i.idx_tup_read) FROM pg_stat_all_indexes i WHERE i.relid = t.relid)))::text \
         FROM pg_stat_all_tables t WHERE t.relid = ANY('{{{tables}}}'::regclass[])"
    );
    site.column(&query).await[0].parse().expect("a number")
}

/// Waits until the sessions of a storage that was dropped are over: only then are their counts told.
pub(crate) async fn over(site: &Site, name: &str) {
    let query = format!("SELECT count(*)::text FROM pg_stat_activity WHERE application_name = '{name}' AND datname = current_database()");
    for _ in 0..250 {
        if site.column(&query).await == ["0"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the storage was dropped, and is still connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_changed_rows_are_found_without_reading_the_others() {
    let site = Site::new().await;
    site.execute("CREATE TABLE hosted (id text COLLATE \"C\" PRIMARY KEY, name text, changed bigint)").await;
    let table = HostTable::new("hosted").key("id").version_column("changed");
    let feed = mapped_feed("c1", "s", "m");
    let push = push(&site.storage, "acme", &feed, &sends(host(table), &["name"])).await;
    push.accept_all().await;
    push.journal(Vec::new(), vec![sync_core::store::Settled::Deleted { key: "none".into() }]).await;
    // Written in place of as many pushes; the first row tells what a link of such a row looks like.
    site.execute("INSERT INTO hosted VALUES ('k0000000', 'same', 0)").await;
    push.accept_all().await;
    site.execute(&format!(
        "SET session_replication_role = replica; \
         INSERT INTO hosted SELECT 'k' || lpad(n::text, 7, '0'), 'same', n FROM generate_series(1, {LINKS} - 1) n; \
         INSERT INTO syncline.push_links SELECT l.workspace_id, l.feed_no, 'k' || lpad(n::text, 7, '0'), 'id k' || lpad(n::text, 7, '0'), \
         l.content_hash, NULL, l.updated_at FROM syncline.push_links l, generate_series(1, {LINKS} - 1) n; \
         CREATE INDEX ON hosted (changed); ANALYZE hosted; ANALYZE syncline.push_links; SELECT pg_stat_force_next_flush()"
    ))
    .await;
    let keys: Vec<Box<str>> = (0..ASKED).map(|n| format!("k{:07}", n * 9973).into()).collect();
    let ids: Vec<RecordId> = keys.iter().map(|key| format!("id {key}").into()).collect();
    let page = ChangedQuery { after: Some("k0500000".into()), limit: ASKED as u32, ..push.query() };
    let queries = [
        ("a page", page.clone()),
        ("a page from a version on", ChangedQuery { since: Some("500000".into()), ..page.clone() }),
        ("rows by key", ChangedQuery { after: None, keys: Some(keys.clone()), ..page.clone() }),
        ("the first page, and the highest version", ChangedQuery { after: None, ..page }),
    ];
    for what in ["links", "keys"].into_iter().chain(queries.iter().map(|(what, _)| *what)) {
        site.execute("SELECT pg_stat_reset()").await;
        let url = site.database.url();
        let url = format!("{url}{}application_name=counted", if url.contains('?') { '&' } else { '?' });
        let storage = PostgresStorage::builder(url).max_connections(2).open().await.expect("opens");
        let store = storage.workspace(&"acme".into());
        match what {
            "links" => assert!(store.push_links(&feed, &keys).await.expect("read").iter().all(Option::is_some)),
            "keys" => {
                let found = store.linked_keys(&feed, &ids).await.expect("read");
                assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), keys);
            }
            _ => {
                let (_, query) = queries.iter().find(|(name, _)| *name == what).expect("one of them");
                let found = store.changed_rows(query.clone()).await.expect("read");
                assert_eq!((found.unchanged, found.batch.len()), (ASKED as u64, 0), "{what}");
            }
        }
        drop((store, storage));
        over(&site, "counted").await;
        let read = read(&site, "hosted,syncline.push_links").await;
        assert!((ASKED as u64..10 * ASKED as u64).contains(&read), "{what}: {read} rows and entries were read");
    }
}

//! Which rows of a table a push has to send.

use storage_sqlite::SqliteStorage;
use sync_core::store::ChangedQuery;

use crate::{push_support::*, support::*};

const PARTNERS: &str = "CREATE TABLE partners (tenant TEXT NOT NULL, email TEXT NOT NULL, name TEXT, age INTEGER, score REAL, vip BOOLEAN, \
    tags JSON, shout TEXT GENERATED ALWAYS AS (upper(name)) VIRTUAL, PRIMARY KEY (tenant, email));";

#[tokio::test]
async fn rows_are_handed_over_until_they_are_accepted_and_again_when_they_change() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    execute(&folder.db(), PARTNERS);
    execute(
        &folder.db(),
        "INSERT INTO partners (tenant, email, name, age, score, vip, tags) VALUES ('acme', 'b/x', 'Bea', 7, 1, 1, '[1, \"x\"]'), \
         ('acme', 'a@x', NULL, NULL, NULL, NULL, NULL), ('other', 'o@x', 'Otto', 1, 1, 1, NULL)",
    );
    let target = sends(host(partners()), &["email", "name", "age", "score", "vip", "tags", "shout"]);
    let push = push(&storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let changed = push.accept_all().await;
    assert_eq!(
        lines(&changed),
        [
            r#"a@x email="a@x" name=null age=null score=null vip=null tags=null shout=null"#,
            r#"b\/x email="b/x" name="Bea" age=7 score=1.0 vip=true tags=[1, "x"] shout="BEA""#,
        ]
    );
    assert_eq!((changed.links, changed.unchanged, changed.after, changed.version), (vec![None, None], 0, None, None));
    // The hash is the one a batch of records has.
    let seeds = changed.batch.name_seeds();
    let hashes: Vec<u64> = changed.batch.records().iter().map(|record| changed.batch.hash(record, &seeds)).collect();
    assert_eq!(changed.hashes, hashes);
    let changed = push.changed().await;
    assert_eq!((changed.batch.len(), changed.unchanged), (0, 2));
    execute(&folder.db(), "UPDATE partners SET age = 8 WHERE email = 'b/x'; UPDATE partners SET name = 'b' WHERE tenant = 'other'");
    let changed = push.changed().await;
    assert_eq!((keys(&changed), changed.unchanged), (vec![r"b\/x".to_owned()], 1));
    let link = changed.links[0].as_ref().expect("a link");
    assert_eq!((link.id.as_ref().map(|id| id.as_str()), link.hash), (Some(r"id b\/x"), Some(hashes[1])));
    let all = ChangedQuery { all: true, ..push.query() };
    let all = push.store.changed_rows(all).await.expect("read");
    assert_eq!((all.batch.len(), all.unchanged), (2, 0));
}

//! Which rows of a table a push has to send.

use serde_json::json;
use sync_core::{ErrorKind, HostTable, Source, Target, store::ChangedQuery};

use crate::push_support::*;

const PARTNERS: &str = "CREATE TABLE partners (tenant text NOT NULL, email text COLLATE \"C\" NOT NULL, name text, age integer, score real, \
    vip boolean, tags json, shout text GENERATED ALWAYS AS (upper(name)) STORED, PRIMARY KEY (tenant, email));";

#[tokio::test]
async fn rows_are_handed_over_until_they_are_accepted_and_again_when_they_change() {
    let site = Site::new().await;
    site.execute(PARTNERS).await;
    site.execute(
        "INSERT INTO partners (tenant, email, name, age, score, vip, tags) VALUES ('acme', 'b/x', 'Bea', 7, 1, true, '[1, \"x\"]'), \
         ('acme', 'a@x', NULL, NULL, NULL, NULL, NULL), ('other', 'o@x', 'Otto', 1, 1, true, NULL)",
    )
    .await;
    let target = sends(host(partners()), &["email", "name", "age", "score", "vip", "tags", "shout"]);
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let changed = push.accept_all().await;
    assert_eq!(
        lines(&changed),
        [
            r#"a@x email="a@x" name=null age=null score=null vip=null tags=null shout=null"#,
            r#"b\/x email="b/x" name="Bea" age=7 score=1 vip=true tags=[1, "x"] shout="BEA""#,
        ]
    );
    assert_eq!((changed.links, changed.unchanged, changed.after, changed.version), (vec![None, None], 0, None, None));
    // The hash is the one a batch of records has.
    let seeds = changed.batch.name_seeds();
    let hashes: Vec<u64> = changed.batch.records().iter().map(|record| changed.batch.hash(record, &seeds)).collect();
    assert_eq!(changed.hashes, hashes);
    let changed = push.changed().await;
    assert_eq!((changed.batch.len(), changed.unchanged), (0, 2));
    site.execute("UPDATE partners SET age = 8 WHERE email = 'b/x'; UPDATE partners SET name = 'b' WHERE tenant = 'other'").await;
    let changed = push.changed().await;
    assert_eq!((keys(&changed), changed.unchanged), (vec![r"b\/x".to_owned()], 1));
    let link = changed.links[0].as_ref().expect("a link");
    assert_eq!((link.id.as_ref().map(|id| id.as_str()), link.hash), (Some(r"id b\/x"), Some(hashes[1])));
    let all = ChangedQuery { all: true, ..push.query() };
    let all = push.store.changed_rows(all).await.expect("read");
    assert_eq!((all.batch.len(), all.unchanged), (2, 0));
}

async fn refused(push: &Push, query: ChangedQuery) -> String {
    let error = push.store.changed_rows(query).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

#[tokio::test]
async fn pages_in_key_order_lose_no_row_and_show_none_twice() {
    for (key, tables) in [
        (&["id"][..], "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT n * 7 - 50, n FROM generate_series(1, 25) n"),
        (&["id"], "CREATE TABLE t (id text, v text); INSERT INTO t SELECT n * 7 - 50, n FROM generate_series(1, 25) n"),
        (&["id"], "CREATE TABLE t (id float8 PRIMARY KEY, v text); INSERT INTO t SELECT n / 8.0, n FROM generate_series(1, 25) n"),
        (&["id"], "CREATE TABLE t (id uuid PRIMARY KEY, v text); INSERT INTO t SELECT md5(n::text)::uuid, n FROM generate_series(1, 25) n"),
        (
            &["id"],
            "CREATE TABLE t (id timestamptz PRIMARY KEY, v text); INSERT INTO t SELECT '2026-01-01'::timestamptz + n * interval '1.000001 h', n \
             FROM generate_series(1, 25) n",
        ),
        (
            &["id"],
            "CREATE TYPE mood AS ENUM ('z', 'a', 'm'); CREATE TABLE t (id text COLLATE \"en-x-icu\" PRIMARY KEY, v text); \
             INSERT INTO t SELECT chr(64 + n % 3 * 32) || E'\\\\/' || n, n FROM generate_series(1, 25) n",
        ),
        (
            &["b", "mood", "id"],
            "CREATE TYPE mood AS ENUM ('z', 'a', 'm'); CREATE TABLE t (id integer, b boolean, mood mood, v text, PRIMARY KEY (b, mood, id)); \
             INSERT INTO t SELECT n, n % 2 = 0, (ARRAY['z', 'a', 'm'])[n % 3 + 1]::mood, n FROM generate_series(1, 25) n",
        ),
    ] {
        let site = Site::new().await;
        site.execute(tables).await;
        let table = key.iter().fold(HostTable::new("t"), |table, column| table.key(*column));
        let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(table), &["v"])).await;
        let whole = keys(&push.changed().await);
        assert_eq!(whole.iter().collect::<std::collections::BTreeSet<_>>().len(), 25, "{tables}");
        let (mut paged, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = push.store.changed_rows(ChangedQuery { after, limit: 7, ..push.query() }).await.expect("read");
            paged.extend(keys(&page));
            pages += 1;
            after = page.after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((paged, pages), (whole.clone(), 4), "{tables}");
        // Each key finds its row again.
        for key in whole {
            let query = ChangedQuery { keys: Some(vec![key.as_str().into()]), ..push.query() };
            let found = push.store.changed_rows(query).await.expect("read");
            assert_eq!((keys(&found), found.missing.len()), (vec![key], 0), "{tables}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_asked_for_are_found_or_told_missing() {
    let site = Site::new().await;
    site.execute(PARTNERS).await;
    site.execute("INSERT INTO partners (tenant, email) VALUES ('acme', 'a'), ('acme', 'b'), ('acme', 'c'), ('other', 'd')").await;
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(partners()), &["name"])).await;
    let asked = |keys: &[&str]| ChangedQuery { keys: Some(keys.iter().map(|key| Box::from(*key)).collect()), ..push.query() };
    let found = push.store.changed_rows(asked(&["c", "", "d", "a", "a", "x/y"])).await.expect("read");
    assert_eq!((keys(&found), found.after.as_deref()), (vec!["a".to_owned(), "c".into()], None));
    assert_eq!(found.missing, ["", "d", "x/y"].map(Box::from));
    push.accept_all().await;
    let found = push.store.changed_rows(asked(&["a", "b", "q"])).await.expect("read");
    assert_eq!((found.batch.len(), found.unchanged, &*found.missing), (0, 2, &["q".into()][..]));
    let page = push.store.changed_rows(ChangedQuery { all: true, limit: 1, ..asked(&["c", "a"]) }).await.expect("read");
    assert_eq!((keys(&page), page.after.as_deref()), (vec!["a".to_owned()], Some("a")));
    let page = push.store.changed_rows(ChangedQuery { all: true, after: page.after, ..asked(&["c", "a"]) }).await.expect("read");
    assert_eq!((keys(&page), page.after), (vec!["c".to_owned()], None));
}

#[tokio::test]
async fn rows_from_a_version_on_alone_are_looked_at_as_the_column_compares() {
    for (declared, values, since, expected, highest) in [
        ("integer", "1, 9, 10, 11, NULL", "10", &["k3", "k4", "k5"][..], "11"),
        ("bigint", "1, 9, 10, 9007199254740993, NULL", "9007199254740993", &["k4", "k5"], "9007199254740993"),
        ("numeric", "0.1, 0.2, 0.30000000000000004, 1, NULL", "0.30000000000000004", &["k3", "k4", "k5"], "1"),
        ("float8", "0.1, 0.2, 0.30000000000000004, 1, NULL", "0.30000000000000004", &["k3", "k4", "k5"], "1"),
        (
            "text COLLATE \"C\"",
            "'2026-01-01', '2026-01-02 10:00', '2026-01-02 \"x\"', '2026-01-02T', NULL",
            r#""2026-01-02T""#,
            &["k4", "k5"],
            r#""2026-01-02T""#,
        ),
        (
            "timestamptz",
            "'2026-01-01T00:00Z', '2026-01-01T12:00:00.000001+02', '2026-01-01T10:00:00.000001Z', '2026-01-02Z', NULL",
            r#""2026-01-01T10:00:00.000001+00:00""#,
            &["k2", "k3", "k4", "k5"],
            r#""2026-01-02T00:00:00+00:00""#,
        ),
    ] {
        let site = Site::new().await;
        site.execute(&format!("CREATE TABLE t (id text PRIMARY KEY, v text, changed {declared})")).await;
        for (at, value) in values.split(", ").enumerate() {
            site.execute(&format!("INSERT INTO t VALUES ('k{}', 'x', {value})", at + 1)).await;
        }
        let table = HostTable::new("t").key("id").version_column("changed");
        let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(table), &["v"])).await;
        let query = ChangedQuery { since: Some(since.into()), ..push.query() };
        let found = push.store.changed_rows(query.clone()).await.expect("read");
        assert_eq!(
            (keys(&found), found.version.as_deref()),
            (expected.iter().map(|k| (*k).to_owned()).collect(), Some(highest)),
            "{declared}"
        );
        // Unchanged rows were looked at too, and what came out goes in again.
        push.accept_all().await;
        let found = push.store.changed_rows(query).await.expect("read");
        assert_eq!((found.unchanged, found.version.as_deref()), (expected.len() as u64, Some(highest)), "{declared}");
        let top = push.store.changed_rows(ChangedQuery { since: found.version, all: true, ..push.query() }).await.expect("read");
        let found = keys(&top);
        assert!(
            found.len() == 2 && found[1] == "k5",
            "{declared}: {found:?}: the row of the highest version is looked at again, and that of none"
        );
        // Among keys that are asked for too.
        let all = ["k1", "k2", "k3", "k4", "k5"].map(Box::from).to_vec();
        let query = ChangedQuery { keys: Some(all), since: Some(since.into()), all: true, ..push.query() };
        let found = push.store.changed_rows(query).await.expect("read");
        assert_eq!((keys(&found), found.missing.len()), (expected.iter().map(|k| (*k).to_owned()).collect(), 0), "{declared}");
    }
}

#[tokio::test]
async fn the_highest_version_comes_with_the_first_page() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE t (id text PRIMARY KEY, v text, changed integer); INSERT INTO t VALUES ('a', 1, 5), ('b', 1, 3), ('c', 1, 9)",
    )
    .await;
    let table = HostTable::new("t").key("id").version_column("changed");
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(table), &["v"])).await;
    let page = push.store.changed_rows(ChangedQuery { limit: 2, ..push.query() }).await.expect("read");
    assert_eq!((page.version.as_deref(), page.after.as_deref()), (Some("9"), Some("b")));
    let page = push.store.changed_rows(ChangedQuery { limit: 2, after: page.after, ..push.query() }).await.expect("read");
    assert_eq!((page.version.as_deref(), page.after), (None, None));
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_is() {
    let site = Site::new().await;
    site.execute(PARTNERS).await;
    let feed = mapped_feed("c1", "s", "m");
    let try_out = async |target: Target, since: Option<&str>| {
        let push = Push {
            target: target.into(),
            ..push(&site.storage, "acme", &mapped_feed("c1", since.unwrap_or("s"), "m"), &host(partners())).await
        };
        let text = refused(&push, ChangedQuery { since: since.map(Into::into), ..push.query() }).await;
        push.store.end_run(push.commit.fence, run_end(sync_core::store::RunStatus::Completed)).await.expect("ends");
        text
    };
    let text = try_out(sends(host(partners()), &["name", "nmae"]), None).await;
    assert!(text.contains(r#""partners""#) && text.contains(r#""nmae""#) && text.contains("email, name, age"), "{text}");
    let text = try_out(sends(host(HostTable::new("nowhere").key("id")), &["name"]), None).await;
    assert!(text.contains("nowhere"), "{text}");
    let text = try_out(sends(host(partners().version_column("changed_at")), &["name"]), None).await;
    assert!(text.contains("changed_at") && text.contains("vip"), "{text}");
    assert!(try_out(sends(host(partners()), &["name"]), Some("5")).await.contains("without a version column"));
    assert!(try_out(host(partners()), None).await.contains("no field"));
    assert!(try_out(sends(target("x_s"), &["name"]), None).await.contains("copy of a stream"));
    assert!(try_out(sends(managed("people", &["email"]), &["name"]), None).await.contains("people"));
    // A managed table is shared with other workspaces; the names of their fields are not told.
    for (workspace, field) in [("acme", "mine"), ("other", "theirs")] {
        let run = begin(&site.storage, workspace, &feed, &managed("people", &["email"])).await;
        run.commit(&[up("r", json!({"email": "a@x", field: 1}))]).await;
        run.end().await;
    }
    let text = try_out(sends(managed("people", &["email"]), &["email", "nmae"]), None).await;
    assert!(text.contains(r#""nmae""#) && text.contains("email, mine") && !text.contains("theirs"), "{text}");
}

#[tokio::test]
async fn a_field_that_a_pull_names_without_a_value_is_null_and_no_mistake() {
    let site = Site::new().await;
    let feed = mapped_feed("c1", "s", "m");
    let source = Source { refs: [("phone".into(), "s → Phone".into())].into(), ..Source::default() };
    let people = Target { source: source.into(), ..managed("people", &["email"]) };
    let run = begin(&site.storage, "acme", &feed, &people).await;
    run.commit(&[up("r", json!({"email": "a@x", "phone": null}))]).await;
    run.end().await;
    let push = push(&site.storage, "acme", &feed, &sends(people.clone(), &["email", "phone"])).await;
    assert_eq!(lines(&push.changed().await), [r#"a@x email="a@x" phone=null"#]);
    let query = ChangedQuery { target: sends(people, &["email", "fax"]).into(), ..push.query() };
    assert!(refused(&push, query).await.contains("has no field \"fax\""));
    // What another workspace's pull names is nothing to this one.
    let other = begin(&site.storage, "other", &feed, &managed("people", &["email"])).await;
    other.commit(&[up("r", json!({"email": "a@x"}))]).await;
    let query = ChangedQuery { target: push.query().target, feed: feed.clone(), ..push.query() };
    let error = other.store.changed_rows(query).await.expect_err("refused");
    assert!(error.to_string().contains("has no field \"phone\""), "{error}");
}

#[tokio::test]
async fn bytes_are_refused_clearly_and_rows_without_a_key_are_nobodys() {
    let site = Site::new().await;
    site.execute(
        "CREATE DOMAIN picture AS bytea; CREATE TABLE t (id text, list integer, photo picture, v integer); \
         INSERT INTO t VALUES ('a', 1, '\\x00ff', 1), (NULL, 1, NULL, 2), ('', 1, NULL, 3), ('b', NULL, NULL, 4), ('b', 2, NULL, 5)",
    )
    .await;
    let table = || host(HostTable::new("t").key("id").key("list"));
    let feed = mapped_feed("c1", "s", "m");
    let push = push(&site.storage, "acme", &feed, &sends(table(), &["v", "photo"])).await;
    let text = refused(&push, push.query()).await;
    assert!(text.contains(r#""photo""#) && text.contains(r#""t""#) && text.contains("bytes"), "{text}");
    let query = ChangedQuery { target: sends(table(), &["v"]).into(), ..push.query() };
    assert_eq!(lines(&push.store.changed_rows(query).await.expect("read")), ["a/1 v=1", "b/2 v=5"]);
    site.execute("CREATE TABLE u (id bytea PRIMARY KEY, v integer, w json, x bytea)").await;
    for (table, complaint) in [
        (HostTable::new("u").key("id"), "key column"),
        (HostTable::new("u").key("v").version_column("x"), "version column \"x\" of table \"u\" holds bytes"),
        (HostTable::new("u").key("v").version_column("w"), "version column \"w\" of table \"u\" holds json"),
    ] {
        let query = ChangedQuery { target: sends(host(table), &["v"]).into(), ..push.query() };
        let text = refused(&push, query).await;
        assert!(text.contains(complaint), "{text}");
    }
}

#[tokio::test]
async fn a_key_or_version_that_is_no_value_of_its_column_is_told_not_stumbled_over() {
    let site = Site::new().await;
    site.execute("CREATE TABLE t (id integer PRIMARY KEY, v text, changed timestamptz); INSERT INTO t SELECT n, 'x', '2026-01-01Z' FROM generate_series(1, 9) n")
        .await;
    let table = HostTable::new("t").key("id").version_column("changed");
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(table), &["v"])).await;
    let asked = ["1", "seven", "3", "99999999999", "5", "1/2", "7", "\0", " 9"].map(Box::from).to_vec();
    let found = push.store.changed_rows(ChangedQuery { keys: Some(asked), ..push.query() }).await.expect("read");
    assert_eq!(keys(&found), ["9", "1", "3", "5", "7"], "in the order of the texts that were asked for");
    assert_eq!(found.missing, ["\0", "1/2", "99999999999", "seven"].map(Box::from));
    let text = refused(&push, ChangedQuery { after: Some("seven".into()), ..push.query() }).await;
    assert!(text.contains("\"seven\" is no key of table \"t\""), "{text}");
    let text = refused(&push, ChangedQuery { after: Some("1/2".into()), ..push.query() }).await;
    assert!(text.contains("\"1/2\" is no key of table \"t\""), "{text}");
    for keys in [None, Some(vec!["1".into()])] {
        let text = refused(&push, ChangedQuery { since: Some("12".into()), keys, ..push.query() }).await;
        assert!(text.contains("\"changed\"") && text.contains("timestamp with time zone"), "{text}");
    }
}

#[tokio::test]
async fn a_table_of_one_workspace_alone_is_read_by_no_other() {
    let site = Site::new().await;
    site.execute("CREATE TABLE solo (id text PRIMARY KEY, v text); INSERT INTO solo VALUES ('a', 1)").await;
    let target = sends(host(HostTable::new("solo").key("id")), &["v"]);
    let feed = mapped_feed("c1", "s", "m");
    let one = push(&site.storage, "one", &feed, &target).await;
    assert_eq!(one.keys().await, ["a"]);
    let two = push(&site.storage, "two", &feed, &target).await;
    assert!(refused(&two, two.query()).await.contains("another workspace"));
    // Nor is a table of ours anybody's to read in this way.
    let run = begin(&site.storage, "one", &mapped_feed("c1", "t", "m"), &managed("people", &["id"])).await;
    run.commit(&[up("r", json!({"id": "a"}))]).await;
    let ours = sends(host(HostTable::new("syncline.people").key("entity_id")), &["id"]);
    for query in [
        ChangedQuery { target: ours.into(), ..two.query() },
        ChangedQuery { target: sends(host(HostTable::new("syncline.push_links").key("entity_id")), &["version"]).into(), ..two.query() },
    ] {
        assert!(refused(&two, query).await.contains("host"));
    }
}

#[tokio::test]
async fn managed_rows_are_found_by_their_entity_id_whatever_version_is_asked_for() {
    let site = Site::new().await;
    let target = managed("people", &["email", "list"]);
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    run.commit(&[up("r1", json!({"email": "a/x", "list": 7, "on": true})), up("r2", json!({"email": "b", "list": 7, "on": null}))]).await;
    let push = push(&site.storage, "acme", &mapped_feed("c2", "t", "n"), &sends(target, &["on", "list"])).await;
    let query = ChangedQuery { since: Some("5".into()), ..push.query() };
    let changed = push.store.changed_rows(query).await.expect("read");
    assert_eq!((lines(&changed), changed.version), (vec![r"a\/x/7 on=true list=7".to_owned(), "b/7 on=null list=7".into()], None));
    push.accept_all().await;
    run.commit(&[
        up("r1", json!({"email": "a/x", "list": 7, "on": false, "other": 1})),
        up("r2", json!({"email": "b", "list": 7, "other": 2})),
    ])
    .await;
    assert_eq!(lines(&push.changed().await), [r"a\/x/7 on=false list=7"], "fields that are not sent do not count");
    let query = ChangedQuery { keys: Some(vec!["b/7".into(), "b".into(), r"a\/x/7".into()]), ..push.query() };
    let found = push.store.changed_rows(query).await.expect("read");
    assert_eq!((keys(&found), found.unchanged, &*found.missing), (vec![r"a\/x/7".to_owned()], 1, &["b".into()][..]));
}

#[tokio::test]
async fn a_value_that_reads_the_same_is_no_change_and_another_one_is() {
    let site = Site::new().await;
    site.execute("CREATE TABLE t (id text PRIMARY KEY, f float8, s text, n numeric, j json, b jsonb, a text[], c timestamptz, i interval)")
        .await;
    let all = ["f", "s", "n", "j", "b", "a", "c", "i"];
    let push = push(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &sends(host(HostTable::new("t").key("id")), &all)).await;
    for (column, was, is, differs) in [
        ("f", "'-0'", "0", false),
        ("f", "'Infinity'", "'inf'", false),
        ("f", "0.1::float8 + 0.2::float8", "0.3", true),
        ("s", "'1'", "'1.0'", true),
        ("s", "NULL", "''", true),
        ("s", "''", "NULL", true),
        ("s", "'null'", "NULL", true),
        ("s", "'Zoë'", "'Zoe' || chr(776)", true),
        ("s", "E'a\\n\"\\\\'", "E'a\\n\"\\\\'", false),
        ("n", "9007199254740993", "9007199254740992", true),
        ("j", "'{\"a\": 1}'", "'{\"a\": 2}'", true),
        ("b", "'{\"a\": 1, \"b\": 2}'", "'{\"b\":2,\"a\":1}'", false),
        ("a", "ARRAY['x', NULL]", "ARRAY['x', 'NULL']", true),
        ("c", "'2026-01-01T12:00+02'", "'2026-01-01T10:00Z'", false),
        ("i", "'90 minutes'", "'1 hour 30 minutes'", false),
    ] {
        site.execute(&format!("DELETE FROM t; INSERT INTO t (id, {column}) VALUES ('a', {was})")).await;
        push.accept_all().await;
        site.execute(&format!("UPDATE t SET {column} = {is}")).await;
        assert_eq!(push.keys().await.len(), usize::from(differs), "{column}: {was} and {is}");
    }
}

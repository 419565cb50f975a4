//! What a commit writes, counts and leaves alone.

use std::collections::BTreeMap;

use crate::support::*;
use serde_json::{Value, json};
use storage_sqlite::SqliteStorage;
use sync_core::{
    Counts, Duplicates, ErrorKind, Field, FieldKind, PageToken, RecordFailure, Target,
    store::{EntityQuery, PageCommit, RunStatus},
};

#[tokio::test]
async fn rows_are_created_updated_left_alone_and_deleted() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "members"), &target("mailchimp_members")).await;
    let report = run.commit(&[up("a", json!({"email": "a@x", "score": 1})), up("b", json!({"email": "b@x", "score": 2}))]).await;
    assert_eq!(counts(&report.counts), [2, 0, 0, 0, 0, 0]);
    let report =
        run.commit(&[up("a", json!({"email": "a@x", "score": 1})), up("b", json!({"email": "b@x", "score": 3})), gone("zz")]).await;
    assert_eq!(counts(&report.counts), [0, 1, 2, 0, 0, 0], "a deletion of what was never there changes nothing");
    let report = run.commit(&[gone("a")]).await;
    assert_eq!(counts(&report.counts), [0, 0, 0, 0, 0, 1]);
    assert_eq!(run.table().await, BTreeMap::from([("b".to_owned(), json!({"email": "b@x", "score": 3}))]));
    let stored = run.end().await;
    assert_eq!(counts(&stored.counts), [2, 1, 2, 0, 0, 1]);
    assert!(stored.counts.balanced());
    // The table is there under the entity type's own name, with plain values.
    assert_eq!(sql::<String>(&folder.db(), "SELECT email FROM mailchimp_members WHERE score = 3"), "b@x");
}

#[tokio::test]
async fn fields_that_are_absent_stay_and_null_clears() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"one": "1", "two": "2", "three": ""}))]).await;
    assert_eq!(counts(&run.commit(&[up("a", json!({"one": "1"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(run.table().await["a"], json!({"one": "1", "two": "2", "three": ""}));
    assert_eq!(counts(&run.commit(&[up("a", json!({"two": null, "four": [1, {"x": null}]}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(run.table().await["a"], json!({"one": "1", "three": "", "four": [1, {"x": null}]}));
    assert_eq!(counts(&run.commit(&[up("a", json!({"two": null}))]).await.counts), [0, 0, 1, 0, 0, 0], "null over null is no change");
}

#[tokio::test]
async fn a_page_delivered_again_in_any_order_changes_nothing() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("k3", json!({"n": 0})), up("k4", json!({"n": 0, "old": true}))]).await;
    let rows: Vec<(String, Value)> =
        (0..50).map(|n| (format!("k{n}"), json!({"n": n, "t": format!("text {n}"), "j": {"n": [n]}}))).collect();
    let mut rows: Vec<Row<'_>> = rows.iter().map(|(id, fields)| up(id, fields.clone())).collect();
    let page = |rows: &[Row<'_>]| PageCommit { cursors: vec![cursor("", "9", 0)], ..run.page(vec![part("", batch(rows))]) };
    let first = run.store.commit(page(&rows)).await.expect("commits");
    assert_eq!(counts(&first.counts), [48, 2, 0, 0, 0, 0]);
    let stored = dump(&folder.db());
    for again in 0..5 {
        // A deterministic shuffle.
        let by = 7 + 2 * again;
        rows = (0..50).map(|n| rows[(n * by + again) % 50].clone()).collect();
        let report = run.store.commit(page(&rows)).await.expect("commits");
        let unique = rows.iter().map(|(id, _)| *id).collect::<std::collections::BTreeSet<_>>().len() as u64;
        assert_eq!(counts(&report.counts), [0, 0, unique, 50 - unique, 0, 0]);
        assert_eq!(dump(&folder.db()), stored);
    }
}

#[tokio::test]
async fn of_many_records_with_one_key_exactly_one_counts() {
    for (rule, kept, row) in [(Duplicates::LastWins, 499, 2), (Duplicates::FirstWins, 0, 3)] {
        let folder = Folder::new();
        let storage = SqliteStorage::open(folder.db()).await.expect("opens");
        let run = begin(&storage, "acme", &feed("c1", "s"), &Target { duplicates: rule, ..target("x_s") }).await;
        let rows: Vec<Row<'_>> = (0..500).map(|n| up("same", json!({"n": n}))).collect();
        let report = run.commit(&rows).await;
        assert_eq!(counts(&report.counts), [1, 0, 0, 499, 0, 0]);
        assert_eq!(run.table().await["same"], json!({"n": kept}));
        assert_eq!(report.failures.len(), 499);
        let warning = &report.failures[0];
        assert_eq!((warning.row, warning.record.as_deref()), (Some(row), Some("same")));
    }
}

#[tokio::test]
async fn an_earlier_record_is_kept_when_the_later_one_says_less() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let report = run.commit(&[up("a", json!({"one": 1, "two": 2})), up("a", json!({"two": 3}))]).await;
    assert_eq!(counts(&report.counts), [1, 1, 0, 0, 0, 0]);
    assert_eq!(run.table().await["a"], json!({"one": 1, "two": 3}));
}

#[tokio::test]
async fn across_commits_the_first_wins_within_a_scan_and_not_beyond() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &Target { duplicates: Duplicates::FirstWins, ..target("x_s") }).await;
    run.scan("", 1, &[up("a", json!({"n": 1}))]).await;
    let report = run.scan("", 1, &[up("a", json!({"n": 2}))]).await;
    assert_eq!(counts(&report.counts), [0, 0, 0, 1, 0, 0]);
    assert_eq!(report.failures.len(), 1);
    let report = run.scan("", 2, &[up("a", json!({"n": 2}))]).await;
    assert_eq!(counts(&report.counts), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn columns_come_as_fields_do_and_never_meet_ours() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let fields = typed(&[Field::typed("Budget ($)", FieldKind::Number).labelled("Column C"), Field::typed("id", FieldKind::Text)]);
    let run = begin(&storage, "acme", &feed("c1", "s"), &Target { fields, ..target("x_s") }).await;
    run.commit(&[up("a", json!({"id": "a", "Budget ($)": 1.5}))]).await;
    let odd = json!({"extra": "e", "rowid": 5, "Email": 1, "EMAIL": 2, "created_at": "then", "workspace_id": "mine", "Budget (€)": 2, "": "empty"});
    run.commit(&[up("b", odd.clone())]).await;
    let table = run.table().await;
    assert_eq!(table["b"], odd);
    assert_eq!(table["a"], json!({"id": "a", "Budget ($)": 1.5}));
    let names: String = sql(&folder.db(), "SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_info('x_s') ORDER BY name)");
    for name in ["budget", "budget_2", "email", "email_2", "extra", "extra_2", "rowid_2", "created_at_2", "workspace_id_2", "field"] {
        assert!(names.split(' ').any(|column| column == name), "{name} in {names}");
    }
    assert_eq!(sql::<String>(&folder.db(), "SELECT label FROM syncline_entity_columns WHERE field = 'Budget ($)'"), "Column C");
}

#[tokio::test]
async fn fields_beyond_the_columns_are_kept_in_extra() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let wide = |n: i64| Value::Object((0..1600).map(|at| (format!("f{at:04}"), json!(at + n))).collect());
    assert_eq!(counts(&run.commit(&[up("a", wide(0))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(run.table().await["a"], wide(0));
    assert_eq!(counts(&run.commit(&[up("a", wide(0))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&[up("a", json!({"f1599": null, "f1598": "new", "f0000": 0}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    let row = &run.table().await["a"];
    assert_eq!((row.get("f1599"), &row["f1598"], &row["f1597"]), (None, &json!("new"), &json!(1597)));
    assert!(sql::<i64>(&folder.db(), "SELECT count(*) FROM pragma_table_info('x_s')") < 1600);
    let lineage = run.store.lineage(&entity("x_s"), "a", Some("f1598")).await.expect("lineage");
    let values: Vec<_> = lineage.iter().map(|entry| (entry.previous_value.clone(), entry.new_value.clone())).collect();
    assert_eq!(values, [(None, Some(json!(1598))), (Some(json!(1598)), Some(json!("new")))]);
}

#[tokio::test]
async fn values_come_back_exactly() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let fields = typed(&[
        Field::typed("text", FieldKind::Text),
        Field::typed("number", FieldKind::Number),
        Field::typed("flag", FieldKind::Boolean),
        Field::typed("json", FieldKind::Json),
    ]);
    let run = begin(&storage, "acme", &feed("c1", "s"), &Target { fields, ..target("x_s") }).await;
    let values = [
        (r#""007""#, json!("007")),
        (r#""""#, json!("")),
        (r#""a\u0000b""#, json!("a\0b")),
        (r#""Zoë 名前 🦀""#, json!("Zoë 名前 🦀")),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        ("0.1", json!(0.1)),
        ("1.10", json!(1.1)),
        // No JSON value of the reader's holds these; their digits come as text.
        ("1e400", json!("1e400")),
        ("0.12345678901234567890123", json!("0.12345678901234567890123")),
        ("true", json!(true)),
        ("0", json!(0)),
        ("[1, 2]", json!([1, 2])),
    ];
    for (n, (text, expected)) in values.iter().enumerate() {
        let id = format!("r{n}");
        let cells = ["text", "number", "flag", "json"].map(|field| (field.to_owned(), (*text).to_owned())).to_vec();
        let page = |at| run.page(vec![part(at, raw_batch(&[(&id, Some(cells.clone()))]))]);
        run.store.commit(page("")).await.expect("commits");
        // In another partition the hash differs, so that every stored value is compared.
        let again = run.store.commit(page("other")).await.expect("commits");
        assert_eq!(counts(&again.counts), [0, 0, 1, 0, 0, 0], "{text} differs from itself");
        let row = &run.table().await[&id];
        for field in ["text", "number", "flag", "json"] {
            assert_eq!(row[field], *expected, "{text} in column {field}");
        }
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_stored_fails_its_row_alone() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let cell = |json: &str| Some(vec![("name".to_owned(), json.to_owned())]);
    let rows = [("a", cell(r#""fine""#)), ("b", cell(r#""\ud800""#)), ("c", cell(r#""fine""#))];
    let report = run.store.commit(run.page(vec![part("", raw_batch(&rows))])).await.expect("commits");
    assert_eq!(counts(&report.counts), [2, 0, 0, 0, 1, 0]);
    let failure = &report.failures[0];
    assert_eq!((failure.record.as_deref(), failure.column.as_deref(), failure.row), (Some("b"), Some("name"), Some(3)));
    // An update fails in the same way and leaves the row as it is.
    let report = run.store.commit(run.page(vec![part("", raw_batch(&[("a", cell(r#""\ud800""#))]))])).await.expect("commits");
    assert_eq!(counts(&report.counts), [0, 0, 0, 0, 1, 0]);
    assert_eq!(run.table().await["a"], json!({"name": "fine"}));
    assert_eq!(run.store.failures(run.fence.run, 10).await.expect("failures").len(), 2);
}

#[tokio::test]
async fn rows_cursors_counts_failures_and_events_stand_or_fall_together() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    let full = || PageCommit {
        failures: vec![RecordFailure::error("unreadable").of_record("bad")],
        before: Counts { read: 1, failed: 1, ..Counts::default() },
        cursors: vec![sync_core::store::CursorMove { page: Some((PageToken::from("p2"), at(30))), ..cursor("p", "100", 7) }],
        events: vec![r#"{"type":"page"}"#.into()],
        ..run.page(vec![part("p", batch(&[up("a", json!({"n": 1}))]))])
    };
    let report = run.store.commit(full()).await.expect("commits");
    assert_eq!((report.counts.read, counts(&report.counts)), (2, [1, 0, 0, 0, 1, 0]));
    let states = run.store.partition_states(&run.feed).await.expect("states");
    assert_eq!((states[0].partition.as_str(), states[0].scan, states[0].page.is_some()), ("p", 7, true));
    // A page without a cursor keeps the stored one and clears the page token.
    let bare = PageCommit { cursors: vec![sync_core::store::CursorMove { cursor: None, ..cursor("p", "", 7) }], ..run.page(Vec::new()) };
    run.store.commit(bare).await.expect("commits");
    let states = run.store.partition_states(&run.feed).await.expect("states");
    assert_eq!((states[0].cursor.as_ref().map(|c| &*c.state), &states[0].page), (Some("100"), &None));
    let unbalanced = PageCommit { before: Counts { read: 1, ..Counts::default() }, ..full() };
    let before = dump(&folder.db());
    assert_eq!(run.store.commit(unbalanced).await.expect_err("refused").kind(), ErrorKind::Internal);
    assert_eq!(dump(&folder.db()), before, "counts that do not add up write nothing");
    run.store.end_run(run.fence, run_end(RunStatus::Cancelled)).await.expect("ends");
    assert_eq!(run.store.commit(full()).await.expect_err("fenced").kind(), ErrorKind::LeaseLost);
    assert_eq!(dump(&folder.db()), before);
    let events = run.store.events(0, 10).await.expect("events");
    assert_eq!(events.iter().map(|event| &*event.body).collect::<Vec<_>>(), [r#"{"type":"page"}"#]);
    assert!(run.store.events(events[0].seq, 10).await.expect("events").is_empty());
}

#[tokio::test]
async fn of_endless_failures_ten_thousand_are_kept() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    for _ in 0..3 {
        let failures = vec![RecordFailure::error("bad"); 4000];
        let before = Counts { read: 4000, failed: 4000, ..Counts::default() };
        run.store.commit(PageCommit { failures, before, ..run.page(Vec::new()) }).await.expect("commits");
    }
    assert_eq!(run.store.failures(run.fence.run, u32::MAX).await.expect("failures").len(), 10_000);
    assert_eq!(run.end().await.counts.failed, 12_000);
}

#[tokio::test]
async fn a_preview_shows_the_changes_and_writes_nothing() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"n": 1, "t": "x"})), up("b", json!({"n": 1}))]).await;
    let before = dump(&folder.db());
    let preview = run.preview(&[up("a", json!({"n": 2, "t": "x", "new": true})), gone("b"), up("c", json!({"n": 3}))]).await;
    assert_eq!(counts(&preview.report.counts), [1, 1, 0, 0, 0, 1]);
    let seen: Vec<_> = preview.changes.iter().map(|c| (&*c.entity, &*c.field, c.old.as_deref(), c.new.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("a", "n", Some("1"), Some("2")),
            ("a", "new", Some("null"), Some("true")),
            ("b", "n", Some("1"), None),
            ("c", "n", None, Some("3"))
        ]
    );
    assert_eq!(dump(&folder.db()), before);
    // What a preview would have made (here a column) is not taken to be there afterwards.
    assert_eq!(counts(&run.commit(&[up("a", json!({"new": false}))]).await.counts), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn reading_pages_through_keys_without_losing_any() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    for connection in ["c1", "c2"] {
        let run = begin(&storage, "acme", &feed(connection, "s"), &target("x_s")).await;
        let ids: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
        run.commit(&ids.iter().map(|id| up(id, json!({"of": connection}))).collect::<Vec<_>>()).await;
        run.end().await;
    }
    let run = begin(&storage, "acme", &feed("c3", "s"), &target("x_s")).await;
    for limit in [1, 2, 3, 7, 100] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = EntityQuery { after: after.clone(), limit, ..EntityQuery::default() };
            let page = run.store.entities(&entity("x_s"), query).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            seen.extend(page.into_iter().map(|row| (row.key, row.connection)));
        }
        assert_eq!(seen.len(), 50, "pages of {limit}");
        assert!(seen.is_sorted());
    }
    let query = EntityQuery { key: Some("k03".into()), connection: Some("c2".into()), ..EntityQuery::default() };
    assert_eq!(run.store.entities(&entity("x_s"), query).await.expect("one").len(), 1);
    let unknown = run.store.entities(&entity("nope"), EntityQuery::default()).await.expect_err("unknown");
    assert!(unknown.kind() == ErrorKind::NotFound && unknown.to_string().contains("x_s"), "{unknown}");
    assert_eq!(run.store.count_entities(&entity("x_s")).await.expect("count"), 50);
}

#[tokio::test]
async fn without_lineage_nothing_is_written_down() {
    let folder = Folder::new();
    let storage = SqliteStorage::open(folder.db()).await.expect("opens");
    let run = begin(&storage, "acme", &feed("c1", "s"), &Target { lineage: false, ..target("x_s") }).await;
    run.commit(&[up("a", json!({"n": 1}))]).await;
    run.commit(&[up("a", json!({"n": 2}))]).await;
    run.commit(&[gone("a")]).await;
    assert!(run.store.lineage(&entity("x_s"), "a", None).await.expect("lineage").is_empty());
    assert_eq!(sql::<i64>(&folder.db(), "SELECT count(*) FROM syncline_field_lineage"), 0);
}

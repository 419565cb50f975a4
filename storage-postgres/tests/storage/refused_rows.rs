//! Rows that the host's table refuses.

use serde_json::{Value, json};
use sync_core::{HostTable, RecordFailure, Severity, store::PageCommit};

use crate::push_support::*;

const ORDERS: &str = "CREATE TABLE lists (id int PRIMARY KEY);
    INSERT INTO lists VALUES (1), (2);
    CREATE TABLE orders (tenant text, id text, age int CHECK (age >= 0), name varchar(5) NOT NULL, code text UNIQUE,
        list int REFERENCES lists, day date, PRIMARY KEY (tenant, id));
    CREATE FUNCTION no_bob() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.name = 'Bob' THEN RAISE EXCEPTION 'no Bob here'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER no_bob BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION no_bob();";

fn orders() -> HostTable {
    HostTable::new("orders").key("id").workspace_column("tenant")
}

fn told(failures: &[RecordFailure]) -> Vec<(Option<u64>, &str, Option<&str>)> {
    failures.iter().map(|f| (f.row, f.record.as_deref().unwrap_or(""), f.column.as_deref())).collect()
}

#[tokio::test]
async fn every_kind_of_refusal_costs_its_own_row_only_and_names_it() {
    let site = Site::new().await;
    site.execute(ORDERS).await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(orders())).await;
    let rows = [
        up("r01", json!({"id": "a", "name": "A", "age": 1, "code": "1", "list": 1, "day": "2026-01-31"})),
        up("r02", json!({"id": "b", "name": "B", "age": -1})),
        up("r03", json!({"id": "c", "name": null})),
        up("r04", json!({"id": "d", "name": "D", "code": "1"})),
        up("r05", json!({"id": "e", "name": "E", "list": 9})),
        up("r06", json!({"id": "f", "name": "too long", "age": 1})),
        up("r07", json!({"id": "g", "name": "G", "age": "ten"})),
        up("r08", json!({"id": "h", "name": "H", "age": 5_000_000_000_u64})),
        up("r09", json!({"id": "i", "name": "I", "day": "2026-02-31"})),
        up("r10", json!({"id": "j", "name": "Bob"})),
        up("r11", json!({"id": "k", "name": "K\u{0}"})),
        up("r12", json!({"id": "l", "name": "L", "age": 2})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [2, 0, 0, 0, 10, 0], "{:#?}", done.failures);
    let expected = [
        (Some(3), "r02", Some("age")),
        (Some(4), "r03", Some("name")),
        (Some(5), "r04", Some("code")),
        (Some(6), "r05", Some("list")),
        (Some(7), "r06", Some("name")),
        (Some(8), "r07", Some("age")),
        (Some(9), "r08", Some("age")),
        (Some(10), "r09", Some("day")),
        (Some(11), "r10", None),
        (Some(12), "r11", Some("name")),
    ];
    assert_eq!(told(&done.failures), expected);
    assert!(done.failures.iter().all(|failure| failure.severity == Severity::Error));
    assert!(done.failures[8].error.contains("no Bob here"), "{:?}", done.failures[8]);
    assert!(done.failures[0].error.contains("orders_age_check"), "{:?}", done.failures[0]);
    assert_eq!(site.column("SELECT id FROM orders ORDER BY id").await, ["a", "l"]);
    assert!(run.store.lineage(&"orders".into(), "b", None).await.expect("lineage").is_empty());
    // Updates that are refused leave the row, its links and its lineage.
    let rows = [
        up("r01", json!({"id": "a", "age": -5, "code": "changed"})),
        up("r12", json!({"id": "l", "age": 3})),
        up("r13", json!({"id": "m", "name": "M"})),
    ];
    assert_eq!(counts(&run.commit(&rows).await.counts), [1, 1, 0, 0, 1, 0]);
    assert_eq!(
        site.column("SELECT id || ' ' || coalesce(code, '-') || ' ' || coalesce(age, 0) FROM orders ORDER BY id").await,
        ["a 1 1", "l - 3", "m - 0"]
    );
}

#[tokio::test]
async fn one_bad_row_among_thousands_costs_few_statements() {
    let site = Site::new().await;
    site.execute(ORDERS).await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(orders())).await;
    let ids: Vec<String> = (0..3000).map(|n| format!("k{n:04}")).collect();
    let rows = |bad: i64| -> Vec<Row<'_>> {
        ids.iter().enumerate().map(|(n, id)| up(id, json!({"id": id, "name": "N", "age": if n == 1234 { bad } else { 7 }}))).collect()
    };
    let done = run.commit(&rows(-1)).await;
    assert_eq!(counts(&done.counts), [2999, 0, 0, 0, 1, 0]);
    assert_eq!(told(&done.failures), [(Some(1236), "k1234", Some("age"))]);
    // The same page again finds all but one as they are, and tries that one alone.
    let done = run.commit(&rows(-1)).await;
    assert_eq!(counts(&done.counts), [0, 0, 2999, 0, 1, 0]);
    assert_eq!(counts(&run.commit(&rows(1)).await.counts), [1, 0, 2999, 0, 0, 0]);
}

#[tokio::test]
async fn a_page_of_nothing_but_bad_rows_is_told_row_by_row() {
    let site = Site::new().await;
    site.execute(ORDERS).await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(orders())).await;
    let ids: Vec<String> = (0..100).map(|n| format!("k{n:03}")).collect();
    let rows: Vec<Row<'_>> = ids.iter().map(|id| up(id, json!({"id": id, "name": "N", "age": -1}))).collect();
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [0, 0, 0, 0, 100, 0]);
    let records: Vec<_> = done.failures.iter().map(|f| f.record.as_deref().unwrap_or("")).collect();
    assert_eq!(records, ids, "in the order of the page");
}

#[tokio::test]
async fn checks_that_may_wait_speak_for_their_row_all_the_same() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE lists (id int PRIMARY KEY);
         CREATE TABLE members (id text PRIMARY KEY, list int REFERENCES lists DEFERRABLE INITIALLY DEFERRED, \
         place int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
    )
    .await;
    site.execute("INSERT INTO lists VALUES (1)").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("members").key("id"))).await;
    let rows = [
        up("r1", json!({"id": "a", "list": 1, "place": 1})),
        up("r2", json!({"id": "b", "list": 2, "place": 2})),
        up("r3", json!({"id": "c", "list": 1, "place": 1})),
        up("r4", json!({"id": "d", "list": 1, "place": 4})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [2, 0, 0, 0, 2, 0], "{:?}", done.failures);
    assert_eq!(told(&done.failures), [(Some(3), "r2", Some("list")), (Some(4), "r3", Some("place"))]);
    assert_eq!(site.column("SELECT id FROM members ORDER BY 1").await, ["a", "d"]);
}

#[tokio::test]
async fn a_row_that_others_refer_to_stays_with_a_warning() {
    let site = Site::new().await;
    site.execute("CREATE TABLE people (id text PRIMARY KEY, name text); CREATE TABLE pets (owner text REFERENCES people)").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id").delete_rows())).await;
    let ids = ["a", "b", "c", "d"];
    let rows: Vec<Row<'_>> = ids.iter().map(|id| up(id, json!({"id": id, "name": id}))).collect();
    run.scan("", 1, &rows).await;
    site.execute("INSERT INTO pets VALUES ('b'), ('c')").await;
    let done = run.commit(&[gone("a"), gone("b"), gone("never")]).await;
    assert_eq!(counts(&done.counts), [0, 0, 1, 0, 0, 2]);
    assert_eq!(done.failures.len(), 1);
    let warning = &done.failures[0];
    assert_eq!((warning.severity, warning.record.as_deref()), (Severity::Warning, Some("b")));
    assert!(warning.error.starts_with("gone at the source, but its row stays:") && warning.error.contains("pets"), "{warning:?}");
    run.scan("", 2, &[]).await;
    assert_eq!(run.sweep(&[("", 2)], true).await.deleted, 2);
    assert_eq!(site.column("SELECT id FROM people ORDER BY 1").await, ["b", "c"]);
    let lines = site.column("SELECT entity_id || changes::text FROM syncline.lineage_entries WHERE op = 'd' ORDER BY seq").await;
    assert_eq!(lines, [r#"a{"id":["a",null],"name":["a",null]}"#, r#"d{"id":["d",null],"name":["d",null]}"#]);
}

#[tokio::test]
async fn a_trigger_sees_what_the_host_sees_and_may_leave_rows_out() {
    let site = Site::new().await;
    site.execute(
        "CREATE TABLE notes (what text);
         CREATE TABLE people (id text PRIMARY KEY, name text, seen text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.name = 'skip' THEN RETURN NULL; END IF;
             INSERT INTO notes VALUES (TG_OP || ' ' || NEW.id);
             NEW.seen := current_setting('app.workspace_id', true);
             RETURN NEW; END $$;
         CREATE TRIGGER note BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note()",
    )
    .await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("people").key("id"))).await;
    let rows = [up("r1", json!({"id": "a", "name": "A"})), up("r2", json!({"id": "b", "name": "skip"}))];
    assert_eq!(counts(&run.commit(&rows).await.counts), [2, 0, 0, 0, 0, 0]);
    assert_eq!(site.column("SELECT id || seen FROM people").await, ["aacme"]);
    run.commit(&[up("r1", json!({"id": "a", "name": "B"}))]).await;
    assert_eq!(site.column("SELECT what FROM notes ORDER BY 1").await, ["INSERT a", "UPDATE a"]);
}

#[tokio::test]
async fn a_preview_tells_the_refusals_of_the_commit() {
    let site = Site::new().await;
    site.execute(ORDERS).await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(orders())).await;
    let rows: Vec<(&str, Value)> = vec![
        ("r1", json!({"id": "a", "name": "A", "age": "x"})),
        ("r2", json!({"id": "b", "name": "B"})),
        ("r3", json!({"id": "c", "name": "C", "age": -1})),
    ];
    let rows: Vec<Row<'_>> = rows.into_iter().map(|(id, fields)| up(id, fields)).collect();
    let preview = run.preview(&rows).await;
    let page: PageCommit = run.page(vec![part("", batch(&rows))]);
    let done = run.store.commit(page).await.expect("goes through");
    assert_eq!(preview.report.counts, done.counts);
    assert_eq!(preview.report.failures, done.failures);
    let shown: Vec<_> = preview.changes.iter().map(|change| (&*change.entity, &*change.field)).collect();
    assert_eq!(shown, [("b", "id"), ("b", "name")]);
}

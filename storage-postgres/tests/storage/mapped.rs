//! Tables of ours that mappings feed.

use serde_json::{Value, json};
use sync_core::{
    Duplicates, ErrorKind, Field, FieldKind, FieldRule, HostTable, Source, Target,
    mapping::Authority,
    store::{EntityQuery, PageCommit, PartitionBatch},
};

use crate::push_support::*;

async fn people(site: &Site, connection: &str) -> Run {
    begin(&site.storage, "acme", &mapped_feed(connection, "s", "m"), &managed("people", &["email"])).await
}

#[tokio::test]
async fn two_sources_fill_one_row_each_its_own_fields() {
    let site = Site::new().await;
    let (one, two) = (people(&site, "c1").await, people(&site, "c2").await);
    assert_eq!(counts(&one.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&two.commit(&[up("q9", json!({"email": "a@x", "phone": "5"}))]).await.counts), [0, 1, 0, 0, 0, 0]);
    assert_eq!(counts(&two.commit(&[up("q9", json!({"email": "a@x", "phone": "5"}))]).await.counts), [0, 0, 1, 0, 0, 0]);
    assert_eq!(one.table().await["a@x"], json!({"email": "a@x", "name": "Ann", "phone": "5"}));
    assert_eq!(one.rows().await[0].connection, None);
}

#[tokio::test]
async fn reference_and_derived_fields_are_never_written() {
    let site = Site::new().await;
    let truth = people(&site, "c1").await;
    truth.commit(&[up("r1", json!({"email": "a@x", "name": "Ann", "score": 1}))]).await;
    let rule = |authority| FieldRule { authority, priority: 0 };
    let rules = rules(&[("email", rule(Authority::Reference)), ("name", rule(Authority::Reference)), ("score", rule(Authority::Derived))]);
    let beside = begin(&site.storage, "acme", &mapped_feed("c2", "s", "m"), &Target { rules, ..managed("people", &["email"]) }).await;
    let rows = [up("q1", json!({"email": "a@x", "name": "Other", "score": 9})), up("q2", json!({"email": "new@x", "name": "New"}))];
    let done = beside.commit(&rows).await;
    assert_eq!(counts(&done.counts), [0, 0, 1, 1, 0, 0]);
    assert!(done.failures[0].error.contains("not one that may make it"), "{:?}", done.failures);
    assert_eq!(truth.table().await.into_values().collect::<Vec<_>>(), [json!({"email": "a@x", "name": "Ann", "score": 1})]);
}

#[tokio::test]
async fn a_record_without_its_key_is_left_out_with_the_reason() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &managed("people", &["email", "list"])).await;
    let rows = [
        up("r1", json!({"email": "a/b", "list": 7})),
        up("r2", json!({"email": "", "list": 7})),
        up("r3", json!({"email": "c", "list": null})),
        up("r4", json!({"list": 7})),
    ];
    let done = run.commit(&rows).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 3, 0, 0]);
    let told: Vec<_> = done.failures.iter().map(|f| (f.row, f.column.as_deref().expect("a column"))).collect();
    assert_eq!(told, [(Some(3), "email"), (Some(4), "list"), (Some(5), "email")]);
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), [r"a\/b/7"]);
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_column_is_kept_beside_it_until_one_fits_again() {
    let site = Site::new().await;
    let fields = typed(&[Field::typed("n", FieldKind::Integer), Field::typed("t", FieldKind::Text)]);
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &Target { fields, ..managed("people", &["email"]) }).await;
    let column = async || site.column("SELECT coalesce(n::text, 'null') || ' ' || coalesce(extra::text, '-') FROM syncline.people").await;
    let big = json!(9_223_372_036_854_775_808_u64);
    let steps: [(Value, &str); 9] = [
        (json!(7), "7 -"),
        (json!("seven"), r#"null {"n": "seven"}"#),
        (json!(["x", {"y": null}]), r#"null {"n": ["x", {"y": null}]}"#),
        (big, r#"null {"n": 9223372036854775808}"#),
        (json!(8), "8 -"),
        (json!(false), r#"null {"n": false}"#),
        (Value::Null, "null -"),
        (json!("7"), r#"null {"n": "7"}"#),
        (json!(7), "7 -"),
    ];
    for (at, (value, stored)) in steps.into_iter().enumerate() {
        let row = [up("r", json!({"email": "a", "t": "x", "n": value}))];
        let expected = if at == 0 { [1, 0, 0, 0, 0, 0] } else { [0, 1, 0, 0, 0, 0] };
        assert_eq!(counts(&run.commit(&row).await.counts), expected, "{value} arrives");
        assert_eq!(column().await, [stored], "{value}");
        assert_eq!(counts(&run.commit(&row).await.counts), [0, 0, 1, 0, 0, 0], "{value} again");
        assert_eq!(run.table().await["a"].get("n").cloned().unwrap_or_default(), value);
    }
    let history = run.store.lineage(&"people".into(), "a", Some("n")).await.expect("lineage");
    assert_eq!(history.len(), 9, "each step once: {history:?}");
    assert!(history.iter().any(|entry| entry.previous_value == Some(json!("seven")) && entry.new_value == Some(json!(["x", {"y": null}]))));
}

#[tokio::test]
async fn a_row_wider_than_its_table_is_kept_whole() {
    let site = Site::new().await;
    let run = people(&site, "c1").await;
    let wide = |marked: usize| {
        let mut fields: serde_json::Map<String, Value> =
            (0..900).map(|n| (format!("f{n:03}"), json!(if n == marked { -1 } else { n as i64 }))).collect();
        fields.insert("email".into(), json!("a"));
        Value::Object(fields)
    };
    assert_eq!(counts(&run.commit(&[up("r", wide(9999))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(counts(&run.commit(&[up("r", wide(9999))]).await.counts), [0, 0, 1, 0, 0, 0]);
    for field in [3, 880] {
        assert_eq!(counts(&run.commit(&[up("r", wide(field))]).await.counts), [0, 1, 0, 0, 0, 0]);
        assert_eq!(run.table().await["a"], wide(field));
    }
    let history = run.store.lineage(&"people".into(), "a", Some("f880")).await.expect("lineage");
    assert_eq!(history.len(), 2, "{history:?}");
    run.commit(&[gone("r")]).await;
    assert!(run.table().await.is_empty());
    let last = run.store.lineage(&"people".into(), "a", Some("f880")).await.expect("lineage");
    assert!(last.iter().any(|entry| entry.previous_value == Some(json!(-1)) && entry.new_value.is_none()), "{last:?}");
}

#[tokio::test]
async fn what_postgresql_cannot_hold_fails_by_itself_and_names_the_field() {
    let site = Site::new().await;
    let run = people(&site, "c1").await;
    run.scan("", 1, &[up("r2", json!({"email": "b", "name": "before"}))]).await;
    let rows = vec![
        ("r1", vec![("email", r#""a""#), ("name", r#""fine""#)]),
        ("r2", vec![("email", r#""b""#), ("name", r#""nul \u0000 inside""#)]),
        ("r3", vec![("email", r#""c""#), ("list", r#"["half \ud800"]"#)]),
        ("r4", vec![("email", r#""d\u0000""#)]),
        ("r5", vec![("email", r#""e""#), ("name", r#""\\u0000 is text""#)]),
        ("r\u{0}6", vec![("email", r#""f""#)]),
    ];
    let rows: Vec<RawRow<'_>> = rows
        .into_iter()
        .map(|(id, cells)| (id, Some(cells.into_iter().map(|(name, json)| (name.to_owned(), json.to_owned())).collect())))
        .collect();
    let page = PageCommit { scan: Some(2), ..run.page(vec![part("", raw_batch(&rows))]) };
    let done = run.store.commit(page).await.expect("the run goes on");
    assert_eq!(counts(&done.counts), [2, 0, 0, 0, 4, 0]);
    let told: Vec<_> = done.failures.iter().map(|f| (f.row, f.column.as_deref())).collect();
    assert_eq!(told, [(Some(3), Some("name")), (Some(4), Some("list")), (Some(5), Some("email")), (Some(7), None)]);
    assert!(done.failures[0].error.contains("NUL") && done.failures[1].error.contains("surrogate"), "{:?}", done.failures);
    assert_eq!(run.table().await["e"]["name"], json!("\\u0000 is text"));
    // What a bad record stands behind is not gone.
    assert_eq!(run.sweep(&[("", 2)], true).await.missing, 0);
    assert_eq!(run.table().await["b"]["name"], json!("before"));
}

#[tokio::test]
async fn records_of_one_commit_take_effect_in_their_order() {
    let site = Site::new().await;
    let run = people(&site, "c1").await;
    run.commit(&[up("r1", json!({"email": "a", "n": 0})), up("r2", json!({"email": "b", "n": 0}))]).await;
    // The second says what the first one did not; then the row goes with its record and comes back with another one.
    let rows = [
        up("r1", json!({"email": "a", "n": 1, "only": "first"})),
        up("r3", json!({"email": "a", "n": 2, "also": "third"})),
        gone("r1"),
        gone("r3"),
        up("r4", json!({"email": "a", "n": 3})),
        up("r2", json!({"email": "b", "n": 9})),
    ];
    assert_eq!(counts(&run.commit(&rows).await.counts), [1, 3, 0, 0, 0, 2]);
    assert_eq!(run.table().await["a"], json!({"email": "a", "n": 3}));
    let ops = site.column("SELECT op::text FROM syncline.lineage_entries WHERE entity_id = 'a' ORDER BY seq").await;
    assert_eq!(ops, ["u", "u", "d"]);
    // A record that moves to another key before it goes takes both rows with it.
    let rows = [up("r2", json!({"email": "c", "n": 1, "only": "r2"})), gone("r2"), up("r5", json!({"email": "c", "n": 2}))];
    assert_eq!(counts(&run.commit(&rows).await.counts), [2, 0, 0, 0, 0, 1]);
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(run.table().await["c"]["n"], json!(2));
}

#[tokio::test]
async fn the_first_of_two_records_with_one_key_counts_over_all_pages_of_a_scan() {
    let site = Site::new().await;
    let refs = [(Box::from("email"), Box::from("Column B"))].into();
    let source = Source { kind: "google_sheet".into(), id: "sheet".into(), refs, ..Source::default() };
    let target = Target { duplicates: Duplicates::FirstWins, source: source.into(), ..managed("people", &["email"]) };
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let first = run.scan("p", 1, &[up("r1", json!({"email": "a", "n": 1})), up("r2", json!({"email": "a", "n": 2}))]).await;
    assert_eq!(counts(&first.counts), [1, 0, 0, 1, 0, 0]);
    let second = run.scan("q", 1, &[up("r3", json!({"email": "a", "n": 3})), up("r4", json!({"email": "b", "n": 4}))]).await;
    assert_eq!(counts(&second.counts), [1, 0, 0, 1, 0, 0]);
    let told = &second.failures[0];
    assert_eq!((told.record.as_deref(), told.column.as_deref()), (Some("r3"), Some("Column B")));
    assert_eq!(run.table().await["a"]["n"], json!(1));
    // The next scan begins anew.
    assert_eq!(counts(&run.scan("p", 2, &[up("r3", json!({"email": "a", "n": 3}))]).await.counts), [0, 1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_scan_shows_links_in_the_partition_the_record_is_in_now() {
    let site = Site::new().await;
    let run = people(&site, "c1").await;
    run.scan("p", 1, &[up("r1", json!({"email": "a"})), up("r2", json!({"email": "b"}))]).await;
    run.scan("q", 1, &[up("r3", json!({"email": "c"}))]).await;
    // r1 has moved to q; r2 is there but cannot be taken; r3 is gone.
    let shown = PartitionBatch { present: vec!["r2".into()], ..part("p", batch(&[])) };
    let page = PageCommit { scan: Some(2), ..run.page(vec![shown]) };
    run.store.commit(page).await.expect("goes through");
    run.scan("q", 2, &[up("r1", json!({"email": "a"}))]).await;
    let swept = run.sweep(&[("p", 2), ("q", 2)], true).await;
    assert_eq!((swept.known, swept.missing, swept.deleted), (3, 1, 1));
    assert_eq!(run.table().await.into_keys().collect::<Vec<_>>(), ["a", "b"]);
    let lines = site.column("SELECT changes::text FROM syncline.lineage_entries WHERE op = 'd'").await;
    assert_eq!(lines, [r#"{"email":["c",null]}"#]);
}

#[tokio::test]
async fn a_mapping_that_was_turned_to_another_entity_type_begins_anew_there() {
    let site = Site::new().await;
    let feed = mapped_feed("c1", "s", "m");
    let run = begin(&site.storage, "acme", &feed, &managed("people", &["email"])).await;
    run.scan("", 1, &[up("r1", json!({"email": "a@x"}))]).await;
    run.end().await;
    let run = begin(&site.storage, "acme", &feed, &managed("contacts", &["email"])).await;
    assert_eq!(counts(&run.scan("", 2, &[up("r1", json!({"email": "a@x"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(run.sweep(&[("", 2)], true).await.missing, 0, "rows of the old type are none of this mapping's any more");
    assert_eq!(counts(&run.commit(&[gone("r1")]).await.counts), [0, 0, 0, 0, 0, 1]);
    assert!(run.table().await.is_empty());
    assert_eq!(run.store.count_entities(&"people".into()).await.expect("read"), 1);
}

#[tokio::test]
async fn a_preview_of_mapped_rows_names_the_rule_and_writes_nothing() {
    let site = Site::new().await;
    let run = people(&site, "c1").await;
    run.commit(&[up("r1", json!({"email": "a@x", "name": "Ann"})), up("r3", json!({"email": "c@x", "name": "Cid"}))]).await;
    let before = site.dump().await;
    let preview =
        run.preview(&[up("r1", json!({"email": "a@x", "name": "Anna"})), up("r2", json!({"email": "b@x", "name": "B"})), gone("r3")]).await;
    assert_eq!(counts(&preview.report.counts), [1, 1, 0, 0, 0, 1]);
    let mut seen: Vec<_> =
        preview.changes.iter().map(|c| (&*c.entity, &*c.field, c.old.as_deref(), c.new.as_deref(), c.rule.as_str())).collect();
    seen.sort_unstable();
    let rule = "source_of_truth";
    assert_eq!(
        seen,
        [
            ("a@x", "name", Some(r#""Ann""#), Some(r#""Anna""#), rule),
            ("b@x", "email", None, Some(r#""b@x""#), rule),
            ("b@x", "name", None, Some(r#""B""#), rule),
            ("c@x", "email", Some(r#""c@x""#), None, "deleted"),
            ("c@x", "name", Some(r#""Cid""#), None, "deleted"),
        ]
    );
    assert_eq!(site.dump().await, before);
}

#[tokio::test]
async fn rows_without_lineage_leave_no_line() {
    let site = Site::new().await;
    let target = Target { lineage: false, ..managed("people", &["email"]) };
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    run.commit(&[up("r1", json!({"email": "a", "n": 1})), up("r2", json!({"email": "b", "n": 1}))]).await;
    assert_eq!(counts(&run.commit(&[up("r1", json!({"email": "a", "n": 2})), gone("r2")]).await.counts), [0, 1, 0, 0, 0, 1]);
    assert_eq!(site.column("SELECT count(*)::text FROM syncline.lineage_entries").await, ["0"]);
    assert_eq!(site.column("SELECT coalesce(created_run::text, 'none') FROM syncline.people").await, ["none"]);
}

#[tokio::test]
async fn a_workspace_never_meets_rows_of_another_with_equal_keys() {
    let site = Site::new().await;
    let target = managed("people", &["email"]);
    let acme = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &target).await;
    let globex = begin(&site.storage, "globex", &mapped_feed("c1", "s", "m"), &target).await;
    acme.commit(&[up("r", json!({"email": "a", "name": "Acme's"}))]).await;
    assert_eq!(counts(&globex.commit(&[up("r", json!({"email": "a", "name": "Globex's"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    globex.commit(&[gone("r")]).await;
    assert_eq!(acme.table().await["a"]["name"], json!("Acme's"));
    assert_eq!(acme.store.entities(&"people".into(), EntityQuery::default()).await.expect("read").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_write_the_same_new_rows_at_once_lose_nothing() {
    const KEYS: usize = 150;
    const SOURCES: usize = 3;
    let site = Site::new().await;
    for round in 0..4 {
        let mut runs = Vec::new();
        for source in 0..SOURCES {
            runs.push(people(&site, &format!("c{round}{source}")).await);
        }
        // Each in another order, so that only sorting keeps them from waiting for each other.
        let writes = runs.iter().enumerate().map(|(source, run)| async move {
            let ids: Vec<String> = (0..KEYS).map(|n| format!("{round}-{:03}", (n * 7 + source * 31) % KEYS)).collect();
            let field = format!("s{source}");
            let mut total = [0; 6];
            for half in ids.chunks(KEYS / 2) {
                let rows: Vec<Row<'_>> =
                    half.iter().map(|id| up(id, json!({"email": id, field.as_str(): source, "shared": source}))).collect();
                for (sum, more) in total.iter_mut().zip(counts(&run.commit(&rows).await.counts)) {
                    *sum += more;
                }
            }
            total
        });
        let done = futures_util::future::join_all(writes).await;
        let created: u64 = done.iter().map(|counts| counts[0]).sum();
        let failed: u64 = done.iter().map(|counts| counts[4]).sum();
        assert_eq!((created, failed), (KEYS as u64, 0), "{done:?}");
        for run in &runs {
            run.end().await;
        }
        let rows = runs[0].table().await;
        let mine: Vec<_> = rows.iter().filter(|(key, _)| key.starts_with(&format!("{round}-"))).collect();
        assert_eq!(mine.len(), KEYS);
        for (key, row) in mine {
            assert!((0..SOURCES).all(|source| row[format!("s{source}")] == json!(source)), "{key}: {row}");
        }
    }
    // Nothing was overwritten unseen: every old value is the new value of the line before, or what the row was made with.
    let broken = site
        .column(
            "SELECT entity_id FROM (SELECT entity_id, changes -> 'shared' -> 0 AS old, \
             lag(changes -> 'shared' -> 1) OVER (PARTITION BY entity_id ORDER BY seq) AS before FROM syncline.lineage_entries \
             WHERE changes -> 'shared' IS NOT NULL) l WHERE before IS NOT NULL AND before::text <> old::text",
        )
        .await;
    assert!(broken.is_empty(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_inserts_between_look_up_and_insert_is_met_again_as_it_is_then() {
    let site = Site::new().await;
    site.execute("CREATE TABLE partners (email text PRIMARY KEY, name text, phone text)").await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &host(HostTable::new("partners").key("email"))).await;
    run.commit(&[up("r0", json!({"email": "other", "name": "Other"}))]).await;
    let mut stranger = site.database.connection().await;
    let insert = "BEGIN; INSERT INTO partners VALUES ('a', 'Theirs', '555')";
    sqlx::raw_sql(insert).execute(&mut stranger).await.expect("the other writer inserts");
    let rows = [up("r", json!({"email": "a", "name": "Ours"}))];
    let commit = run.commit(&rows);
    let other = async {
        // Ours has not seen the row, and waits for what becomes of it.
        let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while site.column(waiting).await != ["1"] {
            tokio::task::yield_now().await;
        }
        sqlx::raw_sql("COMMIT").execute(&mut stranger).await.expect("the other writer commits");
    };
    let (done, ()) =
        tokio::time::timeout(std::time::Duration::from_secs(30), async { tokio::join!(commit, other) }).await.expect("both end");
    assert_eq!(counts(&done.counts), [0, 1, 0, 0, 0, 0], "{:?}", done.failures);
    assert_eq!(site.column("SELECT name || phone FROM partners WHERE email = 'a'").await, ["Ours555"]);
    let line = site.column("SELECT op::text || changes FROM syncline.lineage_entries WHERE entity_id = 'a'").await;
    assert_eq!(line, [r#"u{"name":["Theirs","Ours"]}"#]);
}

#[tokio::test]
async fn a_row_stays_until_the_last_of_its_records_goes() {
    let site = Site::new().await;
    let (one, two) = (people(&site, "c1").await, people(&site, "c2").await);
    one.scan("", 1, &[up("r1", json!({"email": "a"})), up("r2", json!({"email": "b"}))]).await;
    two.commit(&[up("q1", json!({"email": "a"})), up("q2", json!({"email": "b"}))]).await;
    assert_eq!(counts(&one.commit(&[gone("r1")]).await.counts), [0, 0, 0, 0, 0, 1]);
    one.scan("", 2, &[]).await;
    assert_eq!(one.sweep(&[("", 2)], true).await.deleted, 1);
    assert_eq!(one.table().await.into_keys().collect::<Vec<_>>(), ["a", "b"], "another source's records stand behind them");
    assert_eq!(counts(&two.commit(&[gone("q1"), gone("q2")]).await.counts), [0, 0, 0, 0, 0, 2]);
    assert!(one.table().await.is_empty());
}

#[tokio::test]
async fn an_entity_type_keeps_its_way_of_being_keyed() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("people")).await;
    run.commit(&[up("a", json!({"email": "a"}))]).await;
    let other = begin(&site.storage, "acme", &mapped_feed("c1", "t", "m"), &managed("people", &["email"])).await;
    let page = other.page(vec![part("", batch(&[up("a", json!({"email": "a"}))]))]);
    let error = other.store.commit(page).await.expect_err("refused");
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("people"), "{error}");
}

#[tokio::test]
async fn ids_that_no_index_holds_and_names_that_no_text_holds_cost_their_own_record_only() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &managed("members", &["email"])).await;
    // Not to be compressed, and each short enough alone.
    let mut state = 1u64;
    let mut long = |length: usize| -> String {
        let next = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            char::from(b'!' + 64 + (state >> 59) as u8 % 26)
        };
        (0..length).map(next).collect()
    };
    let (id, key) = (long(2000), long(2000));
    let done =
        run.commit(&[up(&id, json!({"email": key})), up("b", json!({"email": "b"})), up("c", json!({"email": "c", "n\u{0}l": 1}))]).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 0, 2, 0], "{:?}", done.failures);
    assert!(done.failures[0].error.contains("4000 bytes"), "{:?}", done.failures[0]);
    assert_eq!(done.failures[1].column.as_deref(), Some("n\u{0}l"));
    let (id, key) = (long(1200), long(1200));
    assert_eq!(counts(&run.commit(&[up(&id, json!({"email": key}))]).await.counts), [1, 0, 0, 0, 0, 0], "what fits is taken");
}

#[tokio::test]
async fn names_that_our_own_tables_will_take_are_not_given_away() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &mapped_feed("c1", "s", "m"), &managed("ads", &["id"])).await;
    assert_eq!(counts(&run.commit(&[up("a", json!({"id": "a"}))]).await.counts), [1, 0, 0, 0, 0, 0]);
    assert_eq!(site.column("SELECT table_name FROM syncline.entity_types").await, ["ads_2"]);
}

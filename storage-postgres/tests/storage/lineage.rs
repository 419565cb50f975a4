//! The history of values: exact, and found by key however many lines there are.

use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};
use sync_core::store::Storage as _;

use crate::push_support::{Site, begin, feed, managed, mapped_feed, target, up};

/// So many lines and rows beside the ones that are asked for.
const MANY: u32 = 60_000;

/// A stream's table and one fed through a mapping, each with a row of two values, and many rows and lines beside.
async fn crowded(many: u32) -> Site {
    let site = Site::new().await;
    for (feed, target) in [(feed("c1", "own"), target("x_own")), (mapped_feed("c1", "s", "m"), managed("people", &["email"]))] {
        let run = begin(&site.storage, "acme", &feed, &target).await;
        for n in [1, 2] {
            run.commit(&[up("wanted", json!({"email": "wanted", "n": n})), up("other", json!({"email": "other", "n": n}))]).await;
        }
        run.end().await;
    }
    for table in ["x_own", "people"] {
        site.execute(&format!(
            "INSERT INTO syncline.{table} (workspace_id, connection_no, entity_id, row_hash, partition_id, created_run, created_at, last_synced_at, email, n) \
             SELECT workspace_id, connection_no, 'row ' || g, row_hash, partition_id, created_run, created_at, last_synced_at, 'row ' || g, 1 \
             FROM syncline.{table}, generate_series(1, {many}) g WHERE entity_id = 'other'"
        ))
        .await;
        site.execute(&format!(
            "INSERT INTO syncline.lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at) \
             SELECT l.workspace_id, l.type_id, 'row ' || g, l.run_id, l.op, l.changes, l.changed_at \
             FROM syncline.lineage_entries l JOIN syncline.entity_types t ON t.id = l.type_id, generate_series(1, {many}) g \
             WHERE t.table_name = '{table}' AND l.entity_id = 'other'"
        ))
        .await;
    }
    site.execute("ANALYZE").await;
    site
}

const OWN: &str = "SET app.workspace_id = 'acme'; SET ROLE syncline_app; SET search_path = syncline";

fn question(entity: &str, key: &str) -> String {
    format!(
        "SELECT * FROM field_lineage WHERE workspace_id = 'acme' AND entity_type = '{entity}' AND entity_id = '{key}' AND field_name = 'n' ORDER BY id"
    )
}

#[tokio::test]
async fn the_history_of_one_field_is_found_by_key_in_the_view_whatever_else_there_is() {
    let site = crowded(MANY).await;
    let mut reader = site.database.connection().await;
    sqlx::raw_sql(OWN).execute(&mut reader).await.expect("a reader's role");
    for entity in ["x_own", "people"] {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN (ANALYZE, TIMING off, COSTS off) {}", question(entity, "wanted"))));
        let plan: Vec<String> = plan.fetch_all(&mut reader).await.expect("a plan").iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        for table in ["lineage_entries", "x_own", "people"] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
        let most = plan.split("actual rows=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok()).fold(0.0, f64::max);
        let removed =
            plan.split("Removed by Filter: ").skip(1).filter_map(|rest| rest.split('\n').next()?.parse::<f64>().ok()).fold(0.0, f64::max);
        assert!(most < 50.0 && removed < 50.0, "{most} rows were read and {removed} dropped:\n{plan}");
        let told = sqlx::query(AssertSqlSafe(question(entity, "wanted"))).fetch_all(&mut reader).await.expect("rows");
        let told: Vec<(Option<String>, Option<String>)> = told.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(told, [(None, Some("1".into())), (Some("1".into()), Some("2".into()))]);
    }
}

#[tokio::test]
async fn the_store_finds_a_history_by_key_whatever_else_there_is() {
    let site = crowded(MANY).await;
    let acme = site.storage.workspace(&"acme".into());
    let mut host = site.database.connection().await;
    let mut scanned = async || -> i64 {
        // What a session has read is told when it is idle for a moment, or goes.
        let sql = "SELECT pg_stat_clear_snapshot(), (SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_user_tables \
                   WHERE relname IN ('lineage_entries', 'x_own', 'people'))";
        sqlx::query(sql).fetch_one(&mut host).await.expect("statistics").get(1)
    };
    let before = scanned().await;
    for _ in 0..20 {
        for entity in ["x_own", "people"] {
            assert_eq!(acme.lineage(&entity.into(), "wanted", Some("n")).await.expect("lineage").len(), 2);
        }
    }
    let read = scanned().await - before;
    assert!(read < i64::from(MANY), "{read} rows were read");
}

/// Not a rule but a figure: run by hand with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "writes two million lines"]
async fn the_history_of_one_field_among_a_million_lines() {
    let site = crowded(1_000_000).await;
    let mut reader = site.database.connection().await;
    sqlx::raw_sql(OWN).execute(&mut reader).await.expect("a reader's role");
    let acme = site.storage.workspace(&"acme".into());
    for entity in ["x_own", "people"] {
        let (mut view, mut store) = (Vec::new(), Vec::new());
        for n in 1..=51 {
            let (key, began) = (format!("row {}", n * 19_001), std::time::Instant::now());
            let told = sqlx::query(AssertSqlSafe(question(entity, &key))).fetch_all(&mut reader).await.expect("rows");
            view.push(began.elapsed());
            let began = std::time::Instant::now();
            let history = acme.lineage(&entity.into(), &key, Some("n")).await.expect("lineage");
            store.push(began.elapsed());
            assert_eq!(told.len(), history.len());
        }
        view.sort();
        store.sort();
        println!("{entity}: median by the view {:?}, by the store {:?}", view[25], store[25]);
    }
}

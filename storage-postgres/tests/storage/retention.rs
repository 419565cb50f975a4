//! Pruning on a server: by the fleet's role, bounded, beside others.

use serde_json::json;
use sqlx::Row as _;
use sync_core::store::{Log, Storage as _};

use crate::{
    push_support::{Site, at, begin, feed, target, up},
    support::builder,
};

/// Old activity of many workspaces.
async fn crowded(rows: u32) -> Site {
    let site = Site::new().await;
    site.execute(&format!(
        "INSERT INTO syncline.integration_activity (workspace_id, integration_name, action, success, records_affected, metadata, created_at) \
         SELECT 'w' || g % 5, 'slack', 'connected', true, 0, '{{}}', timestamptz '2020-01-01' + g * interval '1 second' FROM generate_series(1, {rows}) g"
    ))
    .await;
    site
}

#[tokio::test]
async fn two_that_prune_at_once_delete_everything_that_is_due_once() {
    let site = crowded(5_000).await;
    let other = builder(&site.database).open().await.expect("opens");
    let before = at(0) - chrono::Duration::days(100_000);
    assert_eq!(site.storage.fleet().prune(Log::Activity, before, 100).await.expect("prunes"), 0);
    let all = async |fleet: std::sync::Arc<dyn sync_core::store::FleetStore>| {
        let mut gone = 0;
        loop {
            let some = fleet.prune(Log::Activity, chrono::Utc::now(), 300).await.expect("prunes");
            gone += some;
            if some == 0 {
                return gone;
            }
        }
    };
    let (one, two) = tokio::join!(all(site.storage.fleet()), all(other.fleet()));
    assert_eq!(one + two, 5_000);
    assert_eq!(site.column("SELECT count(*)::text FROM syncline.integration_activity").await, ["0"]);
}

#[tokio::test]
async fn what_is_not_due_is_not_read() {
    let site = crowded(200_000).await;
    site.execute("VACUUM ANALYZE syncline.integration_activity").await;
    let mut host = site.database.connection().await;
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut host).await.expect("set");
    let plan = sqlx::query(
        "EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT ctid FROM syncline.integration_activity e \
         WHERE e.created_at < timestamptz '2020-01-01 00:10' LIMIT 5000 FOR UPDATE SKIP LOCKED",
    );
    let plan: Vec<String> = plan.fetch_all(&mut host).await.expect("a plan").iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("integration_activity_age"), "{plan}");
    let removed = plan.split("Removed by Index Recheck: ").nth(1).and_then(|rest| rest.split('\n').next()?.parse::<u32>().ok());
    assert!(removed.is_some_and(|removed| removed < 50_000), "{plan}");
    let gone = site.storage.fleet().prune(Log::Activity, "2020-01-01T00:10:00Z".parse().expect("a time"), 5_000).await;
    assert_eq!(gone.expect("prunes"), 599);
}

#[tokio::test]
async fn an_event_of_a_run_under_way_is_kept_whoever_prunes() {
    let site = Site::new().await;
    let run = begin(&site.storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    for n in [1, 2] {
        run.commit(&[up("a", json!({"n": n}))]).await;
    }
    let other = builder(&site.database).open().await.expect("opens");
    for log in [Log::Lineage, Log::Runs, Log::Events] {
        assert_eq!(other.fleet().prune(log, chrono::Utc::now(), 100).await.expect("prunes"), 0, "{log:?}");
    }
    run.end().await;
    assert_eq!(other.fleet().prune(Log::Lineage, chrono::Utc::now(), 100).await.expect("prunes"), 1);
    assert_eq!(other.fleet().prune(Log::Runs, chrono::Utc::now(), 100).await.expect("prunes"), 1);
}

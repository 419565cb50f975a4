//! A pull of a hundred thousand records whose PostgreSQL server is stopped and started again in the middle, at moments from seeds: the
//! run goes on by itself, and in the end nothing is lost and nothing doubled.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use storage_postgres::PostgresStorage;
use support::{
    Random,
    cluster::Cluster,
    scripted::{Scripted, last, page, then},
};
use syncline::{Credentials, Keyring, Outcome, Pull, SyncEvent, Syncline};

const RECORDS: usize = 100_000;
const PAGE: usize = 1_000;
const GROUP: usize = 2_000;

/// Serves records `r000000…` whose text says which `version` they are of; the tokens are offsets.
fn serve(provider: &Scripted, version: usize) {
    provider.answer(move |request, _| {
        let offset: usize = request.after.as_ref().map_or(0, |token| token.as_str().parse().expect("an offset"));
        let ids: Vec<String> = (offset..offset + PAGE).map(|n| format!("r{n:06}")).collect();
        let records = page(ids.iter().map(|id| (id.as_str(), json!({ "id": id, "text": format!("{id} {version}"), "version": version }))));
        Ok(if offset + PAGE == RECORDS { last(records) } else { then(records, format!("{}", offset + PAGE)) })
    });
}

async fn ask(url: &str, sql: &str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("the server is back");
    let answer = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect("it answers");
    let _ = connection.close().await;
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_whose_server_is_restarted_in_the_middle_loses_and_doubles_nothing() {
    let cluster = Arc::new(Cluster::start(&[]).expect("a server of its own"));
    let url = cluster.url();
    let storage = PostgresStorage::connect(&url).await.expect("the database opens");
    let provider = Scripted::new("demo");
    let keyring = Keyring::parse(&Keyring::generate("k1")).expect("a key");
    let syncline = Syncline::builder().keyring(keyring).storage(storage).provider(provider.clone()).build().await.expect("an engine");
    let connection = syncline.workspace("acme").connect("demo", Credentials::api_key("good")).await.expect("it connects");
    let mut random = Random::new(0x7e57);
    // Each is whole and of the newest version; a doubled update would leave a second line of lineage.
    let mut lines = 0;
    for (version, mode) in [(1, "immediate"), (2, "fast"), (3, "immediate")] {
        serve(&provider, version);
        let moments: Vec<u64> = (0..2).map(|n| (n * RECORDS / 2 + random.below(RECORDS / 2 - 2 * GROUP)) as u64).collect();
        let mut events = syncline.events();
        let restarting = {
            let (cluster, moments) = (Arc::clone(&cluster), moments.clone());
            tokio::spawn(async move {
                let mut restarts = 0;
                for moment in moments {
                    loop {
                        match events.next().await.expect("the run goes on") {
                            SyncEvent::SyncProgress { counts, .. } if counts.read >= moment => break,
                            SyncEvent::SyncComplete { .. } => return restarts,
                            _ => {}
                        }
                    }
                    let cluster = Arc::clone(&cluster);
                    tokio::task::spawn_blocking(move || cluster.restart(mode)).await.expect("the server is back");
                    restarts += 1;
                }
                restarts
            })
        };
        let pull = Pull::stream("items").safety_lag(Duration::ZERO).commit_rows(GROUP).full();
        let about = format!("version {version}, {mode} at {moments:?}");
        let result = connection.sync_from_external(pull).await.expect("it begins");
        assert_eq!(result.outcome, Outcome::Ok, "{about}: {:?}", result.errors);
        assert_eq!(restarting.await.expect("restarted"), 2, "{about}: the run was still under way");
        let all = RECORDS as u64;
        let counts = result.counts;
        let (created, updated) = if version == 1 { (all, 0) } else { (0, all) };
        assert_eq!((counts.read, counts.created, counts.updated, counts.deleted), (all, created, updated, 0), "{about}");
        if version > 1 {
            lines += RECORDS;
        }

        let held: BTreeMap<&str, String> = [
            ("rows", "SELECT count(*)::text FROM syncline.demo_items"),
            ("ids", "SELECT count(DISTINCT entity_id)::text FROM syncline.demo_items"),
            (
                "as served",
                &format!("SELECT count(*)::text FROM syncline.demo_items WHERE version = {version} AND text = id || ' {version}'"),
            ),
            ("first and last", "SELECT min(entity_id) || ' ' || max(entity_id) FROM syncline.demo_items"),
            ("lines", "SELECT count(*)::text FROM syncline.lineage_entries"),
            (
                "lines of the last run",
                "SELECT count(*)::text FROM syncline.lineage_entries WHERE run_id = (SELECT max(id) FROM syncline.sync_runs)",
            ),
            ("stored counts", "SELECT rows_created || ' ' || rows_updated FROM syncline.sync_runs ORDER BY id DESC LIMIT 1"),
        ]
        .map(|(what, sql)| (what, sql.to_owned()))
        .into_iter()
        .collect();
        let mut found = BTreeMap::new();
        for (what, sql) in &held {
            found.insert(*what, ask(&url, sql).await);
        }
        let expected = BTreeMap::from([
            ("rows", RECORDS.to_string()),
            ("ids", RECORDS.to_string()),
            ("as served", RECORDS.to_string()),
            ("first and last", format!("r000000 r{:06}", RECORDS - 1)),
            ("lines", lines.to_string()),
            ("lines of the last run", updated.to_string()),
            ("stored counts", format!("{created} {updated}")),
        ]);
        assert_eq!(found, expected, "{about}");
    }
}

//! How long it takes to tell where a value came from, among many lines of lineage in PostgreSQL.

use std::time::Instant;

use storage_postgres::PostgresStorage;
use syncline::{EntityQuery, Keyring, Syncline};

use super::mapping_contest::Base;

/// Values that are asked for, one after the other.
const ASKED: usize = 1_000;

/// Fills lineage up to this many lines, each of one field, and asks where values came from. Needs the rows of the contest before.
pub(crate) fn compare(base: &mut Base, lines: usize) {
    let Base::Postgres(databases) = base else { return };
    let url = databases.copy("made-0", "explained");
    let made = Instant::now();
    // Four lines for each row there is, the rest for rows that are gone, four each.
    databases.on(
        &url,
        &format!(
            "INSERT INTO syncline.lineage_entries (workspace_id, type_id, entity_id, run_id, op, changes, changed_at) \
             SELECT r.workspace_id, t.id, k.entity_id, r.id, 'u', \
             json_build_object('member_rating', json_build_array(k.nth, k.nth + 1)), r.started_at + k.nth * interval '1 minute' \
             FROM (SELECT * FROM syncline.sync_runs ORDER BY id LIMIT 1) r \
             JOIN syncline.entity_types t ON t.entity_type = 'members_members' \
             CROSS JOIN (SELECT nth, entity_id FROM generate_series(0, 3) nth, syncline.members_members \
             UNION ALL SELECT g % 4, md5((g / 4)::text) \
             FROM generate_series(1, {lines} - 4 * (SELECT count(*) FROM syncline.members_members)) g) k"
        ),
    );
    databases.settle("explained");
    let count = databases.number(&url, "SELECT count(*) FROM syncline.lineage_entries");
    let bytes = databases.number(&url, "SELECT pg_total_relation_size('syncline.lineage_entries')");
    println!("\nPostgreSQL, {count} lines of lineage ({:.2} GB), made in {:.0} s", bytes as f64 / 1e9, made.elapsed().as_secs_f64());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    let mut times = runtime.block_on(async {
        let storage = PostgresStorage::connect(&url).await.expect("the database opens");
        let keyring = Keyring::parse("bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a key is well formed");
        let syncline = Syncline::builder().storage(storage).keyring(keyring).build().await.expect("an engine");
        let workspace = syncline.workspace("bench");
        let query = EntityQuery { limit: ASKED as u32, ..EntityQuery::default() };
        let rows = workspace.entities("members_members", query).await.expect("rows");
        let mut times = Vec::with_capacity(ASKED);
        for row in rows {
            let began = Instant::now();
            let explanation = workspace.explain("members_members", &row.key, "member_rating").await.expect("an explanation");
            times.push(began.elapsed().as_secs_f64() * 1e3);
            assert!(explanation.to_string().contains("members"), "{explanation}");
        }
        times
    });
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "where a value came from is told in {:.2} ms (median of {}; 95 in 100 within {:.2} ms; the goal is 5 ms at most)",
        at(0.5),
        times.len(),
        at(0.95)
    );
    databases.drop("explained");
}

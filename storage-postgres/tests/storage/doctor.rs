//! What the doctor sees, and that it sees each thing that is broken.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions, raw_sql};
use storage_postgres::{Level, PostgresStorage, Report, RowSecurity};
use sync_testkit::postgres::TestDatabase;

use crate::support::{builder, fresh};

async fn doctor(database: &TestDatabase) -> Report {
    builder(database).doctor().await.expect("the server is there")
}

async fn run(database: &TestDatabase, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut database.connection().await).await.expect(sql);
}

/// Findings of a check that are warnings or errors.
fn complaints<'r>(report: &'r Report, check: &str) -> Vec<&'r str> {
    let bad = report.findings.iter().filter(|finding| finding.check == check && finding.level >= Level::Warning);
    bad.inspect(|finding| assert!(finding.to_do.is_some(), "{finding:?} says what to do")).map(|finding| finding.found.as_str()).collect()
}

#[tokio::test]
async fn an_empty_database_is_looked_at_and_left_as_it_was() {
    let database = TestDatabase::create().await;
    let report = doctor(&database).await;
    assert_eq!((report.version, report.worst()), (Some(0), Level::Error));
    assert_eq!(complaints(&report, "migrations").len(), 1);
    let pending = builder(&database).pending().await.expect("the server is there");
    assert_eq!((pending.present, pending.missing.len()), (0, storage_postgres::migrations().len()));
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'syncline'";
    let made: i64 = sqlx::query_scalar(schemas).fetch_one(&mut database.connection().await).await.expect("a count");
    assert_eq!(made, 0, "looking makes nothing");
}

#[tokio::test]
async fn a_database_as_migrations_leave_it_has_no_complaint_about_walls_and_roles() {
    let (database, _storage) = fresh().await;
    let report = doctor(&database).await;
    for check in ["server", "connection", "clock", "roles", "owner", "migrations", "row_security", "connections", "pooler"] {
        assert_eq!(complaints(&report, check), Vec::<&str>::new());
        assert!(
            report.findings.iter().any(|finding| finding.check == check && finding.level == Level::Ok),
            "{check}: {:?}",
            report.findings
        );
    }
    assert_eq!(report.version, Some(report.newest));
    let runs = report.tables.iter().find(|table| table.table == "sync_runs").expect("a table");
    assert!(runs.of_tenants && runs.row_security && runs.forced && runs.bytes > 0, "{runs:?}");
    assert_eq!(runs.policies, ["syncline_fleet", "syncline_tenant"]);
    let shared = report.tables.iter().find(|table| table.table == "migrations").expect("a table");
    assert!(!shared.of_tenants, "{shared:?}");
    let json = serde_json::to_value(&report).expect("it serialises");
    assert_eq!((&json["findings"][0]["check"], &json["findings"][0]["level"]), (&"server".into(), &"ok".into()));
}

#[tokio::test]
async fn each_broken_wall_is_named_with_what_mends_it() {
    let (database, _storage) = fresh().await;
    for (sql, part) in [
        ("ALTER TABLE syncline.sync_cursors DISABLE ROW LEVEL SECURITY", "\"sync_cursors\": row security is not switched on"),
        ("ALTER TABLE syncline.sync_failures NO FORCE ROW LEVEL SECURITY", "\"sync_failures\": row security does not hold for its owner"),
        ("DROP POLICY syncline_tenant ON syncline.push_links", "\"push_links\": policy syncline_tenant is missing"),
        ("DROP POLICY syncline_fleet ON syncline.sync_events", "\"sync_events\": policy syncline_fleet is missing"),
        ("CREATE POLICY open ON syncline.scans USING (true)", "\"scans\": policy \"open\" is not ours"),
        ("ALTER POLICY syncline_tenant ON syncline.record_links USING (true)", "\"record_links\": policy syncline_tenant does not say"),
        (
            "ALTER POLICY syncline_tenant ON syncline.push_feeds USING (workspace_id = NULLIF(current_setting('app.workspace_id', true), '') OR true)",
            "\"push_feeds\": policy syncline_tenant does not say",
        ),
        (
            "ALTER VIEW syncline.integration_sync_logs RESET (security_invoker)",
            "view \"integration_sync_logs\" reads with its owner's rights",
        ),
        ("ALTER TABLE syncline.oauth_clients DISABLE ROW LEVEL SECURITY", "\"oauth_clients\": row security is not switched on"),
        ("CREATE UNIQUE INDEX guess ON syncline.push_intents (marker)", "key \"guess\" does not begin with workspace_id"),
    ] {
        run(&database, sql).await;
        let report = doctor(&database).await;
        assert!(complaints(&report, "row_security").iter().any(|found| found.contains(part)), "after {sql}: {:?}", report.findings);
        assert_eq!(report.worst(), Level::Error);
    }
    assert_eq!(complaints(&doctor(&database).await, "row_security").len(), 10, "each once, and nothing else");
}

#[tokio::test]
async fn a_login_with_few_rights_is_told_what_it_could_not_see_and_what_it_lacks() {
    let (database, _storage) = fresh().await;
    let name = format!("doctor_{}", database.name());
    run(&database, &format!("CREATE ROLE {name} LOGIN PASSWORD 'x'")).await;
    let url: PgConnectOptions = database.url().parse().expect("a URL");
    let url = sqlx::ConnectOptions::to_url_lossy(&url.username(&name).password("x")).to_string();
    let looked = PostgresStorage::builder(url).doctor().await;
    run(&database, &format!("DROP ROLE {name}")).await;
    let report = looked.expect("it may connect");
    assert!(
        complaints(&report, "roles").iter().any(|found| found.contains("may not act as role \"syncline_app\"")),
        "{:?}",
        report.findings
    );
    assert!(complaints(&report, "migrations").iter().any(|found| found.contains("may not read schema")), "{:?}", report.findings);
    assert!(complaints(&report, "owner").iter().any(|found| found.contains("may not act")), "{:?}", report.findings);
    let unseen = |report: &Report| {
        report.findings.iter().any(|finding| finding.level == Level::Unseen && finding.found.contains("pg_read_all_stats"))
    };
    assert!(unseen(&report), "{:?}", report.findings);
    assert!(!format!("{report:?}").contains("postgres://"), "no URL in it");
}

#[tokio::test]
async fn trouble_of_the_server_around_us_is_seen() {
    let (database, _storage) = fresh().await;
    run(&database, &format!("ALTER DATABASE {} SET synchronous_commit = off", database.name())).await;
    run(&database, &format!("ALTER DATABASE {} CONNECTION LIMIT 3", database.name())).await;
    let report = builder(&database).max_connections(40).doctor().await.expect("the server is there");
    let settings = complaints(&report, "settings");
    assert!(settings.iter().any(|found| found.starts_with("synchronous_commit is off")), "{settings:?}");
    assert_eq!(complaints(&report, "connections").len(), 1, "{:?}", report.findings);
    let off = builder(&database).row_security(RowSecurity::Off).doctor().await.expect("the server is there");
    assert_eq!(complaints(&off, "roles").len(), 1, "{:?}", off.findings);
}

#[tokio::test]
async fn a_pool_of_the_host_is_looked_at_through_its_own_connections() {
    let (database, _storage) = fresh().await;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).acquire_timeout(std::time::Duration::from_millis(200));
    let pool = pool.connect(&database.url()).await.expect("a pool");
    let report = PostgresStorage::from_pool(pool.clone()).doctor().await.expect("the server is there");
    assert!(report.findings.iter().any(|finding| finding.check == "pooler" && finding.level == Level::Unseen), "{:?}", report.findings);
    let mut connection = pool.acquire().await.expect("it came back");
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open: i64 = sqlx::query_scalar(idle).fetch_one(&mut database.connection().await).await.expect("a count");
    assert_eq!(open, 0, "no transaction is left open");
    PgConnection::ping(&mut connection).await.expect("and it works");
}

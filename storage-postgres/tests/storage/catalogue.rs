//! What PostgreSQL's own catalogue says about our tables: no tenant's row can be reached past row security (reliability: TN1, TN3).

use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use storage_postgres::PostgresStorage;
use sync_core::store::{
    Client, ClientAccount, NewConnection, PageCommit, PendingAuthorization, SealedCredentials, Storage as _, StoredClient,
};

use crate::{
    connections::connection,
    push_support::{at, batch, begin, feed, managed, part, target, up},
    support::fresh,
};

/// Tables that belong to no tenant: they name tables, columns, versions and keys.
const SHARED: &[&str] = &["migrations", "entity_types", "entity_columns", "retention_marks", "key_ring"];

/// What a tenant's policy shows and checks, as the server prints it.
const OWN_ROWS: &str = "(workspace_id = NULLIF(current_setting('app.workspace_id'::text, true), ''::text))";

/// Everything in our schema that a tenant's row could be reached by, and what is wrong with it.
pub(crate) async fn wrong(connection: &mut PgConnection) -> Vec<String> {
    let shared: Vec<String> = SHARED.iter().map(|table| (*table).to_owned()).collect();
    let mut wrong = Vec::new();
    for (what, sql) in [
        (
            "table without forced row security",
            "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind IN ('r', 'p') \
             AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND c.relname <> ALL($1)",
        ),
        (
            "table whose tenant policy does not both show and check the workspace, for everybody",
            "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind IN ('r', 'p') \
             AND c.relname <> ALL($1) AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*' \
             AND p.polroles = '{0}' AND pg_get_expr(p.polqual, p.polrelid) = $2 \
             AND pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))",
        ),
        (
            "policy that lets somebody else than the fleet past the workspace",
            "SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid \
             WHERE c.relnamespace = 'syncline'::regnamespace AND c.relname <> ALL($1) \
             AND pg_get_expr(p.polqual, p.polrelid) <> $2 AND p.polroles <> ARRAY['syncline_fleet'::regrole::oid]",
        ),
        (
            "key that does not begin with the workspace",
            "SELECT c.relname || '.' || i.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0] \
             WHERE c.relnamespace = 'syncline'::regnamespace AND x.indisunique AND a.attname <> 'workspace_id' AND c.relname <> ALL($1)",
        ),
        (
            "reference that does not carry the workspace",
            "SELECT c.relname || '.' || k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] \
             JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1] \
             WHERE c.relnamespace = 'syncline'::regnamespace AND k.contype = 'f' AND c.relname <> ALL($1) \
             AND (a.attname <> 'workspace_id' OR b.attname <> 'workspace_id')",
        ),
        (
            "view that runs with its owner's rights",
            "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind IN ('v', 'm') \
             AND NOT coalesce('security_invoker=true' = ANY(c.reloptions), false) AND c.relname <> ALL($1)",
        ),
        (
            "function that runs with its owner's rights",
            "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'syncline'::regnamespace AND p.prosecdef AND p.proname <> ALL($1)",
        ),
        (
            "role that gets past the policies",
            "SELECT r.rolname::text FROM pg_roles r WHERE r.rolname IN ('syncline_app', 'syncline_fleet') AND (r.rolsuper OR r.rolbypassrls \
             OR r.rolcanlogin OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relnamespace = 'syncline'::regnamespace)) \
             AND r.rolname <> ALL($1)",
        ),
        (
            "privilege of the fleet on a table it has no business with",
            "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL($1) \
             AND has_table_privilege('syncline_fleet', c.oid, 'SELECT') \
             AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'syncline_fleet')",
        ),
        (
            "shared table the app role may write",
            "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'syncline'::regnamespace AND c.relname = ANY($1) \
             AND has_table_privilege('syncline_app', c.oid, 'INSERT, UPDATE, DELETE')",
        ),
    ] {
        // Not all of them ask for the expression.
        let sql = format!("{sql} AND $2::text IS NOT NULL");
        let found =
            sqlx::query(AssertSqlSafe(sql)).bind(&shared).bind(OWN_ROWS).fetch_all(&mut *connection).await.expect("the catalogue answers");
        wrong.extend(found.iter().map(|row| format!("{what}: {}", row.get::<String, _>(0))));
    }
    wrong
}

/// A stream's own table, and one fed through a mapping, each with a row of `acme`; and its connection, authorization, client and lease.
async fn fill(storage: &PostgresStorage) {
    let acme = storage.workspace(&"acme".into());
    let sealed = SealedCredentials {
        access: vec![1],
        refresh: None,
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 1,
    };
    acme.connect(NewConnection { credentials: Some(sealed), ..connection("c1", "acc") }).await.expect("connects");
    acme.keep_authorization(PendingAuthorization {
        nonce: "n".into(),
        provider: "slack".into(),
        browser: [1].into(),
        verifier: vec![1],
        client_id: None,
        redirect_uri: "https://x".into(),
        request: json!({}),
        begun_at: at(0),
        expires_at: at(1),
    })
    .await
    .expect("kept");
    let (authority, client_id, redirect_uri) = ("slack".into(), "id".into(), "https://x".into());
    acme.set_oauth_client(StoredClient { authority, client_id, secret: None, redirect_uri, updated_at: at(0) }).await.expect("stored");
    assert!(acme.lease("renew c1", "one", std::time::Duration::from_secs(60)).await.expect("an answer"));
    let account = ClientAccount { provider: "slack".into(), account_id: "other".into(), name: None };
    acme.put_client(Client { accounts: vec![account], ..Client::new("initech", "Initech", at(0)) }, None).await.expect("stored");
    acme.begin_onboarding("ada", at(0)).await.expect("begun");
    for target in [target("members"), managed("people", &["email"])] {
        let run = begin(storage, "acme", &feed("c1", target.entity.as_str()), &target).await;
        let page =
            PageCommit { scan: Some(1), events: vec!["{}".into()], ..run.page(vec![part("", batch(&[up("1", json!({"email": "a@x"}))]))]) };
        assert_eq!(run.store.commit(page).await.expect("a page is committed").counts.created, 1);
    }
}

#[tokio::test]
async fn every_table_view_and_key_keeps_to_its_workspace() {
    let (database, storage) = fresh().await;
    fill(&storage).await;
    let mut connection = database.connection().await;
    let managed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'syncline' AND tablename IN ('members', 'people')")
            .fetch_one(&mut connection)
            .await
            .expect("the catalogue answers");
    assert_eq!(managed, 2, "managed tables are looked at too");
    assert_eq!(wrong(&mut connection).await, [""; 0]);
    for (planted, expected) in [
        ("CREATE TABLE syncline.open (workspace_id text PRIMARY KEY)", "table without forced row security: open"),
        ("ALTER TABLE syncline.sync_runs NO FORCE ROW LEVEL SECURITY", "table without forced row security: sync_runs"),
        ("DROP POLICY syncline_tenant ON syncline.members", "table whose tenant policy does not"),
        (
            "ALTER POLICY syncline_tenant ON syncline.members USING (workspace_id = NULLIF(current_setting('app.workspace_id', true), '') OR true) \
             WITH CHECK (workspace_id = NULLIF(current_setting('app.workspace_id', true), '') OR true)",
            "table whose tenant policy does not",
        ),
        (
            "ALTER POLICY syncline_tenant ON syncline.members USING (workspace_id = NULLIF(current_setting('app.workspace_id', true), '') OR true)",
            "policy that lets somebody else than the fleet past the workspace: members.syncline_tenant",
        ),
        ("CREATE POLICY all_of_it ON syncline.people USING (true)", "policy that lets somebody else"),
        ("CREATE UNIQUE INDEX guess ON syncline.sync_runs (id)", "key that does not begin with the workspace: sync_runs.guess"),
        ("CREATE VIEW syncline.peek AS SELECT * FROM syncline.members", "view that runs with its owner's rights: peek"),
        ("GRANT SELECT ON syncline.members TO syncline_fleet", "privilege of the fleet"),
        ("GRANT INSERT ON syncline.entity_types TO syncline_app", "shared table the app role may write: entity_types"),
        (
            "ALTER TABLE syncline.push_links ADD FOREIGN KEY (feed_no, workspace_id) REFERENCES syncline.push_feeds (no, workspace_id)",
            "reference that does not carry the workspace",
        ),
    ] {
        for sql in ["BEGIN", "CREATE UNIQUE INDEX swapped ON syncline.push_feeds (no, workspace_id)", planted] {
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("it can be planted");
        }
        let found = wrong(&mut connection).await;
        assert!(found.iter().any(|found| found.starts_with(expected)), "{planted}: {found:?}");
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.expect("it is taken back");
    }
}

#[tokio::test]
async fn without_a_workspace_nothing_is_seen_and_nothing_can_be_written() {
    let (database, storage) = fresh().await;
    fill(&storage).await;
    let mut connection = database.connection().await;
    // A connection that had a workspace reads '' afterwards, not NULL.
    for sql in [
        "BEGIN; SET LOCAL ROLE syncline_app; SELECT set_config('app.workspace_id', 'acme', true)",
        "COMMIT",
        "BEGIN; SET LOCAL ROLE syncline_app; SET LOCAL search_path TO syncline",
    ] {
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("settings are made");
    }
    let of_runs = ["members", "people", "sync_runs", "record_links", "connection_numbers", "sync_events", "field_lineage", "scans"];
    for table in of_runs.into_iter().chain([
        "integration_connections",
        "oauth_states",
        "oauth_clients",
        "leases",
        "clients",
        "client_accounts",
        "onboarding_progress",
        "config_versions",
    ]) {
        let whole: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM syncline.{table}")))
            .fetch_one(&mut database.connection().await)
            .await
            .expect("a superuser reads it");
        assert!(whole > 0, "{table} has rows, or the test proves nothing");
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect("the table is read");
        assert_eq!(rows, 0, "{table}");
    }
    let refused =
        sqlx::query("INSERT INTO connection_numbers (workspace_id, connection_id) VALUES ('acme', 'c9')").execute(&mut connection).await;
    let refused = refused.expect_err("a row of a workspace that was not set");
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"));
}

#[tokio::test]
async fn another_workspaces_rows_can_be_neither_named_nor_guessed() {
    let (database, storage) = fresh().await;
    fill(&storage).await;
    let mut connection = database.connection().await;
    sqlx::raw_sql(
        "BEGIN; SET LOCAL ROLE syncline_app; SET LOCAL search_path TO syncline; SELECT set_config('app.workspace_id', 'globex', true)",
    )
    .execute(&mut connection)
    .await
    .expect("settings are made");
    // The run of the other workspace is no parent, and its keys are free: nothing tells that they are taken.
    let run: i64 = 1;
    for (sql, refused) in [
        ("INSERT INTO sync_failures (workspace_id, run_id, error, severity) VALUES ('globex', $1, 'x', 'error')", Some("23503")),
        ("INSERT INTO sync_failures (workspace_id, run_id, error, severity) VALUES ('acme', $1, 'x', 'error')", Some("42501")),
        ("UPDATE sync_runs SET workspace_id = 'globex' WHERE id = $1", None),
        ("DELETE FROM sync_runs WHERE id = $1", None),
        (
            "INSERT INTO members (workspace_id, connection_no, entity_id, partition_id, created_at, last_synced_at) \
             VALUES ('globex', $1, '1', '', now(), now())",
            None,
        ),
    ] {
        sqlx::raw_sql("SAVEPOINT s").execute(&mut connection).await.expect("a savepoint");
        let done = sqlx::query(sql).bind(run).execute(&mut connection).await;
        let code = match &done {
            Err(error) => error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned())),
            Ok(done) => {
                assert!(sql.starts_with("INSERT") || done.rows_affected() == 0, "{sql}: {done:?}");
                None
            }
        };
        assert_eq!(code.as_deref(), refused, "{sql}");
        sqlx::raw_sql("ROLLBACK TO SAVEPOINT s").execute(&mut connection).await.expect("back");
    }
}

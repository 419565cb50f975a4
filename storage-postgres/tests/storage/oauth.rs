//! What OAuth needs of the server: leases by its clock, answers that are lost on the way, and schemas from before.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;
use sqlx::AssertSqlSafe;
use storage_postgres::PostgresStorage;
use sync_core::{
    ErrorKind, GrantKind,
    store::{ConnectionStatus, NewConnection, PendingAuthorization, Renewal, SealedCredentials, Storage as _, StoredClient},
};
use sync_testkit::postgres::TestDatabase;

use crate::{
    catalogue::wrong,
    connections::connection,
    lost::{LOST_AFTER, LOST_BEFORE, PASSES, proxy},
    push_plans::{over, read},
    push_support::{Site, at},
    support::{builder, fresh, migrated},
};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn pending(nonce: &str) -> PendingAuthorization {
    PendingAuthorization {
        nonce: nonce.into(),
        provider: "slack".into(),
        browser: [1, 2].into(),
        verifier: nonce.as_bytes().to_vec(),
        client_id: None,
        redirect_uri: "https://host.example/callback".into(),
        request: json!({"settings": {}}),
        begun_at: at(0),
        expires_at: at(10),
    }
}

fn sealed(access: u8) -> SealedCredentials {
    let grant = Some(GrantKind::RefreshToken);
    SealedCredentials {
        access: vec![access],
        refresh: Some(vec![2]),
        grant,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: None,
        version: 1,
    }
}

async fn execute(database: &TestDatabase, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut database.connection().await).await.expect("it runs");
}

/// A storage whose database's clock is this much ahead: the setting is taken over by those who connect from now on.
async fn ahead(database: &TestDatabase, by: Duration) -> PostgresStorage {
    execute(database, &format!("ALTER DATABASE {} SET syncline.clock_shift = '{} seconds'", database.name(), by.as_secs())).await;
    builder(database).open().await.expect("opens")
}

#[tokio::test]
async fn a_lease_ends_when_the_servers_clock_says_so_and_not_before() {
    let (database, storage) = fresh().await;
    let asks = async |storage: &PostgresStorage, holder: &str| {
        storage.workspace(&"acme".into()).lease("renew c1", holder, HALF_A_MINUTE).await.expect("an answer")
    };
    assert!(asks(&storage, "one").await);
    assert!(!asks(&ahead(&database, HALF_A_MINUTE / 2).await, "two").await, "half of it is left");
    let later = ahead(&database, HALF_A_MINUTE).await;
    assert!(asks(&later, "two").await, "the end belongs to the next");
    assert!(!asks(&later, "one").await, "who comes back late is refused");
    let acme = later.workspace(&"acme".into());
    assert!(acme.lease("migrate", "one", Duration::MAX).await.expect("a life without end is no error"));
    assert!(!acme.lease("migrate", "two", HALF_A_MINUTE).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_and_what_is_kept_are_there_once_when_their_answer_is_lost() {
    let database = migrated().await;
    let (url, next) = proxy(&database).await;
    let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
    let acme = storage.workspace(&"acme".into());
    for (n, lost) in [LOST_BEFORE, LOST_AFTER, PASSES].into_iter().enumerate() {
        let name = format!("renew {n}");
        next.store(lost, Ordering::SeqCst);
        assert!(acme.lease(&name, "one", HALF_A_MINUTE).await.expect("it goes through"), "{lost}");
        assert!(!acme.lease(&name, "two", HALF_A_MINUTE).await.expect("an answer"), "{lost}: it is held");
        next.store(lost, Ordering::SeqCst);
        acme.release(&name, "one").await.expect("it goes through");
        assert!(acme.lease(&name, "two", HALF_A_MINUTE).await.expect("an answer"), "{lost}: it is free");

        let nonce = format!("nonce {n}");
        next.store(lost, Ordering::SeqCst);
        acme.keep_authorization(pending(&nonce)).await.expect("it does not find its own nonce taken");
        let again = acme.keep_authorization(pending(&nonce)).await.expect_err("it is kept");
        assert_eq!(again.kind(), ErrorKind::Conflict, "{lost}: {again}");
        assert_eq!(acme.take_authorization(&nonce).await.expect("an answer"), Some(pending(&nonce)), "{lost}");

        let account = NewConnection { credentials: Some(sealed(7)), ..connection(&format!("c{n}"), &format!("acc{n}")) };
        next.store(lost, Ordering::SeqCst);
        let made = acme.connect(account).await.expect("it goes through");
        let stored = acme.credentials(&made.id).await.expect("read").expect("there");
        assert_eq!((stored.access, stored.version), (vec![7], made.token_version), "{lost}: the version that was told is the one stored");
        let failing = Renewal { failing_since: Some(at(1)), ..Renewal::default() };
        next.store(lost, Ordering::SeqCst);
        assert!(acme.note_renewal(&made.id, made.token_version, failing, None, at(1)).await.expect("it goes through"), "{lost}");
        next.store(lost, Ordering::SeqCst);
        let gone = acme.disconnect(&made.id, at(2)).await.expect("it goes through");
        assert_eq!((gone.status, gone.renewal), (ConnectionStatus::Disconnected, Renewal::default()), "{lost}");
        assert_eq!(acme.credentials(&made.id).await.expect("read"), None, "{lost}");
        assert_eq!(next.load(Ordering::SeqCst), PASSES, "the connection was cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_whose_answer_is_lost_is_handed_out_to_nobody() {
    let database = migrated().await;
    let (url, next) = proxy(&database).await;
    let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
    let acme = storage.workspace(&"acme".into());
    for (lost, left) in [(LOST_AFTER, None), (LOST_BEFORE, Some(pending("nonce")))] {
        acme.keep_authorization(pending("nonce")).await.expect("kept");
        next.store(lost, Ordering::SeqCst);
        let refused = acme.take_authorization("nonce").await.expect_err("nobody knows whether it was taken");
        assert_eq!((refused.kind(), next.load(Ordering::SeqCst)), (ErrorKind::Storage, PASSES), "{refused}");
        assert_eq!(acme.take_authorization("nonce").await.expect("an answer"), left, "{lost}");
    }
    let (authority, client_id, redirect_uri) = ("slack".into(), "id".into(), "https://x".into());
    let client = StoredClient { authority, client_id, secret: Some(vec![1]), redirect_uri, updated_at: at(0) };
    for (lost, left) in [(LOST_AFTER, None), (LOST_BEFORE, Some(client.clone()))] {
        acme.set_oauth_client(client.clone()).await.expect("stored");
        next.store(lost, Ordering::SeqCst);
        let refused = acme.remove_oauth_client("slack").await.expect_err("nobody knows whether there was one");
        assert_eq!(refused.kind(), ErrorKind::Storage, "{refused}");
        assert_eq!(acme.oauth_client("slack").await.expect("an answer"), left, "{lost}");
    }
}

#[tokio::test]
async fn a_schema_from_before_there_were_grants_is_walled_off_as_a_new_one() {
    let (database, storage) = fresh().await;
    drop(storage);
    execute(
        &database,
        "DROP TABLE syncline.oauth_states, syncline.oauth_clients, syncline.leases, syncline.key_ring, syncline.client_accounts, \
             syncline.clients, syncline.onboarding_progress, syncline.config_versions, syncline.plan_items, syncline.plans, \
             syncline.reference_values, syncline.mapping_conflicts, syncline.lineage_rules, syncline.sync_looks, syncline.sensitive_fields CASCADE; \
         DROP FUNCTION syncline.hidden_line, syncline.hidden; DROP TABLE syncline.lineage_keys; \
         ALTER TABLE syncline.sync_runs DROP COLUMN lineage_rules CASCADE; DROP INDEX syncline.connections_by_end; ALTER TABLE syncline.integration_connections DROP COLUMN grant_kind, DROP COLUMN granted_scopes, \
             DROP COLUMN renewal_failing_since, DROP COLUMN renewal_not_before, DROP COLUMN renewal_underway_since, \
             DROP COLUMN renewal_refused_at, DROP COLUMN token_issued_at, DROP COLUMN renewal_failed_at, \
             DROP COLUMN renewal_failures, DROP COLUMN renewal_error_kind, DROP COLUMN error_kind, DROP COLUMN grant_client_id; \
         DELETE FROM syncline.migrations WHERE version > 4; \
         INSERT INTO syncline.integration_connections (workspace_id, id, provider, account_id, credentials_encrypted, token_version, \
             sync_frequency_minutes, created_at, updated_at) VALUES ('acme', 'c1', 'slack', 'acc', '\\x0102', 7, 60, now(), now())",
    )
    .await;
    let newest = storage_postgres::migrations().last().expect("there are some").0;
    assert_eq!(builder(&database).migrate().await.expect("it is brought up to date"), (4, newest));
    assert_eq!(wrong(&mut database.connection().await).await, [""; 0]);
    let storage = builder(&database).open().await.expect("opens");
    let acme = storage.workspace(&"acme".into());
    let found = acme.account("slack", "acc").await.expect("read").expect("there");
    assert_eq!((found.token_version, found.grant, found.scopes, found.renewal), (7, None, None, Renewal::default()));
    assert_eq!(acme.credentials(&"c1".into()).await.expect("read").expect("there").access, [1, 2]);
    acme.keep_authorization(pending("nonce")).await.expect("kept");
    assert!(acme.lease("renew c1", "one", HALF_A_MINUTE).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_behind_an_erasure_is_erased_too() {
    let (database, storage) = fresh().await;
    storage.workspace(&"acme".into()).keep_authorization(pending("before")).await.expect("kept");
    let mut other = database.connection().await;
    // A browser that sets out just now: its row is seen when the table was emptied already. The lock holds the erasure up behind that.
    let writes = "BEGIN; LOCK TABLE syncline.sync_runs IN SHARE MODE; INSERT INTO syncline.oauth_states (workspace_id, nonce, provider, \
                  browser_hash, verifier_encrypted, redirect_uri, request, begun_at, expires_at) \
                  VALUES ('acme', 'behind', 'slack', '', '', 'https://x', '{}', now(), now())";
    sqlx::raw_sql(writes).execute(&mut other).await.expect("written");
    let fleet = storage.fleet();
    let erasing = tokio::spawn(async move { fleet.erase(&"acme".into()).await });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'syncline.sync_runs'::regclass)";
    for tries in 0.. {
        if sqlx::query_scalar(waits).fetch_one(&mut other).await.expect("an answer") {
            break;
        }
        assert!(tries < 500, "the erasure never came to the runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("committed");
    assert_eq!(erasing.await.expect("no panic").expect("erased"), 2, "the one from before and the one behind");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM syncline.oauth_states").fetch_one(&mut other).await.expect("a count");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn who_forgets_what_is_long_past_does_not_wait_for_somebody_else_who_does() {
    let (database, storage) = fresh().await;
    let acme = storage.workspace(&"acme".into());
    for nonce in ["old 1", "old 2", "old 3"] {
        acme.keep_authorization(pending(nonce)).await.expect("kept");
    }
    let mut other = database.connection().await;
    let holds = "BEGIN; SELECT 1 FROM syncline.oauth_states WHERE nonce = 'old 2' FOR UPDATE";
    sqlx::raw_sql(holds).execute(&mut other).await.expect("it holds a row");
    let today = at(11) + chrono::Duration::days(1);
    let new = PendingAuthorization { begun_at: today, expires_at: today, ..pending("new") };
    let kept = tokio::time::timeout(Duration::from_secs(10), acme.keep_authorization(new)).await;
    kept.expect("it waits for nobody").expect("kept");
    let left = "SELECT nonce FROM syncline.oauth_states ORDER BY nonce";
    let left: Vec<String> = sqlx::query_scalar(left).fetch_all(&mut other).await.expect("read");
    assert_eq!(left, ["new", "old 2"], "the one that is held is left to whoever holds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_near_their_end_are_found_without_reading_the_others() {
    let site = Site::new().await;
    site.execute(
        "SET session_replication_role = replica; \
         INSERT INTO syncline.integration_connections (workspace_id, id, provider, account_id, grant_kind, expires_at, token_version, \
             sync_frequency_minutes, created_at, updated_at) \
         SELECT 'w' || n % 100, 'c' || n, 'slack', 'a' || n, 'refresh_token', timestamptz '2026-03-01' + n * interval '1 minute', 1, 60, now(), now() \
         FROM generate_series(1, 50000) n; ANALYZE syncline.integration_connections; SELECT pg_stat_force_next_flush()",
    )
    .await;
    site.execute("SELECT pg_stat_reset()").await;
    let url = site.database.url();
    let url = format!("{url}{}application_name=counted", if url.contains('?') { '&' } else { '?' });
    let storage = PostgresStorage::builder(url).max_connections(2).open().await.expect("opens");
    let (now, fleet) = ("2026-03-10T00:00:00Z".parse().expect("a time"), storage.fleet());
    let first = fleet.due_renewals(now, now, None, 100).await.expect("listed");
    let second = fleet.due_renewals(now, now, first.last(), 100).await.expect("listed");
    assert_eq!((first.len(), second.len(), &*second[99].connection.to_string()), (100, 100, "c200"));
    drop((fleet, storage));
    over(&site, "counted").await;
    let read = read(&site, "syncline.integration_connections").await;
    assert!((200..800).contains(&read), "{read} rows and entries were read for 200");
}

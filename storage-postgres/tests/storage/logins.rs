//! Who connects: logins that are no superusers, that may make roles or may not, and that act as somebody else.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use serde_json::json;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    raw_sql,
};
use storage_postgres::{Level, PostgresBuilder, PostgresStorage, RowSecurity};
use sync_core::store::Storage as _;
use sync_testkit::postgres::TestDatabase;

use crate::push_support::{begin, feed, target, up};

/// Roles of one test's own, in the names of its database: they belong to the whole server.
struct Logins {
    database: TestDatabase,
}

impl Logins {
    /// A database with a login `me_…` that may make roles.
    async fn new(rights: &str) -> Self {
        let this = Self { database: TestDatabase::create().await };
        this.run(&format!("CREATE ROLE {} LOGIN {rights}", this.name("me"))).await;
        this
    }

    fn name(&self, role: &str) -> String {
        format!("{role}_{}", self.database.name())
    }

    fn options(&self) -> PgConnectOptions {
        let url: PgConnectOptions = self.database.url().parse().expect("a URL");
        url.username(&self.name("me"))
    }

    async fn run(&self, sql: &str) {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.database.connection().await).await.expect(sql);
    }

    fn security(&self) -> RowSecurity {
        RowSecurity::Roles { app: self.name("app"), fleet: self.name("fleet") }
    }

    fn builder(&self) -> PostgresBuilder {
        PostgresStorage::builder(self.options().to_url_lossy().to_string()).max_connections(3).row_security(self.security())
    }

    /// Takes the roles away, with what they own in these databases.
    async fn end(self, roles: &[&str], beside: &[&TestDatabase]) {
        let names: Vec<String> = roles.iter().map(|role| self.name(role)).collect();
        for database in beside.iter().copied().chain([&self.database]) {
            let sql = format!("DROP OWNED BY {} CASCADE", names.join(", "));
            raw_sql(AssertSqlSafe(sql)).execute(&mut database.connection().await).await.expect("what they own goes");
        }
        self.run(&format!("DROP ROLE {}", names.join(", "))).await;
    }
}

/// A pull of one row into a table that has to be made.
async fn pull(storage: &PostgresStorage) {
    let run = begin(storage, "acme", &feed("c1", "s"), &target("members")).await;
    run.commit(&[up("a", json!({"n": 1}))]).await;
    assert_eq!(run.rows().await.len(), 1);
    run.end().await;
}

#[tokio::test]
async fn a_login_that_may_make_roles_makes_what_it_needs_and_goes_on() {
    let logins = Logins::new("CREATEROLE").await;
    logins.run(&format!("GRANT CREATE ON DATABASE {} TO {}", logins.database.name(), logins.name("me"))).await;
    let storage = logins.builder().open().await.expect("it opens");
    pull(&storage).await;
    assert_eq!(storage.fleet().reap().await.expect("all workspaces are looked at"), 0);
    let report = logins.builder().doctor().await.expect("looked");
    let bad: Vec<_> = report.findings.iter().filter(|finding| finding.level >= Level::Warning && finding.check == "roles").collect();
    assert!(bad.is_empty(), "{bad:?}");
    logins.builder().open().await.expect("and again");
    drop(storage);
    logins.end(&["app", "fleet", "me"], &[]).await;
}

#[tokio::test]
async fn a_schema_that_is_there_takes_no_right_on_the_database() {
    let logins = Logins::new("CREATEROLE").await;
    logins.run(&format!("CREATE SCHEMA syncline AUTHORIZATION {}", logins.name("me"))).await;
    let storage = logins.builder().open().await.expect("it opens in the schema that was made for it");
    pull(&storage).await;
    drop(storage);
    logins.end(&["app", "fleet", "me"], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_of_one_server_are_migrated_at_once() {
    let logins = Logins::new("CREATEROLE").await;
    let beside = TestDatabase::create().await;
    for database in [&logins.database, &beside] {
        let sql = format!("GRANT CREATE ON DATABASE {} TO {}", database.name(), logins.name("me"));
        raw_sql(AssertSqlSafe(sql)).execute(&mut database.connection().await).await.expect("granted");
    }
    // What the first does of a migration, in the other database, up to just before its end.
    let mut first = PgConnection::connect_with(&logins.options().database(beside.name())).await.expect("connects");
    let (app, me) = (logins.name("app"), logins.name("me"));
    let sql = format!("CREATE ROLE {app} NOLOGIN; BEGIN; GRANT {app} TO {me}");
    for sql in sql.split("; ") {
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut first).await.expect(sql);
    }
    let second = tokio::spawn(logins.builder().migrate());
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut look = logins.database.connection().await;
    for _ in 0..200 {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&mut look).await.expect("a count");
        if waiting > 0 || second.is_finished() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(!second.is_finished(), "the second waits for the first");
    raw_sql("COMMIT").execute(&mut first).await.expect("the first is done");
    second.await.expect("joined").expect("and the second too");
    first.close().await.expect("closed");
    drop(look);
    logins.end(&["app", "fleet", "me"], &[&beside]).await;
}

#[tokio::test]
async fn a_host_that_acts_as_another_role_stays_in_it() {
    let logins = Logins::new("NOINHERIT").await;
    let (owner, me) = (logins.name("owner"), logins.name("me"));
    let sql = format!(
        "CREATE ROLE {owner} NOLOGIN CREATEROLE; GRANT {owner} TO {me}; GRANT CREATE ON DATABASE {} TO {owner}; \
         CREATE TABLE noted (who text); ALTER TABLE noted OWNER TO {owner}",
        logins.database.name()
    );
    logins.run(&sql).await;
    let set = format!("SET ROLE {owner}");
    let pool = PgPoolOptions::new().max_connections(3).after_connect(move |connection, _| {
        let set = set.clone();
        async move { raw_sql(AssertSqlSafe(set)).execute(connection).await.map(drop) }.boxed()
    });
    let pool = pool.connect_with(logins.options()).await.expect("a pool");
    let storage = PostgresStorage::from_pool(pool.clone()).row_security(logins.security()).open().await.expect("it opens");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = Arc::clone(&seen);
    storage.on_commit(move |connection, _| {
        let saw = Arc::clone(&saw);
        async move {
            let who: String = sqlx::query_scalar("INSERT INTO noted VALUES (current_user) RETURNING who").fetch_one(connection).await?;
            saw.lock().expect("not poisoned").push(who);
            Ok(())
        }
        .boxed()
    });
    pull(&storage).await;
    assert_eq!(*seen.lock().expect("not poisoned"), std::slice::from_ref(&owner), "whom a hook runs as");
    let made: String = sqlx::query_scalar("SELECT tableowner::text FROM pg_tables WHERE tablename = 'members'")
        .fetch_one(&mut logins.database.connection().await)
        .await
        .expect("the table is there");
    assert_eq!(made, owner, "whose a new table is");
    drop(storage);
    pool.close().await;
    logins.end(&["app", "fleet", "owner", "me"], &[]).await;
}

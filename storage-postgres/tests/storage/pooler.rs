//! Behind a transaction pooler: consecutive transactions of one client run in different sessions of the server.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::FutureExt as _;
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use storage_postgres::PostgresStorage;
use sync_testkit::{postgres::TestDatabase, suite::storage};
use tempfile::TempDir;

use crate::{
    push_support::{Site, begin, counts, feed, target, up},
    suite::Postgres,
    support::migrated,
};

/// A PgBouncer in transaction mode before the server of the tests, on a socket in a folder of its own.
pub(crate) struct Pooler {
    child: Child,
    folder: TempDir,
    user: String,
}

impl Pooler {
    /// Starts one before the server this database is on.
    pub(crate) async fn before(database: &TestDatabase) -> Self {
        let program = program();
        let server: PgConnectOptions = database.url().parse().expect("a URL");
        let folder = tempfile::Builder::new().prefix("pgb").tempdir_in("/tmp").expect("a folder");
        let host = server.get_socket().map_or_else(|| server.get_host().to_owned(), |folder| folder.display().to_string());
        let url = database.url();
        let (_, rest) = url.split_once("://").expect("a URL has a scheme");
        let (user, _) = rest.split_once('@').expect("the server's URL names a user");
        let password = user.split_once(':').map_or(String::new(), |(_, password)| match password {
            "" => String::new(),
            password => format!(" password={password}"),
        });
        let (user, here) = (server.get_username().to_owned(), folder.path().display());
        // Two sessions for all clients, handed on after each transaction, the one that waited longest first.
        let settings = format!(
            "[databases]\n* = host={host} port={} user={user}{password}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
             unix_socket_dir = {here}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nserver_round_robin = 1\n\
             max_client_conn = 400\nignore_startup_parameters = extra_float_digits\nlogfile = {here}/log\n",
            server.get_port()
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).expect("its settings are written");
        let root = Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout.starts_with(b"0\n"));
        let mut command = Command::new("setpriv");
        // It goes with this process, however that ends; and it does not run as root.
        command.args(["--pdeathsig", "TERM"]);
        if root {
            let another =
                if Command::new("id").arg("postgres").output().is_ok_and(|said| said.status.success()) { "postgres" } else { "nobody" };
            let given = Command::new("chown").args(["-R", another]).arg(folder.path()).status();
            assert!(given.is_ok_and(|status| status.success()), "the pooler's folder is given to {another}");
            command.args(["--reuid", another, "--clear-groups"]);
        }
        let child = command.arg(program).arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let this = Self { child: child.expect("pgbouncer starts"), folder, user };
        this.answers(database.name()).await;
        this
    }

    /// The address of a database of the server, through it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{}@localhost:6432/{database}?host={}&sslmode=disable", self.user, self.folder.path().display())
    }

    async fn answers(&self, database: &str) {
        let mut last = None;
        for _ in 0..100 {
            match PgConnection::connect(&self.url(database)).await {
                Ok(connection) => return connection.close().await.expect("the connection ends"),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("pgbouncer does not answer: {last:?}\n{log}");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of the pooler.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/usr/local/bin".into()]);
    let found = folders.map(|folder: PathBuf| folder.join("pgbouncer")).find(|program| program.is_file());
    found.expect("these tests need pgbouncer (Debian: apt-get install pgbouncer; `cargo xtask test` does it when it runs as root)")
}

#[tokio::test]
async fn consecutive_transactions_run_in_different_sessions() {
    let database = migrated().await;
    let pooler = Pooler::before(&database).await;
    let mut one = PgConnection::connect(&pooler.url(database.name())).await.expect("it connects");
    let mut other = PgConnection::connect(&pooler.url(database.name())).await.expect("it connects");
    let session = "SELECT pg_backend_pid()";
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        // While another client is in a transaction the session it has is not to be had.
        sqlx::raw_sql("BEGIN").execute(&mut other).await.expect("begun");
        let pid: i32 = sqlx::query_scalar(session).persistent(false).fetch_one(&mut other).await.expect("a number");
        let mine: i32 = sqlx::query_scalar(session).persistent(false).fetch_one(&mut one).await.expect("a number");
        assert_ne!(pid, mine);
        seen.extend([pid, mine]);
        sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("ended");
    }
    assert_eq!(seen.len(), 2, "two sessions serve all");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_over_two_sessions_keep_workspaces_apart() {
    let database = migrated().await;
    let pooler = Pooler::before(&database).await;
    let settings = PostgresStorage::builder(pooler.url(database.name())).behind_transaction_pooler().max_connections(8);
    let storage = settings.open().await.expect("it opens through the pooler");
    let one = |workspace: &'static str, stream: usize| {
        let storage = storage.clone();
        async move {
            let run = begin(&storage, workspace, &feed("c1", &format!("s{stream}")), &target("members")).await;
            for n in 0..10 {
                let key = format!("{stream}-{n}");
                run.commit(&[up(&key, serde_json::json!({"of": workspace}))]).await;
                let foreign: Vec<_> = run.rows().await.into_iter().filter(|row| row.fields["of"] != serde_json::json!(workspace)).collect();
                assert!(foreign.is_empty(), "{foreign:?}");
            }
            run.end().await.counts.created
        }
    };
    let all = (0..4).flat_map(|stream| [one("acme", stream), one("globex", stream)]);
    assert_eq!(futures_util::future::join_all(all).await, [10; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_session_ends_in_its_commit_is_written_once() {
    let site = Site::new().await;
    // The first commit ends its own session while it is under way; sequences are not rolled back.
    site.execute(
        "CREATE SEQUENCE commits; CREATE TABLE noted (n int); \
         CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN IF nextval(''public.commits'') = 1 THEN \
         PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF; RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON noted DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ends()",
    )
    .await;
    let pooler = Pooler::before(&site.database).await;
    let settings = PostgresStorage::builder(pooler.url(site.database.name())).behind_transaction_pooler().max_connections(3);
    let storage = settings.open().await.expect("it opens through the pooler");
    storage.on_commit(|connection, _| {
        async move {
            sqlx::raw_sql("INSERT INTO noted VALUES (1)").execute(connection).await?;
            Ok(())
        }
        .boxed()
    });
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("members")).await;
    let done = run.commit(&[up("a", serde_json::json!({"n": 1}))]).await;
    assert_eq!(counts(&done.counts), [1, 0, 0, 0, 0, 0]);
    let state = "SELECT (SELECT last_value FROM commits) || ' ' || (SELECT count(*) FROM noted) || ' ' || commits FROM syncline.sync_runs";
    assert_eq!(site.column(state).await, ["2 1 1"], "the commit was tried twice and stands once");
}

/// The suite's checks, a group for each test.
async fn group(part: usize) {
    let database = migrated().await;
    let pooler = Pooler::before(&database).await;
    let names: Vec<&str> = storage::checks().map(|check| check.name).collect();
    let postgres = Postgres { pooler: Some(pooler.url("{}")) };
    let report =
        storage::run_where(&postgres, |check| names.iter().position(|name| *name == check.name).is_some_and(|at| at % 3 == part)).await;
    report.assert_passed();
    assert!(report.skipped().is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn suite_behind_a_pooler_part_1() {
    group(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suite_behind_a_pooler_part_2() {
    group(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suite_behind_a_pooler_part_3() {
    group(2).await;
}

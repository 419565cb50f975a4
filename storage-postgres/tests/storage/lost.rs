//! Commits whose answer is lost: whether they happened is found out, and they happen once.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use storage_postgres::PostgresStorage;
use sync_core::store::{PageCommit, SealedCredentials, Storage as _};
use sync_testkit::postgres::TestDatabase;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
};

use crate::push_support::*;

/// What becomes of the next COMMIT.
pub(crate) const PASSES: u8 = 0;
pub(crate) const LOST_BEFORE: u8 = 1;
pub(crate) const LOST_AFTER: u8 = 2;
/// Whoever stands before the server says that it lost it, as a pooler does.
const TOLD_BEFORE: u8 = 3;
const TOLD_AFTER: u8 = 4;

/// What PgBouncer answers when the session it lent is gone.
fn crashed() -> Vec<u8> {
    let fields = b"SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";
    let length = u32::try_from(fields.len() + 4).expect("it is short").to_be_bytes();
    [&b"E"[..], &length, fields].concat()
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

async fn dial(server: &PgConnectOptions) -> Box<dyn Wire> {
    let socket: Option<PathBuf> = server.get_socket().cloned();
    match socket {
        Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{}", server.get_port()))).await.expect("the socket")),
        None => Box::new(TcpStream::connect((server.get_host(), server.get_port())).await.expect("the server")),
    }
}

/// Passes bytes on, and cuts the connection at a COMMIT when it is told to.
async fn pass(client: TcpStream, server: Box<dyn Wire>, next: Arc<AtomicU8>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let commits = up[..read].windows(7).any(|text| text == b"COMMIT\0");
                let what = if commits { next.swap(PASSES, Ordering::SeqCst) } else { PASSES };
                if what == LOST_BEFORE {
                    return;
                }
                if what == TOLD_BEFORE {
                    let _ = to_client.write_all(&crashed()).await;
                    return;
                }
                if to_server.write_all(&up[..read]).await.is_err() {
                    return;
                }
                if matches!(what, LOST_AFTER | TOLD_AFTER) {
                    // The server has answered, so it is done.
                    let _ = from_server.read(&mut down).await;
                    if what == TOLD_AFTER {
                        let _ = to_client.write_all(&crashed()).await;
                    }
                    return;
                }
            }
            read = from_server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if to_client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The URL of a proxy before the database, and what becomes of the next COMMIT that goes through it.
pub(crate) async fn proxy(database: &TestDatabase) -> (String, Arc<AtomicU8>) {
    let server: PgConnectOptions = database.url().parse().expect("a URL");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let url = format!("postgres://{}@127.0.0.1:{port}/{}?sslmode=disable", server.get_username(), server.get_database().expect("a name"));
    let next = Arc::new(AtomicU8::new(PASSES));
    let told = Arc::clone(&next);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = dial(&server).await;
            tokio::spawn(pass(client, server, Arc::clone(&told)));
        }
    });
    (url, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_happens_once() {
    let site = Site::new().await;
    let (url, next) = proxy(&site.database).await;
    let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
    let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
    run.commit(&[up("a", json!({"n": 0}))]).await;
    for (n, lost) in [(1, LOST_BEFORE), (2, LOST_AFTER), (3, TOLD_BEFORE), (4, TOLD_AFTER), (5, PASSES)] {
        next.store(lost, Ordering::SeqCst);
        let page = PageCommit {
            events: vec![json!({"n": n}).to_string().into()],
            ..run.page(vec![part("", batch(&[up("a", json!({"n": n})), up(&format!("k{n}"), json!({}))]))])
        };
        let done = run.store.commit(page).await.expect("the commit goes through");
        assert_eq!(next.load(Ordering::SeqCst), PASSES, "the connection was cut");
        assert_eq!(counts(&done.counts), [1, 1, 0, 0, 0, 0], "what was done, not what is left to do");
        let state = site.column("SELECT commits || ' ' || rows_created || ' ' || rows_updated FROM syncline.sync_runs").await;
        assert_eq!(state, [format!("{} {} {n}", n + 1, n + 1)]);
    }
    assert_eq!(site.column("SELECT body FROM syncline.sync_events ORDER BY seq").await, [1, 2, 3, 4, 5].map(|n| format!(r#"{{"n":{n}}}"#)));
    assert_eq!(
        site.column("SELECT changes::text FROM syncline.lineage_entries ORDER BY seq").await,
        [1, 2, 3, 4, 5].map(|n| format!(r#"{{"n":[{},{n}]}}"#, n - 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_of_a_sweep_whose_answer_is_lost_counts_once() {
    for lost in [LOST_BEFORE, LOST_AFTER, TOLD_AFTER] {
        let site = Site::new().await;
        let (url, next) = proxy(&site.database).await;
        let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
        let run = begin(&storage, "acme", &feed("c1", "s"), &target("x_s")).await;
        run.scan("", 1, &[up("a", json!({})), up("b", json!({}))]).await;
        run.scan("", 2, &[up("a", json!({}))]).await;
        let (cut, armed) = (Arc::clone(&next), AtomicBool::new(true));
        storage.on_crash_point(move |point| {
            if point == "p14" && armed.swap(false, Ordering::SeqCst) {
                cut.store(lost, Ordering::SeqCst);
            }
        });
        let done = run.sweep(&[("", 2)], true).await;
        assert_eq!((done.known, done.missing, done.deleted), (2, 1, 1));
        assert_eq!(site.column("SELECT rows_swept::text FROM syncline.sync_runs").await, ["1"]);
        assert_eq!(site.column("SELECT op::text FROM syncline.lineage_entries").await, ["d"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_whose_answer_is_lost_are_told_to_be_stored() {
    let site = Site::new().await;
    let (url, next) = proxy(&site.database).await;
    let storage = PostgresStorage::builder(url).max_connections(3).open().await.expect("opens through the proxy");
    let acme = storage.workspace(&"acme".into());
    acme.connect(crate::connections::connection("c1", "acc")).await.expect("connected");
    let sealed = |version: u8| SealedCredentials {
        access: vec![version],
        refresh: (version > 2).then(|| vec![version, version]),
        grant: None,
        scopes: None,
        client_id: None,
        issued_at: None,
        expires_at: Some(at(u32::from(version))),
        version: version.into(),
    };
    for (version, lost) in [(1, LOST_BEFORE), (2, LOST_AFTER), (3, TOLD_AFTER)] {
        next.store(lost, Ordering::SeqCst);
        let replaced = acme.replace_credentials(&"c1".into(), u64::from(version) - 1, sealed(version), at(9)).await;
        assert!(replaced.expect("it is found out"), "version {version}: they are stored, and by nobody else");
        assert_eq!(next.load(Ordering::SeqCst), PASSES, "the connection was cut");
        let stored = acme.credentials(&"c1".into()).await.expect("read").expect("there");
        assert_eq!((stored.access, stored.version), (vec![version], u64::from(version)));
    }
    // What somebody else has stored is not ours, though its version is.
    let others = SealedCredentials { access: vec![99], ..sealed(3) };
    assert!(!acme.replace_credentials(&"c1".into(), 2, others, at(9)).await.expect("answered"));
}

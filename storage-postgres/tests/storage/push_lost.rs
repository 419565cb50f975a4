//! The answer to a commit that was lost on the way: what it was about is done once, never twice, and never left out.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use storage_postgres::PostgresStorage;
use sync_core::{
    Counts,
    store::{IntentFilter, IntentState, PushCommit},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
};

use crate::push_support::*;

/// Passes everything on.
const PASS: u8 = 0;
/// The next commit arrives; its answer does not.
const LOSE_ANSWER: u8 = 1;
/// The next commit does not even arrive.
const LOSE_COMMIT: u8 = 2;

/// A network between the storage and its server that may fail.
struct Network {
    port: u16,
    fault: Arc<AtomicU8>,
}

impl Network {
    async fn to(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let fault = Arc::new(AtomicU8::new(PASS));
        let faults = Arc::clone(&fault);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server listens");
                tokio::spawn(carry(client, server, Arc::clone(&faults)));
            }
        });
        Self { port, fault }
    }
}

async fn some(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    let read = from.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
    bytes.truncate(read);
    Some(bytes)
}

/// Carries bytes both ways until one side is gone, or the commit comes that is to be lost.
async fn carry(mut client: TcpStream, mut server: UnixStream, fault: Arc<AtomicU8>) {
    let (mut asking, mut asked) = client.split();
    let (mut answering, mut answered) = server.split();
    loop {
        tokio::select! {
            bytes = some(&mut asking) => {
                let Some(bytes) = bytes else { return };
                let commits = bytes.windows(6).any(|word| word == b"COMMIT");
                match if commits { fault.swap(PASS, Ordering::SeqCst) } else { PASS } {
                    LOSE_ANSWER => {
                        let _ = answered.write_all(&bytes).await;
                        let _ = some(&mut answering).await;
                        return;
                    }
                    LOSE_COMMIT => return,
                    _ => if answered.write_all(&bytes).await.is_err() { return },
                }
            }
            bytes = some(&mut answering) => {
                let Some(bytes) = bytes else { return };
                if asked.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_answer_was_lost_is_counted_once() {
    let site = Site::new().await;
    let socket =
        site.column("SELECT current_setting('unix_socket_directories') || '/.s.PGSQL.' || current_setting('port')").await.remove(0);
    let network = Network::to(socket).await;
    let name = site.column("SELECT current_database()::text").await.remove(0);
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}", network.port);
    let storage = PostgresStorage::builder(url).max_connections(4).open().await.expect("opens through the network");
    let push = push(&storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    for (n, fault) in [LOSE_ANSWER, LOSE_COMMIT, PASS].into_iter().enumerate() {
        let key = format!("k{n}");
        let step = PushCommit {
            begun: vec![push.intent(&key, IntentState::Sending)],
            counts: Counts { read: 1, created: 1, ..Counts::default() },
            events: vec![format!("{{\"n\":{n}}}").into()],
            ..push.commit.clone()
        };
        network.fault.store(fault, Ordering::SeqCst);
        push.store.journal(step).await.expect("it is found out what became of it");
        assert_eq!(network.fault.load(Ordering::SeqCst), PASS, "a commit was lost");
        let open: Vec<_> = push.intents(IntentFilter::default()).await.into_iter().map(|intent| intent.key.to_string()).collect();
        assert_eq!(open, (0..=n).map(|n| format!("k{n}")).collect::<Vec<_>>());
        let counts = push.store.run(push.commit.fence.run).await.expect("read").expect("there").counts;
        assert_eq!((counts.read, counts.created), (n as u64 + 1, n as u64 + 1), "fault {fault}");
        assert_eq!(push.store.events(0, 9).await.expect("read").len(), n + 1, "fault {fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_steps_at_once_the_lost_one_does_not_take_the_others_commit_for_its_own() {
    let site = Site::new().await;
    let socket =
        site.column("SELECT current_setting('unix_socket_directories') || '/.s.PGSQL.' || current_setting('port')").await.remove(0);
    let network = Network::to(socket).await;
    let name = site.column("SELECT current_database()::text").await.remove(0);
    let storage = PostgresStorage::builder(format!("postgres://postgres@127.0.0.1:{}/{name}", network.port))
        .max_connections(4)
        .open()
        .await
        .expect("opens through the network");
    let push = push(&storage, "acme", &mapped_feed("c1", "s", "m"), &target("x_s")).await;
    for n in 0..20 {
        let step = |side: &str| PushCommit {
            begun: vec![push.intent(&format!("{side}{n:02}"), IntentState::Sending)],
            counts: Counts { read: 1, created: 1, ..Counts::default() },
            ..push.commit.clone()
        };
        network.fault.store(LOSE_COMMIT, Ordering::SeqCst);
        let (one, other) = tokio::join!(push.store.journal(step("a")), push.store.journal(step("b")));
        one.expect("written");
        other.expect("written");
        let counts = push.store.run(push.commit.fence.run).await.expect("read").expect("there").counts;
        assert_eq!(counts.read, 2 * (n + 1));
        assert_eq!(push.intents(IntentFilter::default()).await.len() as u64, 2 * (n + 1), "what is about to leave was written down");
    }
}

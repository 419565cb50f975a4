//! A listener before the server, which counts statements and can stop forwarding.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to the server until it is dropped.
pub(crate) struct Proxy {
    url: String,
    stalled: watch::Sender<bool>,
    statements: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before the server of this address.
    pub(crate) async fn before(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().expect("a URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (_, rest) = url.split_once("://").expect("a URL has a scheme");
        let (user, _) = rest.split_once('@').expect("the server's URL names a user");
        let url = format!("postgres://{user}@127.0.0.1:{port}/{}?sslmode=disable", server.get_database().expect("and a database"));
        let (stalled, sees) = watch::channel(false);
        let statements = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&statements);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, sees, counted) = (server.clone(), sees.clone(), Counting::of(&counted));
                tokio::spawn(async move {
                    match server.get_socket() {
                        Some(folder) => {
                            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
                            both(client, UnixStream::connect(path).await.expect("the server's socket answers"), sees, counted).await;
                        }
                        None => {
                            let to = TcpStream::connect((server.get_host(), server.get_port())).await;
                            both(client, to.expect("the server's port answers"), sees, counted).await;
                        }
                    }
                });
            }
        });
        Self { url, stalled, statements, task }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// How many statements were sent so far, over all connections.
    pub(crate) fn statements(&self) -> usize {
        self.statements.load(Ordering::SeqCst)
    }

    /// Stops forwarding, or goes on; what came in between is forwarded then.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts the statements in what one client sends: simple queries, and executions of prepared ones.
struct Counting {
    statements: Arc<AtomicUsize>,
    /// The beginning of the message at hand: its type and length, as far as it came.
    head: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    /// The first message of a connection has no type.
    started: bool,
}

impl Counting {
    fn of(statements: &Arc<AtomicUsize>) -> Self {
        Self { statements: Arc::clone(statements), head: Vec::new(), left: 0, started: false }
    }

    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = &bytes[passed..];
            let typed = usize::from(self.started);
            let needed = (typed + 4 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..needed]);
            bytes = &bytes[needed..];
            if self.left > 0 || self.head.len() < typed + 4 {
                continue;
            }
            if self.started && matches!(self.head[0], b'Q' | b'E') {
                self.statements.fetch_add(1, Ordering::SeqCst);
            }
            let length = u32::from_be_bytes(self.head[typed..].try_into().expect("four bytes"));
            (self.left, self.started) = (length as usize - 4, true);
            self.head.clear();
        }
    }
}

async fn both(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite + Send + 'static,
    sees: watch::Receiver<bool>,
    mut counting: Counting,
) {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = tokio::io::split(server);
    let up = one_way(client_reads, server_writes, sees.clone(), |bytes| counting.look(bytes));
    tokio::join!(up, one_way(server_reads, client_writes, sees, |_| {}));
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut sees: watch::Receiver<bool>,
    mut look: impl FnMut(&[u8]),
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        look(&bytes[..n]);
        if sees.wait_for(|stalled| !stalled).await.is_err() || to.write_all(&bytes[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

//! A listener before the server, which can stop forwarding.

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
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, sees) = (server.clone(), sees.clone());
                tokio::spawn(async move {
                    match server.get_socket() {
                        Some(folder) => {
                            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
                            both(client, UnixStream::connect(path).await.expect("the server's socket answers"), sees).await;
                        }
                        None => {
                            let to = TcpStream::connect((server.get_host(), server.get_port())).await;
                            both(client, to.expect("the server's port answers"), sees).await;
                        }
                    }
                });
            }
        });
        Self { url, stalled, task }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
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

async fn both(client: TcpStream, server: impl AsyncRead + AsyncWrite + Send + 'static, sees: watch::Receiver<bool>) {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = tokio::io::split(server);
    tokio::join!(one_way(client_reads, server_writes, sees.clone()), one_way(server_reads, client_writes, sees));
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut sees: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if sees.wait_for(|stalled| !stalled).await.is_err() || to.write_all(&bytes[..n]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

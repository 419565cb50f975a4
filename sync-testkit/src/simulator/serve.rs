//! Reaching a simulated service over a loopback socket.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::{
    SimAnswer, Simulation, Simulator,
    simulation::{End, Fate},
};

/// A simulated service on a loopback socket. Stops, with all its connections, when dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it is: `http://127.0.0.1:<port>`.
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S: Simulator> Simulation<S> {
    /// Serves this service on a free port of 127.0.0.1, HTTP/1.1 without TLS, until the answer is dropped. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn serve(&self) -> io::Result<Served> {
        self.serve_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Like [`serve`](Self::serve), at an address of choice.
    ///
    /// # Errors
    /// When it is taken or not allowed.
    pub async fn serve_at(&self, address: SocketAddr) -> io::Result<Served> {
        listen(address, Arc::new(self.clone())).await
    }
}

/// What stands behind a socket.
pub(super) trait Door: Send + Sync + 'static {
    /// Decides what becomes of a request, and waits as long as its answer takes.
    fn meet(&self, head: Parts, body: Bytes) -> BoxFuture<'_, End>;
}

impl<S: Simulator> Door for Simulation<S> {
    fn meet(&self, head: Parts, body: Bytes) -> BoxFuture<'_, End> {
        Box::pin(async move {
            let Fate { delay, end } = self.arrive(head, body).await;
            if !matches!(end, End::Refused) {
                self.wait(delay).await;
            }
            end
        })
    }
}

/// Answers calls at an address until the answer is dropped.
pub(super) async fn listen(address: SocketAddr, door: Arc<dyn Door>) -> io::Result<Served> {
    let listener = TcpListener::bind(address).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move {
        // dropped with this task, and every connection with it
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await; // out of file descriptors, say
                continue;
            };
            while connections.try_join_next().is_some() {}
            let door = Arc::clone(&door);
            let service = service_fn(move |request| respond(Arc::clone(&door), request));
            connections.spawn(async move {
                // a planted fault ends the connection with an error
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(Served { url, task })
}

/// Ends the connection without a word.
fn hang_up() -> io::Error {
    io::Error::other("a planted fault")
}

async fn respond(door: Arc<dyn Door>, request: Request<Incoming>) -> io::Result<Response<Reply>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| hang_up())?.to_bytes();
    match door.meet(head, body).await {
        End::Answer(answer) => {
            let reply = Reply { left: Some(answer.body.clone()), promised: answer.body.len() as u64, cut: false };
            response(answer, reply)
        }
        End::Cut(answer, after) => {
            let after = after.min(answer.body.len().saturating_sub(1));
            let reply = Reply { left: Some(answer.body.slice(..after)), promised: answer.body.len().max(1) as u64, cut: true };
            response(answer, reply)
        }
        End::Lost | End::Refused | End::Held(_) => Err(hang_up()),
    }
}

fn response(answer: SimAnswer, reply: Reply) -> io::Result<Response<Reply>> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(reply).map_err(|_| hang_up())
}

/// A body that may promise more than it sends.
#[derive(Debug)]
struct Reply {
    left: Option<Bytes>,
    promised: u64,
    cut: bool,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match (self.left.take(), self.cut) {
            (Some(bytes), true) => {
                // one pause, in which what there is goes out before the connection ends
                if !bytes.is_empty() {
                    self.left = Some(Bytes::new());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (Some(bytes), false) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, true) => Poll::Ready(Some(Err(hang_up()))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.promised == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

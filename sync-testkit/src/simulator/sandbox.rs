//! Several simulated services behind one loopback socket, for clients that are not ours.

mod page;

use std::{
    fmt::{self, Debug},
    io,
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    Uri,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    Served, SimAnswer, Simulated, Simulation, Simulator,
    serve::{Door, listen},
    simulation::End,
};

/// Simulated services, each under a path of its own: `http://127.0.0.1:4010/slack`. The root shows people what is simulated and what
/// is not.
#[derive(Debug, Default)]
pub struct Sandbox {
    mounts: Vec<Mount>,
}

/// One service of a sandbox.
struct Mount {
    name: &'static str,
    title: &'static str,
    token: String,
    simulated: &'static [Simulated],
    not_simulated: &'static [&'static str],
    door: Box<dyn Door>,
}

impl Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Adds a service under `/<name>`. `token` is shown to whoever looks: it opens the simulated account alone.
    #[must_use]
    pub fn mount<S: Simulator>(
        mut self,
        name: &'static str,
        title: &'static str,
        token: impl Into<String>,
        service: &Simulation<S>,
    ) -> Self {
        let (simulated, not_simulated) = (service.sim().simulated(), service.sim().not_simulated());
        self.mounts.push(Mount { name, title, token: token.into(), simulated, not_simulated, door: Box::new(service.clone()) });
        self
    }

    /// The names of the services and their tokens, in the order they were added.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.mounts.iter().map(|mount| (mount.name, mount.token.as_str()))
    }

    /// Serves them at an address, HTTP/1.1 without TLS, until the answer is dropped. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or not allowed.
    pub async fn serve_at(self, address: SocketAddr) -> io::Result<Served> {
        listen(address, Arc::new(self)).await
    }
}

impl Door for Sandbox {
    fn meet(&self, mut head: Parts, body: Bytes) -> BoxFuture<'_, End> {
        let path = head.uri.path();
        if path == "/" {
            let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            return answer(SimAnswer::html(200, page::of(host, &self.mounts)));
        }
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match self.mounts.iter().find(|mount| mount.name == first) {
            Some(mount) => {
                head.uri = below(&head.uri, first);
                mount.door.meet(head, body)
            }
            None => {
                let names: Vec<&str> = self.mounts.iter().map(|mount| mount.name).collect();
                let error = format!("nothing is simulated under {path:?}; there are: /{}", names.join(", /"));
                answer(SimAnswer::json(404, serde_json::json!({ "error": error })))
            }
        }
    }
}

fn answer(answer: SimAnswer) -> BoxFuture<'static, End> {
    Box::pin(std::future::ready(End::Answer(answer)))
}

/// The address as the service sees it: without the path it is mounted under.
fn below(uri: &Uri, name: &str) -> Uri {
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // A base URL that ends in a slash and a path that begins with one are often put together as they are.
    let rest = format!("/{}", whole.trim_start_matches('/').strip_prefix(name).unwrap_or_default().trim_start_matches('/'));
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(uri.authority().cloned().unwrap_or_else(|| Authority::from_static("127.0.0.1")))
        .path_and_query(rest)
        .build()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_sees_its_own_paths() {
        for (asked, seen) in [
            ("/slack/api/auth.test?x=%2F", "/api/auth.test?x=%2F"),
            ("/slack", "/"),
            ("/slack?x=1", "/?x=1"),
            ("/sheets//v4/spreadsheets/1", "/v4/spreadsheets/1"),
            ("/sheets/v4/spreadsheets/1/values/%27A%27%21A1:append", "/v4/spreadsheets/1/values/%27A%27%21A1:append"),
        ] {
            let uri: Uri = asked.parse().expect("a path");
            let name = asked[1..].split(['/', '?']).next().expect("a name");
            assert_eq!(below(&uri, name).path_and_query().map(PathAndQuery::as_str), Some(seen), "{asked}");
        }
    }
}

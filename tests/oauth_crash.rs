//! Processes killed in the middle of an authorization and of a renewal (reliability: o1–o3, p3–p5): what is left is a working connection,
//! or one that visibly asks to be connected again, and connecting again always works.

mod support;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{
    On, TestClock, World, clean,
    place::{AnyStorage, Place},
};
use syncline::{
    Actor, Callback, ConnectionStatus, ErrorKind, Keyring, OAuthClient, Pull, Sheets, Slack, Syncline,
    core::ExposeSecret as _,
    providers::{sheets::simulator::SheetsSim, slack::simulator::SlackSim},
    testkit::{
        AuthorizationServer, Decision, Served, Simulation, VirtualClock,
        crash::{Crash, order, point},
    },
};

const REDIRECT: &str = "https://app.example/oauth/callback";

/// What a child is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Order {
    place: Place,
    keys: String,
    now: DateTime<Utc>,
    service: Service,
    what: What,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
enum What {
    /// Finishes an authorization.
    Finish { query: String, browser: String },
    /// Asks for a token of the connection.
    Token(String),
}

/// Where the simulated service is.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Service {
    /// Refresh tokens rotate.
    Slack(String),
    /// Refresh tokens stay.
    Sheets(String),
}

impl Service {
    fn name(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::Sheets(_) => "sheets",
        }
    }
}

async fn engine(order: &Order, storage: AnyStorage) -> Syncline {
    let client = || OAuthClient::new("client", REDIRECT).with_secret("s3cret");
    let builder = Syncline::builder()
        .keyring(Keyring::parse(&order.keys).expect("keys"))
        .clock(TestClock(VirtualClock::new(order.now)))
        .oauth_client("slack", client())
        .oauth_client("google", client())
        .on_crash_point(point);
    let builder = match &order.service {
        Service::Slack(url) => builder.provider(Slack::builder().base_url(format!("{url}/api/")).build().expect("a provider")),
        Service::Sheets(url) => {
            builder.provider(Sheets::builder().base_url(format!("{url}/")).oauth_url(format!("{url}/")).build().expect("a provider"))
        }
    };
    builder.storage(storage).build().await.expect("an engine")
}

#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(order) = order() else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let syncline = engine(&order, order.place.open().await).await;
    match &order.what {
        What::Finish { query, browser } => {
            let callback = Callback::from_query(query, browser.clone()).expect("a query");
            syncline.finish_authorization(callback).await.expect("authorised");
        }
        What::Token(connection) => {
            let connection = syncline.workspace("acme").connection(connection.as_str()).await.expect("there");
            connection.ensure_valid_token().await.expect("a token");
        }
    }
}

/// A database, a service on a socket, and the authorization server before it.
struct Scene {
    world: World,
    server: AuthorizationServer,
    service: Service,
    _served: Served,
}

impl Scene {
    async fn slack(on: On) -> Self {
        let world = World::on(on).await;
        let server = AuthorizationServer::new(SlackSim::authorization_rules(true)).with_client("client", Some("s3cret"), &[REDIRECT]);
        let sim = Simulation::new(SlackSim::new("T024BE7LD", "Acme").authorized_by(&server)).with_clock(world.clock.clone());
        let served = sim.serve().await.expect("a socket");
        Self { world, server, service: Service::Slack(served.url.clone()), _served: served }
    }

    async fn sheets(on: On) -> Self {
        let world = World::on(on).await;
        let server = AuthorizationServer::new(SheetsSim::authorization_rules()).with_client("client", Some("s3cret"), &[REDIRECT]);
        let sim = Simulation::new(SheetsSim::new("1AbC", "Film list").authorized_by(&server)).with_clock(world.clock.clone());
        let served = sim.serve().await.expect("a socket");
        Self { world, server, service: Service::Sheets(served.url.clone()), _served: served }
    }

    fn order(&self, what: What) -> Order {
        Order { place: self.world.place(), keys: self.world.keys.clone(), now: self.world.clock.now(), service: self.service.clone(), what }
    }

    /// An engine of this process, for which leases of processes that died have ended.
    async fn open(&self) -> Syncline {
        self.world.place().outlive();
        let storage = self.world.place().open().await;
        if let AnyStorage::Sqlite(file) = &storage {
            file.set_clock_ahead(Duration::from_secs(60));
        }
        engine(&self.order(What::Token(String::new())), storage).await
    }

    /// Begins an authorization, and lets the browser come back.
    async fn begun(&self) -> What {
        let syncline = self.open().await;
        let begin = syncline.workspace("acme").begin_authorization(self.service.name());
        let settings = if self.service.name() == "sheets" { json!({ "spreadsheet_id": "1AbC" }) } else { json!({}) };
        let begun = begin.settings(settings).await.expect("begun");
        let back = self.server.decide(&begun.url, &Decision::Approve, self.world.clock.now()).expect("sent back");
        let query = back.split_once('?').expect("a query").1.to_owned();
        What::Finish { query, browser: begun.browser.expose_secret().to_owned() }
    }

    async fn kill(&self, what: &What, at: &str) {
        let order = serde_json::to_string(&self.order(what.clone())).expect("JSON");
        Crash::child("child").kill_at(&order, at, 1).await;
    }

    async fn finish(&self, what: &What) -> syncline::Result<syncline::Authorized> {
        let What::Finish { query, browser } = what else { panic!("an authorization") };
        let syncline = self.open().await;
        syncline.finish_authorization(Callback::from_query(query, browser.clone())?).await
    }

    /// A connection whose token has ended.
    async fn expired(&self) -> String {
        let begun = self.begun().await;
        let done = self.finish(&begun).await.expect("authorised");
        self.world.clock.advance(Duration::from_secs(24 * 3600));
        done.connection.id().to_string()
    }

    /// The connection as the next process finds it.
    async fn next(&self, id: &str) -> syncline::Connection {
        self.open().await.workspace("acme").connection(id).await.expect("there")
    }
}

/// Whatever was left: connecting again works, and makes no second connection.
async fn connects_again(scene: &Scene) {
    let begun = scene.begun().await;
    let done = scene.finish(&begun).await.expect("authorised");
    assert!(done.connection.is_valid().await);
    assert_eq!(scene.open().await.workspace("acme").connections().await.expect("a list").len(), 1);
    let why = done.connection.why().await.expect("a diagnosis");
    assert_eq!(why.actor, Actor::Nobody, "{why:?}");
}

async fn killed_in_an_authorization(on: On) {
    for point in ["o1", "o2", "o3"] {
        let scene = Scene::slack(on).await;
        let begun = scene.begun().await;
        scene.kill(&begun, point).await;
        let connections = scene.open().await.workspace("acme").connections().await.expect("a list");
        match (point, &connections[..]) {
            // Nothing is half stored.
            ("o1" | "o2", []) => {}
            ("o3", [row]) => assert!(scene.next(row.id.as_str()).await.is_valid().await, "it works"),
            left => panic!("{left:?}"),
        }
        let error = scene.finish(&begun).await.expect_err("a state is good once, whatever came of it");
        assert!(error.kind() == ErrorKind::Auth && error.text().contains("used before"), "{point}: {error}");
        connects_again(&scene).await;
    }
}

async fn killed_in_a_renewal_with_refresh_tokens_that_stay(on: On) {
    for point in ["p3", "p4", "p5"] {
        let scene = Scene::sheets(on).await;
        let id = scene.expired().await;
        scene.kill(&What::Token(id.clone()), point).await;
        let connection = scene.next(&id).await;
        connection.ensure_valid_token().await.expect(point);
        assert!(connection.is_valid().await, "{point}");
        assert_eq!(connection.why().await.expect("a diagnosis").actor, Actor::Nobody);
    }
}

async fn killed_in_a_renewal_with_refresh_tokens_that_rotate(on: On) {
    for point in ["p3", "p4", "p5"] {
        let scene = Scene::slack(on).await;
        let id = scene.expired().await;
        scene.kill(&What::Token(id.clone()), point).await;
        let connection = scene.next(&id).await;
        if point == "p4" {
            // The one window nobody can close: the service gave new tokens, and they died with the process. It shows.
            let result = connection.sync_from_external(Pull::stream("users")).await.expect("a result");
            assert_eq!(result.errors[0].kind, ErrorKind::AuthRevoked, "{:?}", result.errors);
            assert_eq!(connection.status().await.expect("a status"), ConnectionStatus::Error);
            let why = connection.why().await.expect("a diagnosis");
            assert_eq!(why.actor, Actor::User, "{why:?}");
            connects_again(&scene).await;
        } else {
            clean(&connection.sync_from_external(Pull::stream("users")).await.expect("it runs"));
            assert_eq!(scene.server.grants(), 1, "{point}: no spent token was sent");
        }
    }
}

mod on_sqlite {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_an_authorization() {
        super::killed_in_an_authorization(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_a_renewal_with_refresh_tokens_that_stay() {
        super::killed_in_a_renewal_with_refresh_tokens_that_stay(On::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_a_renewal_with_refresh_tokens_that_rotate() {
        super::killed_in_a_renewal_with_refresh_tokens_that_rotate(On::Sqlite).await;
    }
}

mod on_postgres {
    use super::On;

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_an_authorization() {
        super::killed_in_an_authorization(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_a_renewal_with_refresh_tokens_that_stay() {
        super::killed_in_a_renewal_with_refresh_tokens_that_stay(On::Postgres).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_in_a_renewal_with_refresh_tokens_that_rotate() {
        super::killed_in_a_renewal_with_refresh_tokens_that_rotate(On::Postgres).await;
    }
}

//! A database, Slack with an authorization server before it, and engines as processes would be.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use syncline::{
    Callback, Connection, Keyring, OAuthClient, Slack, Syncline,
    core::ExposeSecret as _,
    providers::slack::simulator::SlackSim,
    testkit::{AuthorizationRules, AuthorizationServer, Decision, Served, Simulation, VirtualClock, crash::point},
};

use crate::support::{On, TestClock, World, place::Place};

pub(crate) const REDIRECT: &str = "https://app.example/oauth/callback";

pub(crate) fn client() -> OAuthClient {
    OAuthClient::new("client", REDIRECT).with_secret("s3cret")
}

/// Where an engine finds everything.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) url: String,
    pub(crate) now: chrono::DateTime<chrono::Utc>,
}

impl Site {
    /// An engine with these keys, the active one first.
    pub(crate) async fn engine(&self, keys: &str, clock: VirtualClock) -> Syncline {
        let slack = Slack::builder().base_url(format!("{}/api/", self.url)).build().expect("a provider");
        let builder = Syncline::builder().keyring(Keyring::parse(keys).expect("keys")).clock(TestClock(clock)).on_crash_point(point);
        builder.oauth_client("slack", client()).provider(slack).storage(self.place.open().await).build().await.expect("an engine")
    }
}

/// Slack whose refresh tokens are good once: a renewal too many takes the grant away.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) server: AuthorizationServer,
    pub(crate) simulation: Simulation<SlackSim>,
    served: Served,
}

impl Scene {
    /// Its tokens live so long.
    pub(crate) async fn new(on: On, life: Duration) -> Self {
        let world = World::on(on).await;
        let rules = AuthorizationRules { life: Some(life), ..SlackSim::authorization_rules(true) };
        let server = AuthorizationServer::new(rules).with_client("client", Some("s3cret"), &[REDIRECT]);
        let simulation = Simulation::new(SlackSim::new("T024BE7LD", "Acme").authorized_by(&server)).with_clock(world.clock.clone());
        let served = simulation.serve().await.expect("a socket");
        Self { world, server, simulation, served }
    }

    pub(crate) fn site(&self) -> Site {
        Site { place: self.world.place(), url: self.served.url.clone(), now: self.world.clock.now() }
    }

    /// An engine with these keys, the active one first.
    pub(crate) async fn engine(&self, keys: &str) -> Syncline {
        self.site().engine(keys, self.world.clock.clone()).await
    }

    /// An engine with the world's one key.
    pub(crate) async fn open(&self) -> Syncline {
        self.engine(&self.world.keys).await
    }

    /// Authorises the account in a workspace.
    pub(crate) async fn connect(&self, syncline: &Syncline, workspace: &str) -> Connection {
        let begun = syncline.workspace(workspace).begin_authorization("slack").settings(json!({})).await.expect("begun");
        let back = self.server.decide(&begun.url, &Decision::Approve, self.world.clock.now()).expect("sent back");
        let query = back.split_once('?').expect("a query").1;
        let callback = Callback::from_query(query, begun.browser.expose_secret().to_owned()).expect("a query");
        syncline.finish_authorization(callback).await.expect("authorised").connection
    }

    /// How often tokens were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.simulation.calls().iter().filter(|call| call.operation == "oauth.token").count()
    }
}

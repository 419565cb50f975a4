//! Tokens that many callers in several processes renew at once (reliability: TS1).

mod support;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{On, TestClock, World, place::Place};
use syncline::{
    Callback, Keyring, OAuthClient, Slack, Syncline,
    core::ExposeSecret as _,
    providers::slack::simulator::SlackSim,
    testkit::{
        AuthorizationServer, Decision, Simulation, VirtualClock,
        crash::{Crash, order},
    },
};

const REDIRECT: &str = "https://app.example/oauth/callback";
/// Callers in each of the two processes.
const CALLERS: usize = 32;

/// How often the token ends or is refused; `TOKEN_ROUNDS` asks for more.
fn rounds() -> u64 {
    std::env::var("TOKEN_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[derive(Debug, Deserialize, Serialize)]
struct Order {
    place: Place,
    keys: String,
    url: String,
    connection: String,
    rounds: u64,
}

async fn engine(place: &Place, keys: &str, url: &str, clock: VirtualClock) -> Syncline {
    Syncline::builder()
        .keyring(Keyring::parse(keys).expect("keys"))
        .clock(TestClock(clock))
        .oauth_client("slack", OAuthClient::new("client", REDIRECT).with_secret("s3cret"))
        .provider(Slack::builder().base_url(format!("{url}/api/")).build().expect("a provider"))
        .storage(place.open().await)
        .build()
        .await
        .expect("an engine")
}

/// Longer than Slack's tokens live.
const LIFE: Duration = Duration::from_secs(13 * 3600);

/// One of the processes. All its callers find that a 401 came for the version of an odd round, and that of an even one at its end: the
/// clock follows from the round, so that both processes agree on what has ended however far one is behind.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(order) = order() else { return };
    let order: Order = serde_json::from_str(&order).expect("an order");
    let clock = VirtualClock::new(support::start());
    let syncline = engine(&order.place, &order.keys, &order.url, clock.clone()).await;
    let acme = syncline.workspace("acme");
    let store = Arc::new(acme);
    for version in 1..=order.rounds {
        let ends = version % 2 == 0;
        if ends {
            clock.advance(LIFE);
        }
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (store, id) = (Arc::clone(&store), order.connection.clone());
                tokio::spawn(async move {
                    let connection = store.connection(id.as_str()).await.expect("there");
                    if ends { connection.ensure_valid_token().await } else { connection.renewed_since(version).await }
                })
            })
            .collect();
        for caller in callers {
            let token = caller.await.expect("it ends").expect("no error");
            assert!(token.version > version, "a newer one than the one that ended or was refused");
        }
    }
}

async fn of_all_callers_one_renews(on: On) {
    let world = World::on(on).await;
    let server = AuthorizationServer::new(SlackSim::authorization_rules(true)).with_client("client", Some("s3cret"), &[REDIRECT]);
    let sim = Simulation::new(SlackSim::new("T024BE7LD", "Acme").authorized_by(&server)).with_clock(world.clock.clone());
    let served = sim.serve().await.expect("a socket");
    let connection = {
        let syncline = engine(&world.place(), &world.keys, &served.url, world.clock.clone()).await;
        let begun = syncline.workspace("acme").begin_authorization("slack").settings(json!({})).await.expect("begun");
        let back = server.decide(&begun.url, &Decision::Approve, world.clock.now()).expect("sent back");
        let query = back.split_once('?').expect("a query").1;
        let callback = Callback::from_query(query, begun.browser.expose_secret().to_owned()).expect("a query");
        syncline.finish_authorization(callback).await.expect("authorised").connection.id().to_string()
    };
    let rounds = rounds();
    let order = Order { place: world.place(), keys: world.keys.clone(), url: served.url.clone(), connection, rounds };
    let order = serde_json::to_string(&order).expect("JSON");
    let crash = Crash::child("child").patience(Duration::from_secs(600));
    tokio::join!(crash.finish(&order), crash.finish(&order));
    // One exchange at first, one renewal a round, and no spent refresh token came again.
    assert_eq!(sim.calls().iter().filter(|call| call.operation.contains("oauth")).count() as u64, 1 + rounds);
    assert_eq!(server.grants(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_callers_in_two_processes_one_renews_on_a_server() {
    of_all_callers_one_renews(On::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_callers_in_two_processes_one_renews_in_a_file() {
    of_all_callers_one_renews(On::Sqlite).await;
}

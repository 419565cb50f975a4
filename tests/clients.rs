//! Clients of a workspace: accounts are linked to them, and connections of these accounts are theirs. On both storages.

mod support;

use futures_util::future::join_all;
use serde_json::json;
use support::{On, World, scripted::Scripted};
use syncline::{Client, ClientAccount, Connection, Credentials, ErrorKind, Syncline, Workspace, core::store::NewConnection};

fn initech(accounts: &[&str]) -> Client {
    let account = |id: &&str| ClientAccount { provider: "demo".into(), account_id: (*id).into(), name: Some("Demo account".into()) };
    Client {
        website: Some("https://initech.example".into()),
        accounts: accounts.iter().map(account).collect(),
        ..Client::new("initech", "Initech", chrono::DateTime::UNIX_EPOCH)
    }
}

async fn open(world: &World) -> Syncline {
    world.open_on(world.place().open().await, Scripted::new("demo")).await
}

async fn connect(workspace: &Workspace, account: &str) -> Connection {
    workspace.connect("demo", Credentials::api_key("good")).settings(json!({ "account": account })).await.expect("it connects")
}

async fn subject(connection: &Connection) -> Option<String> {
    connection.load_config().await.expect("a row").subject_id.map(Into::into)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_connections_the_clients_on_sqlite() {
    a_link_makes_connections_the_clients(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_makes_connections_the_clients_on_postgres() {
    a_link_makes_connections_the_clients(On::Postgres).await;
}

async fn a_link_makes_connections_the_clients(on: On) {
    let world = World::on(on).await;
    let syncline = open(&world).await;
    let acme = syncline.workspace("acme");
    let early = connect(&acme, "early").await;
    assert_eq!(subject(&early).await, None);
    let stored = acme.put_client(initech(&["early", "late", "own"])).await.expect("stored");
    assert_eq!((stored.created_at, stored.updated_at), (world.clock.now(), world.clock.now()), "its times are the engine's");
    assert_eq!(acme.client("initech").await.expect("there"), stored);
    assert_eq!(acme.clients().await.expect("a list"), [stored]);
    assert_eq!(subject(&early).await.as_deref(), Some("initech"), "what was connected before it was linked");
    assert_eq!(subject(&connect(&acme, "late").await).await.as_deref(), Some("initech"), "what is connected after");
    let own = acme.connect("demo", Credentials::api_key("good")).settings(json!({ "account": "own" })).subject("the host's own 7");
    assert_eq!(subject(&own.await.expect("it connects")).await.as_deref(), Some("the host's own 7"), "a subject that is given stays");

    let other = Client { id: "initrode".into(), name: "Initrode".into(), ..initech(&["late"]) };
    let taken = acme.put_client(other).await.expect_err("the account is another client's");
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert!(taken.to_string().contains("\"initech\""), "{taken}");
    assert_eq!(acme.client("initrode").await.expect_err("nothing was written").kind(), ErrorKind::NotFound);
    assert!(acme.remove_client("initech").await.expect("removed"));
    assert_eq!(subject(&early).await.as_deref(), Some("initech"), "the subject is free text, and stays");
    assert!(!acme.remove_client("initech").await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_and_connecting_at_once_never_miss_each_other_on_sqlite() {
    linking_and_connecting_at_once_never_miss_each_other(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_and_connecting_at_once_never_miss_each_other_on_postgres() {
    linking_and_connecting_at_once_never_miss_each_other(On::Postgres).await;
}

/// Two handles, as two processes have: one links accounts while the other connects them.
async fn linking_and_connecting_at_once_never_miss_each_other(on: On) {
    let world = World::on(on).await;
    let (one, two) = (world.place().open().await, world.place().open().await);
    let pairs = (0..16).map(|n| {
        use syncline::core::store::Storage as _;
        let (linking, connecting) = (one.workspace(&"acme".into()), two.workspace(&"acme".into()));
        let account = format!("account {n}");
        async move {
            let client = Client { id: format!("client {n}").into(), ..initech(&[&account]) };
            let new = NewConnection {
                id: format!("c{n}").as_str().into(),
                provider: "demo".into(),
                subject_id: None,
                account_id: account.as_str().into(),
                account_name: None,
                connected_by: None,
                oauth_provider: None,
                settings: json!({}),
                sync_frequency_minutes: 60,
                credentials: None,
                over: None,
                at: support::start(),
            };
            let (linked, connected) =
                tokio::join!(tokio::spawn(async move { linking.put_client(client, None).await }), connecting.connect(new));
            linked.expect("it ends").expect("linked");
            let id = connected.expect("connected").id;
            (n, connecting.connection(&id).await.expect("read").expect("there").subject_id)
        }
    });
    for (n, subject) in join_all(pairs).await {
        assert_eq!(subject.as_deref(), Some(format!("client {n}").as_str()), "whoever came second saw the first");
    }
}

//! How far users come on the way to their first data: kept by what happens, told once. On both storages.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{
    On, World,
    place::Place,
    scripted::{Scripted, last, page},
};
use syncline::{
    Connection, Credentials, Error, ErrorKind, Events, Onboarding, OnboardingStep, Pull, SyncEvent, Syncline, Workspace,
    core::store::{Log, NewConnection, Storage as _},
};

async fn open(world: &World) -> (Syncline, Scripted) {
    let provider = Scripted::new("demo");
    provider.answer(|_, _| Ok(last(page([("r1", json!({ "id": "r1", "text": "one" }))]))));
    (world.open_on(world.place().open().await, provider.clone()).await, provider)
}

async fn connect(workspace: &Workspace, account: &str, user: &str) -> Connection {
    let connect = workspace.connect("demo", Credentials::api_key("good")).settings(json!({ "account": account }));
    connect.connected_by(user).await.expect("it connects")
}

fn items() -> Pull {
    Pull::stream("items").safety_lag(Duration::ZERO)
}

fn stood(of: &Onboarding) -> (OnboardingStep, u32, bool) {
    (of.current_step, of.services_connected, of.first_sync_completed)
}

/// Stored advances: step and count.
async fn stored(workspace: &Workspace) -> Vec<String> {
    let events = workspace.events_after(0, 1_000).await.expect("events");
    let bodies = events.iter().map(|event| serde_json::from_str::<Value>(&event.body).expect("JSON"));
    let advances = bodies.filter(|body| body["type"] == "onboarding-advanced");
    advances.map(|body| format!("{} {} {}", body["user"], body["step"], body["services_connected"]).replace('"', "")).collect()
}

/// Advances this process told of so far.
async fn live(events: &mut Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), events.next()).await {
        if let SyncEvent::OnboardingAdvanced { user, step, services_connected, .. } = event {
            told.push(format!("{user} {} {services_connected}", step.as_str()));
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_comes_from_the_first_page_to_the_first_sync_on_sqlite() {
    a_user_comes_from_the_first_page_to_the_first_sync(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_comes_from_the_first_page_to_the_first_sync_on_postgres() {
    a_user_comes_from_the_first_page_to_the_first_sync(On::Postgres).await;
}

async fn a_user_comes_from_the_first_page_to_the_first_sync(on: On) {
    let world = World::on(on).await;
    let (syncline, provider) = open(&world).await;
    let acme = syncline.workspace("acme");
    let mut events = syncline.events();
    assert_eq!(acme.onboarding("ada").await.expect("an answer"), Onboarding::welcome("ada"));
    assert_eq!(world.ask("SELECT count(*) FROM syncline_onboarding_progress"), "0", "asking writes nothing");
    let begun = acme.begin_onboarding("ada").await.expect("begun");
    assert_eq!((stood(&begun), begun.updated_at), ((OnboardingStep::ConnectServices, 0, false), Some(world.clock.now())));
    acme.begin_onboarding("ada").await.expect("again");

    let connection = connect(&acme, "main", "ada").await;
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read")), (OnboardingStep::FirstSync, 1, false));
    connect(&acme, "main", "ada").await;
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read")).1, 1, "an account that is healed is counted once");
    provider.fails(|| Error::new(ErrorKind::Transport, "demo.items", "the service is down"));
    assert!(!connection.sync_from_external(items()).await.expect("the run began").success());
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read")), (OnboardingStep::FirstSync, 1, false), "a failed sync is none");
    provider.answer(|_, _| Ok(last(page([("r1", json!({ "id": "r1", "text": "one" }))]))));
    let first = connection.sync_from_external(items()).await.expect("the run began");
    world.clock.advance(Duration::from_secs(60));
    let second = connection.sync_from_external(items()).await.expect("the run began");
    assert!(first.success() && second.success());
    let done = acme.onboarding("ada").await.expect("read");
    assert_eq!((stood(&done), done.completed_at), ((OnboardingStep::Completed, 1, true), Some(first.completed_at)));
    connection.disconnect().await.expect("taken away");
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read")), (OnboardingStep::Completed, 0, true), "nobody goes back");
    assert_eq!(syncline.workspace("bolt").onboarding("ada").await.expect("read"), Onboarding::welcome("ada"), "of one workspace");

    let advances = ["ada connect_services 0", "ada first_sync 1", "ada completed 1"];
    assert_eq!(stored(&acme).await, advances);
    assert_eq!(live(&mut events).await, advances, "each is told by the process that made it");
    assert!(acme.erase("acme").await.expect("erased") > 0);
    assert_eq!(world.ask("SELECT count(*) FROM syncline_onboarding_progress"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_first_syncs_at_once_one_completes_on_sqlite() {
    of_sixteen_first_syncs_at_once_one_completes(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_first_syncs_at_once_one_completes_on_postgres() {
    of_sixteen_first_syncs_at_once_one_completes(On::Postgres).await;
}

/// Two engines on one database, as two processes are.
async fn of_sixteen_first_syncs_at_once_one_completes(on: On) {
    let world = World::on(on).await;
    let ((one, _), (two, _)) = (open(&world).await, open(&world).await);
    let mut events = [one.events(), two.events()];
    let each = (0..16).map(|n| {
        let acme = if n % 2 == 0 { &one } else { &two }.workspace("acme");
        tokio::spawn(async move {
            let connection = connect(&acme, &format!("account {n}"), "ada").await;
            assert!(connection.sync_from_external(items()).await.expect("the run began").success());
        })
    });
    for done in join_all(each).await {
        done.expect("it went through");
    }
    let acme = one.workspace("acme");
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read")), (OnboardingStep::Completed, 16, true));
    let stored = stored(&acme).await;
    assert_eq!(stored.iter().filter(|told| told.contains("completed")).count(), 1, "{stored:?}");
    assert!(stored.last().is_some_and(|last| last.contains("completed")), "nothing is told after it: {stored:?}");
    let (mut live, mut both) = (live(&mut events[0]).await, live(&mut events[1]).await);
    live.append(&mut both);
    live.sort();
    let mut expected = stored;
    expected.sort();
    assert_eq!(live, expected, "each is told by one of the processes, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_leaves_no_onboarding_and_no_event_on_sqlite() {
    what_is_rolled_back_leaves_no_onboarding_and_no_event(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_leaves_no_onboarding_and_no_event_on_postgres() {
    what_is_rolled_back_leaves_no_onboarding_and_no_event(On::Postgres).await;
}

/// The database refuses the event, the last that is written: nothing of the rest may stand.
async fn what_is_rolled_back_leaves_no_onboarding_and_no_event(on: On) {
    let world = World::on(on).await;
    let storage = world.place().open().await;
    let acme = storage.workspace(&"acme".into());
    refuse_events(&world.place(), true).await;
    let new = || NewConnection {
        id: "c1".into(),
        provider: "demo".into(),
        subject_id: None,
        account_id: "main".into(),
        account_name: None,
        connected_by: Some("ada".into()),
        oauth_provider: None,
        settings: json!({}),
        sync_frequency_minutes: 60,
        credentials: None,
        over: None,
        at: support::start(),
    };
    acme.connect(new()).await.expect_err("the database refuses");
    acme.begin_onboarding("ada", support::start()).await.expect_err("the database refuses");
    assert_eq!(acme.onboarding("ada").await.expect("read"), None);
    assert!(acme.connections().await.expect("read").is_empty());
    refuse_events(&world.place(), false).await;
    acme.connect(new()).await.expect("connected");
    assert_eq!(stood(&acme.onboarding("ada").await.expect("read").expect("there")), (OnboardingStep::FirstSync, 1, false));
    assert_eq!(acme.events(0, 10).await.expect("events").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_advances_are_pruned_with_the_events_of_runs_on_sqlite() {
    old_advances_are_pruned_with_the_events_of_runs(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_advances_are_pruned_with_the_events_of_runs_on_postgres() {
    old_advances_are_pruned_with_the_events_of_runs(On::Postgres).await;
}

async fn old_advances_are_pruned_with_the_events_of_runs(on: On) {
    let world = World::on(on).await;
    let storage = world.place().open().await;
    let acme = storage.workspace(&"acme".into());
    for (day, user) in [(0, "ada"), (3, "bob")] {
        acme.begin_onboarding(user, support::start() + Duration::from_secs(day * 86_400)).await.expect("begun");
    }
    let before = support::start() + Duration::from_secs(86_400);
    assert_eq!(storage.fleet().prune(Log::Events, before, 10).await.expect("pruned"), 1);
    let left = acme.events(0, 10).await.expect("events");
    assert!(left.len() == 1 && left[0].body.contains("bob"), "{left:?}");
    assert!(acme.onboarding("ada").await.expect("read").is_some(), "how far they are stays");
}

/// Lets the database refuse every event, or take them again.
async fn refuse_events(place: &Place, refuse: bool) {
    let sql = match (place, refuse) {
        (Place::File(_), true) => {
            "CREATE TRIGGER refuse BEFORE INSERT ON syncline_sync_events BEGIN SELECT raise(ABORT, 'refused by the test'); END"
        }
        (Place::File(_), false) => "DROP TRIGGER refuse",
        (Place::Server(_), true) => "ALTER TABLE syncline.sync_events ADD CONSTRAINT refuse CHECK (false)",
        (Place::Server(_), false) => "ALTER TABLE syncline.sync_events DROP CONSTRAINT refuse",
    };
    match place {
        Place::File(path) => rusqlite::Connection::open(path).expect("opens").execute_batch(sql).expect("it runs"),
        Place::Server(url) => {
            use sqlx::Connection as _;
            let mut connection = sqlx::PgConnection::connect(url).await.expect("the server takes connections");
            sqlx::raw_sql(sql).execute(&mut connection).await.expect("it runs");
        }
    }
}
